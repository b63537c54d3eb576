"""`benchmarks/runtimes.py` and `benchmarks/end_to_end.py`: what they judge and how they time."""

import importlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evopose.drawing import write_image
from evopose.inference.benchmark import Measured
from evopose.inference.benchmark.subjects import find_subject
from evopose.inference.boxes import Boxes
from evopose.inference.estimator import PoseEstimator
from tiny_runs import as_before

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks"
TINY = "[[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,1]]"
BOXES = Boxes(xyxy=np.array([[10.0, 10, 60, 110], [70, 20, 120, 100]]), scores=np.ones(2))


@pytest.fixture
def script(monkeypatch):
    """Return a benchmark's module by its name."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def measured(name: str, milliseconds: float) -> Measured:
    rounds = ((milliseconds,), (2 * milliseconds,))  # the machine slowed down, for all alike
    return Measured(name=name, words="", batch=1, rounds=rounds, peak_bytes=0)


@pytest.mark.parametrize(
    ("onnx_ms", "bf16_ms", "units", "starts", "reached"),
    [
        (20, 10, ("avx512_bf16",), ["reached", "reached"], True),
        (20, 11, ("avx512_bf16",), ["MISSED", "reached"], False),
        (21, 10, None, ["reached", "MISSED"], False),
        (20, 10, (), ["NOT SHOWN", "reached"], False),
        (20, None, ("avx512_bf16",), ["NOT SHOWN", "reached"], False),
    ],
)
def test_ratios_are_judged(script, onnx_ms, bf16_ms, units, starts, reached):
    field = [measured("plain", 30), measured("onnxruntime", onnx_ms)]
    if bf16_ms:
        field.append(measured("openvino-bf16", bf16_ms))
    lines, all_reached = script("runtimes").judge(field, units)
    assert all_reached is reached
    assert [line.partition(":")[0] for line in lines] == starts
    assert ("this processor has no bfloat16" in lines[0]) == (units == ())


def test_the_plain_form_is_the_network(script, tmp_path):
    subject = find_subject("evopose2d", tmp_path, genotype=TINY, input_hw=(64, 64))
    with as_before():
        heatmaps = script("runtimes").open_plain(subject.file, 1).call(2)()
        assert script("train_step").check_equal((64, 64)) < 1e-4
    assert heatmaps.shape[:2] == (2, 17)


def test_a_stage_is_timed_without_those_inside_it(script):
    now = [0.0]
    watch = script("end_to_end").Stopwatch(lambda: now[0])

    def work(seconds):
        now[0] += seconds

    inner = watch.timed("inner", work)
    with watch.stage("outer"):
        work(1)
        inner(2)
        with watch.stage("middle"):
            work(4)
            inner(8)
        work(16)
    assert dict(watch.spent) == {"inner": 10, "middle": 4, "outer": 17}


@dataclass(frozen=True)
class Finder:
    """A detector that naps before, in and after its network."""

    run: Any

    def __call__(self, image):
        time.sleep(0.02)
        self.run(image)
        time.sleep(0.01)
        return BOXES


def test_stages_of_an_estimator(script, tmp_path):
    module = script("end_to_end")
    subject = find_subject("evopose2d", tmp_path, genotype=TINY, input_hw=(64, 64))
    estimator = PoseEstimator.load(
        subject.file_of("onnxruntime"), detector=Finder(lambda _: time.sleep(0.04)),
        runtime="onnxruntime", threads=1,
    )  # fmt: skip
    photo = tmp_path / "photo.jpg"
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    write_image(photo, image)
    before = estimator(photo)
    begun = time.perf_counter()
    found = module.time_round(estimator, photo, tmp_path / "drawn.png", time.perf_counter)
    took = time.perf_counter() - begun
    assert set(found) == {*module.STAGES, module.WRITING}
    assert min(found.values()) > 0
    for stage, slept in (("before", 0.02), ("network", 0.04), ("after", 0.01)):
        assert slept <= found[f"detection: {stage}"] < slept + 0.1
    assert 0.5 * took < sum(found.values()) <= took
    assert (tmp_path / "drawn.png").is_file()
    again = estimator(photo)  # nothing stays replaced
    np.testing.assert_array_equal(again.keypoints, before.keypoints)
    plain = replace(estimator, pipeline=replace(estimator.pipeline, flip_test=False))
    without = module.time_round(plain, photo, tmp_path / "drawn.png", time.perf_counter)
    assert set(module.STAGES) - set(without) == {"flip test"}
    inside = found["detection: network"] + found["poses: network"]
    whole = sum(found.values()) - found[module.WRITING]
    assert module.share_beside(found) == pytest.approx(1 - inside / whole)
