"""What was published of the networks in EvoPose2D's tables, and how their figures were counted.

Source: EvoPose2D (arXiv 2011.08446), tables 2 to 4; the papers and repositories of the others, as
each row says. AP is that of COCO val2017 with the HRNet authors' person boxes, unless a row says
otherwise.
"""

from dataclasses import dataclass

MACS = "multiply-adds (TensorFlow's profiler, halved)"
GIMACS = "multiply-adds / 2^30"
OWN = "a counter of its authors' own: not reproducible from the published architecture"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row: a network at an input size."""

    model: str
    """A name in `MODELS`."""
    input_hw: tuple[int, int]
    parameters_m: float | None = None
    """Millions, as published."""
    gflops: float | None = None
    """Billions, as published, counted by `convention`."""
    convention: str = MACS
    ap: float | None = None
    ap_of: str = ""
    """Whose figure it is, and on what, where that is not the table's usual."""
    note: str = ""


_UNPUBLISHED = ""

PUBLISHED: tuple[Published, ...] = (
    Published(model="evopose2d-xs", input_hw=(256, 192), parameters_m=2.53, gflops=0.47, ap=68.0),
    Published(model="evopose2d-s", input_hw=(256, 192), parameters_m=2.53, gflops=1.07, ap=70.2),
    Published(model="evopose2d-m", input_hw=(384, 288), parameters_m=7.34, gflops=5.59, ap=75.1),
    Published(model="evopose2d-l", input_hw=(512, 384), parameters_m=14.7, gflops=17.7, ap=76.6),
    Published(
        model="cpn-r50", input_hw=(256, 192), parameters_m=27.0, gflops=6.20, convention=OWN,
        ap=68.6,
    ),
    Published(
        model="cpn-r101", input_hw=(384, 288), convention=_UNPUBLISHED, ap=72.9,
        ap_of="the repository tf-cpn",
    ),
    Published(
        model="cpn-inception-resnet", input_hw=(384, 288), convention=_UNPUBLISHED, ap=72.1,
        ap_of="test-dev",
        note="no code was released: CPN's heads on the trunk of Szegedy et al.",
    ),
    Published(
        model="simple-baseline-r50", input_hw=(256, 192), parameters_m=34.0, gflops=5.21, ap=70.4
    ),
    Published(
        model="simple-baseline-r101", input_hw=(256, 192), parameters_m=53.0, gflops=8.84, ap=71.4
    ),
    Published(
        model="simple-baseline-r152", input_hw=(256, 192), parameters_m=68.6, gflops=12.5, ap=72.0
    ),
    Published(
        model="simple-baseline-r152", input_hw=(384, 288), parameters_m=68.6, gflops=28.1, ap=74.3
    ),
    Published(model="hrnet-w32", input_hw=(256, 192), parameters_m=28.5, gflops=7.65, ap=74.4),
    Published(
        model="hrnet-w32", input_hw=(384, 288), parameters_m=28.5, gflops=16.0, convention=GIMACS,
        ap=75.8,
        note="beside the other rows it should read 17.2",
    ),
    Published(model="hrnet-w48", input_hw=(256, 192), parameters_m=63.6, gflops=15.7, ap=75.1),
    Published(model="hrnet-w48", input_hw=(384, 288), parameters_m=63.6, gflops=35.3, ap=76.3),
    Published(model="mspn-1x", input_hw=(256, 192), convention=_UNPUBLISHED),
    Published(
        model="mspn-2x", input_hw=(256, 192), convention=_UNPUBLISHED, ap=74.5,
        ap_of="the MSPN repository",
    ),
    Published(model="mspn-3x", input_hw=(256, 192), convention=_UNPUBLISHED),
    Published(
        model="mspn-4x", input_hw=(256, 192), parameters_m=120, gflops=19.9, convention=OWN,
        ap=75.9,
    ),
    Published(
        model="posefix-r50", input_hw=(256, 192), convention=_UNPUBLISHED,
        note="beside it, the network whose poses it refines",
    ),
    Published(
        model="posefix-r152", input_hw=(256, 192), convention=_UNPUBLISHED,
        note="beside it, the network whose poses it refines",
    ),
    Published(
        model="posefix-r152", input_hw=(384, 288), convention=_UNPUBLISHED, ap=77.3,
        ap_of="after HRNet-W48 384x288",
        note="beside it, the network whose poses it refines",
    ),
)  # fmt: skip
"""Every row of the tables, each network at each of its input sizes."""
