"""Comparing arms of runs: what is told of them, in words, on the page and in pictures."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from evopose.errors import ConfigError
from evopose.report.comparing_caveats import caveats
from evopose.report.comparing_facts import Arm, Comparison, make_comparison
from evopose.report.comparing_figures import colour_of, curves_figure
from evopose.report.comparing_json import comparison_json
from evopose.report.comparing_page import comparison_page
from evopose.report.comparing_still import still_picture
from evopose.report.comparing_tables import arms_table, budget_text, reach_texts, sentences
from report.compared import LINE, made, trained
from report.test_page import Checker

# The comparison


def arms(*finals: list[float], seeds: list[list[int]] | None = None, by: str = "J") -> Comparison:
    """Arms of runs that find a value at cost 20 and go on to 40."""
    runs = [
        made(
            f"{place}-{number}",
            [(10.0, 0.99), (20.0, value), (40.0 + number, 0.995)],
            seed=seeds[place][number] if seeds else number,
            changes={"evolution__children": place + 1},
            by=by,
        )
        for place, values in enumerate(finals)
        for number, value in enumerate(values)
    ]
    return make_comparison(runs, by=by)


def test_equal_cost_is_what_all_runs_reached():
    found = arms([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert found.budget == 40
    assert [run.trace.curve.end for run in found.runs] == [40, 41, 42] * 2
    assert found.final(found.arms[0]).mean == pytest.approx(0.6)
    assert budget_text(found) == (
        "Equal cost: 40 multiply-adds, what all runs reached (0-0 ended first)."
    )


def test_pairs_go_by_seed_whatever_the_order():
    found = arms([0.5, 0.6, 0.8], [0.7, 0.45, 0.55], seeds=[[0, 1, 2], [2, 0, 1]])
    (pair,) = found.pairs
    # By seed 0: 0.45 - 0.5, 1: 0.55 - 0.6, 2: 0.7 - 0.8
    assert pair.paired
    assert (pair.wins, pair.losses, pair.difference.n, pair.chance) == (3, 0, 3, 0.25)
    assert pair.difference.mean == pytest.approx(-0.2 / 3)
    assert (pair.difference.low, pair.difference.high) == (
        pytest.approx(-0.1), pytest.approx(-0.05),
    )  # fmt: skip
    assert sentences(found) == [
        "children 2 has a lower J than children 1 in 3 of 3 seeds, by 0.0667 [0.0500, 0.100]. A "
        "hint, no proof: chance alone sets like arms so far apart in 25 % of cases."
    ]


def test_an_interval_about_zero_tells_nothing():
    found = arms([0.5, 0.6, 0.7], [0.52, 0.59, 0.68])
    assert sentences(found) == [
        "No difference between children 1 and children 2 can be told from these 3 seeds (J of "
        "children 2 minus children 1: \N{MINUS SIGN}0.00333 [\N{MINUS SIGN}0.0200, +0.0200]; "
        "better in 2 of 3)."
    ]


def test_many_seeds_that_agree_tell_a_difference():
    first = [0.5, 0.6, 0.7, 0.8, 0.55, 0.65]
    found = arms(first, [value - 0.1 for value in first])
    assert sentences(found) == [
        "children 2 has a lower J than children 1 in 6 of 6 seeds, by 0.100 [0.100, 0.100]; chance "
        "alone sets like arms so far apart in 3.1 % of cases."
    ]


def test_two_seeds_tell_nothing():
    found = arms([0.5, 0.6], [0.1, 0.1])
    (text,) = sentences(found)
    assert text.startswith("Nothing can be told of children 1 and children 2 from 2 seeds, too few")
    assert found.final(found.arms[0]).low is None
    assert "Of fewer than 3 no interval is given" in " ".join(caveats(found))


def test_other_seeds_are_not_paired():
    found = arms([0.5, 0.6, 0.7], [0.2, 0.3, 0.35, 0.4], seeds=[[0, 1, 2], [3, 4, 5, 6]])
    (pair,) = found.pairs
    assert not pair.paired
    assert pair.difference.mean == pytest.approx(0.3125 - 0.6)
    assert pair.chance == pytest.approx(1 / 35)  # 7 over 3 ways, and only one as far apart
    assert "children 2 has a lower J than children 1, by 0.287 [" in sentences(found)[0]


def test_arms_of_different_numbers_of_seeds():
    few = arms([0.5, 0.6, 0.7, 0.8], [0.4, 0.5])
    assert [(pair.paired, pair.difference.n) for pair in few.pairs] == [(True, 2)]
    some = arms([0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.65])
    assert [(pair.paired, pair.difference.n) for pair in some.pairs] == [(True, 3)]
    assert "Arms have 3 to 4 runs each" in " ".join(caveats(some))


def test_by_oks_differences_and_bounds_are_turned_about():
    found = arms([0.5, 0.6, 0.7], [0.4, 0.45, 0.5], by="oks")
    (pair,) = comparison_json(found)["pairs"]
    assert pair["second_minus_first"] == {
        "mean": pytest.approx(0.15), "low": pytest.approx(0.1), "high": pytest.approx(0.2), "n": 3,
    }  # fmt: skip
    assert pair["wins"] == 3
    assert "children 2 has a higher mean OKS than children 1 in 3 of 3" in sentences(found)[0]
    row = arms_table(found)[1]
    assert row["mean OKS at equal cost"] == "0.5500 [0.5000, 0.6000]"
    assert "mean OKS" not in row


def test_what_it_cost_to_be_as_good():
    runs = [
        made(f"a{seed}", [(10, 0.9), (40, 0.5), (80, 0.6)], seed=seed) for seed in range(3)
    ] + [
        made(f"b{seed}", [(10, 0.9), (20, 0.4), (80, 0.6)], seed=seed,
             changes={"transfer": "official"})
        for seed in range(3)
    ]  # fmt: skip
    found = make_comparison(runs)
    assert reach_texts(found) == [
        "transfer official reached the average J of transfer exact at equal cost, 0.5000, at 0.500 "
        "x [0.500, 0.500] the cost (20 against 40); 3 of 3 runs did on their own."
    ]
    assert reach_texts(make_comparison([*runs[:2], *runs[3:5]])) == [
        "transfer official reached the average J of transfer exact at equal cost, 0.5000, at 0.500 "
        "x the cost (20 against 40); 2 of 2 runs did on their own, too few for an interval."
    ]
    turned = make_comparison(runs[3:] + runs[:3])
    assert "never reached" in reach_texts(turned)[0]
    assert arms_table(turned)[1]["cost to be as good"] == "not reached"
    (_, other) = comparison_json(turned)["arms"]
    assert (other["reach"]["ratio"], other["reach"]["bounded"]) == (None, False)


# Edges


def test_one_run_is_an_arm_of_its_own():
    found = make_comparison([made("alone", LINE)])
    assert (found.pairs, found.final(found.arms[0]).mean, found.budget) == ((), 0.8, 20)
    Checker(comparison_page(found))


def test_runs_without_a_result_are_left_out_and_named():
    runs = [made("empty", []), made("full", LINE, seed=1)]
    found = make_comparison(runs)
    assert found.budget == 20
    assert arms_table(found)[0]["runs"] == "1 (and 1 without a result)"
    assert "Left out, as nothing has finished there: empty." in caveats(found)
    nothing = make_comparison(runs[:1])
    assert budget_text(nothing) == "Nothing has finished in any of these runs yet."
    page = Checker(comparison_page(nothing))
    assert "curves" not in page.ids
    assert still_picture(nothing, "png").startswith(b"\x89PNG")
    json.dumps(comparison_json(nothing), allow_nan=False)


def test_an_arm_without_a_result_may_be_the_reference():
    runs = [made("empty", []), made("full", LINE, changes={"transfer": "official"})]
    found = make_comparison(runs)
    assert (found.reaches, found.pairs) == ({}, ())
    Checker(comparison_page(found))


def test_runs_that_never_ran_together_have_no_equal_cost():
    runs = [made("short", [(1, 0.9), (2, 0.8)]), made("long", [(10, 0.9), (20, 0.8)], seed=1)]
    found = make_comparison(runs)
    assert found.budget is None
    assert budget_text(found).startswith("There is no cost that all runs have reached")
    Checker(comparison_page(found))
    assert still_picture(found, "svg")
    json.dumps(comparison_json(found), allow_nan=False)


def test_two_runs_of_one_seed_are_owned_up_to():
    found = make_comparison([made("x", LINE), made("y", LINE)])
    assert any(text.startswith("x, y of demo have the same seed (0)") for text in caveats(found))


def test_ancestors_that_differ_between_arms_are_owned_up_to():
    other = [(10.0, 0.91), (20.0, 0.8)]
    runs = [
        made("a0", LINE), made("a1", LINE, seed=1),
        made("b0", LINE, changes={"transfer": "official"}),
        made("b1", other, seed=1, changes={"transfer": "official"}),
    ]  # fmt: skip
    (said,) = [text for text in caveats(make_comparison(runs)) if "ancestors of different" in text]
    assert said.startswith("Runs of the same seed began with ancestors of different J (seed 1):")
    assert not [text for text in caveats(make_comparison(runs[:3])) if "of different J" in text]


def test_what_is_said_of_failures_controls_and_machines():
    clone = trained(1, 0.5, at=3, kind="clone", num_macs=7)
    failed = trained(9, 0.5, at=3, status="failed", fitness=None)
    runs = [
        made("one", LINE, others=[clone, failed]),
        made("two", LINE, seed=1, made_by="cuda", state="running"),
    ]
    said = " ".join(caveats(make_comparison(runs)))
    assert "1 individual failed" in said
    assert "cost 70 multiply-adds in all, not counted in the cost" in said
    assert "Still going on, and compared as far as they are: two." in said
    assert "different devices or by different versions" in said
    assert "cpu; evopose 0.2.0 | cuda" in said


def test_an_unknown_measure():
    with pytest.raises(ConfigError, match=r"by one of J, loss, oks; got 'ap'"):
        make_comparison([made("one", LINE)], by="ap")


# What people see


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    clones = [trained(g, 0.6 - g / 50, at=g, kind="clone", fitness=0.6 - g / 50) for g in (1, 2)]
    runs = [
        made(
            f"runs/{arm}-{seed}",
            [(10, 0.9), (20 + seed, 0.7 - 0.1 * place + 0.02 * seed), (50, 0.8)],
            seed=seed,
            others=clones,
            changes={"transfer": arm},
        )
        for place, arm in enumerate(("official", "exact"))
        for seed in range(3)
    ]
    return make_comparison(runs, labels={run.name: "old <b>& new" for run in runs[:3]})


def test_the_page_is_whole_and_needs_nothing_from_outside(comparison):
    found = Checker(comparison_page(comparison))
    assert found.open == []
    assert found.addresses == []
    assert {"arms", "curves", "pairs", "caveats", "runs", "method"} <= set(found.ids)
    assert {link.lstrip("#") for link in found.links} <= set(found.ids)
    text = " ".join(found.texts)
    assert "old <b>& new" in text
    assert "runs/exact-2" in text
    assert "The backward pass costs about twice the forward one" in text
    assert sentences(comparison)[0] in text


def test_the_figure_shows_runs_means_bands_and_clones(comparison):
    figure = curves_figure(comparison)
    named = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert named == [
        "old &lt;b&gt;&amp; new (3)", "old &lt;b&gt;&amp; new: best clone (3)",
        "demo (3)", "demo: best clone (3)",
    ]  # fmt: skip
    assert len([t for t in figure["data"] if t.get("name", "").startswith("runs/")]) == 6
    assert len([t for t in figure["data"] if t.get("fill") == "tonexty"]) == 2
    mean = next(t for t in figure["data"] if t.get("name") == "demo (3)")
    assert mean["x"][0] == 10
    assert mean["y"][-1] == pytest.approx(0.62)
    assert figure["layout"]["shapes"][0]["x0"] == comparison.budget
    json.dumps(figure, allow_nan=False)


def test_without_an_interval_there_is_no_band(comparison):
    two = replace(
        comparison, arms=tuple(Arm(name=a.name, runs=a.runs[:2]) for a in comparison.arms)
    )
    assert not [t for t in curves_figure(two)["data"] if t.get("fill") == "tonexty"]


def test_a_still_picture_is_the_same_each_time_and_draws_every_arm(comparison):
    first, second = still_picture(comparison, "svg"), still_picture(comparison, "svg")
    assert first == second
    root = ElementTree.fromstring(first)
    drawn = ElementTree.tostring(root, encoding="unicode")
    assert all(colour_of(place) in drawn for place in range(2))


def test_json_holds_everything(comparison):
    found = json.loads(json.dumps(comparison_json(comparison), allow_nan=False))
    assert [arm["name"] for arm in found["arms"]] == ["old <b>& new", "demo"]
    run = found["arms"][1]["runs"][2]
    assert (run["run"], run["seed"], run["search_cost"]) == ("runs/exact-2", 2, 50)
    assert run["at_budget"]["value"] == pytest.approx(0.64)
    assert found["arms"][0]["curve"]["n"] == 3
    assert found["said"][0].startswith("Equal cost: 50 multiply-adds")
