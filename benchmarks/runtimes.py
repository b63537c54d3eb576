"""How many times as fast as plain PyTorch the runtimes run EvoPose2D-S: bfloat16 by OpenVINO is to
reach 3, ONNX Runtime 1.5, at 256x192, one image at once.

The plain form is what a straight translation of the official network gives (benchmarks/
train_step.py): NCHW, float32, eager, TensorFlow's padding by padding and slicing. `pytorch` is how
evopose runs it. Weights are random. It is measured as `evopose bench` does: every contestant in a
process of its own, all in turns; ratios are taken turn by turn, and their median counts.

    python benchmarks/runtimes.py                                   # two minutes
    python benchmarks/runtimes.py --seconds 1 --rounds 3 --batch 1

Exits 1 unless both ratios are reached. Without bfloat16 in the processor OpenVINO computes float32,
and the first cannot be shown: then this is said, and counts as not reached.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

from evopose.inference.benchmark import (
    Contestant,
    Measured,
    Ready,
    benchmark,
    choose_engines,
    contestants,
    usable_threads,
)
from evopose.inference.benchmark.subjects import find_subject
from evopose.models.devices import bf16_units, cpu_name
from evopose.models.modelfile import load_model
from train_step import Plain

MODEL = "evopose2d-s-256x192"
GOALS = {"openvino-bf16": 3.0, "onnxruntime": 1.5}
"""Engine -> how many times as fast as the plain form it is to be, one image at once."""


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--model", default=MODEL, help="an EvoPose2D by name")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    threads = usable_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        subject = find_subject(args.model, Path(folder))
        names, left_out = choose_engines(subject.file, None)
        plain = Contestant(name="plain", open=partial(open_plain, subject.file, threads))
        field = [plain, *contestants(names, subject.file_of, threads=threads)]
        measured, peak = benchmark(
            field, args.batch, threads=threads, seconds=args.seconds, rounds=args.rounds
        )
    print(f"{args.model}, {cpu_name()}, {threads} threads")
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    print("batch  runtime           ms    p10-p90       images/s  x plain  (turns)     of peak")
    for one in measured:
        ratios = one.times_as_fast_as(plain_of(one, measured))
        at, share = one.spread, one.gflops(subject.size.num_macs) / peak.gflops
        print(
            f"{one.batch:5}  {one.name:13} {at.median:7.1f}  {at.p10:6.1f}-{at.p90:6.1f}"
            f"  {one.images_per_second:8.1f}  {median(ratios):7.2f}"
            f"  {min(ratios):.2f}-{max(ratios):.2f}  {share:8.0%}"
        )
    for name, words in dict.fromkeys((one.name, one.words) for one in measured):
        print(f"{name}: {words}")
    print(f"peak: {peak.gflops:.1f} GFLOP/s, float32 product of matrices by {peak.words}")
    lines, reached = judge(measured, bf16_units())
    print("\n".join(lines))
    sys.exit(0 if reached else 1)


def open_plain(path: Path, threads: int) -> Ready:
    """Return the plain form of a model file's EvoPose2D; memory is kept as the allocator likes."""
    torch.set_num_threads(threads)
    net, card = load_model(path)
    plain = Plain(net).eval()

    def call(batch: int):
        images = torch.randn(batch, 3, *card.input_hw)

        @torch.inference_mode()
        def run() -> torch.Tensor:
            return plain(images)

        return run

    return Ready(words=f"pytorch {torch.__version__}, float32, NCHW, the plain form", call=call)


def plain_of(one: Measured, measured: Sequence[Measured]) -> Measured:
    """Return the plain form at the batch size of a contestant."""
    return next(p for p in measured if (p.name, p.batch) == ("plain", one.batch))


def judge(measured: Sequence[Measured], units: tuple[str, ...] | None) -> tuple[list[str], bool]:
    """Return what is to be said of the goals, and whether all are reached."""
    lines, reached = [], []
    for name, goal in GOALS.items():
        found = [one for one in measured if (one.name, one.batch) == (name, 1)]
        wanted = f"{name}, one image at once, at least {goal:g} times the plain form"
        if not found:
            lines.append(f"NOT SHOWN: {wanted}: it was not measured")
            reached.append(False)
            continue
        ratio = median(found[0].times_as_fast_as(plain_of(found[0], measured)))
        if name.endswith("bf16") and units == ():
            lines.append(
                f"NOT SHOWN: {wanted}: this processor has no bfloat16, so that OpenVINO computes "
                f"float32, {ratio:.2f} times"
            )
            reached.append(False)
            continue
        reached.append(ratio >= goal)
        lines.append(f"{'reached' if reached[-1] else 'MISSED'}: {wanted}: {ratio:.2f} times")
    return lines, all(reached)


if __name__ == "__main__":
    main()
