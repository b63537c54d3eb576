"""What a search shows while it runs: a bar a generation, a line a worker, a line a result."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from evopose.cli.options import QUIET_SECONDS, say
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.individual import Individual
from evopose.report.text import plural

Event = dict[str, Any]

AGAIN = "other seeds"
"""What the bar is called while the best are trained again."""


class SearchDisplay:
    """Turns a search's events into lines and bars; one method a kind of event."""

    def __init__(self, screen: Console, bars: Progress, evolution: EvolutionConfig) -> None:
        self.screen, self.bars = screen, bars
        self.of = f" of {evolution.generations}" if evolution.generations else ""
        self.steady = evolution.mode == "async"
        self.generation = -1
        self.bar = bars.add_task("", total=0, note="")
        self.slots: dict[int, Any] = {}
        self.slot_of: dict[str, int] = {}
        self.parents: dict[str, str] = {}
        self.best = float("inf")
        self.spoke = time.monotonic()

    def recall(self, individuals: Iterable[Individual]) -> None:
        """Take up what a run that goes on holds already."""
        for one in individuals:
            self._proposed({"id": one.id, "generation": one.generation, "parent_id": one.parent_id})
            if one.status in ("done", "failed"):
                self.bars.advance(self.bar)
            if one.fitness is not None and one.competes:
                self.best = min(self.best, one.fitness)

    def __call__(self, event: Event) -> None:
        if handle := getattr(self, f"_{event['kind']}", None):
            handle(event)

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self.screen.print(Text.assemble(*parts), soft_wrap=not self.screen.is_terminal)
        self.spoke = time.monotonic()

    def _proposed(self, event: Event) -> None:
        if _control(event["id"]) == "repeat":
            if self.bars.tasks[self.bar].description != AGAIN:
                self.bars.reset(self.bar, total=0, description=AGAIN)
                self._say("the best are trained again with other seeds")
        elif event["generation"] > self.generation:
            self.generation = event["generation"]
            named = f"generation {self.generation}{self.of}"
            if not self.steady:  # there generations overlap, and the bar counts all that are born
                self.bars.reset(self.bar, total=0)
            self.bars.update(self.bar, description=named)
        self.parents[event["id"]] = event["parent_id"] or ""
        self.bars.update(self.bar, total=(self.bars.tasks[self.bar].total or 0) + 1)

    def _started(self, event: Event) -> None:
        slot = self.slot_of[event["id"]] = event["slot"]
        if slot not in self.slots:
            self.slots[slot] = self.bars.add_task("", note="")
        named = f"  {event['id']:>4}"
        self.bars.reset(self.slots[slot], total=1, visible=True, description=named, note="starting")

    def _progress(self, event: Event) -> None:
        what = event["progress"]
        if "steps" not in what:
            return
        note = (
            f"epoch {what['epoch']}/{what['epochs']}, loss {what['loss']:.3f}, "
            f"{what['images_per_second']:.0f} images/s"
        )
        self.bars.update(
            self.slots[event["slot"]],
            total=what["epochs"] * what["steps"],
            completed=(what["epoch"] - 1) * what["steps"] + what["step"],
            note=note,
        )
        if not self.screen.is_terminal and time.monotonic() - self.spoke > QUIET_SECONDS:
            whole = self.bars.tasks[self.bar]
            ended = f"{whole.completed:.0f} of {whole.total or 0:.0f} trained"
            self._say(f"  {event['id']:>4} {note}; {whole.description}: {ended}")

    def _done(self, event: Event) -> None:
        id, control = event["id"], _control(event["id"])
        better = event["fitness"] < self.best and not control
        self.best = event["fitness"] if better else self.best
        parent = self.parents.get(id)
        self._say(
            f"  {id:>4} {f'of {parent:>4}' if parent else 'ancestor'}: J {event['fitness']:.4f}, "
            f"loss {event['loss']:.4f}",
            (" best so far" if better else "", "bold green"),
            (f" {control}" if control else "", "dim"),
        )
        self._ended(event)

    def _failed(self, event: Event) -> None:
        self._say(f"  {event['id']:>4} ", ("failed", "red"), f": {event['reason']}")
        self._ended(event)

    def _lost(self, event: Event) -> None:
        again = f", tried again: {event['reason']}"
        self._say(f"  {event['id']:>4} ", (event["outcome"], "yellow"), again)
        self.bars.update(self.slots[self.slot_of[event["id"]]], visible=False)

    def _passed_over(self, event: Event) -> None:
        self._say(f"  {event['id']:>4} ", ("passed over", "yellow"), f": {event['reason']}")

    def _slots(self, event: Event) -> None:
        waits = "" if event["count"] else "; the search waits for one"
        self._say(f"  {plural(event['count'], 'worker')} now{waits}")

    def _ended(self, event: Event) -> None:
        self.bars.advance(self.bar)
        self.bars.update(self.slots[self.slot_of[event["id"]]], visible=False)

    def _generation(self, event: Event) -> None:
        clone = event["clone_fitness"]
        compared = f"; its clone {clone:.4f}" if clone is not None else ""
        failed = f"; {event['failed']} failed" if event["failed"] else ""
        self._say(
            f"generation {event['generation']}: best is {event['best_id']} with "
            f"J {event['best_fitness']:.4f}{compared}{failed}"
        )


def _control(id: str) -> str:
    """Return which control an id names ("clone", "repeat"); empty for those that compete."""
    return "clone" if id.startswith("c") else "repeat" if "r" in id else ""


@contextmanager
def search_display(screen: Console, evolution: EvolutionConfig) -> Iterator[SearchDisplay]:
    """Show a search's progress on the screen while it runs."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as bars:
        yield SearchDisplay(screen, bars, evolution)


class DataDisplay:
    """Shows what is built before a search: drawn people, crops. Called (what, done, total)."""

    def __init__(self, screen: Console, verb: str = "building") -> None:
        self.screen, self.verb = screen, verb
        self.shown = 0.0
        self.what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self.screen.is_terminal:
            if what != self.what:
                say(self.screen, f"{self.verb} {what}")
        elif now - self.shown > 0.1 or done == total:
            self.shown = now
            line = f"{self.verb} {what}: {done} of {total}"
            self.screen.print(line, end="\n" if done == total else "\r", markup=False)
        self.what = what
