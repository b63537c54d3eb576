"""`evopose doctor`: what is wrong, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, console, print_json

if TYPE_CHECKING:
    from evopose.report.doctor import Finding

RUN = typer.Argument(None, help="The folder of a run, if any.", show_default=False)

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@app.command()
def doctor(
    run: Path | None = RUN,
    deep: bool = typer.Option(
        False, "--deep", help="Also read all weights and the whole database of RUN."
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Look for what is wrong, and say what to do.

    The machine: versions, optional packages, CPUs, memory, disk. A run: who works on it, leases
    that are over, a damaged database, weights that are missing, files that were left, what failed
    and why, its configuration, its data. Nothing is changed. Exits 1 if there is an error.

    Example: evopose doctor runs/people-20260101-120000 --deep
    """
    from evopose.report.doctor import examine_machine, examine_run, findings_json

    found = examine_machine()
    if run is not None:
        found += examine_run(run, deep=deep)
    told = findings_json(found)
    if as_json:
        print_json(({"run": str(run)} if run else {}) | told)
    else:
        screen = console(as_json)
        for one in found:
            screen.print(_line(one), soft_wrap=not screen.is_terminal)
        screen.print(f"{told['errors']} errors, {told['warnings']} warnings", markup=False)
    if told["errors"]:
        raise typer.Exit(1)


def _line(one: "Finding") -> Text:
    do = f"\n{'':9}-> {one.do}" if one.do else ""
    return Text.assemble((f"{one.level:8}", _STYLES[one.level]), f" {one.what}", (do, "dim"))
