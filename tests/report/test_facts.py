"""The facts and effects of a search, recomputed here by other means."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from evopose.evolution.individual import Individual
from evopose.genotype import Change
from evopose.report.effects import SEVERAL, mutation_effects, mutation_kind
from evopose.report.facts import SearchFacts, is_failed, is_finished, transfer_of
from evopose.report.tables import (
    best_table,
    columns_of,
    effects_table,
    failures_table,
    gain_text,
    progress_text,
    summary_lines,
)


def array(individuals: list[Individual], name: str) -> np.ndarray:
    values = [getattr(one, name) for one in individuals]
    return np.array([np.nan if v is None else v for v in values], float)


def test_generations_add_up(facts: SearchFacts, search: list[Individual]) -> None:
    generation, fitness = array(search, "generation"), array(search, "fitness")
    clone = np.array([one.kind == "clone" for one in search])
    running = np.inf
    for found in facts.generations:
        here = generation == found.number
        children = fitness[here & ~clone]
        running = min(running, np.nanmin(children))
        assert found.finished == np.isfinite(children).sum()
        assert found.failed == np.isnan(children).sum()
        assert found.pending == 0
        assert found.best is not None
        assert found.best_so_far is not None
        assert found.best.fitness == np.nanmin(children)
        assert found.best_so_far.fitness == running
        if found.number == 0:
            assert found.clone is None
            assert found.gain is None
        else:
            control = float(fitness[here & clone][0])
            assert found.gain == pytest.approx(control - np.nanmin(children))
            assert found.better_than_clone == (children < control).sum()
    assert [g.number for g in facts.generations] == [0, 1, 2, 3, 4, 5, 6]


def test_the_winner_and_its_line(facts: SearchFacts) -> None:
    winner = facts.winner
    assert winner is not None
    scored = [o.fitness for o in facts.individuals if o.kind != "clone" and o.fitness is not None]
    assert winner.fitness == min(scored)
    line = facts.lineage(winner)
    assert (line[0].id, line[-1].id) == ("0", winner.id)
    for parent, child in pairwise(line):
        assert child.parent_id == parent.id
        genotype = parent.genotype
        for change in child.changes:
            genotype = genotype.with_gene(change.stage, change.gene, change.after)
        assert genotype == child.genotype


def test_the_pareto_set_is_undominated(facts: SearchFacts) -> None:
    scored = facts.ranked
    points = np.array([[o.loss, o.num_parameters, o.num_macs] for o in scored])
    no_worse = (points[:, None] <= points[None]).all(axis=2)
    beaten = (no_worse & (points[:, None] < points[None]).any(axis=2)).any(axis=0)
    expected = {one.id for one, out in zip(scored, beaten, strict=True) if not out}
    assert facts.pareto_ids == expected
    assert not any(name.startswith("c") for name in facts.pareto_ids)


def test_effects_are_differences_to_parent_and_clone(facts: SearchFacts) -> None:
    effects = {effect.kind: effect for effect in mutation_effects(facts)}
    mutants = [one for one in facts.individuals if one.kind == "mutant"]
    assert sum(e.finished for e in effects.values()) == sum(map(is_finished, mutants))
    assert sum(e.failed for e in effects.values()) == sum(map(is_failed, mutants))
    widened = [
        one
        for one in mutants
        if is_finished(one) and one.changes[0].gene == "filters"
        and one.changes[0].after > one.changes[0].before
    ]  # fmt: skip
    found = effects["filters up"]
    clones = {o.generation: o.fitness for o in facts.individuals if o.kind == "clone"}
    from_clone = [one.fitness - clones[one.generation] for one in widened]
    from_parent = [one.fitness - facts.by_id[one.parent_id].fitness for one in widened]
    assert found.from_clone == pytest.approx(from_clone)
    assert found.from_parent == pytest.approx(from_parent)
    assert found.median_from_clone == pytest.approx(np.median(from_clone))
    assert found.share_better_than_clone == pytest.approx(np.mean(np.array(from_clone) < 0))
    shares = [transfer_of(one)["share_inherited"] for one in widened]
    assert found.share_inherited == pytest.approx(np.mean(shares))


def test_kinds_of_mutation(search: list[Individual]) -> None:
    mutant = next(one for one in search if one.kind == "mutant")
    shrink = Change(stage=0, gene="repeats", before=3, after=2)
    assert mutation_kind(replace(mutant, changes=(shrink,))) == "repeats down"
    assert mutation_kind(replace(mutant, changes=(shrink, shrink))) == SEVERAL


def test_transfer_may_be_a_text(search: list[Individual]) -> None:
    told = replace(search[0], result={"transfer": '{"share_inherited": 0.5}'})
    assert transfer_of(told) == {"share_inherited": 0.5}
    assert transfer_of(replace(search[0], result={})) == {}


def test_best_table_is_ranked_and_leaves_clones_out(facts: SearchFacts) -> None:
    rows = best_table(facts, 12)
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 13)]
    scores = [float(row["J"]) for row in rows]
    assert scores == sorted(scores)
    assert rows[0]["id"] == facts.winner.id
    assert not any(row["id"].startswith("c") for row in rows)
    assert {"J", "loss", "mean OKS", "parameters", "multiply-adds", "change"} <= set(rows[0])


def test_missing_values_are_empty(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    bare = [replace(one, result={}) for one in search]
    rows = best_table(facts_of(bare), 3)
    assert [row["mean OKS"] for row in rows] == ["", "", ""]
    assert "mean OKS" not in columns_of(rows)
    for row in effects_table(mutation_effects(facts_of(bare))):
        assert row["parameters inherited"] == row["began with parent's function"] == ""


def test_failures_are_counted_by_reason(facts: SearchFacts) -> None:
    rows = failures_table(facts)
    assert sum(int(row["count"]) for row in rows) == len(facts.failures) == 6
    counts = [int(row["count"]) for row in rows]
    assert counts == sorted(counts, reverse=True)


def test_the_gain_is_told_in_words(facts: SearchFacts) -> None:
    last = facts.generations[-1]
    text = gain_text(facts)
    assert f"({last.best.id}) has J {last.best.fitness:.4f}" in text
    assert f"clone of the best parent {last.clone.fitness:.4f}" in text
    assert "better than the same training without a mutation" in text
    better = sum(g.better_than_clone for g in facts.generations)
    assert f"{better} of 90 children" in text


@pytest.mark.parametrize(("clone_fitness", "word"), [(0.1, "worse"), (None, "no better")])
def test_a_gain_that_is_none_is_told_too(
    search: list[Individual],
    facts_of: Callable[..., SearchFacts],
    clone_fitness: float | None,
    word: str,
) -> None:
    best = min(o.fitness for o in search if o.generation == 6 and o.fitness and o.kind != "clone")
    changed = [
        replace(one, fitness=clone_fitness or best) if one.id == "c6" else one for one in search
    ]
    assert f" {word} than the same training" in gain_text(facts_of(changed))


def test_without_clones_no_gain_is_claimed(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    alone = facts_of([one for one in search if one.kind != "clone"])
    assert gain_text(alone) == ""
    assert all(effect.from_clone == () for effect in mutation_effects(alone))
    assert len(summary_lines(alone)) == 4


def test_progress_is_told_from_the_first_moment(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    new = facts_of([], state="new", stop_reason="")
    assert progress_text(new) == "new: nothing has finished yet; no individual has been proposed"
    waiting = replace(search[0], status="running", fitness=None, loss=None)
    first = facts_of([waiting], state="running", stop_reason="")
    assert progress_text(first) == (
        "running: generation 0; nothing has finished yet, 1 waiting or in training"
    )
    assert first.winner is None
    assert best_table(first) == []
    assert summary_lines(first)[0] == progress_text(first)
    assert progress_text(facts_of(search)).startswith("finished (6 generations were asked for): ")
