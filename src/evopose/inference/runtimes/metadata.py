"""What an exported file says of itself, and the pixels that it expects."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ModelError
from evopose.export.metadata import CARD, EXPORT, FORMAT
from evopose.inference.runtimes import Crops
from evopose.models.card import ModelCard
from evopose.models.inputs import InputSpec


@dataclass(frozen=True, kw_only=True)
class ExportedCard:
    """The network's card, and how it was exported."""

    card: ModelCard
    normalised: bool
    """Whether the file normalises pixels itself."""
    precision: str
    """`float32`, `float16`, `bfloat16` or `int8`."""

    @classmethod
    def read(cls, metadata: Mapping[str, str], *, source: str) -> "ExportedCard":
        """Return what the metadata of an exported file say; `source` names it in errors.

        Raises: ModelError for a file that evopose did not write, or a newer version did.
        """
        if CARD not in metadata or EXPORT not in metadata:
            raise ModelError(
                f"{source} was not written by `evopose export`: its metadata say nothing of the "
                "keypoints and how they are read; export the model file anew"
            )
        card = ModelCard.from_json(metadata[CARD], source=source)
        try:
            value = json.loads(metadata[EXPORT])
            if value["format"] != FORMAT:
                raise ModelError(
                    f"{source}: export format {value['format']}, this version of evopose reads "
                    f"{FORMAT}: install the version that wrote it, or a newer one"
                )
            return cls(
                card=card,
                normalised=value["normalisation"] == "inside",
                precision=str(value["precision"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise ModelError(f"{source}: its export metadata cannot be read: {error!r}") from error

    def to_input(self, crops: Crops) -> NDArray[np.float32]:
        """Return the input (N, 3, H, W) that the file expects of crops."""
        return pixels(crops) if self.normalised else normalised_pixels(crops, self.card.input)


def pixels(crops: Crops) -> NDArray[np.float32]:
    """Return crops (N, H, W, 3) as (N, 3, H, W), RGB from 0 to 255."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def normalised_pixels(crops: Crops, spec: InputSpec) -> NDArray[np.float32]:
    """Return crops as the network's input, as `models.pixels.normalise` does in PyTorch."""
    x = pixels(crops[..., ::-1] if spec.color == "BGR" else crops)
    mean, std = (np.array(one, np.float32)[:, None, None] for one in (spec.mean, spec.std))
    x *= np.float32(spec.scale) / std
    x -= mean / std
    return x


def require_crops(crops: Crops, card: ModelCard) -> None:
    """Raise ModelError for crops of another shape than the network's."""
    expected = (*card.input_hw, 3)
    if crops.ndim != 4 or crops.shape[1:] != expected:
        raise ModelError(f"expected crops (N, {', '.join(map(str, expected))}), got {crops.shape}")
