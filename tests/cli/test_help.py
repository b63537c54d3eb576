"""The help of every verb, as kept in tests/golden/help, and how quickly it comes."""

import os
import subprocess
import sys

import pytest

from evopose import __version__
from goldens import check_golden

VERBS = (
    "", "evolve", "train", "evaluate", "predict", "import", "status", "watch", "report", "compare",
    "space", "models", "export", "doctor", "bench",
)  # fmt: skip


def run(*arguments, code=None):
    """Run evopose in a process of its own, as on a terminal of 80 columns without colours."""
    environment = {
        "PATH": os.environ["PATH"], "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1",
    }  # fmt: skip
    command = [sys.executable, *(["-c", code] if code else ["-m", "evopose"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_the_golden_one(verb):
    done = run(*([verb] if verb else []), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    check_golden(f"help/{verb or 'evopose'}.txt", done.stdout)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom evopose.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print({m.partition('.')[0] for m in sys.modules} & "
        "{'torch', 'cv2', 'plotly', 'matplotlib', 'numpy', 'lightning_fabric', 'loky', 'h5py'})"
    )
    for verb in VERBS:
        done = run(*([verb] if verb else []), "--help", code=code)
        assert "Usage" in done.stdout, done.stderr
        assert done.stdout.splitlines()[-1] == "set()"


def test_the_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"evopose {__version__}\n")


@pytest.mark.parametrize("verb", VERBS[1:])
def test_every_verb_takes_json_and_v(verb):
    text = run(verb, "--help").stdout
    assert "--json " in text
    assert "-v " in text


def test_without_a_verb_help_is_given():
    done = run()
    assert done.returncode == 2
    assert "evolve" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evovle"], "No such command 'evovle'"),
        (["evolve"], "Missing argument 'data'"),
        (["evolve", "people", "--chidren", "3"], "No such option"),
        (["evolve", "people", "--children", "three"], "Invalid value for '--children'"),
        (["status", "run", "--best", "-1"], "Invalid value for '--best'"),
    ],
)
def test_a_slip_on_the_command_line_exits_with_2(evopose, arguments, said):
    done = evopose(*arguments)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
