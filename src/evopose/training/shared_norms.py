"""Batch norms whose statistics are those of the whole batch, when several processes share it."""

from typing import Any

import torch
from torch import Tensor, nn

from evopose.training.processes import summed


class SharedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm over the samples of all processes, for any device.

    A process may have no sample at all. Mean and variance are taken one after the other, as a sum
    of squares would lose digits.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input (N, C, H, W), in its dtype."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        here = x.new_tensor([x.numel() / x.shape[1]])
        totals = _total(torch.cat([x.sum((0, 2, 3)), here]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        away = x - mean.view(1, -1, 1, 1)
        variance = _total(away.square().sum((0, 2, 3))) / count
        self._remember(mean, variance * count / (count - 1).clamp_min(1))
        scale = self.weight * (variance + self.eps).rsqrt()
        made: Tensor = away * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return made.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def share_batch_norms(net: nn.Module, device: torch.device) -> None:
    """Let the batch norms of `net` take the statistics of all processes' samples.

    Parameters and buffers stay the same objects.
    """
    kind = nn.SyncBatchNorm if device.type == "cuda" else SharedBatchNorm2d
    _replace(net, nn.BatchNorm2d, kind)


def unshare_batch_norms(net: nn.Module) -> None:
    """Undo `share_batch_norms`."""
    _replace(net, SharedBatchNorm2d | nn.SyncBatchNorm, nn.BatchNorm2d)


def _replace(net: nn.Module, old: Any, new: type[Any]) -> None:
    for module in net.modules():
        for name, norm in module.named_children():
            if isinstance(norm, old) and type(norm) is not new:
                setattr(module, name, _alike(norm, new))


def _alike(norm: Any, kind: type[Any]) -> nn.Module:
    made: nn.Module = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    for name, parameter in norm.named_parameters():
        made.register_parameter(name, parameter)
    for name, buffer in norm.named_buffers():
        made.register_buffer(name, buffer)
    return made.train(norm.training)


def _total(value: Tensor) -> Tensor:
    """Return the sum over all processes."""
    whole: Tensor = _Total.apply(value)  # type: ignore[no-untyped-call]
    return whole


class _Total(torch.autograd.Function):
    """The sum over all processes; what each loses by it, all lose together."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return summed(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)
