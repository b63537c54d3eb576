"""Postures made by hand: of everyday life and of acrobats, each with arms that go with it.

Angles in degrees, anatomical and the same for left and right: (flex, twist, spread), where flex
moves a limb forward (a knee backward), twist turns it outward, spread lifts it sideways.
"""

from dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Stance:
    """One posture of legs and trunk; a mirrored one is drawn as often."""

    weight: float
    thighs: tuple[Triple, Triple]
    """Left and right, from the vertical however the trunk leans."""
    knees: tuple[float, float]
    ankles: tuple[float, float] = (0.0, 0.0)
    lean: float = 0.0
    """Of the trunk, forward."""
    arms: tuple[tuple[str, str], ...] = ()
    """Pairs (left, right) from `ARMS` that go with it; most draws take one of them."""
    support: str = "ground"
    """What carries the person: ground, seat, air, or a bar in the hands."""
    spread: float = 1.0
    """Scale of the variation of the joint angles."""
    flip: tuple[float, float] = (0.0, 0.0)
    """Range of the turn of the whole body, head forward and over."""
    wheel: tuple[float, float] = (0.0, 0.0)
    """Range of the turn of the whole body sideways, as in a cartwheel."""


STANCES: dict[str, Stance] = {
    "stand": Stance(weight=26, thighs=((2, 8, 4), (2, 8, 4)), knees=(4, 4)),
    "rest": Stance(weight=12, thighs=((0, 5, 3), (16, 14, 8)), knees=(2, 24)),
    "wide": Stance(weight=8, thighs=((2, 12, 17), (2, 12, 17)), knees=(5, 5)),
    "walk": Stance(
        weight=15, thighs=((25, 3, 2), (-17, 3, 2)), knees=(8, 24), ankles=(5, -12), lean=3,
        arms=(("back", "front"),),
    ),
    "run": Stance(
        weight=7, thighs=((58, 0, 3), (-22, 0, 3)), knees=(75, 55), ankles=(0, -25), lean=13,
        arms=(("run back", "run front"),), support="air",
    ),
    "lunge": Stance(weight=4, thighs=((70, 6, 8), (-20, 0, 6)), knees=(75, 25), lean=10),
    "sit": Stance(
        weight=9, thighs=((86, 8, 9), (86, 8, 9)), knees=(84, 84), lean=-3, support="seat",
        arms=(("on knee", "on knee"), ("hold", "hold"), ("on knee", "drink")),
    ),
    "sit low": Stance(
        weight=2, thighs=((98, 12, 16), (98, 12, 16)), knees=(60, 60), lean=-8,
        arms=(("hold", "hold"), ("back", "back")),
    ),
    "crouch": Stance(
        weight=4, thighs=((100, 12, 18), (100, 12, 18)), knees=(125, 125), ankles=(25, 25),
        lean=25, arms=(("hold", "hold"), ("reach", "reach")),
    ),
    "ready": Stance(
        weight=6, thighs=((45, 10, 18), (45, 10, 18)), knees=(65, 65), ankles=(18, 18), lean=28,
        arms=(("hold", "hold"), ("reach", "throw")),
    ),
    "bend": Stance(
        weight=3, thighs=((2, 6, 8), (2, 6, 8)), knees=(10, 10), lean=60,
        arms=(("reach", "reach"), ("hang", "reach")),
    ),
    "jump": Stance(
        weight=4, thighs=((35, 5, 12), (10, 5, 12)), knees=(65, 55), ankles=(-30, -30),
        arms=(("raise", "raise"), ("side", "side")), support="air", spread=1.6,
    ),
    "kick": Stance(
        weight=4, thighs=((65, 0, 6), (-4, 5, 6)), knees=(18, 12), lean=-10,
        arms=(("back", "side"), ("side", "side")), spread=1.3,
    ),
    "kneel": Stance(weight=2, thighs=((82, 5, 8), (2, 0, 6)), knees=(88, 92), ankles=(0, -30)),
}  # fmt: skip

ACROBATICS: dict[str, Stance] = {
    "handstand": Stance(
        weight=8, thighs=((0, 4, 4), (0, 4, 4)), knees=(4, 4), ankles=(-35, -35), flip=(155, 205),
        arms=(("overhead", "overhead"),), spread=1.3,
    ),
    "split handstand": Stance(
        weight=6, thighs=((55, 4, 6), (-28, 4, 6)), knees=(15, 35), flip=(150, 210),
        arms=(("overhead", "overhead"), ("overhead", "raise")), spread=1.6,
    ),
    "cartwheel": Stance(
        weight=7, thighs=((8, 12, 45), (8, 12, 45)), knees=(6, 6), wheel=(60, 300),
        arms=(("raise", "raise"), ("raise", "side")), support="air", spread=1.4,
    ),
    "tuck": Stance(
        weight=8, thighs=((118, 5, 8), (118, 5, 8)), knees=(120, 120), lean=20, flip=(0, 360),
        arms=(("hold", "hold"), ("reach", "reach")), support="air", spread=1.4,
    ),
    "pike": Stance(
        weight=4, thighs=((115, 2, 5), (115, 2, 5)), knees=(8, 8), lean=20, flip=(0, 360),
        arms=(("reach", "reach"), ("overhead", "overhead")), support="air", spread=1.3,
    ),
    "layout": Stance(
        weight=7, thighs=((-6, 2, 4), (-6, 2, 4)), knees=(10, 10), ankles=(-30, -30), lean=-6,
        flip=(0, 360), wheel=(-20, 20), support="air", spread=1.6,
    ),
    "bridge": Stance(
        weight=3, thighs=((-30, 6, 12), (-30, 6, 12)), knees=(65, 65), lean=-35, flip=(-130, -70),
        arms=(("overhead", "overhead"),),
    ),
    "leap": Stance(
        weight=7, thighs=((82, 0, 6), (-34, 0, 6)), knees=(8, 20), ankles=(-30, -30),
        arms=(("side", "side"), ("raise", "side"), ("reach", "side")), support="air", spread=1.6,
        flip=(-25, 35),
    ),
    "straddle": Stance(
        weight=4, thighs=((70, 25, 62), (70, 25, 62)), knees=(6, 6), lean=15, flip=(-30, 60),
        arms=(("reach", "reach"), ("side", "side")), support="air", spread=1.4,
    ),
    "hang": Stance(
        weight=5, thighs=((8, 4, 5), (8, 4, 5)), knees=(15, 25), arms=(("overhead", "overhead"),),
        support="bar", spread=1.5,
    ),
    "swing": Stance(
        weight=4, thighs=((75, 4, 6), (75, 4, 6)), knees=(40, 40), flip=(-60, 60),
        arms=(("overhead", "overhead"),), support="bar", spread=1.8,
    ),
    "climb": Stance(
        weight=7, thighs=((92, 35, 30), (12, 20, 15)), knees=(105, 25), lean=8,
        arms=(("overhead", "hold"), ("overhead", "raise"), ("raise", "hold")), spread=1.6,
    ),
    "vault": Stance(
        weight=7, thighs=((95, 10, 25), (70, 10, 20)), knees=(95, 60), lean=30, wheel=(-75, 75),
        arms=(("hang", "side"), ("reach", "raise"), ("back", "reach")), support="air", spread=1.7,
    ),
    "plank": Stance(
        weight=3, thighs=((0, 4, 5), (0, 4, 5)), knees=(5, 5), flip=(70, 95),
        arms=(("reach", "reach"),),
    ),
    "crawl": Stance(
        weight=4, thighs=((12, 4, 6), (-8, 4, 6)), knees=(80, 95), ankles=(-25, -25), lean=75,
        arms=(("reach", "reach"),), spread=1.3,
    ),
    "lie": Stance(
        weight=6, thighs=((12, 6, 8), (25, 6, 8)), knees=(20, 40), flip=(-100, -80), spread=1.8,
    ),
    "lie on the side": Stance(
        weight=3, thighs=((30, 6, 8), (15, 6, 8)), knees=(50, 25), wheel=(75, 105), spread=1.6,
    ),
    "dive": Stance(
        weight=5, thighs=((-8, 2, 5), (-8, 2, 5)), knees=(18, 12), lean=-8, flip=(50, 150),
        arms=(("overhead", "overhead"), ("reach", "reach"), ("side", "side")), support="air",
        spread=1.5,
    ),
    "high kick": Stance(
        weight=4, thighs=((118, 0, 15), (-6, 8, 6)), knees=(10, 10), lean=-12,
        arms=(("side", "side"), ("back", "raise")), spread=1.5,
    ),
}  # fmt: skip
"""What gymnasts, climbers, divers and free runners do."""

ARMS: dict[str, tuple[float, Triple, float]] = {
    "hang": (30, (3, -12, 8), 12),
    "front": (5, (28, -12, 6), 30),
    "back": (5, (-24, -6, 9), 22),
    "run front": (0, (45, -22, 8), 95),
    "run back": (0, (-42, -10, 14), 85),
    "hip": (7, (-14, -62, 42), 98),
    "raise": (3, (0, 25, 150), 28),
    "wave": (3, (5, 80, 80), 85),
    "drink": (5, (38, -22, 14), 125),
    "reach": (7, (75, -8, 8), 22),
    "side": (3, (4, 5, 82), 15),
    "cross": (5, (24, -62, 6), 98),
    "hold": (16, (22, -32, 9), 85),
    "throw": (2, (15, 75, 95), 95),
    "on head": (2, (12, 80, 128), 122),
    "on knee": (2, (34, -14, 8), 42),
    "overhead": (2, (160, 0, 10), 25),
}
"""Name -> weight, (flex, twist, spread) of the upper arm, bend of the elbow."""
