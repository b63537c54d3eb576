"""The paper's J against numbers worked out by hand, and the limits."""

import math

import pytest

from evopose.errors import ConfigError
from evopose.evolution.fitness import Fitness, Size


def size(num_parameters, num_macs, latency_ms=None):
    return Size(num_parameters=num_parameters, num_macs=num_macs, latency_ms=latency_ms)


def test_half_the_target_parameters_is_worth_a_twentieth_of_the_loss():
    # 2 ** -0.07 = exp(-0.07 * 0.693147) = 0.952638
    assert Fitness().score(1.0, size(2_500_000, 1)) == pytest.approx(0.952638, abs=1e-6)
    assert Fitness().score(1.0, size(10_000_000, 1)) == pytest.approx(1 / 0.952638, abs=1e-5)


def test_multiply_adds_count_only_when_a_target_is_given():
    fitness = Fitness(target_macs=1e9, gamma_macs=-0.5)
    assert fitness.score(3.0, size(5_000_000, 4_000_000_000)) == pytest.approx(6.0)
    assert Fitness().score(3.0, size(5_000_000, 4_000_000_000)) == 3.0


@pytest.mark.parametrize("loss", [math.nan, math.inf, -0.1])
def test_a_loss_that_is_none_is_refused(loss):
    with pytest.raises(ValueError, match="finite and not negative"):
        Fitness().score(loss, size(1, 1))


def test_limits_are_inclusive_and_say_what_is_above_what():
    fitness = Fitness(max_parameters=1000, max_macs=2000)
    assert fitness.refusal(size(1000, 2000)) is None
    assert fitness.refusal(size(1001, 1)) == "1,001 parameters are above the limit of 1,000"
    assert fitness.refusal(size(1, 2001)) == "2,001 multiply-adds are above the limit of 2,000"


@pytest.mark.parametrize(
    "setting", [{"target_parameters": 0}, {"max_macs": -1}, {"gamma": math.nan}]
)
def test_settings_that_cannot_be_used_are_named(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        Fitness(**setting)
