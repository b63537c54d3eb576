"""Whether runs can be set beside each other, and if not, what is in the way."""

import itertools
from collections.abc import Sequence

from evopose.errors import RunError
from evopose.report.comparing_configs import differing, label_of, objective_of, value_text
from evopose.report.comparing_runs import MEASURES, ComparedRun


def require_comparable(runs: Sequence[ComparedRun], by: str) -> None:
    """Raise RunError for a copy of another run, other data, or another objective than the first's.

    What the objective holds is said by `objective_of`.
    """
    _refuse_copies(runs)
    _refuse_other_data(runs)
    _refuse_other_objectives(runs, by)


def _refuse_copies(runs: Sequence[ComparedRun]) -> None:
    for one, two in itertools.combinations(runs, 2):
        if one.births & two.births:
            raise RunError(
                f"{one.name} and {two.name} are one run, copied: they share mutants, so they are "
                "not two seeds; name one of them"
            )


def _refuse_other_data(runs: Sequence[ComparedRun]) -> None:
    for run in runs[1:]:
        if run.data != runs[0].data:
            raise RunError(
                f"{run.name} was made on {run.source} (digest {run.data[:12]}), {runs[0].name} on "
                f"{runs[0].source} (digest {runs[0].data[:12]}): figures on different data cannot "
                "be compared; name runs on one dataset (drawn people differ by the seed: draw "
                "them once, and name their folder)"
            )


def _refuse_other_objectives(runs: Sequence[ComparedRun], by: str) -> None:
    first = runs[0]
    for run in runs[1:]:
        if not (apart := _objectives_apart(first, run, by)):
            continue
        said = ", ".join(f"{what} is {a} and {b}" for what, a, b in apart)
        others = [other for other in MEASURES if not _any_apart(runs, other)]
        mend = " or ".join(f"--by {other}" for other in others)
        raise RunError(
            f"{MEASURES[by].name} of {first.name} and {run.name} cannot be compared: {said}; "
            f"{f'compare {mend}, or ' if mend else ''}leave one of them out"
        )


def _any_apart(runs: Sequence[ComparedRun], by: str) -> bool:
    return any(_objectives_apart(runs[0], run, by) for run in runs[1:])


def _objectives_apart(one: ComparedRun, two: ComparedRun, by: str) -> list[tuple[str, str, str]]:
    """Return what differs in the objective of two runs: label and both values."""
    first, second = objective_of(one.settings, by), objective_of(two.settings, by)
    apart = [
        (label_of(path), value_text(path, first.get(path)), value_text(path, second.get(path)))
        for path in differing([first, second])
    ]
    by_latency = any(path.startswith("evolution.fitness.target_latency") for path in first)
    if by == "J" and by_latency and one.latency_devices != two.latency_devices:
        devices = [", ".join(run.latency_devices) or "unknown" for run in (one, two)]
        apart.append(("device of the latency", devices[0], devices[1]))
    return apart
