"""Poses in a video: tracked, smoothed, drawn frame by frame, and written as JSON lines."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.bars import bar
from evopose.cli.options import say
from evopose.errors import DataError

if TYPE_CHECKING:
    from evopose.inference.estimator import PoseEstimator
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
    threshold: float | None,
) -> PredictedVideo:
    """Write what is found in a video to `out`, STEM.mp4 and STEM.jsonl, and return how it went.

    `threshold` None: nothing is drawn. Ctrl-C ends a webcam's recording well, and leaves what was
    done of a video under a name that says so.
    """
    from evopose.data.video_writing import VideoWriter
    from evopose.data.videos import has_audio, open_video
    from evopose.inference.sources import Webcam

    done = PredictedVideo(source=source.name)
    live = isinstance(source, Webcam)
    try:
        video = open_video(source.index if isinstance(source, Webcam) else source.path)
    except DataError as error:
        done.failed = str(error)
        return done
    if not isinstance(source, Webcam) and threshold is not None and has_audio(source.path):
        done.notes.append(f"{source.name} has sound, which the drawn video leaves out")
    known: set[int] = set()
    lines, film = out / f"{stem}.jsonl", out / f"{stem}.mp4"
    total = limit if video.num_frames is None else min(video.num_frames, limit or 1 << 62)
    began = time.perf_counter()
    with ExitStack() as stack:
        on_progress = stack.enter_context(bar(screen, f"{source.name}"))
        notes = stack.enter_context(lines.open("w"))
        writer = None
        if threshold is not None:
            writer = stack.enter_context(VideoWriter(film, fps=video.fps))
        try:
            for poses in estimator.video(video, every=every, smooth=smooth, limit=limit):
                notes.write(json.dumps(poses.to_json()) + "\n")
                if writer is not None and threshold is not None:
                    writer.write(poses.draw(threshold=threshold))
                done.frames += 1
                if poses.ids is not None:
                    known.update(poses.ids[poses.ids >= 0].tolist())
                on_progress(done.frames, total)
        except KeyboardInterrupt:
            if not live:
                raise
    done.seconds = time.perf_counter() - began
    done.persons = len(known)
    done.notes += video.notes
    done.written = [lines.name, *([film.name] if threshold is not None else [])]
    done.drawn = [film] if threshold is not None else []
    for note in done.notes:
        say(screen, note)
    rate = done.frames / done.seconds
    say(
        screen,
        f"{source.name}: {done.persons:,} persons in {done.frames:,} frames; {rate:.1f} frames/s",
    )
    return done


def video_stems(videos: "Sequence[Video | Webcam]") -> list[str]:
    """Return what the files of each video are called: as it is, with a number where two would be
    called so."""
    stems: list[str] = []
    for video in videos:
        stem = Path(video.name).stem.replace(":", "-")
        numbered = (f"{stem}-{number}" for number in range(2, len(videos) + 2))
        stems.append(stem if stem not in stems else next(n for n in numbered if n not in stems))
    return stems
