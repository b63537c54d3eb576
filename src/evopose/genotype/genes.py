"""The genes: four of the paper for each stage, three more that a stage may have, and five of the
whole network. Each is one field here; what has no value is left to the network's configuration."""

import re
from dataclasses import dataclass
from functools import cached_property

from evopose.errors import ConfigError

GeneValue = int | float | str

GENES = ("kernel", "repeats", "filters", "stride")
"""The genes that every stage has: the paper's."""
EXTRA_GENES = ("expand_ratio", "se_ratio", "activation")
"""The genes that a stage may have besides."""
STAGE_GENES = (*GENES, *EXTRA_GENES)
NETWORK_GENES = ("stem_channels", "head_channels", "head_blocks", "head_activation", "input_size")
"""The genes that a network may have as a whole."""

ACTIVATIONS = ("silu", "relu", "hardswish")
"""Names of activations; `evopose.models.layers.ACTIVATIONS` computes them."""


@dataclass(frozen=True)
class Stage:
    """The genes of one stage.

    >>> Stage(kernel=3, repeats=2, filters=3, stride=2).channels
    24
    """

    kernel: int
    """Side of the depthwise kernels, odd, at least 3."""
    repeats: int
    """Number of blocks before depth scaling, at least 1."""
    filters: int
    """Output channels before width scaling, in units of eight."""
    stride: int
    """Stride of the first block: 1 or 2."""
    expand_ratio: int | None = None
    """Channels of the depthwise convolutions over those that a block reads; at 1 there is no
    expanding convolution. None: 1 in the first stage, the configuration's in the others."""
    se_ratio: float | None = None
    """Hidden units of squeeze-excite over the channels that a block reads."""
    activation: str | None = None
    """A name in `ACTIVATIONS`; the first stage's is the stem's, too."""

    def __post_init__(self) -> None:
        for gene in GENES:
            _require_count(gene, getattr(self, gene))
        if self.kernel % 2 == 0 or self.kernel < 3:
            raise ConfigError(f"gene kernel must be odd and at least 3, got {self.kernel}")
        if self.stride > 2:
            raise ConfigError(f"gene stride must be 1 or 2, got {self.stride}")
        if self.expand_ratio is not None:
            _require_count("expand_ratio", self.expand_ratio)
        if self.se_ratio is not None:
            object.__setattr__(self, "se_ratio", _share("se_ratio", self.se_ratio))
        _require_activation("activation", self.activation)

    @property
    def channels(self) -> int:
        """Output channels before width scaling."""
        return 8 * self.filters

    @cached_property
    def is_wide(self) -> bool:
        """Whether it has genes beyond the paper's four."""
        return any(getattr(self, gene) is not None for gene in EXTRA_GENES)


@dataclass(frozen=True)
class NetworkGenes:
    """The genes of the whole network; None where the configuration decides."""

    stem_channels: int | None = None
    """Before width scaling."""
    head_channels: int | None = None
    """Of each transposed convolution, before width scaling."""
    head_blocks: int | None = None
    """Transposed convolutions; each doubles the resolution."""
    head_activation: str | None = None
    """A name in `ACTIVATIONS`."""
    input_size: str | None = None
    """Height and width of the input in pixels, like "96x64"."""

    def __post_init__(self) -> None:
        for gene in ("stem_channels", "head_channels", "head_blocks"):
            if (value := getattr(self, gene)) is not None:
                _require_count(gene, value)
        _require_activation("head_activation", self.head_activation)
        if self.input_size is not None:
            object.__setattr__(self, "input_size", size_text(self.input_size))

    @property
    def given(self) -> dict[str, GeneValue]:
        """The genes that have a value, in the order of `NETWORK_GENES`."""
        found = {name: getattr(self, name) for name in NETWORK_GENES}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def input_hw(self) -> tuple[int, int] | None:
        """Height and width that `input_size` says."""
        return None if self.input_size is None else size_hw(self.input_size)


def size_hw(text: object) -> tuple[int, int]:
    """Return (height, width) of a text like "96x64". Raises: ConfigError if it is none."""
    if not isinstance(text, str) or not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise ConfigError(f'gene input_size must be like "96x64", height first, got {text!r}')
    return int(match[1]), int(match[2])


def size_text(value: object) -> str:
    """Return an input size as text; it may come as text, as [height, width], or as one side.

    >>> size_text([96, 64]), size_text(64)
    ('96x64', '64x64')
    """
    sides = value if isinstance(value, list | tuple) else (value, value)
    if not isinstance(value, str) and len(sides) == 2 and all(type(s) is int for s in sides):
        value = f"{sides[0]}x{sides[1]}"
    height, width = size_hw(value)
    return f"{height}x{width}"


def rank(gene: str, value: GeneValue) -> float | None:
    """Return a number by which the values of a gene are larger or smaller; None for names."""
    if gene == "input_size":
        height, width = size_hw(str(value))
        return height * width
    return None if isinstance(value, str) else value


def spoken(gene: str) -> str:
    """Return a gene's name in words.

    >>> spoken("head_channels"), spoken("se_ratio")
    ('head channels', 'SE ratio')
    """
    return gene.replace("se_ratio", "SE ratio").replace("_", " ")


def _require_count(gene: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"gene {gene} must be a positive integer, got {value!r}")


def _share(gene: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"gene {gene} must be above 0 and at most 1, got {value!r}")
    return float(value)


def _require_activation(gene: str, value: object) -> None:
    if value is not None and value not in ACTIVATIONS:
        raise ConfigError(f"gene {gene} must be one of {', '.join(ACTIVATIONS)}, got {value!r}")
