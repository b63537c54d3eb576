"""Photos as users have them: upright, in RGB, whatever the file holds."""

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import PIL.Image

from evopose.data.images import Image
from evopose.errors import ConfigError, DataError

log = logging.getLogger(__name__)

MAX_PIXELS = 200_000_000
"""Photos of more pixels are refused unless asked for: what the largest telephones take fits."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""Pillow's names of what is read. Its other formats stay shut: some start other programs."""
_FORMATS_IN_WORDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PPM"
_PILLOW_GUARD = threading.Lock()
_TURNS = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
"""EXIF's orientations: whether rows become columns, and OpenCV's code of the flip that follows."""


def read_photo(path: Path, *, max_pixels: int | None = None) -> Image:
    """Return a photo (H, W, 3) in RGB, 8 bits, upright, whatever its file holds.

    The orientation that EXIF notes is applied. What is transparent is laid over white; 16 bits are
    scaled to 8; of an animation or of many pages the first one is read, with a warning in the log.
    `max_pixels` None: `EVOPOSE_MAX_PIXELS`, else `MAX_PIXELS`; the size is known before decoding.

    Raises: DataError if the file cannot be read, is no image, is cut off, or is too large.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise DataError(f"{path} is {what}, not an image")
    try:
        with path.open("rb") as file:
            return decode_photo(file, str(path), max_pixels=max_pixels)
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror or error}") from error


def decode_photo(content: bytes | BinaryIO, name: str, *, max_pixels: int | None = None) -> Image:
    """Return the photo that a file's content holds, as `read_photo` does; `name` is for messages.

    Pillow alone: it knows the size before decoding, and alpha, palettes, CMYK and animations, of
    which OpenCV tells nothing. Both decode JPEGs to the same pixels; OpenCV does a 640x480 one in
    2.9 ms, this in 3.7 (benchmarks/detection.py, one core).
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    picture = _open_picture(file, name)
    _require_size(picture.size, name, _pixel_limit() if max_pixels is None else max_pixels)
    with _damage_told(name):
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        if frames > 1:  # those of an MPO are a telephone's by-products, such as depth
            log.warning("%s has %d frames or pages; the first is read", name, frames)
        picture.load()
        return _upright(_to_rgb(picture, name), _orientation(picture, name))


def convert_picture(picture: PIL.Image.Image, name: str) -> Image:
    """Return Pillow's picture (H, W, 3) in RGB, 8 bits, of the colours that `read_photo` gives;
    its pixels stay where they are, whatever EXIF notes.

    Raises: DataError if its file is cut off, or for 32 bits a pixel.
    """
    with _damage_told(name):
        picture.load()
        return _to_rgb(picture, name)


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # of damaged files Pillow's readers raise nearly anything
        raise DataError(
            f"image {name} is damaged or cut off ({error}); copy or download it again"
        ) from error


def _open_picture(file: BinaryIO, name: str) -> PIL.Image.Image:
    """Return the picture with its header read, its pixels not."""
    registered = [f for f in ("HEIF",) if f in PIL.Image.OPEN]  # by the user's own pillow-heif
    try:
        with _pillows_warnings_logged(name), _without_pillows_limit():
            return PIL.Image.open(file, formats=[*FORMATS, *registered])
    except Exception as error:  # of damaged files Pillow's readers raise nearly anything
        file.seek(0)
        reason = _what_it_is(file.read(256))
        raise DataError(f"{name} is no image that can be read: {reason}") from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Leave the size to `_require_size`: Pillow warns and refuses by a limit of its own."""
    with _PILLOW_GUARD:
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _pillows_warnings_logged(name: str) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for one in said:
        log.warning("%s: %s", name, one.message)


def _what_it_is(start: bytes) -> str:
    """Return what a file that is no readable image seems to be, from its first bytes."""
    if not start:
        return "it is empty (0 bytes)"
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"mif1"):
        return (
            "it is HEIC, the format of iPhones; save it as JPEG (on the phone: Settings, Camera, "
            "Formats, Most Compatible)"
        )
    if start[4:8] == b"ftyp" and start[8:12] not in (b"avif", b"avis"):
        return "it seems to be a video; give it a video's suffix, such as .mp4"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        first = start[:40].decode("ascii").split("\n")[0].strip()
        return f"it holds text ({first!r} ...)"
    return f"it is damaged, or none of {_FORMATS_IN_WORDS}"


def _pixel_limit() -> int:
    given = os.environ.get("EVOPOSE_MAX_PIXELS") or str(MAX_PIXELS)
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"EVOPOSE_MAX_PIXELS is a number of pixels, got {given!r}")
    return int(given)


def _require_size(size_wh: tuple[int, int], name: str, limit: int) -> None:
    width, height = size_wh
    if width * height > limit:
        raise DataError(
            f"image {name} has {width}x{height} = {width * height:,} pixels, more than the limit "
            f"of {limit:,}; if it is no accident, set EVOPOSE_MAX_PIXELS to more (it takes 3 bytes "
            "a pixel and more)"
        )


def _orientation(picture: PIL.Image.Image, name: str) -> int:
    try:
        with _pillows_warnings_logged(name):
            noted = picture.getexif().get(0x112, 1)
    except Exception as error:  # damaged EXIF raises nearly anything
        log.warning("%s: its EXIF data cannot be read and count for nothing: %s", name, error)
        return 1
    return noted if isinstance(noted, int) else 1


def _upright(image: Image, orientation: int) -> Image:
    """Return the image turned and mirrored as EXIF's number says; others than 2 to 8: as it is."""
    transposed, flip = _TURNS.get(orientation, (False, None))
    turned = cv2.transpose(image) if transposed else image
    return np.asarray(turned if flip is None else cv2.flip(turned, flip), np.uint8)


def _to_rgb(picture: PIL.Image.Image, name: str) -> Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        deep = np.asarray(picture)
        if picture.mode == "F" or deep.min() < 0 or deep.max() > 65535:
            raise DataError(
                f"image {name} holds 32 bits a pixel, of which nobody says what is white; save it "
                "with 8 or 16"
            )
        grey = np.rint(deep / 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
