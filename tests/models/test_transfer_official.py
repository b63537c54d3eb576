"""The official rule against arrays that the official code wrote (commit ea05b81)."""

import json
from pathlib import Path

import numpy as np
import pytest

from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.keras_layout import export_arrays, load_arrays
from evopose.models.transfer import inherit_weights

PAIRS = (
    "kernel_3to5",
    "channels_up",
    "channels_down",
    "channels_down_first_block",
    "repeats_up_mid",
    "repeats_down",
    "stride_1to2",
    "multi_kernel3to5_with_prev_channels_down",
    "head_input_and_head_channels_up",
)


@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_equals_the_official_result_to_the_bit(shared: Path, name: str) -> None:
    folder = shared / "reference" / "transfer"
    pairs = json.loads((folder / "index.json").read_text())["pairs"]
    assert {pair["name"] for pair in pairs} == set(PAIRS)
    (pair,) = (pair for pair in pairs if pair["name"] == name)
    with np.load(folder / f"{name}.npz") as arrays:
        parent = network(pair, "parent", part(arrays, "parent"))
        child = network(pair, "child", part(arrays, "init"))
        expected = part(arrays, "child")
    report = inherit_weights(parent, child, "official")
    found = export_arrays(child)
    assert found.keys() == expected.keys()
    for key, array in found.items():
        assert array.tobytes() == expected[key].tobytes(), key
    moved = {t.name for t in report.tensors if t.copied}
    assert len(moved) == sum(what != "none" for what in outcomes(pair, expected))


def part(arrays: np.lib.npyio.NpzFile, name: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(f"{name}/"): arrays[k] for k in arrays if k.startswith(f"{name}/")}


def network(pair: dict, name: str, arrays: dict[str, np.ndarray]) -> EvoPose2D:
    config = EvoPose2DConfig(
        genotype=Genotype.from_list(pair[name]),
        input_hw=tuple(pair["input_shape"][:2]),
        head_channels=pair[f"head_channels_{name}"],
        final_kernel=pair["final_kernel"],
    )
    net = build_evopose2d(config)
    load_arrays(net, arrays)
    return net


def outcomes(pair: dict, expected: dict[str, np.ndarray]) -> list[str]:
    """Return what the index says of each tensor of the child."""
    return [pair["not_full"].get(key, "full") for key in expected]
