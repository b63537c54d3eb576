"""Whether an exported file, run by its own runtime, does what the network does."""

import numpy as np
import torch
from numpy.typing import NDArray

from evopose.codecs import Codec, make_codec
from evopose.errors import ModelError
from evopose.export.job import Crops, Floats, Run
from evopose.export.network import as_input
from evopose.export.options import ExportOptions, Parity
from evopose.models.modelfile import LoadedModel
from evopose.models.pixels import normalise

HEATMAP_TOLERANCE = 1e-4
"""Of the range of the network's heatmaps."""
ROUNDING = 4
"""Times the change that the last two bits of the images make: so much may heatmaps differ, too. It
is far below the tolerance, but for networks that were hardly trained."""
KEYPOINT_TOLERANCE = 0.1
"""Crop pixels."""
BATCHES = (1, 3)
"""How many crops the file sees at once: more than one size, since it takes any."""
DISTURBANCES = 8
"""How often heatmaps are disturbed to learn which keypoints hang on their rounding."""


def check_parity(
    run: Run, model: LoadedModel, options: ExportOptions, crops: Crops | None = None
) -> Parity:
    """Return how far the file that `run` runs is from the network, on random crops and `crops`
    (N, H, W, 3), if there are some.

    Raises: ModelError for a file in float32 that is further from it than the tolerances, and for
    heatmaps of any file that are not finite.
    """
    net, card = model
    codec = make_codec(card.codec.name, card.input_hw, net.heatmap_hw, **card.codec.params)
    rng = np.random.default_rng(0)
    seen = [rng.integers(0, 256, (n, *card.input_hw, 3)).astype(np.uint8) for n in BATCHES]
    real = np.empty((0, *card.input_hw, 3), np.uint8) if crops is None else crops
    seen += [real[first : first + max(BATCHES)] for first in range(0, len(real), max(BATCHES))]
    ours, theirs, decoded = [], [], []
    for batch in seen:
        ours.append(_heatmaps(model, batch))
        found, *more = run(as_input(model, batch, options))
        theirs.append(found)
        decoded += more
    if any(a.shape != b.shape for a, b in zip(ours, theirs, strict=True)):
        raise ModelError(
            f"the exported file gives heatmaps of shapes {[b.shape for b in theirs]}, the network "
            f"{[a.shape for a in ours]}"
        )
    expected, got = np.concatenate(ours), np.concatenate(theirs)
    if not np.isfinite(got).all():
        raise ModelError(f"the exported file ({options.precision}) gives heatmaps not finite")
    keypoints = np.concatenate(decoded)[..., :2] if decoded else codec.decode(got)[0]
    allowed = HEATMAP_TOLERANCE
    if np.abs(got - expected).max() > allowed * np.ptp(expected):
        nudged = np.concatenate([_heatmaps(model, batch, 1 + 2**-22) for batch in seen])
        rounding = float(np.abs(nudged - expected).max() / np.ptp(expected))
        allowed = max(allowed, ROUNDING * rounding)
    parity = _compare(codec, expected, got, keypoints, allowed=allowed, real_crops=len(real))
    if options.precision == "float32":
        _require(parity, allowed)
    return parity


def _compare(
    codec: Codec,
    expected: Floats,
    got: Floats,
    keypoints: NDArray[np.floating],
    *,
    allowed: float,
    real_crops: int,
) -> Parity:
    spread = float(expected.max() - expected.min())
    difference = float(np.abs(got - expected).max())
    apart = np.hypot(*np.moveaxis(keypoints - codec.decode(expected)[0], -1, 0))
    unstable = np.zeros(apart.shape, bool)
    if (apart > KEYPOINT_TOLERANCE).any() and difference <= allowed * spread:
        unstable = _unstable(codec, expected, 2 * difference)
    return Parity(
        crops=len(expected),
        real_crops=real_crops,
        heatmap_difference=difference / spread if spread else float(difference > 0),
        keypoint_difference=float(np.where(unstable, 0, apart).max()),
        keypoints=apart.size,
        unstable=int(unstable.sum()),
    )


def _unstable(codec: Codec, heatmaps: Floats, noise: float) -> NDArray[np.bool_]:
    """Return (N, K): keypoints that move when heatmaps (N, K, h, w) change by up to `noise`."""
    rng = np.random.default_rng(1)
    still = codec.decode(heatmaps)[0]
    moved = np.zeros(still.shape[:2], bool)
    for _ in range(DISTURBANCES):
        disturbed = heatmaps + rng.uniform(-noise, noise, heatmaps.shape).astype(np.float32)
        away = np.hypot(*np.moveaxis(codec.decode(disturbed)[0] - still, -1, 0))
        moved |= away > KEYPOINT_TOLERANCE
    return moved


def _require(parity: Parity, allowed: float) -> None:
    """Raise ModelError where the file is further from the network than rounding is."""
    if parity.heatmap_difference > allowed:
        raise ModelError(
            "the exported file is not the network: heatmaps differ by "
            f"{parity.heatmap_difference:.1e} of their range, {allowed:.0e} is allowed; "
            "nothing was written"
        )
    if parity.keypoint_difference > KEYPOINT_TOLERANCE:
        raise ModelError(
            "the exported file is not the network: keypoints lie up to "
            f"{parity.keypoint_difference:.2f} pixels of the crop apart, {KEYPOINT_TOLERANCE} is "
            "allowed; nothing was written"
        )


@torch.inference_mode()
def _heatmaps(model: LoadedModel, crops: Crops, factor: float = 1.0) -> Floats:
    images = normalise(crops, torch.device("cpu"), model.card.input) * factor
    found: Floats = model.net(images).float().numpy()
    return found
