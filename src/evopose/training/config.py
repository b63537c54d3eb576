"""How a network is trained: one frozen configuration, checked when it is made."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from evopose.codecs import CODECS
from evopose.data.augment import Augmentation
from evopose.errors import ConfigError
from evopose.models.inputs import InputSpec
from evopose.training.losses import LOSSES

ANY_CODEC = ("mse", "softmax")
"""Losses on heatmaps whichever codec made them."""
LARGE_BATCH_WARMUP = 5.0
"""Epochs over which the rate climbs at least, where a larger batch has raised it."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training schedule.

    Raises: ConfigError for a value that cannot be trained with.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 2.5e-4
    """The peak, reached after the warm-up."""
    warmup_epochs: float = 0.0
    """Epochs, or parts of one, over which the rate climbs in a line to `learning_rate`."""
    warmup_from: float = 0.0
    """The rate of the first step, where there is a warm-up."""
    optimizer: str = "adam"
    """`adam` adds the weight decay to the gradient (L2), `adamw` takes it off the weights."""
    weight_decay: float = 2e-5
    """On kernels of convolutions, depthwise ones excepted; see `decay_all`."""
    decay_all: bool = False
    """Whether the weight decay is on every parameter, biases and batch norms included."""
    schedule: str = "cosine"
    """What follows the warm-up: `cosine` or `linear` to zero, or `step`s at `milestones`."""
    milestones: tuple[float, ...] = ()
    """Epochs at whose end a `step` schedule multiplies the rate by `step_factor`."""
    step_factor: float = 0.1
    loss: str = "mse"
    """A name in `LOSSES`: `mse` on heatmaps (the paper's), `softmax` cross-entropy, and those of
    particular networks."""
    codec: str | None = None
    """A name in `CODECS`, for losses that work with any (mse, softmax); None: the loss's own."""
    codec_params: dict[str, Any] | None = None
    """All parameters of `codec`, say those of a file whose weights go on; None: by what follows
    here and the loss."""
    sigma: float | None = None
    """Width of the target Gaussians in heatmap pixels; None: 2 * heatmap height / 64."""
    peak: float = 255.0
    """Height of the target Gaussians, where the loss is on their values."""
    truncate: float | None = None
    """Standard deviations beyond which the target Gaussians are zero; None: never."""
    input: InputSpec = field(default_factory=InputSpec)
    """Colour order and normalisation of a network that starts afresh."""
    round_centre: bool = True
    """Whether targets are centred on whole heatmap pixels, as in the official code."""
    ema_decay: float = 0.0
    """Decay of the running average of weights that is validated and kept; 0: none."""
    warm_averages: bool = False
    """Let the averages over time, of weights and of batch norms, begin as plain averages over the
    steps so far: else they hold on to their first values for hundreds of steps."""
    accumulate: int = 1
    """Parts into which each batch is cut for forward and backward, to save memory."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0: not clipped."""
    patience: int | None = None
    """Stop after so many epochs without a better validation loss; None: never."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    precision: str = "auto"
    """`fp32`, `bf16`, or `auto`: bf16 where the hardware computes it."""
    checkpoint_seconds: float = 60.0
    """At least so long between two checkpoints within an epoch."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "step_factor", "peak"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if bool(self.milestones) != (self.schedule == "step"):
            raise ConfigError(
                f"milestones go with the step schedule, and it needs them; got {self.schedule} "
                f"with {self.milestones}"
            )
        for name in (
            "weight_decay", "warmup_epochs", "warmup_from", "clip_norm", "checkpoint_seconds"
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience must be at least 1 epoch, or None, got {self.patience}")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay must be at least 0 and below 1, got {self.ema_decay}")
        for name, allowed in (
            ("optimizer", ("adam", "adamw")),
            ("schedule", ("cosine", "linear", "step")),
            ("loss", tuple(LOSSES)),
            ("precision", ("auto", "fp32", "bf16")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )

        if self.codec is not None:
            _check_codec(self.codec, self.loss)
        elif self.codec_params is not None:
            raise ConfigError("codec_params are those of a codec: name it, too")

    def lasting(self, epochs: int) -> "TrainConfig":
        """Return the configuration for so many epochs, warm-up and milestones in proportion: a
        tenth of the training has its steps of the rate where the whole has them."""
        part = epochs / self.epochs
        return replace(
            self,
            epochs=epochs,
            warmup_epochs=self.warmup_epochs * part,
            milestones=tuple(milestone * part for milestone in self.milestones),
        )

    def scaled_to(self, batch_size: int) -> "TrainConfig":
        """Return the configuration for batches of that size, the learning rate in proportion.

        A rate that rises is warmed up over at least `LARGE_BATCH_WARMUP` epochs, or a tenth of a
        shorter training: from where the warm-up began, or from the old rate if there was none.

        Source: Goyal et al., arXiv 1706.02677, sections 2.1 and 2.2, for SGD with momentum.
        """
        factor = batch_size / self.batch_size
        rate = self.learning_rate * factor
        least = min(LARGE_BATCH_WARMUP, self.epochs / 10) if factor > 1 else 0.0
        begin = self.warmup_from if self.warmup_epochs else self.learning_rate * (factor > 1)
        return replace(
            self,
            batch_size=batch_size,
            learning_rate=rate,
            warmup_epochs=max(self.warmup_epochs, least),
            warmup_from=min(begin, rate),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON values."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # tuples become lists
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "TrainConfig":
        """Return the configuration that `to_dict` wrote."""
        unknown = value.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise ConfigError(f"unknown training options: {', '.join(sorted(unknown))}")
        augmentation = dict(value["augmentation"])
        if augmentation.get("scale_range"):
            augmentation["scale_range"] = tuple(augmentation["scale_range"])
        made = dict(value) | {"augmentation": Augmentation(**augmentation)}
        if "input" in value:
            made["input"] = InputSpec.from_dict(value["input"])
        if "milestones" in value:
            made["milestones"] = tuple(value["milestones"])
        return cls(**made)


def _check_codec(codec: str, loss: str) -> None:
    """Raise ConfigError for a codec that there is not, or that a loss does not go with."""
    if codec not in CODECS:
        raise ConfigError(f"codec must be one of {', '.join(CODECS)}, got {codec!r}")
    if codec != LOSSES[loss].codec and loss not in ANY_CODEC:
        raise ConfigError(
            f"the loss {loss} has a codec of its own, {LOSSES[loss].codec}; {codec} goes with "
            f"{' or '.join(ANY_CODEC)}"
        )
    if (codec, loss) in (("soft_argmax", "mse"), ("megvii", "softmax")):
        other = "softmax" if loss == "mse" else "mse"
        raise ConfigError(f"networks trained with {loss} cannot be read by {codec}; use {other}")


def scaled_learning_rate(batch_size: int, *, base: float = 2.5e-4, base_batch: int = 32) -> float:
    """Return the paper's learning rate: `base` for a batch of `base_batch`, in proportion."""
    return base * batch_size / base_batch
