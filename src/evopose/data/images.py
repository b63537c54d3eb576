"""Reading images, and cutting crops out of them without aliasing."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.geometry import Array, apply_affine, compose_affine, invert_affine

Image = NDArray[np.uint8]

FILL_RGB = (124, 116, 104)
"""ImageNet's mean colour: what lies outside an image, zero once the input is normalised."""


def read_image(path: Path) -> Image:
    """Return the image (H, W, 3) in RGB, 8 bits, whatever its file holds.

    An orientation noted in the file is not applied: annotations count pixels as they are stored.

    Raises: DataError if the file cannot be read, decoded, or is cut off.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}") from error
    # A JPEG that ends before its end mark decodes, with grey in place of the missing part.
    if content[:2] == b"\xff\xd8" and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise DataError(f"image {path} is cut off; copy or download it again")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None:
        raise DataError(
            f"cannot decode image {path} ({len(content)} bytes); it is damaged or no format that "
            "OpenCV knows: replace it, or take it out of the annotations"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def warp_crop(
    image: Image, affine: Array, *, size_hw: tuple[int, int], fill: tuple[int, int, int] = FILL_RGB
) -> Image:
    """Return the crop (h, w, 3) that `affine` (2, 3), image to crop pixels, cuts out.

    Where an image pixel is half a crop pixel or smaller, the image is first reduced by block means
    (the largest whole factor that leaves it no coarser than the crop), so nothing aliases. What
    lies outside the image has the colour `fill`.
    """
    height, width = size_hw
    factor = max(1, int(1 / np.sqrt(abs(np.linalg.det(affine[:, :2]))) + 1e-9))
    ends = np.array([[x, y] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    ends = apply_affine(invert_affine(affine), ends)
    image_wh = image.shape[1::-1]
    left, top = np.clip(np.floor(ends.min(axis=0)) - 2 * factor, 0, image_wh).astype(int)
    right, bottom = np.clip(np.ceil(ends.max(axis=0)) + 2 * factor + 1, 0, image_wh).astype(int)
    if right <= left or bottom <= top:
        return np.full((height, width, 3), fill, np.uint8)
    # Of an image smaller than a block, one block is all.
    block = np.minimum(factor, (right - left, bottom - top))
    part = _shrink(image[top:bottom, left:right], block)
    x, y = (left, top) + (block - 1) / 2  # of the first block's centre: pixels' are whole numbers
    to_image = np.array([[block[0], 0, x], [0, block[1], y]])
    crop = cv2.warpAffine(
        part,
        compose_affine(affine, to_image),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return np.asarray(crop, np.uint8)


def _shrink(image: Image, block_wh: NDArray[np.intp]) -> Image:
    """Return the means of blocks of that size, the last ones padded by their edge."""
    if block_wh.max() == 1:
        return image
    (height, width), (across, down) = image.shape[:2], block_wh.tolist()
    below, beside = -height % down, -width % across
    padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    size_wh = ((width + beside) // across, (height + below) // down)
    return np.asarray(cv2.resize(padded, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
