"""What a search shows while it runs: a bar a generation, a line a worker, a line a result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Event = dict[str, Any]


class SearchDisplay:
    """Turns a search's events into lines and bars."""

    def __init__(self, screen: Console, progress: Progress, generations: int | None) -> None:
        self.screen, self.progress = screen, progress
        self.generations = generations
        self.bar = progress.add_task("generation 0", total=0)
        self.slots: dict[int, Any] = {}
        self.slot_of: dict[str, int] = {}
        self.parents: dict[str, str] = {}
        self.best = float("inf")

    def __call__(self, event: Event) -> None:
        if handle := getattr(self, f"_{event['kind']}", None):
            handle(event)

    def _proposed(self, event: Event) -> None:
        of = f" of {self.generations}" if self.generations else ""
        self.parents[event["id"]] = event["parent_id"] or "-"
        self.progress.update(
            self.bar,
            description=f"generation {event['generation']}{of}",
            total=(self.progress.tasks[self.bar].total or 0) + 1,
        )

    def _started(self, event: Event) -> None:
        slot = event["slot"]
        self.slot_of[event["id"]] = slot
        if slot not in self.slots:
            self.slots[slot] = self.progress.add_task("", total=1)
        self.progress.update(
            self.slots[slot], description=f"  {event['id']:>4}", total=1, completed=0, note="starts"
        )

    def _progress(self, event: Event) -> None:
        what = event["progress"]
        if "steps" not in what:
            return
        self.progress.update(
            self.slots[event["slot"]],
            total=what["epochs"] * what["steps"],
            completed=(what["epoch"] - 1) * what["steps"] + what["step"],
            note=f"epoch {what['epoch']}/{what['epochs']}, loss {what['loss']:.3f}, "
            f"{what['images_per_second']:.0f} images/s",
        )

    def _done(self, event: Event) -> None:
        better = event["fitness"] < self.best and not event["id"].startswith("c")
        if better:
            self.best = event["fitness"]
        self.screen.print(
            f"  {event['id']:>4} of {self.parents.get(event['id'], '?'):>4}: "
            f"J {event['fitness']:.4f}, loss {event['loss']:.4f}"
            f"{' [bold green]best so far[/]' if better else ''}"
            f"{' [dim]clone[/]' if event['id'].startswith('c') else ''}",
            highlight=False,
        )
        self._ended(event)

    def _failed(self, event: Event) -> None:
        self.screen.print(f"  {event['id']:>4} [red]failed[/]: {event['reason']}", highlight=False)
        self._ended(event)

    def _lost(self, event: Event) -> None:
        self.screen.print(
            f"  {event['id']:>4} [yellow]{event['outcome']}[/], tried again: {event['reason']}",
            highlight=False,
        )

    def _ended(self, event: Event) -> None:
        self.progress.advance(self.bar)
        slot = self.slot_of.get(event["id"])
        if slot is not None:
            self.progress.update(self.slots[slot], completed=0, note="")

    def _generation(self, event: Event) -> None:
        clone = event["clone_fitness"]
        compared = f", its clone control {clone:.4f}" if clone is not None else ""
        self.screen.print(
            f"generation {event['generation']}: best is {event['best_id']} with "
            f"J {event['best_fitness']:.4f}{compared}",
            highlight=False,
        )
        self.progress.reset(self.bar, total=0)


@contextmanager
def search_display(screen: Console, generations: int | None) -> Iterator[SearchDisplay]:
    """Show a search's progress on the screen while it runs."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as progress:
        progress.add_task = _with_note(progress.add_task)  # type: ignore[method-assign]
        yield SearchDisplay(screen, progress, generations)


def _with_note(add_task: Any) -> Any:
    return lambda description, **fields: add_task(description, **{"note": ""} | fields)


class DataDisplay:
    """Shows what is built before a search: drawn people, crops. Called (what, done, total)."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.shown = 0.0
        self.what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self.what:
            self.what = what
            self.screen.print(f"building {what}", highlight=False)
        if self.screen.is_terminal and (now - self.shown > 0.1 or done == total):
            self.shown = now
            end = "\n" if done == total else "\r"
            self.screen.print(f"  {done} of {total}", end=end, highlight=False)
