"""Several processes train as one does: the same batches, losses and weights, to rounding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from training.toys import Toy, make_toy, stop_after
from training.train_together import CONFIGS, STEPS, network, told

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def data(folder) -> Toy:
    torch.set_num_threads(1)
    return make_toy(folder)


@pytest.fixture(scope="module")
def alone(data, folder) -> dict:
    """What one process gets."""
    found = {}
    for name, config in CONFIGS.items():
        net = network(name)
        found[name] = told(data.fit(net, config), net)
    begun = folder / "begun.pt"
    data.fit(network("normed"), CONFIGS["normed"], checkpoint=begun, should_stop=stop_after(STEPS))
    return found


@pytest.fixture(scope="module")
def together(alone, folder) -> list[dict]:
    """What each of two processes gets."""
    script = str(TESTS / "training/train_together.py")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         script, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}",
                          "OMP_NUM_THREADS": "1"},
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def assert_close(found: dict, expected: dict) -> None:
    """Check losses to a part in 10,000, weights and averages to a thousandth of the largest."""
    assert torch.tensor(found["losses"]).allclose(torch.tensor(expected["losses"]), rtol=1e-4)
    for name, tensor in expected["net"].items():
        scale = float(tensor.abs().max())
        torch.testing.assert_close(
            found["net"][name], tensor, rtol=0, atol=1e-3 * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("name", ["normed", "parts"])
def test_two_processes_get_what_one_gets(together, alone, name) -> None:
    for found in together:
        assert_close(found[name], alone[name])


def test_two_processes_see_the_losses_that_one_sees(together, alone) -> None:
    """Not its weights: Adam makes steps of the rounding where a gradient is zero, as that of a
    bias is before a batch norm. Batch norms forget those while they train."""
    of_training = [[losses[2] for losses in one["evopose2d"]["losses"]] for one in together]
    expected = [losses[2] for losses in alone["evopose2d"]["losses"]]
    assert of_training == [pytest.approx(expected, rel=1e-4)] * 2


@pytest.mark.parametrize("name", [*CONFIGS, "went on"])
def test_processes_end_with_the_same_weights_to_the_bit(together, name) -> None:
    one, other = (found[name] for found in together)
    assert one["losses"] == other["losses"]
    for key, tensor in one["net"].items():
        assert torch.equal(tensor, other["net"][key]), key


def test_two_processes_go_on_with_the_training_of_one(together, alone) -> None:
    assert_close(together[0]["went on"], alone["normed"])


def test_one_process_goes_on_with_the_training_of_two(data, together, alone, folder) -> None:
    state = torch.load(folder / "stopped.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == divmod(STEPS, 3)
    net: nn.Module = network("normed")
    result = data.fit(net, CONFIGS["normed"], checkpoint=folder / "stopped.pt")
    assert_close(told(result, net), alone["normed"])
