"""Other datasets' formats become COCO keypoints: one file a format."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evopose.data.home import Progress
from evopose.data.importers.aic import read_aic
from evopose.data.importers.ap10k import read_ap10k
from evopose.data.importers.checking import check_labels
from evopose.data.importers.crowdpose import read_crowdpose
from evopose.data.importers.deeplabcut import read_deeplabcut
from evopose.data.importers.jhmdb import read_jhmdb
from evopose.data.importers.labels import Labels, Options
from evopose.data.importers.lsp import read_lsp
from evopose.data.importers.mpii import read_mpii
from evopose.data.importers.ochuman import read_ochuman
from evopose.data.importers.writing import SPLITS, check_fit, existing_splits, write_splits
from evopose.data.importers.yolo_pose import read_yolo_pose
from evopose.errors import ConfigError, DataError
from evopose.structures import PoseDataset

__all__ = ["IMPORTERS", "ImportReport", "Options", "SplitReport", "import_dataset"]

IMPORTERS: dict[str, Callable[[Path, Options], dict[str, Labels]]] = {
    "aic": read_aic,
    "ap10k": read_ap10k,
    "crowdpose": read_crowdpose,
    "deeplabcut": read_deeplabcut,
    "jhmdb": read_jhmdb,
    "lsp": read_lsp,
    "mpii": read_mpii,
    "ochuman": read_ochuman,
    "yolo-pose": read_yolo_pose,
}
"""Formats by name: a function of the source and the options to labels by split."""

_NAMELESS = ("deeplabcut", "yolo-pose")
"""Formats of folders, whose skeletons are the user's own."""


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """What became of one split."""

    images: int
    instances: int
    """Persons (animals, things) with labelled keypoints that are no crowds."""
    crowds: int
    unlabelled: int
    """Kept without a labelled keypoint; training leaves them out."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What was left out, counted by reason."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did."""

    format: str
    source: str
    out: str
    category: str
    keypoints: tuple[str, ...]
    splits: Mapping[str, SplitReport]
    assumptions: tuple[str, ...]
    """What the format does not say and was assumed, converted or taken from elsewhere."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def import_dataset(
    format: str,
    source: str | Path,
    out: str | Path,
    options: Options = Options(),
    *,
    link: bool = False,
    skip_damaged: bool = False,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Return what became of `source`, now in the folder `out` as COCO keypoints.

    `out` is new, empty, or has other splits of the same skeleton from an earlier import. Images
    are copied, with `link` linked. Every image is opened. With `skip_damaged` what cannot be used
    is left out and counted. Nothing is written if anything is wrong.

    Raises: DataError, ConfigError about what is wrong and how to mend it.
    """
    source, out = Path(source).expanduser(), Path(out).expanduser()
    _check_options(format, source, options)
    there = existing_splits(out)
    splits = IMPORTERS[format](source, options)
    check_fit(out, there, {s: labels.described for s, labels in splits.items()})
    checked = {
        s: check_labels(
            labels, padding=options.padding, skip_damaged=skip_damaged, on_progress=on_progress
        )
        for s, labels in splits.items()
    }
    found = write_splits(
        out,
        {s: (splits[s].described, c) for s, c in checked.items()},
        origin=f"{format} {source.name}",
        link=link,
    )
    notes = [n for s, c in checked.items() for n in (splits[s].described.sigmas_source,
                                                     *c.assumptions)]  # fmt: skip
    first = next(iter(splits.values())).described
    return ImportReport(
        format=format,
        source=str(source),
        out=str(out),
        category=first.category,
        keypoints=first.skeleton.keypoints,
        splits={s: _split_report(d, checked[s].skipped) for s, d in found.items()},
        assumptions=tuple(dict.fromkeys(notes)),
    )


def _check_options(format: str, source: Path, options: Options) -> None:
    if format not in IMPORTERS:
        raise ConfigError(f"unknown format {format!r}; expected one of {', '.join(IMPORTERS)}")
    if options.split not in (None, *SPLITS):
        raise ConfigError(f"unknown split {options.split!r}; expected one of {', '.join(SPLITS)}")
    if not 0 <= options.padding <= 2:
        raise ConfigError(f"expected a padding from 0 to 2, got {options.padding}")
    if not source.exists():
        raise DataError(f"there is no {source}; expected {_expected(format)}")
    if options.skeleton is not None and format not in _NAMELESS:
        raise ConfigError(f"{format} has a skeleton of its own; leave --skeleton out")
    if source.is_dir() and format not in _NAMELESS:
        raise DataError(f"{source} is a folder; expected {_expected(format)}")


def _expected(format: str) -> str:
    also = " (or the dataset's folder)" if format in _NAMELESS else ""
    return f"the annotation file of one split{also}"


def _split_report(dataset: PoseDataset, skipped: Counter[str]) -> SplitReport:
    return SplitReport(
        images=len(dataset.images),
        instances=len(dataset.trainable),
        crowds=dataset.skipped["crowd"],
        unlabelled=dataset.skipped["no keypoints"],
        skipped=dict(skipped),
    )
