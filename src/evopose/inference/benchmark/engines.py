"""What is measured: a network by every runtime, and a product of matrices for comparison.

Contestants are opened in processes of their own: importing this module loads none of the runtimes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evopose.errors import ConfigError
from evopose.inference.benchmark.timing import Call
from evopose.inference.runtimes import (
    RUNTIMES,
    Crops,
    Heatmaps,
    choose_runtime,
    installed_runtimes,
)
from evopose.models.card import ModelCard
from evopose.models.devices import bf16_units

MATRIX = 2048
"""Rows and columns of the matrices whose product is the machine's peak."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is open in its process."""

    words: str
    """What runs: the library, its version, the precision in which it computes."""
    call: Callable[[int], Call]
    """From a number of images to what runs the network once on as many."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One thing to be measured."""

    name: str
    open: Callable[[], Ready]
    """Called in the contestant's process: a function of a module, or a `partial` of one."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One line of `ENGINES`."""

    runtime: str
    """A name in `inference.runtimes.RUNTIMES`."""
    open: Callable[[Path, int], Ready]
    """From a file of that runtime and a number of threads."""
    wants_bf16_units: bool = False
    """Whether it is asked for by name alone where the processor has no bfloat16: slow there."""


class _Model(Protocol):
    """The two halves of a `PoseModel`'s work."""

    @property
    def card(self) -> ModelCard: ...
    @property
    def runtime(self) -> str: ...
    def to_input(self, crops: Crops) -> Any: ...
    def run(self, images: Any) -> Heatmaps: ...


def ready(model: _Model, run: Callable[[Any], object], words: str | None = None) -> Ready:
    """Return a network that is open, run by `run` on random crops as `model` prepares them."""

    def call(batch: int) -> Call:
        rng = np.random.default_rng(0)
        crops = rng.integers(0, 256, (batch, *model.card.input_hw, 3), np.uint8)
        images = model.to_input(crops)
        return lambda: run(images)

    return Ready(words=words or model.runtime, call=call)


def _pytorch(path: Path, threads: int) -> Ready:
    from evopose.inference.runtimes.pytorch import TorchModel
    from evopose.models.modelfile import load_model

    model = TorchModel.of(load_model(path), threads=threads)
    return ready(model, model.run)


def _pytorch_bf16(path: Path, threads: int) -> Ready:
    import torch

    from evopose.inference.runtimes.pytorch import TorchModel
    from evopose.models.modelfile import load_model

    model = TorchModel.of(load_model(path), threads=threads)

    def run(images: Any) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return model.run(images)

    return ready(model, run, model.runtime.replace("float32", "bfloat16 autocast"))


def _onnxruntime(path: Path, threads: int) -> Ready:
    from evopose.inference.runtimes.onnxruntime import OnnxModel

    model = OnnxModel.load(path, threads=threads)
    return ready(model, model.run)


def _openvino(path: Path, threads: int, precision: str | None = None) -> Ready:
    from evopose.inference.runtimes.openvino import OpenVinoModel

    model = OpenVinoModel.load(path, threads=threads, precision=precision)
    return ready(model, model.run)


ENGINES: dict[str, Engine] = {
    "pytorch": Engine(runtime="pytorch", open=_pytorch),
    "pytorch-bf16": Engine(runtime="pytorch", open=_pytorch_bf16, wants_bf16_units=True),
    "onnxruntime": Engine(runtime="onnxruntime", open=_onnxruntime),
    "openvino": Engine(runtime="openvino", open=_openvino),
    "openvino-bf16": Engine(runtime="openvino", open=partial(_openvino, precision="bfloat16")),
}
"""Every way to run a network on the CPU, PyTorch, by which the others are judged, first."""


def choose_engines(file: Path, names: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """Return the engines that run `file`, or those of them that are named; and why the others are
    left out.

    Raises: ConfigError for a name that there is not, that is not installed or cannot run the file.
    """
    if names is not None:
        for name in names:
            if name not in ENGINES:
                raise ConfigError(f"runtimes to measure are {', '.join(ENGINES)}; got {name!r}")
            choose_runtime(file, ENGINES[name].runtime, "cpu")
        return [name for name in ENGINES if name in names], {}
    chosen, left_out = [], {}
    for name, engine in ENGINES.items():
        reason = _unfit(file, name, engine)
        if reason is None:
            chosen.append(name)
        else:
            left_out[name] = reason
    if not chosen:
        raise ConfigError(f"nothing that is installed runs {file}: pip install openvino")
    return chosen, left_out


def _unfit(file: Path, name: str, engine: Engine) -> str | None:
    """Return why an engine is not measured unless it is named."""
    if engine.runtime not in installed_runtimes():
        return f"not installed (pip install {RUNTIMES[engine.runtime].package})"
    try:
        choose_runtime(file, engine.runtime, "cpu")
    except ConfigError as error:
        return str(error)
    if engine.wants_bf16_units and bf16_units() == ():
        return f"the processor has no bfloat16, which would be slow; --runtime {name} insists"
    return None


def contestants(
    names: Sequence[str], file_of: Callable[[str], Path], *, threads: int
) -> list[Contestant]:
    """Return the engines of these names as contestants; `file_of` gives a runtime's file."""
    return [
        Contestant(
            name=name,
            open=partial(ENGINES[name].open, file_of(ENGINES[name].runtime), threads),
        )
        for name in names
    ]


def matrix_products(*, threads: int) -> list[Contestant]:
    """Return the libraries whose float32 product of matrices is timed: the faster is the peak."""
    return [
        Contestant(name="PyTorch", open=partial(_torch_product, threads)),
        Contestant(name="NumPy", open=_numpy_product),
    ]


def _torch_product(threads: int) -> Ready:
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.rand(MATRIX, MATRIX) for _ in range(2))
    out = torch.empty(MATRIX, MATRIX)
    return Ready(
        words=f"pytorch {torch.__version__}", call=lambda _: lambda: torch.mm(a, b, out=out)
    )


def _numpy_product() -> Ready:
    """Its threads are those of the environment."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((MATRIX, MATRIX), np.float32) for _ in range(2))
    out = np.empty_like(a)
    return Ready(words=f"numpy {np.__version__}", call=lambda _: lambda: np.matmul(a, b, out=out))
