"""Networks as files of other runtimes: ONNX, OpenVINO, TorchScript. Importing it loads no torch."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evopose.errors import ConfigError, ModelError
from evopose.export.options import ExportOptions, ExportReport, Parity

if TYPE_CHECKING:
    from evopose.export.job import Crops
    from evopose.models.modelfile import LoadedModel

__all__ = ["EXPORTERS", "ExportOptions", "ExportReport", "Exporter", "Parity", "export_model"]


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """One line of `EXPORTERS`: a module with `write(job, path)` and `open_run(path, threads=)`."""

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
    "onnx": Exporter(module="onnx", suffix=".onnx"),
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
    crops: "Crops | None" = None,
) -> ExportReport:
    """Write a network as a file of another runtime, whole or not at all, and return how near to the
    network it is, run by that runtime.

    `crops` (N, H, W, 3) uint8 RGB are real ones: parity is checked on them beside random ones.

    Raises: ModelError for a network that refines poses, a file in float32 that does not do what the
    network does, or one that cannot be written; ConfigError for a format or options that there are
    not, or whose packages are missing.
    """
    path, options = Path(path), options or ExportOptions()
    exporter = _exporter(format, path, options)
    from evopose.export.checks import check_exportable
    from evopose.export.job import ExportJob
    from evopose.export.metadata import export_metadata
    from evopose.export.parity import check_parity

    begun = time.perf_counter()
    check_exportable(model)
    metadata = export_metadata(model.card, format, options)
    with _workshop(path) as folder:
        made = folder / path.name
        exporter.named("write")(
            ExportJob(model=model, options=options, metadata=metadata, crops=crops), made
        )
        parity = check_parity(exporter.named("open_run")(made), model, options, crops)
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
        seconds=time.perf_counter() - begun,
    )


def _exporter(format: str, path: Path, options: ExportOptions) -> Exporter:
    if format not in EXPORTERS:
        raise ConfigError(f"a format is {', '.join(EXPORTERS)}; got {format!r}")
    exporter = EXPORTERS[format]
    missing = [name for name in exporter.packages if find_spec(name) is None]
    if missing:
        raise ConfigError(f"for {format} files: pip install {' '.join(missing)}")
    if path.suffix != exporter.suffix:
        raise ConfigError(f"{format} files end in {exporter.suffix}; {path} does not")
    if options.precision not in exporter.precisions:
        raise ConfigError(f"{format} files are float32; {options.precision} is for openvino")
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
