"""Reading images of every kind; crops against a second implementation."""

import resource

import cv2
import numpy as np
import pytest
from PIL import Image

from evopose.data import FILL_RGB, read_image, warp_crop
from evopose.errors import DataError
from evopose.geometry import box_to_crop, crop_affine, invert_affine


def bilinear_crop(image, affine, size_hw):
    """The crop, pixel by pixel: four neighbours of each point, `FILL_RGB` outside the image."""
    height, width = image.shape[:2]
    inverse = invert_affine(affine)
    out = np.empty((*size_hw, 3))
    for y in range(size_hw[0]):
        for x in range(size_hw[1]):
            u, v = inverse[:, :2] @ (x, y) + inverse[:, 2]
            left, top = int(np.floor(u)), int(np.floor(v))
            value = np.zeros(3)
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                inside = 0 <= top + i < height and 0 <= left + j < width
                pixel = image[top + i, left + j] if inside else FILL_RGB
                value += abs(1 - i - (v - top)) * abs(1 - j - (u - left)) * np.array(pixel, float)
            out[y, x] = value
    return out


@pytest.fixture
def photo(shared):
    return read_image(shared / "data/fixtures/coco/000000000785.jpg")


@pytest.mark.parametrize(
    ("box", "rotation", "flip"),
    [
        ((280.8, 44.7, 499.5, 391.4), 0.0, False),
        ((280.8, 44.7, 499.5, 391.4), 33.0, False),
        ((300.0, 100.0, 330.0, 140.0), -70.0, True),  # enlarged
        ((500.0, 300.0, 700.0, 500.0), 15.0, False),  # reaches out of the image
    ],
)
def test_crops_equal_a_second_implementation(photo, box, rotation, flip):
    size_hw = (200, 150)
    centre, scale = box_to_crop(np.array(box), input_hw=size_hw, padding=1.0)
    assert scale < 2
    affine = crop_affine(centre, scale, input_hw=size_hw, rotation_deg=rotation, flip=flip)
    difference = np.abs(
        warp_crop(photo, affine, size_hw=size_hw) - bilinear_crop(photo, affine, size_hw)
    )
    # OpenCV rounds positions to 1/32 pixel.
    assert difference.mean() < 0.6
    assert np.quantile(difference, 0.99) < 5


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_reduced_crops_are_means_of_blocks(factor):
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    size_hw = (60 // factor, 90 // factor)
    # Crop pixel 0 is the mean of the first block, whose centre is at (factor - 1) / 2.
    shift = -(factor - 1) / 2 / factor
    affine = np.array([[1 / factor, 0, shift], [0, 1 / factor, shift]])
    blocks = image.reshape(size_hw[0], factor, size_hw[1], factor, 3).mean(axis=(1, 3))
    assert np.abs(warp_crop(image, affine, size_hw=size_hw) - blocks).max() <= 1


def test_large_reductions_do_not_alias():
    board = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[..., None], 3, axis=2)
    for scale in (4.0, 4.7, 9.3):
        affine = crop_affine(np.array([450.0, 450.0]), scale, input_hw=(64, 64), rotation_deg=10)
        crop = warp_crop(image, affine, size_hw=(64, 64))
        assert np.abs(crop.astype(float) - 127.5).max() < 30


@pytest.mark.parametrize("scale", [0.6, 1.7, 2.6, 7.4])
def test_pixels_land_where_the_affine_says(scale):
    image = np.zeros((900, 1200, 3), np.uint8)
    point = np.array([612.0, 403.0])
    ys, xs = np.indices(image.shape[:2])
    blob = 255 * np.exp(-((xs - point[0]) ** 2 + (ys - point[1]) ** 2) / 2 / (3 * scale) ** 2)
    image[:] = blob.astype(np.uint8)[..., None]
    affine = crop_affine(np.array([605.3, 399.1]), scale, input_hw=(96, 64), rotation_deg=20)
    crop = warp_crop(image, affine, size_hw=(96, 64), fill=(0, 0, 0))[..., 0].astype(float)
    ys, xs = np.indices(crop.shape)
    found = np.array([(xs * crop).sum(), (ys * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(found, affine[:, :2] @ point + affine[:, 2], atol=0.06)


@pytest.mark.parametrize("side", [3e3, 3e6, 1e9])
def test_a_box_far_larger_than_the_image_needs_no_memory(side):
    image = np.full((48, 64, 3), 200, np.uint8)
    box = np.array([32 - side / 2, 24 - side / 2, 32 + side / 2, 24 + side / 2])
    affine = crop_affine(*box_to_crop(box, input_hw=(31, 31), padding=1.0), input_hw=(31, 31))
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    crop = warp_crop(image, affine, size_hw=(31, 31))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100_000, "kilobytes"
    outside = (crop == FILL_RGB).all(axis=2)
    assert outside.sum() >= 31 * 31 - 4, "the whole image is a pixel at most, on four at most"


def test_crops_outside_the_image_are_filled():
    image = np.zeros((50, 50, 3), np.uint8)
    affine = np.array([[1.0, 0, 500], [0, 1.0, 0]])
    assert (warp_crop(image, affine, size_hw=(8, 8)) == FILL_RGB).all()


def test_every_kind_of_file_becomes_rgb(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    rgb = np.kron(colours, np.ones((10, 10, 1), np.uint8))
    grey = rgb[..., 0]
    picture = Image.fromarray(rgb)
    picture.save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([rgb, np.full_like(grey, 90)])).save(tmp_path / "rgba.png")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey > 127).save(tmp_path / "bits.png")
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(tmp_path / "palette.png")
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    picture.save(tmp_path / "ünï.bmp")
    cv2.imwrite(str(tmp_path / "deep.png"), rgb[..., ::-1].astype(np.uint16) * 257)
    grey3 = np.repeat(grey[..., None], 3, axis=2)
    for name, expected, tolerance in (
        ("rgb.png", rgb, 0),
        ("rgba.png", rgb, 0),
        ("grey.png", grey3, 0),
        ("bits.png", (grey3 > 127) * 255, 0),
        ("palette.png", rgb, 0),
        ("cmyk.jpg", rgb, 6),
        ("ünï.bmp", rgb, 0),
        ("deep.png", rgb, 0),
    ):
        image = read_image(tmp_path / name)
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - expected).max() <= tolerance, name


def test_orientation_in_the_file_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (20, 40, 3)


def test_unreadable_images_are_named(tmp_path, shared, capfd):
    whole = (shared / "data/fixtures/coco/000000000785.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("no image")
    for name, message in (
        ("half.jpg", "image .*half.jpg is cut off"),
        ("empty.jpg", r"cannot decode image .*empty.jpg \(0 bytes\)"),
        ("text.png", r"cannot decode image .*text.png \(8 bytes\)"),
        ("none.png", "cannot read image .*none.png: No such file"),
    ):
        with pytest.raises(DataError, match=message):
            read_image(tmp_path / name)
