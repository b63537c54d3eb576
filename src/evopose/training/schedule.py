"""Learning-rate schedules, as functions of the step."""

import math

from evopose.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the rate of step `step` (from 0): a linear warm-up, then the configured schedule.

    `cosine` and `linear` fall to zero; `step` multiplies by `step_factor` at each milestone.

    Source: EvoPose2D, section 3.4; Goyal et al., arXiv 1706.02677 (warm-up).
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    total = config.epochs * steps_per_epoch
    if step < warmup:
        return config.warmup_from + (config.learning_rate - config.warmup_from) * step / warmup
    if config.schedule == "step":
        passed = sum(step >= round(epoch * steps_per_epoch) for epoch in config.milestones)
        return config.learning_rate * config.step_factor**passed
    done = (step - warmup) / max(1, total - warmup)
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2
