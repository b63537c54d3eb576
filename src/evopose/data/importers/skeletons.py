"""The published keypoints of the datasets that can be imported.

Sources: each dataset's paper and files; sigmas as each entry says. Names are in the style of
`left_shoulder`, so that flip pairs follow from them.
"""

from collections.abc import Sequence

from evopose.data.importers.labels import NOT_PUBLISHED, FormatSkeleton
from evopose.skeleton import COCO_PERSON, Skeleton, flip_pairs_from_names

_COCO_SIGMAS = dict(zip(COCO_PERSON.keypoints, COCO_PERSON.sigmas, strict=True))

_MMPOSE = "OKS sigmas: MMPose's adaptation of COCO's; the dataset itself has none"


def _skeleton(
    names: str, limbs: Sequence[tuple[str, str]], sigmas: Sequence[float] = ()
) -> Skeleton:
    keypoints = tuple(names.split())
    return Skeleton(
        keypoints=keypoints,
        limbs=tuple((keypoints.index(a), keypoints.index(b)) for a, b in limbs),
        flip_pairs=flip_pairs_from_names(keypoints),
        sigmas=tuple(sigmas),
    )


def _both(*limbs: tuple[str, str]) -> list[tuple[str, str]]:
    """Return each limb for the left and for the right side; a name after = has no side."""
    return [(_sided(side, a), _sided(side, b)) for a, b in limbs for side in ("left_", "right_")]


def _sided(side: str, name: str) -> str:
    return name[1:] if name.startswith("=") else side + name


_ARMS = _both(("shoulder", "elbow"), ("elbow", "wrist"))
_LEGS = _both(("hip", "knee"), ("knee", "ankle"))
_TRUNK = [*_both(("shoulder", "hip")), ("left_hip", "right_hip")]

COCO = FormatSkeleton(
    category="person", skeleton=COCO_PERSON, sigmas_source="OKS sigmas: COCO's own"
)

MPII = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck "
        "head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist",
        [
            *_LEGS, *_ARMS, *_both(("hip", "=pelvis"), ("shoulder", "=upper_neck")),
            ("pelvis", "thorax"), ("thorax", "upper_neck"), ("upper_neck", "head_top"),
        ],
        (0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026, 0.026, 0.026, 0.062, 0.072,
         0.179, 0.179, 0.072, 0.062),
    ),
    sigmas_source=f"{_MMPOSE} (its metric is PCKh)",
)  # fmt: skip
"""MPII Human Pose (Andriluka et al., CVPR 2014), 16 keypoints. Sigmas: MMPose, `mpii.py`."""

_CONTOUR = ("shoulder", "bow", "wrist", "hip", "knee", "ankle")

MPII_TRB = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip "
        "right_hip left_knee right_knee left_ankle right_ankle head neck right_neck left_neck "
        "medial_right_shoulder lateral_right_shoulder medial_right_bow lateral_right_bow "
        "medial_right_wrist lateral_right_wrist medial_left_shoulder lateral_left_shoulder "
        "medial_left_bow lateral_left_bow medial_left_wrist lateral_left_wrist medial_right_hip "
        "lateral_right_hip medial_right_knee lateral_right_knee medial_right_ankle "
        "lateral_right_ankle medial_left_hip lateral_left_hip medial_left_knee lateral_left_knee "
        "medial_left_ankle lateral_left_ankle",
        [
            *_ARMS, *_LEGS, *_TRUNK, *_both(("shoulder", "=neck")), ("head", "neck"),
            *((f"medial_{s}_{c}", f"lateral_{s}_{c}") for c in _CONTOUR for s in ("left", "right")),
            ("left_neck", "right_neck"),
        ],
    ),
    sigmas_source=NOT_PUBLISHED,
)  # fmt: skip
"""MPII-TRB (Duan et al., ICCV 2019): 14 keypoints and 26 points of the body's contour."""

CROWDPOSE = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip "
        "right_hip left_knee right_knee left_ankle right_ankle head neck",
        [*_ARMS, *_LEGS, *_TRUNK, *_both(("shoulder", "=neck")), ("head", "neck")],
        (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079,
         0.079),
    ),
    sigmas_source="OKS sigmas: those of CrowdPose's evaluation",
)  # fmt: skip
"""CrowdPose (Li et al., CVPR 2019), 14 keypoints. Sigmas: xtcocotools, `demo_crowdpose.py`.

The limbs in its files are COCO's, of keypoints that CrowdPose does not have; these are ours.
"""

AIC = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip "
        "right_knee right_ankle left_hip left_knee left_ankle head_top neck",
        [*_ARMS, *_LEGS, *_TRUNK, *_both(("shoulder", "=neck")), ("head_top", "neck")],
        (0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642,
         0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173),
    ),
    sigmas_source="OKS sigmas: those of the AI Challenger evaluation",
)  # fmt: skip
"""AI Challenger keypoints (Wu et al., arXiv 1711.06475), 14 keypoints.

Sigmas: AI_Challenger_2017, `Evaluation/keypoint_eval/keypoint_eval.py` (delta = 2 sigma).
"""

AP10K = FormatSkeleton(
    category="animal",
    skeleton=_skeleton(
        "left_eye right_eye nose neck root_of_tail left_shoulder left_elbow left_front_paw "
        "right_shoulder right_elbow right_front_paw left_hip left_knee left_back_paw right_hip "
        "right_knee right_back_paw",
        [
            ("left_eye", "right_eye"), *_both(("eye", "=nose")), ("nose", "neck"),
            ("neck", "root_of_tail"), *_both(("shoulder", "=neck"), ("hip", "=root_of_tail")),
            *_both(("shoulder", "elbow"), ("elbow", "front_paw")),
            *_both(("hip", "knee"), ("knee", "back_paw")),
        ],
        (0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
         0.087, 0.087, 0.089, 0.089),
    ),
    sigmas_source="OKS sigmas: AP-10K's (COCO's numbers in COCO's order, left and right differ)",
)  # fmt: skip
"""AP-10K (Yu et al., NeurIPS 2021), 17 keypoints of animals.

Sigmas: AP-10K, `configs/_base_/datasets/ap10k.py`: COCO's list in COCO's order, though the
keypoints have another, so that the sides differ. Published AP uses them, so they are kept.
"""

JHMDB = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        "neck belly head right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow "
        "right_knee left_knee right_wrist left_wrist right_ankle left_ankle",
        [
            *_ARMS, *_LEGS, *_both(("hip", "=belly"), ("shoulder", "=neck")), ("belly", "neck"),
            ("neck", "head"),
        ],
        (0.025, 0.107, 0.025, 0.079, 0.079, 0.107, 0.107, 0.072, 0.072, 0.087, 0.087, 0.062, 0.062,
         0.089, 0.089),
    ),
    sigmas_source=_MMPOSE,
)  # fmt: skip
"""JHMDB (Jhuang et al., ICCV 2013), 15 keypoints. Sigmas: MMPose, `jhmdb.py`."""

_LSP_NAMES = (
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow "
    "right_shoulder left_shoulder left_elbow left_wrist neck head_top"
)

LSP = FormatSkeleton(
    category="person",
    skeleton=_skeleton(
        _LSP_NAMES,
        [*_ARMS, *_LEGS, *_TRUNK, *_both(("shoulder", "=neck")), ("neck", "head_top")],
        [_COCO_SIGMAS.get(name, 0.079) for name in _LSP_NAMES.split()],
    ),
    sigmas_source="OKS sigmas: COCO's, and CrowdPose's for neck and head; LSP has none (PCP, PCK)",
)
"""Leeds Sports Pose (Johnson & Everingham, BMVC 2010, CVPR 2011), 14 keypoints.

Sigmas: COCO's for the twelve they share, CrowdPose's 0.079 for neck and head.
"""

PUBLISHED: dict[str, FormatSkeleton] = {
    "ochuman": COCO,
    "mpii": MPII,
    "mpii-trb": MPII_TRB,
    "crowdpose": CROWDPOSE,
    "aic": AIC,
    "ap10k": AP10K,
    "jhmdb": JHMDB,
    "lsp": LSP,
}
"""Skeletons by the format that has them, for telling what a file looks like."""
