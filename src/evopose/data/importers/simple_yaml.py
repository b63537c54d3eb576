"""The part of YAML that `data.yaml` files use: nested mappings, lists, numbers and texts.

No anchors, tags, multi-line texts or several documents: what is not understood is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evopose.data.importers.reading import load_text
from evopose.errors import DataError

Line = tuple[int, int, str]
"""Number, indentation, text without comment."""

_KEY = re.compile(r"""^(?P<key>"[^"]*"|'[^']*'|[^\s\[\]{}:,"'#&*!|>%@`-][^:]*?)\s*:(?:\s+|$)""")
_COMMENT = re.compile(r"(?:^|\s)#.*$")


def read_simple_yaml(path: Path) -> dict[str, Any]:
    """Return the file's mapping. Raises: DataError if it is none, or is not understood."""
    lines = list(_lines(load_text(path)))
    try:
        value, rest = _block(lines, lines[0][1] if lines else 0)
        if rest:
            raise ValueError(f"line {rest[0][0]}: {rest[0][2]!r} is not indented as expected")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not understood as YAML: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected keys with values, such as 'kpt_shape: [17, 3]'")
    return value


def _lines(text: str) -> Iterator[Line]:
    """Yield the lines that say something; brackets that stay open join lines."""
    joined, begun = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COMMENT.sub("", raw).rstrip()
        if not line.strip() or line.strip() == "---":
            continue
        joined, begun = (f"{joined} {line.strip()}", begun) if joined else (line, number)
        if joined.count("[") <= joined.count("]") and joined.count("{") <= joined.count("}"):
            yield begun, len(joined) - len(joined.lstrip()), joined.strip()
            joined = ""
    if joined:
        yield begun, len(joined) - len(joined.lstrip()), joined.strip()


def _block(lines: list[Line], indent: int) -> tuple[Any, list[Line]]:
    """Return the value of the lines at `indent`, and the lines after it."""
    if lines and lines[0][1] == indent and (lines[0][2] + " ").startswith("- "):
        return _items(lines, indent)
    found: dict[str, Any] = {}
    while lines and lines[0][1] == indent:
        number, _, text = lines[0]
        match = _KEY.match(text)
        if not match:
            raise ValueError(f"line {number}: expected 'key: value', got {text!r}")
        key = str(_scalar(match["key"]))
        if key in found:
            raise ValueError(f"line {number}: {key!r} is given twice")
        found[key], lines = _value(text[match.end() :], lines, indent)
    return found, lines


def _value(text: str, lines: list[Line], indent: int) -> tuple[Any, list[Line]]:
    if text:
        return _inline(text), lines[1:]
    rest = lines[1:]
    nested = rest and (rest[0][1] > indent or (rest[0][2] + " ").startswith("- "))
    return _block(rest, rest[0][1]) if nested and rest[0][1] >= indent else (None, rest)


def _items(lines: list[Line], indent: int) -> tuple[list[Any], list[Line]]:
    found = []
    while lines and lines[0][1] == indent and (lines[0][2] + " ").startswith("- "):
        text = lines[0][2][1:].strip()
        if not text or _KEY.match(text):
            raise ValueError(f"line {lines[0][0]}: lists of texts and numbers only")
        found.append(_inline(text))
        lines = lines[1:]
    return found, lines


def _inline(text: str) -> Any:
    if text[0] == "[" and text[-1] == "]":
        return [_scalar(part) for part in text[1:-1].split(",") if part.strip()]
    if text[0] == "{" and text[-1] == "}":
        pairs = [part.partition(":") for part in text[1:-1].split(",") if part.strip()]
        return {str(_scalar(key)): _scalar(value) for key, _, value in pairs}
    return _scalar(text)


def _scalar(text: str) -> Any:
    text = text.strip()
    if not text:
        return None
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text[0] in "[{&*!|>%@`":
        raise ValueError(f"{text!r}: only plain values and one level of [ ] or {{ }}")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
