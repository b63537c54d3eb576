"""Counts of every row of the tables, against those of the facts and of the papers."""

import pytest

from evopose.models import MODELS, build_model
from evopose.models.complexity import complexity
from evopose.models.published import MACS, PUBLISHED

# (trainable parameters in millions, 10^9 multiply-adds): counted from the authors' released code,
# EvoPose2D's from its official network
MEASURED = {
    ("evopose2d-xs", 256): (2.496239, 0.46237),
    ("evopose2d-s", 256): (2.496239, 1.06409),
    ("evopose2d-m", 384): (7.256105, 5.55059),
    ("evopose2d-l", 512): (14.566883, 17.59143),
    ("cpn-r50", 256): (27.01, 7.23),
    ("cpn-r101", 384): (46.00, 24.45),
    ("simple-baseline-r50", 256): (34.00, 5.20),
    ("simple-baseline-r101", 256): (52.99, 8.84),
    ("simple-baseline-r152", 256): (68.64, 12.47),
    ("simple-baseline-r152", 384): (68.64, 28.06),
    ("hrnet-w32", 256): (28.54, 7.645),
    ("hrnet-w32", 384): (28.54, 17.20),
    ("hrnet-w48", 256): (63.60, 15.69),
    ("hrnet-w48", 384): (63.60, 35.31),
    ("mspn-1x", 256): (25.1, 5.07),
    ("mspn-2x", 256): (56.9, 11.26),
    ("mspn-3x", 256): (88.6, 17.45),
    ("mspn-4x", 256): (120.3, 23.64),
    ("posefix-r50", 256): (34.05, 6.08),
    ("posefix-r152", 256): (68.69, 13.35),
    ("posefix-r152", 384): (68.69, 30.05),
}
UNKNOWN = {("cpn-inception-resnet", 384)}
"""Rows whose code was never released: nothing to compare with."""


def counts(name, input_hw):
    return complexity(build_model(name, input_hw=input_hw, outline=True), input_hw=input_hw)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}-{row.input_hw[0]}")
def test_counts_of_the_tables(row) -> None:
    found = counts(row.model, row.input_hw)
    key = (row.model, row.input_hw[0])
    assert (key in MEASURED) != (key in UNKNOWN)
    if key in MEASURED:
        parameters, macs = MEASURED[key]
        digits = 0.05 / parameters if row.model.startswith("mspn") else 0  # given to a tenth
        assert found.num_trainable / 1e6 == pytest.approx(parameters, rel=max(0.001, digits))
        assert found.num_macs / 1e9 == pytest.approx(macs, rel=0.005)
    if row.gflops and row.convention == MACS:
        assert found.num_macs / 1e9 == pytest.approx(row.gflops, rel=0.02)


def test_the_rows_name_networks_that_can_be_built() -> None:
    assert {row.model for row in PUBLISHED} <= MODELS.keys()
    assert len({(row.model, row.input_hw) for row in PUBLISHED}) == len(PUBLISHED)


def test_torchvisions_form_has_the_same_weights_and_more_to_compute() -> None:
    ours, theirs = (
        build_model("simple-baseline-r50", outline=True, stride_on_1x1=form)
        for form in (True, False)
    )
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    size = (256, 192)
    assert complexity(theirs, input_hw=size).num_macs / 1e9 == pytest.approx(5.43, rel=0.005)
