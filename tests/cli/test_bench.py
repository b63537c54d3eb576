"""`evopose bench`: what it says, as a table and as JSON."""

import pytest

from evopose.inference import benchmark as benchmark_package
from evopose.inference.benchmark.subjects import find_subject
from toy_contestants import sleeper

TINY = "[[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,1]]"
QUICK = ("--threads", 1, "--seconds", 0.02, "--rounds", 2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    subject = find_subject("evopose2d", folder, genotype=TINY, input_hw=(64, 64))
    return subject.file_of("onnxruntime")


@pytest.fixture(autouse=True)
def no_products(monkeypatch):
    monkeypatch.setattr(benchmark_package, "matrix_products", lambda threads: [sleeper("mm", 5)])


def test_an_exported_file_as_json(evopose, exported):
    said = evopose(
        "bench", exported, "--runtime", "onnxruntime", "--batch", "1,2", *QUICK, "--json"
    )
    assert said.code == 0, said.err
    value = said.json
    assert value["input_hw"] == [64, 64]
    assert [(one["runtime"], one["batch"]) for one in value["runtimes"]] == [
        ("onnxruntime", 1), ("onnxruntime", 2)
    ]  # fmt: skip
    for one in value["runtimes"]:
        at = one["milliseconds"]
        assert 0 < at["p10"] <= at["median"] <= at["p90"]
        assert at["calls"] >= 4
        rate = 1000 * one["batch"] / at["median"]
        assert one["images_per_second"] == pytest.approx(rate)
        assert one["gflops"] == pytest.approx(2 * value["num_macs"] * rate / 1e9)
        assert one["share_of_peak"] == pytest.approx(one["gflops"] / value["peak"]["gflops"])
        assert 20e6 < one["peak_memory_bytes"] < 1e9
        assert one["times_as_fast_as_pytorch"] is None
    assert "the network alone" in value["measured"]
    assert "network: " in said.err


def test_a_table_with_pytorch_in_it(evopose):
    said = evopose(
        "bench", "evopose2d", "--genotype", TINY, "--input", "64x64", "--runtime",
        "pytorch,onnxruntime", "--batch", 1, *QUICK, "-v",
    )  # fmt: skip
    assert said.code == 0, said.err
    rows = [line.split() for line in said.out.splitlines()]
    heading = next(row for row in rows if row[:1] == ["runtime"])
    assert "images/s" in heading
    base = next(row for row in rows if row[:1] == ["pytorch"])
    assert base[4:6] == ["1.00", "1.00-1.00"]
    assert any(row[:1] == ["onnxruntime"] for row in rows)
    assert "weights are random" in said.out
    assert "no crops cut" in " ".join(said.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "1,x"], "whole numbers with commas"),
        (["--batch", "0"], "batch sizes are whole numbers from 1"),
        (["--runtime", "tensorrt"], "got 'tensorrt'"),
        (["--runtime", "pytorch"], "not by pytorch"),
        (["--threads", "9999"], "threads are 1 to"),
        (["--input", "64x64"], "given for a name only"),
        (["--seconds", "0"], "seconds are above 0"),
    ],
)
def test_mistakes(evopose, exported, arguments, message):
    said = evopose("bench", exported, *arguments)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
