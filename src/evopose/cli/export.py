"""`evopose export`: a network as a file of another runtime."""

from pathlib import Path

import typer

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, annotation_option, console, option, print_json
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
        False,
        "--half",
        help="For onnx and openvino: weights in 16 bits; OpenVINO computes in bfloat16 if it can.",
    ),
    int8: bool = typer.Option(
        False, "--int8", help="For onnx: computed in 8 bits, all but its end; needs --calibrate."
    ),
    calibrate: str = option(
        "Labelled persons of the model's keypoints: int8 is calibrated on some of its train split, "
        "and what --int8 or --half loses of mean OKS is measured on its val split.",
        None,
        "--calibrate",
        metavar="DATA",
    ),
    annotations: str = annotation_option(),
    seed: int = typer.Option(0, help="Chooses the persons to calibrate on."),
    decode: bool = typer.Option(
        False, "--decode", help="Let the file give keypoints, too: x, y in crop pixels, score."
    ),
    no_normalise: bool = typer.Option(
        False,
        "--no-normalise",
        help="Let it take normalised input; else it takes RGB pixels from 0 to 255.",
    ),
    threads: int = option("CPU threads of that measurement; default all."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Write MODEL as a file of ONNX Runtime, OpenVINO or TorchScript.

    The file takes images (N, 3, H, W), N free, and gives heatmaps (N, K, h, w). It is run before it
    gets its name, and must do what the network does: within 1e-4 of the heatmaps' range and 0.1
    pixels of the crop. It carries all that is known of the model, so that `evopose predict` and
    `evopose evaluate` take ONNX and OpenVINO files as they take the model, without PyTorch.

    With --int8 or --half it is another network, if a near one: what it loses of mean OKS is
    measured where there is data, told, and written into the file.

    Examples:

    evopose export default --format onnx --out pose.onnx

    evopose export default --int8 --calibrate people/ --out small.onnx
    """
    from evopose.cli.export_measured import open_data, tell_report
    from evopose.evolution.database import errors_of
    from evopose.export import EXPORTERS, ExportOptions, export_model, find_exporter
    from evopose.inference.model_files import require_model_file
    from evopose.models.modelfile import load_model

    screen = console(as_json)
    if half and int8:
        raise ConfigError("--half and --int8 are two precisions; give one")
    precision = "half" if half else "int8" if int8 else "float32"
    options = ExportOptions(precision=precision, normalise=not no_normalise, decode=decode)
    file = require_model_file(model)
    if format not in EXPORTERS:
        raise ConfigError(f"--format is {', '.join(EXPORTERS)}; got {format!r}")
    named = Path(model) if file == Path(model) else Path(Path(model).name.replace(":", "-"))
    target = out or named.with_suffix(EXPORTERS[format].suffix)
    find_exporter(format, target, options)
    loaded = load_model(file)
    data = open_data(
        screen,
        calibrate,
        annotations,
        loaded,
        format=format,
        precision=precision,
        seed=seed,
        threads=threads or 0,
    )
    with errors_of(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        report = export_model(
            loaded, target, format, options, crops=data.crops, measure=data.measure
        )
    if as_json:
        print_json(report.to_json())
    else:
        tell_report(screen, report)
