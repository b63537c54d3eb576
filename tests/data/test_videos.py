"""Videos are judged by OpenCV's bare reader and writer, and by bytes put into the files."""

import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from evopose.data.video_writing import VideoWriter
from evopose.data.videos import has_audio, open_video
from evopose.errors import DataError

RED, BLUE = (220, 30, 30), (20, 40, 200)


def frame_of(number: int, hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Red on the left, blue on the right, a green value that counts at the top."""
    frame = np.empty((*hw, 3), np.uint8)
    frame[:, : hw[1] // 2], frame[:, hw[1] // 2 :] = RED, BLUE
    frame[: hw[0] // 3] = 0, 6 * number % 256, 0
    return frame


def bare(path: Path, frames: int = 20, codec: str = "mp4v", fps: float = 25.0) -> Path:
    """Return a file written by OpenCV alone."""
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (64, 48)
    )
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.ascontiguousarray(frame_of(number)[..., ::-1]))
    writer.release()
    return path


def read_bare(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while (pair := capture.read())[0]:
        frames.append(pair[1][..., ::-1])
    capture.release()
    return frames


def turned(path: Path, source: Path) -> Path:
    """Return an MP4 whose display matrix says that it was taken with the camera on its side."""
    content = bytearray(source.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    one = 1 << 16
    content[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "mp4v"), ("avi", "MJPG"), ("mkv", "mp4v")])
def test_frames_are_those_of_opencv_in_rgb(tmp_path: Path, suffix: str, codec: str) -> None:
    path = bare(tmp_path / f"v.{suffix}", codec=codec)
    with open_video(path) as video:
        assert (video.fps, video.size_hw, video.num_frames) == (25.0, (48, 64), 20)
        frames, times = [], []
        for frame in video:
            frames.append(frame)
            times.append(video.time_s)
    assert (np.array(frames) == np.array(read_bare(path))).all()
    assert np.abs(frames[0][40, 10].astype(int) - RED).max() < 30
    assert times == pytest.approx([n / 25 for n in range(20)])
    assert video.notes == []
    assert list(video) == []


def test_a_phones_rotation_is_applied(tmp_path: Path) -> None:
    path = turned(tmp_path / "turned.mp4", bare(tmp_path / "v.mp4"))
    with open_video(path) as video:
        assert video.size_hw == (64, 48)
        frame = next(video)
    assert frame.shape == (64, 48, 3)
    assert np.abs(frame[10, 10].astype(int) - RED).max() < 40  # was at the left, is at the top
    assert np.abs(frame[60, 10].astype(int) - BLUE).max() < 40


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "MJPG"), ("mkv", "mp4v")])
def test_what_comes_before_a_cut_is_kept_and_said(tmp_path: Path, suffix: str, codec: str) -> None:
    whole = bare(tmp_path / f"whole.{suffix}", frames=60, codec=codec)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_video(cut) as video:
        frames = list(video)
    assert 10 < len(frames) < 50
    kept = len(frames) - 1  # the last may be half a frame
    assert (np.array(frames[:kept]) == np.array(read_bare(whole)[:kept])).all()
    (note,) = video.notes
    assert re.search(rf"cut off or damaged: {len(frames)} of 60 frames could be read", note)


def test_stopping_early_is_no_damage(tmp_path: Path) -> None:
    with open_video(bare(tmp_path / "v.mp4")) as video:
        next(video)
    assert video.notes == []


BAD = {
    "none.mp4": (None, "there is no video"),
    "empty.mp4": (b"", r"as a video \(0 bytes\)"),
    "noise.mp4": (bytes(range(256)) * 20, "it is none, of a format that OpenCV does not know"),
    "notes.txt": (b"not a film\n" * 100, "as a video"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_explained(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_video(tmp_path / name)


def test_a_name_that_opencv_cannot_be_told_is_refused(tmp_path: Path) -> None:
    """It would take the whole process down."""
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    bare(tmp_path / "v.mp4").rename(path)
    with pytest.raises(DataError, match=r"caf\\udce9\.mp4 is not UTF-8: rename it"):
        open_video(path)
    with pytest.raises(DataError, match="is not UTF-8"):
        VideoWriter(path, fps=25.0)


QUIET = """
import sys
from evopose.data.videos import open_video
from evopose.errors import DataError
for source in sys.argv[1:]:
    try:
        print(len(list(open_video(int(source) if source.isdecimal() else source))), "frames")
    except DataError as error:
        print("explained")
"""


def test_nothing_but_our_own_words_is_said(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    avi = bare(tmp_path / "v.avi", frames=60, codec="MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(avi[: len(avi) // 2])
    sources = [str(tmp_path / "noise.mp4"), str(tmp_path / "cut.avi"), "97"]
    done = subprocess.run(
        [sys.executable, "-c", QUIET, *sources], capture_output=True, text=True, check=False
    )
    assert re.fullmatch(r"explained\n\d+ frames\nexplained\n", done.stdout), done
    assert done.stderr == ""


def test_an_mp4_without_its_index_is_explained(tmp_path: Path) -> None:
    content = bare(tmp_path / "v.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cut off so that its index is missing"):
        open_video(tmp_path / "cut.mp4")
    with pytest.raises(DataError, match="cannot read video"):
        open_video(tmp_path)


def test_a_video_without_frames_is_explained(tmp_path: Path) -> None:
    content = bare(tmp_path / "v.avi", codec="MJPG").read_bytes()
    movie = content.index(b"movi")
    (tmp_path / "bare.avi").write_bytes(content[: movie + 4])
    with pytest.raises(DataError, match=r"gives no frames|cannot read"):
        open_video(tmp_path / "bare.avi")


class Camera:
    """What cv2.VideoCapture offers, of a camera that knows little about itself."""

    def __init__(self, frames: int, fps: float = 0.0, opened: bool = True) -> None:
        self.left, self.fps, self.opened = frames, fps, opened

    def isOpened(self) -> bool:
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        time.sleep(0.002)
        return (True, frame_of(0)) if self.left >= 0 else (False, None)

    def get(self, what: int) -> float:
        return self.fps if what == cv2.CAP_PROP_FPS else -1.0

    def set(self, what: int, value: float) -> bool:
        return True

    def release(self) -> None:
        self.opened = False


def test_a_camera_is_timed_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: Camera(5))
    with open_video(0) as video:
        times = [video.time_s for _ in video]
    assert (video.live, video.num_frames, video.fps) == (True, None, 30.0)
    assert times[0] == 0
    assert (np.diff(times) > 0.001).all()
    assert times[-1] < 1
    assert video.notes == [
        "webcam 0 does not say how many frames a second it has; 30 are assumed",
        "webcam 0 stopped after 5 frames",
    ]


def test_a_camera_that_gives_nothing_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: Camera(0))
    with pytest.raises(DataError, match="webcam 0 gives no frames; close other programs"):
        open_video(0)


def test_a_webcam_that_is_not_there_is_explained() -> None:
    with pytest.raises(DataError, match=r"there is no webcam 97.*name another index, connect it"):
        open_video(97)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def test_sound_is_known_by_the_header(tmp_path: Path) -> None:
    mp4 = bare(tmp_path / "v.mp4")
    assert has_audio(mp4) is False
    handler = box(b"hdlr", bytes(8) + b"soun" + bytes(12) + b"SoundHandler\0")
    sound = box(b"moov", box(b"trak", box(b"mdia", handler)))
    loud = tmp_path / "loud.mov"
    loud.write_bytes(box(b"ftyp", b"qt  ") + box(b"mdat", b"hdlr" * 9) + sound)
    assert has_audio(loud) is True
    avi = bare(tmp_path / "v.avi", codec="MJPG")
    assert has_audio(avi) is False
    (tmp_path / "loud.avi").write_bytes(avi.read_bytes() + b"strh" + bytes(4) + b"auds")
    assert has_audio(tmp_path / "loud.avi") is True
    mkv = bare(tmp_path / "v.mkv")
    assert has_audio(mkv) is False
    head = mkv.read_bytes()
    (tmp_path / "loud.mkv").write_bytes(head[:200] + b"\x86\x86A_OPUS" + head[200:])
    assert has_audio(tmp_path / "loud.mkv") is True
    (tmp_path / "v.ts").write_bytes(b"G" * 400)
    assert has_audio(tmp_path / "v.ts") is None
    assert has_audio(tmp_path / "none.mp4") is None


@pytest.mark.parametrize("fps", [30.0, 24000 / 1001, 7.5])
def test_what_is_written_can_be_read_again(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "new" / "v.mp4"
    with VideoWriter(path, fps=fps) as writer:
        for number in range(12):
            writer.write(frame_of(number))
    assert [p.name for p in path.parent.iterdir()] == ["v.mp4"]
    assert writer.codec in ("avc1", "mp4v")
    with open_video(path) as video:
        frames = list(video)
        assert (video.fps, video.num_frames) == (pytest.approx(fps, rel=1e-4), 12)
    for number, frame in enumerate(frames):
        middle = frame_of(number)[4:12, 8:56].astype(int)
        assert np.abs(frame[4:12, 8:56].astype(int) - middle).mean() < 6
    assert np.abs(frames[3][40, 10].astype(int) - RED).max() < 30


def test_odd_sizes_lose_a_line(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", fps=30) as writer:
        for number in range(3):
            writer.write(frame_of(number, (49, 65)))
    with open_video(tmp_path / "v.mp4") as video:
        assert video.size_hw == (48, 64)


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_work_broken_off_leaves_what_was_done(tmp_path: Path, error: type[BaseException]) -> None:
    before = bare(tmp_path / "v.mp4", frames=3).read_bytes()
    with pytest.raises(error), VideoWriter(tmp_path / "v.mp4", fps=30) as writer:  # noqa: PT012
        for number in range(7):
            writer.write(frame_of(number))
        raise error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.mp4", "v.unfinished.mp4"]
    assert len(read_bare(writer.unfinished)) == 7
    assert (tmp_path / "v.mp4").read_bytes() == before


def test_no_frames_make_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", fps=30):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"written as \.mp4, not as '\.avi'"):
        VideoWriter(tmp_path / "v.avi", fps=30)
    with pytest.raises(DataError, match="frames a second above 0, got 0"):
        VideoWriter(tmp_path / "v.mp4", fps=0)
    writer = VideoWriter(tmp_path / "v.mp4", fps=30)
    writer.write(frame_of(0))
    with pytest.raises(DataError, match=r"must be \(48, 64, 3\), as the first; number 2 is \(40"):
        writer.write(frame_of(1, (40, 64)))
    writer.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write video"):
        VideoWriter(tmp_path / "file" / "v.mp4", fps=30).write(frame_of(0))
    with pytest.raises(DataError, match=r"in 8 bits .* got \(48, 64\)"):
        VideoWriter(tmp_path / "v.mp4", fps=30).write(frame_of(0)[..., 0])


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from evopose.data.video_writing import VideoWriter
from evopose.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
rng = np.random.default_rng(0)
try:
    with VideoWriter(Path(sys.argv[1]), fps=30) as writer:
        for _ in range(20):
            writer.write(rng.integers(0, 256, (96, 128, 3), np.uint8))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of files' sizes there")
def test_a_full_disk_is_noticed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "v.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.search(r"of 20 frames are there; see whether the disk is full", done.stdout), done
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
