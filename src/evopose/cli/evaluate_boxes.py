"""In which boxes `evopose evaluate` looks for persons."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from evopose.cli.options import say
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.evaluation.detected import Detections
    from evopose.evaluation.pose_scores import ScoreRules
    from evopose.structures import PoseDataset

LIKELY = 0.1
"""Boxes of a detector below this score are left out: AP weighs them little."""


def check_boxes(boxes: Path | None, detector: str | None, rules: "ScoreRules") -> None:
    """Raise ConfigError where boxes come from two places, or what is for detected boxes alone was
    given for labelled ones."""
    if boxes is not None and detector is not None:
        raise ConfigError("give --boxes or --detector, not both")
    if boxes is not None or detector is not None:
        return
    given = {
        f"--nms {rules.nms}": rules.nms != "hard",
        "--nms-keypoint-threshold": rules.nms_counted_above is not None,
    }
    if unused := [name for name, is_given in given.items() if is_given]:
        raise ConfigError(
            f"{', '.join(unused)}: in labelled boxes each person has one pose, and none is "
            "suppressed; it goes with --boxes or --detector"
        )


def find_boxes(
    screen: Console, dataset: "PoseDataset", boxes: Path | None, detector: str | None, threads: int
) -> "tuple[Detections, str] | None":
    """Return the boxes of a file or a detector and where they come from, and tell; None for
    labelled ones.

    Raises: DataError as `read_detections`; ModelError, DownloadFailed as `open_detector`.
    """
    from evopose.cli.bars import bar
    from evopose.cli.loading import open_finder
    from evopose.evaluation.detected import detect, read_detections

    if boxes is not None:
        found, source = read_detections(boxes, dataset), str(boxes)
    elif detector is not None:
        finder = open_finder(detector, screen, threads, threshold=LIKELY)
        with bar(screen, "finding persons") as on_progress:
            found, source = detect(finder, dataset, on_progress=on_progress), finder.name
    else:
        say(screen, "boxes: from the annotations")
        return None
    left_out = "".join(f"; left out {count:,} {why}" for why, count in found.left_out.items())
    say(screen, f"boxes: {found.count:,} of {source}{left_out}", exact=True)
    return found, source
