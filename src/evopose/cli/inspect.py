"""`evopose status`, `report` and `models`: what there is."""

from pathlib import Path

import typer

from evopose.cli import app
from evopose.cli.options import JSON, console, count, print_json, table

RUN = typer.Argument(help="The folder of a run.", show_default=False)


@app.command()
def status(
    run: Path = RUN,
    best: int = typer.Option(10, help="How many of the best to list."),
    as_json: bool = JSON,
) -> None:
    """Say how a search stands, also while it runs."""
    from evopose.report import read_facts
    from evopose.report.tables import best_table, failures_table, summary_lines

    facts = read_facts(run)
    rows = best_table(facts, best)
    if as_json:
        print_json({"run": str(run), "state": facts.state, "best": rows})
        return
    screen = console(as_json)
    for line in summary_lines(facts):
        screen.print(line, highlight=False)
    if rows:
        screen.print(table(rows, left=("genotype",)))
    if failures := failures_table(facts):
        screen.print(table(failures, title="failed", left=("reason", "individuals")))


@app.command()
def report(run: Path = RUN, as_json: bool = JSON) -> None:
    """Write a run's report, best model, Pareto set, results.json and CSV as it stands."""
    from evopose.api import write_reports

    view = write_reports(run)
    page = run / "report.html"
    if as_json:
        print_json({"report": str(page), "val_mean_oks": view and view.mean_oks})
    else:
        console(as_json).print(f"wrote {page}", highlight=False, soft_wrap=True)


@app.command()
def models(as_json: bool = JSON) -> None:
    """List the networks that can be built, with parameters and multiply-adds."""
    from evopose.models import MODELS
    from evopose.models.evopose2d_plan import EvoPose2DConfig, plan_complexity

    rows = []
    for name, entry in MODELS.items():
        row = {"name": name, "input": f"{entry.input_hw[0]}x{entry.input_hw[1]}"}
        if entry.genotype is None:
            sizes = None
        else:
            sizes = plan_complexity(
                EvoPose2DConfig(genotype=entry.genotype, input_hw=entry.input_hw)
            )
        rows.append((row, entry.summary, sizes))
    if as_json:
        print_json(
            [
                row | {"summary": summary, "sizes": sizes and vars(sizes)}
                for row, summary, sizes in rows
            ]
        )
        return
    shown = [
        row
        | {
            "parameters": count(sizes.num_parameters) if sizes else "",
            "multiply-adds": count(sizes.num_macs) if sizes else "",
            "what": summary,
        }
        for row, summary, sizes in rows
    ]
    console(as_json).print(table(shown, left=("name", "what")))
