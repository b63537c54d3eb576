"""`evopose compare`: runs beside each other."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, console, option, print_json, say, table
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.report.comparing_facts import Comparison


@app.command()
def compare(
    runs: list[Path] = typer.Argument(
        None, help="The folders of runs, grouped by their configurations.", show_default=False
    ),
    label: list[str] = option(
        "NAME=RUN: a run of the arm NAME, grouped by hand; once a run.", None, "--label"
    ),
    by: str = typer.Option("J", help="Compare by J, loss or oks."),
    count_controls: bool = typer.Option(
        False, "--count-controls", help="Count clones and repeats among the cost of the search."
    ),
    out: Path = typer.Option(Path("compare.html"), help="Where to write the page."),
    figure: Path = option("Also write the curves as a still picture, .png or .svg."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Set runs beside each other: the best so far against cost, with intervals over seeds.

    Runs that agree in all but their seeds form an arm; the arm of the first is the reference.
    """
    from evopose.report.comparing import (
        compare_runs,
        require_picture,
        write_page,
        write_picture,
    )
    from evopose.report.comparing_json import comparison_json

    if figure is not None:
        require_picture(figure)
    named = [_label(text) for text in label or ()]
    found = compare_runs(runs or (), labels=named, by=by, count_controls=count_controls)
    written = [write_page(found, out)]
    if figure is not None:
        written.append(write_picture(found, figure))
    if as_json:
        print_json({"written": [str(path) for path in written]} | comparison_json(found))
        return
    _tell(found)
    for path in written:
        say(console(as_json), f"wrote {path}", exact=True)


def _tell(found: "Comparison") -> None:
    """Print the arms and what can be told of them."""
    from evopose.report.comparing_caveats import caveats
    from evopose.report.comparing_tables import arms_table, budget_text, reach_texts, sentences

    screen = console(False)
    say(screen, budget_text(found))
    screen.print(table(short_table(arms_table(found)), left=("arm",)))
    for text in (*sentences(found), *reach_texts(found), *caveats(found)):
        say(screen, f"- {text}")


def short_table(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return of the table of arms what fits a terminal: sentences tell the rest."""
    short = {"parameters": "params", "multiply-adds": "MACs", "mean OKS": "OKS"}
    kept = [name for name in rows[0] if name in ("arm", "runs", *short) or "at equal" in name]
    return [{short.get(name, name): row[name] for name in kept} for row in rows]


def _label(text: str) -> tuple[str, Path]:
    name, equals, run = text.partition("=")
    if not (name.strip() and equals and run):
        raise ConfigError(f"--label takes NAME=RUN, say exact=runs/exact-0; got {text!r}")
    return name.strip(), Path(run)
