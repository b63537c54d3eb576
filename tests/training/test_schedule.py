"""The learning rate, against its formula in NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from evopose.recipes.train import paper
from evopose.training.config import TrainConfig, scaled_learning_rate
from evopose.training.schedule import learning_rate


def rates(config: TrainConfig, steps_per_epoch: int) -> np.ndarray:
    steps = range(config.epochs * steps_per_epoch)
    return np.array([learning_rate(config, step, steps_per_epoch) for step in steps])


def test_warm_up_is_a_line_and_then_half_a_cosine() -> None:
    config = TrainConfig(epochs=20, learning_rate=4e-3, warmup_epochs=2.5, warmup_from=2.5e-4)
    found = rates(config, 10)
    line = np.linspace(2.5e-4, 4e-3, 26)
    cosine = 4e-3 * np.cos(np.pi / 2 * np.arange(176) / 175) ** 2
    np.testing.assert_allclose(found, np.concatenate([line[:25], cosine[:-1]]), rtol=1e-12)
    assert found[0] == 2.5e-4
    assert found[25] == found.max() == 4e-3
    assert 0 < found[-1] < 1e-6


def test_without_a_warm_up_the_first_step_has_the_peak() -> None:
    found = rates(TrainConfig(epochs=5, learning_rate=1e-3), 4)
    assert found[0] == 1e-3
    assert found[10] == pytest.approx(5e-4), "half-way down in the middle"
    assert (np.diff(found) < 0).all()


def test_a_warm_up_longer_than_the_training_only_climbs() -> None:
    config = TrainConfig(epochs=2, learning_rate=1e-3, warmup_epochs=4)
    np.testing.assert_allclose(rates(config, 3), 1e-3 * np.arange(6) / 12)


def test_a_warm_up_as_long_as_the_training() -> None:
    config = TrainConfig(epochs=1, learning_rate=1e-3, warmup_epochs=1)
    np.testing.assert_allclose(rates(config, 4), 1e-3 * np.arange(4) / 4)


def test_the_papers_rate_grows_with_the_batch() -> None:
    """0.00025 * 512 / 32, as `E3.yaml` and `train.py` of the official code have it."""
    assert scaled_learning_rate(512) == pytest.approx(0.004)
    assert scaled_learning_rate(32) == 2.5e-4


def test_a_rate_scaled_to_a_larger_batch_is_the_papers_large_batch_recipe() -> None:
    """The authors' own step from batches of 32 to 512: the rate in proportion, warmed up over five
    epochs from the small batch's."""
    small = replace(paper(), batch_size=32, learning_rate=2.5e-4, warmup_epochs=0, warmup_from=0)
    assert small.scaled_to(512) == paper()


def test_a_rate_is_scaled_both_ways() -> None:
    config = TrainConfig(
        epochs=20, batch_size=32, learning_rate=1e-3, warmup_epochs=4, warmup_from=2e-4
    )
    assert config.scaled_to(32) == config
    larger = config.scaled_to(64)
    assert (larger.learning_rate, larger.warmup_epochs, larger.warmup_from) == (2e-3, 4, 2e-4)
    smaller = config.scaled_to(4)
    assert (smaller.learning_rate, smaller.warmup_epochs, smaller.warmup_from) == (
        1.25e-4, 4, 1.25e-4,
    )  # fmt: skip
    short = TrainConfig(epochs=10, batch_size=8, learning_rate=1e-3).scaled_to(16)
    assert (short.warmup_epochs, short.warmup_from) == (1.0, 1e-3), "a tenth of the training"


def test_a_line_to_zero() -> None:
    config = TrainConfig(epochs=10, learning_rate=2e-3, warmup_epochs=2, schedule="linear")
    found = rates(config, 5)
    np.testing.assert_allclose(found[10:], 2e-3 * (1 - np.arange(40) / 40), rtol=1e-12)
    np.testing.assert_allclose(found[:10], 2e-3 * np.arange(10) / 10, rtol=1e-12)


def test_steps_fall_at_the_end_of_their_epochs() -> None:
    config = TrainConfig(
        epochs=140, learning_rate=1e-3, schedule="step", milestones=(90, 120), step_factor=0.1
    )
    found = rates(config, 3)
    expected = np.repeat([1e-3, 1e-4, 1e-5], [270, 90, 60])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
