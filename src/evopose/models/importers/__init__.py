"""Public weights by format: one line a format, and how a file becomes a model.

Importing this package loads torch.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evopose.errors import EvoposeError, ModelError
from evopose.models.card import ModelCard
from evopose.models.importers.contract import Arrays, Imported, Importer, ImportOptions, some
from evopose.models.importers.cpn import CPN_AUTHORS
from evopose.models.importers.efficientnet import (
    EFFICIENTNET_KERAS,
    EFFICIENTNET_TIMM,
    EFFICIENTNET_TIMM_TF,
    EFFICIENTNET_TORCHVISION,
)
from evopose.models.importers.hrnet import HRNET, HRNET_IMAGENET, HRNET_MMPOSE
from evopose.models.importers.keras_h5 import KERAS_EVOPOSE2D
from evopose.models.importers.mspn import MSPN_AUTHORS, MSPN_MMPOSE
from evopose.models.importers.posefix import POSEFIX, POSEFIX_IMAGENET
from evopose.models.importers.reading import read_arrays
from evopose.models.importers.simple_baseline import (
    RESNET_IMAGENET,
    SIMPLE_BASELINE,
    SIMPLE_BASELINE_MMPOSE,
)
from evopose.models.modelfile import default_skeleton, model_card
from evopose.skeleton import Skeleton

__all__ = ["IMPORTERS", "ImportedModel", "import_weights", "recognise"]

IMPORTERS: dict[str, Importer] = {
    "cpn": CPN_AUTHORS,
    "efficientnet-keras": EFFICIENTNET_KERAS,
    "efficientnet-timm": EFFICIENTNET_TIMM,
    "efficientnet-timm-tf": EFFICIENTNET_TIMM_TF,
    "efficientnet-torchvision": EFFICIENTNET_TORCHVISION,
    "evopose2d-keras": KERAS_EVOPOSE2D,
    "hrnet": HRNET,
    "hrnet-imagenet": HRNET_IMAGENET,
    "hrnet-mmpose": HRNET_MMPOSE,
    "mspn": MSPN_AUTHORS,
    "mspn-mmpose": MSPN_MMPOSE,
    "posefix": POSEFIX,
    "posefix-imagenet": POSEFIX_IMAGENET,
    "resnet-imagenet": RESNET_IMAGENET,
    "simple-baseline": SIMPLE_BASELINE,
    "simple-baseline-mmpose": SIMPLE_BASELINE_MMPOSE,
}
"""Every format of public weights, by name; `evopose.cli.import_` says the names in its help."""


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A file of weights become a model, not yet written."""

    format: str
    """A name in `IMPORTERS`."""
    imported: Imported
    card: ModelCard


def import_weights(
    path: str | Path,
    *,
    format: str | None = None,
    input_hw: tuple[int, int] | None = None,
    num_keypoints: int | None = None,
    skeleton: Skeleton | None = None,
    codec: str | None = None,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
) -> ImportedModel:
    """Return the model in a file of public weights, and the report of what became of its arrays.

    `format` is a name in `IMPORTERS`, None: recognised by the arrays. `input_hw` is (height, width)
    where the file does not tell it. With a `num_keypoints` that is not the file's, the last layers
    start fresh, drawn from `seed`. `skeleton` None: COCO's person for 17 keypoints, else keypoints
    without names. `codec` says how its heatmaps are read where the format leaves it open (gaussian,
    dark, udp); None: as the file's name says, else gaussian. `provenance` is written into the card,
    beside the file's name and format.

    Raises: ModelError if the file cannot be read, fits no format or several, or does not fit the
    network that it seems to hold.
    """
    path = Path(path)
    arrays, meta = read_arrays(path)
    if "evopose" in meta:
        raise ModelError(f"{path} is a model file of evopose's already: use it as it is")
    options = ImportOptions(
        input_hw=input_hw,
        num_keypoints=num_keypoints,
        file_name=path.name,
        codec=codec,
        seed=seed,
        meta=meta,
    )
    try:
        name = recognise(arrays, file_name=path.name, format=format)
        imported = IMPORTERS[name].read(arrays, options)
        if codec not in (None, imported.codec.name):
            raise ModelError(
                f"its heatmaps are read by {imported.codec.name}, not by {codec}: weights of the "
                f"format {name} leave no choice"
            )
        card = _card(
            imported, skeleton, {"imported": path.name, "format": name} | (provenance or {})
        )
    except EvoposeError as error:
        raise ModelError(f"cannot import {path}: {error}") from error
    return ImportedModel(format=name, imported=imported, card=card)


def recognise(arrays: Arrays, *, file_name: str = "", format: str | None = None) -> str:
    """Return the name in `IMPORTERS` of the format of these arrays: `format`, if they are of it.

    Raises: ModelError if they fit none or several, saying what was looked for.
    """
    if format is not None and format not in IMPORTERS:
        raise ModelError(f"no format is called {format!r}; there are {', '.join(IMPORTERS)}")
    fitting = [name for name, one in IMPORTERS.items() if one.recognises(arrays)]
    if format in fitting:
        assert format is not None
        return format
    held = some(list(arrays))
    if not fitting or format is not None:
        wanted = IMPORTERS if format is None else {format: IMPORTERS[format]}
        looked = "".join(f"\n  {name}: {one.summary}" for name, one in wanted.items())
        but = f"; it is of {' or '.join(fitting)}" if fitting else ""
        raise ModelError(f"its arrays ({held}) are of none of these formats{but}:{looked}")
    if len(fitting) > 1:
        fitting = _by_file_name(fitting, file_name)
    if len(fitting) > 1:
        raise ModelError(
            f"its arrays fit {' and '.join(fitting)}, and the file's name ({file_name}) does not "
            "say which; name it with --as"
        )
    return fitting[0]


def _by_file_name(fitting: list[str], file_name: str) -> list[str]:
    """Return those whose pattern is found in the file's name, all where none is."""
    named = [
        name
        for name in fitting
        if (pattern := IMPORTERS[name].file_names) and re.search(pattern, file_name)
    ]
    return named or fitting


def _card(imported: Imported, skeleton: Skeleton | None, provenance: dict[str, Any]) -> ModelCard:
    count = imported.net.config.num_keypoints
    if skeleton is not None and len(skeleton) != count:
        raise ModelError(
            f"the skeleton names {len(skeleton)} keypoints, the network has {count}; with "
            f"--keypoints {len(skeleton)} its last layers start fresh"
        )
    return model_card(
        imported.net,
        skeleton=skeleton or default_skeleton(count),
        codec=imported.codec,
        input=imported.input,
        provenance=provenance | {"trained_head": imported.trained_head},
    )
