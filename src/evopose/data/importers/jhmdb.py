"""JHMDB: COCO-like JSON (MMPose's) with 15 keypoints.

Coordinates and boxes count pixels from 1, as MATLAB does; 1 is taken off both.

Source: Jhuang et al., ICCV 2013; MMPose 0.x, `topdown_jhmdb_dataset.py`, which takes 1 off both
(MMPose 1.x does so for the box alone).
"""

from pathlib import Path

from evopose.data.importers.coco_form import read_coco_form
from evopose.data.importers.labels import Labels, Options
from evopose.data.importers.skeletons import JHMDB


def read_jhmdb(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of JHMDB. Raises: DataError if the file is another or damaged."""
    labels = read_coco_form(
        source,
        options,
        JHMDB,
        format="jhmdb",
        offset=1.0,
        assumptions=("coordinates: counted from 1 in the file, 1 taken off",),
    )
    return {options.split or "train": labels}
