"""The gradients of one batch, added up over its parts and over the processes that share it."""

from typing import Any

from evopose.data.loader import Batch
from evopose.data.pose_sources import PoseSource
from evopose.models.layers import SharedRows
from evopose.models.pixels import normalise
from evopose.training.config import TrainConfig
from evopose.training.losses import LOSSES
from evopose.training.processes import Share, total
from evopose.training.validate import Encoder, judge


def add_gradients(
    net: Any,
    batch: Batch,
    count: int,
    config: TrainConfig,
    *,
    fabric: Any,
    encoder: Encoder,
    rows: SharedRows,
    poses: PoseSource | None = None,
    epoch: int = 0,
) -> tuple[float, float]:
    """Return the loss's sum and divisor over a batch of `count` samples, after adding the gradients
    of their quotient to those of `net`.

    `batch` is what this process has of it, as `Share` says, and `rows` what the random layers of
    `net` look at. The batch is cut into `accumulate` parts, alike in every process.
    """
    share, device = Share.of(fabric), fabric.device
    loss = LOSSES[config.loss]
    asked = judge(loss, encoder, batch, device, poses, epoch)
    divisor = max(total(fabric, float(loss.divisor(asked.target, asked.visibility))), 1.0)
    part = -(-count // config.accumulate)
    summed = 0.0
    for start in range(0, count, part):
        stop = min(start + part, count)
        piece = share.piece(start, stop)
        rows.count, rows.here = stop - start, share.within(start)
        with fabric.no_backward_sync(net, enabled=stop < count):
            images = normalise(batch.images[piece], device, encoder.input)
            outputs = asked.outputs(net, images, piece)
            numerator = loss.value(outputs, asked.target[piece], asked.visibility[piece])
            # gradients are averaged over the processes, and should be summed
            fabric.backward(numerator / divisor * share.processes)
        summed += numerator.item()
    return total(fabric, summed), divisor
