"""A results file that someone made, checked and judged against an annotation file.

hotcoco reads the file, far quicker and smaller than Python would, and is strict about types. Where
it refuses, or something is missing, Python reads the file once more to say what is wrong and where.
"""

import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.checks import refuse
from evopose.errors import DataError
from evopose.evaluation.error_analysis import ErrorAnalysis, errors_of
from evopose.evaluation.ground_truth import GroundTruth, read_ground_truth
from evopose.evaluation.keypoints import KeypointErrors, keypoint_errors
from evopose.evaluation.problem import MOST_RESULTS, Problem, best_oks, problem_of
from evopose.evaluation.quiet import without_lines
from evopose.evaluation.result_rows import read_results
from evopose.metrics.coco_ap import Numbers, nothing_found, ten_numbers
from evopose.metrics.truth import why_undefined
from evopose.skeleton import Skeleton

if TYPE_CHECKING:
    from hotcoco import COCO

_SAID = b"hotcoco: load_res() warning"
"""What hotcoco says of results of unknown images and categories; here they are refused, and counted
in `notes`."""

_CHUNK = 64
"""Results that are turned into columns at once: few enough for the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Results as columns, in the file's order."""

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    """(N, 3 K)"""
    areas: NDArray[np.float64]
    """(N,) of their boxes if the file has them, else of what encloses their keypoints."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a results file is worth."""

    skeleton: Skeleton
    images: int
    """How many are judged."""
    persons: int
    """How many are to be found."""
    results: int
    """How many results the file has for the category."""
    ap: Numbers
    """COCO's ten numbers by name; None: not defined here."""
    undefined: dict[str, str]
    """Why, by name."""
    notes: dict[str, int]
    """What was decided or is odd about the two files, and how often."""
    problem: Problem = field(repr=False, compare=False)
    """All persons, and the results of the category."""
    whom: NDArray[np.intp] = field(repr=False, compare=False)
    """(M,) places of the persons who are to be found and have labelled keypoints."""
    oks: NDArray[np.float64] = field(repr=False, compare=False)
    """(M,) the best OKS among the results of their image that count, 0 where there are none.
    Unlike AP it knows no matching and no false finds."""
    nearest: NDArray[np.intp] = field(repr=False, compare=False)
    """(M,) places of those results; -1 where there are none."""

    @property
    def mean_oks(self) -> float | None:
        """The mean over persons; None: nobody to be found."""
        return float(self.oks.mean()) if len(self.oks) else None

    @property
    def origin(self) -> str:
        """Where the persons are from, in words."""
        return f"in {self.images:,} images; {self.results:,} results"

    @cached_property
    def keypoints(self) -> KeypointErrors:
        """PCK and its kin, of the persons that have a result in their image."""
        posed = self.nearest >= 0
        whom, problem = self.whom[posed], self.problem
        boxes = problem.boxes[whom]
        return keypoint_errors(
            problem.keypoints[self.nearest[posed]],
            problem.truth[whom],
            boxes_xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
            areas=problem.area[whom],
            skeleton=self.skeleton,
        )

    @cached_property
    def errors(self) -> ErrorAnalysis:
        """What goes wrong, and what AP it costs."""
        return errors_of(self.problem, self.skeleton)

    def metrics(self) -> dict[str, Any]:
        """Return all of it as JSON values, `errors` and `keypoints` aside."""
        return {
            "images": self.images,
            "persons": self.persons,
            "results": self.results,
            "sigmas_assumed": self.skeleton.sigmas_assumed,
            "mean_best_oks": self.mean_oks,
            **self.ap,
            "undefined": self.undefined,
            "notes": self.notes,
        }


def score_results(results: Path, annotations: Path, *, assume_area: bool = False) -> Score:
    """Return COCO's ten numbers of a results file, equal to pycocotools', and what is odd about it.

    Results of other categories are left out. Results that are given twice stay, as in pycocotools:
    the second of two finds is a false one. Both are counted in `notes`.

    Raises: DataError that names what is wrong in either file: no JSON, cut off, no list, missing
    fields, numbers that are not finite, another number of keypoints, unknown images, no result of
    the category, annotations without an area (see `read_ground_truth` for `assume_area`).
    """
    wanted = read_ground_truth(annotations, assume_area=assume_area)
    truth = wanted.truth
    from hotcoco import COCO

    judged = COCO(truth.to_coco(wanted.category, [*wanted.categories]))
    with without_lines(_SAID):
        found, columns = _read(results, judged, len(wanted.skeleton))
    _check_images(columns, truth.images, results, annotations)
    kept = _of_category(columns, wanted, results)
    problem = problem_of(
        truth, image_ids=kept.image_ids, keypoints=kept.keypoints, scores=kept.scores,
        areas=kept.areas,
    )  # fmt: skip
    whom, best, nearest = best_oks(problem)
    defined = bool(len(kept.scores)) and bool(truth.counts.any())
    return Score(
        skeleton=wanted.skeleton,
        images=len(truth.images),
        persons=int(truth.counts.sum()),
        results=len(kept.scores),
        ap=ten_numbers(judged, found, truth.sigmas, wanted.category)
        if defined
        else nothing_found(truth),
        undefined=why_undefined(truth),
        notes=wanted.notes | _notes(columns, kept, len(problem.by_score.kept), wanted),
        problem=problem,
        whom=whom,
        oks=best,
        nearest=nearest,
    )


def _read(path: Path, judged: "COCO", count: int) -> tuple["COCO", Columns]:
    """Return the results as hotcoco holds them, and as columns."""
    if _starts_a_list(path):
        try:
            found = judged.load_res(str(path))
            if (columns := _columns(found, count)) is not None:
                return found, columns
        except ValueError:
            pass
    found = judged.load_res(read_results(path, count))
    columns = _columns(found, count)
    assert columns is not None
    return found, columns


def _starts_a_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4096).lstrip().startswith(b"[")
    except FileNotFoundError as error:
        raise DataError(f"there is no results file {path}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _columns(found: "COCO", count: int) -> Columns | None:
    """Return the results as columns, or None if one lacks what it needs."""
    total = len(found.get_ann_ids())
    pack = struct.Struct(f"{3 * count}d").pack  # quicker than NumPy with lists
    keypoints = np.empty((total, 3 * count))
    scores, areas = np.empty(total), np.empty(total)
    image_ids, category_ids = np.empty(total, np.int64), np.empty(total, np.int64)
    for first in range(0, total, _CHUNK):
        rows = found.load_anns(range(first + 1, min(first + _CHUNK, total) + 1))
        part = slice(first, first + len(rows))
        try:
            packed = b"".join([pack(*row["keypoints"]) for row in rows])
            scores[part] = [row["score"] for row in rows]
            areas[part] = [row["area"] for row in rows]
        except (KeyError, struct.error):  # a field is lacking, or the keypoints are not so many
            return None
        keypoints[part] = np.frombuffer(packed).reshape(-1, 3 * count)
        image_ids[part] = [row["image_id"] for row in rows]
        category_ids[part] = [row["category_id"] for row in rows]
    return Columns(
        image_ids=image_ids, category_ids=category_ids, scores=scores, keypoints=keypoints,
        areas=areas,
    )  # fmt: skip


def _check_images(
    columns: Columns, images: NDArray[np.int64], results: Path, annotations: Path
) -> None:
    strange = ~np.isin(columns.image_ids, images)
    refuse(
        np.unique(columns.image_ids[strange]), results,
        f"results are of images that {annotations} does not list ({int(strange.sum())} results); "
        "judge them by the annotations they were made for, or leave them out; ids of these images",
    )  # fmt: skip


def _of_category(columns: Columns, wanted: GroundTruth, path: Path) -> Columns:
    """Return the results of the category that is judged."""
    ours = columns.category_ids == wanted.category
    if len(ours) and not ours.any():
        came = ", ".join(map(str, np.unique(columns.category_ids)[:5].tolist()))
        name = wanted.categories[wanted.category]
        raise DataError(
            f"{path}: no result is of category {wanted.category} ({name}), the one with "
            f"keypoints in the annotations; the results' category_id is {came}"
        )
    if ours.all():
        return columns
    return Columns(**{name: column[ours] for name, column in vars(columns).items()})


def _doubled(columns: Columns) -> int:
    """Return how many results equal an earlier one: image, score and all keypoints."""
    order = np.lexsort((columns.scores, columns.image_ids))
    ids, scores = columns.image_ids[order], columns.scores[order]
    like_last = (ids[1:] == ids[:-1]) & (scores[1:] == scores[:-1])
    some = order[np.r_[like_last, False] | np.r_[False, like_last]] if len(order) else order
    rows = np.column_stack([columns.image_ids[some], columns.scores[some], columns.keypoints[some]])
    return len(rows) - len(np.unique(rows, axis=0))


def _notes(columns: Columns, kept: Columns, counting: int, wanted: GroundTruth) -> dict[str, int]:
    truth = wanted.truth
    alone = truth.counts & ~np.isin(truth.image_ids, kept.image_ids)
    counted = {
        "results of other categories, left out": len(columns.scores) - len(kept.scores),
        "results that equal an earlier one in image, score and keypoints; they stay, as in "
        "pycocotools": _doubled(kept),
        f"results beyond the {MOST_RESULTS} of the highest scores in their image, which do not "
        "count": len(kept.scores) - counting,
        "persons to be found in images without results": int(alone.sum()),
    }
    return {what: count for what, count in counted.items() if count}
