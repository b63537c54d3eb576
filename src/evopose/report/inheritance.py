"""What children inherited, and where training took them from there, by kind of mutation."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.effects import kind_order, mutation_kind
from evopose.report.facts import SearchFacts, is_finished, start_loss_of, transfer_of
from evopose.report.plotting import BEST, CHILD, CLONE, Figure, clear_range, layout, titled
from evopose.report.tables import Row
from evopose.report.text import number, percent

CLONES = "no mutation (clone)"


@dataclass(frozen=True, kw_only=True)
class Inheritance:
    """What the children of one kind of mutation began with and came to."""

    kind: str
    shares: tuple[float, ...]
    """Share of each child's parameters that it inherited."""
    parent_losses: tuple[float, ...]
    """Each child's parent's loss, when that was trained; for children with a start loss."""
    start_losses: tuple[float, ...]
    """Loss of each child after inheriting, before any training."""
    end_losses: tuple[float, ...]
    """Loss of the same children, trained."""


def inheritances(facts: SearchFacts) -> tuple[Inheritance, ...]:
    """Return what each kind of mutation left its children, genes in their usual order, the clones
    last; kinds of which nothing is recorded are left out."""
    children: dict[str, _Children] = defaultdict(_Children)
    # One after the other as they lie in memory: of many, kind after kind takes twice as long.
    for one in facts.individuals:
        if one.kind == "clone":
            children[CLONES].add(one, facts)
        elif one.kind == "mutant" and one.changes:
            children[mutation_kind(one)].add(one, facts)
    kinds = kind_order([kind for kind in children if kind != CLONES])
    kinds += [CLONES] if CLONES in children else []
    found = [children[kind].inheritance(kind) for kind in kinds]
    return tuple(one for one in found if one.shares or one.start_losses)


@dataclass
class _Children:
    """What is noted of the children of one kind of mutation."""

    shares: list[float] = field(default_factory=list)
    losses: list[tuple[float, float, float]] = field(default_factory=list)
    """The parent's, at the start, at the end."""

    def add(self, one: Individual, facts: SearchFacts) -> None:
        transfer = transfer_of(one)
        if "share_inherited" in transfer:
            self.shares.append(float(transfer["share_inherited"]))
        parent, start = facts.by_id.get(one.parent_id or ""), start_loss_of(one)
        if start is None or not is_finished(one) or parent is None or parent.loss is None:
            return
        self.losses.append((parent.loss, start, one.loss or 0.0))

    def inheritance(self, kind: str) -> Inheritance:
        return Inheritance(
            kind=kind,
            shares=tuple(self.shares),
            parent_losses=tuple(before for before, _, _ in self.losses),
            start_losses=tuple(start for _, start, _ in self.losses),
            end_losses=tuple(end for _, _, end in self.losses),
        )


def inheritance_table(found: tuple[Inheritance, ...]) -> list[Row]:
    """Return the medians of each kind as rows."""

    def middle(values: tuple[float, ...], text: Callable[[float | None], str]) -> str:
        return text(median(values)) if values else ""

    return [
        {
            "mutation": one.kind,
            "children": str(max(len(one.shares), len(one.start_losses))),
            "parameters inherited": middle(one.shares, percent),
            "least inherited": percent(min(one.shares)) if one.shares else "",
            "parent's loss": middle(one.parent_losses, number),
            "loss at start": middle(one.start_losses, number),
            "loss at end": middle(one.end_losses, number),
        }
        for one in found
    ]


def shares_figure(found: tuple[Inheritance, ...]) -> Figure:
    """Return a box a kind of mutation: the share of its children's parameters inherited."""
    shown = [one for one in found if one.shares]
    data = [
        {
            "type": "box",
            "orientation": "h",
            "name": "share inherited",
            "x": [share for one in shown for share in _even(one.shares)],
            "y": [one.kind for one in shown for _ in _even(one.shares)],
            "boxpoints": "all",
            "jitter": 0.6,
            "pointpos": 0,
            "marker": {"color": BEST, "size": 4, "opacity": 0.55},
            "line": {"color": BEST, "width": 1.5},
            "fillcolor": "rgba(255,255,255,0)",
            "hoverinfo": "x",
            "showlegend": False,
        }
    ]
    least = min((share for one in shown for share in one.shares), default=0.0)
    x_axis = {
        "title": titled("share of the child's parameters that it inherited"),
        "tickformat": ".0%" if least < 0.9 else ".1%",
        "range": [least - 0.04 * (1 - least) - 0.002, 1 + 0.04 * (1 - least) + 0.002],
    }
    return _figure(data, x_axis, len(shown))


def starts_figure(found: tuple[Inheritance, ...]) -> Figure:
    """Return a line a kind of mutation: median loss at the start and at the end."""
    shown = [one for one in found if one.start_losses]
    kinds = [one.kind for one in shown]
    starts = [median(one.start_losses) for one in shown]
    ends = [median(one.end_losses) for one in shown]
    parents = [median(one.parent_losses) for one in shown]
    x: list[float | None] = []
    y: list[str | None] = []
    for kind, start, end in zip(kinds, starts, ends, strict=True):
        x += [start, end, None]
        y += [kind, kind, None]
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
         "line": {"color": "#cbd5e1", "width": 3}, "showlegend": False},
        _marks("the parent's loss", parents, kinds, {"color": CHILD, "symbol": "line-ns-open",
                                                     "size": 14, "line": {"width": 2}}),
        _marks("at the start, with inherited weights", starts, kinds,
               {"color": CLONE, "size": 10}),
        _marks("at the end", ends, kinds, {"color": BEST, "size": 10}),
    ]  # fmt: skip
    x_axis = {
        "title": titled("median loss on the fitness persons"),
        "range": clear_range(starts, [*ends, *parents]),
    }
    return _figure(data, x_axis, len(shown))


def _marks(
    name: str, values: list[float], kinds: list[str], marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": values,
        "y": kinds,
        "marker": marker,
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }


def _figure(data: list[dict[str, Any]], x_axis: dict[str, Any], rows: int) -> Figure:
    y_axis = {"autorange": "reversed", "showgrid": False, "type": "category"}
    return {"data": data, "layout": layout(120 + 34 * rows, x_axis, y_axis)}


def _even(values: tuple[float, ...], limit: int = 400) -> list[float]:
    """Return at most `limit` of the values, evenly chosen by rank."""
    ranked = sorted(values)
    if len(ranked) <= limit:
        return ranked
    return [ranked[round(i * (len(ranked) - 1) / (limit - 1))] for i in range(limit)]
