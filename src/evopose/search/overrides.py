"""Changing a recipe: each option of `evopose evolve` replaces one value of its configuration."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evopose.errors import ConfigError
from evopose.evolution.fitness import Fitness
from evopose.genotype import GENOTYPES, SPACES, Genotype, SearchSpace
from evopose.inference.model_files import find_model_file
from evopose.models.card import read_card
from evopose.search.config import SearchConfig
from evopose.search.network import parse_reference

_EVOLUTION = (
    "mode", "window", "children", "parents", "parents_by", "generations", "hours", "patience",
    "min_gain", "clones", "rescore", "rescore_seeds", "timeout_seconds",
    "quota_gb",
)  # fmt: skip
_TRAINING = ("batch_size", "learning_rate", "precision")
_WHOLE = ("input_hw", "transfer")
_FITNESS = (
    "target_parameters", "target_macs", "target_latency_ms", "gamma", "max_parameters", "max_macs",
    "max_latency_ms",
)  # fmt: skip
_OPTIONS = {
    "hours": "budget-hours",
    "quota_gb": "quota",
    "timeout_seconds": "child-timeout",
    "input_hw": "input",
    "target_parameters": "target-params",
    "max_parameters": "max-params",
}
"""Options of `override` that have another name on the command line."""
OBJECTIVES: dict[str, dict[str, str]] = {
    "loss": {"error": "loss", "parents_by": "best"},
    "oks": {"error": "oks", "parents_by": "best"},
    "pareto": {"error": "oks", "parents_by": "pareto"},
}
"""Name of `--objective` -> the error that is made small, and how parents are chosen."""


def override(config: SearchConfig, **options: Any) -> SearchConfig:
    """Return `config` with the given options replaced; an option that is None is left alone.

    Options: `objective` (a name in `OBJECTIVES`), `mode`, `window`, `children`, `parents`,
    `parents_by`, `generations`, `hours`, `patience`, `min_gain`, `clones`, `rescore`,
    `rescore_seeds`, `timeout_seconds`, `quota_gb`,
    `target_parameters`, `target_macs`, `target_latency_ms`, `gamma` (of all targets),
    `max_parameters`, `max_macs`, `max_latency_ms`, `seed`, `input_hw`, `epochs` (of a child),
    `ancestor_epochs` (0: its weights are taken as they are), `batch_size`, `learning_rate` (both
    of all trainings), `transfer`, `scaling_reference` (a number or "none"), `precision`, `space` (a
    `SearchSpace`, a name or a JSON file; its ancestor comes with it), `ancestor` (a `Genotype`, its
    JSON, a name, a model file, a run folder or `RUN:ID`), `ancestor_weights` (a model file or
    "none").

    Raises: ConfigError for an unknown option or a value that cannot be used.
    """
    given = {name: value for name, value in options.items() if value is not None}
    take = {name: given.pop(name) for name in _WHOLE if name in given}
    if "space" in given:
        take["space"] = _space(given.pop("space"))
        take["ancestor"] = take["space"].ancestor
    if "input_hw" in take and (gene := take.get("space", config.space).network.get("input_size")):
        raise ConfigError(
            f"networks of this space have their input size as a gene ({', '.join(gene.values)}): "
            "leave --input out, or take the gene out of the space"
        )
    if "ancestor" in given:
        take |= _ancestor(given.pop("ancestor"), config)
    if "ancestor_weights" in given:
        take["ancestor_weights"] = _weights(given.pop("ancestor_weights"))
    if "scaling_reference" in given:
        reference = parse_reference(given.pop("scaling_reference"))
        network = take.get("network", config.network)
        take["network"] = replace(network, scaling_reference=reference)
    objective = _objective(given.pop("objective")) if "objective" in given else {}
    evolution = {name: given.pop(name) for name in _EVOLUTION if name in given}
    evolution = {k: v for k, v in objective.items() if k != "error"} | evolution
    if "seed" in given:
        evolution["seed"] = evolution["training_seed"] = given.pop("seed")
    evolution["fitness"] = _fitness(config.evolution.fitness, objective, given)
    child = {name: given.pop(name) for name in _TRAINING if name in given}
    first = dict(child)
    if "epochs" in given:
        child["epochs"] = given.pop("epochs")
    if "ancestor_epochs" in given:
        epochs = given.pop("ancestor_epochs")
        take["train_ancestor"] = epochs != 0
        first["epochs"] = epochs or config.ancestor_training.epochs
    if given:
        raise ConfigError(f"unknown options of a search: {', '.join(sorted(given))}")
    return replace(
        config,
        evolution=replace(config.evolution, **evolution),
        child_training=replace(config.child_training, **child),
        ancestor_training=replace(config.ancestor_training, **first),
        **take,
    )


def option_name(name: str) -> str:
    """Return what an option of `override` is called on the command line."""
    return f"--{_OPTIONS.get(name, name).replace('_', '-')}"


def _objective(name: str) -> dict[str, str]:
    if name not in OBJECTIVES:
        raise ConfigError(f"objective must be one of {', '.join(OBJECTIVES)}, got {name!r}")
    return OBJECTIVES[name]


def _fitness(fitness: Fitness, objective: dict[str, str], given: dict[str, Any]) -> Fitness:
    """Return the fitness with what `given` says of it, which is taken out of there."""
    values = {name: given.pop(name) for name in _FITNESS if name in given}
    if "gamma" in values:
        values |= {"gamma_macs": values["gamma"], "gamma_latency": values["gamma"]}
    if "error" in objective:
        values["error"] = objective["error"]
    return replace(fitness, **values)


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text like 256x192. Raises: ConfigError if it is none."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"an input size is HEIGHTxWIDTH in pixels, say 256x192; got {text!r}")
    return int(height), int(width)


def _ancestor(value: str | Path | Genotype, config: SearchConfig) -> dict[str, Any]:
    """Return what an ancestor changes in a configuration; a model file's brings its weights."""
    if isinstance(value, Genotype):
        return {"ancestor": value}
    if value in GENOTYPES:
        return {"ancestor": GENOTYPES[str(value)]}
    if str(value).lstrip().startswith(("[", "{")):
        return {"ancestor": Genotype.from_json(str(value))}
    file = _model_file(str(value))
    card = read_card(file)
    if card.genotype is None:
        raise ConfigError(f"{value} holds a {card.architecture}, only EvoPose2D can be an ancestor")
    options = {name: card.config[name] for name in asdict(config.network) if name in card.config}
    return {
        "ancestor": card.genotype,
        "ancestor_weights": str(file.resolve()),
        "network": replace(config.network, **options),
    }


def _model_file(value: str) -> Path:
    """Return the model file that an ancestor's name means: a file, a run's best, or RUN:ID."""
    folder = value.rpartition(":")[0]
    if Path(value).exists() or (folder and Path(folder).is_dir()):
        file = find_model_file(value)
        assert file is not None
        return file
    raise ConfigError(
        f"ancestor {value!r} is neither a model file, nor a run folder, nor RUN:ID, nor a genotype "
        f"like [[3,1,2,1],...], nor one of {', '.join(GENOTYPES)}"
    )


def _weights(value: str | Path) -> str | None:
    if value == "none":
        return None
    if (card := read_card(value)).genotype is None:
        raise ConfigError(f"{value} holds a {card.architecture}; an ancestor needs an EvoPose2D's")
    return str(Path(value).resolve())


def _space(value: str | Path | SearchSpace) -> SearchSpace:
    if isinstance(value, SearchSpace):
        return value
    if value in SPACES:
        return SPACES[str(value)]
    try:
        return SearchSpace.from_json(Path(value).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"space {str(value)!r} is neither one of {', '.join(SPACES)} nor a file that can "
            f"be read: {error}"
        ) from error
