"""The family tree: one column a generation, in an order in which no two lines cross.

An individual that still has children to come goes on through the following columns as a line, so
every item of a column comes from exactly one item of the column before; ordered by where they come
from, they never cross.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.facts import SearchFacts, fitness_of, is_failed, is_finished
from evopose.report.figures import CLONE, WINNER, Figure, hover, layout, titled

MOST_DRAWN = 2500
"""Individuals in the tree; of more, the winner's line, the Pareto set and the best are drawn."""

STEPS = 14
"""Straight pieces in one curved line."""

Point = tuple[float, float]
Path = tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Where everything lies: x is the generation, y from 0 (top) to 1."""

    places: dict[str, Point]
    """Each individual's place."""
    passing: dict[tuple[str, int], float]
    """(id, generation) -> y, where an individual passes through a later generation's column."""

    def path(self, parent: Individual, child: Individual) -> Path:
        """Return the way from a parent to its child, by the columns that it passes."""
        between = range(parent.generation + 1, child.generation)
        passed = [(float(g), self.passing[parent.id, g]) for g in between if (parent.id, g) in
                  self.passing]  # fmt: skip
        return (self.places[parent.id], *passed, self.places[child.id])


def arrange(individuals: Sequence[Individual]) -> Tree:
    """Return the tree of individuals that holds the parent of each (where it has one)."""
    columns: dict[int, list[Individual]] = defaultdict(list)
    until: dict[str, int] = {one.id: one.generation for one in individuals}
    for one in individuals:
        columns[one.generation].append(one)
        if one.parent_id is not None:
            until[one.parent_id] = max(until[one.parent_id], one.generation)
    fitness = {one.id: one.fitness if is_finished(one) else inf for one in individuals}
    tree = Tree(places={}, passing={})
    before: dict[str, float] = {}
    for generation in range(min(columns, default=0), max(columns, default=-1) + 1):
        members = columns.get(generation, [])
        items = [(before[name], name) for name in before if until[name] > generation]
        items += [(before.get(one.parent_id or "", 0.5), one.id) for one in members]
        items.sort(key=lambda item: (item[0], fitness[item[1]] or 0.0))
        born = {one.id for one in members}
        before = {name: (i + 0.5) / len(items) for i, (_, name) in enumerate(items)}
        for name, y in before.items():
            if name in born:
                tree.places[name] = (float(generation), y)
            else:
                tree.passing[name, generation] = y
    return tree


def choose(facts: SearchFacts, limit: int = MOST_DRAWN) -> tuple[Individual, ...]:
    """Return who is drawn, in the order of birth: everyone if they are few, else the winner's
    line, the Pareto set and the best, with their lines back to the start."""
    if len(facts.individuals) <= limit:
        return facts.individuals
    chosen: dict[str, Individual] = {}
    pareto = [one for one in facts.ranked if one.id in facts.pareto_ids]
    for one in (*facts.ranked[:1], *pareto, *facts.ranked):
        missing = []
        current: Individual | None = one
        while current is not None and current.id not in chosen:
            missing.append(current)
            current = facts.by_id.get(current.parent_id or "")
        if len(chosen) + len(missing) > limit:
            break
        chosen |= {found.id: found for found in missing}
    return tuple(one for one in facts.individuals if one.id in chosen)


def tree_figure(facts: SearchFacts) -> Figure:
    """Return the family tree, coloured by fitness, the winner's line in its own colour."""
    drawn = choose(facts)
    tree = arrange(drawn)
    columns: dict[float, int] = defaultdict(int)
    for x in (*(x for x, _ in tree.places.values()), *(float(g) for _, g in tree.passing)):
        columns[x] += 1
    fullest = max(columns.values(), default=1)
    height = int(min(1000, max(380, 120 + 13 * fullest)))
    ticks = {"dtick": 1} if len(columns) <= 25 else {}
    x_axis = {"title": titled("generation"), **ticks, "showgrid": False}
    y_axis = {"visible": False, "range": [1.0, 0.0]}
    return {
        "data": [*_edges(facts, drawn, tree), *_nodes(facts, drawn, tree)],
        "layout": layout(height, x_axis, y_axis),
    }


def _edges(facts: SearchFacts, drawn: Sequence[Individual], tree: Tree) -> Iterable[dict[str, Any]]:
    line = facts.lineage(facts.winner) if facts.winner else ()
    winning = {one.id for one in line}
    parents = {one.parent_id for one in drawn}
    kinds: dict[str, list[Path]] = {"childless": [], "parents": [], "winner": []}
    survivors: set[Path] = set()
    for one in drawn:
        if one.parent_id is None:
            continue
        path = tree.path(facts.by_id[one.parent_id], one)
        survivors |= {path[i : i + 2] for i in range(len(path) - 2)}
        kinds["parents" if one.id in parents else "childless"].append(path[-2:])
        if one.id in winning:
            kinds["winner"].append(path)
    yield _lines(kinds["childless"], "#cbd5e1", 0.7)
    yield _lines([*survivors, *kinds["parents"]], "#64748b", 1.4)
    yield _lines(kinds["winner"], WINNER, 3, name="the winner's line")


def _lines(
    paths: Iterable[Path], colour: str, width: float, name: str | None = None
) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for path in paths:
        for start, end in pairwise(path):
            for step in range(STEPS + 1):
                t = step / STEPS
                x.append(round(start[0] + t * (end[0] - start[0]), 3))
                y.append(round(start[1] + (3 - 2 * t) * t * t * (end[1] - start[1]), 4))
        x.append(None)
        y.append(None)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": colour, "width": width},
        "hoverinfo": "skip",
        "name": name or "",
        "showlegend": name is not None,
    }


def _nodes(facts: SearchFacts, drawn: Sequence[Individual], tree: Tree) -> Iterable[dict[str, Any]]:
    winner = facts.winner
    finished = [o for o in drawn if is_finished(o) and o.kind != "clone" and o is not winner]
    size = 9 if len(drawn) <= 400 else 7 if len(drawn) <= 1000 else 5
    waiting = [o for o in drawn if not is_finished(o) and not is_failed(o)]
    clones = [o for o in drawn if is_finished(o) and o.kind == "clone"]
    by_fitness = {
        "size": size,
        "color": [fitness_of(one) for one in finished],
        "colorscale": "Viridis",
        "line": {"color": "#ffffff", "width": 0.5},
        "colorbar": {"title": {"text": "J"}, "thickness": 12, "outlinewidth": 0, "len": 0.6},
    } | _colour_range([fitness_of(one) for one in finished])
    yield _marks("individual", finished, tree, by_fitness)
    yield _marks("clone", clones, tree, {"symbol": "diamond-open", "color": CLONE, "size": size})
    failed = [o for o in drawn if is_failed(o)]
    yield _marks("failed", failed, tree, {"symbol": "x-thin-open", "color": "#dc2626", "size": 6})
    yield _marks("not trained yet", waiting, tree, {"symbol": "circle-open", "color": "#94a3b8"})
    star = {"symbol": "star", "size": 16, "color": WINNER, "line": {"color": "#fff", "width": 1}}
    yield _marks("winner", [winner] if winner else [], tree, star)


def _colour_range(values: Sequence[float]) -> dict[str, float]:
    """Return colour limits that a few far outliers do not stretch."""
    ranked = sorted(values)
    return {"cmin": ranked[0], "cmax": ranked[(9 * len(ranked)) // 10]} if len(ranked) > 1 else {}


def _marks(
    name: str, individuals: Sequence[Individual], tree: Tree, marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [tree.places[one.id][0] for one in individuals],
        "y": [round(tree.places[one.id][1], 4) for one in individuals],
        "marker": marker,
        "text": [hover(one) for one in individuals],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": bool(individuals),
    }
