"""Checks on columns of annotation records, each naming the first offenders and their number."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError

IntArray = NDArray[np.int64]


def refuse(offenders: Iterable[object] | NDArray[Any], where: object, complaint: str) -> None:
    """Raise a DataError that names the first five offenders and their number, if there are any."""
    found = offenders.tolist() if isinstance(offenders, np.ndarray) else list(offenders)
    if found:
        more = f", ... ({len(found)} in all)" if len(found) > 5 else ""
        raise DataError(f"{where}: {complaint}: {', '.join(map(str, found[:5]))}{more}")


def refuse_doubled(ids: IntArray, where: object, what: str) -> None:
    """Raise a DataError if an id occurs twice."""
    values, counts = np.unique(ids, return_counts=True)
    refuse(values[counts > 1], where, f"ids of {what} must differ; given twice")


def whole_numbers(records: Sequence[dict[str, Any]], key: str, where: object) -> IntArray:
    """Return the records' values of `key`. Raises: DataError if one is no whole number."""
    values = [r.get(key) for r in records]
    refuse(
        (
            f"{v!r} at position {i}"
            for i, v in enumerate(values)
            if type(v) is not int or abs(v) >= 2**63
        ),
        where,
        f"each needs a whole number as {key!r}; got",
    )
    return np.array(values, np.int64)


def number_rows(
    rows: Sequence[Any], *, length: int, ids: IntArray, where: object, needs: str
) -> NDArray[np.float64]:
    """Return the rows (N, length) of numbers; `ids` (N,) name them, `needs` says what they are.

    Raises: DataError if a row has another length, or holds what is no finite number.
    """
    named = list(zip(ids.tolist(), rows, strict=True))
    refuse(
        (f"{i} ({len(r) if isinstance(r, list) else type(r).__name__})" for i, r in named
         if not isinstance(r, list) or len(r) != length),
        where, f"{needs}; other numbers of values in annotations"
    )  # fmt: skip
    try:
        found = np.array(rows).reshape(len(rows), length)
    except (TypeError, ValueError):  # rows of other things than numbers
        found = np.array([], object)
    if found.dtype.kind in "if":
        numbers = found.astype(np.float64)
    else:  # text that could be read as a number is none, either
        numbers = np.array([[v if type(v) in (int, float) else np.nan for v in r] for r in rows])
    finite = np.isfinite(numbers).all(axis=1)
    refuse(ids[~finite], where, f"{needs}; not all finite numbers in annotations")
    return numbers
