"""What scenes are drawn of."""

from dataclasses import dataclass

from evopose.data.synthetic.draw import NOBODY, PARTS
from evopose.errors import ConfigError

MOST_PERSONS = NOBODY // PARTS


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What scenes are drawn of.

    Raises: ConfigError for empty ranges, shares outside 0 to 1, too many persons.
    """

    height: tuple[int, int] = (160, 256)
    width: tuple[int, int] = (128, 256)
    """Least and largest size of the images in pixels."""
    persons: tuple[int, int] = (1, 4)
    """Least and largest number of persons; fewer are likelier than more."""
    groups: float = 0.4
    """Share of scenes of several persons in which they stand close, hide and embrace each other."""
    acrobatics: float = 0.2
    """Share of persons who tumble, climb, hang, lie, or stand on their hands."""
    things: float = 0.3
    """Share of persons with a thing in their hands, on their back or under their feet."""
    occluders: float = 0.25
    """Share of scenes with something before a person."""
    cropped: float = 0.4
    """Share of persons so near that the image cuts them."""
    degraded: float = 0.5
    """Share of scenes with blur, or with compression like a bad JPEG's."""

    def __post_init__(self) -> None:
        for name, least in (("height", 32), ("width", 32), ("persons", 1)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ConfigError(
                    f"{name} must be (low, high), {least} <= low <= high; got {low, high}"
                )
        if self.persons[1] > MOST_PERSONS:
            raise ConfigError(
                f"a scene holds {MOST_PERSONS} persons at most, got {self.persons[1]}"
            )
        for name in ("groups", "acrobatics", "things", "occluders", "cropped", "degraded"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")
