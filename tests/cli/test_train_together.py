"""`train --devices N`: several processes, one output, one end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from evopose.cli.launching import cause
from evopose.models.devices import cpu_count
from tiny_runs import write_dots

OPTIONS = [
    "--input", "32x32", "--batch-size", "8", "--epochs", "4", "--device", "cpu", "--threads", "1",
    "--precision", "fp32",
]  # fmt: skip


@pytest.fixture
def data(tmp_path) -> Path:
    return write_dots(tmp_path / "dots", train=19, val=5)


def train(*arguments: object, at: str, then: Callable[[psutil.Process], None]) -> tuple[int, str]:
    """Train in a process of its own, do something to it at a line, return its end and words."""
    command = [sys.executable, "-m", "evopose", "train", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        said = ""
        family = []
        for line in process.stdout:
            said += line
            if line.startswith(at):
                family = psutil.Process(process.pid).children(recursive=True)
                then(psutil.Process(process.pid))
        code = process.wait(timeout=60)
    assert len(family) >= 2, said
    assert not psutil.wait_procs(family, timeout=10)[1], "none is left"
    return code, said


def rank(number: int, launcher: psutil.Process) -> psutil.Process:
    """Return the process of that rank."""
    (found,) = (p for p in launcher.children() if p.environ().get("RANK") == str(number))
    return found


def history(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.skipif(cpu_count() < 2 or sys.platform != "linux", reason="needs two CPUs and Linux")
def test_a_killed_process_and_ctrl_c_end_all_and_one_process_goes_on(evopose, data, tmp_path):
    command, together = ["narrow", data, *OPTIONS], tmp_path / "together"
    two = [*command, "--out", together, "--devices", "2"]
    code, said = train(*two, at="epoch 1:", then=lambda launcher: rank(1, launcher).kill())
    assert code == 1, said
    assert "Traceback" not in said
    assert said.count("device: 2 processes, the first with cpu (") == 1
    assert said.splitlines()[-1] == (
        "evopose: SIGKILL ended process 1 of 2, and so the training; --resume goes on from the "
        "last checkpoint"
    )
    assert {path.name for path in together.iterdir()} == {
        "checkpoint.pt", "config.json", "history.jsonl",
    }  # fmt: skip

    again = [*two, "--resume"]
    code, said = train(
        *again, at="epoch 2:", then=lambda launcher: launcher.send_signal(signal.SIGINT)
    )
    assert code == 130, said
    assert said.splitlines()[-1] == f"go on with: evopose train {' '.join(map(str, again))}"
    assert said.count("stopping; what is done is kept") == 1
    assert "epoch 1:" not in said
    assert "Traceback" not in said

    done = evopose("train", *command, "--out", together, "--resume")
    assert done.code == 0, done.err
    alone = evopose("train", *command, "--out", tmp_path / "alone")
    assert alone.code == 0, alone.err
    assert [row["epoch"] for row in history(together)] == [1, 2, 3, 4]
    for row, expected in zip(history(together), history(tmp_path / "alone"), strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
        assert row["learning_rate"] == expected["learning_rate"]


def test_which_process_ended_them_all():
    assert cause({0: 1, 1: -9, 2: -15}) == (1, -9)
    assert cause({0: -15, 1: 2, 2: 2}) == (1, 2)
    assert cause({0: -15, 1: -15}) == (0, -15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "9999"], "9999 processes need as many devices; this machine has"),
        (["--devices", "none"], "devices must be a number from 1, or all; got 'none'"),
        (["--scale-learning-rate"], "--scale-learning-rate follows from --batch-size"),
        (
            ["--scale-learning-rate", "--batch-size", "8", "--learning-rate", "1"],
            "--scale-learning-rate follows from --batch-size",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(evopose, tmp_path, options, message):
    said = evopose(
        "train", "narrow", "synthetic:20", "--device", "cpu", "--out", tmp_path / "out", *options
    )
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"evopose: {message}")
    assert not (tmp_path / "out").exists()


def test_a_batch_for_fewer_persons_than_processes_is_refused(evopose, monkeypatch, tmp_path):
    for name, value in (
        ("TORCHELASTIC_RUN_ID", "none"), ("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "8"),
        ("LOCAL_WORLD_SIZE", "8"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    options = ["--device", "cpu", "--batch-size", "4", "--out", tmp_path / "out"]
    said = evopose("train", "narrow", "synthetic:20", *options)
    assert said.code == 2
    assert "batches of 4 leave some of 8 processes without any person" in said.err


def test_others_let_the_first_process_tell(evopose, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    for rank, expected in (("0", []), ("1", [5.0])):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert evopose("status", "nothing").err.startswith("evopose: ")
        assert waited == expected


def test_what_a_larger_batch_changes_is_said(evopose, data, tmp_path):
    options = [*OPTIONS, "--epochs", "1", "--batch-size", "16", "--scale-learning-rate"]
    said = evopose("train", "narrow", data, *options, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    line = "learning rate: 0.001, 0.5 times the recipe's, as the batches are; warm-up over 0.016"
    assert line in said.out
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert (written["learning_rate"], written["batch_size"]) == (1e-3, 16)
