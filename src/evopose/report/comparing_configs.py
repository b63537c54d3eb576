"""Which runs belong together, what sets them apart, and whether their figures can be compared.

Configurations are plain JSON here, and unknown keys count like known ones: a run of a later
version, with options that this one has not heard of, is grouped as it should be.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any

from evopose.evolution.config import EvolutionConfig
from evopose.evolution.fitness import Fitness
from evopose.search.config import NetworkOptions, SearchConfig
from evopose.training.config import TrainConfig

Settings = dict[str, Any]
"""Dotted path -> JSON value, as "evolution.parents_by" -> "best"."""

NOT_AN_ARM = frozenset(
    {
        "recipe",  # a mere label: all that it sets is among the other values
        "ancestor_weights",  # each seed may have an ancestor of its own
        "evolution.generations",
        "evolution.hours",
        "evolution.patience",
        "evolution.min_gain",
        "evolution.max_attempts",
        "evolution.lease_seconds",
        "evolution.keep_best",
        "evolution.rescore",
        "evolution.rescore_seeds",
        "ancestor_training.checkpoint_seconds",
        "child_training.checkpoint_seconds",
    }
)
"""In what runs of one arm may differ beside seeds: when a search ends, and what it does then."""

MOST_NAMED = 3
"""Differences that make up an arm's name; of more, its recipe is its name if that tells."""

_WHOLE = ("space", "ancestor")
_OWNERS = {"evolution": EvolutionConfig, "evolution.fitness": Fitness, "network": NetworkOptions,
           "ancestor_training": TrainConfig, "child_training": TrainConfig}  # fmt: skip
_TARGET = ("loss", "sigma", "round_centre")


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Return a run's configuration by dotted path, options it does not name at their defaults."""
    found = _flat(_defaults(SearchConfig))
    for path, owner in _OWNERS.items():
        found |= _flat(_defaults(owner), path)
    return found | _flat(config)


def arm_settings(settings: Settings) -> Settings:
    """Return what all runs of an arm agree in."""
    return {
        path: value
        for path, value in settings.items()
        if path not in NOT_AN_ARM and not _is_seed(path)
    }


def arm_key(settings: Settings) -> str:
    """Return a digest that the runs of an arm have in common, and no others."""
    text = json.dumps(arm_settings(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_of(settings: Settings) -> tuple[int, int]:
    """Return the seeds of mutations and of trainings: equal ones pair runs of different arms."""
    return int(settings["evolution.seed"]), int(settings["evolution.training_seed"])


def objective_of(settings: Settings, by: str) -> Settings:
    """Return all that figures must agree in to be comparable: by "J", "loss" or "oks".

    The data, of which all depend, is not among it.
    """
    prefix = "evolution.fitness."
    target = {
        path: settings[path]
        for part in ("ancestor_training", "child_training")
        for name in _TARGET
        if (path := f"{part}.{name}") in settings
    } | {"input_hw": settings.get("input_hw")}
    if by == "oks":
        return {}
    if by == "loss":
        return target
    formula = {
        path: value
        for path, value in settings.items()
        if path.startswith(prefix) and _shapes_fitness(path.removeprefix(prefix), settings)
    }
    return formula if settings.get(f"{prefix}error") == "oks" else formula | target


def _shapes_fitness(name: str, settings: Settings) -> bool:
    """Return whether an option of the fitness is part of J's formula as it is set."""
    if name.startswith("max_"):
        return False  # limits what is trained, not what J it gets
    kind = name.partition("_")[2]
    if not (name.startswith(("gamma_", "target_")) and kind != "parameters"):
        return True
    targets = [
        value
        for path, value in settings.items()
        if path.startswith(f"evolution.fitness.target_{kind}")
    ]
    return any(value is not None for value in targets)


def names_of(arms: Sequence[Settings], recipes: Sequence[str]) -> list[str]:
    """Return a name for each arm, by what sets it apart from the others; no two are equal.

    >>> shared = {"transfer": "exact", "evolution.seed": 3}
    >>> names_of([shared, shared | {"transfer": "official"}], ["small", "small"])
    ['transfer exact', 'transfer official']
    """
    paths = differing(arms)
    if len(arms) == 1 or (len(paths) > MOST_NAMED and len(set(recipes)) == len(arms)):
        return [recipe or "the runs" for recipe in recipes]
    shown = paths[:MOST_NAMED]
    names = []
    for settings in arms:
        parts = [f"{label_of(path)} {value_text(path, settings.get(path))}" for path in shown]
        names.append(", ".join(dict.fromkeys(parts)))
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def differing(all_settings: Sequence[Settings]) -> list[str]:
    """Return the paths whose values are not the same in all, in the order of their appearance."""
    paths = dict.fromkeys(path for settings in all_settings for path in settings)
    return [
        path
        for path in paths
        if len({json.dumps(settings.get(path), sort_keys=True) for settings in all_settings}) > 1
    ]


def label_of(path: str) -> str:
    """Return what a setting is called.

    >>> label_of("evolution.parents_by"), label_of("child_training.epochs")
    ('parents_by', 'child epochs')
    """
    part, _, name = path.rpartition(".")
    for kind in ("ancestor", "child"):
        if part.startswith(f"{kind}_training"):
            return f"{kind} {name}"
    return name if part != "evolution.fitness" else f"fitness {name}"


def value_text(path: str, value: Any) -> str:
    """Return a setting's value in few letters; of a long one its digest.

    >>> value_text("input_hw", [96, 64]), value_text("evolution.clones", True)
    ('96x64', 'yes')
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if path == "input_hw" and isinstance(value, list):
        return "x".join(map(str, value))
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if isinstance(value, dict) and "name" in value:
        return f"{value['name']} {hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return text if len(text) <= 32 else hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_seed(path: str) -> bool:
    name = path.rpartition(".")[2]
    return name == "seed" or name.endswith("_seed")


def _flat(value: Mapping[str, Any], prefix: str = "") -> Settings:
    found: Settings = {}
    for key, item in value.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(item, Mapping) and path not in _WHOLE:
            found |= _flat(item, path)
        else:
            found[path] = list(item) if isinstance(item, tuple) else item
    return found


def _defaults(owner: type) -> dict[str, Any]:
    """Return the defaults of a configuration's fields as JSON values."""
    assert is_dataclass(owner)
    found: dict[str, Any] = {}
    for field in fields(owner):
        if field.default is not MISSING:
            found[field.name] = field.default
        elif field.default_factory is not MISSING:
            found[field.name] = asdict(field.default_factory())
    return found
