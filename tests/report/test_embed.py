"""What the page's script is given: everyone, whole lines, nothing that ends its element."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from evopose.evolution.individual import Individual
from evopose.report import embed
from evopose.report.embed import embedded, json_script, page_data
from evopose.report.facts import SearchFacts
from evopose.report.tree import arrange, choose


def test_everyone_has_a_record(facts: SearchFacts) -> None:
    data = page_data(facts, arrange(choose(facts)))
    records = data["individuals"]
    assert set(records) == set(facts.by_id)
    for name, record in records.items():
        one = facts.by_id[name]
        assert record.get("parent") == one.parent_id
        assert record["parameters"] == one.num_parameters
        expected = sorted(o.id for o in facts.individuals if o.parent_id == name)
        assert sorted(record.get("children", [])) == expected
        if one.fitness is None:
            assert record["status"] == "failed"
            assert record["reason"] == one.fail_reason
        else:
            assert record["J"] == pytest.approx(one.fitness, rel=1e-4)
            assert [e for e, _ in record["val"]] == [1, 2, 3]
    assert json.dumps(data, allow_nan=False)


def test_the_way_from_the_parent_ends_in_ones_place(facts: SearchFacts) -> None:
    tree = arrange(choose(facts))
    ways = page_data(facts, tree)["tree"]
    for name, way in ways.items():
        one = facts.by_id[name]
        assert way[-1] == round(tree.places[name][1], 4)
        if one.parent_id is not None:
            assert way[0] == round(tree.places[one.parent_id][1], 4)
            assert len(way) == 1 + one.generation - facts.by_id[one.parent_id].generation


def test_repeats_are_told_with_whom_they_repeat(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    again = replace(search[3], kind="repeat", seed=2)
    facts = facts_of([*search, again])
    tree = arrange(choose(facts))
    assert again.id not in tree.places
    records = page_data(facts, tree)["individuals"]
    assert records[search[3].id]["repeats"] == [again.id]
    assert (records[again.id]["of"], records[again.id]["seed"]) == (search[3].id, 2)
    assert again.id not in records[search[3].parent_id].get("children", [])


def test_of_many_the_named_and_their_lines_are_kept(
    facts: SearchFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "MOST_EMBEDDED", 20)
    named = [facts.individuals[-2].id, "c3", "not there"]
    line = facts.lineage(facts.by_id[named[0]])
    chosen = {one.id for one in embedded(facts, named)}
    assert chosen == {o.id for o in (*line, *facts.lineage(facts.by_id["c3"]))}
    records = page_data(facts, arrange(choose(facts)), named)["individuals"]
    assert set(records) == chosen
    for name, record in records.items():
        total = sum(one.parent_id == name for one in facts.individuals)
        assert len(record.get("children", [])) + record.get("more", 0) == total


def test_long_curves_are_thinned_to_their_ends(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    history = [{"epoch": e, "val_loss": 1 / e, "train_loss": float("nan")} for e in range(1, 351)]
    one = replace(search[0], result={"history": history, "start_loss": 2.0})
    facts = facts_of([one])
    record = page_data(facts, arrange(choose(facts)))["individuals"]["0"]
    assert len(record["val"]) == embed.MOST_POINTS
    assert (record["val"][0], record["val"][-1]) == (
        [1, 1.0],
        [350, pytest.approx(1 / 350, rel=1e-4)],
    )
    assert record["start"] == 2.0
    assert "train" not in record


class Scripts(HTMLParser):
    """Collects what is inside scripts, as a browser would cut them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_nothing_ends_the_element() -> None:
    value = {"x": "</script><!-- <script> & \u2028 'ü'"}
    text = json_script(value, "individuals")
    (inside,) = Scripts(text).found
    assert json.loads(inside) == value
    assert not {"<", ">", "&"} & set(inside)
