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
from evopose.report.plotting import CLONE, WINNER, Figure, generation_axis, hover, layout

MOST_DRAWN = 2500
"""Individuals in the tree; of more, the winner's line, the Pareto set and the best are drawn."""

STEPS = 14
"""Straight pieces in one curved line."""

Point = tuple[float, float]
Path = tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Where everything lies: x is the generation, y from 0 (top) to 1."""

    members: tuple[Individual, ...]
    """Who is in it."""
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
    """Return the tree of individuals that holds the parent of each (where it has one).

    Those who come from the same item lie together, the one with most offspring in their middle, so
    that long lines run straight.
    """
    columns: dict[int, list[Individual]] = defaultdict(list)
    until: dict[str, int] = {one.id: one.generation for one in individuals}
    for one in individuals:
        columns[one.generation].append(one)
        if one.parent_id is not None:
            until[one.parent_id] = max(until[one.parent_id], one.generation)
    weight = _weights(individuals)
    tree = Tree(members=tuple(individuals), places={}, passing={})
    before: dict[str, float] = {}
    for generation in range(min(columns, default=0), max(columns, default=-1) + 1):
        groups: dict[tuple[float, str], list[str]] = defaultdict(list)
        for name, y in before.items():
            if until[name] > generation:
                groups[y, name].append(name)
        for one in columns.get(generation, []):
            source = one.parent_id or ""
            groups[before.get(source, 0.5), source].append(one.id)
        order = [name for key in sorted(groups) for name in _middle_out(groups[key], weight)]
        before = {name: (i + 0.5) / len(order) for i, name in enumerate(order)}
        born = {one.id for one in columns.get(generation, [])}
        for name, y in before.items():
            if name in born:
                tree.places[name] = (float(generation), y)
            else:
                tree.passing[name, generation] = y
    return tree


def _weights(individuals: Sequence[Individual]) -> dict[str, tuple[int, float]]:
    """Return how much each belongs in the middle: its number of descendants, then its fitness."""
    descendants: dict[str, int] = defaultdict(int)
    for one in sorted(individuals, key=lambda one: -one.generation):
        if one.parent_id is not None:
            descendants[one.parent_id] += 1 + descendants[one.id]
    return {o.id: (descendants[o.id], -fitness_of(o) if is_finished(o) else -inf)
            for o in individuals}  # fmt: skip


def _middle_out(names: list[str], weight: dict[str, tuple[int, float]]) -> list[str]:
    """Return the names with the heaviest in the middle and the others falling off to both sides."""
    ranked = sorted(names, key=lambda name: weight[name], reverse=True)
    return [*ranked[1::2][::-1], *ranked[::2]]


def choose(facts: SearchFacts, limit: int = MOST_DRAWN) -> tuple[Individual, ...]:
    """Return who is drawn, in the order of birth: everyone if they are few, else the winner's
    line, the Pareto set and the best, with their lines back to the start. Never repeats."""
    if len(facts.individuals) <= limit:
        return tuple(one for one in facts.individuals if one.kind != "repeat")
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


def tree_figure(facts: SearchFacts, tree: Tree) -> Figure:
    """Return the family tree, coloured by fitness, the winner's line in its own colour."""
    columns: dict[float, int] = defaultdict(int)
    for x in (*(x for x, _ in tree.places.values()), *(float(g) for _, g in tree.passing)):
        columns[x] += 1
    fullest = max(columns.values(), default=1)
    height = int(min(1000, max(380, 120 + 13 * fullest)))
    y_axis = {"visible": False, "range": [1.0, 0.0]}
    return {
        "data": [*_edges(facts, tree), *_nodes(facts, tree)],
        "layout": layout(height, generation_axis(int(max(columns, default=0))), y_axis),
    }


def _edges(facts: SearchFacts, tree: Tree) -> Iterable[dict[str, Any]]:
    drawn = tree.members
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


def _nodes(facts: SearchFacts, tree: Tree) -> Iterable[dict[str, Any]]:
    drawn = tree.members
    winner = facts.winner
    finished = [o for o in drawn if is_finished(o) and o.competes and o is not winner]
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
    return {"cmin": ranked[0], "cmax": ranked[(3 * len(ranked)) // 4]} if len(ranked) > 1 else {}


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
        "customdata": [one.id for one in individuals],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": bool(individuals),
    }
