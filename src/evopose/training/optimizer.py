"""Optimisers: Adam with weight decay where the official code has it."""

import torch
from torch import nn

from evopose.models.layers import DepthwiseConv2d
from evopose.training.config import TrainConfig


def make_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimizer, with weight decay on kernels of convolutions, depthwise ones excepted;
    on every parameter if the configuration says so.

    Keras' L2 of 1e-5 on the loss is a weight decay of 2e-5 in torch's Adam.

    Source: official `nets/evopose2d.py` (kernel_regularizer; DepthwiseConv2D ignores it).
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            kernel = name == "weight" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
            fits = kernel and not isinstance(module, DepthwiseConv2d)
            (decayed if fits or config.decay_all else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    make = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return make(groups, lr=config.learning_rate, fused=True)
