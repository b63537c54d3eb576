"""`evopose export`: a network as a file of another runtime."""

from pathlib import Path

import typer

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, console, option, print_json, say
from evopose.errors import ConfigError

MODEL = typer.Argument(
    help="A model file, a run folder (its best), RUN:ID, or default (the one in the package).",
    show_default=False,
)


@app.command()
def export(
    model: str = MODEL,
    format: str = typer.Option("onnx", help="onnx, openvino or torchscript."),
    out: Path = option(
        "File to write; default: called as the model, beside its file, else in this folder."
    ),
    half: bool = typer.Option(
        False, "--half", help="For openvino: weights in 16 bits, computed in bfloat16 if it can."
    ),
    decode: bool = typer.Option(
        False, "--decode", help="Let the file give keypoints, too: x, y in crop pixels, score."
    ),
    no_normalise: bool = typer.Option(
        False,
        "--no-normalise",
        help="Let it take normalised input; else it takes RGB pixels from 0 to 255.",
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Write MODEL as a file of ONNX Runtime, OpenVINO or TorchScript.

    The file takes images (N, 3, H, W), N free, and gives heatmaps (N, K, h, w). It is run before it
    gets its name, and must do what the network does: within 1e-4 of the heatmaps' range and 0.1
    pixels of the crop. It carries all that is known of the model, so that `evopose predict` and
    `evopose evaluate` take ONNX and OpenVINO files as they take the model, without PyTorch.

    Example: evopose export default --format onnx --out pose.onnx
    """
    from evopose.evolution.database import errors_of
    from evopose.export import EXPORTERS, ExportOptions, export_model
    from evopose.inference.model_files import require_model_file
    from evopose.models.modelfile import load_model

    screen = console(as_json)
    file = require_model_file(model)
    options = ExportOptions(
        precision="half" if half else "float32", normalise=not no_normalise, decode=decode
    )
    if format not in EXPORTERS:
        raise ConfigError(f"--format is {', '.join(EXPORTERS)}; got {format!r}")
    named = Path(model) if file == Path(model) else Path(Path(model).name.replace(":", "-"))
    target = out or named.with_suffix(EXPORTERS[format].suffix)
    with errors_of(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        report = export_model(load_model(file), target, format, options)
    if as_json:
        print_json(report.to_json())
        return
    parity = report.parity
    say(
        screen,
        f"parity: heatmaps within {parity.heatmap_difference:.1e} of their range, keypoints within "
        f"{parity.keypoint_difference:.1e} pixels of the crop, on {parity.crops} crops",
    )
    say(
        screen,
        f"wrote {report.path}, {report.precision}, {report.num_bytes / 1e6:.1f} MB, in "
        f"{report.seconds:.1f} s",
        exact=True,
    )
