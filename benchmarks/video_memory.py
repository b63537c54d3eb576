"""Memory through a long video: does it stay where it is?

    python benchmarks/video_memory.py [--frames 300] [--detector FILE] [--runtime auto]

A film of drawn people, over whom a camera pans, goes through what `evopose predict` does with a
video: read, detect, estimate, track, smooth, draw, and write as MP4 and JSON lines, in a process
of its own. Prints the memory of that process (resident set) after 50 frames, 100, 200 and all, and
exits 1 if it has grown by more than `--allowed` MB since frame 50. Sizes, not times, are compared:
it may run beside other work.

What is judged is growth with frames. Memory also grows, once, with each number of persons that a
runtime has not seen before (`--cold` leaves out the warming-up, and shows by how much).

The limit is for growth with frames, and near what runtimes do by themselves. In runs of 300 frames
PyTorch stayed within 1.1 MB (4 of 4), ONNX Runtime within 4 in most, but 6.8 once; OpenVINO's
buffers change with the number of persons, by 0.5 to 25 MB from run to run. Longer films level off:
after 900 frames 4.3 MB (ONNX Runtime) and 7.4 (OpenVINO, 0.1 of it in the last 400). With
`--batch-size 1` OpenVINO stays within 2.3 MB (3 of 3). Repeat a run before trusting its verdict.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from rich.console import Console

from evopose.data.synthetic import SceneConfig, draw_scene
from evopose.data.video_writing import VideoWriter
from evopose.errors import EvoposeError

SIZE_HW = (480, 640)
CROWD = SceneConfig(
    height=(720, 720), width=(960, 960), persons=(4, 4), acrobatics=0.0, cropped=0.0, occluders=0.0
)
SCENES, SHOT = 4, 12
"""How many scenes follow each other, again and again, and for how many frames each."""
PERSONS = 16
"""More than are ever followed at once. Runtimes allocate for each number of persons once, and keep
that: the network sees every number up to this one before the film begins."""
SETTLED = 50
"""Frames after which every scene was seen."""


def main() -> int:
    """Measure, print, and return how the process exits."""
    options = _options()
    if options.inside:
        print(json.dumps(follow(options.inside, options)))
        return 0
    with tempfile.TemporaryDirectory(prefix="evopose-film-") as folder:
        film = Path(folder) / "film.mp4"
        draw_film(film, options.frames)
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--inside", str(film)],
            stdout=subprocess.PIPE,
            check=False,
        )
    if done.returncode:
        return done.returncode
    used = {int(frame): float(mb) for frame, mb in json.loads(done.stdout).items()}
    print("frame  resident, MB  since frame 50")
    for frame in sorted({SETTLED, *range(100, options.frames, 100), options.frames}):
        print(f"{frame:5}  {used[frame]:12.1f}  {used[frame] - used[SETTLED]:+14.1f}")
    growth = max(mb for frame, mb in used.items() if frame >= SETTLED) - used[SETTLED]
    good = growth <= options.allowed
    print(
        f"at most {growth:+.1f} MB, {options.allowed:g} allowed: {'good' if good else 'TOO MUCH'}"
    )
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=300, help=f"more than {SETTLED}")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--detector", default="yolox-nano")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--batch-size", type=int, default=32, help="persons seen at once, at most")
    parser.add_argument("--allowed", type=float, default=4.0, metavar="MB")
    parser.add_argument("--cold", action="store_true", help="do not warm up with 1 to 16 persons")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.frames <= SETTLED:
        parser.error(f"--frames must be above {SETTLED}")
    return options


def draw_film(path: Path, frames: int) -> None:
    """Write a film in which a view of `SIZE_HW` wanders over drawn scenes in turn: people come,
    go and are forgotten, as in a long video."""
    height, width = SIZE_HW
    images = [draw_scene(6, number, CROWD).image for number in range(SCENES)]
    with VideoWriter(path, fps=30) as writer:
        for frame in range(frames):
            image = images[frame // SHOT % SCENES]
            phase = 2 * np.pi * frame / SHOT
            left = round((image.shape[1] - width) * (0.5 - 0.5 * np.cos(phase)))
            top = round((image.shape[0] - height) * (0.5 + 0.3 * np.sin(phase)))
            writer.write(image[top : top + height, left : left + width])


def follow(film: Path, options: argparse.Namespace) -> dict[int, float]:
    """Return the MB that this process holds after each frame of the film."""
    from evopose.cli.options import StopRequest
    from evopose.cli.predict_videos import predict_video
    from evopose.inference.estimator import PoseEstimator
    from evopose.inference.poses import Poses
    from evopose.inference.sources import Video

    cv2.setNumThreads(1)
    estimator = PoseEstimator.load(
        detector=options.detector,
        runtime=options.runtime,
        threads=1,
        flip_test=False,
        batch_size=options.batch_size,
    )
    for persons in () if options.cold else range(PERSONS, 0, -1):
        boxes = np.tile([200.0, 100, 300, 400], (persons, 1))
        estimator.pipeline.predict(np.zeros((*SIZE_HW, 3), np.uint8), boxes)
    watched = _Watched(estimator)
    done = predict_video(
        watched, Video(path=film), "out", film.parent, Console(stderr=True), every=options.every,
        limit=None, smooth=True, draw=Poses.draw, stop=StopRequest(),
    )  # fmt: skip
    assert done.failed is None, done.failed
    return watched.used


class _Watched:
    """An estimator whose process is weighed after each frame."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.used: dict[int, float] = {}

    def video(self, *given: Any, **more: Any) -> Iterator[Any]:
        """Yield what the estimator's `video` does."""
        process = psutil.Process()
        for number, poses in enumerate(self.estimator.video(*given, **more), 1):
            assert len(poses) <= PERSONS, f"{len(poses)} persons in frame {number}"
            yield poses  # the frame is drawn and written before this goes on
            self.used[number] = process.memory_info().rss / 1e6


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EvoposeError as error:
        sys.exit(str(error))
