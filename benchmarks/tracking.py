"""How often ids are mixed up, how much smoothing steadies and lags, and what both cost.

    python benchmarks/tracking.py

People of `tests/moving_people.py`, who walk past each other as arrays, with noise, misses and
clutter, are tracked here and by a tracker that knows only overlaps of boxes; then smoothed.
"""

import sys
import time
from pathlib import Path

import numpy as np

from evopose.inference.smoothing import OneEuro, SmoothingConfig
from evopose.inference.tracking import Tracker
from evopose.skeleton import COCO_PERSON

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from moving_people import Faults, Seen, count, found, greedy, walk

SCENES = 10
HARD = Faults(noise=0.02, missed=0.1, clutter=0.5)


def main() -> None:
    print("people  frames/s   tracker  switches  ghost ids  without id  ms/frame")
    for persons, faults, step in ((4, Faults(), 1), (4, HARD, 1), (4, HARD, 6), (10, HARD, 1)):
        sequences = [scene(seed, persons, faults, step) for seed in range(SCENES)]
        for name, track in (("overlap", greedy), ("evopose", tracked)):
            start = time.perf_counter()
            counts = [count(sequence, track(sequence)) for sequence in sequences]
            spent = (time.perf_counter() - start) / sum(map(len, sequences))
            switches, ghosts, nameless = (
                np.mean([getattr(one, what) for one in counts])
                for what in ("switches", "ghosts", "nameless")
            )
            print(
                f"{persons:6}  {30 / step:8.0f}  {name:>8}  {switches:8.1f}  {ghosts:9.1f}"
                f"  {nameless:10.1%}  {1e3 * spent:8.2f}"
            )
    print("\nslope  tremble  error  ms/frame   (as shares of what was not smoothed)")
    for slope in (3.0, 10.0, 30.0):
        print(f"{slope:5.0f}  {'  '.join(smoothed(slope))}")


def scene(seed: int, persons: int, faults: Faults, step: int) -> list[Seen]:
    rng = np.random.default_rng(seed)
    return found(rng, walk(rng, persons, 300)[::step], faults)


def tracked(sequence: list[Seen]) -> list[np.ndarray]:
    tracker = Tracker(COCO_PERSON)
    return [tracker.update(one.keypoints, one.boxes, one.scores) for one in sequence]


def smoothed(slope: float) -> list[str]:
    rng = np.random.default_rng(0)
    truth = walk(rng, 4, 300)
    noisy = truth + 0.012 * 150 * rng.standard_normal(truth.shape)
    poses = np.concatenate([noisy, np.ones((*noisy.shape[:3], 1))], axis=3)
    one_euro, ids = OneEuro(SmoothingConfig(slope=slope)), np.arange(4)
    start = time.perf_counter()
    xy = np.array([one_euro.smooth(p, ids, n / 30)[..., :2] for n, p in enumerate(poses)])
    spent = (time.perf_counter() - start) / len(poses)
    tremble = np.diff(xy - truth, axis=0).std() / np.diff(noisy - truth, axis=0).std()
    error = np.abs(xy - truth)[30:].mean() / np.abs(noisy - truth)[30:].mean()
    return [f"{tremble:7.2f}", f"{error:5.2f}", f"{1e3 * spent:8.2f}"]


if __name__ == "__main__":
    main()
