"""From a run folder to what a comparison needs of it: the best so far against its cost."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evopose.errors import ConfigError, RunError
from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.report.comparing_configs import Settings, settings_of
from evopose.report.comparing_statistics import Curve
from evopose.report.facts import is_failed, is_finished, mean_oks_of
from evopose.report.reading import read_facts


@dataclass(frozen=True, kw_only=True)
class Measure:
    """By what runs are compared."""

    name: str
    title: str
    value: Callable[[Individual], float | None]
    higher: bool = False
    """Whether more is better."""

    @property
    def sign(self) -> int:
        """What makes lower values better."""
        return -1 if self.higher else 1

    @property
    def better(self) -> str:
        """How the better of two is called."""
        return "higher" if self.higher else "lower"


MEASURES = {
    "J": Measure(name="J", title="fitness J (lower is better)", value=lambda one: one.fitness),
    "loss": Measure(name="loss", title="loss (lower is better)", value=lambda one: one.loss),
    "oks": Measure(
        name="mean OKS", title="mean OKS (higher is better)", value=mean_oks_of, higher=True
    ),
}
"""`--by` -> what is compared, always on the persons that measure the fitness."""


def measure_named(by: str) -> Measure:
    """Return a measure. Raises: ConfigError if there is none of that name."""
    if by not in MEASURES:
        raise ConfigError(f"runs are compared by one of {', '.join(MEASURES)}; got {by!r}")
    return MEASURES[by]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A new best of a run."""

    cost: float
    individual: Individual


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a run found, in the order of finishing."""

    curve: Curve | None
    """Best so far, its sign turned where more is better; None: nothing has finished."""
    clones: Curve | None
    """Best clone so far against the same cost; None: no clone has finished."""
    leaders: tuple[Step, ...]
    """The individuals that made `curve` fall."""
    ancestor: float | None
    """What the ancestor got; None: it has not finished, or is not measured."""
    finished: int
    """Competitors among those that finished."""
    search_cost: float
    """Samples x multiply-adds of ancestor and mutants."""
    control_cost: float
    """The same of clones and repeats."""
    failed: int
    """Individuals given up; what they cost is not known, and not counted."""
    uncounted: int
    """Finished ones that do not tell their samples; they count as free."""
    unmeasured: int
    """Finished competitors without the value compared."""

    def leader_at(self, cost: float) -> Individual | None:
        """Return the best individual found for at most `cost`."""
        found = [step.individual for step in self.leaders if step.cost <= cost]
        return found[-1] if found else None


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """A run, as far as it is compared."""

    name: str
    """As the command line named it."""
    state: str
    settings: Settings
    recipe: str
    data: str
    """Digest of its dataset."""
    source: str
    """What the dataset was called."""
    made_by: str
    """Device and versions."""
    latency_devices: tuple[str, ...]
    """Where latencies were measured, if they were."""
    births: frozenset[tuple[str, float]]
    """Id and time of every mutant: what only copies of a run have in common."""
    trace: Trace


def read_run(run: Path, measure: Measure, *, count_controls: bool = False) -> ComparedRun:
    """Return what the run in folder `run` found, also while its search goes on.

    Raises: RunError if there is no run, or its configuration is missing or damaged.
    """
    with Store.read(run) as store:
        meta = store.meta
    facts = read_facts(run)
    if not facts.config:
        raise RunError(
            f"cannot read {run / 'config.json'}: without its configuration a run cannot be "
            "compared; restore it from a copy"
        )
    individuals = facts.individuals
    devices = {one.latency_device for one in individuals if one.latency_device}
    return ComparedRun(
        name=str(run),
        state=facts.state,
        settings=settings_of(facts.config),
        recipe=str(facts.config.get("recipe", "")),
        data=str(meta.get("data", "")),
        source=str(meta.get("source", "")),
        made_by=_made_by(meta),
        latency_devices=tuple(sorted(devices)),
        births=frozenset((one.id, one.created_at) for one in individuals if one.kind == "mutant"),
        trace=trace_of(individuals, measure, count_controls=count_controls),
    )


def trace_of(
    individuals: Iterable[Individual], measure: Measure, *, count_controls: bool = False
) -> Trace:
    """Return the best so far of a search against its cost.

    The cost is the training samples processed times the multiply-adds of the network's forward
    pass, over ancestor and mutants; with `count_controls` over clones and repeats as well.
    """
    members = list(individuals)
    done = sorted(filter(is_finished, members), key=lambda one: (one.finished_at or 0, one.birth))
    steps = _Steps(measure), _Steps(measure)
    spent = {True: 0.0, False: 0.0}
    uncounted = unmeasured = 0
    for one in done:
        samples = samples_of(one)
        uncounted += samples is None
        spent[one.competes] += (samples or 0) * one.num_macs
        cost = spent[True] + (spent[False] if count_controls else 0.0)
        if one.competes:
            unmeasured += measure.value(one) is None
            steps[0].add(cost, one)
        elif one.kind == "clone":
            steps[1].add(cost, one)
    end = spent[True] + (spent[False] if count_controls else 0.0)
    return Trace(
        curve=steps[0].curve(end),
        clones=steps[1].curve(end),
        leaders=tuple(steps[0].found),
        ancestor=next((measure.value(one) for one in done if one.kind == "ancestor"), None),
        finished=sum(one.competes for one in done),
        search_cost=spent[True],
        control_cost=spent[False],
        failed=sum(map(is_failed, members)),
        uncounted=uncounted,
        unmeasured=unmeasured,
    )


def samples_of(one: Individual) -> int | None:
    """Return how many samples `one` was trained on, epochs times persons; None: it is not told."""
    if (samples := one.result.get("samples")) is not None:
        return int(samples)
    history = one.result.get("history") or ()
    told = [record["samples"] for record in history if "samples" in record]
    return sum(told) if told and len(told) == len(history) else None


class _Steps:
    """Collects the individuals each of which is better than all before it."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.found: list[Step] = []
        self.best = np.inf

    def add(self, cost: float, one: Individual) -> None:
        value = self.measure.value(one)
        if value is not None and self.measure.sign * value < self.best:
            self.best = self.measure.sign * value
            self.found.append(Step(cost=cost, individual=one))

    def curve(self, end: float) -> Curve | None:
        """Return the steps, the last of them held on to `end`."""
        if not self.found:
            return None
        values = [self.measure.sign * float(self._value(step)) for step in self.found]
        return Curve(
            costs=np.array([*(step.cost for step in self.found), end]),
            values=np.array([*values, values[-1]]),
        )

    def _value(self, step: Step) -> float:
        value = self.measure.value(step.individual)
        assert value is not None
        return value


def _made_by(meta: dict[str, Any]) -> str:
    versions = ", ".join(f"{what} {version}" for what, version in meta.get("versions", {}).items())
    return "; ".join(part for part in (str(meta.get("device", "")), versions) if part)
