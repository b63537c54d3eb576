"""`evopose status`: how a run stands, in a few lines."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from evopose.cli import app
from evopose.cli.options import (
    JSON,
    VERBOSE,
    best_table,
    console,
    gigabytes,
    individual_json,
    print_json,
    say,
    table,
)

if TYPE_CHECKING:
    from evopose.report.snapshot import Worker
    from evopose.report.status import Disk, Failure, Status

RUN = typer.Argument(help="The folder of a run.", show_default=False)


@app.command()
def status(
    run: Path = RUN,
    best: int = typer.Option(10, help="How many of the best to list.", min=0),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Say how a search stands, also while it runs.

    How far it is and what is left, what each worker trains and for how long its lease runs,
    attempts that were lost and tried again, what failed and why, what it takes of the disk, the
    best. Quick for runs of any size; `evopose doctor` looks for what is wrong.

    Example: evopose status runs/people-20260101-120000
    """
    from evopose.report.status import attempts_text, lost_text, read_status, status_json
    from evopose.report.tables import ranked_rows
    from evopose.search.command import resume_command

    found = read_status(run, best=best)
    if as_json:
        ranked = [individual_json(one) for one in found.snapshot.best]
        print_json({"run": str(run)} | status_json(found) | {"best": ranked})
        return
    screen = console(as_json)
    for line in (_progress(found), _best(found)):
        say(screen, line)
    if found.attempts:
        say(screen, f"attempts: {attempts_text(found.attempts)}")
    say(screen, f"disk: {_disk(found.disk)}")
    if found.last_lost:
        say(screen, f"last error: {lost_text(found.last_lost)}")
    if found.snapshot.workers:
        screen.print(table([_worker(one) for one in found.snapshot.workers], left=("at",)))
    if found.failures:
        rows = [_failure(one) for one in found.failures]
        screen.print(table(rows, title="failed", left=("reason", "individuals")))
    if found.snapshot.best:
        screen.print(best_table(ranked_rows(found.snapshot.best)))
    if found.snapshot.state == "interrupted":
        say(screen, f"go on with: {resume_command(run)}", exact=True)


def _progress(found: "Status") -> str:
    from evopose.report.text import duration, plural

    look = found.snapshot
    state = look.state + (f" ({look.stop_reason})" if look.stop_reason else "")
    if look.generation < 0:
        return f"{state}: no individual has been proposed"
    waiting = look.counts["proposed"] + look.counts["running"]
    of = f" of {look.generations}" if look.generations else ""
    said = [
        f"generation {look.generation}{of}",
        f"{plural(found.finished, 'individual')} finished",
        f"{look.counts['failed']:,} failed" if look.counts["failed"] else "",
        f"{waiting:,} waiting or in training" if waiting else "",
        f"{duration(look.seconds)} of work" if look.seconds else "",
        f"about {duration(look.seconds_left)} to go" if look.seconds_left is not None else "",
    ]
    return f"{state}: {'; '.join(part for part in said if part)}"


def _best(found: "Status") -> str:
    from evopose.report.tables import NOT_YET, winner_text
    from evopose.report.text import number

    winner, clone = found.winner, found.snapshot.clone
    if winner is None:
        return NOT_YET
    against = (
        f"; clone of generation {clone.generation}: J {number(clone.fitness)}" if clone else ""
    )
    return f"best: {winner_text(winner)}{against}"


def _disk(disk: "Disk") -> str:
    kept = disk.weights
    dropped = f" ({kept.dropped:,} dropped)" if kept.dropped else ""
    about = "about " if disk.logs_estimated else ""
    return (
        f"database {gigabytes(disk.database)}, {kept.kept:,} weights "
        f"{gigabytes(kept.kept_bytes)}{dropped}, work {gigabytes(disk.work)}, "
        f"logs {about}{gigabytes(disk.logs)}"
    )


def _worker(worker: "Worker") -> dict[str, str]:
    from evopose.report.text import duration, percent

    left = worker.lease_until - time.time()
    share = f" {percent(worker.share)}" if worker.share is not None else ""
    return {
        "worker": str(worker.slot),
        "id": worker.individual.id,
        "attempt": str(worker.attempt),
        "since": duration(max(0.0, time.time() - worker.started_at)),
        "lease": duration(left) if left > 0 else f"over for {duration(-left)}",
        "at": f"{worker.phase}{share}",
    }


def _failure(failure: "Failure") -> dict[str, str]:
    ids = failure.ids
    shown = ", ".join(ids[:8]) + (", ..." if len(ids) > 8 else "")
    return {"reason": failure.reason, "count": f"{len(ids):,}", "individuals": shown}
