"""What a person wears and looks like: skin, hair and clothes."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from evopose.data.synthetic.body import Array, Build

T = TypeVar("T")

SKINS = np.array([
    (246, 215, 194), (238, 196, 168), (227, 178, 145), (211, 160, 122), (190, 136, 98),
    (160, 108, 74), (124, 80, 54), (92, 60, 42), (70, 46, 34),
], dtype=float)  # fmt: skip
HAIRS = np.array([
    (28, 22, 20), (42, 30, 24), (66, 44, 30), (98, 66, 40), (140, 100, 60), (196, 158, 102),
    (224, 196, 146), (150, 70, 36), (150, 148, 146), (206, 204, 200),
], dtype=float)  # fmt: skip
NEUTRALS = np.array([
    (28, 28, 32), (52, 54, 60), (96, 98, 102), (160, 160, 160), (228, 228, 226), (240, 236, 224),
    (30, 40, 72), (52, 74, 116), (84, 112, 156), (120, 96, 70), (178, 154, 118), (74, 82, 56),
], dtype=float)  # fmt: skip

_STYLES: dict[bool, tuple[str, ...]] = {
    False: ("short", "short", "short", "short", "fringe", "fringe", "thin", "none", "tail"),
    True: ("long", "long", "bob", "bob", "tail", "tail", "short", "fringe", "veil"),
}
_PATTERNS = ("plain",) * 9 + ("bands", "bands", "pinstripe", "check", "yoke", "print", "print")


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """One person's looks. Colours are RGB (3,) from 0 to 255; lengths count limbs, as
    `Template.along` does."""

    skin: Array
    hair: Array
    hair_style: str
    headwear: Array | None
    """Colour of a hat or veil."""
    brim: bool
    beard: bool
    glasses: bool
    top: Array
    top_second: Array
    pattern: str
    sleeve: float
    jacket: Array | None
    """Colour of an open jacket over the top."""
    legs: Array
    leg_length: float
    looseness: tuple[float, float]
    """What the cloth of top and trousers adds to the half widths."""
    grain: float
    """How much the brightness of cloth varies from patch to patch: folds and wear."""
    side_stripe: bool
    belt: bool
    shoes: Array
    soles: Array
    socks: Array | None
    tail: int
    """Rows of the hips under a shirt that is not tucked in."""
    skirt: float
    """Length of a skirt below the hips in thighs; 0: none."""
    skirt_colour: Array
    neckline: int
    """Rows of the trunk left bare."""


def sample_outfit(rng: np.random.Generator, build: Build) -> Outfit:
    """Return clothes and looks for one person."""
    u = rng.random(20)
    style = _pick(_STYLES[build.feminine], u[0])
    top, legs = sample_cloth(rng), sample_cloth(rng) if u[1] < 0.3 else _neutral(rng)
    dress = bool(build.feminine and u[2] < 0.14)
    skirt = bool(build.feminine and 0.14 <= u[2] < 0.30)
    length = 0.45 + 0.8 * u[3]
    skin = SKINS[int(u[4] * len(SKINS))] * (0.95 + 0.1 * rng.random(3))
    grey = 8 if u[5] < 0.12 else int(u[6] * 8)
    hair = HAIRS[grey if skin[0] > 165 else int(u[6] * 3)]
    bare = bool(not build.feminine and u[12] < 0.09)
    tight = bool(u[13] > 0.9 and not skirt and not dress)
    trousers = _pick((2.05, 2.05, 1.95, 1.6, 1.0, 0.8, 0.55), u[7])
    return Outfit(
        skin=skin,
        hair=hair,
        hair_style=style,
        headwear=sample_cloth(rng) if style == "veil" or u[8] < 0.14 else None,
        brim=bool(style != "veil" and u[8] < 0.09),
        beard=not build.feminine and build.stature > 0.85 and u[9] < 0.3,
        glasses=bool(u[10] < 0.13),
        top=skin if bare else top,
        top_second=sample_cloth(rng),
        pattern="plain" if bare else _pick(_PATTERNS, u[11]),
        sleeve=_pick((-1.0, 0.45, 0.55, 0.65, 1.5, 1.95, 2.05, 2.05), u[12]),
        jacket=_neutral(rng) if u[13] < 0.16 else None,
        legs=top if tight else legs,
        leg_length=0.0 if dress or (skirt and u[14] < 0.7) or (tight and u[7] < 0.5) else trousers,
        looseness=(0.0, 0.0) if tight else (0.002 + 0.009 * u[15], 0.001 + 0.014 * u[16] ** 2),
        grain=0.012 if bare else 0.012 + 0.07 * u[9] ** 2,
        side_stripe=bool(u[14] > 0.88),
        belt=bool(u[17] < 0.3),
        shoes=skin if u[18] > 0.86 else sample_cloth(rng) if u[18] < 0.4 else _neutral(rng),
        soles=skin if u[18] > 0.86 else NEUTRALS[4 if u[18] < 0.6 else 1],
        socks=_neutral(rng) if u[19] < 0.6 else None,
        tail=0 if skirt or tight or bare or u[17] < 0.3 else int(1 + 3 * u[3]),
        skirt=length if dress or skirt else 0.0,
        skirt_colour=legs if skirt else top,
        neckline=_pick((2, 3, 3, 4, 5), u[5]) if build.feminine else _pick((2, 3, 3), u[5]),
    )


def _pick(values: tuple[T, ...], u: float) -> T:
    return values[int(u * len(values))]


def _neutral(rng: np.random.Generator) -> Array:
    row = NEUTRALS[int(rng.random() * len(NEUTRALS))]
    return np.asarray((row + 10 * rng.standard_normal(3)).clip(8, 248))


def sample_cloth(rng: np.random.Generator) -> Array:
    """Return a colour: a neutral one, or any hue."""
    if rng.random() < 0.4:
        return _neutral(rng)
    hue, saturation, value = rng.random() * 6, 0.35 + 0.6 * rng.random(), 60 + 190 * rng.random()
    wheel = (np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1).clip(0, 1)
    return np.asarray(value * (1 - saturation * (1 - wheel)))
