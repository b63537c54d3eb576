"""evopose: 2D pose estimation by neuroevolution.

    import evopose
    evolved = evopose.evolve("people/", recipe="small")
    net, card = evopose.load_model(evolved.run / "best.safetensors")
    poses = evopose.PoseEstimator.load("default")("photo.jpg")

Names are loaded when they are first used, so that importing this package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evopose.version import VERSION as __version__

if TYPE_CHECKING:
    from evopose.api import evolve
    from evopose.errors import EvoposeError
    from evopose.genotype import Genotype, SearchSpace, mutate
    from evopose.inference.estimator import PoseEstimator
    from evopose.inference.poses import Poses
    from evopose.models import build_model
    from evopose.models.complexity import complexity
    from evopose.models.modelfile import load_model, save_model
    from evopose.models.transfer import inherit_weights

__all__ = [
    "EvoposeError",
    "Genotype",
    "PoseEstimator",
    "Poses",
    "SearchSpace",
    "__version__",
    "build_model",
    "complexity",
    "evolve",
    "inherit_weights",
    "load_model",
    "mutate",
    "save_model",
]

_HOMES = {
    "EvoposeError": "evopose.errors",
    "Genotype": "evopose.genotype",
    "PoseEstimator": "evopose.inference.estimator",
    "Poses": "evopose.inference.poses",
    "SearchSpace": "evopose.genotype",
    "build_model": "evopose.models",
    "complexity": "evopose.models.complexity",
    "evolve": "evopose.api",
    "inherit_weights": "evopose.models.transfer",
    "load_model": "evopose.models.modelfile",
    "mutate": "evopose.genotype",
    "save_model": "evopose.models.modelfile",
}
"""Public name -> the module it lives in."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'evopose' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
