"""The winner's files, and what it sees on the validation persons."""

import shutil

import numpy as np
import pytest

from evopose.data.layouts import open_dataset
from evopose.errors import DataError
from evopose.evolution.store import Store
from evopose.models.modelfile import read_card
from evopose.search.folder import read_config
from evopose.search.overrides import override
from evopose.search.session import prepare_data
from evopose.search.winner import export_best, look
from evopose.training.compute import Compute

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


def test_crops_of_another_size_are_refused(finished_run, dots):
    config = override(read_config(finished_run), input_hw=(64, 64))
    data = prepare_data(open_dataset(dots), config)
    with pytest.raises(DataError, match=r"takes \(32, 32\) and 3 keypoints, the crops are"):
        look(finished_run / "best.safetensors", data.val, CPU)
