"""The comparison itself: arms, their curves, and what sets each pair of them apart."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evopose.evolution.individual import Individual
from evopose.report.comparing_checks import require_comparable
from evopose.report.comparing_configs import arm_key, arm_settings, names_of, seed_of
from evopose.report.comparing_reach import Reach, reach
from evopose.report.comparing_runs import ComparedRun, Measure, measure_named
from evopose.report.comparing_statistics import (
    FEWEST,
    Band,
    Curve,
    Estimate,
    band,
    chance_of_labels,
    chance_of_signs,
    difference,
    estimate,
)

Seed = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Runs that differ in their seeds alone, or that were put under one name by hand."""

    name: str
    runs: tuple[ComparedRun, ...]

    @cached_property
    def used(self) -> tuple[ComparedRun, ...]:
        """The runs in which something has finished."""
        return tuple(run for run in self.runs if run.trace.curve is not None)

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """Best so far of each run in `used`."""
        return tuple(run.trace.curve for run in self.used if run.trace.curve is not None)

    @cached_property
    def band(self) -> Band | None:
        """The mean of the curves; None without any."""
        return band(self.curves) if self.curves else None

    @cached_property
    def clones(self) -> Band | None:
        """The mean curve of the best clone, over the runs that have clones; None without any."""
        found = [run.trace.clones for run in self.used if run.trace.clones is not None]
        return band(found) if found else None

    def finals(self, budget: float) -> list[float]:
        """Return what each run in `used` had found for `budget`."""
        return [float(curve.at(budget)) for curve in self.curves]

    def by_seed(self, budget: float) -> dict[Seed, float]:
        """Return the same by seed; of several runs of one seed their mean."""
        found: dict[Seed, list[float]] = defaultdict(list)
        for run, value in zip(self.used, self.finals(budget), strict=True):
            found[seed_of(run.settings)].append(value)
        return {seed: sum(values) / len(values) for seed, values in found.items()}

    def winners(self, budget: float) -> list[Individual]:
        """Return the best individual that each run in `used` had found for `budget`."""
        found = (run.trace.leader_at(budget) for run in self.used)
        return [one for one in found if one is not None]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two arms at the same cost; values with their sign turned where more is better."""

    first: str
    second: str
    difference: Estimate
    """Second minus first: below 0 the second is better."""
    paired: bool
    """Whether it is the mean over pairs of runs of the same seed."""
    wins: int
    """Of `difference.n` pairs, in how many the second is better; 0 unless paired."""
    losses: int
    chance: float | None
    """How often chance alone would set like arms so far apart; None of too few runs."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs beside each other."""

    measure: Measure
    arms: tuple[Arm, ...]
    """The first is the reference."""
    count_controls: bool

    @cached_property
    def compared(self) -> tuple[Arm, ...]:
        """The arms in which something has finished."""
        return tuple(arm for arm in self.arms if arm.used)

    @cached_property
    def runs(self) -> tuple[ComparedRun, ...]:
        """All runs, arm by arm."""
        return tuple(run for arm in self.arms for run in arm.runs)

    @cached_property
    def budget(self) -> float | None:
        """The largest cost that all runs reached; None if one had nothing yet where another ended.

        Runs in which nothing has finished are left out.
        """
        curves = [curve for arm in self.compared for curve in arm.curves]
        if not curves:
            return None
        first, last = max(float(c.costs[0]) for c in curves), min(c.end for c in curves)
        return last if first <= last else None

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Each arm against each that comes before it, at the budget."""
        if self.budget is None:
            return ()
        together = itertools.combinations(self.compared, 2)
        return tuple(pair_of(first, second, self.budget) for first, second in together)

    def final(self, arm: Arm) -> Estimate | None:
        """Return the mean of what an arm had found at the budget, with its interval."""
        if self.budget is None or not arm.used:
            return None
        return estimate(arm.finals(self.budget))

    @cached_property
    def reaches(self) -> dict[str, Reach]:
        """By an arm's name what it cost to be as good as the reference at the budget."""
        reference = self.arms[0]
        if self.budget is None or not reference.used:
            return {}
        found = {}
        for arm in self.compared[1:]:
            order, paired = _aligned(reference, arm)
            curves = [arm.curves[place] for place in order]
            found[arm.name] = reach(reference.curves, curves, self.budget, paired=paired)
        return found


def make_comparison(
    runs: Sequence[ComparedRun],
    *,
    by: str = "J",
    labels: Mapping[str, str] | None = None,
    count_controls: bool = False,
) -> Comparison:
    """Return the comparison of `runs`, which were read for the measure `by`.

    `labels`, name of a run -> name of its arm, groups by hand; the others are grouped by what
    their configurations agree in, but for seeds, ends and the file of the ancestor's weights.

    Raises: RunError if there is a copy of a run, or data or objectives of the runs differ.
    """
    measure = measure_named(by)
    require_comparable(runs, by)
    return Comparison(
        measure=measure, arms=group(runs, labels or {}), count_controls=count_controls
    )


def group(runs: Sequence[ComparedRun], labels: Mapping[str, str]) -> tuple[Arm, ...]:
    """Return the arms, in the order of their first runs."""
    groups: dict[tuple[bool, str], list[ComparedRun]] = defaultdict(list)
    for run in runs:
        name = labels.get(run.name)
        groups[(True, name) if name is not None else (False, arm_key(run.settings))].append(run)
    found = [members for (by_hand, _), members in groups.items() if not by_hand]
    names = names_of(
        [arm_settings(members[0].settings) for members in found],
        [members[0].recipe for members in found],
    )
    automatic = iter(names)
    taken = {name for by_hand, name in groups if by_hand}
    arms = []
    for (by_hand, key), members in groups.items():
        name = key if by_hand else next(automatic)
        while not by_hand and name in taken:
            name += "*"
        arms.append(Arm(name=name, runs=tuple(members)))
    return tuple(arms)


def pair_of(first: Arm, second: Arm, budget: float) -> Pair:
    """Return what sets two arms apart at `budget`.

    By pairs of runs of the same seed where there are at least three, or where that is all there
    is; else by the difference of the means.
    """
    one, two = first.by_seed(budget), second.by_seed(budget)
    both = [seed for seed in one if seed in two]
    alone = min(len(first.used), len(second.used)) >= FEWEST
    if both and (len(both) >= FEWEST or not alone):
        changes = [two[seed] - one[seed] for seed in both]
        return Pair(
            first=first.name,
            second=second.name,
            difference=estimate(changes),
            paired=True,
            wins=sum(change < 0 for change in changes),
            losses=sum(change > 0 for change in changes),
            chance=chance_of_signs(changes) if len(both) >= FEWEST else None,
        )
    values = first.finals(budget), second.finals(budget)
    return Pair(
        first=first.name,
        second=second.name,
        difference=difference(*values),
        paired=False,
        wins=0,
        losses=0,
        chance=chance_of_labels(*values) if alone else None,
    )


def _aligned(reference: Arm, arm: Arm) -> tuple[list[int], bool]:
    """Return the places of the arm's runs, in the order of the reference's seeds where both have
    the same, and whether they have."""
    mine = [seed_of(run.settings) for run in arm.used]
    theirs = [seed_of(run.settings) for run in reference.used]
    if len(set(mine)) < len(mine) or sorted(mine) != sorted(theirs):
        return list(range(len(mine))), False
    return [mine.index(seed) for seed in theirs], True
