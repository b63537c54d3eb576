"""Reading videos and webcams frame by frame, through OpenCV. One frame is in memory at a time.

Frames are upright: a rotation noted in the file, as phones do, is applied. Sound is never read.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import cv2
import numpy as np

from evopose.data.images import Image
from evopose.errors import DataError

ASSUMED_FPS = 30.0
"""Frames a second where the source does not tell."""

_MOST_FPS = 1000.0
_MISSING = 0.05
"""A video that ends with a larger share of its frames missing is called cut off: containers count
by duration, and are out by a few."""
_HEAD = 1 << 18
"""Bytes in which AVI and Matroska say what streams there are."""


class Video:
    """The frames of an open video, once: iterate over it. `open_video` makes one.

    Closes itself at its end, and as a context manager.
    """

    def __init__(self, name: str, capture: cv2.VideoCapture, *, live: bool) -> None:
        self.name = name
        """What to call it in messages."""
        self.live = live
        """Whether it is a camera, which goes on until it is closed."""
        self.notes: list[str] = []
        """What a user should know: what was assumed, and once it has ended what was missing."""
        self.frames_read = 0
        """Frames that were given so far."""
        self.time_s = 0.0
        """When the last frame given was taken, from the first one on; always later than the one
        before. Frames need not be evenly spaced."""
        self._capture = capture
        self._began = time.monotonic()
        self._first = self._read()
        if self._first is None:
            self.close()
            raise DataError(
                f"{name} gives no frames; "
                + ("close other programs that use it" if live else "it is empty or damaged")
            )
        self.size_hw: tuple[int, int] = self._first.shape[:2]
        """Of every frame, as it is given."""
        self.fps = self._frames_a_second()
        """Frames a second, on average."""
        self.num_frames = None if live else count_frames(capture)
        """How many frames the file says it holds; None where it does not, or is a camera."""

    def __iter__(self) -> Iterator[Image]:
        return self

    def __next__(self) -> Image:
        """Return the next frame (H, W, 3) in RGB, uint8."""
        frame, self._first = self._first, None
        if frame is None:
            frame = self._read()
        if frame is None:
            self._end()
            raise StopIteration
        self.time_s = self._taken_s()
        self.frames_read += 1
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """Let the file or camera go. What follows is the end."""
        self._first = None
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> Image | None:
        if not self._capture.isOpened():
            return None
        there, frame = self._capture.read()
        self._position_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return np.asarray(frame, np.uint8) if there else None

    def _taken_s(self) -> float:
        now = time.monotonic() - self._began if self.live else self._position_s
        if self.frames_read == 0:
            self._zero = now
            return 0.0
        now -= self._zero
        return now if now > self.time_s else self.time_s + 1 / self.fps

    def _frames_a_second(self) -> float:
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        if 0 < fps <= _MOST_FPS:
            return fps
        self.notes.append(
            f"{self.name} does not say how many frames a second it has; {ASSUMED_FPS:g} are assumed"
        )
        return ASSUMED_FPS

    def _end(self) -> None:
        if not self._capture.isOpened():
            return  # closed by the user, or ended before
        self.close()
        missing = (self.num_frames or 0) - self.frames_read
        if self.live:
            self.notes.append(f"{self.name} stopped after {self.frames_read:,} frames")
        elif missing > max(2, _MISSING * (self.num_frames or 0)):
            self.notes.append(
                f"{self.name} is cut off or damaged: {self.frames_read:,} of {self.num_frames:,} "
                "frames could be read, and are kept"
            )


def open_video(source: Path | str | int) -> Video:
    """Return the frames of a video file, or of the webcam of that index (0 is the first).

    Raises: DataError if there is no such file or camera, if it gives no frames, or as
    `require_utf8`.
    """
    quieten()
    if isinstance(source, int):
        return _open_webcam(source)
    path = Path(source)
    if not path.exists():
        raise DataError(f"there is no video {path}")
    require_utf8(path)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise DataError(f"cannot read video {path}: {error.strerror}") from error
    # FFmpeg takes text for a film of a terminal.
    capture = None if _is_text(head) else cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if capture is None or not capture.isOpened():
        raise DataError(
            f"cannot read {path} as a video ({path.stat().st_size:,} bytes): it is none, of a "
            "format that OpenCV does not know, or cut off so that its index is missing; copy it "
            "again, or convert it to MP4"
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return Video(str(path), capture, live=False)


def has_audio(path: Path) -> bool | None:
    """Return whether a video file has sound, by its header; None where that cannot be told.

    MP4, MOV, AVI, Matroska and WebM are known. Nothing is decoded.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                index = _movie_box(file)
                return None if index is None else bool(_find(rb"hdlr.{8}soun", index))
    except OSError:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return bool(_find(rb"strh.{4}auds", head))
    if head[:4] == b"\x1a\x45\xdf\xa3":  # Matroska's and WebM's streams are named by their codecs
        heard, seen = (_find(rb"\x86." + kind + rb"_[A-Z]", head) for kind in (b"A", b"V"))
        return True if heard else False if seen else None
    return None


def _open_webcam(index: int) -> Video:
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        capture.release()
        raise DataError(
            f"there is no webcam {index}{_cameras()}; name another index, connect it, close other "
            "programs that use it, and allow this one to (on Linux by the group 'video')"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest that waits
    return Video(f"webcam {index}", capture, live=True)


def _cameras() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    found = sorted(Path("/dev").glob("video*"))
    return f" (found: {', '.join(map(str, found))})" if found else " (found: no /dev/video*)"


def require_utf8(path: Path) -> None:
    """Raise DataError for a name that OpenCV cannot be told: it would take the process down."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        told = str(path).encode(errors="backslashreplace").decode()
        raise DataError(f"the name of the video {told} is not UTF-8: rename it") from error


def quieten() -> None:
    """Keep OpenCV and FFmpeg from writing to standard error: what goes wrong is said here."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when a first video is opened
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def count_frames(capture: cv2.VideoCapture) -> int | None:
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if 0 < count < 2**53 else None


def _is_text(head: bytes) -> bool:
    return bool(head) and b"\0" not in head and all(b >= 32 or b in b"\t\n\r\f\x1b" for b in head)


def _movie_box(file: BinaryIO) -> bytes | None:
    """Return the index ("moov") of an MP4 or MOV file; None if there is none."""
    start, end = 0, file.seek(0, os.SEEK_END)
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:], "big") if size == 1 else size or end - start
        if header[4:8] == b"moov":
            return file.read(min(size, end - start))
        if size < 8:
            return None
        start += size
    return None


def _find(pattern: bytes, data: bytes) -> re.Match[bytes] | None:
    return re.search(pattern, data, re.DOTALL)
