"""The figures of a comparison as Plotly's own JSON."""

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from evopose.report.comparing_facts import Arm, Comparison
from evopose.report.comparing_runs import ComparedRun, Measure
from evopose.report.comparing_statistics import Array, Band
from evopose.report.comparing_tables import cost_text, seed_text
from evopose.report.plotting import Figure, layout, titled
from evopose.report.text import number

COLOURS = ("#4f46e5", "#ea7317", "#0d9488", "#e11d48", "#7c3aed", "#64748b", "#b45309", "#0369a1")
"""Of the arms in turn."""

COST_TITLE = "cost: training samples x multiply-adds, so far"


def colour_of(place: int) -> str:
    """Return the colour of the arm at a place."""
    return COLOURS[place % len(COLOURS)]


def curves_figure(comparison: Comparison) -> Figure:
    """Return the best so far against cost: runs thin, means of arms thick in their bands, means
    of the best clone dashed, the equal cost as a dotted line."""
    data: list[dict[str, Any]] = []
    for place, arm in enumerate(comparison.arms):
        data += _arm(arm, colour_of(place), comparison.measure)
    budget = comparison.budget
    line = {"color": "#64748b", "width": 1.2, "dash": "dot"}
    legend = {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "traceorder": "grouped"}
    more: dict[str, Any] = {"legend": legend}
    if budget is not None:
        edge = {"x0": budget, "x1": budget, "y0": 0, "y1": 1, "yref": "paper"}
        text = {"x": budget, "y": 0.99, "yref": "paper", "text": "equal cost", "xanchor": "right"}
        more |= {
            "shapes": [{"type": "line", "line": line, **edge}],
            "annotations": [{"showarrow": False, "font": {"size": 12, "color": "#64748b"}, **text}],
        }
    x_axis = {"title": titled(COST_TITLE), "tickformat": "~s", "rangemode": "tozero"}
    y_axis = {"title": titled(f"best {comparison.measure.title}")}
    return {"data": data, "layout": layout(500, x_axis, y_axis, **more)}


def _arm(arm: Arm, colour: str, measure: Measure) -> Iterator[dict[str, Any]]:
    together = {"legendgroup": arm.name}
    for run in arm.used:
        yield together | _run(run, colour, measure)
    if (found := arm.band) is not None and len(found.costs):
        yield from (together | trace for trace in _band(found, colour, measure))
        line = {"color": colour, "width": 3, "shape": "hv"}
        yield together | _mean(found, f"{escape(arm.name)} ({found.n})", line, measure)
    if (clones := arm.clones) is not None and len(clones.costs):
        line = {"color": colour, "width": 1.8, "shape": "hv", "dash": "dash"}
        yield together | _mean(
            clones, f"{escape(arm.name)}: best clone ({clones.n})", line, measure
        )


def _run(run: ComparedRun, colour: str, measure: Measure) -> dict[str, Any]:
    curve, name = run.trace.curve, escape(run.name)
    assert curve is not None
    hints = [
        f"{name}, seed {seed_text(run)}<br>{step.individual.id}: {measure.name} "
        f"{number(measure.value(step.individual))} after {cost_text(step.cost)}"
        for step in run.trace.leaders
    ]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": _rounded(curve.costs),
        "y": _rounded(measure.sign * curve.values),
        "line": {"color": colour, "width": 1, "shape": "hv"},
        "marker": {"color": colour, "size": [4] * len(hints) + [0]},
        "opacity": 0.45,
        "text": [*hints, f"{name} stands here"],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _band(band: Band, colour: str, measure: Measure) -> Iterator[dict[str, Any]]:
    if band.low is None or band.high is None:
        return
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    for values, fill in ((band.low, "none"), (band.high, "tonexty")):
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": _rounded(band.costs),
            "y": _rounded(measure.sign * values),
            "line": {"width": 0, "shape": "hv"},
            "fill": fill,
            "fillcolor": f"rgba({red},{green},{blue},0.14)",
            "hoverinfo": "skip",
            "showlegend": False,
        }


def _mean(band: Band, name: str, line: dict[str, Any], measure: Measure) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _rounded(band.costs),
        "y": _rounded(measure.sign * band.mean),
        "line": line,
        "hoverinfo": "skip",
    }


def seeds_figure(comparison: Comparison) -> Figure:
    """Return what each run had found at equal cost, runs of the same seed joined."""
    assert comparison.budget is not None
    sign, names = comparison.measure.sign, [arm.name for arm in comparison.compared]
    found = {arm.name: arm.by_seed(comparison.budget) for arm in comparison.compared}
    seeds = list(dict.fromkeys(seed for values in found.values() for seed in values))
    data = []
    for seed in seeds:
        values = [found[name].get(seed) for name in names]
        text = str(seed[0]) if seed[0] == seed[1] else f"{seed[0]}, {seed[1]}"
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"seed {text}",
                "x": [escape(name) for name in names],
                "y": [None if value is None else sign * value for value in values],
                "line": {"width": 1.2, "color": "#94a3b8"},
                "marker": {"size": 9, "color": [colour_of(_place(comparison, n)) for n in names]},
                "hovertemplate": f"seed {text}: %{{y:.4g}}<extra>%{{x}}</extra>",
                "connectgaps": False,
                "showlegend": False,
            }
        )
    x_axis = {"type": "category", "range": [-0.5, len(names) - 0.5], "showgrid": False}
    y_axis = {"title": titled(f"{comparison.measure.name} at equal cost")}
    return {"data": data, "layout": layout(360, x_axis, y_axis)}


def _place(comparison: Comparison, name: str) -> int:
    return [arm.name for arm in comparison.arms].index(name)


def _rounded(values: Array) -> list[float]:
    """Return values of eight digits: more are no use in a figure."""
    return [float(f"{value:.8g}") for value in np.asarray(values)]
