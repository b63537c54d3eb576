"""`evopose import`: public weights become a model file."""

import re
import shlex
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.options import (
    JSON,
    QUIET_SECONDS,
    VERBOSE,
    console,
    gigabytes,
    option,
    print_json,
    say,
)
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.models.importers import ImportedModel
    from evopose.skeleton import Skeleton

FORMATS: dict[str, str] = {
    "cpn": "CPN of its authors (TensorFlow)",
    "efficientnet-keras": "ImageNet's EfficientNet-B0 to B7 of Keras (.h5), to start a search from",
    "efficientnet-timm": "the same of timm, efficientnet_b*",
    "efficientnet-timm-tf": "the same of timm, tf_efficientnet_b*: those that fit best",
    "efficientnet-torchvision": "the same of torchvision",
    "evopose2d-keras": "EvoPose2D of its authors (.h5)",
    "hrnet": "HRNet of its authors",
    "hrnet-imagenet": "ImageNet's HRNets of their authors and timm, to train",
    "hrnet-mmpose": "HRNet of mmpose",
    "mspn": "MSPN of its authors",
    "mspn-mmpose": "MSPN of mmpose",
    "posefix": "PoseFix of its authors (TensorFlow)",
    "posefix-imagenet": "ImageNet's ResNets of TensorFlow's slim, to train a PoseFix",
    "resnet-imagenet": "ImageNet's ResNet-50, 101, 152 of torchvision and timm, to train",
    "simple-baseline": "SimpleBaseline of its authors",
    "simple-baseline-mmpose": "SimpleBaseline of mmpose",
}
"""Every format of `IMPORTERS`, in a few words."""

_HELP = "\n\n".join(
    (
        "Make a model file of weights that others published.",
        "The format is recognised: torch, safetensors, Keras .h5, TensorFlow. Nothing in SOURCE is "
        "run, every one of its arrays is used or accounted for.",
        "\n".join(f"- **{name}**: {what}" for name, what in FORMATS.items()),
        "Example: evopose import pose_hrnet_w32_256x192.pth -o w32.safetensors",
    )
)
_SUFFIXES = re.compile(
    r"(\.(pth|pt|tar|bin|ckpt|h5|hdf5|safetensors|index|meta|data-\d+-of-\d+))+$", re.IGNORECASE
)
_LISTED = 3
"""How many names of arrays stand for those of one fate; all with -v."""


@app.command(name="import", help=_HELP)
def import_(
    source: str = typer.Argument(
        help="A file of weights, a TensorFlow checkpoint's name, or an address (https://...).",
        show_default=False,
    ),
    out: Path = option(
        "The model file to write; default: SOURCE's name here.", None, "--out", "-o"
    ),
    input_size: str = option(
        "Input size, where the file or its name does not tell it.", None, "--input", metavar="HxW"
    ),
    keypoints: int = option("Another number of keypoints: the last layers start fresh.", min=1),
    skeleton: Path = option(
        "A JSON that names the keypoints, as for data import; default COCO's person for 17."
    ),
    sha256: str = option("How its SHA-256 begins; an address may hold it.", metavar="HEX"),
    format: str = option("The format, where several fit.", None, "--as"),
    codec: str = option(
        "How its heatmaps are read, where its name does not tell: gaussian, dark or udp."
    ),
    seed: int = typer.Option(0, help="Seed of layers that start fresh."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
) -> None:
    from evopose.models.importers import import_weights
    from evopose.models.modelfile import save_model
    from evopose.search.overrides import parse_size

    screen = console(as_json)
    target = out or Path(f"{_SUFFIXES.sub('', Path(source).name)}.safetensors")
    if target.exists():
        raise ConfigError(f"{target} exists; name another file with -o, or remove it")
    size = parse_size(input_size) if input_size else None
    names = _skeleton(skeleton) if skeleton else None
    file, said = _file(source, sha256, screen)
    made = import_weights(
        file,
        format=format,
        input_hw=size,
        num_keypoints=keypoints,
        skeleton=names,
        codec=codec,
        seed=seed,
        provenance=said,
    )
    save_model(target, made.imported.net, made.card)
    if as_json:
        print_json(_json(made, target))
        return
    _tell(made, screen, verbose=verbose)
    if names is None:
        _tell_skeleton(made.card.skeleton.keypoints, screen)
    say(screen, f"wrote {target}", exact=True)
    if not made.imported.trained_head:
        again = shlex.join(["evopose", "train", str(target)])
        say(screen, f"it must be trained before use: {again} DATA", exact=True)


def _file(source: str, sha256: str | None, screen: Console) -> tuple[Path, dict[str, Any]]:
    """Return the file that SOURCE means, fetched if it is an address, and what to say of it."""
    from evopose.models.download import digest_in_name, fetch, sha256_of

    if "://" in source:
        file = fetch(source, sha256_prefix=sha256, on_progress=DownloadProgress(screen))
        return file, {"url": source, "sha256": sha256_of(file)}
    path = Path(source)
    if not path.is_file():  # a TensorFlow checkpoint, or nothing
        if sha256:
            raise ConfigError(f"--sha256 is of a file, and {path} is none")
        return path, {}
    if sha256:
        fetch(path.resolve().as_uri(), sha256_prefix=sha256)
    digest, named = sha256_of(path), digest_in_name(path.name)
    if not sha256 and named and not digest.startswith(named):
        say(screen, f"note: its SHA-256 is {digest[:8]}..., its name says {named}: is it whole?")
    return path, {"sha256": digest}


def _skeleton(path: Path) -> "Skeleton":
    from evopose.data.importers.given import given_skeleton
    from evopose.data.importers.reading import load_json
    from evopose.skeleton import Skeleton

    content = load_json(path)
    if isinstance(content, dict) and "limbs" in content:
        return Skeleton.from_json(content)
    return given_skeleton(path).skeleton


def _facts(made: "ImportedModel") -> dict[str, Any]:
    from evopose.models.complexity import complexity

    net, card = made.imported.net, made.card
    return {
        "architecture": card.architecture,
        "input_hw": card.input_hw,
        "num_keypoints": len(card.skeleton),
        **asdict(complexity(net, input_hw=card.input_hw)),
    }


def _json(made: "ImportedModel", target: Path) -> dict[str, Any]:
    report = asdict(made.imported.report)
    return {
        "model": str(target),
        "format": made.format,
        "network": _facts(made),
        "input": asdict(made.card.input),
        "codec": asdict(made.card.codec),
        "keypoints": list(made.card.skeleton.keypoints),
        "trained_head": made.imported.trained_head,
        "provenance": made.card.provenance,
        **{name: report[name] for name in ("used", "adapted", "skipped", "notes")},
    }


def _tell(made: "ImportedModel", screen: Console, *, verbose: bool) -> None:
    from evopose.models.importers import IMPORTERS
    from evopose.report.text import count

    facts, card, report = _facts(made), made.card, made.imported.report
    height, width = card.input_hw
    spec, params = card.input, card.codec.params
    say(screen, f"recognised: {made.format}: {IMPORTERS[made.format].summary}")
    say(
        screen,
        f"network: {card.architecture}, {height}x{width}, {len(card.skeleton)} keypoints, "
        f"{count(facts['num_parameters'])} parameters, {count(facts['num_macs'])} multiply-adds",
    )
    say(
        screen,
        f"input: {spec.color}, (pixel / {1 / spec.scale:g} - {_numbers(spec.mean)}) / "
        f"{_numbers(spec.std)}; boxes x {spec.box_padding:g}",
    )
    described = "".join(f", {name} {value}" for name, value in params.items())
    say(screen, f"heatmaps: {card.codec.name}{described or ', official parameters'}")
    say(screen, f"arrays: {len(report.used):,} used")
    for fate, lines in (("adapted", report.adapted), ("skipped", report.skipped)):
        for line in _grouped(lines, verbose=verbose):
            say(screen, f"  {fate}: {line}")
    for note in report.notes:
        say(screen, f"note: {note}")


def _tell_skeleton(names: tuple[str, ...], screen: Console) -> None:
    if names[0] == "keypoint_1":
        say(screen, "note: the keypoints have no names; give them with --skeleton")
    else:
        what = f"{len(names)} keypoints are taken to be those of COCO's person"
        say(screen, f"note: {what}; of others, give the names with --skeleton")


def _grouped(lines: tuple[str, ...], *, verbose: bool) -> list[str]:
    """Return lines of "array: what" with the arrays of one fate together."""
    fates: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        name, _, what = line.partition(": ")
        fates[what].append(name)
    return [
        f"{len(names):,} {what} ({', '.join(names if verbose else names[:_LISTED])}"
        f"{', ...' if len(names) > _LISTED and not verbose else ''})"
        for what, names in fates.items()
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"


class DownloadProgress:
    """Says how much is fetched: on a terminal in place, else a line now and then."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.spoke = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        terminal, now = self.screen.is_terminal, time.monotonic()
        finished = done == total
        if now - self.spoke > (0.1 if terminal else QUIET_SECONDS) or (finished and terminal):
            self.spoke = now
            of = f" of {gigabytes(total)}" if total else ""
            end = "\r" if terminal and not finished else "\n"
            self.screen.print(f"fetched {gigabytes(done)}{of}", end=end, markup=False)
