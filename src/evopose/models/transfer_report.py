"""What a weight transfer did, tensor by tensor."""

import json
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True, kw_only=True)
class TensorTransfer:
    """Where the entries of one of the child's tensors come from; the counts add up to its size."""

    name: str
    """State-dict key of the child."""
    source: str | None
    """State-dict key of the parent's tensor; None: no entry comes from the parent."""
    copied: int
    """Entries copied from `source`."""
    fresh: int
    """Entries that keep the child's initialisation."""
    zeroed: int
    """Entries set to zero, so that new units do not disturb the old ones."""
    filled: int = 0
    """Entries computed from the parent: its mean (the official rule), or a part that the child has
    and the parent has not (the exact one)."""
    whole: bool = False
    """Whether every entry of `source` was copied."""

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.copied + self.fresh + self.zeroed + self.filled

    @property
    def action(self) -> str:
        """`copied` (the parent's tensor), `cropped` (a part of it), `padded` (it or a part of it,
        and zeros), `zeroed`, `fresh`, or `mixed`."""
        if self.copied == self.size:
            return "copied" if self.whole else "cropped"
        if self.fresh == self.size:
            return "fresh"
        if self.zeroed == self.size:
            return "zeroed"
        return "mixed" if self.fresh or self.filled else "padded"


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What `inherit_weights` did."""

    rule: str
    tensors: tuple[TensorTransfer, ...]
    """Every tensor of the child, batch-norm statistics included, in the network's order."""
    reasons: tuple[str, ...]
    """Why the child does not compute what its parent computes; empty: it does (in eval mode, and
    in training mode but for stochastic depth, whose rates follow from the number of blocks)."""
    needs_bn_reestimation: bool
    """Whether the batch-norm statistics should be estimated anew on a few batches."""

    @property
    def preserves_function(self) -> bool:
        """Whether the child computes what its parent computes."""
        return not self.reasons

    @property
    def share_inherited(self) -> float:
        """Share of the child's parameters, batch-norm statistics included, copied from the
        parent."""
        return sum(t.copied for t in self.tensors) / sum(t.size for t in self.tensors)

    def summary(self) -> str:
        """Return one line for people."""
        kept = "function kept" if self.preserves_function else "; ".join(self.reasons)
        return f"{self.rule}: {self.share_inherited:.1%} of the parameters inherited; {kept}"

    def to_json(self) -> str:
        """Return the report as JSON: the summary, and a row for each tensor under `columns`."""
        columns = [field.name for field in fields(TensorTransfer)]
        value = {
            "rule": self.rule,
            "share_inherited": self.share_inherited,
            "preserves_function": self.preserves_function,
            "reasons": self.reasons,
            "needs_bn_reestimation": self.needs_bn_reestimation,
            "columns": ["action", *columns],
            "tensors": [[tensor.action, *astuple(tensor)] for tensor in self.tensors],
        }
        return json.dumps(value, separators=(",", ":"))
