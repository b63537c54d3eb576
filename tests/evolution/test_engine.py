"""The search as a whole, on a toy fitness: determinism, ends, and everything that goes wrong."""

import math
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolution import toys
from evolution.toys import CONFIG, SPACE, make_job, measure, search, story, tiny_space, toy_loss
from evopose.errors import ConfigError, RunError
from evopose.evolution.accounting import overhead
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.ending import ending_of
from evopose.evolution.executors import InlineExecutor, ProcessExecutor
from evopose.evolution.fitness import Fitness
from evopose.evolution.jobs import Event
from evopose.evolution.overview import weights
from evopose.evolution.selection import best
from evopose.evolution.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "run", {}) as store:
        yield store


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The story of the toy search when nothing goes wrong."""
    with Store.create(tmp_path_factory.mktemp("undisturbed") / "run", {}) as store:
        assert search(store).kind == "generations"
        return story(store)


def jobs(**by_id):
    """make_job that gives some individuals another job; `other` is for all not named."""

    def job(one, attempt, parent, store):
        normal = make_job()(one, attempt, parent, store)
        special = by_id.get(f"_{one.id}", by_id.get("other"))
        if callable(special):
            special = special(attempt)
        return normal if special is None else {"function": "evolution.toys:misbehave"} | special

    return job


# What a search is


def test_a_search_is_generations_of_children_and_a_clone(store):
    events = []
    ending = search(store, on_event=events.append)
    assert (ending.kind, ending.reason) == ("generations", "all 4 generations are done")
    everyone = store.individuals()
    assert store.counts() == {"proposed": 0, "running": 0, "done": 1 + 4 * 8, "failed": 0}
    assert [one.id for one in everyone][:10] == ["0", *"1234567", "c1", "8"]
    for generation in range(1, 5):
        pool = [one for one in everyone if one.generation < generation]
        parents = [one.id for one in best(pool, 3)]
        children = store.individuals(generation=generation)
        expected = [parents[slot % len(parents)] for slot in range(7)] + parents[:1]
        assert [one.parent_id for one in children] == expected
        assert children[-1].kind == "clone"
    for one in everyone:
        assert one.loss == toy_loss(one.genotype)
        assert one.fitness == CONFIG.fitness.score(one.loss, measure(one.genotype))
    kinds = [event["kind"] for event in events]
    assert kinds.count("proposed") == kinds.count("started") == kinds.count("done") == 33
    assert kinds.count("progress") == 33
    assert kinds.count("generation") == 5
    assert events[-1] == {"kind": "stopped", "ending": "generations", "reason": ending.reason}
    assert store.events()[-1]["ending"] == "generations"


def test_processes_tell_the_story_that_one_process_tells(store, undisturbed):
    executor = ProcessExecutor(slots=2)
    search(store, executor=executor)
    executor.close()
    assert story(store) == undisturbed


def test_another_seed_tells_another_story(store, undisturbed):
    search(store, replace(CONFIG, seed=12, generations=1))
    assert story(store) != undisturbed[:9]
    assert story(store)[0] == undisturbed[0]


def test_without_clones_the_mutants_are_the_same(store, undisturbed):
    search(store, replace(CONFIG, clones=False))
    assert story(store) == [one for one in undisturbed if not one[0].startswith("c")]


def test_a_given_ancestor_takes_the_place_of_the_space_s(store):
    ancestor = SPACE.ancestor.with_gene(0, "kernel", 5)
    search(store, replace(CONFIG, generations=1), ancestor=ancestor)
    assert store.individual("0").genotype == ancestor
    assert store.individual("c1").genotype in {one.genotype for one in store.best(8)}


def test_the_limits_are_kept_and_an_ancestor_above_them_is_told(store):
    parameters = measure(SPACE.ancestor).num_parameters
    fitness = Fitness(max_parameters=parameters - 1)
    with pytest.raises(ConfigError, match=r"the ancestor: .* above the limit .* choose a smaller"):
        search(store, replace(CONFIG, fitness=fitness))
    search(store, replace(CONFIG, fitness=Fitness(max_parameters=parameters)))
    assert max(one.num_parameters for one in store.individuals()) <= parameters
    assert store.counts()["done"] == 33


def test_unneeded_weights_are_dropped_and_needed_ones_kept(store):
    search(store, replace(CONFIG, keep_best=1))
    kept = {one.id for one in store.individuals() if one.blob}
    leading = store.best(3)
    parents = {one.parent_id for one in leading if one.parent_id}
    assert {one.id for one in [*leading, *store.pareto()]} | parents | {"0"} == kept
    assert len(kept) < 25


def test_the_time_outside_jobs_is_told(store):
    search(store, replace(CONFIG, generations=2), make_job=make_job(0.05))
    spent = overhead(store)
    assert spent["busy_seconds"] >= 17 * 0.05
    assert spent["wall_seconds"] == spent["slot_seconds"] >= spent["attempt_seconds"]
    assert spent["lost_seconds"] == 0
    assert spent["idle_share"] < 1e-6  # one slot waits for no other
    parts = spent["busy_seconds"] + spent["overhead_share"] * spent["slot_seconds"]
    assert parts == pytest.approx(spent["slot_seconds"])
    assert 0 < spent["overhead_share"] < 1


# Ends


def ends(best, seconds=0.0, **config):
    ending = ending_of(EvolutionConfig(**config), best, seconds, newest=0)
    return ending and ending.kind


def test_patience_looks_at_the_gain_over_so_many_generations():
    patient = {"patience": 2, "min_gain": 0.1}
    assert ends([1.0, 1.0], **patient) is None
    assert ends([1.0, 1.0, 0.89], **patient) is None
    assert ends([1.0, 1.0, 0.91], **patient) == "patience"
    assert ends([2.0, 1.0, 0.9, 0.89], **patient) is None
    assert ends([2.0, 1.0, 1.0, 1.0], patience=2) == "patience"


def test_generations_and_hours_end_a_search():
    assert ends([1.0, 1.0], generations=2) is None
    assert ends([1.0, 1.0, 1.0], generations=2) == "generations"
    assert ends([1.0], hours=1.0, seconds=3599.0) is None
    assert ends([1.0], hours=1.0, seconds=3600.0) == "hours"
    assert ends([1.0] * 99) is None


def test_when_the_hours_are_spent_nothing_begins_and_a_longer_search_goes_on(tmp_path, undisturbed):
    now = 0.0

    def clock():
        nonlocal now
        now += 10.0
        return now

    config = replace(CONFIG, hours=0.5)
    with Store.create(tmp_path / "run", {}, clock=clock) as store:
        assert search(store, config).kind == "hours"
        counts = store.counts()
        assert counts["done"] > 8
        assert counts["proposed"] > 0
        assert store.spent_seconds() == pytest.approx(1800, abs=300)
    with Store.open(tmp_path / "run", clock=clock) as store:
        assert search(store, config).kind == "hours"  # the budget counts all sessions
        assert store.counts() == counts
    with Store.open(tmp_path / "run", clock=clock) as store:
        assert search(store, replace(config, hours=10.0)).kind == "generations"
        assert story(store) == undisturbed


def test_a_space_that_is_used_up_ends_the_search_with_the_reason(store):
    ending = search(store, space=tiny_space(1, 2, 3, 4))
    assert ending.kind == "exhausted"
    assert "has no mutant left" in ending.reason
    assert sorted(one.genotype.stages[0].filters for one in store.individuals()) == [1, 1, 2, 3, 4]
    (note,) = [event for event in store.events() if event["kind"] == "smaller"]
    assert (note["generation"], note["missing"]) == (1, 4)


@pytest.mark.parametrize(
    "setting", [{"children": 0}, {"hours": 0}, {"patience": -1}, {"seed": -1}, {"min_gain": -0.1}]
)
def test_settings_that_cannot_be_used_are_named(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        EvolutionConfig(**setting)


# Stopping and going on


@pytest.mark.parametrize("make", [InlineExecutor, lambda: ProcessExecutor(slots=2)])
def test_a_stopped_search_goes_on_as_if_nothing_had_been(tmp_path, undisturbed, make):
    seen = []
    with Store.create(tmp_path / "run", {}) as store:
        executor = make()
        stop = lambda: sum(e["kind"] == "progress" for e in seen) >= 12  # noqa: E731
        ending = search(store, executor=executor, on_event=seen.append, should_stop=stop)
        executor.close()
        assert ending.kind == "stopped"
        counts = store.counts()
        assert counts["running"] == 0
        assert counts["proposed"] > 0
        assert "interrupted" in {attempt.outcome for attempt in store.attempts()}
    with Store.open(tmp_path / "run") as store:
        search(store)
        assert story(store) == undisturbed


def test_ctrl_c_stops_cleanly(store, undisturbed):
    seen = []

    def press(event):
        seen.append(event)
        if len(seen) == 40:
            raise KeyboardInterrupt

    assert search(store, on_event=press).kind == "stopped"
    assert store.counts()["running"] == 0
    search(store)
    assert story(store) == undisturbed


# What goes wrong


def test_an_exception_fails_one_child_and_the_search_goes_on(store):
    events = []
    raising = {"do": "raise", "error": "ValueError"}
    ending = search(store, make_job=jobs(_3=raising), on_event=events.append)
    assert ending.kind == "generations"
    one = store.individual("3")
    assert (one.status, one.fail_reason) == ("failed", "ValueError: no such thing")
    (attempt,) = store.attempts("3")
    assert attempt.outcome == "failed"
    assert "in misbehave" in attempt.error
    assert [event["id"] for event in events if event["kind"] == "failed"] == ["3"]
    assert store.counts() == {"proposed": 0, "running": 0, "done": 32, "failed": 1}


@pytest.mark.parametrize(
    "job",
    [
        {"do": "return", "result": {"loss": math.nan}},
        {"do": "return", "result": {"loss": math.inf}},
        {"do": "raise", "error": "diverged"},
    ],
)
def test_a_loss_that_is_not_finite_is_a_divergence(store, job):
    search(store, replace(CONFIG, generations=1), make_job=jobs(_3=job))
    assert store.individual("3").status == "failed"
    assert store.individual("3").loss is None
    assert store.attempts("3")[0].outcome == "diverged"


@pytest.mark.parametrize(
    "result", [{}, None, [1], {"loss": "low"}, {"loss": -1.0}, {"loss": 1.0, "blob": "00ff"}]
)
def test_a_result_that_cannot_be_used_fails_with_the_reason(store, result):
    job = {"do": "return", "result": result}
    search(store, replace(CONFIG, generations=1), make_job=jobs(_3=job))
    assert store.individual("3").fail_reason.startswith("its job returned no result that can be")
    assert store.counts()["done"] == 8


def test_out_of_memory_is_tried_once_more_with_half_the_batch(store):
    seen = []

    def job(one, attempt, parent, store):
        if one.id == "3":
            return {"function": "evolution.toys:misbehave", "do": "raise", "error": "cuda"}
        return make_job()(one, attempt, parent, store)

    class Spy(InlineExecutor):
        def submit(self, slot, job):
            if job["function"].endswith("misbehave"):
                seen.append(job["micro_batch_divisor"])
            super().submit(slot, job)

    search(store, replace(CONFIG, generations=1), make_job=job, executor=Spy())
    assert seen == [1, 2]
    assert [attempt.outcome for attempt in store.attempts("3")] == ["oom", "oom"]
    assert store.individual("3").fail_reason.startswith("out of memory, also with half the batch")


def test_memory_that_suffices_the_second_time_is_no_failure(store, undisturbed):
    short = lambda attempt: {"do": "raise", "error": "cpu"} if attempt == 1 else None  # noqa: E731
    search(store, make_job=jobs(_3=short))
    assert story(store) == undisturbed


def test_a_worker_that_dies_is_replaced_and_a_child_that_kills_workers_is_given_up(store):
    executor = ProcessExecutor(slots=2)
    once = lambda attempt: {"do": "die"} if attempt == 1 else None  # noqa: E731
    config = replace(CONFIG, generations=1, max_attempts=2)
    search(store, config, executor=executor, make_job=jobs(_3={"do": "die"}, _5=once))
    executor.close()
    assert store.individual("5").status == "done"
    assert [attempt.outcome for attempt in store.attempts("5")] == ["lost", "done"]
    assert "given up after 2 lost attempts" in store.individual("3").fail_reason
    assert "SIGKILL" in store.individual("3").fail_reason
    assert store.counts() == {"proposed": 0, "running": 0, "done": 8, "failed": 1}


def test_a_hung_child_is_killed_and_the_search_goes_on(store):
    executor = ProcessExecutor(slots=2)
    config = replace(CONFIG, generations=1, max_attempts=1, lease_seconds=2.0)
    begun = time.monotonic()
    search(store, config, executor=executor, make_job=jobs(_3={"do": "hang"}))
    executor.close()
    assert 2.0 < time.monotonic() - begun < 15
    assert store.attempts("3")[0].outcome == "timeout"
    assert "no sign of life for 2 s" in store.individual("3").fail_reason
    assert store.counts()["done"] == 8


def test_a_child_that_takes_too_long_has_failed_though_it_gives_signs_of_life(store):
    executor = ProcessExecutor(slots=2)
    config = replace(CONFIG, generations=1, timeout_seconds=2.0)
    search(store, config, executor=executor, make_job=jobs(_3={"do": "wait"}))
    executor.close()
    (attempt,) = store.attempts("3")
    assert attempt.outcome == "timeout"
    assert 2.0 < attempt.ended_at - attempt.started_at < 15
    assert store.individual("3").fail_reason == "it took more than 2 s and was killed"
    assert store.counts()["done"] == 8


def test_a_quota_leaves_weights_to_fewer_and_then_pauses_the_search(store):
    config = replace(CONFIG, parents=2, keep_best=20)
    search(store, replace(config, generations=3))
    kept = weights(store)
    with pytest.raises(ConfigError, match="quota_gb must be above 0"):
        replace(config, quota_gb=0.0)

    room = replace(config, generations=4, quota_gb=0.75 * kept.kept_bytes / 1e9)
    assert search(store, room).kind == "generations"
    assert weights(store).kept_bytes <= 0.75 * kept.kept_bytes
    assert all(one.blob for one in (*store.best(2), *store.pareto(), store.individual("0")))

    with pytest.raises(RunError, match=r"above the quota of 1e-07 GB.*a higher --quota"):
        search(store, replace(room, generations=5, quota_gb=1e-7))
    assert search(store, replace(config, generations=5)).kind == "generations"


def test_signs_of_life_keep_a_slow_child_alive(store):
    class Slow(InlineExecutor):
        """Beats every tenth of a second, as far as the clock of the leases is concerned."""

        def poll(self, timeout, tell):
            for _ in range(4):
                time.sleep(0.1)
                tell(Event(slot=0, kind="progress", data={}))
            super().poll(timeout, tell)

    config = replace(CONFIG, children=1, generations=1, clones=False, lease_seconds=0.3)
    search(store, config, executor=Slow())
    assert {attempt.outcome for attempt in store.attempts()} == {"done"}
    assert store.attempts()[0].lease_until > store.attempts()[0].started_at + 0.4


def test_an_ancestor_that_fails_stops_the_search_and_is_tried_again(store, undisturbed):
    failing = jobs(_0={"do": "raise", "error": "ValueError"})
    with pytest.raises(RunError, match="the ancestor failed: 1 x ValueError: no such thing"):
        search(store, make_job=failing)
    search(store)
    assert story(store) == undisturbed


def test_a_generation_of_failures_stops_the_search_and_is_tried_again(store, undisturbed):
    broken = jobs(other={"do": "raise", "error": "ValueError"}, _0=lambda attempt: None)

    def job(one, *others):
        return (broken if one.generation == 2 else make_job())(one, *others)

    with pytest.raises(RunError, match="all 7 children of generation 2 failed: 7 x ValueError"):
        search(store, make_job=job)
    search(store)
    assert story(store) == undisturbed


def test_a_full_disk_in_a_worker_stops_the_search_and_loses_nothing(store, undisturbed):
    with pytest.raises(RunError, match=r"is full\. All results so far are kept"):
        search(store, make_job=jobs(_9={"do": "raise", "error": "ENOSPC"}))
    assert store.individual("9").status == "proposed"
    assert store.counts()["running"] == 0
    search(store)
    assert story(store) == undisturbed


def test_a_full_disk_in_the_coordinator_stops_the_search_and_loses_nothing(tmp_path, undisturbed):
    with Store.create(tmp_path / "run", {}) as store:
        limit = store._db.value("PRAGMA page_count") + 4
        store._db.execute(f"PRAGMA max_page_count = {limit}")
        with pytest.raises(RunError, match=r"is full\. All results so far are kept"):
            search(store)
        done = store.counts()["done"]
        assert done > 0
    with Store.open(tmp_path / "run") as store:
        assert store.counts()["done"] == done
        search(store)
        assert story(store) == undisturbed


def inheriting(one, attempt, parent, store):
    job = make_job()(one, attempt, parent, store)
    return job | {"function": f"{toys.__name__}:inherit", "parent": parent and parent.blob}


def spoil(store, blob):
    store.blobs.path(blob).write_bytes(b"rotten")


def lose(store, blob):
    store.blobs.delete(blob)


@pytest.mark.parametrize("harm", [spoil, lose])
@pytest.mark.parametrize("course", [{}, {"mode": "async"}, {"mode": "async", "window": 6}])
@pytest.mark.parametrize("parents_by", ["best", "pareto"])
def test_a_parent_whose_weights_are_lost_is_passed_over(store, harm, course, parents_by):
    config = replace(CONFIG, parents=1, parents_by=parents_by, **course)
    search(store, replace(config, generations=1), make_job=inheriting)
    first = store.best(1)[0]
    whole = store.blobs.read(first.blob)
    harm(store, first.blob)
    events = []
    search(store, replace(config, generations=2), make_job=inheriting, on_event=events.append)
    assert store.counts() == {"proposed": 0, "running": 0, "done": 17, "failed": 0}
    assert first.id not in {one.parent_id for one in store.individuals(generation=2)}
    if parents_by == "best":
        (told,) = [event for event in events if event["kind"] == "passed_over"]
        assert told["id"] == first.id
        assert f"{first.blob}.safetensors are " in told["reason"]
        assert "a search goes on with other parents" in told["reason"]
    store.blobs.put(whole)  # restored, it is a parent again, if it still leads
    leading = store.best(1)[0].id
    search(store, replace(config, generations=3), make_job=inheriting)
    if parents_by == "best" and not course:
        assert {one.parent_id for one in store.individuals(generation=3)} == {leading}


def test_children_that_lose_their_only_parent_s_weights_do_not_end_the_search(store):
    def job(one, attempt, parent, store):
        if one.generation == 2:
            spoil(store, parent.blob)
        return inheriting(one, attempt, parent, store)

    config = replace(CONFIG, parents=1)
    search(store, replace(config, generations=3), make_job=job)
    lost = store.individuals(generation=2, status="failed")
    assert len(lost) == 8
    assert len(store.individuals(generation=3, status="done")) == 8
    search(store, replace(config, generations=4), make_job=inheriting)  # they stay failed
    assert store.individuals(generation=2, status="failed") == lost
    assert len(store.individuals(generation=4, status="done")) == 8


def test_a_search_whose_weights_are_all_lost_says_so(store):
    search(store, replace(CONFIG, generations=1), make_job=inheriting)
    for one in store.individuals():
        if one.blob:
            lose(store, one.blob)
    with pytest.raises(RunError, match=r"all that may have children are missing .* from a copy"):
        search(store, replace(CONFIG, generations=2), make_job=inheriting)


# Any sequence of ends


class Scripted(InlineExecutor):
    """Ends jobs as a script says, then as they end by themselves."""

    def __init__(self, script):
        super().__init__()
        self.script = list(script)

    def poll(self, timeout, tell):
        match self.script.pop(0) if self.script else "done":
            case "done":
                super().poll(timeout, tell)
            case "lost":
                self._job = None
                tell(Event(slot=0, kind="lost", data={"message": "gone"}))
            case "stop":
                raise KeyboardInterrupt
            case cause:
                self._job = None
                tell(Event(slot=0, kind="failed", data={"cause": cause, "message": cause}))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(["done", "lost", "stop", "error", "oom", "diverged", "disk_full"])))
def test_whatever_happens_each_individual_ends_once(tmp_path_factory, script):
    config = EvolutionConfig(children=3, parents=2, generations=2, max_attempts=3)
    folder = tmp_path_factory.mktemp("any") / "run"
    executor = Scripted(script)
    store = Store.create(folder, {})
    for _ in range(len(script) + 1):
        try:
            ending = search(store, config, executor=executor)
        except RunError as error:
            assert any(text in str(error) for text in ("is full", "failed: "))  # noqa: PT017
        else:
            if ending.kind != "stopped":
                break
        store.close()
        store = Store.open(folder)
    assert ending.kind == "generations"
    assert executor.script == [] or store.counts()["proposed"] == 0
    everyone = store.individuals()
    assert [one.birth for one in everyone if one.kind != "clone"] == list(range(7))
    assert len({one.genotype for one in everyone if one.kind != "clone"}) == 7
    for one in everyone:
        outcomes = [attempt.outcome for attempt in store.attempts(one.id)]
        assert one.status in ("done", "failed")
        assert outcomes.count("done") == (one.status == "done")
        assert "running" not in outcomes
    store.close()
