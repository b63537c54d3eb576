"""The figures of an evaluation as Plotly's own JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.evaluation.accumulation import RECALLS
from evopose.evaluation.error_analysis import LOSSES, ErrorAnalysis
from evopose.evaluation.error_kinds import KINDS
from evopose.report.plotting import BEST, CHILD, CLONE, PARETO, WINNER, Figure, layout, titled

KIND_COLOURS = {
    "good": "#cbd5e1",
    "jitter": "#f59e0b",
    "inversion": "#0d9488",
    "swap": "#7c3aed",
    "miss": "#e11d48",
}
LOSS_COLOURS = KIND_COLOURS | {"scoring": BEST, "background": CHILD, "not found": "#475569"}
BINS = 20


def oks_figure(oks: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Return how many persons reach which OKS, a model a colour."""
    edges = np.linspace(0, 1, BINS + 1)
    data = []
    for (name, values), colour in zip(oks.items(), (BEST, CLONE), strict=False):
        counts, _ = np.histogram(values, edges)
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": ((edges[1:] + edges[:-1]) / 2).round(4).tolist(),
                "y": counts.tolist(),
                "text": [f"{low:.2f} to {low + 1 / BINS:.2f}" for low in edges[:-1]],
                "textposition": "none",
                "marker": {"color": colour},
                "hovertemplate": "OKS %{text}: %{y} persons<extra></extra>",
            }
        )
    x_axis = {"title": titled("OKS"), "range": [0, 1]}
    more = {"bargap": 0.08, "barmode": "group", "showlegend": len(oks) > 1}
    return {"data": data, "layout": layout(300, x_axis, {"title": titled("persons")}, **more)}


def losses_figure(errors: ErrorAnalysis) -> Figure:
    """Return the AP that each loss costs: mended alone, and one after another."""
    names = list(LOSSES)
    data = [
        _bars("alone", names, [errors.gain(name) for name in names], 0.4),
        _bars("in turn", names, [errors.gain_in_turn(name) for name in names], 1.0),
    ]
    x_axis = {"title": titled("AP gained"), "rangemode": "tozero"}
    y_axis = {"autorange": "reversed", "showgrid": False, "type": "category"}
    more = {"barmode": "group", "bargap": 0.3, "showlegend": False}
    return {"data": data, "layout": layout(340, x_axis, y_axis, **more)}


def _bars(how: str, names: list[str], gains: list[float], opacity: float) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": how,
        "y": names,
        "x": [round(gain, 5) for gain in gains],
        "marker": {"color": [LOSS_COLOURS[name] for name in names], "opacity": opacity},
        "hovertemplate": f"%{{y}} mended {how}: %{{x:+.3f}} AP<extra></extra>",
    }


def keypoints_figure(errors: ErrorAnalysis) -> Figure:
    """Return the shares of kinds of each keypoint, stacked; those never labelled left out."""
    total = errors.counts.sum(axis=1)
    some = np.flatnonzero(total > 0)
    names = [errors.keypoints[place] for place in some]
    shares = errors.counts[some] / total[some, None]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "y": names,
            "x": shares[:, place].round(4).tolist(),
            "marker": {"color": KIND_COLOURS[kind]},
            "hovertemplate": f"%{{y}}: %{{x:.1%}} {kind}<extra></extra>",
        }
        for place, kind in enumerate(KINDS)
    ]
    x_axis = {"range": [0, 1], "tickformat": ".0%"}
    y_axis = {"autorange": "reversed", "showgrid": False, "type": "category"}
    height = int(110 + 24 * len(names))
    made = layout(height, x_axis, y_axis, barmode="stack", bargap=0.25)
    made["legend"] |= {"traceorder": "normal"}
    return {"data": data, "layout": made}


def precision_figure(errors: ErrorAnalysis) -> Figure:
    """Return precision against recall at two thresholds of OKS, and the mean over all ten."""
    curves = {
        "OKS 0.50": (errors.precision[0], PARETO),
        "OKS 0.75": (errors.precision[5], WINNER),
        "mean of 0.50 to 0.95": (errors.precision.mean(axis=0), BEST),
    }
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": RECALLS.round(2).tolist(),
            "y": values.round(4).tolist(),
            "line": {"color": colour, "width": 2.5},
            "hovertemplate": f"{name}: precision %{{y:.3f}} at recall %{{x:.2f}}<extra></extra>",
        }
        for name, (values, colour) in curves.items()
    ]
    x_axis = {"title": titled("recall"), "range": [0, 1]}
    return {"data": data, "layout": layout(340, x_axis, {"title": titled("precision"),
                                                         "range": [0, 1.02]})}  # fmt: skip
