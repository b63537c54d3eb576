"""Learning-rate schedules, as functions of the step."""

import math

from evopose.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the rate of step `step` (from 0): a linear warm-up, then a cosine to zero.

    Source: EvoPose2D, section 3.4; Goyal et al., arXiv 1706.02677 (warm-up).
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    total = config.epochs * steps_per_epoch
    if step < warmup:
        return config.warmup_from + (config.learning_rate - config.warmup_from) * step / warmup
    done = (step - warmup) / max(1, total - warmup)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2
