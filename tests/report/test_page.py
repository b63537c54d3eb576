"""The page is parsed back: well-formed, complete, and in need of nothing from outside."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest

from evopose.evolution.individual import Individual
from evopose.report.effects import mutation_effects
from evopose.report.facts import SearchFacts
from evopose.report.figures import effects_figure, progress_figure, trade_off_figure
from evopose.report.genes import gene_histories, genes_figure
from evopose.report.inheritance import inheritances, shares_figure, starts_figure
from evopose.report.page import Picture, render_page
from evopose.report.plotting import clear_range, thin
from evopose.report.workers import times_figure, workers_figure

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Collects texts and addresses, and what is not well-formed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.values: dict[str, Any] = {}
        """What scripts of JSON hold, by their id; a browser never runs them."""
        self.styles: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.json = dict(attrs).get("id") if ("type", "application/json") in attrs else None
        for name, value in attrs:
            if name in ("src", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            assert not name.startswith("on"), f"{tag} has a handler: {name}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script" and self.json:
            self.values[self.json] = json.loads(data)
            return
        {"script": self.scripts, "style": self.styles}.get(inside, self.texts).append(data)


def check(page: str) -> Checker:
    """Return the parsed page, having checked what every page must be."""
    found = Checker(page)
    assert found.open == []
    assert all(address.startswith("data:image/") for address in found.addresses)
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert len(set(found.ids)) == len(found.ids)
    assert not {"link", "iframe", "object", "embed"} & set(found.tags)
    assert not re.search(r"@import|url\(", "".join(found.styles))
    return found


def test_the_page_is_whole_and_alone(facts: SearchFacts) -> None:
    page = render_page(facts)
    found = check(page)
    assert found.tags.count("section") == len(found.links) == 12
    large = [script for script in found.scripts if len(script) > 1_000_000]
    assert len(large) == 1  # Plotly, once
    assert page.count("Plotly.newPlot(") == 7 + large[0].count("Plotly.newPlot(")
    # Among Plotly's usual buttons is one that sends the figure to a server.
    for script in found.scripts:
        if script not in large and "Plotly.newPlot(" in script:
            assert '"modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]]' in script


def test_it_says_what_was_found(facts: SearchFacts) -> None:
    text = " ".join(" ".join(check(render_page(facts)).texts).split())
    winner = facts.winner
    assert f"{winner.fitness:.4f}" in text
    assert winner.genotype.to_json() in text
    assert "evopose train runs/people-2026-01-31 'data/my people'" in text
    assert f"runs/people-2026-01-31:{winner.id}" in text
    assert "Time: 46 min 45 s" in text
    assert "training 87 %" in text
    assert "The best child beat the clone in 6 of 6 generations" in text
    assert "photos of <people> & dogs: 6,798 persons to train" in text
    assert "6 individuals could not be trained" in text
    for one in facts.lineage(winner)[1:]:
        assert str(one.changes[0]).replace("->", "→") in text


def test_everything_is_escaped(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    evil = '"><script>alert(1)</script><b x="'
    broken = replace(search[2], status="failed", fitness=None, fail_reason=evil)
    page = render_page(
        facts_of(
            [*search[:2], broken, *search[3:]],
            name=evil,
            folder=evil,
            data=evil,
            stop_reason=evil,
            state="interrupted",
            settings={evil: evil},
            seconds={evil: 1.0},
            config={evil: evil},
        ),
        pictures=[Picture(image=np.zeros((4, 4, 3), np.uint8), caption=evil)],
    )
    found = check(page)
    assert "alert(1)" not in " ".join(s for s in found.scripts if "newPlot" not in s)
    assert "<script>alert" not in page
    assert found.values["individuals"]["individuals"][broken.id]["reason"] == evil
    assert evil in "".join(found.texts)


def test_pictures_are_inside(facts: SearchFacts) -> None:
    image = np.full((30, 20, 3), (200, 40, 10), np.uint8)
    found = check(render_page(facts, pictures=[Picture(image=image, caption="A & B")]))
    (address,) = found.addresses
    content = base64.b64decode(address.partition("base64,")[2])
    back = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert back.shape == (30, 20, 3)
    assert np.abs(back.astype(int) - (200, 40, 10)).max() < 8
    assert "A & B" in found.texts


def test_a_run_that_has_hardly_begun(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    nothing = {"state": "new", "stop_reason": "", "seconds": {}, "settings": {}, "config": {}}
    empty = check(render_page(facts_of([], wall_seconds=None, data="", **nothing)))
    assert "Nothing has finished yet." in empty.texts
    assert empty.scripts == []
    waiting = [
        replace(one, status="proposed", fitness=None, loss=None, result={}, fail_reason=None)
        for one in search
    ]
    first = check(render_page(facts_of(waiting[:1], state="running", stop_reason="")))
    assert "Nothing has finished yet." in first.texts
    for finished in (1, 2, 5):
        some = facts_of([*search[:finished], *waiting[finished:17]], state="running")
        assert search[0].id in check(render_page(some)).texts
    failed = replace(waiting[0], status="failed", fail_reason="out of memory")
    assert "out of memory" in check(render_page(facts_of([failed], state="interrupted"))).texts


def test_figures_hold_everyone(facts: SearchFacts) -> None:
    traces = {trace["name"]: trace for trace in progress_figure(facts)["data"]}
    assert sorted(traces["children"]["y"]) == sorted(one.fitness for one in facts.ranked)
    assert len(traces["clone (training without a mutation)"]["y"]) == 6
    so_far = traces["best so far"]["y"]
    assert so_far == sorted(so_far, reverse=True)
    assert so_far[-1] == facts.winner.fitness
    dots = [t for t in trade_off_figure(facts)["data"] if t["mode"] == "markers"]
    assert [len(t["x"]) for t in dots] == [
        len(facts.ranked) - len(facts.pareto_ids),
        len(facts.pareto_ids),
        1,
    ]
    boxes = effects_figure(mutation_effects(facts))["data"]
    assert [len(box["x"]) for box in boxes] == [90, 90]


def test_figures_are_strict_json(facts: SearchFacts) -> None:
    found = inheritances(facts)
    figures = [
        progress_figure(facts), trade_off_figure(facts), times_figure(facts),
        effects_figure(mutation_effects(facts)), workers_figure(facts), shares_figure(found),
        starts_figure(found), genes_figure(gene_histories(facts)),
    ]  # fmt: skip
    for figure in figures:
        assert json.dumps(figure, allow_nan=False)


def test_thinning_keeps_the_best_and_the_worst_of_each_generation(facts: SearchFacts) -> None:
    kept = thin(facts.ranked, 30)
    assert len(kept) <= 30
    for generation in facts.generations:
        everyone = [o.fitness for o in facts.ranked if o.generation == generation.number]
        chosen = [o.fitness for o in kept if o.generation == generation.number]
        assert min(chosen) == min(everyone)
        assert max(chosen) == max(everyone)
    assert thin(facts.ranked, 1000) == list(facts.ranked)


def test_far_outliers_leave_the_frame() -> None:
    usual = [0.5 + 0.01 * i for i in range(40)]
    assert clear_range(usual) is None
    low, high = clear_range([*usual, 9.0])
    assert low < 0.5
    assert 0.89 < high < 1.0
    low, high = clear_range([*usual, 9.0], [1.4])
    assert high > 1.4
    assert clear_range([0.5, 9.0]) is None


@pytest.mark.parametrize("generations", [1, 2])
def test_few_generations(
    generations: int, search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    few = [one for one in search if one.generation < generations]
    check(render_page(facts_of(few)))


def test_repeats_have_a_section_of_their_own(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    best = facts_of(search).winner
    again = [replace(best, kind="repeat", seed=s, fitness=f) for s, f in ((2, 0.625), (3, 0.675))]
    found = check(render_page(facts_of([*search, *again])))
    assert "repeats" in found.ids
    assert "0.6250, 0.6750" in found.texts
    assert "2 of 2 repeats trained" in " ".join(found.texts)
    assert "repeats" not in check(render_page(facts_of(search))).ids


def test_whoever_is_named_in_a_table_is_a_button(facts: SearchFacts) -> None:
    page = render_page(facts)
    data = check(page).values["individuals"]["individuals"]
    named = re.findall(r'<button type="button" class="pick" data-id="([^"]+)">', page)
    assert {facts.winner.id, facts.winner.parent_id} <= set(named) <= set(data)
