"""Bars for work that is counted, and a line now and then where there is no terminal for them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evopose.cli.options import QUIET_SECONDS, say


@contextmanager
def bar(screen: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar while something is done; call what is given with done and total."""
    with _bar(screen, what, MofNCompleteColumn(), "") as tell:
        yield tell


@contextmanager
def byte_bar(screen: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of bytes, which appears with the first of them."""
    with _bar(screen, what, DownloadColumn(), " bytes") as tell:
        yield tell


@contextmanager
def _bar(
    screen: Console, what: str, counts: ProgressColumn, unit: str
) -> Iterator[Callable[[int, int | None], None]]:
    spoke = time.monotonic()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        counts,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as bars:
        task = bars.add_task(what, total=None, visible=False)

        def tell(done: int, total: int | None) -> None:
            nonlocal spoke
            bars.update(task, completed=done, total=total, visible=True)
            if not screen.is_terminal and time.monotonic() - spoke > QUIET_SECONDS:
                of = f" of {total:,}" if total else ""
                say(screen, f"  {what}: {done:,}{of}{unit}")
                spoke = time.monotonic()

        yield tell
