"""How fast heatmaps are read, and how exactly.

Speed: each codec on 256 persons x 17 keypoints against a loop over single heatmaps, written out in
`tests/decoding_loops.py`; both must find the same places. The official loop runs over heatmaps as
the official network gives them, keypoints last, and over ours, where a heatmap's pixels lie side by
side and arg-max, which either must do, is most of the work. Exactness: the round trip of random
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
    print(
        f"{arguments.persons} persons x 17 keypoints, processor time, medians of "
        f"{arguments.rounds} rounds"
    )
    for size in SIZES:
        for name in ("gaussian", "dark", "udp"):
            speed(size, name, arguments.persons, arguments.rounds)
    print("\nround trip at 64x48, heatmap pixels: largest and mean distance on an axis")
    print("                                          3 sigma inside      nearer the edge")
    for codec, what, options in SETTINGS:
        round_trip(codec, what, options, arguments.points)


def speed(size: str, name: str, persons: int, rounds: int) -> None:
    """Print how long a codec and its loops take, by turns, and how far their places differ."""
    input_hw, heatmap_hw = SIZES[size]
    codec = make_codec(name, input_hw, heatmap_hw)
    heatmaps = ragged(codec, persons, input_hw)
    times: dict[str, list[float]] = {}

    def timed(who: str, work: Callable[[], Array]) -> Array:
        begun = time.process_time()
        found = work()
        times.setdefault(who, []).append(1e3 * (time.process_time() - begun))
        return found

    one = loop_of(name, codec)
    last = np.ascontiguousarray(heatmaps.transpose(0, 2, 3, 1)) if name == "gaussian" else None
    away = 0.0
    for _ in range(rounds):
        found = timed("codec", lambda: codec.decode(heatmaps)[0])
        loops = timed("loop", lambda: np.array([[one(h) for h in person] for person in heatmaps]))
        away = max(away, np.abs(codec.grid.to_heatmap(found) - loops).max())
        if last is not None:
            loops = timed("official", lambda: decoding_loops.official_batch(last, input_hw))
            away = max(away, np.abs(found - loops[..., :2]).max())
    line = f"{size:>7} {name:<9} {statistics.median(times['codec']):7.1f} ms"
    for who, what in (("loop", "loop"), ("official", "official loop")):
        if who in times:
            rounded = zip(times["codec"], times[who], strict=True)
            ratio = statistics.median(slow / quick for quick, slow in rounded)
            goal = f" (goal {GOALS[size]})" if who == "official" else ""
            line += f"; {what} {statistics.median(times[who]):7.1f} ms, {ratio:5.1f} times{goal}"
    print(f"{line}; places differ by {away:.0e} px")


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
