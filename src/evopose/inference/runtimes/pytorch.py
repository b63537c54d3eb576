"""A network run by PyTorch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from evopose.errors import ModelError
from evopose.inference.runtimes import Crops, Heatmaps
from evopose.inference.runtimes.metadata import require_crops
from evopose.models.card import ModelCard
from evopose.models.devices import keep_freed_memory
from evopose.models.modelfile import LoadedModel
from evopose.models.network import PoseNetwork
from evopose.models.pixels import normalise


@dataclass(frozen=True, kw_only=True)
class TorchModel:
    """A `PoseModel` of PyTorch; `TorchModel.of` makes one."""

    net: PoseNetwork
    card: ModelCard
    device: torch.device

    @classmethod
    def of(
        cls, model: LoadedModel, *, device: torch.device | str = "cpu", threads: int = 0
    ) -> "TorchModel":
        """Return a loaded model, its network moved to the device. `threads`: of this process from
        now on; 0: as they are.

        Raises: ModelError for a network that refines poses.
        """
        net, card = model
        if net.refines:
            raise ModelError(
                "this network mends poses that another has found; give it as the refiner "
                "(--refine) beside a network that finds poses"
            )
        if threads:
            torch.set_num_threads(threads)
        keep_freed_memory()
        place = torch.device(device)
        net.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(net=net.eval(), card=card, device=place)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of its heatmaps."""
        return self.net.heatmap_hw

    @property
    def runtime(self) -> str:
        """What runs it, in words."""
        return f"pytorch {torch.__version__}, float32, {self.device}"

    def heatmaps(self, crops: Crops) -> Heatmaps:
        """Return the heatmaps of crops."""
        return self.run(self.to_input(crops))

    def to_input(self, crops: Crops) -> Tensor:
        """Return the input of crops."""
        require_crops(crops, self.card)
        return normalise(crops, self.device, self.card.input)

    @torch.inference_mode()
    def run(self, images: Tensor) -> Heatmaps:
        """Return the heatmaps of an input."""
        answer: Tensor = self.net(images)
        found: Heatmaps = answer.float().cpu().numpy()
        return found
