"""The winner: its file, the Pareto set's files, and what it sees on persons it never met."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evopose.drawing import contact_sheet, draw_pose
from evopose.errors import DataError, RunError
from evopose.evolution.blobs import holds
from evopose.evolution.store import Store
from evopose.models.evopose2d import EvoPose2D
from evopose.models.modelfile import load_model
from evopose.training.checkpoint import write_atomically
from evopose.training.compute import Compute, make_fabric, prepare
from evopose.training.session import make_encoder
from evopose.training.validate import TrainData, Validation, validate

logger = logging.getLogger(__name__)


def export_best(store: Store) -> Path | None:
    """Write `best.safetensors` and `pareto/ID.safetensors` into the run folder.

    Returns the first; None while nothing is trained, or if the winner's weights are missing or
    damaged. Weights that are so are told, and the file that was there stays. Files of an earlier
    call that no longer belong go. A search that goes on meanwhile may drop weights that were among
    the best: then the best are asked for again.
    """
    for _ in range(3):
        best, lost = _export_best(store)
        if not lost:
            break
    for name, reason in lost.items():
        logger.warning("%s is not written: %s", store.folder / name, reason)
    return None if best is None or best.name in lost else best


def _export_best(store: Store) -> tuple[Path | None, dict[str, RunError]]:
    """Return the winner's file, and of the files that could not be written why."""
    winner = store.winner()
    if winner is None or winner.blob is None:
        return None, {}
    best = store.folder / "best.safetensors"
    front = {f"pareto/{one.id}.safetensors": one.blob for one in store.pareto() if one.blob}
    lost = {}
    for name, digest in {**front, best.name: winner.blob}.items():
        if holds(store.folder / name, digest):
            continue
        try:
            write_atomically(store.folder / name, store.blobs.read(digest))
        except RunError as error:
            lost[name] = error
    for old in store.folder.glob("pareto/*.safetensors"):
        if f"pareto/{old.name}" not in front:
            old.unlink()
    return best, lost


@dataclass(frozen=True, kw_only=True)
class WinnerView:
    """What the winner makes of the validation split."""

    mean_oks: float
    persons: int
    sheet: NDArray[np.uint8]
    """(H, W, 3) RGB: persons with the winner's keypoints, every so many of the split, none chosen
    by hand."""
    worst: NDArray[np.uint8] | None
    """(H, W, 3) RGB: the persons with the lowest OKS, the worst first: what was labelled, and
    beside it what the winner sees. None where nobody has a labelled keypoint."""


def look(
    model: Path, data: TrainData, compute: Compute, *, count: int = 24, worst: int = 12
) -> WinnerView:
    """Return what the network in `model` sees on `data`, drawn on `count` persons spread evenly
    over it and on the `worst` with the lowest OKS.

    Raises: DataError if the crops are of another size or skeleton than the network's.
    """
    prepare(compute)
    net, card = load_model(model)
    assert isinstance(net, EvoPose2D)
    if data.cache.spec.input_hw != card.input_hw or len(data.cache.skeleton) != len(card.skeleton):
        raise DataError(
            f"{model} takes {card.input_hw} and {len(card.skeleton)} keypoints, the crops are "
            f"{data.cache.spec.input_hw} with {len(data.cache.skeleton)}"
        )
    fabric = make_fabric(compute)
    found = validate(
        net.to(fabric.device),
        data,
        encoder=make_encoder(net, card.codec, card.input),
        loss="softmax" if card.codec.params.get("activation") == "softmax" else "mse",
        batch_size=32,
        fabric=fabric,
    )
    return WinnerView(
        mean_oks=found.mean_oks,
        persons=len(data),
        sheet=_sheet(data, found, count),
        worst=_worst_sheet(data, found, worst),
    )


def _sheet(data: TrainData, found: Validation, count: int) -> NDArray[np.uint8]:
    """Return persons spread evenly over the split, with predictions and their OKS."""
    chosen = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).round().astype(int))
    tiles = [_predicted(data, found, place) for place in chosen]
    captions = [f"OKS {found.oks[place]:.2f}" for place in chosen]
    return contact_sheet(tiles, columns=8, captions=captions, cell_hw=_hw(tiles[0]))


def _worst_sheet(data: TrainData, found: Validation, count: int) -> NDArray[np.uint8] | None:
    """Return the persons with the lowest OKS; those with nothing labelled have none."""
    scored = np.flatnonzero(np.isfinite(found.oks))
    chosen = scored[np.argsort(found.oks[scored], kind="stable")][:count]
    if not len(chosen):
        return None
    tiles, captions = [], []
    for place in chosen:
        labelled, predicted = _labelled(data, place), _predicted(data, found, place)
        between = np.full((len(labelled), 3, 3), 255, np.uint8)
        tiles.append(np.concatenate([labelled, between, predicted], axis=1))
        captions.append(f"OKS {found.oks[place]:.2f}, annotation {_annotation(data, place)}")
    return contact_sheet(tiles, columns=4, captions=captions, cell_hw=_hw(tiles[0]))


def _predicted(data: TrainData, found: Validation, place: int) -> NDArray[np.uint8]:
    pose = np.column_stack([found.xy_crop[place], found.scores[place]])
    return _drawn(data, place, pose, threshold=0.1)


def _labelled(data: TrainData, place: int) -> NDArray[np.uint8]:
    pose = data.cache.keypoints[data.indices[place]].astype(np.float64)
    pose[:, :2] -= data.cache.spec.offset_hw[::-1]
    return _drawn(data, place, pose, threshold=0.0)


def _annotation(data: TrainData, place: int) -> int:
    return int(data.cache.ids[data.indices[place]])


def _drawn(
    data: TrainData, place: int, pose: NDArray[np.float64], *, threshold: float
) -> NDArray[np.uint8]:
    """Return a person's crop, enlarged, with a pose (K, 3) in crop pixels on it."""
    spec = data.cache.spec
    (top, left), (height, width) = spec.offset_hw, spec.input_hw
    zoom = max(1, round(192 / height))
    crop = data.cache.images[data.indices[place]][top : top + height, left : left + width]
    large = crop.repeat(zoom, axis=0).repeat(zoom, axis=1)
    enlarged = np.column_stack([(pose[:, :2] + 0.5) * zoom - 0.5, pose[:, 2]])
    return draw_pose(large, enlarged, data.cache.skeleton, threshold=threshold)


def _hw(tile: NDArray[np.uint8]) -> tuple[int, int]:
    return tile.shape[0], tile.shape[1]
