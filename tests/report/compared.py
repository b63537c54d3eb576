"""Runs made up for comparisons: individuals with a cost and a value, and a real configuration."""

import json
from typing import Any

from evolution.toys import individual
from evopose.evolution.individual import Individual
from evopose.recipes import SEARCH_RECIPES
from evopose.report.comparing_configs import settings_of
from evopose.report.comparing_runs import MEASURES, ComparedRun, trace_of

CONFIG = json.loads(SEARCH_RECIPES["demo"]().to_json())

LINE = [(10.0, 0.9), (20.0, 0.8)]
"""Cost and value of two competitors."""


def trained(birth: int, value: float, at: float, **values: Any) -> Individual:
    result = {"samples": 10, "mean_oks": 1 - value} | values.pop("result", {})
    known = {"loss": value, "fitness": 2 * value, "status": "done", "num_macs": 100}
    return individual(birth, finished_at=at, **known | {"result": result} | values)


def config(**changes: Any) -> dict[str, Any]:
    """CONFIG with values at dotted paths (two underscores for a dot), which may be new."""
    found = json.loads(json.dumps(CONFIG))
    for path, value in changes.items():
        *parts, name = path.split("__")
        inside = found
        for part in parts:
            inside = inside[part]
        inside[name] = value
    return found


def made(
    name: str, points: list[tuple[float, float]], *, seed: int = 0, **more: Any
) -> ComparedRun:
    """A run whose competitors finish at these costs with these J; a unit of cost is a sample."""
    steps, before = [], 0.0
    for birth, (cost, value) in enumerate(points):
        told = {"samples": cost - before, "mean_oks": 1 - value}
        sizes = {"num_macs": 1, "num_parameters": 10 + birth}
        steps.append(trained(birth, value, at=birth, fitness=value, result=told, **sizes))
        before = cost
    by, changes = more.pop("by", "J"), more.pop("changes", {})
    seeds = {"evolution__seed": seed, "evolution__training_seed": seed}
    known = {
        "name": name,
        "state": "finished",
        "settings": settings_of(config(**seeds | changes)),
        "recipe": "demo",
        "data": "d" * 64,
        "source": "people",
        "made_by": "cpu; evopose 0.2.0",
        "latency_devices": (),
        "births": frozenset({(name, 0.0)}),
        "trace": trace_of([*steps, *more.pop("others", ())], MEASURES[by]),
    }
    return ComparedRun(**known | more)
