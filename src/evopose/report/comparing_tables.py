"""A comparison as rows and sentences: the same in the terminal and on the page.

A sentence says what the interval allows to say, and no more.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from evopose.evolution.individual import Individual
from evopose.report.comparing_configs import seed_of
from evopose.report.comparing_facts import Arm, Comparison, Pair
from evopose.report.comparing_reach import Reach
from evopose.report.comparing_runs import ComparedRun, Measure
from evopose.report.comparing_statistics import Estimate
from evopose.report.facts import mean_oks_of
from evopose.report.tables import Row
from evopose.report.text import count, number, percent, plural, signed

RARE = 0.05
"""A difference is called one where chance alone makes its like no more often than this."""


def cost_text(cost: float | None) -> str:
    """Return a cost in multiply-adds.

    >>> cost_text(3.2e12), cost_text(1.5e15), cost_text(2e8), cost_text(0.0)
    ('3.20 T', '1.50 P', '0.200 G', '0')
    """
    if cost is None:
        return ""
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T")):
        if cost >= 0.1 * size:
            return f"{number(cost / size, 3)} {unit}"
    return count(cost)


def natural(estimate: Estimate, measure: Measure) -> tuple[float, float | None, float | None]:
    """Return mean and bounds as people read the measure, signs turned back."""
    if measure.sign > 0 or estimate.low is None or estimate.high is None:
        return measure.sign * estimate.mean, estimate.low, estimate.high
    return -estimate.mean, -estimate.high, -estimate.low


def estimate_text(estimate: Estimate | None, measure: Measure) -> str:
    """Return a mean with its interval."""
    if estimate is None:
        return ""
    mean, low, high = natural(estimate, measure)
    return number(mean) if low is None else f"{number(mean)} [{number(low)}, {number(high)}]"


def change_text(estimate: Estimate, measure: Measure) -> str:
    """Return a mean difference with its interval."""
    mean, low, high = natural(estimate, measure)
    return signed(mean) if low is None else f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def ratio_text(found: Reach | None) -> str:
    """Return what share of the reference's cost an arm needed."""
    if found is None:
        return ""
    if found.cost is None:
        return "not reached"
    if found.ratio is None:
        return "not known"
    bounds = ""
    if found.low is not None and found.high is not None:
        high = number(found.high, 3) if math.isfinite(found.high) else "not reached"
        low = number(found.low, 3) if math.isfinite(found.low) else "not reached"
        bounds = f" [{low}, {high}]"
    return f"{number(found.ratio, 3)} x{bounds}"


def arms_table(comparison: Comparison) -> list[Row]:
    """Return the arms as rows: what they had found at the budget, and what it took."""
    measure, budget = comparison.measure, comparison.budget
    reference = comparison.arms[0]
    against = {pair.second: pair for pair in comparison.pairs if pair.first == reference.name}
    reaches, rows = comparison.reaches, []
    for arm in comparison.arms:
        pair = against.get(arm.name)
        winners = [] if budget is None else arm.winners(budget)
        rows.append(
            {
                "arm": arm.name,
                "runs": _used_text(arm),
                f"{measure.name} at equal cost": estimate_text(comparison.final(arm), measure),
                f"against {reference.name}": change_text(pair.difference, measure) if pair else "",
                "cost to be as good": "1"
                if arm is reference
                else ratio_text(reaches.get(arm.name)),
                **_sizes(winners, measure),
            }
        )
    return rows


def _used_text(arm: Arm) -> str:
    idle = len(arm.runs) - len(arm.used)
    return f"{len(arm.used)}{f' (and {idle} without a result)' if idle else ''}"


def _sizes(winners: Sequence[Individual], measure: Measure) -> Row:
    """Return means over the best individuals; no second time what is compared."""
    sizes = {
        "parameters": count(fmean(o.num_parameters for o in winners)) if winners else "",
        "multiply-adds": count(fmean(o.num_macs for o in winners)) if winners else "",
    }
    if measure.value is mean_oks_of:
        return sizes
    oks = [value for one in winners if (value := mean_oks_of(one)) is not None]
    return sizes | {"mean OKS": number(fmean(oks), 3) if oks else ""}


def runs_table(comparison: Comparison) -> list[Row]:
    """Return the runs as rows, each at its own end."""
    measure = comparison.measure
    return [
        {
            "run": run.name,
            "arm": arm.name,
            "seed": seed_text(run),
            "state": run.state,
            "finished": f"{run.trace.finished:,}",
            "failed": f"{run.trace.failed:,}" if run.trace.failed else "",
            "cost": cost_text(run.trace.search_cost),
            "controls' cost": cost_text(run.trace.control_cost) if run.trace.control_cost else "",
            f"best {measure.name}": _best_text(run, measure),
            "individual": run.trace.leaders[-1].individual.id if run.trace.leaders else "",
            **_sizes([step.individual for step in run.trace.leaders[-1:]], measure),
        }
        for arm in comparison.arms
        for run in arm.runs
    ]


def seed_text(run: ComparedRun) -> str:
    """Return a run's seed; that of the trainings too, where it is another."""
    mutations, trainings = seed_of(run.settings)
    return str(mutations) if mutations == trainings else f"{mutations}, {trainings}"


def _best_text(run: ComparedRun, measure: Measure) -> str:
    curve = run.trace.curve
    return "" if curve is None else number(measure.sign * float(curve.values[-1]))


def sentences(comparison: Comparison) -> list[str]:
    """Return a sentence a pair of arms: what can be told from these seeds."""
    return [pair_text(pair, comparison.measure) for pair in comparison.pairs]


def pair_text(pair: Pair, measure: Measure) -> str:
    """Return what can be told of a pair of arms."""
    found, name = pair.difference, measure.name
    seeds = plural(found.n, "seed") if pair.paired else f"{found.n} or more runs an arm"
    shown = f"{pair.second} minus {pair.first}: {change_text(found, measure)}"
    if found.low is None or found.high is None:
        few = plural(found.n, "seed" if pair.paired else "run")
        return (
            f"Nothing can be told of {pair.first} and {pair.second} from {few}, too few for an "
            f"interval ({name} of {shown})."
        )
    if found.low <= 0 <= found.high:
        won = f"; better in {pair.wins} of {found.n}" if pair.paired else ""
        return (
            f"No difference between {pair.first} and {pair.second} can be told from these {seeds} "
            f"({name} of {shown}{won})."
        )
    better, worse = (pair.second, pair.first) if found.mean < 0 else (pair.first, pair.second)
    often = f" in {max(pair.wins, pair.losses)} of {seeds}" if pair.paired else ""
    said = f"{better} has a {measure.better} {name} than {worse}{often}, by {_amount(found)}"
    if pair.chance is not None and pair.chance <= RARE:
        return (
            f"{said}; chance alone sets like arms so far apart in {percent(pair.chance)} of cases."
        )
    return (
        f"{said}. A hint, no proof: chance alone sets like arms so far apart in "
        f"{percent(pair.chance)} of cases."
    )


def _amount(found: Estimate) -> str:
    """Return the size of a difference with its interval, whichever is better."""
    bounds = sorted(abs(bound) for bound in (found.low, found.high) if bound is not None)
    texts = [signed(value).removeprefix("+") for value in (abs(found.mean), *bounds)]
    return f"{texts[0]} [{', '.join(texts[1:])}]"


def reach_texts(comparison: Comparison) -> list[str]:
    """Return a sentence an arm but the first: what it cost to be as good as the reference."""
    reference = comparison.arms[0]
    texts = []
    for arm in comparison.arms[1:]:
        if (found := comparison.reaches.get(arm.name)) is None:
            continue
        value = number(comparison.measure.sign * found.target)
        goal = f"the average {comparison.measure.name} of {reference.name} at equal cost, {value}"
        if found.cost is None:
            said = f"{arm.name} never reached {goal}"
        elif found.ratio is None:
            said = f"{arm.name} reached {goal}, after {cost_text(found.cost)} multiply-adds"
        else:
            said = (
                f"{arm.name} reached {goal}, at {ratio_text(found)} the cost "
                f"({cost_text(found.cost)} against {cost_text(found.reference_cost)})"
            )
        alone = ", too few for an interval" if found.ratio and found.low is None else ""
        texts.append(
            f"{said}; {found.runs} of {plural(len(arm.used), 'run')} did on their own{alone}."
        )
    return texts


def budget_text(comparison: Comparison) -> str:
    """Return at what cost the arms are compared, or why they cannot be."""
    if not comparison.compared:
        return "Nothing has finished in any of these runs yet."
    if comparison.budget is None:
        return (
            "There is no cost that all runs have reached: one had nothing yet where another ended. "
            "Let the shorter ones go on, or compare fewer."
        )
    shortest = min(
        (run for arm in comparison.compared for run in arm.used),
        key=lambda run: run.trace.curve.end if run.trace.curve else math.inf,
    )
    return (
        f"Equal cost: {cost_text(comparison.budget)} multiply-adds, what all runs reached "
        f"({shortest.name} ended first)."
    )
