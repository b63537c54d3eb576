"""`evopose status`, `report` and `models`: what there is."""

from pathlib import Path

import typer

from evopose.cli import app
from evopose.cli.options import (
    JSON,
    VERBOSE,
    console,
    print_json,
    say,
)

RUN = typer.Argument(help="The folder of a run.", show_default=False)


@app.command()
def report(run: Path = RUN, as_json: bool = JSON, verbose: bool = VERBOSE) -> None:
    """Write a run's report, best model, Pareto set, results.json and CSV as it stands."""
    from evopose.api import write_reports

    _, view = write_reports(run)
    page = run / "report.html"
    if as_json:
        print_json({"report": str(page), "val_mean_oks": view and view.mean_oks})
    else:
        say(console(as_json), f"wrote {page}", exact=True)
