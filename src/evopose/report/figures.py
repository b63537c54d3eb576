"""The page's figures as Plotly's own JSON: {"data": [...], "layout": {...}}, plain values only."""

import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.effects import Effect, mutation_effects
from evopose.report.facts import SearchFacts, fitness_of, is_finished, mean_oks_of
from evopose.report.tables import changes_text
from evopose.report.text import count, number

Figure = dict[str, Any]

INK, MUTED, GRID = "#1f2937", "#64748b", "#e8ecf1"
CHILD, BEST, CLONE, PARETO, WINNER = "#94a3b8", "#4f46e5", "#ea7317", "#0d9488", "#e11d48"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"

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
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#cbd5e1", "align": "left"},
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


def progress_figure(facts: SearchFacts) -> Figure:
    """Return the fitness of children, their best, the best so far and the clone by generation."""
    generations = facts.generations
    children = thin(facts.ranked, MOST_DOTS)
    clones = [g.clone for g in generations if g.clone is not None]
    leaders = [g.best for g in generations if g.best is not None]
    so_far = [(g.number, g.best_so_far) for g in generations if g.best_so_far is not None]
    x = _spread(children)
    many = len(generations) > 60
    data = [
        _dots("children", x, children, {"color": CHILD, "size": 6, "opacity": 0.6}),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": [number for number, _ in so_far],
            "y": [fitness_of(one) for _, one in so_far],
            "line": {"color": BEST, "width": 2.5, "shape": "hv"},
            "hoverinfo": "skip",
        },
        _dots(
            "clone (training without a mutation)",
            [one.generation for one in clones],
            clones,
            {
                "color": CLONE,
                "symbol": "diamond",
                "size": 5 if many else 11,
                "line": {"color": "#ffffff", "width": 1},
            },
        ),
        _dots(
            "best of the generation",
            [one.generation for one in leaders],
            leaders,
            {"color": BEST, "size": 4 if many else 8, "line": {"color": "#ffffff", "width": 1}},
        ),
    ]
    values = [fitness_of(one) for one in children]
    needed = [fitness_of(one) for one in (*(one for _, one in so_far), *clones)]
    ticks = {"dtick": 1} if len(generations) <= 25 else {}
    return {
        "data": data,
        "layout": layout(
            430,
            {"title": titled("generation"), **ticks, "showgrid": False},
            {"title": titled("fitness J (lower is better)"), "range": clear_range(values, needed)},
        ),
    }


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


def _spread(individuals: Sequence[Individual]) -> list[float]:
    """Return each one's generation, moved aside a little so that dots lie beside each other."""
    seen: dict[int, int] = defaultdict(int)
    places = []
    for one in individuals:
        seen[one.generation] += 1
        # The golden ratio spreads any number of dots evenly, whichever were left out.
        turn = (seen[one.generation] * 0.618034) % 1 if one.generation else 0.5
        places.append(round(one.generation + 0.5 * (turn - 0.5), 3))
    return places


def _dots(
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
        "hovertemplate": "%{text}<extra></extra>",
    }


def trade_off_figure(facts: SearchFacts) -> Figure:
    """Return loss against parameters (logarithmic) with the Pareto set and the winner."""
    front = [one for one in facts.ranked if one.id in facts.pareto_ids]
    others = [one for one in facts.ranked if one.id not in facts.pareto_ids]
    shown = thin(others, MOST_DOTS) if others else []
    edge = _lower_edge(front)
    data = [
        _losses("other individuals", shown, {"color": CHILD, "size": 6, "opacity": 0.6}),
        {
            "type": "scatter",
            "mode": "lines",
            "x": [one.num_parameters for one in edge],
            "y": [one.loss for one in edge],
            "line": {"color": PARETO, "width": 1.5, "shape": "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        _losses(
            "Pareto set", front, {"color": PARETO, "size": 9, "line": {"color": "#fff", "width": 1}}
        ),
        _losses(
            "winner (lowest J)",
            facts.ranked[:1],
            {"color": WINNER, "symbol": "star", "size": 15, "line": {"color": "#fff", "width": 1}},
        ),
    ]
    losses = [one.loss for one in (*shown, *front) if one.loss is not None]
    x_axis = {
        "title": titled("parameters (logarithmic)"),
        "type": "log",
        "tickformat": "~s",
        "nticks": 8,
    }
    y_axis = {"title": titled("validation loss"), "range": clear_range(losses)}
    return {"data": data, "layout": layout(430, x_axis, y_axis)}


def _losses(name: str, members: Sequence[Individual], marker: dict[str, Any]) -> dict[str, Any]:
    dots = _dots(name, [one.num_parameters for one in members], members, marker)
    return dots | {"y": [one.loss for one in members]}


def _lower_edge(front: Sequence[Individual]) -> list[Individual]:
    """Return those of the Pareto set that none beats in loss and parameters, by parameters.

    Multiply-adds alone keep the others in the set, so a line through all would zigzag.
    """
    edge: list[Individual] = []
    for one in sorted(front, key=lambda o: (o.num_parameters, o.loss)):
        if not edge or (one.loss or 0) < (edge[-1].loss or 0):
            edge.append(one)
    return edge


def effects_figure(facts: SearchFacts) -> Figure:
    """Return a box a kind of mutation: change of fitness from the parent and from the clone."""
    effects = mutation_effects(facts)
    data = [
        _boxes("from the parent", [(e, e.from_parent) for e in effects], CHILD),
        _boxes("from the generation's clone", [(e, e.from_clone) for e in effects], CLONE),
    ]
    values = [v for e in effects for v in (*e.from_parent, *e.from_clone)]
    x_axis = {
        "title": titled("change of fitness J (left is better)"),
        "zeroline": True,
        "zerolinecolor": INK,
        "zerolinewidth": 1.5,
        "range": clear_range(values),
    }
    y_axis = {"autorange": "reversed", "showgrid": False}
    height = 130 + 62 * len(effects)
    more = {"boxmode": "group", "boxgap": 0.3, "boxgroupgap": 0.15}
    return {"data": data, "layout": layout(height, x_axis, y_axis, **more)}


def _boxes(
    name: str, values: Sequence[tuple[Effect, tuple[float, ...]]], colour: str
) -> dict[str, Any]:
    """Return one trace of horizontal boxes with their dots beside them."""
    rows = [(e.kind, change) for e, changes in values for change in _even(changes, 400)]
    return {
        "type": "box",
        "orientation": "h",
        "name": name,
        "x": [change for _, change in rows],
        "y": [kind for kind, _ in rows],
        "boxpoints": "all",
        "jitter": 0.6,
        "pointpos": 0,
        "marker": {"color": colour, "size": 4, "opacity": 0.65},
        "line": {"color": colour, "width": 1.5},
        "fillcolor": "rgba(255,255,255,0)",
        "hoverinfo": "x",
    }


def _even(values: Sequence[float], limit: int) -> list[float]:
    """Return at most `limit` of the values, evenly chosen by rank."""
    ranked = sorted(values)
    if len(ranked) <= limit:
        return ranked
    return [ranked[round(i * (len(ranked) - 1) / (limit - 1))] for i in range(limit)]
