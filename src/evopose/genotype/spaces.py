"""Genotypes and search spaces by name."""

from typing import Any

from evopose.genotype.genotype import Genotype
from evopose.genotype.space import Gene, SearchSpace

GENOTYPES: dict[str, Genotype] = {
    "efficientnet-b0": Genotype.from_list(
        [[3, 1, 2, 1], [3, 2, 3, 2], [5, 2, 5, 2], [3, 3, 10, 2], [5, 3, 14, 1], [5, 4, 24, 2],
         [3, 1, 40, 1]]
    ),
    "evopose2d-xs": Genotype.from_list(
        [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 2],
         [3, 2, 10, 1]]
    ),
    "evopose2d-s": Genotype.from_list(
        [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 1],
         [3, 2, 10, 1]]
    ),
    "narrow": Genotype.from_list(
        [[3, 1, 1, 1], [3, 2, 2, 2], [5, 2, 2, 2], [3, 3, 4, 2], [5, 2, 5, 1], [5, 2, 6, 1],
         [3, 1, 6, 1]]
    ),
}  # fmt: skip
"""Genotypes by name: the paper's ancestor (the trunk of EfficientNet-B0), its results XS and S (M
and L are S, scaled to their input), and `narrow`, a laptop's ancestor with one stride fewer."""


def _space(
    name: str,
    ancestor: Genotype,
    *,
    widest: tuple[int, ...],
    filter_step: int | None,
    kernels: Gene | None = None,
    extra: tuple[dict[str, Gene], ...] = (),
    **more: Any,
) -> SearchSpace:
    stages = []
    for number, (stage, top) in enumerate(zip(ancestor.stages, widest, strict=True), 1):
        strides = (1, 2) if number >= 5 else (stage.stride,)
        stages.append(
            {
                "kernel": kernels or Gene(values=(3, 5)),
                "repeats": Gene(values=(1, 2, 3, 4), max_step=1),
                "filters": Gene(values=tuple(range(1, top + 1)), max_step=filter_step),
                "stride": Gene(values=strides),
            }
            | (extra[number - 1] if extra else {})
        )
    return SearchSpace(
        name=name, ancestor=ancestor, stages=tuple(stages), max_strided_stages=4, **more
    )


def _twice(ancestor: Genotype) -> tuple[int, ...]:
    return tuple(2 * stage.filters for stage in ancestor.stages)


def _wide() -> SearchSpace:
    """Return the space of all genes around `narrow` as the small recipes build it."""
    shared = {
        "se_ratio": Gene(values=(0.125, 0.25, 0.5), max_step=1),
        "activation": Gene(values=("silu", "hardswish", "relu")),
    }
    first = {"expand_ratio": Gene(values=(1, 2, 3), max_step=1)} | shared
    others = {"expand_ratio": Gene(values=(2, 3, 4, 6), max_step=1)} | shared
    network = {
        "stem_channels": Gene(values=(8, 16, 24, 32), max_step=1),
        "head_channels": Gene(values=(16, 24, 32, 48, 64), max_step=1),
        "head_blocks": Gene(values=(2, 3)),
        "head_activation": Gene(values=("silu", "hardswish", "relu")),
        "input_size": Gene(values=("96x64", "128x96")),
    }
    start = {"stem_channels": 16, "head_channels": 32, "head_blocks": 3} | {
        "head_activation": "silu",
        "input_size": "96x64",
    }
    narrow = GENOTYPES["narrow"].to_list()
    ancestor = Genotype.from_value(
        {
            "stages": narrow,
            "expand_ratio": [1] + 6 * [6],
            "se_ratio": 7 * [0.25],
            "activation": 7 * ["silu"],
            "network": start,
        }
    )
    # by kind, or the filters would take a third of all mutations; what disturbs most, half as often
    weights = dict.fromkeys(("kernel", "repeats", "filters", "stride", "expand_ratio", "se_ratio",
                             "stem_channels", "head_channels"), 1.0)  # fmt: skip
    weights |= dict.fromkeys(("activation", "head_activation", "head_blocks", "input_size"), 0.5)
    return _space(
        "wide",
        ancestor,
        widest=_twice(ancestor),
        filter_step=2,
        kernels=Gene(values=(3, 5, 7), max_step=1),
        extra=(first, *[others] * 6),
        network=network,
        gene_weights=weights,
    )


SPACES: dict[str, SearchSpace] = {
    "paper": _space(
        "paper",
        GENOTYPES["efficientnet-b0"],
        widest=tuple(s.filters for s in GENOTYPES["efficientnet-b0"].stages),
        filter_step=None,
    ),
    "small": _space(
        "small", GENOTYPES["narrow"], widest=_twice(GENOTYPES["narrow"]), filter_step=2
    ),
    "wide": _wide(),
}
"""The declared search spaces. `paper`: filters up to the ancestor's, by any step. `small`: around
`narrow`, filters up to twice the ancestor's, by at most two units of eight a mutation. `wide`:
`small` with every other gene: kernels of 7, expand and SE ratio, activations, stem, head, input."""
