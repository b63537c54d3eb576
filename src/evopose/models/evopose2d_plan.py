"""The arithmetic of EvoPose2D: from a genotype and an input size to every layer's shape.

Pure Python, so that a search can count parameters and multiply-adds of a candidate in
microseconds, without building it.

Source: EvoPose2D (arXiv 2011.08446), section 3; official `nets/evopose2d.py` at ea05b81
(`scaling_parameters`, `round_filters`, `round_repeats`, `block`, `EvoPose`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from evopose.errors import ConfigError
from evopose.genotype import ACTIVATIONS, Genotype, SearchSpace, spoken

DEPTH_BASE, WIDTH_BASE, RESOLUTION_BASE = 1.2, 1.1, 1.15


@dataclass(frozen=True, kw_only=True)
class EvoPose2DConfig:
    """Everything that determines an EvoPose2D network but its weights.

    A field whose gene the genotype has takes the genotype's value; the ratios and `activation` are
    of the stages that have no such gene.
    """

    genotype: Genotype
    input_hw: tuple[int, int] = (256, 192)
    num_keypoints: int = 17
    stem_channels: int = 32
    """Channels of the stem before width scaling."""
    head_channels: int = 128
    """Channels of each transposed convolution before width scaling."""
    head_blocks: int = 3
    head_kernel: int = 3
    final_kernel: int = 1
    """Side of the last convolution's kernel, odd."""
    scaling_reference: float | None = 224.0
    """Mean input side at which depth and width are those of the genotype; None: no scaling. Below
    the reference the network shrinks, until genes have no effect (see `blind_genes`)."""
    expand_ratio: int = 6
    """Channels of a block's depthwise convolution over those it reads; 1 in the first stage."""
    se_ratio: float = 0.25
    """Hidden units of squeeze-excite over the channels that a block reads."""
    activation: str = "silu"
    """A name in `ACTIVATIONS`."""
    head_activation: str = "silu"

    def __post_init__(self) -> None:
        genes: dict[str, object] = {**self.genotype.network.given}
        if hw := self.genotype.network.input_hw:
            genes |= {"input_hw": hw}
        for name, value in genes.items():
            if name != "input_size":
                object.__setattr__(self, name, value)
        for name in ("activation", "head_activation"):
            if getattr(self, name) not in ACTIVATIONS:
                raise ConfigError(
                    f"{name} must be one of {', '.join(ACTIVATIONS)}, got {getattr(self, name)!r}"
                )
        if not 0 < self.se_ratio <= 1:
            raise ConfigError(f"se_ratio must be above 0 and at most 1, got {self.se_ratio}")
        for name in ("num_keypoints", "stem_channels", "head_channels", "head_blocks",
                     "expand_ratio"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if len(self.input_hw) != 2 or min(self.input_hw) < 1:
            raise ConfigError(f"input_hw must be (height, width) in pixels, got {self.input_hw}")
        if self.final_kernel < 1 or self.final_kernel % 2 == 0 or self.head_kernel < 2:
            raise ConfigError(
                "final_kernel must be odd and head_kernel at least 2, got "
                f"{self.final_kernel} and {self.head_kernel}"
            )
        if self.scaling_reference is not None and self.scaling_reference <= 0:
            raise ConfigError(
                f"scaling_reference must be positive or None, got {self.scaling_reference}"
            )

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the trunk's output, the stem included."""
        return 2 * math.prod(stage.stride for stage in self.genotype.stages)


@dataclass(frozen=True, kw_only=True)
class BlockPlan:
    """The shape of one inverted residual block."""

    stage: int
    """Zero-based stage."""
    index: int
    """Zero-based place in the stage."""
    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    expand: int
    squeeze: int
    """Hidden units of the squeeze-excite branch."""
    activation: str
    drop_rate: float
    """Probability that stochastic depth drops the residual branch."""

    @property
    def hidden(self) -> int:
        """Channels of the depthwise convolution."""
        return self.channels_in * self.expand

    @property
    def skip(self) -> bool:
        """Whether the block's input is added to its output."""
        return self.stride == 1 and self.channels_in == self.channels_out


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The shapes of a whole network."""

    stem: int
    blocks: tuple[BlockPlan, ...]
    head: tuple[int, ...]
    """Output channels of each transposed convolution."""
    head_activation: str

    @property
    def stem_activation(self) -> str:
        """The first stage's."""
        return self.blocks[0].activation

    @property
    def stages(self) -> list[list[BlockPlan]]:
        """The blocks, stage by stage."""
        count = self.blocks[-1].stage + 1
        return [[b for b in self.blocks if b.stage == stage] for stage in range(count)]


def scaling(input_hw: tuple[int, int], reference: float | None) -> tuple[float, float]:
    """Return the depth and the width coefficient of compound scaling; (1, 1) for no reference.

    >>> [round(c, 3) for c in scaling((384, 288), 224.0)]
    [1.697, 1.319]
    """
    if reference is None:
        return 1.0, 1.0
    phi = (math.log(sum(input_hw) / 2) - math.log(reference)) / math.log(RESOLUTION_BASE)
    return DEPTH_BASE**phi, WIDTH_BASE**phi


def drop_connect_rate(input_hw: tuple[int, int]) -> float:
    """Return the stochastic-depth rate of the last block (the official code's steps)."""
    side = sum(input_hw) / 2
    return next((rate for top, rate in ((240, 0.2), (300, 0.3), (456, 0.4)) if side <= top), 0.5)


def round_filters(filters: int, width: float) -> int:
    """Return `filters` times `width`, to a multiple of eight, never more than 10 % down."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return int(rounded + 8) if rounded < 0.9 * scaled else int(rounded)


def plan(config: EvoPose2DConfig) -> Plan:
    """Return the shape of every layer of the network that `config` describes."""
    depth, width = scaling(config.input_hw, config.scaling_reference)
    repeats = [math.ceil(depth * stage.repeats) for stage in config.genotype.stages]
    rate, total = drop_connect_rate(config.input_hw), sum(repeats)
    stem = channels = round_filters(config.stem_channels, width)
    blocks: list[BlockPlan] = []
    for number, (stage, count) in enumerate(zip(config.genotype.stages, repeats, strict=True)):
        channels_out = round_filters(stage.channels, width)
        expand = stage.expand_ratio or (config.expand_ratio if number else 1)
        for index in range(count):
            blocks.append(
                BlockPlan(
                    stage=number,
                    index=index,
                    channels_in=channels,
                    channels_out=channels_out,
                    kernel=stage.kernel,
                    stride=stage.stride if index == 0 else 1,
                    expand=expand,
                    squeeze=max(1, int(channels * (stage.se_ratio or config.se_ratio))),
                    activation=stage.activation or config.activation,
                    drop_rate=rate * len(blocks) / total,
                )
            )
            channels = channels_out
    head = (round_filters(config.head_channels, width),) * config.head_blocks
    return Plan(stem=stem, blocks=tuple(blocks), head=head, head_activation=config.head_activation)


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """How large a network is."""

    num_parameters: int
    """With batch-norm running means and variances (Keras' count, the paper's n)."""
    num_trainable: int
    """Without them."""
    num_macs: int
    """Multiply-adds of every convolution for one image: squeeze-excite and final ones included,
    transposed ones at their input's resolution; no batch norm, activation or product."""


def plan_complexity(config: EvoPose2DConfig) -> Complexity:
    """Return what `complexity` would count on the built network, by arithmetic alone."""
    trainable = macs = norms = 0
    for convolution in _convolutions(config):
        trainable += convolution.weights + convolution.bias
        macs += convolution.weights * convolution.positions
        norms += convolution.normalised
    trainable += 2 * norms
    return Complexity(num_parameters=trainable + 2 * norms, num_trainable=trainable, num_macs=macs)


def heatmap_hw(config: EvoPose2DConfig) -> tuple[int, int]:
    """Return (height, width) of the heatmaps: TensorFlow's 'same' rule for any input size."""
    height, width = config.input_hw
    for stride in (2, *(stage.stride for stage in config.genotype.stages)):
        height, width = -(-height // stride), -(-width // stride)
    return height << config.head_blocks, width << config.head_blocks


def fits(config: EvoPose2DConfig) -> bool:
    """Return whether the strides divide the input size."""
    return all(side % config.stride == 0 for side in config.input_hw)


def nearest_input_hw(input_hw: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the size nearest to `input_hw` that `stride` divides (halves go up)."""
    height, width = (max(stride, (side + stride // 2) // stride * stride) for side in input_hw)
    return height, width


def require_fit(config: EvoPose2DConfig) -> None:
    """Raise ConfigError, naming the nearest size that fits, unless the strides divide the input."""
    if not fits(config):
        near = nearest_input_hw(config.input_hw, config.stride)
        raise ConfigError(
            f"input {config.input_hw[0]}x{config.input_hw[1]} is not divided by the network's "
            f"stride of {config.stride}; the nearest size that fits is {near[0]}x{near[1]}"
        )


def blind_genes(space: SearchSpace, config: EvoPose2DConfig) -> dict[str, str]:
    """Return the genes that scaling at this input size makes partly or wholly without effect.

    Keys are like "stage 3 repeats"; values say how many different networks its values build.
    """
    blind = {}
    for stage, name, gene in space.genes():
        count = len(gene.values)
        if name in ("stride", "input_size") or count == 1:
            continue
        built = {
            plan(replace(config, genotype=space.ancestor.with_gene(stage, name, value)))
            for value in gene.values
        }
        if len(built) < count:
            place = "" if stage is None else f"stage {stage + 1} "
            blind[f"{place}{spoken(name)}"] = (
                "has no effect"
                if len(built) == 1
                else f"{count} values build {len(built)} networks"
            )
    return blind


@dataclass(frozen=True)
class _Convolution:
    weights: int
    bias: int
    normalised: int
    """Channels of the batch norm behind it, 0 for none."""
    positions: int
    """Places at which the kernel is applied."""


def _convolutions(config: EvoPose2DConfig) -> Iterator[_Convolution]:
    shape = plan(config)
    height, width = (-(-side // 2) for side in config.input_hw)
    yield _Convolution(27 * shape.stem, 0, shape.stem, height * width)
    for block in shape.blocks:
        hidden, squeeze = block.hidden, block.squeeze
        if block.expand != 1:
            yield _Convolution(block.channels_in * hidden, 0, hidden, height * width)
        height, width = -(-height // block.stride), -(-width // block.stride)
        yield _Convolution(block.kernel**2 * hidden, 0, hidden, height * width)
        yield _Convolution(hidden * squeeze, squeeze, 0, 1)
        yield _Convolution(squeeze * hidden, hidden, 0, 1)
        yield _Convolution(hidden * block.channels_out, 0, block.channels_out, height * width)
    channels = shape.blocks[-1].channels_out
    for out in shape.head:
        yield _Convolution(config.head_kernel**2 * channels * out, 0, out, height * width)
        height, width, channels = 2 * height, 2 * width, out
    weights = config.final_kernel**2 * channels * config.num_keypoints
    yield _Convolution(weights, config.num_keypoints, 0, height * width)
