"""The winner's files, and what it sees on the validation persons."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from evopose.data.layouts import open_dataset
from evopose.drawing import contact_sheet, draw_pose
from evopose.errors import DataError
from evopose.evolution.store import Store
from evopose.models.card import read_card
from evopose.search import winner
from evopose.search.folder import read_config
from evopose.search.overrides import override
from evopose.search.session import prepare_data
from evopose.search.winner import export_best, look
from evopose.training.compute import Compute
from tiny_runs import COLOURS

CPU = Compute(device="cpu", threads=1, precision="fp32")


def test_nothing_is_exported_before_anything_is_trained(tmp_path):
    with Store.create(tmp_path / "run", {}) as store:
        assert export_best(store) is None
    assert not (tmp_path / "run" / "pareto").exists()


def test_the_best_and_the_front_are_copies_of_their_weights(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    (run / "best.safetensors").unlink()
    with Store.read(run) as store:
        best = export_best(store)
        winner = store.best(1)[0]
        assert best == run / "best.safetensors"
        assert best.read_bytes() == store.blobs.read(winner.blob)
        for one in store.pareto():
            file = run / "pareto" / f"{one.id}.safetensors"
            assert read_card(file).genotype == one.genotype
    assert [path.name for path in run.rglob(".*")] == []


@pytest.mark.parametrize("lost", [True, False])
def test_damaged_or_missing_weights_never_replace_a_good_file(finished_run, tmp_path, lost, caplog):
    run = shutil.copytree(finished_run, tmp_path / "run")
    with Store.read(run) as store:
        winner, front = store.winner(), store.pareto()
        path = store.blobs.path(winner.blob)
        whole = path.read_bytes()
        path.write_bytes(bytes(4) + whole[4:])
        if lost:
            path.unlink()
        assert export_best(store) == run / "best.safetensors"
        assert (run / "best.safetensors").read_bytes() == whole
        assert caplog.text == ""
        (run / "best.safetensors").write_bytes(b"of another")
        (run / "pareto" / f"{winner.id}.safetensors").unlink(missing_ok=True)
        assert export_best(store) is None
    assert (run / "best.safetensors").read_bytes() == b"of another"
    assert f"best.safetensors is not written: the weights {path} are" in caplog.text
    there = {path.stem for path in (run / "pareto").iterdir()}
    assert there == {one.id for one in front} - {winner.id}


def test_what_it_sees(finished_run, dots):
    config = read_config(finished_run)
    data = prepare_data(open_dataset(dots), config)
    view = look(finished_run / "best.safetensors", data.val, CPU, count=4)
    assert view.persons == 6
    assert 0 <= view.mean_oks <= 1
    # Four persons of 32 x 32, six times as large, in one row of tiles.
    assert view.sheet.dtype == np.uint8
    assert view.sheet.shape[0] >= 192
    assert view.sheet.shape[1] >= 4 * 192
    assert len(np.unique(view.sheet.reshape(-1, 3), axis=0)) > 100


def test_the_worst_are_those_of_lowest_oks(finished_run, dots, monkeypatch):
    config = read_config(finished_run)
    val = prepare_data(open_dataset(dots), config).val
    told, drawn = [], []

    def sheet(tiles, *, columns, captions, cell_hw):
        told.append(captions)
        return contact_sheet(tiles, columns=columns, captions=captions, cell_hw=cell_hw)

    def draw(image, keypoints, skeleton, **options):
        drawn.append(keypoints)
        return draw_pose(image, keypoints, skeleton, **options)

    monkeypatch.setattr(winner, "contact_sheet", sheet)
    monkeypatch.setattr(winner, "draw_pose", draw)
    view = look(finished_run / "best.safetensors", val, CPU, count=6, worst=3)
    everyone, worst = told
    scores = sorted(float(caption.removeprefix("OKS ")) for caption in everyone)
    found = [re.fullmatch(r"OKS (\S+), annotation (\d+)", caption) for caption in worst]
    assert [float(match[1]) for match in found] == scores[:3]
    assert view.worst.shape[1] >= 3 * (2 * 192 + 3)
    # To the left is what was labelled: dots of their colours lie there.
    for match, labelled, predicted in zip(found, drawn[6::2], drawn[7::2], strict=True):
        place = val.cache.ids.tolist().index(int(match[2]))
        assert not np.allclose(labelled[:, :2], predicted[:, :2], atol=0.5)
        top, left = val.cache.spec.offset_hw
        image = val.cache.images[place][top : top + 32, left : left + 32].astype(int)
        for number, (x, y, _) in enumerate(labelled):
            column, row = round((x + 0.5) / 6 - 0.5), round((y + 0.5) / 6 - 0.5)
            own_or_over_it = list(COLOURS.values())[number:]
            assert min(np.abs(image[row, column] - c).max() for c in own_or_over_it) < 60


def test_where_nothing_is_labelled_nobody_is_worst(finished_run, dots, monkeypatch):
    config = read_config(finished_run)
    val = prepare_data(open_dataset(dots), config).val
    nothing = replace(val.cache, keypoints=np.zeros_like(val.cache.keypoints))
    view = look(finished_run / "best.safetensors", replace(val, cache=nothing), CPU, count=2)
    assert view.worst is None


def test_crops_of_another_size_are_refused(finished_run, dots):
    config = override(read_config(finished_run), input_hw=(64, 64))
    data = prepare_data(open_dataset(dots), config)
    with pytest.raises(DataError, match=r"takes \(32, 32\) and 3 keypoints, the crops are"):
        look(finished_run / "best.safetensors", data.val, CPU)
