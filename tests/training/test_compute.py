"""Devices, threads, precision, memory."""

import os

import pytest
import torch

from evopose.errors import ConfigError
from evopose.models.devices import cpu_count, keep_freed_memory
from evopose.models.layers import DepthwiseConv2d
from evopose.training.compute import Compute, make_fabric, place, prepare, resolve_compute
from training.toys import make_net

NOT_HERE = [
    name
    for name, here in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    )
    if not here
]


@pytest.mark.parametrize("device", [*NOT_HERE, "cpu:1", "cuda:99", "cuda:x", "tpu", "", "CPU"])
def test_a_device_that_is_not_here_is_told_with_those_that_are(device) -> None:
    with pytest.raises(ConfigError, match=r"is not on this machine \(found: 1 cpu.*give cpu, cuda"):
        resolve_compute(device)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads must be 1 to"),
        ({"threads": 10_000}, "threads must be 1 to"),
        ({"precision": "fp16"}, "precision must be auto, fp32 or bf16, got 'fp16'"),
    ],
)
def test_other_wrong_values_are_told(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_compute("cpu", **options)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_cpu(device) -> None:
    compute = resolve_compute(device, threads=1, precision="fp32")
    assert compute == Compute(device="cpu", threads=1, precision="fp32")
    assert compute.describe().startswith("cpu (")
    assert compute.describe().endswith(", 1 thread), fp32")
    assert make_fabric(compute).device == torch.device("cpu")


def test_auto_takes_what_is_here() -> None:
    compute = resolve_compute()
    assert compute.device.startswith(("cpu", "cuda:0", "mps"))
    assert compute.threads == cpu_count() <= (os.cpu_count() or 1)
    assert compute.precision in ("fp32", "bf16")
    assert resolve_compute("cpu", precision="bf16").precision == "bf16"


def test_bf16_is_autocast_and_fp32_is_not() -> None:
    net, images = make_net(), torch.zeros(1, 3, 32, 32)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with make_fabric(Compute(device="cpu", threads=1, precision=precision)).autocast():
            assert net(images).dtype == dtype


def test_the_process_is_set_up() -> None:
    torch.set_num_threads(2)
    prepare(resolve_compute("cpu", threads=1))
    assert torch.get_num_threads() == 1
    assert float(torch.tensor(1e-40) * 1) == 0, "denormals are flushed"


def test_the_allocator_tells_whether_it_could_be_told() -> None:
    told = keep_freed_memory()
    assert isinstance(told, bool)
    libraries = os.confstr_names if hasattr(os, "confstr") else {}
    assert told == ("CS_GNU_LIBC_VERSION" in libraries and _on_glibc())


def _on_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):
        return False


def test_placed_weights_are_channels_last() -> None:
    net = make_net()
    place(net, torch.device("cpu"))
    kernels = [m.weight for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
    assert any(isinstance(m, DepthwiseConv2d) for m in net.modules())
