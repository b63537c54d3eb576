"""Train toys in the processes that torchrun has started: `train_together.py FOLDER`.

FOLDER is one of `make_toy`, with the checkpoint `begun.pt` of a training by one process. Every
process writes what it got: `RANK.pt` holds, for each of `CONFIGS`, losses and weights; for the
training that went on from `begun.pt`, too. Another, stopped after four steps, leaves `stopped.pt`.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evopose.models.layers import StochasticDepth, batch_norm
from evopose.training.loop import FitResult
from training.toys import COMPUTE, losses, make_config, make_net, open_toy, stop_after

TOGETHER = replace(COMPUTE, processes=2)
CONFIGS = {
    "normed": make_config(warm_averages=True),
    "parts": make_config(loss="mse", accumulate=3, batch_size=7),
    "evopose2d": make_config(),
}
"""Ten persons in batches of four; or of seven in three parts, of which the last has one person:
then one of two processes has none."""
STEPS = 4


class Normed(nn.Module):
    """Batch norms and stochastic depth, and no parameter whose gradient is nothing but rounding.

    The heatmaps of its first stage have no part in losses on the answer alone.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False)
        self.norm = batch_norm(8)
        self.branch = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.branch_norm = batch_norm(8)
        self.early = nn.Conv2d(8, 3, 1, bias=False)
        self.drop = StochasticDepth(0.3)
        self.last = nn.Conv2d(8, 3, 3, padding=1, bias=False)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                nn.init.uniform_(parameter, -0.3, 0.3, generator=generator)

    def forward(self, x: Tensor, every_stage: bool = False) -> Tensor:
        assert not every_stage
        x = self.norm(self.first(x)).relu()
        return self.last(x + self.drop(self.branch_norm(self.branch(x)).relu()))


def network(name: str) -> nn.Module:
    """Return a new network for the configuration of that name."""
    return make_net() if name == "evopose2d" else Normed()


def told(result: FitResult, net: nn.Module) -> dict[str, Any]:
    return {"losses": losses(result), "net": net.state_dict()}


def main() -> None:
    folder, found = Path(sys.argv[1]), {}
    toy = open_toy(folder)
    for name, config in CONFIGS.items():
        net = network(name)
        found[name] = told(toy.fit(net, config, compute=TOGETHER), net)
        assert not any("Shared" in type(module).__name__ for module in net.modules())
    net, config = network("normed"), CONFIGS["normed"]
    begun = folder / "begun.pt"
    found["went on"] = told(toy.fit(net, config, compute=TOGETHER, checkpoint=begun), net)
    rank = int(os.environ["RANK"])
    stop = stop_after(STEPS) if rank == 1 else lambda: False  # one is asked, all stop
    stopped = toy.fit(
        network("normed"), config, compute=TOGETHER, checkpoint=folder / "stopped.pt",
        should_stop=stop,
    )  # fmt: skip
    assert not stopped.finished
    torch.save(found, folder / f"{rank}.pt")


if __name__ == "__main__":
    main()
