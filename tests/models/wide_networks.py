"""Small networks with every gene, for property tests."""

from hypothesis import strategies as st

from evopose.genotype import ACTIVATIONS, Genotype
from evopose.models.evopose2d_plan import EvoPose2DConfig


@st.composite
def wide_configs(draw: st.DrawFn, stages: int = 2) -> EvoPose2DConfig:
    """Draw a configuration whose genotype has all genes."""
    genes = [
        [draw(st.sampled_from([3, 5])), *(draw(st.integers(1, 2)) for _ in range(3))]
        for _ in range(stages)
    ]

    def each(strategy: st.SearchStrategy) -> list:
        return draw(st.lists(strategy, min_size=stages, max_size=stages))

    return wide(
        genes,
        expand_ratio=each(st.integers(1, 4)),
        se_ratio=each(st.sampled_from([0.125, 0.25, 0.5, 1.0])),
        activation=each(st.sampled_from(ACTIVATIONS)),
        stem_channels=draw(st.sampled_from([8, 16])),
        head_channels=draw(st.sampled_from([8, 16])),
        head_blocks=draw(st.integers(1, 3)),
        head_activation=draw(st.sampled_from(ACTIVATIONS)),
        input_size=draw(st.sampled_from(["32x24", "32x32"])),
    )


def wide(
    rows: list[list[int]],
    *,
    expand_ratio: list[int],
    se_ratio: list[float],
    activation: list[str],
    **network: object,
) -> EvoPose2DConfig:
    """Return the network of three keypoints with these genes."""
    value = {"stages": rows, "expand_ratio": expand_ratio, "se_ratio": se_ratio}
    genotype = Genotype.from_value(value | {"activation": activation, "network": network})
    return EvoPose2DConfig(genotype=genotype, num_keypoints=3, scaling_reference=None)
