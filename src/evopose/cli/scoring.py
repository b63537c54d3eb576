"""`evopose evaluate --results`: how good results are that someone else made. Without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evopose.cli.options import console, print_json, say
from evopose.errors import ConfigError


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
    """Print what the results file is worth, and write metrics.json and report.html
    to `out` if that is given.

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
            f"{_mend(results, annotations, others, unused)}"
        )
    from evopose.cli.evaluate_words import print_evaluation, write_figures
    from evopose.evaluation.results import score_results
    from evopose.report.evaluation_tables import EvaluationFacts

    screen = console(as_json)
    found = score_results(results, Path(annotations).expanduser(), assume_area=assume_area)
    about = {
        "results_file": str(results), "annotations": annotations,
        **found.metrics(), **found.keypoints.to_json(), "errors": found.errors.to_json(),
    }  # fmt: skip
    facts = EvaluationFacts(
        model=str(results),
        settings={"results": str(results), "annotations": annotations},
        evaluation=found,
        errors=found.errors,
        sigmas_assumed=found.skeleton.sigmas_assumed,
        notes=found.notes,
        no_pictures="no pictures: results are scored by the annotations alone, without the images",
    )
    if out is not None:
        write_figures(out, facts, about)
    if as_json:
        print_json(about | {"folder": str(out) if out else None})
        return
    assumed = "; its OKS sigmas are assumed, 0.05 each" if found.skeleton.sigmas_assumed else ""
    say(
        screen,
        f"{results}: {found.results:,} results; {annotations}: {found.persons:,} persons to find "
        f"in {found.images:,} images{assumed}",
    )
    print_evaluation(screen, facts)
    if out is not None:
        say(screen, f"wrote metrics.json and report.html (without pictures) to {out}", exact=True)


def _mend(
    results: Path | None, annotations: str | None, others: Mapping[str, Any], unused: list[str]
) -> str:
    """Return what to do about options that fit neither form, as the end of a sentence."""
    if results is not None:
        lacking = " add --annotations" if annotations is None else ""
        superfluous = f" leave {', '.join(unused)} out" if unused else ""
        return f":{lacking}{',' if lacking and superfluous else ''}{superfluous}"
    lacks = [name for name in ("MODEL", "DATA") if others[name] is None]
    if len(lacks) == 1:
        return f": add {lacks[0]}"
    return "" if lacks else ": --assume-area goes with --results"
