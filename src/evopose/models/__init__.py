"""Networks by name. Importing this package loads no torch; building a network does."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evopose.errors import ConfigError, ModelError
from evopose.genotype import GENOTYPES, Genotype

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One line of `MODELS`."""

    summary: str
    build: "Callable[..., nn.Module]"
    """Takes input_hw, num_keypoints, genotype, seed and the architecture's own options."""
    input_hw: tuple[int, int]
    """The input size of the published network."""
    genotype: Genotype | None = None
    """None: the caller must give one."""


def _evopose2d(*, genotype: Genotype, seed: int, **options: Any) -> "nn.Module":
    from evopose.models.evopose2d import build_evopose2d
    from evopose.models.evopose2d_plan import EvoPose2DConfig

    return build_evopose2d(EvoPose2DConfig(genotype=genotype, **options), seed=seed)


def _named(summary: str, genotype: str, input_hw: tuple[int, int]) -> ModelEntry:
    return ModelEntry(
        summary=summary, build=_evopose2d, input_hw=input_hw, genotype=GENOTYPES[genotype]
    )


MODELS: dict[str, ModelEntry] = {
    "evopose2d": ModelEntry(
        summary="EvoPose2D of any genotype (--genotype)", build=_evopose2d, input_hw=(256, 192)
    ),
    "evopose2d-xs": _named("EvoPose2D-XS of the paper", "evopose2d-xs", (256, 192)),
    "evopose2d-s": _named("EvoPose2D-S of the paper", "evopose2d-s", (256, 192)),
    "evopose2d-m": _named("EvoPose2D-M: S, scaled to its input", "evopose2d-s", (384, 288)),
    "evopose2d-l": _named("EvoPose2D-L: S, scaled to its input", "evopose2d-s", (512, 384)),
    "efficientnet-b0": _named(
        "the paper's ancestor: the trunk of EfficientNet-B0", "efficientnet-b0", (256, 192)
    ),
    "narrow": _named("a laptop's ancestor: that trunk, narrow, stride 16", "narrow", (256, 192)),
}
"""Every network that can be built, by name."""


def split_name(name: str) -> tuple[str, tuple[int, int] | None]:
    """Return the table's name and the input size of `name` or its alias `NAME-HxW`.

    >>> split_name("evopose2d-s-256x192")
    ('evopose2d-s', (256, 192))

    Raises: ModelError for a name that is not in `MODELS`, naming those that are.
    """
    match = re.fullmatch(r"(.+)-(\d+)x(\d+)", name)
    base, size = (match[1], (int(match[2]), int(match[3]))) if match else (name, None)
    if base not in MODELS:
        raise ModelError(f"no network is called {name!r}; there are {', '.join(MODELS)}")
    return base, size


def build_model(
    name: str,
    *,
    input_hw: tuple[int, int] | None = None,
    num_keypoints: int = 17,
    genotype: Genotype | None = None,
    seed: int = 0,
    **options: Any,
) -> "nn.Module":
    """Return a freshly initialised network: images (N, 3, H, W) -> heatmaps (N, K, h, w).

    `input_hw` is the published size unless given here or in the name (`evopose2d-s-256x192`).
    `options` are those of the architecture, for EvoPose2D the fields of `EvoPose2DConfig`.

    Raises: ModelError for an unknown name, ConfigError for options that cannot be built.
    """
    base, named_hw = split_name(name)
    entry = MODELS[base]
    if input_hw and named_hw and tuple(input_hw) != named_hw:
        raise ConfigError(f"{name} names another input size than {input_hw[0]}x{input_hw[1]}")
    if genotype and entry.genotype:
        raise ConfigError(f"{base} has a genotype of its own; use evopose2d to give another")
    genotype = genotype or entry.genotype
    size = input_hw or named_hw
    if size and genotype and (own := genotype.network.input_hw) and tuple(size) != own:
        raise ConfigError(
            f"the genotype has its input size as a gene, {own[0]}x{own[1]}; it cannot take "
            f"{size[0]}x{size[1]}: leave the size out, or take the gene out of the genotype"
        )
    if genotype is None:
        raise ConfigError(f"{base} needs a genotype: [[kernel, repeats, filters / 8, stride], ...]")
    try:
        return entry.build(
            genotype=genotype,
            input_hw=tuple(input_hw or named_hw or entry.input_hw),
            num_keypoints=num_keypoints,
            seed=seed,
            **options,
        )
    except TypeError as error:
        raise ConfigError(f"{base} cannot be built: {error}") from error
