"""The figures of a search as Plotly's own JSON: {"data": [...], "layout": {...}}."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.effects import Effect
from evopose.report.facts import SearchFacts, fitness_of
from evopose.report.plotting import (
    BEST,
    CHILD,
    CLONE,
    INK,
    MOST_DOTS,
    PARETO,
    WINNER,
    Figure,
    clear_range,
    dots,
    generation_axis,
    layout,
    thin,
    titled,
)


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
        dots("children", x, children, {"color": CHILD, "size": 6, "opacity": 0.6}),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": [number for number, _ in so_far],
            "y": [fitness_of(one) for _, one in so_far],
            "line": {"color": BEST, "width": 2.5, "shape": "hv"},
            "hoverinfo": "skip",
        },
        dots(
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
        dots(
            "best of the generation",
            [one.generation for one in leaders],
            leaders,
            {"color": BEST, "size": 4 if many else 8, "line": {"color": "#ffffff", "width": 1}},
        ),
    ]
    values = [fitness_of(one) for one in children]
    needed = [fitness_of(one) for one in (*(one for _, one in so_far), *clones)]
    return {
        "data": data,
        "layout": layout(
            430,
            generation_axis(generations[-1].number),
            {"title": titled("fitness J (lower is better)"), "range": clear_range(values, needed)},
        ),
    }


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


def trade_off_figure(facts: SearchFacts) -> Figure:
    """Return error against parameters (logarithmic) with the Pareto set and the winner."""
    front = [one for one in facts.ranked if one.id in facts.pareto_ids]
    others = [one for one in facts.ranked if one.id not in facts.pareto_ids]
    shown = thin(others, MOST_DOTS) if others else []
    edge = _lower_edge(front)
    data = [
        _errors("other individuals", shown, {"color": CHILD, "size": 6, "opacity": 0.6}),
        {
            "type": "scatter",
            "mode": "lines",
            "x": [one.num_parameters for one in edge],
            "y": [one.error for one in edge],
            "line": {"color": PARETO, "width": 1.5, "shape": "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        _errors(
            "Pareto set", front, {"color": PARETO, "size": 9, "line": {"color": "#fff", "width": 1}}
        ),
        _errors(
            "winner",
            [facts.winner] if facts.winner else [],
            {"color": WINNER, "symbol": "star", "size": 15, "line": {"color": "#fff", "width": 1}},
        ),
    ]
    errors = [one.error for one in (*shown, *front) if one.error is not None]
    x_axis = {
        "title": titled("parameters (logarithmic)"),
        "type": "log",
        "tickformat": "~s",
        "nticks": 8,
    }
    named = f"{facts.error_name} on the fitness persons"
    y_axis = {"title": titled(named), "range": clear_range(errors)}
    return {"data": data, "layout": layout(430, x_axis, y_axis)}


def _errors(name: str, members: Sequence[Individual], marker: dict[str, Any]) -> dict[str, Any]:
    shown = dots(name, [one.num_parameters for one in members], members, marker)
    return shown | {"y": [one.error for one in members]}


def _lower_edge(front: Sequence[Individual]) -> list[Individual]:
    """Return those of the Pareto set that none beats in error and parameters, by parameters.

    Multiply-adds alone keep the others in the set, so a line through all would zigzag.
    """
    edge: list[Individual] = []
    for one in sorted(front, key=lambda o: (o.num_parameters, o.error)):
        if not edge or (one.error or 0) < (edge[-1].error or 0):
            edge.append(one)
    return edge


def effects_figure(effects: Sequence[Effect]) -> Figure:
    """Return a box a kind of mutation: change of fitness from the parent and from the clone."""
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
        "rangemode": "tozero",
        "range": clear_range(values, [0.0]),
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
