"""Weight inheritance: a child network starts from what its parent has learnt."""

from collections.abc import Callable

from torch import nn

from evopose.errors import ConfigError, ModelError
from evopose.models.evopose2d import EvoPose2D
from evopose.models.transfer_exact import inherit_exact
from evopose.models.transfer_official import inherit_official
from evopose.models.transfer_report import TensorTransfer, TransferReport

__all__ = ["TRANSFER_RULES", "TensorTransfer", "TransferReport", "inherit_weights"]

TRANSFER_RULES: dict[str, Callable[[EvoPose2D, EvoPose2D], TransferReport]] = {
    "exact": inherit_exact,
    "official": inherit_official,
}
"""Rule -> the function that fills the child. `exact` keeps the parent's function wherever the
child can hold it; `official` does what the official code does, defects included."""


def inherit_weights(parent: nn.Module, child: nn.Module, rule: str = "exact") -> TransferReport:
    """Fill `child`, freshly initialised, in place with the weights of `parent`.

    Returns what was done to each tensor, the share inherited, and whether the child computes what
    its parent computes. They may differ in any number of genes, in channels, kernels, activations,
    head, input size and number of keypoints. The parent is not changed; num_batches_tracked stays
    the child's.

    Raises: ConfigError for an unknown rule; ModelError if one of them is no EvoPose2D, or if they
    differ in the number of stages.
    """
    if rule not in TRANSFER_RULES:
        raise ConfigError(f"rule must be one of {', '.join(TRANSFER_RULES)}, got {rule!r}")
    if not isinstance(parent, EvoPose2D) or not isinstance(child, EvoPose2D):
        raise ModelError(
            "weights are inherited between EvoPose2D networks, got "
            f"{type(parent).__name__} and {type(child).__name__}"
        )
    return TRANSFER_RULES[rule](parent, child)
