"""Photos of every kind a user may have, against Pillow, OpenCV and arithmetic."""

import io
import logging
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from evopose.data import read_image, read_photo
from evopose.data.photos import MAX_PIXELS, decode_photo
from evopose.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
RGB = np.kron(RNG.integers(0, 256, (6, 8, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
GREY = RGB[..., 0]
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
ALPHA = np.kron(RNG.integers(0, 256, (6, 8), np.uint8), np.ones((10, 10), np.uint8))


def over_white(colours, alpha) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(share * colours + (1 - share) * 255)


def saved(array_or_picture, kind: str, **options) -> bytes:
    picture = array_or_picture
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def by_opencv(array, suffix: str) -> bytes:
    return cv2.imencode(suffix, array)[1].tobytes()


DEEP = (RGB.astype(np.uint16) * 257)[..., ::-1]  # BGR
KINDS = {
    "rgb.png": (saved(RGB, "PNG"), RGB, 0),
    "rgb.bmp": (saved(RGB, "BMP"), RGB, 0),
    "rgb.tif": (saved(RGB, "TIFF"), RGB, 0),
    "rgb.webp": (saved(RGB, "WEBP", lossless=True), RGB, 0),
    "rgb.ppm": (saved(RGB, "PPM"), RGB, 0),
    "rgb.jp2": (saved(RGB, "JPEG2000"), RGB, 0),
    "rgb.avif": (saved(RGB, "AVIF", quality=100, subsampling="4:4:4"), RGB, 6),
    "rgb.jpg": (saved(RGB, "JPEG", quality=100, subsampling=0), RGB, 6),
    "grey.jpg": (saved(GREY, "JPEG", quality=100), GREY3, 3),
    "cmyk.jpg": (
        saved(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=100, subsampling=0),
        RGB,
        6,
    ),
    "grey.png": (saved(GREY, "PNG"), GREY3, 0),
    "bits.png": (saved(Image.fromarray(GREY > 127), "PNG"), (GREY3 > 127) * 255, 0),
    "palette.png": (saved(Image.fromarray(RGB).quantize(256), "PNG"), RGB, 0),
    "grey-alpha.png": (
        saved(Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), "PNG"),
        over_white(GREY3, ALPHA),
        1,
    ),
    "rgba.png": (saved(np.dstack([RGB, ALPHA]), "PNG"), over_white(RGB, ALPHA), 1),
    "deep-grey.png": (saved(GREY.astype(np.uint16) * 257, "PNG"), GREY3, 0),
    "deep-grey.tif": (saved(GREY.astype(np.uint16) * 257, "TIFF"), GREY3, 0),
    "deep.png": (by_opencv(DEEP, ".png"), RGB, 0),
    "deep.tif": (by_opencv(DEEP, ".tif"), RGB, 0),
    "deep-alpha.png": (
        by_opencv(np.dstack([DEEP, ALPHA.astype(np.uint16) * 257]), ".png"),
        over_white(RGB, ALPHA),
        1,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_becomes_rgb(tmp_path, name) -> None:
    content, expected, tolerance = KINDS[name]
    (tmp_path / name).write_bytes(content)
    photo = read_photo(tmp_path / name)
    assert photo.dtype == np.uint8
    assert photo.flags.c_contiguous
    assert photo.flags.writeable
    assert np.abs(photo.astype(float) - expected).max() <= tolerance


def test_a_palette_with_a_transparent_colour_lies_over_white() -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((0, 0), 1)
    content = saved(picture, "PNG", transparency=0)
    photo = decode_photo(content, "it")
    assert photo[0, 0].tolist() == [200, 100, 50]
    assert (photo[1] == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 512).astype(np.uint16).reshape(16, 32)
    photo = decode_photo(saved(ramp, "PNG"), "ramp")
    np.testing.assert_array_equal(photo[..., 1], np.rint(ramp / 257))
    assert len(np.unique(photo)) == 256


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_upright(tmp_path, kind, orientation) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    content = saved(RGB, kind, exif=exif)
    photo = decode_photo(content, "turned")
    by_pillow = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(photo, np.asarray(by_pillow))
    if kind == "JPEG":
        colours = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(photo, colours)
        (tmp_path / "it.jpg").write_bytes(content)
        assert read_image(tmp_path / "it.jpg").shape == RGB.shape


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_counts_for_nothing(orientation) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    assert decode_photo(saved(RGB, "JPEG", exif=exif), "odd").shape == RGB.shape


def test_damaged_exif_counts_for_nothing_and_that_is_said(caplog) -> None:
    content = saved(RGB, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert decode_photo(content, "odd.jpg").shape == RGB.shape
    assert "odd.jpg: Corrupt EXIF data" in caplog.text


def test_a_real_photo_is_the_one_that_is_evaluated(shared) -> None:
    file = shared / "data/fixtures/coco/000000000785.jpg"
    np.testing.assert_array_equal(read_photo(file), read_image(file))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read_and_that_is_said(kind, caplog) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    with caplog.at_level(logging.WARNING):
        photo = decode_photo(content, "waves.gif")
    assert (photo == (255, 0, 0)).all()
    assert "waves.gif has 3 frames or pages; the first is read" in caplog.text


def test_a_telephones_picture_with_a_second_one_inside_is_a_jpeg(caplog) -> None:
    content = saved(RGB, "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert Image.open(io.BytesIO(content)).format == "MPO"
    colours = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(decode_photo(content, "it.jpg"), colours)
    assert not caplog.records


def test_a_still_says_nothing(caplog) -> None:
    decode_photo(saved(RGB, "GIF"), "still.gif")
    assert not caplog.records


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, with hardly any pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch) -> None:
    bomb = png_header(60_000, 50_000)
    message = (
        f"image bomb.png has 60000x50000 = 3,000,000,000 pixels, more than the limit of "
        f"{MAX_PIXELS:,}; .* set EVOPOSE_MAX_PIXELS"
    )
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=message):
        decode_photo(bomb, "bomb.png")


def test_the_limit_can_be_raised_and_lowered(monkeypatch) -> None:
    content = saved(RGB, "PNG")
    with pytest.raises(DataError, match=r"80x60 = 4,800 pixels, more than the limit of 4,799"):
        decode_photo(content, "it", max_pixels=4799)
    assert decode_photo(content, "it", max_pixels=4800).shape == RGB.shape
    monkeypatch.setenv("EVOPOSE_MAX_PIXELS", "100")
    with pytest.raises(DataError, match="the limit of 100"):
        decode_photo(content, "it")
    monkeypatch.setenv("EVOPOSE_MAX_PIXELS", "many")
    with pytest.raises(ConfigError, match="EVOPOSE_MAX_PIXELS is a number of pixels, got 'many'"):
        decode_photo(content, "it")


def test_pillows_own_limit_is_left_as_it_was(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode_photo(saved(RGB, "PNG"), "it").shape == RGB.shape
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_files_that_are_cut_off_are_named(tmp_path, kind) -> None:
    noise = RNG.integers(0, 256, (200, 200, 3), np.uint8)
    content = saved(noise, kind)
    for share in (0.1, 0.5, 0.9):
        file = tmp_path / "half.img"
        file.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match=re.escape(str(file))):
            read_photo(file)


def test_what_is_no_image_is_told(tmp_path) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    video = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100)
    for name, content, message in (
        ("empty.jpg", b"", r"empty.jpg is no image that can be read: it is empty \(0 bytes\)"),
        ("text.jpg", b"hello\nworld", r"text.jpg is no image .* it holds text \('hello' ...\)"),
        ("page.jpg", b"<!doctype html><html>", r"it holds text \('<!doctype html><html>' ...\)"),
        ("phone.heic", heic, "it is HEIC, the format of iPhones; save it as JPEG"),
        ("film.jpg", video, r"it seems to be a video; give it a video's suffix"),
        ("noise.png", bytes(range(128, 256)), "it is damaged, or none of JPEG, PNG, WebP, GIF"),
        ("eps.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it holds text"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_photo(tmp_path / name)
    with pytest.raises(DataError, match=r"none.jpg: No such file"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(DataError, match=r" is a folder, not an image"):
        read_photo(tmp_path)
    with pytest.raises(DataError, match="/dev/zero is no regular file, not an image"):
        read_photo(type(tmp_path)("/dev/zero"))


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.jpg").write_bytes(saved(RGB, "JPEG"))

    def forbidden(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "open", forbidden)  # root may read everything
    with pytest.raises(DataError, match=r"cannot read image .*mine.jpg: Permission denied"):
        read_photo(tmp_path / "mine.jpg")


def test_floats_and_32_bits_are_refused() -> None:
    for array in (np.full((4, 4), 0.5, np.float32), np.full((4, 4), 70_000, np.int32)):
        with pytest.raises(DataError, match="holds 32 bits a pixel"):
            decode_photo(saved(array, "TIFF"), "deep.tif")
