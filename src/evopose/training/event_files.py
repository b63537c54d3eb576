"""Event files for TensorBoard, on request: curves of trainings by epoch.

The writer is torch's, which needs the package `tensorboard`; so does whoever looks at the files.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from evopose.errors import ConfigError

SCALARS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "mean OKS": "val_oks",
    "learning rate": "learning_rate",
}
"""Tag in TensorBoard -> field of an epoch's record (see `EpochRecord`)."""


def require_tensorboard() -> None:
    """Raise ConfigError, saying what to install, unless event files can be written."""
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "event files need the package tensorboard, which is not installed: pip install "
            "'evopose[tensorboard]', or leave --tensorboard out (the same numbers are in the logs)"
        )


class EventFiles:
    """A folder of event files with a subfolder for each training ("run" in TensorBoard's words).

    A context manager. Raises: ConfigError where the package is missing.
    """

    def __init__(self, folder: Path) -> None:
        require_tensorboard()
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for name in list(self._writers):
            self.end(name)

    def epoch(self, name: str, record: dict[str, Any]) -> None:
        """Write the record of one epoch of the training `name`."""
        values = {tag: record[field] for tag, field in SCALARS.items() if field in record}
        self.scalars(name, record["epoch"], values)

    def scalars(self, name: str, step: int, values: dict[str, float]) -> None:
        """Write values of one step. A first step that was written before takes its place, with all
        that followed: a training may have begun again."""
        from torch.utils import tensorboard

        if name not in self._writers:
            make: Any = tensorboard.SummaryWriter  # untyped
            self._writers[name] = make(str(self.folder / name), purge_step=step)
        for tag, value in values.items():
            self._writers[name].add_scalar(tag, value, step)
        self._writers[name].flush()

    def end(self, name: str) -> None:
        """Close the files of one training; nothing happens if there are none."""
        if (writer := self._writers.pop(name, None)) is not None:
            writer.close()
