"""Networks as files of other runtimes: ONNX, OpenVINO, TorchScript. Importing it loads no torch."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evopose.errors import ConfigError, ModelError
from evopose.export.options import ExportOptions, ExportReport, OksLoss, Parity, RealCrops

if TYPE_CHECKING:
    from evopose.models.modelfile import LoadedModel

__all__ = [
    "EXPORTERS",
    "ExportOptions",
    "ExportReport",
    "Exporter",
    "OksLoss",
    "Parity",
    "RealCrops",
    "export_model",
    "find_exporter",
]

REAL_CROPS = 16
"""How many real crops parity is checked on beside random ones, at most."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """One line of `EXPORTERS`: a module with `write(job, path)`, `open_run(path, threads=)` and,
    where there are more precisions than float32, `set_metadata(path, metadata)`."""

    module: str
    suffix: str
    """Of the file that it writes."""
    beside: tuple[str, ...] = ()
    """Suffixes of files that belong to it."""
    packages: tuple[str, ...] = ()
    """What must be installed, beside what evopose needs anyway."""
    precisions: tuple[str, ...] = ("float32",)

    def named(self, name: str) -> Any:
        """Return what is called `name` in the module."""
        return getattr(import_module(f"evopose.export.{self.module}"), name)


EXPORTERS: dict[str, Exporter] = {
    "onnx": Exporter(module="onnx", suffix=".onnx", precisions=("float32", "half", "int8")),
    "openvino": Exporter(
        module="openvino",
        suffix=".xml",
        beside=(".bin",),
        packages=("openvino",),
        precisions=("float32", "half"),
    ),
    "torchscript": Exporter(module="torchscript", suffix=".torchscript"),
}
"""Format -> how its files are written and run."""


def export_model(
    model: "LoadedModel",
    path: str | Path,
    format: str = "onnx",
    options: ExportOptions | None = None,
    *,
    crops: RealCrops | None = None,
    measure: Callable[[Path], OksLoss] | None = None,
) -> ExportReport:
    """Write a network as a file of another runtime, whole or not at all, and return how near to the
    network it is, run by that runtime.

    Parity is checked on random crops, and on some of `crops` beside them. `int8` is calibrated on
    all of them. `measure` is given a file in fewer bits than float32, ready but for its name, and
    returns what that costs; the file tells it from then on.

    Raises: ModelError for a network that refines poses, a file in float32 that does not do what the
    network does, or one that cannot be written; ConfigError for a format or options that there are
    not, or whose packages are missing, and for int8 without crops.
    """
    path, options = Path(path), options or ExportOptions()
    exporter = find_exporter(format, path, options)
    if options.precision == "int8" and (crops is None or not len(crops.images)):
        raise ConfigError(
            "int8 needs persons to calibrate on: give crops, on the command line --calibrate DATA"
        )
    from evopose.export.checks import check_exportable
    from evopose.export.job import ExportJob
    from evopose.export.metadata import export_metadata
    from evopose.export.parity import check_parity

    begun = time.perf_counter()
    check_exportable(model)
    metadata = export_metadata(model.card, format, options, crops=crops)
    oks = None
    with _workshop(path) as folder:
        made = folder / path.name
        exporter.named("write")(
            ExportJob(model=model, options=options, metadata=metadata, crops=crops), made
        )
        real = None if crops is None else crops.images[:REAL_CROPS]
        parity = check_parity(exporter.named("open_run")(made), model, options, real)
        if measure is not None and options.precision != "float32":
            oks = measure(made)
            metadata = export_metadata(model.card, format, options, crops=crops, oks=oks)
            exporter.named("set_metadata")(made, metadata)
        suffixes = (*exporter.beside, exporter.suffix)
        num_bytes = sum(made.with_suffix(suffix).stat().st_size for suffix in suffixes)
        files = _move(made, path, suffixes)
    return ExportReport(
        path=path,
        format=format,
        precision=options.stored_precision(format),
        options=options,
        num_bytes=num_bytes,
        files=files,
        parity=parity,
        oks=oks,
        seconds=time.perf_counter() - begun,
    )


def find_exporter(format: str, path: Path, options: ExportOptions) -> Exporter:
    """Return what writes such a file.

    Raises: ConfigError where nothing does, its packages are missing, or files of the format are
    called otherwise.
    """
    if format not in EXPORTERS:
        raise ConfigError(f"a format is {', '.join(EXPORTERS)}; got {format!r}")
    exporter = EXPORTERS[format]
    missing = [name for name in exporter.packages if find_spec(name) is None]
    if missing:
        raise ConfigError(f"for {format} files: pip install {' '.join(missing)}")
    if path.suffix != exporter.suffix:
        raise ConfigError(f"{format} files end in {exporter.suffix}; {path} does not")
    if options.precision not in exporter.precisions:
        able = [n for n, one in EXPORTERS.items() if options.precision in one.precisions]
        raise ConfigError(
            f"{format} files are {' or '.join(exporter.precisions)}; {options.precision} is for "
            f"{' and '.join(able)}"
        )
    return exporter


@contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, which goes with what is in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            yield Path(folder)
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror or error}") from error


def _move(made: Path, path: Path, suffixes: Sequence[str]) -> tuple[Path, ...]:
    """Put the files in their place, the one that names the others last; return their places.

    What stood there goes first where there are several, so that a killed move leaves nothing that
    looks whole.
    """
    if len(suffixes) > 1:
        path.unlink(missing_ok=True)
    places = []
    for suffix in suffixes:
        source, place = made.with_suffix(suffix), path.with_suffix(suffix)
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.chmod(0o644)
        source.replace(place)
        places.append(place)
    return tuple(places)
