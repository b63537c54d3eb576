"""A search whose networks may differ in every gene, the input size among them."""

import json
from pathlib import Path

import pytest

from evopose.api import _val_crops, evolve, make_config, write_reports
from evopose.data.crops import open_crops
from evopose.errors import ConfigError
from evopose.evolution.store import Store
from evopose.genotype import MUTATIONS, Gene, Genotype, SearchSpace
from evopose.models.modelfile import load_model
from evopose.search.estimate import estimate
from evopose.search.winner import look
from evopose.training.compute import Compute
from tiny_runs import INLINE_OPTIONS, OPTIONS, as_before, no_measurement, story

CPU = Compute(device="cpu", threads=1, precision="fp32")


def every_gene() -> SearchSpace:
    """Return a space of two stages in which each gene has two values."""
    free = {
        "kernel": (3, 5),
        "repeats": (1, 2),
        "filters": (1, 2),
        "stride": (1, 2),
        "expand_ratio": (1, 2),
        "se_ratio": (0.25, 0.5),
        "activation": ("silu", "relu"),
    }
    network = {
        "stem_channels": (16, 24),  # not as wide as a stage: no skip comes or goes
        "head_channels": (8, 16),
        "head_blocks": (1, 2),
        "head_activation": ("silu", "hardswish"),
        "input_size": ("32x32", "64x32"),
    }
    first = {name: values[0] for name, values in network.items()}
    ancestor = Genotype.from_value(
        {
            "stages": [[3, 1, 1, 1], [3, 1, 1, 1]],
            "expand_ratio": [1, 2],
            "se_ratio": [0.25, 0.25],
            "activation": ["silu", "silu"],
            "network": first,
        }
    )
    genes = {name: Gene(values=values) for name, values in free.items()}
    return SearchSpace(
        name="every gene",
        ancestor=ancestor,
        stages=(genes, genes),
        network={name: Gene(values=values) for name, values in network.items()},
    )


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> dict:
    path = tmp_path_factory.mktemp("space") / "every-gene.json"
    path.write_text(every_gene().to_text())
    chosen = {name: value for name, value in OPTIONS.items() if name != "input_hw"}
    count = 19  # all neighbours: seven genes of two stages, five of the network
    return chosen | INLINE_OPTIONS | {
        "space": str(path), "children": count, "generations": 1, "ancestor_epochs": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def wide_run(dots, options, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "wide"
    with pytest.MonkeyPatch.context() as patch, as_before():
        patch.setattr("evopose.api.measure_throughput", no_measurement)
        evolve(dots, run=run, **options)
    return run


def test_every_kind_of_mutation_trains_and_says_what_it_inherited(wide_run) -> None:
    with Store.read(wide_run) as store:
        mutants = [one for one in store.individuals() if one.kind == "mutant"]
    assert [one.status for one in mutants] == ["done"] * 19
    assert {one.changes[0].gene for one in mutants} == set(MUTATIONS)
    for one in mutants:
        transfer = one.result["transfer"]
        gene = one.changes[0].gene
        grows = gene in ("kernel", "repeats", "se_ratio", "stem_channels", "head_channels")
        if grows:
            assert transfer["preserves_function"], (gene, transfer["reasons"])
        if gene in ("activation", "head_activation", "head_blocks", "input_size", "stride"):
            assert any(gene.split("_")[-1] in reason for reason in transfer["reasons"])
            assert transfer["needs_bn_reestimation"]


def test_each_trains_on_crops_of_its_size_and_its_file_says_so(wide_run) -> None:
    with Store.read(wide_run) as store:
        crops = store.meta["crops_at"]
        for size, folders in crops.items():
            for folder in folders.values():
                assert "x".join(map(str, open_crops(Path(folder)).spec.input_hw)) == size
        assert set(crops) == {"32x32", "64x32"}
        assert crops["32x32"] == store.meta["crops"]
        for one in store.individuals(status="done"):
            if one.blob:
                net, card = load_model(store.blobs.path(one.blob))
                assert card.genotype == one.genotype
                assert card.input_hw == net.config.input_hw == one.genotype.network.input_hw


def test_the_picture_of_a_winner_of_another_size_is_of_its_size(wide_run) -> None:
    with Store.read(wide_run) as store:
        taller = next(
            one for one in store.individuals() if one.genotype.network.input_size == "64x32"
        )
        data = _val_crops(store.meta, (64, 32))
        view = look(store.blobs.path(taller.blob), data, CPU, count=2)
    assert view.persons == 6
    assert None not in write_reports(wide_run)


def test_it_goes_on_and_proposes_what_an_undisturbed_search_does(
    wide_run, dots, options, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("evopose.api.measure_throughput", no_measurement)
    few = options | {"children": 2}
    with as_before():
        evolve(dots, run=tmp_path / "cut", **few)
        resumed = {"run": tmp_path / "cut", "resume": True, "generations": 2, **INLINE_OPTIONS}
        evolve(dots, **resumed)
        evolve(dots, run=tmp_path / "whole", **few | {"generations": 2})
    assert story(tmp_path / "cut") == story(tmp_path / "whole")


def test_results_and_page_show_the_further_genes(wide_run) -> None:
    results = json.loads((wide_run / "results.json").read_text())
    record = next(one for one in results["individuals"] if one["id"] == "0")
    assert Genotype.from_value(record["genotype"]) == every_gene().ancestor
    page = (wide_run / "report.html").read_text()
    for text in ("<th>expand ratio</th>", "<td>head blocks</td>", "<td>input size</td>"):
        assert text in page


def test_an_input_for_networks_that_choose_theirs_is_refused(options) -> None:
    with pytest.raises(ConfigError, match=r"as a gene \(32x32, 64x32\): leave --input out"):
        make_config("demo", space=options["space"], input_hw=(64, 64))


def test_every_size_must_be_divided_by_the_strides() -> None:
    space = SearchSpace.from_json(every_gene().to_json().replace("64x32", "64x36"))
    with pytest.raises(ConfigError, match=r"64x36 is not divided by 8, .* that fits is 64x40"):
        make_config("demo", space=space)


def test_the_estimate_counts_the_crops_of_all_sizes(options) -> None:
    config = make_config("demo", space=options["space"])
    assert config.input_hw == (32, 32)
    assert config.input_sizes == ((32, 32), (64, 32))
    speed = no_measurement(config, None, num_keypoints=3)
    cost = estimate(config, speed, persons={"train": 10, "fitness": 1, "val": 1}, workers=1)
    stored = {32: 32 + 2 * 6, 64: 64 + 2 * 13}  # the margin on both sides, rounded
    assert cost.crops_bytes == 3 * 12 * (stored[32] ** 2 + stored[64] * stored[32])
