"""Leeds Sports Pose, original (LSP) and extended (LSPE): 14 keypoints, one person an image.

Three forms: COCO-like JSON with LSP's names (counted from 0), and `joints.mat` of either set.
`joints.mat` is read without MATLAB or SciPy. LSP's is (3, 14, 2000); its third row says hidden:
0 becomes 2 (seen), 1 becomes 1 (hidden). LSPE's is (14, 3, 10000); its third column says visible:
1 becomes 2, 0 becomes 0 (not labelled). Coordinates are taken to count from 1, as MATLAB does
(the READMEs do not say); 1 is taken off. Image i is `im0001.jpg` (LSP) or `im00001.jpg` (LSPE).
Boxes go about the keypoints.

Source: Johnson & Everingham, BMVC 2010 and CVPR 2011, with the READMEs of both sets (which call
both flags visibility; users of LSP found its own to mean hidden).
"""

from pathlib import Path

import numpy as np

from evopose.data.checks import refuse
from evopose.data.importers.coco_form import read_coco_form, shifted
from evopose.data.importers.labels import LabelledImage, LabelledInstance, Labels, Options, Points
from evopose.data.importers.matfile import read_mat_array
from evopose.data.importers.reading import image_folders, no_categories, usable
from evopose.data.importers.skeletons import LSP
from evopose.errors import DataError

_JOINTS = len(LSP.skeleton)


def read_lsp(source: Path, options: Options) -> dict[str, Labels]:
    """Return one split of LSP or LSPE. Raises: DataError if the file is another or damaged."""
    if source.suffix == ".mat":
        labels = _of_matrix(source, options)
    else:
        labels = read_coco_form(source, options, LSP, format="lsp")
    return {options.split or "train": labels}


def _of_matrix(path: Path, options: Options) -> Labels:
    no_categories(options, "lsp")
    joints = read_mat_array(path, "joints")
    if joints.ndim == 3 and joints.shape[:2] == (3, _JOINTS):
        rows, digits, means = joints.transpose(2, 1, 0), 4, (2, 1)
        said = "visibility: the third row of LSP says hidden; 0 became 2, 1 became 1"
    elif joints.ndim == 3 and joints.shape[:2] == (_JOINTS, 3):
        rows, digits, means = joints.transpose(2, 0, 1), 5, (0, 2)
        said = "visibility: the third column of LSPE says visible; 1 became 2, 0 became 0"
    else:
        raise DataError(
            f"{path}: expected joints (3, 14, N) of LSP or (14, 3, N) of LSPE, got {joints.shape}"
        )
    keypoints = _keypoints(rows, means, path)
    numbers = range(1, len(keypoints) + 1)
    return Labels(
        described=LSP,
        images=tuple(LabelledImage(id=i, name=f"im{i:0{digits}}.jpg") for i in numbers),
        instances=tuple(
            LabelledInstance(id=i, image_id=i, keypoints=k, box_xywh=None)
            for i, k in zip(numbers, keypoints, strict=True)
        ),
        folders=image_folders(path, options.images),
        assumptions=("coordinates: taken to count from 1, as MATLAB does, 1 taken off", said),
    )


def _keypoints(rows: Points, means: tuple[int, int], path: Path) -> Points:
    numbers = np.arange(1, len(rows) + 1)
    refuse(numbers[~usable(rows).all(axis=(1, 2))], path, "not all finite in persons")
    strange = ~np.isin(rows[..., 2], (0, 1)).all(axis=1)
    refuse(numbers[strange], path, "the flag must be 0 or 1; not so in persons")
    seen = np.array(means)[rows[..., 2].astype(int)]
    return shifted(np.concatenate([rows[..., :2], seen[..., None]], axis=-1), 1.0)
