"""What the README says is true: its Python runs, its links lead somewhere, its options exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

VERBS = (
    "evolve", "train", "evaluate", "predict", "import", "status", "watch", "report", "compare",
    "space", "models", "export", "doctor", "bench", "data check", "data import", "data split",
    "data synthetic",
)  # fmt: skip


def test_the_readmes_python_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "of the parameters inherited" in done.stdout
    assert "num_macs=" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_pages_name_exist(page):
    named = set(re.findall(r"`(--[a-z][a-z-]+)", page.read_text()))
    if not named:
        assert "make check" in page.read_text() or "evopose" in page.read_text()
        return
    helps = ""
    for verb in VERBS:
        command = [sys.executable, "-m", "evopose", *verb.split(), "--help"]
        environment = {"COLUMNS": "200", "NO_COLOR": "1", "PATH": ""}
        helps += subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    assert named - set(re.findall(r"--[a-z][a-z-]+", helps)) == set()
