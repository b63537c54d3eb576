"""The noise of J: individuals that were trained again from the same parent with other seeds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from evopose.evolution.individual import Individual
from evopose.report.facts import SearchFacts, fitness_of, is_finished
from evopose.report.text import number, plural

LUCK = 2.0
"""A gain of fewer standard deviations than this may be luck."""


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """One individual of the search and its repeats."""

    individual: Individual
    repeats: tuple[Individual, ...]
    """All of them, by seed; also those that failed or wait."""

    @property
    def values(self) -> tuple[float, ...]:
        """J of each repeat that is scored."""
        return tuple(fitness_of(one) for one in self.repeats if is_finished(one))

    @property
    def mean(self) -> float | None:
        """Mean J of the repeats, None without any.

        The J of the search is not in it: an individual is repeated because that one was low.
        """
        return fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Standard deviation (n - 1) of J between the repeats; None for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far J is luck, from repeats of several individuals."""

    std: float
    """Pooled standard deviation of J within individuals."""
    degrees: int
    """Degrees of freedom behind it: values less individuals."""
    with_search: bool
    """Whether the J of the search count as values, for want of second repeats: they were chosen
    for being low, so `std` is then rather too large."""


def repeated(individuals: Iterable[Individual]) -> tuple[Repeated, ...]:
    """Return every individual that has repeats, best J of the search first."""
    originals: dict[int, Individual] = {}
    repeats: dict[int, list[Individual]] = defaultdict(list)
    for one in individuals:
        if one.kind == "repeat":
            repeats[one.birth].append(one)
        elif one.competes:
            originals[one.birth] = one
    found = [
        Repeated(individual=originals[birth], repeats=tuple(sorted(group, key=lambda o: o.seed)))
        for birth, group in repeats.items()
        if birth in originals
    ]
    return tuple(
        sorted(found, key=lambda r: (r.individual.fitness or math.inf, r.individual.birth))
    )


def noise_of(found: Sequence[Repeated]) -> Noise | None:
    """Return the pooled noise of J; None while no individual has two values."""
    groups = [one.values for one in found]
    with_search = all(len(values) < 2 for values in groups)
    if with_search:
        groups = [
            (fitness_of(one.individual), *one.values)
            for one in found
            if is_finished(one.individual)
        ]
    groups = [values for values in groups if len(values) > 1]
    degrees = sum(len(values) - 1 for values in groups)
    if not degrees:
        return None
    squares = sum((v - fmean(values)) ** 2 for values in groups for v in values)
    return Noise(std=math.sqrt(squares / degrees), degrees=degrees, with_search=with_search)


def repeats_table(found: Sequence[Repeated]) -> list[dict[str, str]]:
    """Return the repeated individuals as rows, best J of the search first."""
    return [
        {
            "id": one.individual.id,
            "J of the search": number(one.individual.fitness),
            "J of the repeats": ", ".join(_told(repeat) for repeat in one.repeats),
            "mean of the repeats": number(one.mean),
            "their deviation": number(one.std, 2),
        }
        for one in found
    ]


def _told(repeat: Individual) -> str:
    return number(repeat.fitness) if is_finished(repeat) else repeat.status


def noise_text(facts: SearchFacts) -> str:
    """Return the noise of J against the gain of the best, in words; empty without repeats.

    The gain is that of the best individual's repeats over the clone of its generation: neither was
    chosen for its J. Each is the result of trainings with their luck, so the noise of their
    difference is that of J times the root of 1 / repeats + 1.
    """
    found = repeated(facts.individuals)
    noise = noise_of(found)
    if noise is None:
        return ""
    said = (
        f"Between seeds J has a standard deviation of {number(noise.std, 2)} ("
        f"{plural(noise.degrees, 'degree')} of freedom"
        f"{', the J of the search among the values' if noise.with_search else ''})."
    )
    first = found[0]
    clone = facts.clone_of(first.individual.generation)
    if clone is None or first.mean is None:
        return said
    gain = fitness_of(clone) - first.mean
    spread = noise.std * math.sqrt(1 + 1 / len(first.values))
    return f"{said} {_gain_text(first, clone, gain, spread)}"


def _gain_text(first: Repeated, clone: Individual, gain: float, spread: float) -> str:
    mean, name = number(first.mean), first.individual.id
    head = (
        f"Trained again, {name} has J {mean} on average, the clone of its generation "
        f"{number(clone.fitness)}"
    )
    if gain <= 0:
        return f"{head}: no gain is left."
    times = gain / spread if spread else math.inf
    ratio = f"{times:.1f} times its noise" if math.isfinite(times) else "without any noise"
    verdict = "; that may be luck" if times < LUCK else ""
    return f"{head}: a gain of {number(gain, 3)}, {ratio}{verdict}."
