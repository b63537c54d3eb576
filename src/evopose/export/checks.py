"""What can be exported."""

from evopose.errors import ModelError
from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import require_fit
from evopose.models.modelfile import LoadedModel


def check_exportable(model: LoadedModel) -> None:
    """Raise ModelError for a network that mends poses, ConfigError for an input size that an
    EvoPose2D's strides do not divide."""
    net = model.net
    if net.refines:
        raise ModelError(
            "this network mends poses that another has found, and takes them beside the image; "
            "exported files take images alone. Export the network that finds the poses"
        )
    if isinstance(net, EvoPose2D):
        require_fit(net.config)
