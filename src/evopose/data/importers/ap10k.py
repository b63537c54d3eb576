"""AP-10K: COCO-like JSON with 54 species as categories, all of the same 17 keypoints.

Source: Yu et al., NeurIPS 2021.
"""

from pathlib import Path

from evopose.data.importers.coco_form import read_coco_form
from evopose.data.importers.labels import Labels, Options
from evopose.data.importers.skeletons import AP10K


def read_ap10k(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of AP-10K: the chosen species as one category.

    Each annotation keeps its species under `species`.

    Raises: DataError if the file is another or damaged, or categories have other keypoints.
    """
    labels = read_coco_form(source, options, AP10K, format="ap10k", species_key="species")
    return {options.split or "train": labels}
