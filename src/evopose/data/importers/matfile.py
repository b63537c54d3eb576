"""One numeric array out of a MATLAB file of version 5 (what MATLAB saves with -v6 or -v7).

Source: MathWorks, "MAT-File Format". Structures, cells, sparse and complex arrays are not read.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evopose.data.importers.labels import Points
from evopose.errors import DataError

_HEADER = 128
_LARGEST = 2**26
"""More bytes than this in a compressed array are refused."""
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800


def read_mat_array(path: Path, name: str) -> Points:
    """Return the array that the file holds under `name`, as float64.

    Raises: DataError if the file is no such file, is cut off, or has no such numeric array.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if content[:10] == b"MATLAB 7.3":
        raise DataError(f"{path} is a MATLAB 7.3 file; save it anew in MATLAB with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise DataError(f"{path} is no MATLAB file of version 5")
    try:
        found = dict(_arrays(content[_HEADER:], order))
    except (struct.error, zlib.error, ValueError, KeyError, RecursionError) as error:
        raise DataError(f"{path} is damaged or cut off: {error}") from error
    if found.get(name) is None:
        raise DataError(
            f"{path} has no numeric array {name!r}; it holds {', '.join(found) or 'nothing'}"
        )
    return np.asarray(found[name], np.float64)


def _arrays(content: bytes, order: str) -> Iterator[tuple[str, Points | None]]:
    """Yield name and array of each variable; None for one that is no real numeric array."""
    for kind, data in _elements(content, order):
        if kind == _COMPRESSED:
            yield from _arrays(_inflated(data), order)
        elif kind == _MATRIX:
            yield _array(data, order)


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(data, _LARGEST)
    if not inflater.eof:
        raise ValueError("a compressed array is cut off or too large")
    return content


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:  # a small element: four bytes of data within the tag
            yield kind & 0xFFFF, content[at + 4 : at + 4 + min(kind >> 16, 4)]
            at += 8
            continue
        if at + 8 + size > len(content):
            raise ValueError(f"{size} bytes announced, {len(content) - at - 8} there")
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _array(data: bytes, order: str) -> tuple[str, Points | None]:
    parts = list(_elements(data, order))
    if len(parts) < 3:
        raise ValueError("an array without its description")
    flags = struct.unpack_from(f"{order}I", parts[0][1])[0]
    shape = np.frombuffer(parts[1][1], f"{order}i4")
    name = parts[2][1].decode("ascii")
    if (flags & 0xFF) not in _NUMERIC_CLASSES or flags & _COMPLEX or len(parts) < 4:
        return name, None
    kind, values = parts[3]
    return name, np.frombuffer(values, f"{order}{_TYPES[kind]}").reshape(shape, order="F")
