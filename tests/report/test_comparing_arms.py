"""What a run says of its cost, which runs are an arm, and which cannot be compared."""

from typing import Any

import numpy as np
import pytest

from evolution.toys import individual
from evopose.errors import RunError
from evopose.report.comparing_caveats import caveats
from evopose.report.comparing_checks import require_comparable
from evopose.report.comparing_configs import arm_key, objective_of, settings_of
from evopose.report.comparing_facts import Comparison, make_comparison
from evopose.report.comparing_runs import MEASURES, trace_of
from report.compared import CONFIG, LINE, config, made, trained

SEARCH = [
    trained(0, 0.9, at=1, result={"samples": 50}),
    trained(1, 0.7, at=9),
    trained(2, 0.8, at=3, num_macs=200),
    trained(3, 0.1, at=5, status="failed", fitness=None, result={}),
    trained(1, 0.75, at=4, kind="clone", num_macs=300),
    trained(1, 0.2, at=6, kind="repeat", num_macs=10),
]


def test_cost_adds_up_in_the_order_of_finishing():
    found = trace_of(SEARCH, MEASURES["J"])
    np.testing.assert_equal(found.curve.costs, [5000, 7000, 8000, 8000])
    np.testing.assert_allclose(found.curve.values, [1.8, 1.6, 1.4, 1.4])
    np.testing.assert_equal(found.clones.costs, [7000, 8000])
    np.testing.assert_allclose(found.clones.values, [1.5, 1.5])
    assert (found.search_cost, found.control_cost, found.failed) == (8000, 3100, 1)
    assert (found.finished, found.uncounted, found.unmeasured) == (3, 0, 0)
    assert [found.leader_at(cost) and found.leader_at(cost).id for cost in (1, 7999, 8000)] == [
        None, "2", "1",
    ]  # fmt: skip


def test_controls_count_when_asked_for():
    found = trace_of(SEARCH, MEASURES["J"], count_controls=True)
    np.testing.assert_equal(found.curve.costs, [5000, 7000, 11100, 11100])
    np.testing.assert_equal(found.clones.costs, [10_000, 11_100])
    assert found.search_cost == 8000


def test_by_oks_more_is_better():
    found = trace_of(SEARCH, MEASURES["oks"])
    np.testing.assert_allclose(found.curve.values, [-0.1, -0.2, -0.3, -0.3])


def test_what_is_not_told_is_counted():
    history = [{"samples": 4}, {"samples": 5}]
    silent = trained(1, 0.5, at=2, result={"samples": None})
    told = trained(2, 0.4, at=3, result={"samples": None, "history": history, "mean_oks": None})
    found = trace_of([SEARCH[0], silent, told], MEASURES["oks"])
    assert (found.uncounted, found.unmeasured, found.search_cost) == (1, 1, 5000 + 9 * 100)


def test_a_run_in_which_nothing_finished_has_no_curve():
    assert trace_of([individual(0)], MEASURES["J"]).curve is None
    assert trace_of([], MEASURES["J"]).clones is None


# Arms


@pytest.mark.parametrize(
    "changes",
    [
        {"evolution__seed": 5, "evolution__training_seed": 6},
        {"evolution__generations": 50, "evolution__hours": None, "evolution__patience": 2},
        {"ancestor_weights": "elsewhere/best.safetensors"},
        {"recipe": "small"},
        {"evolution__rescore": 3, "evolution__keep_best": 1},
        {"child_training__checkpoint_seconds": 1.0},
    ],
)
def test_runs_that_differ_in_seeds_and_ends_are_one_arm(changes):
    assert arm_key(settings_of(config(**changes))) == arm_key(settings_of(CONFIG))


@pytest.mark.parametrize(
    "changes",
    [
        {"transfer": "official"},
        {"evolution__parents_by": "random"},
        {"evolution__fitness__gamma": -0.1},
        {"child_training__patience": 3},
        {"child_training__augmentation__flip": 0.1},
        {"evolution__unheard_of": True},
        {"unheard_of": [1, 2]},
    ],
)
def test_runs_that_differ_in_anything_else_are_two_even_if_nobody_knows_what_it_is(changes):
    assert arm_key(settings_of(config(**changes))) != arm_key(settings_of(CONFIG))


def test_an_option_that_an_older_run_does_not_name_has_its_default():
    older = config()
    del older["evolution"]["parents_by"], older["evolution"]["fitness"]["error"]
    assert arm_key(settings_of(older)) == arm_key(settings_of(CONFIG))


def names(*changes: dict[str, Any], **more: Any) -> list[str]:
    runs = [
        made(f"run-{place}", LINE, seed=place, changes=change, **more)
        for place, change in enumerate(changes)
    ]
    return [arm.name for arm in make_comparison(runs).arms]


def test_arms_are_named_by_what_sets_them_apart():
    random = {"evolution__parents_by": "random"}
    assert names({}, random, {}, random) == ["parents_by best", "parents_by random"]
    assert names({}, {"transfer": "official"}) == ["transfer exact", "transfer official"]
    assert names({}, random, {"transfer": "official"}) == [
        "transfer exact, parents_by best",
        "transfer exact, parents_by random",
        "transfer official, parents_by best",
    ]
    assert names({}, {}) == ["demo"]
    assert names({"child_training__epochs": 5}, {"space__max_strided_stages": 3})[0].startswith(
        "space small "
    )
    assert names({}, {"evolution__novelty": True}) == ["novelty none", "novelty yes"]


def test_labels_group_by_hand_and_the_rest_by_itself():
    runs = [made(f"r{place}", LINE, seed=place) for place in range(3)]
    runs.append(made("odd", LINE, seed=9, changes={"transfer": "official"}))
    found = make_comparison(runs, labels={"r1": "mine", "odd": "mine"}).arms
    assert [(arm.name, [run.name for run in arm.runs]) for arm in found] == [
        ("demo", ["r0", "r2"]),
        ("mine", ["r1", "odd"]),
    ]
    said = " ".join(caveats(Comparison(measure=MEASURES["J"], arms=found, count_controls=False)))
    assert "Within mine the runs differ in transfer." in said


# What cannot be compared


def refusal(by: str = "J", *, first: Any = None, **second: Any) -> str:
    runs = [made("one", LINE, **first or {}), made("two", LINE, seed=1, **second)]
    with pytest.raises(RunError) as raised:
        require_comparable(runs, by)
    return str(raised.value)


def test_data_must_be_the_same():
    assert refusal(data="e" * 64, source="mice") == (
        "two was made on mice (digest eeeeeeeeeeee), one on people (digest dddddddddddd): figures "
        "on different data cannot be compared; name runs on one dataset (drawn people differ by "
        "the seed: draw them once, and name their folder)"
    )
    assert "different data" in refusal("oks", data="e" * 64)


def test_a_formula_of_fitness_must_be_the_same():
    assert refusal(changes={"evolution__fitness__gamma": -0.1}) == (
        "J of one and two cannot be compared: fitness gamma is -0.07 and -0.1; compare --by loss "
        "or --by oks, or leave one of them out"
    )


@pytest.mark.parametrize(
    ("changes", "by", "said"),
    [
        (
            {"child_training__loss": "mse"},
            "J",
            "child loss is softmax and mse; compare --by oks, or",
        ),
        ({"child_training__loss": "mse"}, "loss", "loss of one and two cannot be compared"),
        ({"input_hw": [128, 96]}, "J", "input_hw is 96x64 and 128x96; compare --by oks, or"),
        (
            {"evolution__fitness__target_macs": 1e7},
            "J",
            "fitness target_macs is none and 10000000.0",
        ),
        ({"evolution__fitness__error": "oks"}, "J", "fitness error is loss and oks"),
        ({"evolution__fitness__wish": 1}, "J", "fitness wish is none and 1"),
    ],
)
def test_objectives_must_be_the_same(changes, by, said):
    assert said in refusal(by, changes=changes)


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ({"evolution__fitness__max_parameters": 10**6}, "J"),
        ({"evolution__fitness__gamma_macs": -0.5}, "J"),  # of no account without a target
        ({"evolution__fitness__gamma": -0.5}, "loss"),
        ({"child_training__loss": "mse", "input_hw": [128, 96]}, "oks"),
    ],
)
def test_what_does_not_touch_the_measure_may_differ(changes, by):
    require_comparable([made("one", LINE), made("two", LINE, changes=changes)], by)


def test_j_of_oks_does_not_hang_on_the_loss():
    of_oks = {"evolution__fitness__error": "oks"}
    other = of_oks | {"child_training__loss": "mse"}
    require_comparable([made("a", LINE, changes=of_oks), made("b", LINE, changes=other)], "J")
    assert not any("loss" in path for path in objective_of(settings_of(config(**of_oks)), "J"))


def test_latencies_of_two_devices_make_no_comparable_j():
    aim = {"changes": {"evolution__fitness__target_latency_ms": 5.0}}
    said = refusal(first=aim | {"latency_devices": ("a",)}, **aim, latency_devices=("b",))
    assert "device of the latency is a and b" in said


def test_a_copy_of_a_run_is_no_second_seed():
    born = {"births": frozenset({("1", 5.0), ("2", 6.0)})}
    said = refusal(first=born, births=frozenset({("1", 5.0), ("2", 9.0)}))
    assert said.startswith("one and two are one run, copied")
