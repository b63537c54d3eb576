"""Crops of every person, kept as memory-mapped bytes that all workers share."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.home import write_synced
from evopose.errors import ConfigError, DataError
from evopose.skeleton import Skeleton

CHECKED_ROWS = 64
"""How many crops are compared with their digest whenever a cache is opened."""


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """How crops are cut. Raises: ConfigError for sizes that cannot be."""

    input_hw: tuple[int, int]
    """Height and width of the network's input."""
    padding: float = 1.25
    """The crop's side as a multiple of the box's (official: 1.25)."""
    margin: float = 1.4
    """The stored crop's side as a multiple of the network's, for rotation and scale to use."""
    align_corners: bool = False
    """Whether the network's crop is cut with `geometry.crop_affine`'s `align_corners`."""

    def __post_init__(self) -> None:
        if min(self.input_hw) < 1 or self.padding <= 0 or self.margin < 1:
            raise ConfigError(
                "expected a positive input size and padding, and a margin of at least 1; got "
                f"{self.input_hw}, {self.padding}, {self.margin}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as JSON values; without `align_corners` where it is not set, as
        caches were written before there was one."""
        value = asdict(self)
        if not self.align_corners:
            del value["align_corners"]
        return value

    @property
    def offset_hw(self) -> tuple[int, int]:
        """How far inside the stored crop the network's crop begins, in whole pixels."""
        height, width = (round(side * (self.margin - 1) / 2) for side in self.input_hw)
        return height, width

    @property
    def stored_hw(self) -> tuple[int, int]:
        """Height and width of a stored crop, whose pixels have the network's scale."""
        (height, width), (top, left) = self.input_hw, self.offset_hw
        return height + 2 * top, width + 2 * left


@dataclass(frozen=True, kw_only=True)
class CropCache:
    """The crops of a dataset's trainable persons, in the dataset's order.

    Pickles as its folder: every process that opens it shares the pages.
    """

    folder: Path
    spec: CropSpec
    skeleton: Skeleton
    digest: str
    """Names the content: labels, images and `spec`."""
    images: NDArray[np.uint8]
    """(N, h, w, 3) RGB, read-only, mapped from the disk; h, w = `spec.stored_hw`."""
    keypoints: NDArray[np.float32]
    """(N, K, 3): x, y in pixels of the stored crop, and visibility."""
    affines: NDArray[np.float64]
    """(N, 2, 3) from pixels of the image to pixels of the stored crop."""
    ids: NDArray[np.int64]
    """(N,) ids of the instances."""
    image_ids: NDArray[np.int64]
    """(N,) ids of their images."""
    areas: NDArray[np.float64]
    """(N,) in square pixels of the image, the scale of OKS."""

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Callable[[Path], "CropCache"], tuple[Path]]:
        return open_crops, (self.folder,)

    @property
    def crop_affines(self) -> NDArray[np.float64]:
        """(N, 2, 3) from pixels of the image to pixels of the network's crop, not augmented."""
        affines = self.affines.copy()
        affines[:, :, 2] -= self.spec.offset_hw[::-1]
        return affines


def open_crops(folder: Path) -> CropCache:
    """Return the crops that lie in this folder, after a check of their size and digest.

    Raises: DataError if they are not there, cut off or changed.
    """
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        samples = (folder / "samples.npz").read_bytes()
        spec = CropSpec(**{**meta["spec"], "input_hw": tuple(meta["spec"]["input_hw"])})
        images = map_images(folder, (meta["count"], *spec.stored_hw, 3))
        if meta["content"] != _content_digest(samples, images):
            raise ValueError("its content is not what was written")
        with np.load(io.BytesIO(samples), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        skeleton = Skeleton.from_json(meta["skeleton"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"no usable crops in {folder} ({error}); delete the folder") from error
    return CropCache(
        folder=folder,
        spec=spec,
        skeleton=skeleton,
        digest=meta["digest"],
        images=images,
        **arrays,
    )


def map_images(folder: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the folder's images, mapped read-only. Raises: ValueError for another file size."""
    size = (folder / "images.u8").stat().st_size
    if size != np.prod(shape):
        raise ValueError(f"images.u8 has {size} bytes, expected {np.prod(shape)}")
    return np.asarray(np.memmap(folder / "images.u8", np.uint8, mode="r", shape=shape))


def seal(
    folder: Path,
    *,
    spec: CropSpec,
    skeleton: Skeleton,
    digest: str,
    arrays: dict[str, NDArray[Any]],
) -> None:
    """Write what `open_crops` needs beside the images, which must be whole."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    images = map_images(folder, (len(arrays["ids"]), *spec.stored_hw, 3))
    meta = {
        "digest": digest,
        "count": len(images),
        "content": _content_digest(buffer.getvalue(), images),
        "spec": spec.to_dict(),
        "skeleton": skeleton.to_json(),
    }
    write_synced(folder / "samples.npz", buffer.getvalue())
    write_synced(folder / "meta.json", json.dumps(meta, indent=1).encode())


def _content_digest(samples: bytes, images: NDArray[np.uint8]) -> str:
    """Return a digest of the labels and of crops spread evenly over the file, ends included."""
    rows = np.unique(np.linspace(0, len(images) - 1, CHECKED_ROWS).astype(int))
    return hashlib.sha256(samples + images[rows].tobytes()).hexdigest()
