"""Writing videos: MP4, whole or under a name that says that it is not."""

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from evopose.data.images import Image
from evopose.data.videos import count_frames, quieten, require_utf8
from evopose.errors import DataError

CODECS = ("avc1", "mp4v")
"""In the order in which they are tried: H.264 plays everywhere, but the OpenCV of PyPI cannot write
it; MPEG-4 part 2 plays in every player, though not in browsers."""


class VideoWriter:
    """Writes an MP4 file without sound, as a context manager.

    Frames go to a hidden file beside `path`, which gets its name when all are written. Where the
    work is broken off, by an error or by Ctrl-C, the frames so far are playable, and named
    `NAME.unfinished.mp4`.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        """Nothing is written before the first frame.

        Raises: DataError for a path that does not end in .mp4 or whose name is not UTF-8, or
        frames a second not above 0.
        """
        if path.suffix.lower() != ".mp4":
            raise DataError(f"videos are written as .mp4, not as {path.suffix!r}")
        require_utf8(path)
        if not 0 < fps < float("inf"):
            raise DataError(f"a video needs frames a second above 0, got {fps:g}")
        self.path = path
        self.fps = fps
        self.frames_written = 0
        self.codec = ""
        """What is written, once there is a frame: one of `CODECS`."""
        self._writer: cv2.VideoWriter | None = None
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.mp4")
        self._shape: tuple[int, ...] = ()

    @property
    def unfinished(self) -> Path:
        """Where the frames so far are kept when the work is broken off."""
        return self.path.with_name(f"{self.path.stem}.unfinished.mp4")

    def write(self, frame: Image) -> None:
        """Add a frame (H, W, 3), RGB, uint8. Of an odd height or width the last row or column is
        left out, as the codec cannot hold it.

        Raises: DataError if frames differ in size, or if the file cannot be written.
        """
        if self._writer is None:
            self._open(frame)
        if frame.shape != self._shape:
            raise DataError(
                f"all frames of {self.path} must be {self._shape}, as the first; number "
                f"{self.frames_written + 1:,} is {frame.shape}"
            )
        assert self._writer is not None
        self._writer.write(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2BGR))
        self.frames_written += 1

    def close(self) -> None:
        """Finish the file and give it its name. Without frames there is none.

        Raises: DataError if not all of it could be written.
        """
        self._finish(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        with suppress(DataError):  # the error on its way is the cause
            self._finish(self.unfinished)

    def _open(self, frame: Image) -> None:
        quieten()
        height, width = frame.shape[:2]
        if (
            frame.ndim != 3
            or frame.shape[2] != 3
            or frame.dtype != np.uint8
            or min(height, width) < 2
        ):
            raise DataError(
                f"frames must be (H, W, 3) in 8 bits and of 2x2 pixels at least, got {frame.shape} "
                f"of {frame.dtype}"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise DataError(f"cannot write video {self.path}: {problem.strerror}") from problem
        size = (width - width % 2, height - height % 2)
        for codec in CODECS:
            fourcc = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(str(self._partial), cv2.CAP_FFMPEG, fourcc, self.fps, size)
            if writer.isOpened():
                self._writer, self.codec, self._shape = writer, codec, frame.shape
                return
        self._partial.unlink(missing_ok=True)
        raise DataError(
            f"cannot write video {self.path} of {height}x{width} at {self.fps:g} frames a second; "
            "see that the folder can be written to, that the disk has room, and that OpenCV can "
            f"write {' or '.join(CODECS)}"
        )

    def _finish(self, path: Path) -> None:
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        # OpenCV does not say when the disk is full: the file is asked what it holds.
        check = cv2.VideoCapture(str(self._partial), cv2.CAP_FFMPEG)
        held = count_frames(check) or 0
        check.release()
        if held < self.frames_written:
            self._partial.unlink(missing_ok=True)
            raise DataError(
                f"could not write all of {path}: {held:,} of {self.frames_written:,} frames are "
                "there; see whether the disk is full"
            )
        try:
            self._partial.replace(path)
        except OSError as problem:
            self._partial.unlink(missing_ok=True)
            raise DataError(f"cannot write video {path}: {problem.strerror}") from problem
