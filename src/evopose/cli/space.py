"""`evopose space`: what a search space holds."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, console, option, print_json, say, table

if TYPE_CHECKING:
    from evopose.genotype import SearchSpace
    from evopose.models.space_facts import GeneFacts, SpaceFacts
    from evopose.search.config import SearchConfig


@app.command()
def space(
    name: str | None = typer.Argument(
        None,
        metavar="NAME|FILE.json",
        help="A declared space, or a file with one of your own.",
        show_default=False,
    ),
    input_size: str | None = option(
        "Input of the networks; default the recipe's.", None, "--input", metavar="HxW"
    ),
    recipe: str | None = option(
        "Whose stem, head and scaling the networks have, where these are no "
        "genes; default the recipe that uses the space, else small."
    ),
    keypoints: int = typer.Option(17, help="Keypoints of the networks.", min=1),
    samples: int = typer.Option(500, help="Genotypes to draw for the ranges.", min=0),
    seed: int = typer.Option(0, help="Seed of the draw."),
    write: Path | None = option("Write the space as JSON, to edit and give to evolve --space."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Describe a search space: its genes, its size, and how large its networks are.

    Without a name it lists the declared spaces.

    Example: evopose space wide --write mine.json
    """
    from evopose.models.space_facts import space_facts

    screen = console(as_json)
    if name is None:
        _list_spaces(screen, as_json)
        return
    config = _config(_find(name), recipe, input_size)
    network = config.evopose2d(config.ancestor, num_keypoints=keypoints)
    facts = space_facts(config.space, network, samples=samples, seed=seed)
    if write is not None:
        _write(write, config.space)
    if as_json:
        print_json(_facts_json(facts, config.recipe) | {"written": write and str(write)})
        return
    _describe(screen, facts, config.recipe)
    if write is not None:
        say(
            screen,
            f"wrote {write}; search it with: evopose evolve DATA --space {write}",
            exact=True,
        )
    elif name in _declared():
        say(screen, f"your own from it: evopose space {name} --write mine.json", exact=True)


def _declared() -> "dict[str, SearchSpace]":
    from evopose.genotype import SPACES

    return SPACES


def _find(name: str) -> "SearchSpace":
    from evopose.errors import ConfigError
    from evopose.genotype import SearchSpace

    if name in _declared():
        return _declared()[name]
    try:
        return SearchSpace.from_json(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"space {name!r} is neither one of {', '.join(_declared())} nor a file that can be "
            f"read: {error}"
        ) from error


def _config(space: "SearchSpace", recipe: str | None, input_size: str | None) -> "SearchConfig":
    """Return the search of a space: its recipe's options, checked together with the space."""
    from evopose.errors import ConfigError
    from evopose.genotype import size_hw
    from evopose.recipes import SEARCH_RECIPES

    made = {name: make() for name, make in SEARCH_RECIPES.items()}
    default = next((n for n, config in made.items() if config.space.name == space.name), "small")
    if (chosen := recipe or default) not in made:
        raise ConfigError(f"no recipe {chosen!r}; there are {', '.join(made)}")
    config = made[chosen]
    hw = size_hw(input_size) if input_size else config.input_hw
    if input_size and (gene := space.network.get("input_size")):
        raise ConfigError(
            f"networks of this space have their input size as a gene "
            f"({', '.join(map(str, gene.values))}): leave --input out"
        )
    return replace(config, space=space, ancestor=space.ancestor, input_hw=hw)


def _write(path: Path, space: "SearchSpace") -> None:
    from evopose.errors import ConfigError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(space.to_text())
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; name another file, or remove it") from error
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _list_spaces(screen: Console, as_json: bool) -> None:
    from evopose.genotype import MUTATIONS, neighbours, spoken

    found: list[dict[str, Any]] = []
    rows: list[dict[str, str]] = []
    for space in _declared().values():
        free = {name for _, name, gene in space.genes() if len(gene.values) > 1}
        genes = [name for name in MUTATIONS if name in free]
        size, near = space.size(), len(neighbours(space.ancestor, space))
        found.append({"name": space.name, "genotypes": size, "neighbours": near, "genes": genes})
        rows.append(
            {
                "name": space.name,
                "genotypes": f"{size:.2g}",
                "neighbours": str(near),
                "genes": ", ".join(map(spoken, genes)),
            }
        )
    if as_json:
        print_json({"spaces": found})
        return
    screen.print(table(rows, left=("name", "genes")))
    say(screen, "neighbours: of the ancestor; more of each: evopose space NAME")


def _describe(screen: Console, facts: "SpaceFacts", recipe: str) -> None:
    from evopose.report.text import count

    space, height, width = facts.space, *facts.config.input_hw
    strided = space.max_strided_stages
    limit = "" if strided is None else f"; at most {strided} of the stages with stride 2"
    say(
        screen,
        f"space {space.name}: {facts.num_genotypes:.3g} genotypes of "
        f"{len(space.stages)} stages{limit}",
    )
    say(
        screen,
        f"networks for {height}x{width}, {facts.config.num_keypoints} keypoints, "
        f"options of recipe {recipe}",
    )
    free = [gene for gene in facts.genes if gene.is_free]
    screen.print(table([_gene_row(gene, space) for gene in free], left=("gene", "values")))
    say(
        screen,
        "neighbours of the ancestor by this gene; sizes of the ancestor with it at its first - last"
        " value everywhere" + ("; weight: how often it mutates" if space.gene_weights else ""),
    )
    if fixed := [_fixed_text(gene) for gene in facts.genes if not gene.is_free]:
        say(screen, f"fixed: {'; '.join(fixed)}")
    sizes = {"ancestor": facts.ancestor, "smallest": facts.smallest, "largest": facts.largest}
    rows = [
        {"network": what, "parameters": count(size.num_parameters),
         "multiply-adds": count(size.num_macs)}
        for what, size in sizes.items()
    ]  # fmt: skip
    for share, parameters, macs in zip(_shares(), facts.parameters, facts.macs, strict=False):
        what = {0: "least", 0.5: "median", 1: "most"}.get(share, f"{share:.0%}")
        rows.append({"network": f"drawn: {what}", "parameters": count(parameters),
                     "multiply-adds": count(macs)})  # fmt: skip
    screen.print(table(rows, left=("network",)))
    say(
        screen,
        "smallest, largest: every gene at its cheaper, dearer end"
        + (f"; drawn: {facts.samples:,} genotypes" if facts.samples else ""),
    )
    for gene, what in facts.blind.items():
        say(screen, f"note: at this input size {gene} {what}")


def _shares() -> tuple[float, ...]:
    from evopose.models.space_facts import SHARES

    return SHARES


def _gene_row(gene: "GeneFacts", space: "SearchSpace") -> dict[str, str]:
    from evopose.genotype import spoken
    from evopose.report.text import count

    ends = (gene.lowest, gene.highest)
    row = {
        "gene": spoken(gene.name),
        "values": _values_text(gene),
        "step": "any" if gene.max_step is None else str(gene.max_step),
        "neighbours": str(gene.neighbours),
        "parameters": " - ".join(dict.fromkeys(count(one.num_parameters) for one in ends)),
        "multiply-adds": " - ".join(dict.fromkeys(count(one.num_macs) for one in ends)),
    }
    if space.gene_weights:
        row["weight"] = f"{space.gene_weights.get(gene.name, 1.0):g}"
    return row


def _fixed_text(gene: "GeneFacts") -> str:
    from evopose.genotype import spoken

    values = [values[0] for values in gene.values.values()]
    return f"{spoken(gene.name)} {', '.join(map(str, dict.fromkeys(values)))}"


def _values_text(gene: "GeneFacts") -> str:
    """Return the values of a gene, stages of equal ones together."""
    places: dict[str, list[int]] = {}
    for stage, values in gene.values.items():
        places.setdefault(_range_text(values), []).append(-1 if stage is None else stage + 1)
    if len(places) == 1:
        return next(iter(places))
    return "; ".join(
        f"stage{'s' if len(stages) > 1 else ''} {_range_text(tuple(stages))}: {text}"
        for text, stages in places.items()
    )


def _range_text(values: tuple[object, ...]) -> str:
    """Return numbers that follow each other as a range, other values one by one."""
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, values))


def _facts_json(facts: "SpaceFacts", recipe: str) -> dict[str, Any]:
    import json

    genes = [
        {
            "name": gene.name,
            "values": [
                {"stage": None if stage is None else stage + 1, "values": list(values)}
                for stage, values in gene.values.items()
            ],
            "max_step": gene.max_step,
            "neighbours": gene.neighbours,
            "lowest": asdict(gene.lowest),
            "highest": asdict(gene.highest),
        }
        for gene in facts.genes
    ]
    drawn = {"samples": facts.samples, "shares": _shares(), "parameters": facts.parameters,
             "macs": facts.macs}  # fmt: skip
    return {
        "space": json.loads(facts.space.to_json()),
        "recipe": recipe,
        "input_hw": facts.config.input_hw,
        "num_keypoints": facts.config.num_keypoints,
        "genotypes": facts.num_genotypes,
        "neighbours": sum(gene.neighbours for gene in facts.genes),
        "genes": genes,
        "ancestor": asdict(facts.ancestor),
        "smallest": asdict(facts.smallest),
        "largest": asdict(facts.largest),
        "drawn": drawn,
        "blind_genes": facts.blind,
    }
