"""What the page's script knows of the individuals: compact JSON for `lineage.js`."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from evopose.evolution.individual import Individual
from evopose.report.facts import (
    SearchFacts,
    is_finished,
    latency_of,
    mean_oks_of,
    start_loss_of,
    transfer_of,
)
from evopose.report.tables import changes_text
from evopose.report.tree import Tree

MOST_EMBEDDED = 10_000
"""Most individuals on the page; of more, those that are drawn or named and their lines."""

MOST_POINTS = 40
"""Epochs of a training curve; of more, an even choice."""


def embedded(facts: SearchFacts, named: Iterable[str]) -> tuple[Individual, ...]:
    """Return who is on the page: everyone if they are few, else those `named` with their ancestors,
    the clones and the repeats among them; the first named first, as long as there is room."""
    if len(facts.individuals) <= MOST_EMBEDDED:
        return facts.individuals
    chosen: set[str] = set()
    for name in named:
        line: list[str] = []
        one = facts.by_id.get(name)
        while one is not None and one.id not in chosen:
            line.append(one.id)
            one = facts.by_id.get(one.parent_id or "")
        if len(chosen) + len(line) <= MOST_EMBEDDED:
            chosen.update(line)
    return tuple(one for one in facts.individuals if one.id in chosen)


def page_data(facts: SearchFacts, tree: Tree, named: Iterable[str] = ()) -> dict[str, Any]:
    """Return what `lineage.js` works on, as JSON values.

    `individuals` holds a record each: what is not known is left out of it. `tree` maps an id to the
    way from its parent: [y, ...] by generation, the last its own.
    """
    chosen = embedded(facts, named)
    children: dict[str, list[str]] = defaultdict(list)
    shown = {one.id for one in chosen}
    totals: dict[str, int] = defaultdict(int)
    for one in facts.individuals:
        if one.parent_id is not None and one.kind != "repeat":
            totals[one.parent_id] += 1
            if one.id in shown:
                children[one.parent_id].append(one.id)
    repeats: dict[str, list[str]] = defaultdict(list)
    for one in facts.individuals:
        if one.kind == "repeat":
            repeats[str(one.birth)].append(one.id)
    histories = facts.histories_of(chosen)
    records = {}
    for one in chosen:
        family = {
            "children": children.get(one.id),
            "more": (totals[one.id] - len(children.get(one.id, ()))) or None,
            "repeats": repeats.get(one.id) if one.competes else None,
        }
        known = _record(one, json.loads(histories.get(one.id, "[]"))) | family
        records[one.id] = {key: value for key, value in known.items() if value not in (None, "")}
    return {"individuals": records, "tree": _ways(facts, tree)}


def _record(one: Individual, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    transfer = transfer_of(one)
    return {
        "kind": one.kind,
        "generation": one.generation or None,
        "parent": one.parent_id,
        "of": str(one.birth) if one.kind == "repeat" else None,
        "seed": one.seed if one.kind == "repeat" else None,
        "change": changes_text(one),
        "genes": str(one.genotype),
        "status": None if is_finished(one) else one.status,
        "reason": (one.fail_reason or "").partition("\n")[0][:200],
        "J": _rounded(one.fitness),
        "loss": _rounded(one.loss),
        "oks": _rounded(mean_oks_of(one)),
        "parameters": one.num_parameters,
        "macs": one.num_macs,
        "latency": _rounded(latency_of(one)),
        "inherited": _rounded(transfer.get("share_inherited")),
        "preserves": transfer.get("preserves_function"),
        "reasons": "; ".join(map(str, transfer.get("reasons", ())))[:300],
        "start": _rounded(start_loss_of(one)),
        "seconds": _rounded(one.seconds),
        "val": _curve(history, "val_loss"),
        "train": _curve(history, "train_loss"),
    }


def _curve(history: Sequence[dict[str, Any]], name: str) -> list[list[float]] | None:
    """Return [epoch, loss] pairs, the first and last among them."""
    points = [
        [record["epoch"], value]
        for record in history
        if "epoch" in record and (value := _rounded(record.get(name))) is not None
    ]
    if len(points) > MOST_POINTS:
        step = (len(points) - 1) / (MOST_POINTS - 1)
        points = [points[round(i * step)] for i in range(MOST_POINTS)]
    return points or None


def _rounded(value: Any) -> float | None:
    """Return a number with five digits; None for what is none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def _ways(facts: SearchFacts, tree: Tree) -> dict[str, list[float]]:
    ways = {}
    for name, (_, y) in tree.places.items():
        parent = facts.by_id.get(facts.by_id[name].parent_id or "")
        points = tree.path(parent, facts.by_id[name]) if parent is not None else ((0.0, y),)
        ways[name] = [round(point[1], 4) for point in points]
    return ways


def json_script(value: dict[str, Any], element_id: str) -> str:
    """Return a script element that holds JSON; nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{element_id}">{text}</script>'
