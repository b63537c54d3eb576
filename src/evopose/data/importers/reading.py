"""Reading a source's files, each complaint with the file and the first offenders."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from evopose.data.checks import refuse
from evopose.data.importers.detect import looks_like
from evopose.data.importers.labels import Options, Points, Record
from evopose.errors import ConfigError, DataError

LARGEST = 1e9
"""Numbers beyond are no coordinates and count as not finite."""


def load_text(path: Path) -> str:
    """Return a file's text. Raises: DataError if it is absent, empty or no UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text file: {error}{_hint(looks_like(path))}") from error
    if not text.strip():
        raise DataError(f"{path} is empty")
    return text


def load_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises: DataError if it is absent, empty or no JSON."""
    text = load_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = _hint(looks_like(path))
        raise DataError(f"{path} is not JSON, or is cut off: {error}{hint}") from error


def load_yaml(path: Path) -> dict[str, Any]:
    """Return a file's mapping. Raises: DataError if it is none, or no YAML of plain values."""
    try:
        value = yaml.load(load_text(path), Loader=_PlainYaml)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not understood as YAML: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected keys with values, such as 'kpt_shape: [17, 3]'")
    return value


class _PlainYaml(yaml.SafeLoader):
    """Builds plain values only, keys as texts, and refuses a key that is given twice instead of
    dropping one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"{doubled[0]!r} is given twice")
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


def wrong_format(path: Path, wanted: str, expected: str, content: Any) -> DataError:
    """Return the error for a file that is not of the format `wanted`, with a guess what it is."""
    seen = looks_like(content)
    if isinstance(content, Path):
        came = f"a file {content.name}"
    elif isinstance(content, dict):
        came = "an object with " + (", ".join(map(str, list(content)[:8])) or "nothing in it")
    else:
        came = f"a {type(content).__name__}"
        came += f" of {len(content)}" if isinstance(content, list | str) else ""
    return DataError(f"{path} is not {wanted}: expected {expected}; got {came}{_hint(seen)}")


def no_categories(options: Options, format: str) -> None:
    """Raise a ConfigError if categories are chosen where a format has none."""
    if options.categories:
        raise ConfigError(
            f"this form of {format} has no categories; leave --category "
            f"{', '.join(options.categories)} out"
        )


def _hint(seen: str | None) -> str:
    return f". It looks like {seen}" if seen else ""


def need_objects(records: Any, keys: Sequence[str], where: object) -> list[Record]:
    """Return the list of objects after checking that each has all `keys`.

    Raises: DataError if it is no list, an entry is no object, or one lacks a key.
    """
    if not isinstance(records, list):
        raise DataError(f"{where}: expected a list of objects, got {type(records).__name__}")
    strange = (i for i, r in enumerate(records) if not isinstance(r, dict))
    refuse(strange, where, "entries are no objects, at positions")
    for key in keys:
        lacking = (f"position {i}" for i, r in enumerate(records) if key not in r)
        refuse(lacking, where, f"each needs {key!r}; not there at")
    return records


def number_table(
    rows: Sequence[Any], shape: tuple[int, ...], *, names: Iterable[Any], where: object, needs: str
) -> Points:
    """Return the rows as an array (N, *shape); `names` tell them apart, `needs` what they are.

    Raises: DataError if a row has another shape, or holds what is no finite number.
    """
    named = list(zip(names, rows, strict=True))
    refuse(
        (f"{n} ({_size(r)})" for n, r in named if not _has_shape(r, shape)),
        where, f"{needs}; other numbers of values in"
    )  # fmt: skip
    refuse(
        (n for n, r in named if not all(type(v) in (int, float) for v in _flat(r, len(shape)))),
        where, f"{needs}; values that are no numbers in"
    )  # fmt: skip
    try:
        table = np.array(rows, np.float64).reshape(len(named), *shape)
    except OverflowError as error:
        raise DataError(f"{where}: {needs}; a value is too large for a number") from error
    lost = np.flatnonzero(~usable(table).all(axis=tuple(range(1, table.ndim))))
    refuse((named[i][0] for i in lost.tolist()), where, f"{needs}; not all finite in")
    return table


def usable(numbers: Points) -> NDArray[np.bool_]:
    """Return which numbers are finite, and no larger than any picture could have them."""
    return np.asarray(np.abs(numbers) < LARGEST)


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        return not isinstance(value, list)
    if not isinstance(value, list) or len(value) != shape[0]:
        return False
    return all(_has_shape(v, shape[1:]) for v in value) if len(shape) > 1 else True


def _size(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else type(value).__name__


def _flat(value: Any, depth: int) -> Iterable[Any]:
    if depth == 0:
        return [value]
    return value if depth == 1 else chain.from_iterable(_flat(v, depth - 1) for v in value)


def image_names(names: Sequence[Any], where: object) -> list[str]:
    """Return names of image files, with slashes.

    Raises: DataError if one is no text, empty, absolute, or leads out of its folder.
    """
    refuse(
        (f"{n!r} at position {i}" for i, n in enumerate(names) if not _is_inside(n)),
        where, "each image needs a name below the folder of images (not absolute, no ..); got"
    )  # fmt: skip
    return [PurePosixPath(n.replace("\\", "/")).as_posix() for n in names]


def _is_inside(name: Any) -> bool:
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return False
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and path.as_posix() != "."


def image_folders(source: Path, images: Path | None) -> tuple[Path, ...]:
    """Return where the images of an annotation file may lie: `images`, else near the file.

    Raises: DataError if `images` is no folder.
    """
    if images is not None:
        if not images.is_dir():
            raise DataError(f"there is no folder {images}; --images names where the images lie")
        return (images,)
    near, above = source.parent, source.parent.parent
    return tuple(dict.fromkeys((near, near / "images", above / "images", above)))
