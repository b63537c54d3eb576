"""Imports go down, as docs/architecture.md draws it; what should be light is light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evopose

ROOT = Path(evopose.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LINES = 350
"""No module is longer; the aim is 250."""

LAYERS = (
    {"cli api __init__ __main__"},  # joined by spaces: units that may use each other
    {"recipes", "report"},
    {"search"},
    {"training"},
    {"evaluation"},
    {"inference"},
    {"export"},
    {"data", "models", "evolution"},
    {"codecs", "genotype", "metrics", "drawing"},
    {"structures skeleton geometry home errors version"},
)
PLACES = {
    unit: (height, group)
    for height, layer in enumerate(reversed(LAYERS))
    for group in layer
    for unit in group.split()
}
"""Unit -> its layer, from 0 below, and what it shares that layer's place with."""

TORCHLESS = ("codecs", "data", "drawing", "evolution", "genotype", "metrics")


def name_of(file: Path) -> str:
    return ".".join(("evopose", *file.relative_to(ROOT).with_suffix("").parts))


def unit_of(module: str) -> str:
    """Return the part of `module` below evopose; `__init__` for evopose itself."""
    return [*module.split("."), "__init__"][1]


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and module of every import that runs at some time, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            if node.module == "evopose":
                yield from ((node.lineno, f"evopose.{name}") for name in units_in(node))
            else:
                yield node.lineno, node.module or ""
        yield from imported(node)


def units_in(node: ast.ImportFrom) -> list[str]:
    return [a.name if a.name in PLACES else "__init__" for a in node.names]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_down(file) -> None:
    unit = unit_of(name_of(file))
    assert unit in PLACES, f"{unit} has no layer; docs/architecture.md and this test name it"
    height, group = PLACES[unit]
    wrong = []
    for line, module in imported(ast.parse(file.read_text(encoding="utf-8"))):
        other = unit_of(module)
        if module.split(".")[0] != "evopose" or other == unit:
            continue
        below, other_group = PLACES[other]
        if not (below < height or other_group == group):
            wrong.append(f"line {line}: {unit} imports {module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("unit", TORCHLESS)
def test_some_units_never_name_torch(unit) -> None:
    for file in FILES:
        if unit_of(name_of(file)) == unit:
            modules = {m for _, m in imported(ast.parse(file.read_text(encoding="utf-8")))}
            assert "torch" not in {module.split(".")[0] for module in modules}, file


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules in memory after a fresh interpreter ran `code`."""
    code += "\nimport sys; print('\\n'.join(['---', *{n.partition('.')[0] for n in sys.modules}]))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("---\n")[2].split())


def test_some_units_load_no_torch_by_detours() -> None:
    modules = [name_of(f) for f in FILES if unit_of(name_of(f)) in TORCHLESS]
    names = [m.removesuffix(".__init__") for m in modules]
    assert len(names) > 40
    loaded = loaded_by("\n".join(f"import {name}" for name in names))
    assert {"evopose", "numpy", "cv2", "loky"} <= loaded
    assert "torch" not in loaded


HELP = """
import sys
from evopose.cli import main
sys.argv = ["evopose", "--help"]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
"""


@pytest.mark.parametrize("code", ["import evopose", HELP], ids=["import", "help"])
def test_what_everyone_waits_for_loads_nothing_heavy(code) -> None:
    heavy = {"torch", "lightning_fabric", "matplotlib", "plotly", "cv2", "h5py", "loky"}
    loaded = loaded_by(code)
    assert "evopose" in loaded
    assert not heavy & loaded


def test_every_public_name_has_its_home() -> None:
    for name in evopose.__all__:
        assert getattr(evopose, name) is not None
    assert set(evopose.__all__) <= set(dir(evopose))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = evopose.nothing


def test_no_module_is_too_long() -> None:
    lengths = {name_of(f): len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert {name: n for name, n in lengths.items() if n > LINES} == {}


def test_the_picture_in_the_docs_is_this_one() -> None:
    page = ROOT.parents[1] / "docs/architecture.md"
    if not page.is_file():
        pytest.skip("evopose is installed without its repository")
    picture = page.read_text(encoding="utf-8").split("```")[1]
    drawn = [
        {
            unit
            for group in line.split("  ")[0].split("|")
            for unit in group.replace("·", " ").split()
        }
        for line in picture.strip().splitlines()
    ]
    planned = {"__init__", "__main__"}
    ours = [{unit for group in layer for unit in group.split()} - planned for layer in LAYERS]
    assert drawn == [layer for layer in ours if layer]
