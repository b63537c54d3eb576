"""What children inherited and where they began, recomputed by NumPy."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evopose.evolution.individual import Individual
from evopose.genotype import Change
from evopose.report.effects import SEVERAL, kind_order, mutation_kind
from evopose.report.facts import SearchFacts, is_finished
from evopose.report.inheritance import (
    CLONES,
    inheritance_table,
    inheritances,
    shares_figure,
    starts_figure,
)


@pytest.fixture
def began(search: list[Individual]) -> list[Individual]:
    """The search, each child's loss before training noted."""
    by_id = {one.id: one for one in search}

    def start(one: Individual) -> Individual:
        parent = by_id.get(one.parent_id or "")
        if parent is None or not is_finished(one):
            return one
        return replace(one, result=one.result | {"start_loss": parent.loss + 0.01})

    return [start(one) for one in search]


def test_each_kind_of_mutation_has_its_children(
    began: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    found = {one.kind: one for one in inheritances(facts_of(began))}
    members: dict[str, list[Individual]] = {}
    for one in began:
        if one.kind != "ancestor" and is_finished(one):
            kind = CLONES if one.kind == "clone" else mutation_kind(one)
            members.setdefault(kind, []).append(one)
    assert set(found) == set(members)
    assert list(found)[-1] == CLONES
    for kind, group in members.items():
        shares = [one.result["transfer"]["share_inherited"] for one in group]
        assert sorted(found[kind].shares) == sorted(shares)
        assert found[kind].end_losses == tuple(one.loss for one in group)
        starts = np.array(found[kind].start_losses)
        assert starts == pytest.approx(np.array(found[kind].parent_losses) + 0.01)
    rows = {row["mutation"]: row for row in inheritance_table(tuple(found.values()))}
    (clones,) = [row for kind, row in rows.items() if kind == CLONES]
    assert clones["children"] == "6"
    middle = np.median([one.result["start_loss"] for one in members[CLONES]])
    assert float(clones["loss at start"]) == pytest.approx(middle, rel=1e-3)


def test_figures_show_the_medians(
    began: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    found = inheritances(facts_of(began))
    (box,) = shares_figure(found)["data"]
    assert len(box["x"]) == sum(len(one.shares) for one in found)
    marks = {trace["name"]: trace for trace in starts_figure(found)["data"] if "name" in trace}
    assert marks["at the end"]["x"] == [np.median(one.end_losses) for one in found]
    assert marks["at the end"]["y"] == [one.kind for one in found]


def test_what_nobody_noted_is_left_out(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    assert inheritances(facts_of([replace(one, result={}) for one in search])) == ()
    found = inheritances(facts_of(search))
    assert all(one.shares and not one.start_losses for one in found)
    assert {row["loss at start"] for row in inheritance_table(found)} == {""}


def test_kinds_of_any_gene_have_names_and_an_order(search: list[Individual]) -> None:
    mutant = next(one for one in search if one.kind == "mutant")

    def kind(gene: str, before: object, after: object) -> str:
        change = Change(stage=0, gene=gene, before=before, after=after)
        return mutation_kind(replace(mutant, changes=(change,)))

    assert kind("input_size", "96x64", "128x96") == "input size up"
    assert kind("activation", "silu", "relu") == "activation"
    kinds = ["activation", SEVERAL, "stride up", "kernel down", "kernel up"]
    assert kind_order(kinds) == ["kernel up", "kernel down", "stride up", "activation", SEVERAL]
