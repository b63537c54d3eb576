"""TorchScript files: the network as a traced program, for PyTorch's C++ library and phones."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from evopose.export.job import ExportJob, Floats, Run
from evopose.export.network import example_images, exported_network


def write(job: ExportJob, path: Path) -> None:
    """Write the network as a file for `torch.jit.load`, N free.

    The metadata are its extra files, each named as its key.
    """
    network = exported_network(job.model, job.options)
    with _quietly(), torch.no_grad():
        traced = torch.jit.trace(network, (example_images(job.model.card.input_hw),))  # type: ignore[no-untyped-call]
        torch.jit.save(torch.jit.freeze(traced.eval()), path, _extra_files=dict(job.metadata))


def open_run(path: Path, *, threads: int = 0) -> Run:
    """Return PyTorch's run of a file that this process wrote; `threads` are PyTorch's own.

    TorchScript files are programs: one from elsewhere must not be opened.
    """
    with _quietly():
        network = torch.jit.load(path)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def run(images: Floats) -> list[Floats]:
        answer = network(torch.from_numpy(images))
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return [one.numpy() for one in outputs]

    return run


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep PyTorch from warning that TorchScript is no longer developed, and of sizes that become
    constants of a trace, as they shall: the parity check runs the file with other batches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
