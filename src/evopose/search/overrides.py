"""Changing a recipe: each option of `evopose evolve` replaces one value of its configuration."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from evopose.errors import ConfigError
from evopose.genotype import GENOTYPES, Genotype
from evopose.search.config import SearchConfig
from evopose.search.session import ancestor_from_file

_EVOLUTION = ("children", "parents", "generations", "hours", "patience", "min_gain", "clones")
_FITNESS = ("target_parameters", "target_macs", "gamma", "max_parameters", "max_macs")


def override(config: SearchConfig, **options: Any) -> SearchConfig:
    """Return `config` with the given options replaced; an option that is None is left alone.

    Options: `children`, `parents`, `generations`, `hours`, `patience`, `min_gain`, `clones`,
    `target_parameters`, `target_macs`, `gamma`, `max_parameters`, `max_macs`, `seed`, `input_hw`,
    `epochs` (of a child), `ancestor_epochs`, `batch_size`, `learning_rate` (both of all
    trainings), `transfer`, `scaling_reference` (a number or "none"), `precision`, `ancestor` (a
    name, genotype JSON or model file), `ancestor_weights` (a model file or "none").

    Raises: ConfigError for an unknown option or a value that cannot be used.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if ancestor := given.pop("ancestor", None):
        config = _with_ancestor(config, ancestor)
    if (weights := given.pop("ancestor_weights", None)) is not None:
        config = replace(config, ancestor_weights=None if weights == "none" else weights)
    evolution = {name: given.pop(name) for name in _EVOLUTION if name in given}
    fitness = {name: given.pop(name) for name in _FITNESS if name in given}
    if "seed" in given:
        evolution["seed"] = evolution["training_seed"] = given.pop("seed")
    if fitness:
        evolution["fitness"] = replace(config.evolution.fitness, **fitness)
    shared = {n: given.pop(n) for n in ("batch_size", "learning_rate", "precision") if n in given}
    child = shared | ({"epochs": given.pop("epochs")} if "epochs" in given else {})
    first = shared | (
        {"epochs": given.pop("ancestor_epochs")} if "ancestor_epochs" in given else {}
    )
    if "scaling_reference" in given:
        network = replace(
            config.network, scaling_reference=_reference(given.pop("scaling_reference"))
        )
        config = replace(config, network=network)
    rest = {name: given.pop(name) for name in ("input_hw", "transfer") if name in given}
    if given:
        raise ConfigError(f"unknown options of a search: {', '.join(sorted(given))}")
    return replace(
        config,
        evolution=replace(config.evolution, **evolution),
        child_training=replace(config.child_training, **child),
        ancestor_training=replace(config.ancestor_training, **first),
        **rest,
    )


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text like 256x192. Raises: ConfigError if it is none."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"an input size is HEIGHTxWIDTH in pixels, say 256x192; got {text!r}")
    return int(height), int(width)


def _with_ancestor(config: SearchConfig, ancestor: str) -> SearchConfig:
    if ancestor in GENOTYPES:
        genotype = GENOTYPES[ancestor]
    elif Path(ancestor).is_file():
        return ancestor_from_file(config, Path(ancestor))
    elif ancestor.lstrip().startswith("["):
        genotype = Genotype.from_json(ancestor)
    else:
        raise ConfigError(
            f"ancestor {ancestor!r} is neither a model file, nor a genotype like "
            f"[[3,1,2,1],...], nor one of {', '.join(GENOTYPES)}"
        )
    return replace(config, ancestor=genotype)


def _reference(value: Any) -> float | None:
    if value == "none":
        return None
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(
            f"scaling_reference is a side in pixels, or none; got {value!r}"
        ) from error


def space_from_file(path: Path) -> Any:
    """Return the search space declared in a JSON file."""
    from evopose.genotype import SearchSpace

    try:
        return SearchSpace.from_json(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"cannot read the search space {path}: {error}") from error
