"""Poses in a video: tracked, smoothed, drawn frame by frame, and written as JSON lines."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.bars import bar
from evopose.cli.options import StopRequest, say
from evopose.errors import DataError

if TYPE_CHECKING:
    from evopose.data.images import Image
    from evopose.data.video_writing import VideoWriter
    from evopose.inference.estimator import PoseEstimator
    from evopose.inference.poses import Poses
    from evopose.inference.sources import Video, Webcam


@dataclass
class PredictedVideo:
    """What became of a video."""

    source: str
    frames: int = 0
    persons: int = 0
    """Different ones, by their ids."""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    drawn: list[Path] = field(default_factory=list)
    failed: str | None = None
    stopped: bool = False
    """Whether Ctrl-C left some of its frames unseen."""

    def summary(self) -> dict[str, Any]:
        """Return the figures for `--json`."""
        rate = self.frames / self.seconds if self.seconds else 0.0
        return {
            "source": self.source,
            "frames": self.frames,
            "persons": self.persons,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(rate, 2),
            "notes": self.notes,
            "written": self.written,
            "failed": self.failed,
            "stopped": self.stopped,
        }


def predict_video(
    estimator: "PoseEstimator",
    source: "Video | Webcam",
    stem: str,
    out: Path,
    screen: Console,
    *,
    every: int,
    limit: int | None,
    smooth: bool,
    draw: "Callable[[Poses], Image] | None",
    stop: StopRequest,
) -> PredictedVideo:
    """Write what is found in a video to `out`, STEM.mp4 and STEM.jsonl, and return how it went.

    `draw` None: nothing is drawn. Ctrl-C, by `stop`, ends a webcam's recording well; of a video it
    leaves what was done as STEM.unfinished.mp4 and .jsonl.
    """
    from evopose.data.video_writing import VideoWriter
    from evopose.data.videos import has_audio, open_video
    from evopose.inference.sources import Webcam

    done = PredictedVideo(source=source.name)
    try:
        video = open_video(source.index if isinstance(source, Webcam) else source.path)
    except DataError as error:
        done.failed = str(error)
        return done
    if not isinstance(source, Webcam) and draw is not None and has_audio(source.path):
        done.notes.append(f"{source.name} has sound, which the drawn video leaves out")
    total = limit if video.num_frames is None else min(video.num_frames, limit or 1 << 62)
    film = VideoWriter(out / f"{stem}.mp4", fps=video.fps) if draw is not None else None
    lines = out / f"{stem}.unfinished.jsonl"
    began = time.perf_counter()
    done.stopped = True  # unless it comes to its end
    try:
        with suppress(KeyboardInterrupt), bar(screen, source.name) as on_progress:
            frames = estimator.video(video, every=every, smooth=smooth, limit=limit)
            frames = _until(stop, frames, live=isinstance(source, Webcam))
            _write(frames, lines, film, draw, done, lambda: on_progress(done.frames, total))
            done.stopped = False
    except DataError as error:  # of the drawn video: it cannot be written
        done.stopped, done.failed = False, str(error)
        return done
    if not done.stopped:
        lines = lines.replace(out / f"{stem}.jsonl")
    if film is not None:
        if not done.stopped:
            film.unfinished.unlink(missing_ok=True)  # of an earlier run
        drawn = film.unfinished if done.stopped else film.path
        done.drawn = [drawn] if film.frames_written else []
    done.seconds = time.perf_counter() - began
    done.notes += video.notes
    done.written = [lines.name, *(path.name for path in done.drawn)]
    for note in done.notes:
        say(screen, note)
    rate = done.frames / done.seconds
    of = f" of {total:,}" if done.stopped and total else ""
    say(
        screen,
        f"{source.name}: {done.persons:,} persons in {done.frames:,}{of} frames; "
        f"{rate:.1f} frames/s; wrote {' and '.join(done.written)}",
    )
    return done


def _until(stop: StopRequest, frames: "Iterator[Poses]", *, live: bool) -> "Iterator[Poses]":
    """Yield frames until `stop` asks: that ends a webcam's recording, and interrupts a video's."""
    for poses in frames:
        yield poses
        if stop() and live:
            return
        if stop():
            raise KeyboardInterrupt


def _write(
    frames: "Iterator[Poses]",
    lines: Path,
    film: "VideoWriter | None",
    draw: "Callable[[Poses], Image] | None",
    done: PredictedVideo,
    tell: Callable[[], None],
) -> None:
    """Write a line of each frame, and the frame, drawn; note and tell how far it is."""
    known: set[int] = set()
    with lines.open("w") as notes, film or nullcontext():
        for poses in frames:
            notes.write(json.dumps(poses.to_json()) + "\n")
            if film is not None and draw is not None:
                film.write(draw(poses))
            if poses.ids is not None:
                known.update(poses.ids[poses.ids >= 0].tolist())
            done.frames, done.persons = done.frames + 1, len(known)
            tell()
