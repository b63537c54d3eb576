"""`evopose bench`: how fast a network runs here."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.bars import bar
from evopose.cli.loading import input_option
from evopose.cli.options import JSON, VERBOSE, console, option, print_json, say, table
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.inference.benchmark import Measured, Peak
    from evopose.inference.benchmark.subjects import Subject

MODEL = typer.Argument(
    help="A model file, an exported file, a run folder (its best), RUN:ID, default (the one in the "
    "package), or a name (see `evopose models`), whose weights are random then.",
    show_default=False,
)
SCOPE = (
    "the network alone, from prepared input to heatmaps: no images read, no persons found, no "
    "crops cut, no keypoints decoded"
)


@app.command()
def bench(
    model: str = MODEL,
    batch: str = typer.Option("1,16", help="Images at once; several, with commas."),
    runtime: str | None = option(
        "Measure these alone, with commas: pytorch, pytorch-bf16, onnxruntime, openvino, "
        "openvino-bf16; default: what is installed and makes sense here.",
        metavar="NAMES",
    ),
    threads: int = typer.Option(0, help="CPU threads of each runtime; 0: all CPUs.", min=0),
    seconds: float = typer.Option(3.0, help="Time for each runtime at each batch size."),
    rounds: int = typer.Option(5, help="Turns into which that time is divided.", min=1),
    genotype: str | None = option("Genes of evopose2d, in JSON."),
    input_size: str | None = input_option(),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Measure how fast MODEL runs on this machine's CPU, by every runtime that is installed.

    Measured is the network alone, without crops and decoding. The runtimes take turns, each in a
    process of its own, whose peak of memory is told; their ratios to PyTorch are taken turn by
    turn, and hold where the machine's speed wanders (-v: from the least to the most). Percent are
    of what a product of two float32 matrices of 2048x2048 reaches in the same run. Nothing else
    should run meanwhile.

    Example: evopose bench default --batch 1,16 --threads 2
    """
    from evopose.inference.benchmark import benchmark, choose_engines, contestants, usable_threads
    from evopose.inference.benchmark.subjects import find_subject
    from evopose.search.overrides import parse_size

    screen = console(as_json)
    batches = _whole_numbers(batch)
    names = [name.strip() for name in runtime.split(",")] if runtime else None
    threads = usable_threads(threads)
    with tempfile.TemporaryDirectory(prefix="evopose-bench-") as folder:
        subject = find_subject(
            model,
            Path(folder),
            genotype=genotype,
            input_hw=parse_size(input_size) if input_size else None,
            on_export=lambda: say(screen, f"exporting {model} to ONNX, some seconds"),
        )
        chosen, left_out = choose_engines(subject.file, names)
        _say_what(screen, model, subject, threads, left_out)
        with bar(screen, "measuring") as on_progress:
            measured, peak = benchmark(
                contestants(chosen, subject.file_of, threads=threads),
                batches,
                threads=threads,
                seconds=seconds,
                rounds=rounds,
                on_progress=on_progress,
            )
    if as_json:
        about = {"model": model, "threads": threads, "seconds": seconds, "left_out": left_out}
        print_json(about | _json(subject, measured, peak))
    else:
        _show(screen, subject, measured, peak, verbose=verbose)


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"--batch takes whole numbers with commas, say 1,16; got {text}"
        ) from error


def _say_what(
    screen: Console, model: str, subject: "Subject", threads: int, left_out: dict[str, str]
) -> None:
    from evopose.models.devices import cpu_count, cpu_name
    from evopose.report.text import count, plural

    height, width = subject.card.input_hw
    weights = "; weights are random" if subject.random else ""
    say(
        screen,
        f"network: {model}, {height}x{width}, {count(subject.size.num_parameters)} parameters, "
        f"{count(subject.size.num_macs)} multiply-adds{weights}",
    )
    say(
        screen,
        f"processor: {cpu_name()}, {plural(threads, 'thread')} of {cpu_count()}; {_half_words()}",
    )
    say(screen, f"measured: {SCOPE}")
    for name, reason in left_out.items():
        say(screen, f"left out: {name}: {reason}")


def _half_words() -> str:
    """Return what half precision means on this processor."""
    from evopose.models.devices import bf16_units

    units = bf16_units()
    if units is None:
        return "whether it has bfloat16 is not known here"
    if not units:
        return "no bfloat16 in hardware, so that half precision gains nothing"
    return f"bfloat16 in hardware ({', '.join(units)})"


def _show(
    screen: Console, subject: "Subject", measured: "list[Measured]", peak: "Peak", *, verbose: bool
) -> None:
    for batch in dict.fromkeys(one.batch for one in measured):
        rows = [
            _row(one, _ratios(one, measured), subject, peak, verbose)
            for one in measured
            if one.batch == batch
        ]
        title = "one image at once" if batch == 1 else f"{batch} images at once"
        screen.print(table(rows, title=title, left=("runtime",)))
    for name, words in dict.fromkeys((one.name, one.words) for one in measured):
        say(screen, f"{name}: {words}")
    say(
        screen,
        f"peak: {peak.gflops:.1f} GFLOP/s, a product of two float32 matrices of {peak.size}x"
        f"{peak.size} by {peak.words}",
    )


def _row(
    one: "Measured", ratios: list[float], subject: "Subject", peak: "Peak", verbose: bool
) -> dict[str, str]:
    from evopose.report.text import number, percent

    spread, gflops = one.spread, one.gflops(subject.size.num_macs)
    row = {
        "runtime": one.name,
        "ms": number(spread.median, 3),
        "p10-p90": f"{number(spread.p10, 3)}-{number(spread.p90, 3)}",
        "images/s": number(one.images_per_second, 3),
        "x PyTorch": f"{median(ratios):.2f}" if ratios else "",
        "turns": f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else "",
        "GFLOP/s": number(gflops, 3),
        "of peak": percent(gflops / peak.gflops),
        "memory": f"{one.peak_bytes / 1e6:.0f} MB",
    }
    if not ratios:
        del row["x PyTorch"]
    if not (ratios and verbose):
        del row["turns"]
    return row


def _ratios(one: "Measured", measured: "list[Measured]") -> list[float]:
    """Return how many times as fast as PyTorch it was in each turn; nothing without PyTorch."""
    bases = [b for b in measured if b.name == "pytorch" and b.batch == one.batch]
    return one.times_as_fast_as(bases[0]) if bases else []


def _json(subject: "Subject", measured: "list[Measured]", peak: "Peak") -> dict[str, Any]:
    from evopose.models.devices import bf16_units, cpu_name

    rows = []
    for one in measured:
        gflops, ratios = one.gflops(subject.size.num_macs), _ratios(one, measured)
        rows.append(
            {
                "runtime": one.name,
                "words": one.words,
                "batch": one.batch,
                "milliseconds": asdict(one.spread),
                "images_per_second": one.images_per_second,
                "times_as_fast_as_pytorch": {
                    "median": median(ratios), "least": min(ratios), "most": max(ratios),
                } if ratios else None,
                "gflops": gflops,
                "share_of_peak": gflops / peak.gflops,
                "peak_memory_bytes": one.peak_bytes,
            }
        )  # fmt: skip
    return {
        "measured": SCOPE,
        "input_hw": subject.card.input_hw,
        **asdict(subject.size),
        "random_weights": subject.random,
        "processor": cpu_name(),
        "bf16_units": bf16_units(),
        "peak": asdict(peak),
        "runtimes": rows,
    }
