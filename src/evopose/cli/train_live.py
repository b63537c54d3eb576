"""What a training shows while it runs."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evopose.cli.options import QUIET_SECONDS, say


class TrainDisplay:
    """A bar over all steps, and a line an epoch."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.bars = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self.spoke = time.monotonic()
        self.task = self.bars.add_task("train", total=None, epoch=1, note="")

    def __enter__(self) -> "TrainDisplay":
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        if event.get("kind") == "epoch":
            say(
                self.screen,
                f"epoch {event['epoch']}: train loss {event['train_loss']:.4f}, "
                f"val loss {event['val_loss']:.4f}, mean OKS {event['val_oks']:.3f}, "
                f"{event['samples'] / max(event['train_seconds'], 1e-9):.0f} images/s",
            )
            self.spoke = time.monotonic()
        if "steps" not in event:
            return
        epoch = f"{event['epoch']}/{event['epochs']}"
        note = f"loss {event['loss']:.3f}, {event['images_per_second']:.0f} images/s"
        self.bars.update(
            self.task,
            total=event["epochs"] * event["steps"],
            completed=(event["epoch"] - 1) * event["steps"] + event["step"],
            epoch=epoch,
            note=note,
        )
        if not self.screen.is_terminal and time.monotonic() - self.spoke > QUIET_SECONDS:
            say(self.screen, f"  epoch {epoch}, step {event['step']}/{event['steps']}, {note}")
            self.spoke = time.monotonic()
