"""Two evaluations of the same images: differences, with intervals of a paired bootstrap.

hotcoco 1.3 has a `compare`, which counts an image once however often a resample draws it: its
intervals were a fifth narrower than those of images written out as often as drawn (tests compare
with the latter). So resamples are judged here.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.evaluation.accumulation import accumulate
from evopose.evaluation.judging import Evaluation
from evopose.evaluation.matching import Matches, match
from evopose.evaluation.problem import Floats, Problem, make_problem
from evopose.metrics.coco_ap import AP_NAMES
from evopose.metrics.truth import AREAS
from evopose.structures import PoseDataset

RESAMPLES = 1000
LEVEL = 0.95
_CELLS = 4_000_000
"""Numbers of a block of resamples: about 32 MB each array."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much one number differs between two evaluations, and how sure that is."""

    first: float
    second: float
    difference: float
    """Second minus first."""
    low: float
    high: float
    """The interval of the difference: 95 of 100 resamples lie within."""
    better: float
    """The share of resamples in which the second is better."""
    resamples: int
    """In how many the number was defined in both."""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two evaluations of the same images beside each other."""

    images: int
    seed: int
    differences: dict[str, Difference]
    """By name: mean OKS (over the persons) and what of COCO's ten numbers is defined."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "method": "paired bootstrap over images",
            "images": self.images,
            "seed": self.seed,
            "level": LEVEL,
            "differences": {name: asdict(one) for name, one in self.differences.items()},
        }


def compare(
    dataset: PoseDataset,
    first: Evaluation,
    second: Evaluation,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Return how the second evaluation of a dataset differs from the first.

    Images are drawn with replacement, as many as there are, the same for both: what both find hard
    cancels out. Each resample is judged as a dataset in which an image counts as often as drawn;
    the interval spans the middle 95 % of the differences. A number that a resample leaves undefined
    is left out of that number's interval, and counted.

    Raises: DataError if the evaluations are not of the same persons.
    """
    if not np.array_equal(first.ids, second.ids):
        raise DataError(
            f"the evaluations are of {len(first.ids)} and {len(second.ids)} persons, not of the "
            "same ones: evaluate both on the same images"
        )
    images = len({one.id for one in dataset.images})
    weights = np.concatenate([np.ones((1, images)), draws(images, resamples, seed)])
    firsts, seconds = (_numbers(dataset, one, weights) for one in (first, second))
    return Comparison(
        images=images,
        seed=seed,
        differences={
            name: _difference(firsts[name], seconds[name])
            for name in firsts
            if np.isfinite(firsts[name][0]) and np.isfinite(seconds[name][0])
        },
    )


def _numbers(dataset: PoseDataset, evaluation: Evaluation, weights: Floats) -> dict[str, Floats]:
    """Return mean OKS and COCO's ten numbers (B,) by name, for weights (B, I) of the images."""
    ids = [one.id for one in dataset.images]
    sigmas = dataset.skeleton.sigmas
    problem = make_problem(dataset.instances, evaluation.results, sigmas, images=ids)
    image_of = {one.id: one.image_id for one in dataset.instances}
    image = np.searchsorted(problem.images, [image_of[int(i)] for i in evaluation.ids])
    mean = weighted_mean(evaluation.oks, image, weights)
    return {"mean OKS": mean} | ten_numbers(problem, weights)


def _difference(firsts: Floats, seconds: Floats) -> Difference:
    """Return the difference of numbers (1 + resamples,), the first of all images as they are."""
    change = (seconds - firsts)[1:]
    change = change[np.isfinite(change)]
    tail = (1 - LEVEL) / 2
    whole = float(seconds[0] - firsts[0])
    low, high = np.quantile(change, [tail, 1 - tail]) if len(change) else (whole, whole)
    return Difference(
        first=float(firsts[0]),
        second=float(seconds[0]),
        difference=whole,
        low=float(low),
        high=float(high),
        better=float((change > 0).mean()) if len(change) else float(whole > 0),
        resamples=len(change),
    )


def draws(images: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return how often each image is drawn, (resamples, images)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)


def weighted_mean(values: Floats, image: NDArray[np.intp], weights: Floats) -> Floats:
    """Return the means (B,) of `values` (N,) that lie in images, for weights (B, I) of those."""
    count = weights.shape[1]
    total = weights @ np.bincount(image, values, minlength=count)
    number = weights @ np.bincount(image, minlength=count)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan), np.float64)


def ten_numbers(problem: Problem, weights: Floats | None = None) -> dict[str, Floats]:
    """Return COCO's ten numbers (B,) for weights (B, I) of the images; NaN where undefined."""
    weight = np.ones((1, len(problem.images))) if weights is None else weights
    numbers: dict[str, Floats] = {}
    for letter, area in AREAS.items():
        matches = match(problem, problem.oks, area=area)
        precision, recall = _by_threshold(matches, weight)
        for what, table in (("AP", precision), ("AR", recall)):
            numbers[f"{what}{letter}"] = table.mean(axis=1)
            if not letter:
                numbers |= {f"{what}50": table[:, 0], f"{what}75": table[:, 5]}
    return {name: numbers[name] for name in AP_NAMES}


def _by_threshold(matches: Matches, weights: Floats) -> tuple[Floats, Floats]:
    """Return mean precision and recall (B, T), computed a block of weights at a time."""
    found = [accumulate(matches, part) for part in _parts(weights, len(matches.result))]
    return (
        np.concatenate([one.precision.mean(axis=2) for one in found]),
        np.concatenate([one.recall for one in found]),
    )


def _parts(weights: Floats, results: int) -> Iterator[Floats]:
    rows = max(1, _CELLS // max(results, 1))
    for start in range(0, len(weights), rows):
        yield weights[start : start + rows]
