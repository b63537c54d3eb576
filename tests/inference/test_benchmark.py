"""Benchmarks: contestants of known speed are told apart, in turns; engines compute what they time;
what cannot be measured is named."""

import statistics
import time

import numpy as np
import pytest
import torch

from evopose.errors import ConfigError, MeasurementFailed, ModelError
from evopose.inference import benchmark as benchmark_package
from evopose.inference.benchmark import (
    ENGINES,
    Measured,
    Spread,
    benchmark,
    choose_engines,
    engines,
    timed_calls,
)
from evopose.inference.benchmark.subjects import find_subject
from evopose.models import devices
from evopose.models.modelfile import load_model
from evopose.models.pixels import normalise
from toy_contestants import faulty, hoarder, sleeper, threads_told

TINY = "[[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,1]]"


@pytest.fixture
def no_products(monkeypatch):
    """The machine's peak is a sleeper's: 50 ms."""
    monkeypatch.setattr(benchmark_package, "matrix_products", lambda threads: [sleeper("mm", 50)])


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subject")
    return find_subject("evopose2d", folder, genotype=TINY, input_hw=(64, 64))


def test_calls_are_timed_but_for_those_that_warm_up():
    naps = iter([0.05, 0.05, 0.002, 0.004, 0.006])
    times = timed_calls(lambda: time.sleep(next(naps)), seconds=0, warm_up=2, least=3)
    assert len(times) == 3
    assert all(slept <= took < slept + 30 for slept, took in zip((2, 4, 6), times, strict=True))
    assert len(timed_calls(lambda: None, seconds=60, warm_up=0, least=1, most=9)) == 9
    assert 3 <= len(timed_calls(lambda: time.sleep(0.01), seconds=0.1, warm_up=0, least=1)) <= 10


def test_the_spread_is_that_of_the_standard_library():
    times = np.random.default_rng(0).exponential(size=101).tolist()
    deciles = statistics.quantiles(times, n=10, method="inclusive")
    found = Spread.of(times)
    assert (found.p10, found.median, found.p90) == pytest.approx(
        (deciles[0], statistics.median(times), deciles[8])
    )
    assert found.calls == 101


def test_figures_of_a_measurement():
    fast = Measured(name="a", words="", batch=4, rounds=((10.0, 10.0), (20.0, 20.0)), peak_bytes=0)
    slow = Measured(
        name="b", words="", batch=4, rounds=((30.0, 32.0, 99.0), (50.0, 50.0)), peak_bytes=0
    )
    assert fast.images_per_second == pytest.approx(4 / 0.015)
    assert fast.gflops(10**9) == pytest.approx(2 * 4 / 0.015)
    assert fast.times_as_fast_as(slow) == pytest.approx([3.2, 2.5])


def test_sleepers_take_turns_and_are_told_apart(no_products, tmp_path):
    log = tmp_path / "log"
    field = [sleeper("slow", 8, log), sleeper("quick", 2, log)]
    told = []
    measured, peak = benchmark(
        field, [1, 3], threads=1, seconds=0.09, rounds=3, on_progress=lambda *at: told.append(at)
    )
    assert log.read_text().split() == ["slow/1", "quick/1", "slow/3", "quick/3"] * 3
    assert [(m.name, m.batch) for m in measured] == [
        ("slow", 1), ("quick", 1), ("slow", 3), ("quick", 3)
    ]  # fmt: skip
    for one in measured:
        each = (8 if one.name == "slow" else 2) * one.batch
        assert len(one.rounds) == 3
        assert min(map(min, one.rounds)) >= each
        assert one.spread.p10 < each + 12  # a busy machine oversleeps
    assert max(measured[1].times_as_fast_as(measured[0])) > 1
    assert peak.gflops <= 2 * peak.size**3 / 0.050 / 1e9
    assert told == [(done, told[0][1]) for done in range(told[0][1])]


def test_each_process_has_its_own_memory_and_its_threads(no_products):
    ballast = np.ones(300 << 20, np.uint8)  # of this process, which no child shall be charged with
    measured, _ = benchmark([hoarder(200), threads_told()], [1], threads=1, seconds=0.01, rounds=1)
    by_name = {one.name: one for one in measured}
    assert by_name["told"].words == "1"
    extra = by_name["hoarder"].peak_bytes - by_name["told"].peak_bytes
    assert 190 << 20 < extra < 240 << 20
    assert by_name["told"].peak_bytes < ballast.nbytes


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("model", ModelError, "no such layer"),
        ("defect", MeasurementFailed, r"faulty-defect failed to be opened: .*ZeroDivisionError"),
        ("exit", MeasurementFailed, "faulty-exit ended with code 7 where it was at batch 1"),
        ("kill", MeasurementFailed, "by signal 9 .*out of memory, most likely"),
    ],
)
def test_faults_are_told(no_products, fault, error, message):
    with pytest.raises(error, match=message):
        benchmark([faulty(fault)], [1], threads=1, seconds=0.01, rounds=1)


@pytest.mark.parametrize(
    ("batches", "options", "message"),
    [
        ([], {}, "batch sizes"),
        ([0], {}, "batch sizes"),
        ([2, 2], {}, "each once"),
        ([1], {"threads": 10_000}, "threads are 1 to"),
        ([1], {"threads": -1}, "threads are 1 to"),
        ([1], {"seconds": 0}, "seconds are above 0"),
        ([1], {"rounds": 0}, "rounds 1 or more"),
    ],
)
def test_numbers_that_cannot_be(batches, options, message):
    with pytest.raises(ConfigError, match=message):
        benchmark([], batches, **options)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_compute_what_the_network_does(subject, name):
    engine = ENGINES[name]
    if engine.runtime == "openvino":
        pytest.importorskip("openvino")
    before = torch.get_num_threads()
    try:
        ready = engine.open(subject.file_of(engine.runtime), 1)
        got = ready.call(2)()
    finally:
        torch.set_num_threads(before)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    net, card = load_model(subject.file)
    with torch.inference_mode():
        expected = net(normalise(crops, torch.device("cpu"), card.input)).numpy()
    near = 0.1 if "bf16" in name else 1e-4
    assert np.abs(got - expected).max() <= near * np.ptp(expected)
    assert got.dtype == np.float32
    assert engine.runtime in ready.words


def test_a_precision_that_the_processor_lacks_is_not_claimed(subject):
    pytest.importorskip("openvino")
    words = ENGINES["openvino-bf16"].open(subject.file_of("openvino"), 1).words
    assert "bfloat16" in words
    assert ("computed in float32" in words) == (not devices.bf16_units())


def test_what_is_measured_by_default(subject, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "bf16_units", lambda: ())
    monkeypatch.setattr(engines, "installed_runtimes", lambda: ["onnxruntime", "pytorch"])
    names, left_out = choose_engines(subject.file, None)
    assert names == ["pytorch", "onnxruntime"]
    assert left_out["openvino"] == "not installed (pip install openvino)"
    assert "has no bfloat16" in left_out["pytorch-bf16"]
    assert names + list(left_out) == ["pytorch", "onnxruntime", "pytorch-bf16", "openvino",
                                      "openvino-bf16"]  # fmt: skip
    monkeypatch.setattr(engines, "bf16_units", lambda: ("avx512_bf16",))
    assert choose_engines(subject.file, None)[0] == ["pytorch", "pytorch-bf16", "onnxruntime"]
    names, left_out = choose_engines(tmp_path / "a.onnx", None)
    assert names == ["onnxruntime"]
    assert "run by onnxruntime or openvino, not by pytorch" in left_out["pytorch"]
    with pytest.raises(ConfigError, match=r"nothing that is installed runs .*pip install openvino"):
        choose_engines(tmp_path / "a.xml", None)


def test_what_is_asked_for_must_be_there(subject, tmp_path, monkeypatch):
    assert choose_engines(subject.file, ["onnxruntime", "pytorch"]) == (
        ["pytorch", "onnxruntime"], {}
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"runtimes to measure are pytorch, .*got 'tensorrt'"):
        choose_engines(subject.file, ["tensorrt"])
    with pytest.raises(ConfigError, match="not by pytorch"):
        choose_engines(tmp_path / "a.onnx", ["pytorch-bf16"])
    monkeypatch.setattr("evopose.inference.runtimes.installed_runtimes", lambda: ["pytorch"])
    with pytest.raises(ConfigError, match="openvino is not installed: pip install openvino"):
        choose_engines(subject.file, ["openvino-bf16"])


def test_subjects(subject, tmp_path):
    assert subject.random
    found = find_subject(str(subject.file), tmp_path)
    assert not found.random
    assert (found.card, found.size) == (subject.card, subject.size)
    exported = find_subject(str(subject.file_of("onnxruntime")), tmp_path)
    assert exported.card == subject.card
    assert exported.file_of("onnxruntime") == exported.file_of("openvino") == exported.file
    published = find_subject("evopose2d-xs-256x192", tmp_path)
    assert published.size.num_parameters == 2_531_199  # of the official network under Keras
    with pytest.raises(ModelError, match="mends poses"):
        find_subject("posefix-r50", tmp_path)
    with pytest.raises(ConfigError, match="given for a name only"):
        find_subject("default", tmp_path, input_hw=(64, 64))


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("flags\t: fpu avx512_bf16 amx_bf16\nflags\t: fpu avx512_bf16 amx_bf16", 2),
        ("flags\t: fpu avx512bw avx512_fp16", 0),
        ("Features\t: fp asimd i8mm bf16", 1),
    ],
)
def test_units_of_bfloat16(tmp_path, monkeypatch, info, expected):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(devices, "_CPU_INFO", path)
    assert devices.bf16_units() is None
    path.write_text(info)
    assert len(devices.bf16_units()) == expected
