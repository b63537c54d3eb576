"""The curves of a comparison as a still picture, for a document."""

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from evopose.report.comparing_facts import Arm, Comparison
from evopose.report.comparing_figures import COST_TITLE, colour_of
from evopose.report.comparing_runs import Measure

FORMATS = ("png", "svg")


def still_picture(comparison: Comparison, kind: str) -> bytes:
    """Return the curves as the bytes of a PNG or SVG file, the same for the same comparison."""
    assert kind in FORMATS
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for place, arm in enumerate(comparison.arms):
        _draw(axes, arm, colour_of(place), comparison.measure)
    if comparison.budget is not None:
        axes.axvline(
            comparison.budget, color="#64748b", linewidth=1, linestyle=":", label="equal cost"
        )
    axes.set_xlabel(COST_TITLE)
    axes.set_ylabel(f"best {comparison.measure.title}")
    axes.set_xlim(left=0)
    axes.grid(color="#e8ecf1")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if axes.get_legend_handles_labels()[0]:
        columns = 2 if len(comparison.arms) > 1 else 1
        figure.legend(loc="outside upper left", frameon=False, fontsize="small", ncols=columns)
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "evopose", "svg.fonttype": "path"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(file, format=kind, dpi=150, metadata=metadata)
    return file.getvalue()


def _draw(axes: Axes, arm: Arm, colour: str, measure: Measure) -> None:
    for curve in arm.curves:
        axes.step(
            curve.costs, measure.sign * curve.values, where="post", color=colour, linewidth=0.8,
            alpha=0.4,
        )  # fmt: skip
    if (band := arm.band) is not None and len(band.costs):
        if band.low is not None and band.high is not None:
            axes.fill_between(
                band.costs, measure.sign * band.low, measure.sign * band.high, step="post",
                color=colour, alpha=0.14, linewidth=0,
            )  # fmt: skip
        axes.step(
            band.costs, measure.sign * band.mean, where="post", color=colour, linewidth=2.2,
            label=f"{arm.name} ({band.n})",
        )  # fmt: skip
    if (clones := arm.clones) is not None and len(clones.costs):
        axes.step(
            clones.costs, measure.sign * clones.mean, where="post", color=colour, linewidth=1.4,
            linestyle="--", label=f"{arm.name}: best clone ({clones.n})",
        )  # fmt: skip
