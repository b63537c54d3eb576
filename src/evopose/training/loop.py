"""The training loop: one network, one dataset, one configuration, one seed.

Every random draw is a function of the seed and the step, and a checkpoint holds all that the next
step depends on, so training that was stopped and resumed equals undisturbed training, bit for bit
on the CPU.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from evopose.data.loader import Batch, batches
from evopose.data.pose_sources import PoseSource
from evopose.errors import RunError, TrainingDiverged
from evopose.models.layers import SharedRows, use_generator
from evopose.models.network import shows_every_stage
from evopose.training.averages import warm_batch_norms, weight_average
from evopose.training.checkpoint import load_checkpoint, save_checkpoint
from evopose.training.compute import Compute, make_fabric, place
from evopose.training.config import TrainConfig
from evopose.training.gradients import add_gradients
from evopose.training.losses import LOSSES
from evopose.training.optimizer import make_optimizer
from evopose.training.processes import Share, from_first, total
from evopose.training.schedule import learning_rate
from evopose.training.shared_norms import share_batch_norms, unshare_batch_norms
from evopose.training.validate import Encoder, TrainData, Validation, validate

logger = logging.getLogger(__name__)
Progress = Callable[[dict[str, Any]], None]

WARM_STEPS = 100
"""From this step on a batch norm's usual momentum is larger than a plain average's."""


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What one epoch gave."""

    epoch: int
    """From 1."""
    learning_rate: float
    """At its last step."""
    train_loss: float
    val_loss: float
    val_oks: float
    """Mean OKS on the validation persons."""
    train_seconds: float
    val_seconds: float
    samples: int


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What training gave; the network holds the weights of the best epoch."""

    history: tuple[EpochRecord, ...]
    finished: bool
    """False where `should_stop` ended it early: the checkpoint goes on from there."""

    @property
    def best(self) -> EpochRecord:
        """The epoch with the lowest validation loss."""
        return min(self.history, key=lambda record: record.val_loss)


class _Stop(Exception):
    """Someone asked the loop to stop."""


def fit(
    net: nn.Module,
    train: TrainData,
    val: TrainData,
    config: TrainConfig,
    *,
    compute: Compute,
    encoder: Encoder,
    checkpoint: Path | None = None,
    poses: PoseSource | None = None,
    val_poses: PoseSource | None = None,
    on_progress: Progress = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    """Train `net` in place and return the history.

    Of several processes (`compute.processes`) each calls this alike: they share every batch, end
    with the same weights, and the first alone writes and is told of progress.

    Goes on from `checkpoint` if that file exists. `on_progress` gets a dict at each step. `poses`
    and `val_poses` are what a network that refines poses is given beside the images.

    Raises: TrainingDiverged if a loss or gradient is not finite, naming step, images and the last
    good checkpoint; RunError for a checkpoint of another configuration or network.
    """
    session = _Session(net, train, val, config, compute, encoder, checkpoint, on_progress)
    session.poses, session.val_poses = poses, val_poses
    try:
        session.run(should_stop)
    except _Stop:
        session.save()
    else:
        session.take_best()
    finally:
        use_generator(net, None)
        unshare_batch_norms(net)
        if config.warm_averages:
            warm_batch_norms(net, WARM_STEPS)
    return FitResult(history=tuple(session.history), finished=session.finished)


class _Session:
    """The state of one call of `fit`: what a checkpoint holds, and what it is used with."""

    poses: PoseSource | None = None
    val_poses: PoseSource | None = None

    def __init__(
        self,
        net: nn.Module,
        train: TrainData,
        val: TrainData,
        config: TrainConfig,
        compute: Compute,
        encoder: Encoder,
        checkpoint: Path | None,
        on_progress: Progress,
    ) -> None:
        self.train_data, self.val_data, self.config = train, val, config
        self.compute, self.encoder, self.checkpoint = compute, encoder, checkpoint
        spare = not LOSSES[config.loss].every_stage and shows_every_stage(net)
        self.fabric = make_fabric(compute, spare_parameters=spare)
        self.first: bool = self.fabric.is_global_zero
        """Whether this is the process that writes and tells."""
        self.on_progress = on_progress if self.first else lambda event: None
        place(net, self.fabric.device)
        if compute.processes > 1:
            share_batch_norms(net, self.fabric.device)
        self.net = net
        self.optimizer = make_optimizer(net, config)
        average = weight_average(config.ema_decay, warm=config.warm_averages)
        self.ema = (
            AveragedModel(net, multi_avg_fn=average, use_buffers=True) if config.ema_decay else None
        )
        self.generator = torch.Generator(self.fabric.device).manual_seed(config.seed)
        self.rows = SharedRows()
        use_generator(net, self.generator, self.rows)
        self.steps_per_epoch = -(-len(train) // config.batch_size)
        self.epoch = self.step = 0
        self.loss_sum = self.loss_count = self.train_seconds = 0.0
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()
        self.wrapped, self.wrapped_optimizer = self.fabric.setup(net, self.optimizer)
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to do."""
        patience = self.config.patience
        if patience is not None and self.history:
            best = min(self.history, key=lambda r: r.val_loss)
            if self.history[-1].epoch - best.epoch >= patience:
                return True
        return self.epoch >= self.config.epochs

    def run(self, should_stop: Callable[[], bool]) -> None:
        while not self.finished:
            self._train_epoch(should_stop)
            self._end_epoch()

    def take_best(self) -> None:
        """Load the weights of the best epoch into the network."""
        self.net.load_state_dict(self.best)

    def save(self) -> None:
        """Write a checkpoint, if one was asked for. It suits any number of processes."""
        self.saved_at = time.monotonic()
        if self.checkpoint is None or not self.first:
            return
        state = {name: getattr(self, name) for name in _PROGRESS}
        state |= {
            "config": self.config.to_dict(),
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "history": [asdict(record) for record in self.history],
        }
        save_checkpoint(self.checkpoint, state)

    def _restore(self) -> None:
        path = self.checkpoint
        state = from_first(self.fabric, lambda: load_checkpoint(path) if path else None)
        if state is None:
            return
        if TrainConfig.from_dict(state["config"]) != self.config:
            raise RunError(
                f"the checkpoint {self.checkpoint} belongs to another training configuration; "
                "delete it to start afresh"
            )
        for name in _PROGRESS:
            setattr(self, name, state[name])
        try:
            self.net.load_state_dict(state["net"])
            if self.ema:
                self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
        except (RuntimeError, ValueError) as error:
            raise RunError(
                f"the checkpoint {self.checkpoint} belongs to another network, or was made on "
                "another kind of device; delete it to start afresh"
            ) from error
        self.history = [EpochRecord(**record) for record in state["history"]]

    def _train_epoch(self, should_stop: Callable[[], bool]) -> None:
        self.net.train()
        begun = time.monotonic()
        for batch in self._batches():
            loss = self._step(batch)
            self.step += 1
            now = time.monotonic()
            self.train_seconds += now - begun
            begun = now
            self.on_progress(
                {
                    "epoch": self.epoch + 1,
                    "epochs": self.config.epochs,
                    "step": self.step,
                    "steps": self.steps_per_epoch,
                    "loss": loss,
                    "images_per_second": self.step * self.config.batch_size / self.train_seconds,
                }
            )
            if total(self.fabric, float(should_stop())):  # whoever was asked, all stop here
                raise _Stop
            if now - self.saved_at > self.config.checkpoint_seconds:
                self.save()

    def _batches(self) -> Iterator[Batch]:
        return batches(
            self.train_data.cache,
            indices=self.train_data.indices,
            batch_size=self.config.batch_size,
            augmentation=self.config.augmentation,
            seed=self.config.seed,
            epoch=self.epoch,
            shuffle=True,
            start=self.step,
            share=Share.of(self.fabric).rows,
            threads=max(1, self.compute.threads // 2),
        )

    def _step(self, batch: Batch) -> float:
        step = self.epoch * self.steps_per_epoch + self.step
        rate = learning_rate(self.config, step, self.steps_per_epoch)
        if self.config.warm_averages and step < WARM_STEPS:
            warm_batch_norms(self.net, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        summed, divisor = add_gradients(
            self.wrapped,
            batch,
            min(self.config.batch_size, len(self.train_data) - self.step * self.config.batch_size),
            self.config,
            fabric=self.fabric,
            encoder=self.encoder,
            rows=self.rows,
            poses=self.poses,
            epoch=self.epoch,
        )
        if not math.isfinite(summed):
            self._diverged(batch, f"loss is {summed}")
        norm = nn.utils.clip_grad_norm_(
            self.net.parameters(), self.config.clip_norm or float("inf")
        )
        if not torch.isfinite(norm):  # the step would spoil the weights, and the next checkpoint
            self._diverged(batch, f"norm of the gradient is {norm.item()}")
        self.wrapped_optimizer.step()
        if self.ema:
            self.ema.update_parameters(self.net)
        self.loss_sum += summed
        self.loss_count += divisor
        return summed / divisor

    def _diverged(self, batch: Batch, what: str) -> None:
        names = self.train_data.names(batch.index[:8])
        kept = self.checkpoint and self.checkpoint.exists()
        raise TrainingDiverged(
            f"the {what} at epoch {self.epoch + 1}, step {self.step + 1} of "
            f"{self.steps_per_epoch}; images {', '.join(names)}"
            f"{' and others' if len(batch.index) > 8 else ''}; "
            f"{f'last good checkpoint: {self.checkpoint}' if kept else 'no checkpoint yet'}. "
            "A lower learning rate, a longer warm-up or fp32 may help"
        )

    def _end_epoch(self) -> None:
        net: nn.Module = self.ema.module if self.ema else self.net
        result = self._validate(net)
        if not result.loss < float("inf"):
            raise TrainingDiverged(
                f"the validation loss is {result.loss} after epoch {self.epoch + 1}; a lower "
                "learning rate, a longer warm-up or fp32 may help"
            )
        record = EpochRecord(
            epoch=self.epoch + 1,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=self.loss_sum / max(self.loss_count, 1.0),
            val_loss=result.loss,
            val_oks=result.mean_oks,
            train_seconds=self.train_seconds,
            val_seconds=result.seconds,
            samples=len(self.train_data),
        )
        if not self.history or record.val_loss < min(r.val_loss for r in self.history):
            self.best = {k: v.detach().clone() for k, v in net.state_dict().items()}
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum = self.loss_count = self.train_seconds = 0.0
        self.on_progress({"kind": "epoch", **asdict(record)})
        self.save()

    def _validate(self, net: nn.Module) -> Validation:
        return validate(
            net,
            self.val_data,
            encoder=self.encoder,
            loss=self.config.loss,
            batch_size=self.config.batch_size,
            fabric=self.fabric,
            poses=self.val_poses,
            on_batch=lambda: self.on_progress({"kind": "validation"}),
        )


_PROGRESS = ("epoch", "step", "loss_sum", "loss_count", "train_seconds", "best")
