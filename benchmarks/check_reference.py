"""Check EvoPose2D, its weight transfer and its importer against numbers of the official code.

    python benchmarks/check_reference.py FOLDER

FOLDER holds `evopose2d_complexity.json` (parameters, multiply-adds and heatmap shapes of networks),
`transfer/` (parents and children before and after the official transfer) and `keras_h5/` (official
models with an input and its heatmaps). Prints one line a check; exits 1 when one fails.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evopose.genotype import SPACES, Genotype
from evopose.models.complexity import complexity
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import Complexity, EvoPose2DConfig, plan, plan_complexity
from evopose.models.importers.keras_h5 import read_keras_h5
from evopose.models.keras_layout import Array, export_arrays, load_arrays
from evopose.models.transfer import inherit_weights

Row = dict[str, Any]
Check = tuple[str, Callable[[], str]]
"""Name of a check, and what does it: returns what agrees, raises AssertionError if anything
does not."""


def main() -> int:
    """Run every check; return how the process exits."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="such as ../shared/reference")
    folder = parser.parse_args().folder
    count = failed = 0
    for part in (complexity_checks, transfer_checks, h5_checks):
        for name, check in guarded(part, folder):
            count += 1
            try:
                print(f"ok    {name}: {check()}")
            except Exception as error:  # whatever goes wrong, the check has failed
                failed += 1
                print(f"FAIL  {name}: {error or repr(error)}")
    print(f"{count} checks, {failed} failed")
    return 1 if failed else 0


def guarded(part: Callable[[Path], Iterator[Check]], folder: Path) -> Iterator[Check]:
    """Yield the checks of one part; where they cannot be listed, one that fails."""
    name = part.__name__.partition("_")[0]
    try:
        checks = list(part(folder))
        reason = f"no checks found in {folder}"
    except Exception as error:  # an absent or malformed index is a failed check, not a crash
        checks, reason = [], f"{type(error).__name__}: {error}"
    yield from checks or [(name, partial(fail, reason))]


def fail(reason: str) -> str:
    raise AssertionError(reason)


def require_equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        fail(f"{what} is {found}, expected {expected}")


def complexity_checks(folder: Path) -> Iterator[Check]:
    """Yield two checks a network: its parameters, and its multiply-adds with its heatmaps."""
    data = json.loads((folder / "evopose2d_complexity.json").read_text())
    rows = {**data["named"], **{f"random {row['id']}": row for row in data["random"]}}
    for name, row in rows.items():
        measured = cache(partial(measure, row))
        yield f"parameters {name}", partial(check_parameters, row, measured)
        yield f"multiply-adds {name}", partial(check_macs, row, measured)


def check_parameters(row: Row, measured: Callable[[], "Measured"]) -> str:
    for how, found in measured().counts.items():
        require_equal(f"num_parameters {how}", found.num_parameters, row["params"])
        require_equal(f"num_trainable {how}", found.num_trainable, row["trainable_params"])
    return f"{row['params']}, trainable {row['trainable_params']}"


def check_macs(row: Row, measured: Callable[[], "Measured"]) -> str:
    for how, found in measured().counts.items():
        require_equal(f"num_macs {how}", found.num_macs, row["conv_macs"])
    height, width, keypoints = row["output_shape"]
    for how, shape in measured().heatmaps.items():
        require_equal(f"(h, w, K) of the heatmaps {how}", shape, (height, width, keypoints))
    return f"{row['conv_macs']}, heatmaps {height}x{width}x{keypoints}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of one network, by arithmetic and as the module has them."""

    counts: dict[str, Complexity]
    heatmaps: dict[str, tuple[int, int, int]]
    """(h, w, K)"""


def measure(row: Row) -> Measured:
    net = skeleton(row)
    config = net.config
    _, keypoints, height, width = net(torch.empty(1, 3, *config.input_hw, device="meta")).shape
    return Measured(
        counts={
            "by plan": plan_complexity(config),
            "of the module": complexity(net, input_hw=config.input_hw),
        },
        heatmaps={
            "by plan": (*net.heatmap_hw, config.num_keypoints),
            "of the module": (height, width, keypoints),
        },
    )


def skeleton(row: Row) -> EvoPose2D:
    """Return the network of `row` without memory for its weights."""
    genes = row["genotype"]
    with torch.device("meta"):
        return EvoPose2D(
            EvoPose2DConfig(
                genotype=Genotype.from_list(genes) if genes else SPACES["paper"].ancestor,
                input_hw=tuple(row["input_shape"][:2]),
                num_keypoints=row["output_shape"][2],
                head_channels=row["head_channels"],
                head_kernel=row["head_kernel"],
                final_kernel=row["final_kernel"],
            )
        )


def transfer_checks(folder: Path) -> Iterator[Check]:
    """Yield a check a pair: the official rule gives the official child, to the bit."""
    folder = folder / "transfer"
    for pair in json.loads((folder / "index.json").read_text())["pairs"]:
        yield f"transfer {pair['name']}", partial(check_transfer, folder, pair)


def check_transfer(folder: Path, pair: Row) -> str:
    with np.load(folder / f"{pair['name']}.npz") as file:
        parts: dict[str, dict[str, Array]] = {"parent": {}, "init": {}, "child": {}}
        for key in file:
            part, _, name = key.partition("/")
            parts[part][name] = file[key]
    parent = network(pair, "parent", parts["parent"])
    child = network(pair, "child", parts["init"])
    inherit_weights(parent, child, "official")
    found, expected = export_arrays(child), parts["child"]
    require_equal("the list of tensors", sorted(found), sorted(expected))
    differing = [name for name in found if found[name].tobytes() != expected[name].tobytes()]
    require_equal("the list of differing tensors", differing, [])
    return f"{len(found)} tensors equal to the bit"


def network(pair: Row, which: str, arrays: dict[str, Array]) -> EvoPose2D:
    net = build_evopose2d(
        EvoPose2DConfig(
            genotype=Genotype.from_list(pair[which]),
            input_hw=tuple(pair["input_shape"][:2]),
            num_keypoints=arrays["final_conv/bias"].size,
            head_channels=pair[f"head_channels_{which}"],
            final_kernel=pair["final_kernel"],
        )
    )
    load_arrays(net, arrays)
    return net


def h5_checks(folder: Path) -> Iterator[Check]:
    """Yield a check a file: its network gives the official heatmaps, within the tolerance."""
    folder = folder / "keras_h5"
    for case in json.loads((folder / "index.json").read_text())["cases"]:
        yield f"h5 {case['h5']}", partial(check_h5, folder, case)


def check_h5(folder: Path, case: Row) -> str:
    net, report = read_keras_h5(folder / case["h5"])
    expected_config = EvoPose2DConfig(
        genotype=Genotype.from_list(case["genotype"]),
        input_hw=tuple(case["input_hw"]),
        num_keypoints=case["num_keypoints"],
        head_channels=case["head_channels"],
        final_kernel=case["final_kernel"],
    )
    require_equal("the network", plan(net.config), plan(expected_config))
    require_equal("the list of skipped arrays", report.skipped, ())
    images, expected = (array_of(folder, case, case[key]) for key in ("input", "heatmaps"))
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    require_equal("the heatmaps' shape", tuple(found.shape), expected.shape)
    error = float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())
    # not (a <= b): an error that is no number fails too
    if not error <= case["tolerance"]:
        fail(f"the heatmaps differ by {error:.1e} of the largest, {case['tolerance']:g} allowed")
    return f"heatmaps differ by {error:.1e} of the largest, {case['tolerance']:g} allowed"


def array_of(folder: Path, case: Row, address: str) -> Array:
    """Return the array at `file:key`, or at `key` of the case's own file."""
    file, _, key = address.rpartition(":")
    with np.load(folder / (file or case["io"])) as arrays:
        array: Array = arrays[key]
    return array


if __name__ == "__main__":
    sys.exit(main())
