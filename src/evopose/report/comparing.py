"""Runs beside each other: read, compared, and written as a page or a picture."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from evopose.errors import ConfigError, RunError
from evopose.report.comparing_facts import Comparison, make_comparison
from evopose.report.comparing_page import comparison_page
from evopose.report.comparing_runs import measure_named, read_run


def compare_runs(
    runs: Sequence[Path],
    *,
    labels: Sequence[tuple[str, Path]] = (),
    by: str = "J",
    count_controls: bool = False,
) -> Comparison:
    """Return the runs beside each other, also while their searches go on.

    `labels` are pairs of an arm's name and a run, which need not be among `runs`; the other runs
    are grouped by their configurations. The arm of the first run is the reference.

    Raises: ConfigError without a run, for an unknown measure, or a run given twice; RunError for
    what is no run, copies of one run, or runs whose figures cannot be compared.
    """
    measure = measure_named(by)
    chosen, names = _choose(runs, labels)
    found = [read_run(run, measure, count_controls=count_controls) for run in chosen]
    return make_comparison(found, by=by, labels=names, count_controls=count_controls)


def _choose(
    runs: Sequence[Path], labels: Sequence[tuple[str, Path]]
) -> tuple[list[Path], dict[str, str]]:
    """Return every run once, in the order given, and the names of arms given by hand."""
    places: dict[Path, Path] = {}
    for run in runs:
        if run.resolve() in places:
            raise ConfigError(f"{run} is given twice: a run is one seed, name each once")
        places[run.resolve()] = run
    named: dict[str, str] = {}
    for name, run in labels:
        shown = str(places.setdefault(run.resolve(), run))
        if shown in named:
            raise ConfigError(
                f"{run} is given as {named[shown]} and as {name}: a run is in one arm, name it once"
            )
        named[shown] = name
    if not places:
        raise ConfigError("nothing to compare: name the folders of runs, or give --label NAME=RUN")
    return list(places.values()), named


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the page and return its path. Raises: RunError if it cannot be written."""
    return _write(path, comparison_page(comparison).encode())


def write_picture(comparison: Comparison, path: Path) -> Path:
    """Write the curves as a still picture, PNG or SVG by the name, and return its path.

    Raises: ConfigError for another ending; RunError if it cannot be written.
    """
    from evopose.report.comparing_still import still_picture

    kind = require_picture(path)
    return _write(path, still_picture(comparison, kind))


def require_picture(path: Path) -> str:
    """Return the kind of a picture's name. Raises: ConfigError if it is neither PNG nor SVG."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in ("png", "svg"):
        raise ConfigError(f"a figure is a .png or .svg file; got {str(path)!r}")
    return kind


def _write(path: Path, content: bytes) -> Path:
    """Write a whole file, or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; name another place"
        ) from error
    return path
