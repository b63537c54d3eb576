"""Train, but be killed at random moments until it is done: `kill_repeatedly.py FOLDER SEED`.

FOLDER is one of `make_toy`. Each attempt is a fork of this process, so that none spends seconds on
imports. The folder gets `result.pt`, the losses and weights of the attempt that came through, and
`kills.txt`, how often one was killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from evopose.training.compute import make_fabric
from training.toys import COMPUTE, losses, make_config, make_net, open_toy

CONFIG = make_config(epochs=9, checkpoint_seconds=0.0)


def attempt(folder: Path, steps: int) -> None:
    """Train on from the last checkpoint; write a byte to the pipe `steps` at each step."""
    toy, net = open_toy(folder), make_net()
    result = toy.fit(
        net,
        CONFIG,
        checkpoint=folder / "checkpoint.pt",
        on_progress=lambda event: os.write(steps, b"."),
    )
    torch.save({"losses": losses(result), "net": net.state_dict()}, folder / "result.pt")


def main() -> None:
    folder, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    make_fabric(COMPUTE)  # its imports take a second
    kills = 0
    while True:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            attempt(folder, writer)
            os._exit(0)
        os.close(writer)
        seen, wanted = 0, rng.randint(1, 8)
        while seen < wanted and os.read(reader, 1):
            seen += 1
        time.sleep(rng.uniform(0, 0.03))
        os.close(reader)
        finished = seen < wanted
        if not finished:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if finished or os.WIFEXITED(status):
            (folder / "kills.txt").write_text(str(kills))
            sys.exit(os.waitstatus_to_exitcode(status))
        kills += 1


if __name__ == "__main__":
    main()
