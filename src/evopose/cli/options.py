"""Options that several verbs share, and how a verb talks."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

DATA = typer.Argument(
    help="A folder or file of COCO keypoints with its images, or synthetic[:N] for drawn people.",
    show_default=False,
)
JSON = typer.Option(False, "--json", help="Print one JSON object; progress goes to standard error.")
DEVICE = typer.Option("auto", help="auto, cpu, cuda, cuda:N or mps.")
SEED = typer.Option(None, help="Seed of every random draw.", show_default=False)
ANNOTATIONS = typer.Option(
    None,
    help="Which labels, where DATA holds several: a path, with {split} in it one a split.",
    show_default=False,
)


def console(as_json: bool) -> Console:
    """Return where a verb talks to a person: standard error where JSON has standard output."""
    return Console(stderr=as_json)


def print_json(value: Any) -> None:
    """Print the verb's one JSON object."""
    print(json.dumps(value))


def table(rows: list[dict[str, str]], *, title: str = "", left: tuple[str, ...] = ()) -> Table:
    """Return rows of equal keys as a table, numbers to the right, columns of `left` to the left."""
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    for name in rows[0] if rows else ():
        made.add_column(name, justify="left" if name in left else "right", overflow="fold")
    for row in rows:
        made.add_row(*row.values())
    return made


class StopRequest:
    """Whether Ctrl-C was pressed: once asks to stop cleanly, twice stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def stop_on_ctrl_c() -> Iterator[StopRequest]:
    """Let the first Ctrl-C (or SIGTERM) ask to stop, the second interrupt."""
    request = StopRequest()

    def handle(number: int, frame: Any) -> None:
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True
        print("\nstopping; what is done is kept (Ctrl-C again stops at once)", file=sys.stderr)

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def count(value: float) -> str:
    """Return a number as people say it: 2.53 M, 14.9 k."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def gigabytes(value: float) -> str:
    """Return bytes as MB or GB."""
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def hours(value: float) -> str:
    """Return hours as people say them."""
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"
