"""CrowdPose: COCO-like JSON with 14 keypoints, counted from 0; images keep their `crowdIndex`.

Source: Li et al., CVPR 2019; the evaluation takes 0.53 times the box for an area (`use_area=False`
in xtcocotools).
"""

from pathlib import Path

from evopose.data.importers.coco_form import read_coco_form
from evopose.data.importers.labels import Labels, Options
from evopose.data.importers.skeletons import CROWDPOSE


def read_crowdpose(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of CrowdPose. Raises: DataError if the file is another or damaged."""
    labels = read_coco_form(
        source,
        options,
        CROWDPOSE,
        format="crowdpose",
        assumptions=("limbs: evopose's; those in the file are COCO's and do not fit",),
    )
    return {options.split or "train": labels}
