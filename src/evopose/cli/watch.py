"""`evopose watch`: a run, live in the terminal. It reads; the search never notices."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, best_table, console, print_json, say

if TYPE_CHECKING:
    from evopose.report.snapshot import Snapshot, Worker

RUN = typer.Argument(help="The folder of a run.", show_default=False)

_CHART_HEIGHT = 3
_BAR = 24


@app.command()
def watch(
    run: Path = RUN,
    every: float = typer.Option(2.0, help="Seconds between two looks.", min=0.1),
    once: bool = typer.Option(False, "--once", help="Look once and end."),
    follow: bool = typer.Option(
        False, "--follow", help="Stay when the search ends: it may be resumed."
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Watch a search while it runs, here or in another terminal.

    Shows the generation, the best J against the clone's, what each worker trains, the best
    individuals and the last events. Ends with the search; Ctrl-C ends watching and leaves the
    search alone. Where there is no terminal, a line tells each change.

    Example: evopose watch runs/people-20260101-120000
    """
    from evopose.report.snapshot import read_snapshot, snapshot_json
    from evopose.search.command import resume_command

    if as_json:
        print_json(snapshot_json(read_snapshot(run)))
        return
    screen = console(as_json)
    try:
        if once:
            found = read_snapshot(run)
            screen.print(draw(found, screen.width, height=None))
        elif screen.is_terminal:
            found = _live(screen, run, every, follow)
        else:
            found = _lines(screen, run, every, follow)
    except KeyboardInterrupt:
        say(screen, "watching has ended; the search has not been touched")
        return
    if found.state == "interrupted":
        say(screen, f"go on with: {resume_command(run)}", exact=True)


def _live(screen: Console, run: Path, every: float, follow: bool) -> "Snapshot":
    """Draw until the search ends, and return the last look at it."""
    from evopose.report.snapshot import read_snapshot

    found = read_snapshot(run)
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(draw(found, screen.width, height=screen.height), refresh=True)
            if _over(found, follow):
                return found
            time.sleep(every)
            found = read_snapshot(run)


def _lines(screen: Console, run: Path, every: float, follow: bool) -> "Snapshot":
    """Print a line a change until the search ends, and return the last look at it."""
    from evopose.report.snapshot import read_snapshot

    said = None
    while True:
        found = read_snapshot(run)
        best = found.best[0].fitness if found.best else None
        change = found.state, found.generation, found.ended, best
        if change != said:
            said = change
            say(screen, headline(found))
        if _over(found, follow):
            return found
        time.sleep(every)


def _over(found: "Snapshot", follow: bool) -> bool:
    return not follow and found.state not in ("new", "running")


def headline(found: "Snapshot") -> str:
    """Return how a search stands in one line."""
    from evopose.report.text import number

    of = f" of {found.generations}" if found.generations else ""
    best = found.best[0] if found.best else None
    parts = [
        found.state + (f" ({found.stop_reason})" if found.stop_reason else ""),
        f"generation {found.generation}{of}: {found.ended} of {found.born} trained"
        if found.born
        else "",
        f"best J {number(best.fitness)} ({best.id})" if best else "",
        _time(found),
    ]
    return "; ".join(part for part in parts if part)


def draw(found: "Snapshot", width: int, *, height: int | None) -> RenderableType:
    """Return a snapshot as a screen of so many lines (None: as many as it takes)."""
    from evopose.report.tables import ranked_rows

    fixed = 9 + _CHART_HEIGHT + len(found.workers)
    room = 99 if height is None else max(0, height - fixed)
    num_events = min(len(found.events), max(2, room // 2))
    rows = ranked_rows(found.best[: max(1, room - num_events - 2)])
    parts: list[RenderableType] = [_head(found), _generation(found), *_fitness(found, width)]
    if found.workers:
        parts += [Text(), _workers(found.workers, width)]
    if rows:
        parts += [Text(), best_table(rows)]
    if events := [_event(event, width) for event in found.events[-num_events:]]:
        parts += [Text(), *events]
    return Group(*parts)


def _head(found: "Snapshot") -> RenderableType:
    colour = {"running": "bold cyan", "finished": "bold green"}.get(found.state, "bold yellow")
    reason = f" ({found.stop_reason})" if found.stop_reason else ""
    return Text.assemble(
        (found.name, "bold"), "  ", (found.state + reason, colour), f"  {_time(found)}"
    )


def _time(found: "Snapshot") -> str:
    from evopose.report.text import duration

    left = found.seconds_left
    more = f", about {duration(left)} to go" if left is not None else ""
    return f"{duration(found.seconds)}{more}" if found.seconds else ""


def _generation(found: "Snapshot") -> RenderableType:
    of = f" of {found.generations}" if found.generations else ""
    counts = found.counts
    failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
    line = Table.grid(padding=(0, 1))
    line.add_row(
        f"generation {max(found.generation, 0)}{of}",
        ProgressBar(total=max(found.born, 1), completed=found.ended, width=_BAR),
        f"{found.ended}/{found.born} trained; {counts['done']:,} in all{failed}",
    )
    return line


def _fitness(found: "Snapshot", width: int) -> list[RenderableType]:
    """Return the best J, what it is against the clone's, and how it fell."""
    from evopose.report.text import chart, number

    if not found.best:
        return [Text("nothing has been trained yet", style="dim")]
    best, clone, rival = found.best[0], found.clone, found.clone_rival
    said = Text.assemble("best J ", (number(best.fitness), "bold green"), f" ({best.id})")
    if clone is not None and clone.fitness is not None:
        said.append(f"; generation {clone.generation}: clone {number(clone.fitness)}")
        if rival is not None and rival.fitness is not None:
            gain = clone.fitness - rival.fitness
            how = f"{number(abs(gain), 3)} {'better' if gain > 0 else 'worse'}"
            said.append(f", best child {number(rival.fitness)} ", style="")
            said.append(f"({how})", style="green" if gain > 0 else "yellow")
    known = [value for value in found.best_by_generation if math.isfinite(value)]
    if len(known) < 2:
        return [said]
    room = min(width - 24, 72)
    wide = [value for value in known for _ in range(max(1, min(3, room // len(known))))]
    lines = chart(wide, width=room, height=_CHART_HEIGHT)
    ends = [number(known[0]), *[""] * (_CHART_HEIGHT - 2), f"{number(known[-1])} by generation"]
    drawn = Table.grid(padding=(0, 1))
    for line, end in zip(lines, ends, strict=True):
        drawn.add_row(Text(line, style="cyan"), end)
    return [said, drawn]


def _workers(workers: "tuple[Worker, ...]", width: int) -> RenderableType:
    from evopose.report.tables import changes_text
    from evopose.report.text import duration

    shown = Table.grid(padding=(0, 1))
    for _ in range(5):
        shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    for worker in workers:
        told = worker.progress
        note = worker.phase
        if told:
            epoch = f"epoch {told['epoch']}/{told['epochs']}, step {told['step']}/{told['steps']}"
            speed = f"{told['images_per_second']:.0f} images/s"
            note = f"{epoch}, loss {told['loss']:.4g}, {speed}"
            note += ", validating" if worker.phase == "validating" else ""
        again = f" (attempt {worker.attempt})" if worker.attempt > 1 else ""
        shown.add_row(
            f"{worker.slot}:",
            Text(f"{worker.individual.id}{again}", style="bold"),
            ProgressBar(total=1.0, completed=worker.share or 0.0, width=12),
            duration(max(0.0, time.time() - worker.started_at)),
            note,
            Text(changes_text(worker.individual)),
        )
    return shown


def _event(event: "dict[str, Any] | Any", width: int) -> Text:
    at = time.strftime("%H:%M:%S", time.localtime(event.get("at", 0.0)))
    line = Text.assemble((f"{at}  ", "dim"), *event_parts(event))
    line.truncate(width, overflow="ellipsis")
    return line


def event_parts(event: "dict[str, Any] | Any") -> list[str | tuple[str, str]]:
    """Return an event of the search's log in words, with their styles."""
    from evopose.report.text import number

    match event.get("kind"):
        case "done":
            return [f"{event['id']:>4} has J {number(event['fitness'])}, "
                    f"loss {number(event['loss'])}"]  # fmt: skip
        case "failed":
            return [f"{event['id']:>4} ", ("failed", "red"), f": {event['reason']}"]
        case "lost":
            again = f", tried again: {event['reason']}"
            return [f"{event['id']:>4} ", (str(event["outcome"]), "yellow"), again]
        case "passed_over":
            return [f"{event['id']:>4} ", ("passed over", "yellow"), f": {event['reason']}"]
        case "generation":
            clone = event.get("clone_fitness")
            compared = f"; its clone {number(clone)}" if clone is not None else ""
            return [
                (f"generation {event['generation']}", "bold"),
                f": best is {event['best_id']} with J {number(event['best_fitness'])}{compared}",
            ]
        case "session":
            return [f"process {event['pid']} on {event['host']} works on it"]
        case "stopped":
            return [("ended", "bold"), f": {event['reason']}"]
    return [str(event.get("kind", "?"))]
