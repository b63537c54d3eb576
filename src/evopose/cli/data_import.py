"""`evopose data import`: other formats become COCO keypoints."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from evopose.cli.data import data_app
from evopose.cli.options import (
    JSON,
    QUIET_SECONDS,
    VERBOSE,
    console,
    option,
    print_json,
    say,
    table,
)

if TYPE_CHECKING:
    from evopose.data.importers import ImportReport

FORMATS: dict[str, tuple[str, str]] = {
    "aic": ("AI Challenger, 14 keypoints; its own or COCO-like JSON", "aic_train.json"),
    "ap10k": ("AP-10K, 17 keypoints of animals; --category", "ap10k-train-split1.json"),
    "crowdpose": ("CrowdPose, 14 keypoints", "crowdpose_train.json"),
    "deeplabcut": ("DeepLabCut CSV: one file, or a project's folder", "CollectedData_Ann.csv"),
    "jhmdb": ("JHMDB, 15 keypoints; MMPose's JSON", "Sub1_train.json"),
    "lsp": ("Leeds Sports Pose, 14 keypoints; joints.mat or JSON", "joints.mat"),
    "mpii": ("MPII, 16 keypoints, and MPII-TRB, 40; JSON", "mpii_train.json"),
    "ochuman": ("OCHuman, COCO's 17 keypoints; its own or COCO-like JSON", "ochuman.json"),
    "yolo-pose": ("YOLO pose text files; all splits of data.yaml at once", "data.yaml"),
}
"""Format -> what it is, and a file that one would give as SOURCE."""

_HELP = "\n\n".join(
    (
        "Convert another dataset's labels and images into a DATA folder for every other verb.",
        "OUT is a new folder. Import another split of the same dataset into it with --as. Nothing "
        "is written unless all of it can be used; every image is opened.",
        "Formats, each with an example:",
        "\n".join(
            f"- **{name}**: {what}. `evopose data import {name} {source} OUT`"
            for name, (what, source) in FORMATS.items()
        ),
        "COCO's own keypoint JSON needs no import: give it as DATA.",
    )
)


@data_app.command(name="import", help=_HELP)
def import_(
    format: str = typer.Argument(help=f"One of {', '.join(FORMATS)}.", show_default=False),
    source: Path = typer.Argument(
        help="The annotation file (a folder for yolo-pose and deeplabcut).", show_default=False
    ),
    out: Path = typer.Argument(
        help="Where the DATA folder goes: new, empty, or from an earlier import.",
        show_default=False,
    ),
    split: str = option(
        "The split that SOURCE is: train (the default), val or test.", None, "--as"
    ),
    images: Path = option("Where the images lie, if not beside SOURCE or in images/ there."),
    link: bool = typer.Option(False, "--link", help="Link the images instead of copying them."),
    category: list[str] = option("Only this category (species, class); may be repeated."),
    skeleton: Path = option(
        "A JSON that names keypoints, limbs, flip pairs, sigmas (yolo-pose, deeplabcut)."
    ),
    padding: float = typer.Option(
        0.15, help="Added about keypoints where there are no boxes, in parts of their extent."
    ),
    skip_damaged: bool = typer.Option(
        False, "--skip-damaged", help="Leave out (and count) what cannot be used, and go on."
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    from evopose.data.importers import Options, import_dataset

    screen = console(as_json)
    report = import_dataset(
        format,
        source,
        out,
        Options(
            split=split,
            images=images,
            categories=tuple(category or ()),
            skeleton=skeleton,
            padding=padding,
        ),
        link=link,
        skip_damaged=skip_damaged,
        on_progress=_Progress(screen),
    )
    if as_json:
        print_json(report.to_json())
        return
    _tell(report, screen)


def _tell(report: "ImportReport", screen: Console) -> None:
    say(
        screen, f"{report.category}, {len(report.keypoints)} keypoints, in {report.out}", exact=True
    )
    rows = [
        {
            "split": name,
            "images": f"{split.images:,}",
            "with keypoints": f"{split.instances:,}",
            "without": f"{split.unlabelled:,}",
            "crowds": f"{split.crowds:,}",
        }
        for name, split in report.splits.items()
    ]
    screen.print(table(rows, left=("split",)))
    for name, split in report.splits.items():
        for reason, number in split.skipped.items():
            say(screen, f"left out of {name}: {number:,} x {reason}")
    for note in report.assumptions:
        say(screen, f"note: {note}")
    _tell_next(report, screen)


def _tell_next(report: "ImportReport", screen: Console) -> None:
    labels = [Path(report.out) / f"annotations/person_keypoints_{s}.json" for s in ("train", "val")]
    if all(path.is_file() for path in labels):
        command = ["evopose", "evolve", report.out]
    else:
        say(
            screen, "import another split with --as, or let one file be split 80 / 10 / 10 by image"
        )
        name = f"person_keypoints_{next(iter(report.splits))}.json"
        command = ["evopose", "evolve", str(Path(report.out) / "annotations" / name)]
    say(screen, f"go on with: {shlex.join(command)}", exact=True)


class _Progress:
    """Says how many images are looked at: on a terminal in place, else a line now and then."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.spoke = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        due = now - self.spoke > (0.1 if self.screen.is_terminal else QUIET_SECONDS)
        if due or (done == total and self.screen.is_terminal):
            self.spoke = now
            end = "\r" if self.screen.is_terminal and done < total else "\n"
            self.screen.print(f"checked {what}: {done} of {total}", end=end, markup=False)
