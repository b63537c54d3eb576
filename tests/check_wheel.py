"""Build the wheel, install it elsewhere, and use it from there; `make check` runs this.

    python tests/check_wheel.py

Prints one line; exits 1, with the reason, if anything is missing or does not work.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

USE = """
import sys
from pathlib import Path
import numpy
import evopose
here = Path(evopose.__file__).parent
assert here.parent == Path(sys.argv[1]), f"evopose was imported from {here}"
net = evopose.build_model("evopose2d-s")
assert sum(p.numel() for p in net.parameters()) == 2_496_239
estimator = evopose.PoseEstimator.load("default", detector=None, runtime="pytorch")
assert len(estimator(numpy.zeros((80, 60, 3), numpy.uint8))) == 1
from evopose.data.synthetic import draw_scene
from evopose.drawing import write_image
write_image(Path("drawn.png"), draw_scene(0, 0).image)
print(evopose.__version__)
"""

PREDICT = [
    "predict",
    "drawn.png",
    "--detector",
    "none",
    "--runtime",
    "pytorch",
    "--out",
    "seen",
    "--json",
]
"""What the README begins with, on a drawn person."""


class Failed(Exception):
    """What is wrong with the wheel."""


def main() -> int:
    """Check the wheel; return how the process exits."""
    with tempfile.TemporaryDirectory(prefix="evopose-wheel-") as folder:
        try:
            sys.stdout.write(f"wheel: {check(Path(folder).resolve())}\n")
        except Failed as error:
            sys.stderr.write(f"wheel: {error}\n")
            return 1
    return 0


def check(folder: Path) -> str:
    """Return what was found good. Raises: Failed."""
    run("pip", "wheel", ROOT, "--no-deps", "--wheel-dir", folder / "dist")
    (wheel,) = (folder / "dist").glob("evopose-*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "evopose").rglob("*")
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in path.parts)
    }
    require("evopose/py.typed" in expected and "evopose/report/style.css" in expected, "no source")
    packed = {name for name in names if name.startswith("evopose/")}
    require(packed == expected, f"files differ from src: {sorted(packed ^ expected)}")
    about = {name.partition(".dist-info/")[2] for name in names - packed}
    require("licenses/LICENSE" in about, f"no LICENSE among {sorted(about)}")
    require("entry_points.txt" in about, "no command `evopose`")
    target = folder / "elsewhere"
    run("pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    version = run("-c", USE, target, cwd=folder, PYTHONPATH=str(target)).strip()
    require(wheel.name.startswith(f"evopose-{version}-"), f"{wheel.name} holds version {version}")
    told = run("-m", "evopose", *PREDICT, cwd=folder, PYTHONPATH=str(target), EVOPOSE_OFFLINE="1")
    require(json.loads(told)["persons"] == 1, f"predict found other than one person: {told}")
    require((folder / "seen/drawn.jpg").is_file(), "predict drew nothing")
    return f"{wheel.name}, {len(packed)} files, builds and predicts when imported elsewhere"


def run(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    """Return what a Python command wrote. Raises: Failed with its errors."""
    module = ["-m"] if command[0] == "pip" else []
    done = subprocess.run(
        [sys.executable, *module, *map(str, command)],
        cwd=cwd,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    require(done.returncode == 0, f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def require(good: bool, reason: str) -> None:
    """Raise Failed with the reason unless all is good."""
    if not good:
        raise Failed(reason)


if __name__ == "__main__":
    sys.exit(main())
