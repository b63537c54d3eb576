"""`evopose evaluate --results`: how good results are that someone else made. Without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evopose.cli.options import console, print_json, say, table
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from evopose.evaluation.results import Score


def unless(value: Any, default: Any) -> Any:
    """Return what an option was given, None for its default."""
    return None if value == default else value


def score(
    results: Path | None,
    annotations: str | None,
    others: Mapping[str, Any],
    *,
    assume_area: bool = False,
    out: Path | None = None,
    as_json: bool = False,
) -> None:
    """Print what the results file is worth, and write it to `out`/metrics.json if that is given.

    `others` are what only a model's evaluation takes, by name.

    Raises: ConfigError if it is not the two files and nothing else that was given; DataError for a
    file that cannot be judged.
    """
    given = {"--results": results, "--annotations": annotations, **others}
    given["--assume-area"] = assume_area or None
    unused = [name for name in others if given[name] is not None]
    if results is None or annotations is None or unused:
        told = [name for name, value in given.items() if value is not None]
        raise ConfigError(
            "evaluate measures a model (evopose evaluate MODEL DATA) or scores results that are "
            "there (evopose evaluate --results RESULTS.json --annotations GT.json [--assume-area])"
            f"; it needs one of the two, got {', '.join(told) or 'neither'}"
        )
    from evopose.evaluation.results import score_results

    screen = console(as_json)
    found = score_results(results, Path(annotations).expanduser(), assume_area=assume_area)
    about = {"results_file": str(results), "annotations": annotations} | found.metrics()
    if out is not None:
        _write(out, about)
    if as_json:
        print_json(about | {"folder": str(out) if out else None})
        return
    _tell(screen, found, results, annotations)
    if out is not None:
        say(screen, f"wrote {out}/metrics.json", exact=True)


def _tell(screen: "Console", found: "Score", results: Path, annotations: str) -> None:
    assumed = "; its OKS sigmas are assumed, 0.05 each" if found.skeleton.sigmas_assumed else ""
    say(
        screen,
        f"{results}: {found.results:,} results; {annotations}: {found.persons:,} persons to find "
        f"in {found.images:,} images{assumed}",
    )
    cells = {"best OKS": found.mean_best_oks, **found.ap}
    screen.print(table([{k: "-" if v is None else f"{v:.3f}" for k, v in cells.items()}]))
    for reason in dict.fromkeys(found.undefined.values()):
        names = [name for name, why in found.undefined.items() if why == reason]
        say(screen, f"{', '.join(names)}: not defined, {reason}")
    for what, count in found.notes.items():
        say(screen, f"{count:,} {what}")


def _write(out: Path, about: dict[str, Any]) -> None:
    from evopose.evolution.database import errors_of

    with errors_of(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(about, indent=1))
