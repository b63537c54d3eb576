"""What the figures have in common: colours, axes, what a pointer shows, how many dots."""

import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.facts import fitness_of, is_finished, mean_oks_of
from evopose.report.tables import changes_text, latency_text
from evopose.report.text import count, number

Figure = dict[str, Any]

INK, MUTED, GRID = "#1f2937", "#64748b", "#e8ecf1"
CHILD, BEST, CLONE, PARETO, WINNER = "#94a3b8", "#4f46e5", "#ea7317", "#0d9488", "#e11d48"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

HOVER_LABEL = {
    "bgcolor": "#ffffff",
    "bordercolor": "#cbd5e1",
    "align": "left",
    "font": {"family": FONT, "color": INK},
}
"""How what a pointer shows looks."""

MOST_DOTS = 4000
"""Dots in a figure; of more, an even choice by fitness is drawn."""


def titled(text: str) -> dict[str, Any]:
    """Return an axis' title."""
    return {"text": text, "standoff": 8, "font": {"size": 13}}


def layout(height: int, x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a Plotly layout in the page's style, its legend above the figure."""
    axis = {
        "gridcolor": GRID,
        "linecolor": "#cbd5e1",
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "tickcolor": "#cbd5e1",
    }
    return {
        "height": height,
        "autosize": True,
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 56, "r": 16, "t": 44, "b": 48},
        "hovermode": "closest",
        "hoverlabel": HOVER_LABEL,
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
        "xaxis": axis | x,
        "yaxis": axis | y,
        **more,
    }


def hover(one: Individual) -> str:
    """Return what is shown when a pointer rests on an individual, in Plotly's few HTML tags."""
    figures = {
        "J": number(one.fitness),
        "loss": number(one.loss),
        "mean OKS": number(mean_oks_of(one), 3),
        "parameters": count(one.num_parameters),
        "multiply-adds": count(one.num_macs),
        "latency": latency_text(one),
    }
    lines = [
        f"<b>{one.id}</b> · {one.kind} of generation {one.generation}",
        " · ".join(f"{label} {value}" for label, value in figures.items() if value),
        changes_text(one),
        str(one.genotype),
        "" if is_finished(one) else (one.fail_reason or one.status).partition("\n")[0][:120],
    ]
    head, *rest = lines
    return "<br>".join([head, *(escape(line) for line in rest if line)])


def thin(individuals: Sequence[Individual], limit: int) -> list[Individual]:
    """Return at most `limit` finished individuals: each generation's best, worst, and an even
    choice between."""
    groups: dict[int, list[Individual]] = defaultdict(list)
    for one in individuals:
        groups[one.generation].append(one)
    if len(individuals) <= limit:
        return list(individuals)
    share = max(2, limit // len(groups))
    kept: list[Individual] = []
    for members in groups.values():
        ranked = sorted(members, key=fitness_of)
        step = (len(ranked) - 1) / (share - 1)
        places = range(len(ranked)) if step <= 1 else (round(i * step) for i in range(share))
        kept += [ranked[place] for place in places]
    return kept


def generation_axis(last: int) -> dict[str, Any]:
    """Return a horizontal axis of generations."""
    ticks = {"dtick": 1} if last <= 12 else {}
    room = max(0.4, 0.02 * last)
    axis = {"title": titled("generation"), "range": [-room, last + room], "showgrid": False}
    return axis | ticks


def clear_range(
    values: Sequence[float], needed: Sequence[float] = ()
) -> tuple[float, float] | None:
    """Return the range of an axis that leaves a few far outliers out, or None to show all.

    One child that all but diverged would otherwise flatten everything else. `needed` stays in.
    """
    ranked = sorted(values)
    if len(ranked) < 8:
        return None
    bulk = ranked[: math.ceil(0.95 * len(ranked))]
    low, high = min(*needed, bulk[0], bulk[-1]), max(*needed, bulk[0], bulk[-1])
    near = [value for value in ranked if value <= high + 0.5 * (high - low)]
    if len(near) == len(ranked):
        return None
    high = max(high, near[-1])
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def dots(
    name: str,
    x: Sequence[float],
    individuals: Sequence[Individual],
    marker: dict[str, Any],
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": [one.fitness for one in individuals],
        "marker": marker,
        "text": [hover(one) for one in individuals],
        "customdata": [one.id for one in individuals],
        "hovertemplate": "%{text}<extra></extra>",
    }
