"""How fast heatmaps are read, and how exactly.

Speed: each codec on 256 persons x 17 keypoints against a loop over single heatmaps, written out in
`tests/decoding_loops.py`; both must find the same places. Exactness: the round trip of random
keypoints through clean targets, in heatmap pixels, three sigma from the edge and nearer, with the
settings as published and without blur.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --persons 64 --rounds 3
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.codecs import Codec, make_codec

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import decoding_loops

Array = NDArray[Any]
SIZES = {"64x48": ((256, 192), (64, 48)), "128x96": ((512, 384), (128, 96))}
GOALS = {"64x48": 20, "128x96": 12}
"""How many times faster than the loop the official codec is to be."""
SETTINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("gaussian", "as published (rounded centre)", {}),
    ("gaussian", "true centre", {"round_centre": False}),
    ("dark", "as published (blur 11)", {}),
    ("dark", "no blur", {"blur_kernel": 1}),
    ("udp", "as published (blur 11)", {}),
    ("udp", "no blur", {"blur_kernel": 1}),
    ("megvii", "as published", {}),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--persons", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--points", type=int, default=20_000)
    arguments = parser.parse_args()
    print(f"{arguments.persons} persons x 17 keypoints, medians of {arguments.rounds} rounds")
    for name in SIZES:
        for codec in ("gaussian", "dark", "udp"):
            speed(name, codec, arguments.persons, arguments.rounds)
    print("\nround trip at 64x48, heatmap pixels: largest and mean distance on an axis")
    print("                                          3 sigma inside      nearer the edge")
    for codec, what, options in SETTINGS:
        round_trip(codec, what, options, arguments.points)


def speed(size: str, name: str, persons: int, rounds: int) -> None:
    """Print how long a codec and its loop take, by turns, and how far their places differ."""
    codec = make_codec(name, *SIZES[size])
    heatmaps = ragged(codec, persons, SIZES[size][0])
    loop = loop_of(name, codec)
    times: dict[str, list[float]] = {"codec": [], "loop": []}
    for _ in range(rounds):
        begun = time.perf_counter()
        found, _ = codec.decode(heatmaps)
        between = time.perf_counter()
        expected = np.array([[loop(one) for one in person] for person in heatmaps])
        times["codec"].append(between - begun)
        times["loop"].append(time.perf_counter() - between)
    away = np.abs(codec.grid.to_heatmap(found) - expected).max()
    ratio = statistics.median(b / a for a, b in zip(times["codec"], times["loop"], strict=True))
    ours, theirs = (1e3 * statistics.median(times[who]) for who in ("codec", "loop"))
    goal = f", goal {GOALS[size]}" if name == "gaussian" else ""
    print(
        f"{size:>7} {name:<9} {ours:7.1f} ms, loop {theirs:8.1f} ms: {ratio:5.1f} times "
        f"faster{goal}; places differ by {away:.1e} px"
    )


def ragged(codec: Codec, persons: int, input_hw: tuple[int, int]) -> Array:
    """Return targets (N, 17, h, w) of different heights under a little noise, in float32."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, input_hw[::-1], (persons, 17, 2))
    heatmaps = codec.encode(xy, np.ones((persons, 17), bool))
    heatmaps *= rng.uniform(0.1, 1, (persons, 17, 1, 1)).astype(np.float32)
    heatmaps += rng.standard_normal(heatmaps.shape, np.float32)
    return heatmaps


def loop_of(name: str, codec: Any) -> Callable[[Array], tuple[float, float]]:
    """Return what reads one heatmap (h, w) as the codec does: x, y in heatmap pixels."""
    if name == "gaussian":
        return decoding_loops.official
    one = {"dark": decoding_loops.dark, "udp": decoding_loops.udp}[name]
    return lambda heatmap: one(heatmap, codec.blur_kernel, codec.sigma)


def round_trip(name: str, what: str, options: dict[str, Any], count: int) -> None:
    """Print how far keypoints come back from where they were."""
    input_hw, heatmap_hw = SIZES["64x48"]
    codec = make_codec(name, input_hw, heatmap_hw, **options)
    size = np.array(heatmap_hw[::-1])
    place = np.random.default_rng(0).uniform(0, size - 1, (1, count, 2))
    xy = codec.grid.to_crop(place)
    found, _ = codec.decode(codec.encode(xy, np.ones((1, count), bool)))
    error = np.abs(codec.grid.to_heatmap(found) - place)[0].max(axis=-1)
    margin = 3 * getattr(codec, "sigma", 2.0)
    inside = ((place > margin) & (place < size - 1 - margin)).all(axis=-1)[0]
    cells = (f"{error[part].max():9.5f} {error[part].mean():9.5f}" for part in (inside, ~inside))
    print(f"{name:<9} {what:<29} {'  '.join(cells)}")


if __name__ == "__main__":
    main()
