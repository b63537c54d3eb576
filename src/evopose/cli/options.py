"""Options that several verbs share, and how a verb talks."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from evopose.evolution.individual import Individual


def _set_verbosity(verbose: bool) -> bool:
    if verbose:
        logging.getLogger("evopose").setLevel(logging.INFO)
    return verbose


DATA = typer.Argument(
    help="A folder or file of COCO keypoints with its images, or synthetic[:N] for drawn people.",
    show_default=False,
)
JSON = typer.Option(False, "--json", help="Print one JSON object; progress goes to standard error.")
VERBOSE = typer.Option(
    False, "--verbose", "-v", help="Say more of what happens.", callback=_set_verbosity
)


def option(help_text: str, panel: str | None = None, *names: str, **more: Any) -> Any:
    """Return an option that is None unless given."""
    return typer.Option(
        None, *names, help=help_text, rich_help_panel=panel, show_default=False, **more
    )


def optional(argument: Any) -> Any:
    """Return an argument like this one that may be left out, and is then None."""
    return typer.Argument(None, help=argument.help, show_default=False)


def device_option(panel: str | None = None) -> Any:
    """Return the option that chooses a device."""
    return typer.Option("auto", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=panel)


def annotations_option(panel: str | None = None) -> Any:
    """Return the option that chooses among several files of labels."""
    text = "Which labels, where DATA holds several: a path, with {split} in it one a split. "
    return option(f"{text}Repeatable.", panel)


def annotation_option(panel: str | None = None) -> Any:
    """Return the option that chooses one file of labels, or one a split."""
    text = "Which labels, where DATA holds several: a path, with {split} in it one a split."
    return option(text, panel, "--annotations")


def also_option(panel: str | None = None) -> Any:
    """Return the option that lets further datasets train."""
    text = "Also train on this dataset, its keypoints mapped by name to DATA's. Repeatable."
    return option(text, panel, "--with", metavar="DATA")


def rename_option(panel: str | None = None) -> Any:
    """Return the option that says which keypoints of further datasets are which of DATA's."""
    text = "What a keypoint of --with is called in DATA, say head=nose. Repeatable."
    return option(text, panel, metavar="THEIRS=OURS")


def tensorboard_option(panel: str | None = None) -> Any:
    """Return the option that asks for event files."""
    return typer.Option(
        False, "--tensorboard", help="Also write event files for TensorBoard.",
        rich_help_panel=panel,
    )  # fmt: skip


_PIPED_COLUMNS = 120

QUIET_SECONDS = 30.0
"""Where there is no terminal for bars, progress is told in a line after so much silence."""


def console(as_json: bool) -> Console:
    """Return where a verb talks to a person: standard error where JSON has standard output."""
    screen = Console(stderr=as_json, highlight=False, emoji=False)  # synthetic:100: is no emoji
    if screen.is_terminal:
        return screen
    return Console(stderr=as_json, highlight=False, emoji=False, width=_PIPED_COLUMNS)


def say(screen: Console, text: str, *, exact: bool = False) -> None:
    """Print a line as it is, no markup in it.

    On a terminal it is wrapped between words; `exact` leaves it to the terminal, for what people
    copy: paths and commands. Elsewhere a line stays a line.
    """
    as_it_is = exact or not screen.is_terminal
    screen.print(text, markup=False, highlight=False, soft_wrap=as_it_is)


def print_json(value: dict[str, Any]) -> None:
    """Print the verb's one JSON object."""
    print(json.dumps(value))


def table(rows: list[dict[str, str]], *, title: str = "", left: tuple[str, ...] = ()) -> Table:
    """Return rows of equal keys as a table.

    Columns of `left` are texts and fold where room is short; the others are numbers, to the right
    and never broken.
    """
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    for name in rows[0] if rows else ():
        if name in left:
            made.add_column(name, overflow="fold")
        else:
            made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row.values()))
    return made


def individual_json(one: "Individual") -> dict[str, Any]:
    """Return what a program may want to know of an individual."""
    return {
        "id": one.id,
        "generation": one.generation,
        "parent_id": one.parent_id,
        "genotype": one.genotype.to_value(),
        "fitness": one.fitness,
        "loss": one.loss,
        "mean_oks": one.result.get("mean_oks"),
        "num_parameters": one.num_parameters,
        "num_macs": one.num_macs,
    }


_BEST = {
    "": "rank",
    "id": "id",
    "J": "J",
    "loss": "loss",
    "OKS": "mean OKS",
    "params": "parameters",
    "MACs": "multiply-adds",
    "latency": "latency",
    "gen": "generation",
    "of": "parent",
    "Pareto": "Pareto",
    "change": "change",
}
"""Headings of the table of the best, short enough for a terminal -> those of the report."""


def best_table(rows: list[dict[str, str]]) -> Table:
    """Return the report's rows of the best individuals as a table for a terminal, without the
    columns in which nothing stands."""
    used = {name: long for name, long in _BEST.items() if any(row[long] for row in rows)}
    short = [{name: row[long] for name, long in used.items()} for row in rows]
    return table(short, left=("change",))


class StopRequest:
    """Whether Ctrl-C was pressed: once asks to stop cleanly, twice stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def stop_on_ctrl_c(*, quiet: bool = False) -> Iterator[StopRequest]:
    """Let the first Ctrl-C (or SIGTERM) ask to stop, and say so unless `quiet`; the second
    interrupt."""
    request = StopRequest()

    def handle(number: int, frame: Any) -> None:
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True
        if not quiet:
            told = "stopping; what is done is kept (Ctrl-C again stops at once)"
            print(f"\n{told}", file=sys.stderr)

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def gigabytes(value: float) -> str:
    """Return bytes as MB or GB."""
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
