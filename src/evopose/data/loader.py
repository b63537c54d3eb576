"""Batches from the crop cache: the same ones for the same seed, however many threads make them."""

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.augment import (
    Augmentation,
    Draws,
    crop_affines,
    draw,
    half_body_frames,
    upper_body,
)
from evopose.data.crops import CropCache
from evopose.data.images import FILL_RGB
from evopose.errors import ConfigError
from evopose.geometry import shrinkage

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples to train or to judge a network on."""

    images: NDArray[np.uint8]
    """(B, H, W, 3) RGB."""
    keypoints: NDArray[np.float32]
    """(B, K, 2) in pixels of the crop."""
    visibility: NDArray[np.uint8]
    """(B, K): COCO's 0, 1 (hidden) or 2 (seen); 0 outside the crop."""
    index: NDArray[np.int64]
    """(B,) places in the cache."""
    affines: NDArray[np.float64]
    """(B, 2, 3) from pixels of the stored crop to pixels of this one."""
    flip: NDArray[np.bool_]
    """(B,) whether left and right are exchanged."""

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(B, K): labelled, and inside the crop."""
        return self.visibility > 0

    def __len__(self) -> int:
        return len(self.index)


def batches(
    cache: CropCache,
    *,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    shuffle: bool,
    indices: NDArray[np.integer] | None = None,
    start: int = 0,
    drop_last: bool = False,
    share: slice = slice(None),
    threads: int = 1,
    lookahead: int = 2,
) -> Iterator[Batch]:
    """Return one epoch's batches from number `start` on.

    A sample's order and augmentation depend on `seed`, `epoch` and its place in the cache alone:
    not on the batch size, `start`, `indices` (places to use; None: all) or the number of threads.
    `share` says which samples of each batch to make, where others make the rest; there may be none.
    `threads` make up to `lookahead` batches ahead and end with the iterator; with none, batches
    are made when they are asked for.

    Raises: ConfigError for numbers that cannot be.
    """
    if batch_size < 1 or start < 0 or threads < 0 or lookahead < 1:
        raise ConfigError(
            "expected batch_size and lookahead of at least 1, start and threads of at least 0; got "
            f"{batch_size}, {lookahead}, {start}, {threads}"
        )
    order = np.arange(len(cache)) if indices is None else np.asarray(indices, np.int64)
    if shuffle:
        priority = np.random.default_rng([seed, epoch, 0]).random(len(cache))
        order = order[np.argsort(priority[order], kind="stable")]
    end = len(order) // batch_size * batch_size if drop_last else len(order)
    rows = [order[i : min(i + batch_size, end)] for i in range(0, end, batch_size)]
    rows = [some[share] for some in rows[start:]]
    draws = draw(augmentation, len(cache), np.random.default_rng([seed, epoch, 1]))
    make = functools.partial(_make, cache, augmentation, draws)
    return _ahead(make, rows, threads, lookahead) if threads else map(make, rows)


def _ahead(
    make: Callable[[NDArray[np.int64]], Batch],
    rows: list[NDArray[np.int64]],
    threads: int,
    lookahead: int,
) -> Iterator[Batch]:
    """Yield the batches in order while threads make the next ones."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="evopose-batches")
    waiting: deque[Future[Batch]] = deque()
    try:
        for some in rows:
            waiting.append(pool.submit(make, some))
            if len(waiting) > lookahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _make(
    cache: CropCache, augmentation: Augmentation, draws: Draws, rows: NDArray[np.int64]
) -> Batch:
    input_hw, stored_hw = cache.spec.input_hw, cache.spec.stored_hw
    xy, visibility = cache.keypoints[rows, :, :2], cache.keypoints[rows, :, 2].astype(np.uint8)
    visibility[~_inside(xy, stored_hw)] = 0
    flip = draws.flip[rows]
    if flip.any() and cache.skeleton.flip_pairs is None:
        _say_once("left-right pairs of the keypoints are unknown: nothing is flipped")
        flip[:] = False
    centre, scale = _frames(cache, augmentation, draws, rows, xy, visibility > 0)
    scale *= draws.scale[rows]
    turn = draws.rotation_deg[rows]
    affines = crop_affines(
        centre, scale, turn, flip, input_hw=input_hw, align_corners=cache.spec.align_corners
    )
    moved = (turn != 0) | (scale != 1)
    images = np.empty((len(rows), *input_hw, 3), np.uint8)
    for i, row in enumerate(rows.tolist()):
        _cut(cache, row, affines[i], bool(moved[i]), bool(flip[i]), images[i])
        if augmentation.colour:
            cv2.transform(images[i], draws.colour[row], dst=images[i])
    xy = np.einsum("bij,bkj->bki", affines[:, :, :2], xy) + affines[:, None, :, 2]
    if flip.any():
        swap = cache.skeleton.flip_index
        xy[flip], visibility[flip] = xy[flip][:, swap], visibility[flip][:, swap]
    visibility[~_inside(xy, input_hw)] = 0
    return Batch(
        images=images,
        keypoints=xy.astype(np.float32),
        visibility=visibility,
        index=np.asarray(rows),
        affines=affines,
        flip=flip,
    )


def _frames(
    cache: CropCache,
    augmentation: Augmentation,
    draws: Draws,
    rows: NDArray[np.int64],
    xy: NDArray[np.float32],
    labelled: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the crops' centres (B, 2) in stored pixels, and stored pixels a crop pixel (B,)."""
    spec = cache.spec
    middle = np.array(spec.stored_hw[::-1]) / 2 - (0.5 if spec.align_corners else 0.0)
    centre = np.tile(middle, (len(rows), 1))
    scale = np.ones(len(rows))
    half = draws.half_body[rows] & (labelled.sum(axis=1) > augmentation.half_body_min_keypoints)
    if not half.any():
        return centre, scale
    upper = upper_body(cache.skeleton)
    if upper is None:
        _say_once("half-body crops need COCO's keypoint names: none are made")
        return centre, scale
    shrink = shrinkage(spec.input_hw) if spec.align_corners else np.ones(2)
    half_centre, half_scale = half_body_frames(
        xy / shrink,
        labelled,
        upper=upper,
        prefer_upper=draws.upper[rows],
        input_hw=spec.input_hw,
        padding=spec.padding,
    )
    half &= np.isfinite(half_scale)
    centre[half], scale[half] = half_centre[half] * shrink, half_scale[half]
    return centre, scale


def _cut(
    cache: CropCache,
    row: int,
    affine: NDArray[np.float64],
    moved: bool,
    flip: bool,
    out: NDArray[np.uint8],
) -> None:
    """Write the sample's crop into `out` (H, W, 3)."""
    height, width = out.shape[:2]
    if moved:
        cv2.warpAffine(
            cache.images[row],
            affine,
            (width, height),
            dst=out,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=FILL_RGB,
        )
        return
    top, left = cache.spec.offset_hw
    crop = cache.images[row, top : top + height, left : left + width]
    out[:] = crop[:, ::-1] if flip else crop


def _inside(xy: NDArray[np.floating], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which points (..., 2) lie in an image, as the official code counts it."""
    return np.asarray(((xy >= 0) & (xy < size_hw[::-1])).all(axis=-1))


@functools.cache
def _say_once(what: str) -> None:
    log.warning(what)
