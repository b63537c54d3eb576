"""Networks by name. Importing this package loads no torch; building a network does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evopose.errors import ConfigError, ModelError
from evopose.genotype import GENOTYPES, Genotype
from evopose.models.architectures import build_network

if TYPE_CHECKING:
    from evopose.models.network import PoseNetwork


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One line of `MODELS`."""

    summary: str
    architecture: str
    """A name in `ARCHITECTURES`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the architecture, to which a caller may add others."""
    input_hw: tuple[int, int] = (256, 192)
    """The input size of the published network, the smallest of them."""
    genotype: Genotype | None = None
    """For EvoPose2D; None: the caller must give one."""
    recipe: str = "paper"
    """The recipe that the network was published with: a name in `TRAIN_RECIPES`."""


def _evopose2d(
    summary: str,
    genotype: str | None,
    input_hw: tuple[int, int] = (256, 192),
    recipe: str = "paper",
) -> ModelEntry:
    return ModelEntry(
        summary=summary,
        architecture="evopose2d",
        recipe=recipe,
        input_hw=input_hw,
        genotype=GENOTYPES[genotype] if genotype else None,
    )


def _other(
    summary: str,
    architecture: str,
    recipe: str,
    input_hw: tuple[int, int] = (256, 192),
    **options: Any,
) -> ModelEntry:
    return ModelEntry(
        summary=summary,
        architecture=architecture,
        recipe=recipe,
        input_hw=input_hw,
        options=options,
    )


MODELS: dict[str, ModelEntry] = {
    "evopose2d": _evopose2d("EvoPose2D of any genotype (--genotype)", None),
    "evopose2d-xs": _evopose2d("EvoPose2D-XS of the paper", "evopose2d-xs"),
    "evopose2d-s": _evopose2d("EvoPose2D-S of the paper", "evopose2d-s"),
    "evopose2d-m": _evopose2d("EvoPose2D-M: S, scaled to its input", "evopose2d-s", (384, 288)),
    "evopose2d-l": _evopose2d("EvoPose2D-L: S, scaled to its input", "evopose2d-s", (512, 384)),
    "efficientnet-b0": _evopose2d(
        "the paper's ancestor: the trunk of EfficientNet-B0", "efficientnet-b0"
    ),
    "narrow": _evopose2d(
        "a laptop's ancestor: that trunk, narrow, stride 16", "narrow", recipe="small"
    ),
    "simple-baseline-r50": _other(
        "SimpleBaseline, ResNet-50", "simple_baseline", "simple-baseline", depth=50
    ),
    "simple-baseline-r101": _other(
        "SimpleBaseline, ResNet-101", "simple_baseline", "simple-baseline", depth=101
    ),
    "simple-baseline-r152": _other(
        "SimpleBaseline, ResNet-152", "simple_baseline", "simple-baseline", depth=152
    ),
    "hrnet-w32": _other("HRNet, 32 channels at the finest", "hrnet", "hrnet", width=32),
    "hrnet-w48": _other("HRNet, 48 channels at the finest", "hrnet", "hrnet", width=48),
    "cpn-r50": _other("CPN on ResNet-50", "cpn", "cpn", depth=50),
    "cpn-r101": _other("CPN on ResNet-101", "cpn", "cpn", (384, 288), depth=101),
    "cpn-inception-resnet": _other(
        "CPN on Inception-ResNet-v2", "cpn", "cpn", (384, 288), depth="inception-resnet-v2"
    ),
    "mspn-1x": _other("MSPN of one stage, ResNet-50", "mspn", "mspn", stages=1),
    "mspn-2x": _other("MSPN of two stages", "mspn", "mspn", stages=2),
    "mspn-3x": _other("MSPN of three stages", "mspn", "mspn", stages=3),
    "mspn-4x": _other("MSPN of four stages", "mspn", "mspn", stages=4),
    "posefix-r50": _other("PoseFix, ResNet-50: refines poses", "posefix", "posefix", depth=50),
    "posefix-r152": _other(
        "PoseFix, ResNet-152: refines poses", "posefix", "posefix", (256, 192), depth=152
    ),
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
    outline: bool = False,
    **options: Any,
) -> "PoseNetwork":
    """Return a freshly initialised network: images (N, 3, H, W) -> heatmaps (N, K, h, w).

    `input_hw` is the published size unless given here or in the name (`evopose2d-s-256x192`).
    `options` are those of the architecture: the fields of its configuration, say
    `stride_on_1x1=False` for SimpleBaseline in torchvision's form. With `outline` the weights are
    only shapes, to be counted.

    Raises: ModelError for an unknown name, ConfigError for options that cannot be built.
    """
    base, named_hw = split_name(name)
    entry = MODELS[base]
    if input_hw and named_hw and tuple(input_hw) != named_hw:
        raise ConfigError(f"{name} names another input size than {input_hw[0]}x{input_hw[1]}")
    size = input_hw or named_hw
    chosen = _genotype(base, entry, genotype, size)
    try:
        return build_network(
            entry.architecture,
            input_hw=size or entry.input_hw,
            num_keypoints=num_keypoints,
            genotype=chosen,
            options={**entry.options, **options},
            seed=seed,
            outline=outline,
        )
    except (TypeError, ModelError) as error:
        raise ConfigError(f"{base} cannot be built: {error}") from error


def _genotype(
    base: str, entry: ModelEntry, given: Genotype | None, size: tuple[int, int] | None
) -> Genotype | None:
    """Return the genotype that `given` and the table make; raise ConfigError where they disagree
    with each other or with the size."""
    if given and (entry.genotype or entry.architecture != "evopose2d"):
        what = "has a genotype of its own" if entry.genotype else "has no genotype"
        raise ConfigError(f"{base} {what}; use evopose2d to give another")
    genotype = given or entry.genotype
    if genotype is None and entry.architecture == "evopose2d":
        raise ConfigError(f"{base} needs a genotype: [[kernel, repeats, filters / 8, stride], ...]")
    if size and genotype and (own := genotype.network.input_hw) and tuple(size) != own:
        raise ConfigError(
            f"the genotype has its input size as a gene, {own[0]}x{own[1]}; it cannot take "
            f"{size[0]}x{size[1]}: leave the size out, or take the gene out of the genotype"
        )
    return genotype
