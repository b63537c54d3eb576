"""Training that was stopped or killed and resumed equals undisturbed training, to the bit."""

import os
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evopose.errors import RunError
from evopose.genotype import Genotype
from evopose.models.evopose2d import build_evopose2d
from evopose.training.loop import LOSSES, FitResult
from training.kill_repeatedly import CONFIG
from training.toys import (
    NETWORK,
    Toy,
    assert_same_weights,
    losses,
    make_config,
    make_net,
    make_toy,
    stop_after,
)

STEPS = 9  # three epochs of ten persons in batches of four


def undisturbed(toy: Toy, config) -> tuple[torch.nn.Module, FitResult]:
    net = make_net()
    result = toy.fit(net, config)
    assert result.finished
    return net, result


@pytest.fixture(scope="module")
def expected(toy) -> tuple[torch.nn.Module, FitResult]:
    return undisturbed(toy, make_config())


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_stopped_after_any_step(toy, tmp_path, expected, steps) -> None:
    checkpoint, config = tmp_path / "checkpoint.pt", make_config()
    stopped = toy.fit(make_net(), config, checkpoint=checkpoint, should_stop=stop_after(steps))
    assert not stopped.finished
    assert len(stopped.history) == (steps - 1) // 3
    net = make_net(seed=99)  # its weights must come from the checkpoint
    torch.manual_seed(steps)  # and no draw from the global generator
    result = toy.fit(net, config, checkpoint=checkpoint)
    assert result.finished
    assert losses(result) == losses(expected[1])
    assert_same_weights(net, expected[0])


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "mse", "accumulate": 2, "ema_decay": 0.0, "clip_norm": 0.0},
        {"loss": "mse", "optimizer": "adamw", "round_centre": False},
        {"accumulate": 3, "batch_size": 7, "patience": 1},
    ],
    ids=["mse", "adamw", "patience"],
)
def test_stopped_at_every_step(toy, tmp_path, options) -> None:
    config, checkpoint = make_config(**options), tmp_path / "checkpoint.pt"
    whole, result = undisturbed(toy, config)
    resumed = None
    for attempt in range(20):
        net = make_net(seed=attempt)
        resumed = toy.fit(net, config, checkpoint=checkpoint, should_stop=stop_after(1))
        if resumed.finished:
            break
    assert resumed.finished
    assert attempt >= 4
    assert losses(resumed) == losses(result)
    assert_same_weights(net, whole)


def test_a_finished_training_is_not_trained_again(toy, tmp_path, expected) -> None:
    checkpoint, events = tmp_path / "checkpoint.pt", []
    toy.fit(make_net(), make_config(), checkpoint=checkpoint)
    net = make_net(seed=99)
    again = toy.fit(net, make_config(), checkpoint=checkpoint, on_progress=events.append)
    assert events == []
    assert losses(again) == losses(expected[1])
    assert_same_weights(net, expected[0])


def test_a_copy_of_an_early_checkpoint_leads_to_the_same_end(toy, tmp_path, expected) -> None:
    """As after a crash: what came after the last checkpoint is done again."""
    checkpoint, copy = tmp_path / "checkpoint.pt", tmp_path / "copy.pt"
    config = make_config(checkpoint_seconds=0.0)

    def look(event: dict) -> None:
        if (event.get("epoch"), event.get("step")) == (2, 3):
            copy.write_bytes(checkpoint.read_bytes())

    toy.fit(make_net(), config, checkpoint=checkpoint, on_progress=look)
    state = torch.load(copy, weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 2), "two steps of the second epoch"
    net = make_net(seed=99)
    result = toy.fit(net, config, checkpoint=copy)
    assert losses(result) == losses(expected[1])
    assert_same_weights(net, expected[0])


def test_killed_at_random_moments(tmp_path) -> None:
    seed, tests = secrets.randbelow(10**6), Path(__file__).parents[1]
    toy = make_toy(tmp_path)
    done = subprocess.run(
        [sys.executable, str(tests / "training/kill_repeatedly.py"), str(tmp_path), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tests), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert int((tmp_path / "kills.txt").read_text()) >= 3, f"seed {seed}"
    survived = torch.load(tmp_path / "result.pt", weights_only=True)
    torch.set_num_threads(1)
    net = make_net()
    result = toy.fit(net, CONFIG)
    assert survived["losses"] == losses(result), f"seed {seed}"
    for name, tensor in net.state_dict().items():
        assert torch.equal(survived["net"][name], tensor), f"seed {seed}: {name}"


@pytest.fixture
def checkpoint(toy, tmp_path) -> Path:
    path = tmp_path / "checkpoint.pt"
    toy.fit(make_net(), make_config(), checkpoint=path, should_stop=stop_after(4))
    return path


@pytest.mark.parametrize("options", [{"seed": 8}, {"epochs": 4}, {"learning_rate": 1e-3}])
def test_a_checkpoint_of_another_configuration_is_refused(toy, checkpoint, options) -> None:
    before = checkpoint.read_bytes()
    with pytest.raises(RunError, match=r"checkpoint\.pt belongs to another training configuration"):
        toy.fit(make_net(), make_config(**options), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(toy, checkpoint) -> None:
    other = replace(NETWORK, genotype=Genotype.from_list([[3, 1, 1, 1], [5, 2, 1, 2]]))
    with pytest.raises(RunError, match=r"checkpoint\.pt belongs to another network"):
        toy.fit(build_evopose2d(other), make_config(), checkpoint=checkpoint)


def test_damage_anywhere_in_a_checkpoint_is_seen(toy, checkpoint) -> None:
    whole = checkpoint.read_bytes()
    damaged = [b"", whole[:100], whole[: len(whole) // 2], whole[:-1]]
    for place in range(2000, len(whole) - 64, len(whole) // 5):
        flipped = bytearray(whole)
        for near in range(place, place + 64):  # zip pads up to 63 bytes, which hold nothing
            flipped[near] ^= 0x10
        damaged.append(bytes(flipped))
    for content in damaged:
        checkpoint.write_bytes(content)
        with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read .* delete it to start"):
            toy.fit(make_net(), make_config(), checkpoint=checkpoint)


def test_every_loss_can_be_configured() -> None:
    assert {make_config(loss=name).loss for name in LOSSES} == set(LOSSES)
