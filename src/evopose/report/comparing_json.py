"""A comparison as JSON values, for scripts."""

import math
from dataclasses import asdict
from typing import Any

from evopose.report.comparing_caveats import caveats
from evopose.report.comparing_facts import Arm, Comparison, Pair
from evopose.report.comparing_reach import Reach
from evopose.report.comparing_runs import ComparedRun, Measure
from evopose.report.comparing_statistics import Band, Curve, Estimate
from evopose.report.comparing_tables import budget_text, natural, reach_texts, sentences

COMPARISON_FORMAT = 1
"""Version of the layout of what `comparison_json` returns."""


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything that a script may want to know of a comparison, as JSON values.

    Values are as people read them: of OKS more is better, and so are its differences.
    """
    measure = comparison.measure
    return {
        "format": COMPARISON_FORMAT,
        "by": measure.name,
        "higher_is_better": measure.higher,
        "count_controls": comparison.count_controls,
        "reference": comparison.arms[0].name,
        "budget": comparison.budget,
        "arms": [_arm(comparison, arm) for arm in comparison.arms],
        "pairs": [_pair(pair, measure) for pair in comparison.pairs],
        "said": [
            budget_text(comparison),
            *sentences(comparison),
            *reach_texts(comparison),
            *caveats(comparison),
        ],
    }


def _arm(comparison: Comparison, arm: Arm) -> dict[str, Any]:
    measure, final = comparison.measure, comparison.final(arm)
    return {
        "name": arm.name,
        "runs": [_run(run, comparison) for run in arm.runs],
        "final": None if final is None else _estimate(final, measure),
        "reach": _reach(comparison.reaches.get(arm.name), measure),
        "curve": _band(arm.band, measure),
        "clone_curve": _band(arm.clones, measure),
    }


def _run(run: ComparedRun, comparison: Comparison) -> dict[str, Any]:
    trace, measure, budget = run.trace, comparison.measure, comparison.budget
    last = trace.leaders[-1].individual if trace.leaders else None
    even = trace.leader_at(budget) if budget is not None else None
    return {
        "run": run.name,
        "state": run.state,
        "seed": run.settings["evolution.seed"],
        "training_seed": run.settings["evolution.training_seed"],
        "finished": trace.finished,
        "failed": trace.failed,
        "without_samples": trace.uncounted,
        "without_value": trace.unmeasured,
        "search_cost": trace.search_cost,
        "control_cost": trace.control_cost,
        "curve": _curve(trace.curve, measure),
        "leaders": [
            {"id": s.individual.id, "cost": s.cost, "value": measure.value(s.individual)}
            for s in trace.leaders
        ],
        "at_budget": None
        if even is None
        else {
            "id": even.id,
            "value": measure.value(even),
            "num_parameters": even.num_parameters,
            "num_macs": even.num_macs,
            "mean_oks": even.result.get("mean_oks"),
        },
        "best": last and last.id,
    }


def _pair(pair: Pair, measure: Measure) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "second_minus_first": _estimate(pair.difference, measure),
        "paired": pair.paired,
        "wins": pair.wins,
        "losses": pair.losses,
        "chance": pair.chance,
    }


def _estimate(found: Estimate, measure: Measure) -> dict[str, Any]:
    mean, low, high = natural(found, measure)
    return {"mean": mean, "low": low, "high": high, "n": found.n}


def _reach(found: Reach | None, measure: Measure) -> dict[str, Any] | None:
    """Return a reach; a bound that is not reached is null, beside "bounded"."""
    if found is None:
        return None
    values = asdict(found) | {"target": measure.sign * found.target}
    bounds = {name: values[name] for name in ("low", "high")}
    known = {name: _finite(value) for name, value in bounds.items()}
    return values | known | {"bounded": known["high"] is not None}


def _curve(found: Curve | None, measure: Measure) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"costs": found.costs.tolist(), "values": (measure.sign * found.values).tolist()}


def _band(found: Band | None, measure: Measure) -> dict[str, Any] | None:
    if found is None:
        return None
    low, high = (found.low, found.high) if measure.sign > 0 else (found.high, found.low)
    return {
        "costs": found.costs.tolist(),
        "mean": (measure.sign * found.mean).tolist(),
        "low": None if low is None else (measure.sign * low).tolist(),
        "high": None if high is None else (measure.sign * high).tolist(),
        "n": found.n,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
