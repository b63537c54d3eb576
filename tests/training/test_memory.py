"""The memory that training takes: predicted, and measured in a process of its own."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from evopose.genotype import GENOTYPES
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.training import memory
from evopose.training.compute import Compute
from evopose.training.config import TrainConfig
from evopose.training.memory import activations, require_memory, training_bytes

NARROW = EvoPose2DConfig(genotype=GENOTYPES["narrow"], input_hw=(128, 96), num_keypoints=17)
CPU = Compute(device="cpu", threads=1, precision="fp32")

MEASURE = """
import torch
from pathlib import Path
from evopose.genotype import GENOTYPES
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
torch.set_num_threads(1)
config = EvoPose2DConfig(genotype=GENOTYPES["narrow"], input_hw=(128, 96), num_keypoints=17)
net = build_evopose2d(config).to(memory_format=torch.channels_last).train()
def peak(images):
    x = torch.randn(images, 3, 128, 96).contiguous(memory_format=torch.channels_last)
    net(x).mean().backward()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])
few, many = peak(8), peak(40)
print(many - few)
"""


def test_activations_are_what_the_convolutions_give():
    net = build_evopose2d(NARROW).eval()
    counted = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and "se_" not in name:
            module.register_forward_hook(lambda m, i, out: counted.append(out[0].numel()))
    net(torch.zeros(1, 3, 128, 96))
    assert activations(NARROW) == sum(counted)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
def test_prediction_is_near_what_a_process_takes():
    found = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    measured = int(found.stdout)
    predicted = 32 * (
        training_bytes(NARROW, num_parameters=0, images=2)
        - training_bytes(NARROW, num_parameters=0, images=1)
    )
    assert 0.7 * measured < predicted < 1.6 * measured


def test_what_this_process_holds_is_free_to_it(monkeypatch):
    """The allocators keep what an earlier training gave back."""
    left = SimpleNamespace(available=10**9)  # of the machine, which others use, too
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: left)
    held = memory.psutil.Process().memory_info().rss
    assert memory.free_bytes(CPU) - left.available == pytest.approx(held, rel=0.1)


def test_what_does_not_fit_is_said_before_it_is_tried(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda compute: 100_000_000)
    few = TrainConfig(batch_size=4, learning_rate=1e-3, epochs=1)
    require_memory(NARROW, few, CPU, num_parameters=250_000)
    many = TrainConfig(batch_size=64, learning_rate=1e-3, epochs=1)
    with pytest.raises(MemoryError, match=r"64 images at once takes about 0\.9 GB, 0\.1 GB are"):
        require_memory(NARROW, many, CPU, num_parameters=250_000)
    halved = TrainConfig(batch_size=64, accumulate=16, learning_rate=1e-3, epochs=1)
    require_memory(NARROW, halved, CPU, num_parameters=250_000)
