"""What importers of SimpleBaseline and HRNet share: names, input sizes, decoding, the report."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from evopose.errors import ModelError
from evopose.models.hrnet import LARGEST_STRIDE, HRNet
from evopose.models.importers.contract import Arrays, Imported, ImportOptions
from evopose.models.importers.filling import fill, named_input_hw, wrapper_of
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.simple_baseline import SimpleBaseline

Network = SimpleBaseline | HRNet

DEFAULT_INPUT_HW = (256, 192)
DEFAULT_KEYPOINTS = 17
"""Of a trunk alone, which says nothing of keypoints."""
HEAD = "final_layer."
CODECS = ("gaussian", "dark", "udp")
"""How such a network's heatmaps may be read."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint's arrays, and how its names stand to those of our network."""

    arrays: dict[str, Tensor]
    """By the file's names, without the wrapper."""
    wrapper: str
    """What stands before every name: `module.` (DataParallel), or nothing."""
    prefixes: Mapping[str, str]
    """Beginning of our name -> of the file's; the first that fits counts."""
    skip: Mapping[str, str] = field(default_factory=dict)
    """Beginning of the file's name -> why such arrays become nothing."""

    def name(self, ours: str) -> str:
        """Return the file's name, without the wrapper, of our `ours`."""
        for beginning, own in self.prefixes.items():
            if ours.startswith(beginning):
                return own + ours.removeprefix(beginning)
        raise AssertionError(f"no prefix fits {ours}")

    def length(self, ours: str) -> int | None:
        """Return the first side of the array that is `ours` in our network, if the file has it."""
        array = self.arrays.get(self.name(ours))
        return None if array is None or not array.ndim else len(array)


def unwrapped(arrays: Arrays) -> tuple[dict[str, Tensor], str]:
    """Return the arrays without a `module.` before every name, and what was taken away."""
    wrapper = wrapper_of(arrays)
    return {name.removeprefix(wrapper): array for name, array in arrays.items()}, wrapper


def opened(
    arrays: Arrays, prefixes: Mapping[str, str], skip: Mapping[str, str] | None = None
) -> Checkpoint:
    """Return the checkpoint of these arrays; see the fields of `Checkpoint`."""
    bare, wrapper = unwrapped(arrays)
    return Checkpoint(arrays=bare, wrapper=wrapper, prefixes=prefixes, skip=skip or {})


def chosen_input_hw(options: ImportOptions) -> tuple[int, int]:
    """Return the input size of the options, else of the file's name, else 256x192."""
    return (
        options.input_hw
        or named_input_hw(options.file_name, multiple=LARGEST_STRIDE)
        or DEFAULT_INPUT_HW
    )


def adopt(
    build: Callable[[int], Network],
    checkpoint: Checkpoint,
    options: ImportOptions,
    *,
    input: InputSpec | None = None,
    fresh: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Imported:
    """Return the network that `build` makes for a number of keypoints, with the file's weights.

    Layers of our network whose names begin with one of `fresh` are not in the file.

    Raises: ModelError naming the arrays that do not fit.
    """
    if "udp-regress" in options.file_name.lower():
        raise ModelError(
            "its name says UDP with regressed offsets: its last layer gives no plain heatmaps; "
            "import a checkpoint that was trained on heatmaps"
        )
    held = None if HEAD in fresh else checkpoint.length(HEAD + "weight")
    net = build(options.num_keypoints or held or DEFAULT_KEYPOINTS)
    skip = dict(checkpoint.skip)
    if held and held != net.config.num_keypoints:
        fresh = (*fresh, HEAD)
        reason = f"for {held} keypoints, {net.config.num_keypoints} are wanted"
        skip[checkpoint.name(HEAD)] = reason
        notes += (f"the last layer starts fresh: the file's is {reason}",)
    wrapper = checkpoint.wrapper
    report = fill(
        net,
        {wrapper + name: array for name, array in checkpoint.arrays.items()},
        options,
        names={name: wrapper + checkpoint.name(name) for name in net.state_dict()},
        skipped={
            wrapper + name: reason
            for name in checkpoint.arrays
            for beginning, reason in skip.items()
            if name.startswith(beginning)
        },
        fresh=fresh,
        notes=(*notes, *_notes(options)),
    )
    return Imported(
        net=net,
        report=report,
        input=input or InputSpec(),
        codec=_codec(net, options),
        trained_head=not fresh,
    )


def _codec(net: Network, options: ImportOptions) -> CodecSpec:
    """Return the codec of the authors and of mmpose: sigma 2 at 64 rows and 3 at 96, peak 1.

    mmpose blurs heatmaps of DARK and UDP with a kernel of 11 at any size, but for its DARK of
    ResNet-152 at 384x288.

    Raises: ModelError for a codec that is none of `CODECS`.
    """
    name = options.codec or _named_codec(options) or "gaussian"
    if name not in CODECS:
        raise ModelError(f"such heatmaps are read by {', '.join(CODECS)}; not by {name}")
    params: dict[str, Any] = {"sigma": 2 * net.heatmap_hw[0] / 64, "peak": 1.0}
    if name != "gaussian":
        wide = re.search(r"res152_dark.*384x288", options.file_name.lower())
        params["blur_kernel"] = 17 if wide and name == "dark" else 11
    return CodecSpec(name=name, params=params)


def _named_codec(options: ImportOptions) -> str | None:
    """Return the codec that the file's name says, if it does."""
    for name in ("dark", "udp"):
        if re.search(rf"(?<![a-z]){name}(?![a-z])", options.file_name.lower()):
            return name
    return None


def _notes(options: ImportOptions) -> Iterator[str]:
    if not options.input_hw and not named_input_hw(options.file_name, multiple=LARGEST_STRIDE):
        height, width = DEFAULT_INPUT_HW
        yield f"neither an option nor its name gives an input size: {height}x{width} is taken"
    if not options.codec and (codec := _named_codec(options)):
        yield f"its name says {codec.upper()}: its heatmaps are read by the codec {codec}"
