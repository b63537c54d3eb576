"""`evopose space`: its figures are those of networks and spaces."""

import pytest

from evopose.genotype import SPACES, SearchSpace
from goldens import check_golden


def test_it_lists_the_declared_spaces(evopose) -> None:
    found = {one["name"]: one for one in evopose("space", "--json").json["spaces"]}
    assert list(found) == list(SPACES)
    assert found["paper"]["neighbours"] == 110
    assert found["paper"]["genotypes"] == pytest.approx(3.4e13, rel=0.01)
    assert found["paper"]["genes"] == ["kernel", "repeats", "filters", "stride"]
    assert "wide" in evopose("space").out


def test_the_papers_space_has_the_published_sizes(evopose) -> None:
    """EfficientNet-B0 with three transposed convolutions: 4.3 M (the official code's count)."""
    found = evopose("space", "paper", "--samples", "20", "--json").json
    assert (found["recipe"], found["input_hw"]) == ("paper", [256, 192])
    genes = {gene["name"]: gene for gene in found["genes"]}
    assert {name: gene["neighbours"] for name, gene in genes.items()} == {
        "kernel": 7, "repeats": 11, "filters": 91, "stride": 1,
    }  # fmt: skip
    assert sum(gene["neighbours"] for gene in genes.values()) == found["neighbours"] == 110
    ancestor = found["ancestor"]
    assert round(ancestor["num_parameters"] / 1e6, 1) == 4.3
    assert genes["kernel"]["lowest"]["num_macs"] < ancestor["num_macs"]
    assert genes["stride"]["highest"]["num_macs"] == ancestor["num_macs"]
    assert genes["filters"]["highest"]["num_parameters"] == ancestor["num_parameters"]
    for name in ("parameters", "macs"):
        least, *_, most = found["drawn"][name]
        key = {"parameters": "num_parameters", "macs": "num_macs"}[name]
        assert found["smallest"][key] < least < most < found["largest"][key]


def test_a_written_space_is_read_again(evopose, tmp_path) -> None:
    path = tmp_path / "mine.json"
    done = evopose("space", "wide", "--samples", "0", "--write", path)
    assert done.code == 0
    assert f"evopose evolve DATA --space {path}" in done.out
    assert SearchSpace.from_json(path.read_text()) == SPACES["wide"]
    assert evopose("space", path, "--samples", "3", "--json").json["space"]["name"] == "wide"
    again = evopose("space", "wide", "--samples", "0", "--write", path)
    assert (again.code, again.out) == (2, "")
    assert "mine.json is there already; name another file" in again.err


def test_blind_genes_are_told(evopose) -> None:
    text = evopose("space", "paper", "--input", "64x64", "--samples", "0").out
    assert "note: at this input size stage 1 repeats has no effect" in text


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("space-unknown", ("space", "huge")),
        ("space-input-not-divided", ("space", "small", "--input", "100x64")),
        ("space-input-is-a-gene", ("space", "wide", "--input", "96x64")),
        ("space-unknown-recipe", ("space", "wide", "--recipe", "large")),
    ],
)
def test_mistakes(evopose, case, arguments) -> None:
    done = evopose(*arguments)
    assert done.code == 2
    check_golden(f"errors/{case}.txt", done.err)
