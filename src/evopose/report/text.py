"""Numbers as people read them. A missing number is an empty text, never a made-up one."""

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 4) -> str:
    """Return `value` with so many significant digits.

    >>> number(0.512), number(None), number(float("nan"))
    ('0.5120', '', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    return format(value, f"#.{digits}g").rstrip(".")


def count(value: float | None) -> str:
    """Return a count of parameters or multiply-adds in thousands, millions or billions.

    >>> count(266_481), count(14_900_000), count(1_070_000_000), count(830)
    ('0.266 M', '14.9 M', '1.07 G', '830')
    """
    if value is None:
        return ""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= 0.1 * size:
            return f"{number(value / size, 3)} {unit}"
    return f"{number(value / 1e3, 3)} k" if value >= 1e3 else f"{value:.0f}"


def signed(value: float | None) -> str:
    """Return a difference of three significant digits with its sign.

    >>> signed(-0.01234), signed(0.5), signed(0.0000189), signed(0.0)
    ('\u22120.0123', '+0.500', '+0.0000189', '0')
    """
    if value is None or not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{'+' if value > 0 else MINUS}{abs(value):.{places}f}"


def percent(share: float | None) -> str:
    """Return a share as percent.

    >>> percent(0.0421), percent(0.5), percent(1.0), percent(None)
    ('4.2 %', '50 %', '100 %', '')
    """
    if share is None:
        return ""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units.

    >>> duration(42.3), duration(250), duration(7384), duration(None)
    ('42 s', '4 min 10 s', '2 h 03 min', '')
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def plural(quantity: int, noun: str, several: str = "") -> str:
    """Return a quantity with its noun.

    >>> plural(1, "child", "children"), plural(3, "generation"), plural(12_000, "run")
    ('1 child', '3 generations', '12,000 runs')
    """
    return f"{quantity:,} {noun if quantity == 1 else several or noun + 's'}"


def chart(values: Sequence[float], *, width: int, height: int) -> list[str]:
    """Return the last `width` values as bars of so many lines, the lowest value an eighth high.

    >>> chart([3.0, 2.0, 1.0, 1.0], width=4, height=1)
    ['█▅▁▁']
    >>> chart([], width=4, height=2)
    ['', '']
    """
    shown = [value for value in values if math.isfinite(value)][-width:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    most = 8 * height
    span = high - low
    levels = [1 + round((most - 1) * (v - low) / span) if span else 1 for v in shown]
    return [
        "".join(_BLOCKS[min(8, max(0, level - 8 * row))] for level in levels)
        for row in reversed(range(height))
    ]


_BLOCKS = " ▁▂▃▄▅▆▇█"
