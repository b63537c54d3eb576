"""Architectures: from a configuration, as a model file holds it, to a network.

Importing this module loads no torch; building does.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evopose.errors import ConfigError, ModelError
from evopose.genotype import Genotype

if TYPE_CHECKING:
    from evopose.models.network import PoseNetwork


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One line of `ARCHITECTURES`: a module, and the names in it."""

    module: str
    network: str
    """Class of the network."""
    config: str
    """Class of its configuration: `input_hw`, `num_keypoints`, and options that are JSON values."""
    build: str
    """Function from a configuration and a `seed` to a fresh network."""

    def named(self, name: str) -> Any:
        """Return what is called `name` in the module."""
        return getattr(import_module(f"evopose.models.{self.module}"), name)


ARCHITECTURES: dict[str, Architecture] = {
    "evopose2d": Architecture(
        module="evopose2d",
        network="EvoPose2D",
        config="EvoPose2DConfig",
        build="build_evopose2d",
    ),
    "simple_baseline": Architecture(
        module="simple_baseline",
        network="SimpleBaseline",
        config="SimpleBaselineConfig",
        build="build_simple_baseline",
    ),
    "hrnet": Architecture(
        module="hrnet", network="HRNet", config="HRNetConfig", build="build_hrnet"
    ),
    "cpn": Architecture(module="cpn", network="CPN", config="CPNConfig", build="build_cpn"),
    "mspn": Architecture(module="mspn", network="MSPN", config="MSPNConfig", build="build_mspn"),
    "posefix": Architecture(
        module="posefix", network="PoseFix", config="PoseFixConfig", build="build_posefix"
    ),
}
"""Name in a model file -> architecture."""

_SIZES = ("input_hw", "num_keypoints")
_LATER = ("expand_ratio", "se_ratio", "activation", "head_activation")
"""EvoPose2D's options that came after format 1: written where they are not the default, so that
what has none of them is read by earlier versions, too."""


def build_network(
    architecture: str,
    *,
    input_hw: tuple[int, int],
    num_keypoints: int,
    genotype: Genotype | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    outline: bool = False,
) -> "PoseNetwork":
    """Return a fresh network of the architecture, its options as `network_options` gives them.

    With `outline` its weights are only shapes (torch's meta device): enough to count, in no time.

    Raises: ModelError for an unknown architecture or other options; ConfigError for values that
    cannot be built.
    """
    if architecture not in ARCHITECTURES:
        raise ModelError(
            f"no architecture is called {architecture!r}; this version builds "
            f"{', '.join(ARCHITECTURES)}"
        )
    entry = ARCHITECTURES[architecture]
    make = entry.named(entry.config)
    given = dict(options or {})
    if architecture == "evopose2d":
        if genotype is None:
            raise ModelError("an EvoPose2D needs a genotype")
        given["genotype"] = genotype
    unknown = given.keys() - {field.name for field in fields(make)}
    if unknown:
        raise ModelError(f"{architecture} has no option {', '.join(sorted(unknown))}")
    config = make(input_hw=tuple(input_hw), num_keypoints=num_keypoints, **given)
    if outline:
        import torch

        with torch.device("meta"):
            outlined: PoseNetwork = entry.named(entry.network)(config)
        return outlined
    built: PoseNetwork = entry.named(entry.build)(config, seed=seed)
    return built


def network_options(net: "PoseNetwork") -> tuple[str, dict[str, Any]]:
    """Return the name of the network's architecture, and its options beside size and genotype.

    Raises: ModelError for a network of no known architecture.
    """
    name = next((n for n, e in ARCHITECTURES.items() if e.network == type(net).__name__), None)
    if name is None:
        raise ModelError(f"a {type(net).__name__} is none of {', '.join(ARCHITECTURES)}")
    options = asdict(net.config)
    for size in _SIZES:
        del options[size]
    if name == "evopose2d":
        del options["genotype"]
        for later in _LATER:
            if options[later] == getattr(type(net.config), later):
                del options[later]
    return name, options


def like(net: "PoseNetwork", *, seed: int = 0, **changes: Any) -> "PoseNetwork":
    """Return a fresh network of the same configuration but for `changes`."""
    name, _ = network_options(net)
    entry = ARCHITECTURES[name]
    built: PoseNetwork = entry.named(entry.build)(replace(net.config, **changes), seed=seed)
    return built


def at_size(net: "PoseNetwork", input_hw: tuple[int, int]) -> "PoseNetwork":
    """Return a network with the weights of `net` for another input size.

    Raises: ConfigError where the size changes the network's layers, as compound scaling does.
    """
    other = like(net, input_hw=tuple(input_hw))
    was, now = (f"{hw[0]}x{hw[1]}" for hw in (net.config.input_hw, input_hw))
    if other.config.input_hw != tuple(input_hw):
        raise ConfigError(f"the network's genotype has its input size as a gene, {was}")
    weights, wanted = net.state_dict(), other.state_dict()
    shapes = [{name: one.shape for name, one in state.items()} for state in (weights, wanted)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"at {now} this network has other layers than at {was}, to which it was scaled: its "
            "weights do not fit; keep its size, or train anew (--fresh, or a name)"
        )
    other.load_state_dict(weights)
    return other
