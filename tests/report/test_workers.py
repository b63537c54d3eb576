"""Workers over time: bars and shares against times worked out by hand."""

from collections.abc import Callable

import pytest

from evopose.evolution.individual import Attempt, Individual
from evopose.report import workers
from evopose.report.facts import SearchFacts
from evopose.report.workers import overhead_text, search_seconds, times_figure, workers_figure


def attempt(id: str, slot: int, start: float, end: float, outcome: str = "done") -> Attempt:
    return Attempt(
        individual_id=id, no=1, slot=slot, started_at=start, lease_until=0.0, ended_at=end,
        outcome=outcome, error=None, busy_seconds=None,
    )  # fmt: skip


SESSIONS = (
    {"started_at": 1000.0, "seen_at": 1120.0},
    {"started_at": 9000.0, "seen_at": 9120.0},
)  # two minutes, a pause, two minutes


@pytest.fixture
def facts(search: list[Individual], facts_of: Callable[..., SearchFacts]) -> SearchFacts:
    return facts_of(
        search,
        sessions=SESSIONS,
        attempts=(
            attempt("0", 0, 1000, 1060),
            attempt("1", 0, 1060, 1120, "interrupted"),
            attempt("1", 0, 9000, 9060),
            attempt("c1", 1, 9000, 9120),
        ),
    )


def test_time_between_sessions_is_left_out() -> None:
    clock = workers.search_clock(SESSIONS)
    times = {1000: 0, 1060: 60, 1120: 120, 5000: 120, 9000: 120, 9060: 180, 9999: 240}
    assert {at: search_seconds(clock, at) for at in times} == times


def test_a_bar_an_attempt(facts: SearchFacts) -> None:
    bars = {trace["name"]: trace for trace in workers_figure(facts)["data"]}
    assert {name: (t["base"], t["x"], t["y"]) for name, t in bars.items()} == {
        "ancestor": ([0], [1], ["worker 0"]),
        "children": ([2], [1], ["worker 0"]),
        "clones": ([2], [2], ["worker 1"]),
        "no result": ([1], [1], ["worker 0"]),
    }
    assert bars["no result"]["text"] == ["1, 1 min 00 s: interrupted"]


def test_many_attempts_are_shares_of_time(
    facts: SearchFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MOST_BARS", 3)
    monkeypatch.setattr(workers, "BINS", 8)
    (busy,) = workers_figure(facts)["data"]
    assert busy["y"] == ["worker 0", "worker 1"]
    assert busy["z"] == [[1, 1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]]


def test_times_are_by_parameters_and_by_generation(facts: SearchFacts) -> None:
    left, right = times_figure(facts)["data"]
    timed = [one for one in facts.ranked if one.kind == "mutant"]
    assert sorted(left["x"]) == sorted(one.num_parameters for one in timed)
    assert sorted(right["x"]) == sorted(one.generation for one in timed)
    assert set(left["y"]) == {30.0}


def test_where_the_time_went_is_told(facts_of: Callable[..., SearchFacts]) -> None:
    told = {
        "slot_seconds": 200.0, "busy_seconds": 150.0, "lost_seconds": 10.0, "idle_share": 0.1,
        "overhead_share": 0.1,
    }  # fmt: skip
    assert overhead_text(facts_of([], overhead=told)) == (
        "75 % of their time workers were at their own work; 10 % they waited for the last of a "
        "generation; 10 % went into starting, inheriting, saving and coordinating; 5.0 % into "
        "attempts that gave no result."
    )
    assert overhead_text(facts_of([])) == ""
