"""Batch norms over several processes: here one by itself, judged by torch's own."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import distributed, nn

from evopose.training.averages import warm_batch_norms
from evopose.training.shared_norms import (
    SharedBatchNorm2d,
    share_batch_norms,
    unshare_batch_norms,
)
from training.toys import make_net


@pytest.fixture
def group() -> Iterator[None]:
    """A group of this process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def images(count: int = 6) -> torch.Tensor:
    drawn = torch.randn(count, 4, 5, 3, generator=torch.Generator().manual_seed(1))
    # far from zero, so that a sum of squares would lose digits
    return (drawn + 300).to(memory_format=torch.channels_last).requires_grad_()


def norm(kind: type) -> nn.Module:
    made = kind(4, eps=1e-3, momentum=0.1)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
        made.bias.copy_(torch.tensor([0.1, 0.2, -0.3, 0.0]))
    return made


@pytest.mark.usefixtures("group")
def test_outputs_gradients_and_averages_are_those_of_torch() -> None:
    found = []
    for made, x in (
        (norm(SharedBatchNorm2d), images()),
        (norm(nn.BatchNorm2d).double(), images().detach().double().requires_grad_()),
    ):
        for _ in range(2):
            y = made(x)
        (y * torch.linspace(-1, 2, y.numel()).view_as(y)).sum().backward()
        tensors = [y, x.grad, made.weight.grad, made.bias.grad, *made.state_dict().values()]
        found.append([tensor.detach().double() for tensor in tensors])
    for ours, judge in zip(*found, strict=True):
        torch.testing.assert_close(ours, judge, rtol=0, atol=1e-4 * float(judge.abs().max()))


@pytest.mark.usefixtures("group")
def test_without_samples_there_is_still_an_answer() -> None:
    made, x = norm(SharedBatchNorm2d), torch.zeros(0, 4, 5, 3, requires_grad=True)
    made.momentum = 0.0
    y = made(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert torch.equal(made.bias.grad, torch.zeros(4))


@pytest.mark.usefixtures("group")
def test_the_dtype_stays() -> None:
    made = norm(SharedBatchNorm2d)
    assert made(images().bfloat16()).dtype == torch.bfloat16


def test_while_evaluating_it_is_a_batch_norm() -> None:
    x = images()
    assert torch.equal(norm(SharedBatchNorm2d).eval()(x), norm(nn.BatchNorm2d).eval()(x))


def test_a_network_is_changed_and_changed_back() -> None:
    net = make_net()
    kinds = {name: type(module) for name, module in net.named_modules()}
    tensors = {name: id(tensor) for name, tensor in net.state_dict(keep_vars=True).items()}
    shared = sum(kind is nn.BatchNorm2d for kind in kinds.values())
    assert shared > 5
    net.stem_bn.eval()
    share_batch_norms(net, torch.device("cpu"))
    assert sum(type(m) is SharedBatchNorm2d for m in net.modules()) == shared
    assert {n: id(t) for n, t in net.state_dict(keep_vars=True).items()} == tensors
    assert not net.stem_bn.training
    warm_batch_norms(net, 1)  # of what they are meanwhile, too
    assert net.stem_bn.momentum == 0.5
    copy.deepcopy(net)
    unshare_batch_norms(net)
    assert {name: type(module) for name, module in net.named_modules()} == kinds
    assert {n: id(t) for n, t in net.state_dict(keep_vars=True).items()} == tensors
    assert net.stem_bn.momentum == 0.5


def test_on_gpus_they_are_torchs_own() -> None:
    net = make_net()
    share_batch_norms(net, torch.device("cuda", 0))
    assert not any(type(m) is nn.BatchNorm2d for m in net.modules())
    assert type(net.stem_bn) is nn.SyncBatchNorm
    warm_batch_norms(net, 3)
    assert net.stem_bn.momentum == 0.25
