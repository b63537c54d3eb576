"""What `evopose export` does with --calibrate DATA, and what it tells in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from evopose.cli.bars import bar
from evopose.cli.live import DataDisplay
from evopose.cli.options import say
from evopose.data.layouts import open_dataset
from evopose.errors import ConfigError
from evopose.export import ExportReport, OksLoss, RealCrops

if TYPE_CHECKING:
    from evopose.models.modelfile import LoadedModel

RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}
"""What runs the files of a format while they are measured."""


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """What `export_model` is given of the data; without data, nothing."""

    crops: RealCrops | None = None
    measure: Callable[[Path], OksLoss] | None = None


def open_data(
    screen: Console,
    data: str | None,
    annotations: str | None,
    model: "LoadedModel",
    *,
    format: str,
    precision: str,
    seed: int,
    threads: int,
) -> Measuring:
    """Return persons of the data's train split, and what measures a file on its val split.

    Raises: ConfigError where data is missing or of no use; DataError as `open_dataset`; ModelError
    if the model's keypoints are not the data's.
    """
    if data is None:
        if precision == "int8":
            raise ConfigError(
                "--int8 needs persons to calibrate on: give --calibrate DATA, a dataset of the "
                "model's keypoints"
            )
        if annotations is not None:
            raise ConfigError("--annotations is for --calibrate DATA")
        return Measuring()
    if precision == "float32":
        raise ConfigError(
            "--calibrate is for --int8 and --half: a file in float32 does what the network does"
        )
    from evopose.evaluation.exported import oks_loss, real_crops
    from evopose.inference.runtimes import open_pose_model
    from evopose.inference.runtimes.pytorch import TorchModel

    show = DataDisplay(screen)
    opened = open_dataset(data, annotations=annotations, only=("train", "val"), on_progress=show)
    name = Path(data).name or data
    crops = real_crops(opened.train, model.card, data=name, seed=seed, on_progress=show)
    verb = "calibrated" if precision == "int8" else "checked"
    say(screen, f"{verb} on {crops.source}")
    val = opened.val

    def measure(path: Path) -> OksLoss:
        exported = open_pose_model(path, runtime=RUNTIMES[format], threads=threads)
        reference = TorchModel.of(model, threads=threads)
        with bar(screen, "measuring mean OKS") as on_progress:
            return oks_loss(reference, exported, val, data=name, on_progress=on_progress)

    return Measuring(crops=crops, measure=measure)


def tell_report(screen: Console, report: ExportReport) -> None:
    """Tell a person what was written, and how near to the network it is."""
    parity, oks = report.parity, report.oks
    say(
        screen,
        f"parity: heatmaps within {parity.heatmap_difference:.1e} of their range, keypoints within "
        f"{parity.keypoint_difference:.1e} pixels of the crop, on {parity.crops} crops",
    )
    if oks is not None:
        say(
            screen,
            f"mean OKS: {oks.mean_oks:.4f}, in float32 {oks.mean_oks_float32:.4f}: loses "
            f"{oks.loss:.4f} +- {oks.standard_error:.4f} (standard error), on {oks.persons:,} "
            f"persons of {oks.data}, {oks.split}, by {oks.runtime}",
        )
    elif report.options.precision != "float32":
        say(
            screen,
            f"what it loses of mean OKS was not measured: give --calibrate DATA, or see evopose "
            f"evaluate {report.path} DATA",
        )
    say(
        screen,
        f"wrote {report.path}, {report.precision}, {report.num_bytes / 1e6:.1f} MB, in "
        f"{report.seconds:.1f} s",
        exact=True,
    )
