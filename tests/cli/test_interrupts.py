"""Ctrl-C: a search stops cleanly, says how to go on, and goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evopose.cli.options import stop_on_ctrl_c
from tiny_runs import FLAGS, INLINE, story

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def interrupted(dots):
    """Run evopose in a process of its own, press Ctrl-C at a line, and return what it said."""

    def run(*arguments, at):
        command = [sys.executable, str(DRIVER), *map(str, arguments)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as process:  # fmt: skip
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith(at):
                    process.send_signal(signal.SIGINT)
            return process.wait(timeout=60), lines

    return run


@pytest.mark.usefixtures("quick")
def test_a_search_that_is_interrupted_goes_on_where_it_was(
    interrupted, evopose, dots, finished_run, tmp_path
):
    run = tmp_path / "run"
    worker = ["--workers", "1", "--threads", "1"]
    command = ["evolve", dots, *FLAGS, *worker, "--run", run, "--generations", "50"]
    code, lines = interrupted(*command, at="generation 1:")
    assert code == 130, lines
    assert "stopping; what is done is kept (Ctrl-C again stops at once)" in lines
    assert "ended: it was stopped" in lines
    again = f"evopose evolve {dots} --run {run} --resume --workers 1 --threads 1"
    assert lines[-1] == f"go on with: {again}"
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "Traceback" not in text
    assert (run / "report.html").is_file()

    status = evopose("status", run)
    assert status.out.startswith("interrupted (it was stopped)")
    assert lines[-1] in status.out.splitlines()
    assert lines[-1] in evopose("watch", "--once", run).out.splitlines()

    on = evopose("evolve", dots, "--run", run, "--resume", "--generations", "2", *INLINE)
    assert on.code == 0, on.err
    assert story(run) == story(finished_run)
    assert "generation 0:" not in on.out  # what was done is not done again
    # The best so far is remembered, and so are parents.
    assert "of    ?" not in on.out


def test_a_training_that_is_interrupted_says_the_whole_command(
    interrupted, evopose, dots, tmp_path
):
    command = [
        "train", "narrow", dots, "--input", "32x32", "--epochs", "12", "--batch-size", "8",
        "--threads", "1", "--precision", "fp32", "--out", tmp_path / "out",
    ]  # fmt: skip
    code, lines = interrupted(*command, "--json", at="epoch 1:")
    if code == 0:
        pytest.skip("it was too quick to be interrupted")
    assert code == 130, lines
    assert lines[-1] == f"go on with: evopose {' '.join(map(str, command))} --json --resume"
    assert not (tmp_path / "out" / "model.safetensors").exists()
    done = evopose(*command, "--resume")
    assert done.code == 0
    assert "epoch 1:" not in done.out
    undisturbed = evopose(*command[:-1], tmp_path / "undisturbed")
    assert undisturbed.code == 0
    from safetensors.numpy import load_file

    one, other = (
        load_file(tmp_path / name / "model.safetensors") for name in ("out", "undisturbed")
    )
    assert all((one[name] == other[name]).all() for name in other)


def test_the_first_ctrl_c_asks_and_the_second_insists(capsys):
    before = signal.getsignal(signal.SIGINT)
    with stop_on_ctrl_c() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        assert "Ctrl-C again stops at once" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before
