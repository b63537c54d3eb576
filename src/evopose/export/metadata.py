"""What an exported file says of itself: the network's card, and how it was exported."""

import json

from evopose.export.options import ExportOptions, OksLoss, RealCrops
from evopose.models.card import ModelCard
from evopose.version import VERSION

FORMAT = 1
"""Of what stands under `EXPORT`."""
OPSET = 17
"""Of ONNX; what the networks need is in every later one."""
CARD = "evopose"
"""The key under which the network's card stands, as in a model file."""
EXPORT = "evopose_export"
"""The key under which it stands how the network was exported."""
INPUT = "images"
HEATMAPS = "heatmaps"
KEYPOINTS = "keypoints"


def export_metadata(
    card: ModelCard,
    format: str,
    options: ExportOptions,
    *,
    crops: RealCrops | None = None,
    oks: OksLoss | None = None,
) -> dict[str, str]:
    """Return the two texts that go into an exported file: the card as in a model file, and JSON
    that says what the file expects and computes, what int8 was calibrated on, and what was lost."""
    about = {
        "format": FORMAT,
        "kind": format,
        "normalisation": "inside" if options.normalise else "outside",
        "decoding": "inside" if options.decode else "outside",
        "precision": options.stored_precision(format),
        "calibrated_on": crops.source if crops and options.precision == "int8" else None,
        "oks": oks.to_json() if oks else None,
        "opset": None if format == "torchscript" else OPSET,
        "evopose": VERSION,
    }
    return {CARD: card.to_json(), EXPORT: json.dumps(about)}


def output_names(options: ExportOptions) -> list[str]:
    """Return what the file's outputs are called, in order."""
    return [HEATMAPS, KEYPOINTS] if options.decode else [HEATMAPS]
