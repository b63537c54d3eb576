"""`evopose status`, `report` and `models`: what there is."""

import shlex
from pathlib import Path

import typer

from evopose.cli import app
from evopose.cli.options import (
    JSON,
    VERBOSE,
    best_table,
    console,
    individual_json,
    print_json,
    say,
    table,
)

RUN = typer.Argument(help="The folder of a run.", show_default=False)


@app.command()
def status(
    run: Path = RUN,
    best: int = typer.Option(10, help="How many of the best to list.", min=0),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Say how a search stands, also while it runs."""
    from evopose.report import best_table as best_rows
    from evopose.report import failures_table, read_facts, summary_lines

    facts = read_facts(run)
    if as_json:
        counts = {"finished": len(facts.ranked), "failed": len(facts.failures)}
        ranked = [individual_json(one) for one in facts.ranked[:best]]
        state = {"run": str(run), "state": facts.state, "stop_reason": facts.stop_reason}
        print_json(state | counts | {"generations": len(facts.generations), "best": ranked})
        return
    screen = console(as_json)
    for line in summary_lines(facts):
        say(screen, line)
    if rows := best_rows(facts, best):
        screen.print(best_table(rows))
    if failures := failures_table(facts):
        screen.print(table(failures, title="failed", left=("reason", "individuals")))
    if facts.state == "interrupted":
        again = ["evopose", "evolve", facts.data, "--run", str(run), "--resume"]
        say(screen, f"go on with: {shlex.join([*again, *facts.data_options])}", exact=True)


@app.command()
def report(run: Path = RUN, as_json: bool = JSON, verbose: bool = VERBOSE) -> None:
    """Write a run's report, best model, Pareto set, results.json and CSV as it stands."""
    from evopose.api import write_reports

    view = write_reports(run)
    page = run / "report.html"
    if as_json:
        print_json({"report": str(page), "val_mean_oks": view and view.mean_oks})
    else:
        say(console(as_json), f"wrote {page}", exact=True)
