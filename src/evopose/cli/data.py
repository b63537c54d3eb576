"""`evopose data`: datasets at the door."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from evopose.cli import app
from evopose.cli.options import (
    DATA,
    JSON,
    VERBOSE,
    annotation_option,
    console,
    option,
    print_json,
    say,
    table,
)

if TYPE_CHECKING:
    from evopose.data.checking import CheckReport
    from evopose.data.resplit import SplitReport

data_app = typer.Typer(
    name="data", help="Check, convert, split and draw datasets.", no_args_is_help=True
)
app.add_typer(data_app)

_GROUP = option(
    "Images that belong together: a field of images (video), folder, or name:REGEX.",
    metavar="KEY",
)
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


@data_app.command()
def check(
    data: str = DATA,
    annotations: str = annotation_option(),
    group: str = _GROUP,
    out: Path = option("The contact sheet (.jpg, .png); default DATA-check.jpg here."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Say all that is wrong with DATA, and draw some of its persons.

    Reads the labels, opens every image, and lists errors (evopose refuses the dataset, or images
    or groups are in two splits), warnings and notes, each with its number, the first offenders and
    what to do. Exits 2 if there are errors. In the contact sheet each row comes again mirrored, so
    that a wrong flip pair shows. -v also tells how often each keypoint is labelled.

    Example: evopose data check people/
    """
    from evopose.cli.live import DataDisplay
    from evopose.data.checking import check_dataset
    from evopose.data.checking.sheet import check_sheet
    from evopose.drawing import require_image_suffix, write_image

    sheet = out or Path(f"{_name_of(data)}-check.jpg")
    require_image_suffix(sheet)
    screen = console(as_json)
    report = check_dataset(
        data, annotations=annotations, group=group, on_progress=DataDisplay(screen, "checking")
    )
    image = check_sheet(report.labels, _name_of(data))
    if image is not None:
        write_image(sheet, image)
    if as_json:
        print_json(report.to_json() | {"sheet": str(sheet) if image is not None else None})
    else:
        _tell_check(screen, report, verbose)
        if image is not None:
            say(screen, f"\ndrew {sheet}", exact=True)
    if report.count("error"):
        raise typer.Exit(2)


@data_app.command()
def split(
    data: str = DATA,
    out: Path = typer.Option(..., help="Folder to write, new or empty.", show_default=False),
    group: str = _GROUP,
    ratios: str = typer.Option("80/10/10", help="Shares of train, val and test in persons."),
    seed: int = typer.Option(0, help="Seed of the draw."),
    annotations: str = annotation_option(),
    category: list[str] = option("Only this category, where several have keypoints. Repeatable."),
    copy: bool = typer.Option(False, "--copy", help="Copy the images instead of linking them."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Split DATA into train, val and test by image, or by groups of images.

    A group never straddles splits. The folder that is written is DATA for every other verb.

    Example: evopose data split mice.json --out mice --group 'name:(.*)_[0-9]+'
    """
    from evopose.data.resplit import parse_ratios, resplit

    report = resplit(
        data,
        out,
        ratios=parse_ratios(ratios),
        group=group,
        seed=seed,
        annotations=annotations,
        categories=category or (),
        copy=copy,
    )
    if as_json:
        print_json(report.to_json())
    else:
        _tell_split(console(as_json), report)


@data_app.command()
def synthetic(
    out: Path = typer.Argument(help="Folder to write, new or empty.", show_default=False),
    count: int = typer.Option(2000, help="Persons to draw, at least.", min=1),
    seed: int = typer.Option(0, help="Seed of the drawing."),
    size: str = option("Size of all images, say 256x192; default: of many sizes.", metavar="HxW"),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    """Draw people with COCO's keypoints as a dataset in OUT.

    The same seed and count draw the same people. `synthetic:N` as DATA of another verb draws them
    into the cache.

    Example: evopose data synthetic people --count 500
    """
    from evopose.cli.live import DataDisplay
    from evopose.data.layouts import open_dataset
    from evopose.data.synthetic import SceneConfig, write_synthetic
    from evopose.search.overrides import parse_size

    screen = console(as_json)
    display = DataDisplay(screen)
    config = SceneConfig()
    if size is not None:
        height, width = parse_size(size)
        config = SceneConfig(height=(height, height), width=(width, width))
    write_synthetic(
        out, count, seed, config=config,
        on_progress=lambda done, total: display("synthetic people", done, total),
    )  # fmt: skip
    found = open_dataset(out).found
    persons = {name: len(dataset.trainable) for name, dataset in found.items()}
    if as_json:
        images = {name: len(dataset.images) for name, dataset in found.items()}
        print_json({"data": str(out), "persons": persons, "images": images})
        return
    told = ", ".join(f"{n:,} persons to {name}" for name, n in persons.items())
    say(screen, f"drew {out}: {told}", exact=True)


def _name_of(data: str) -> str:
    """Return what a dataset is called in a file name."""
    path = Path(data.partition(":")[0] if data.startswith("synthetic") else data)
    return path.stem if path.suffix == ".json" else path.resolve().name


def _tell_check(screen: Console, report: "CheckReport", verbose: bool) -> None:
    from evopose.report.text import plural

    rows = [
        {
            "split": name,
            "images": f"{split.images:,}",
            "empty": f"{split.empty:,}",
            "persons": f"{split.persons:,}",
            "crowds": f"{split.crowds:,}",
            "unlabelled": f"{split.unlabelled:,}",
            "keypoints": f"{split.keypoints:,}",
            "per person": f"{split.keypoints / max(1, split.persons):.1f}",
        }
        for name, split in report.splits.items()
    ]
    screen.print(table(rows, left=("split",)))
    if report.keypoints:
        known = f"flip pairs: {report.flip_pairs}; sigmas: {report.sigmas}"
        say(screen, f"\n{len(report.keypoints)} keypoints; {known}")
        if verbose or any(one.kind == "keypoint-never-labelled" for one in report.findings):
            say(screen, "labelled (hidden of these):")
            screen.print(table(_keypoint_rows(report), left=("keypoint",)))
    say(screen, "")
    for one in report.findings:
        line = Text.assemble((f"{one.level:8}", _COLOURS[one.level]), one.describe())
        screen.print(line, soft_wrap=not screen.is_terminal)
    counts = ", ".join(plural(report.count(level), level) for level in _COLOURS)
    say(screen, f"{'' if not report.findings else chr(10)}{counts}")


def _keypoint_rows(report: "CheckReport") -> list[dict[str, str]]:
    def cell(labelled: float, hidden: float) -> str:
        return f"{labelled:.0%}" + (f" ({hidden:.0%})" if hidden else "")

    return [
        {"keypoint": name}
        | {
            split: cell(found.labelled[name], found.hidden[name]) if name in found.labelled else ""
            for split, found in report.splits.items()
        }
        for name in report.keypoints
    ]


def _tell_split(screen: Console, report: "SplitReport") -> None:
    rows = [
        {
            "split": name,
            "images": f"{part.images:,}",
            "groups": f"{part.groups:,}",
            "persons": f"{part.persons:,}",
            "share": f"{part.share:.1%}",
            "wanted": f"{part.wanted:.1%}",
        }
        for name, part in report.splits.items()
    ]
    screen.print(table(rows, left=("split",)))
    for note in report.notes:
        say(screen, f"note: {note}")
    say(screen, f"wrote {report.out}; go on with: evopose evolve {report.out}", exact=True)
