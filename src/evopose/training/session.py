"""Full training of one network on one dataset, in a folder that a later call can go on with."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evopose.codecs import make_codec
from evopose.data.crops import CropSpec
from evopose.data.cutting import build_crops
from evopose.data.home import Progress
from evopose.data.layouts import Splits
from evopose.data.pose_sources import PoseSource
from evopose.errors import RunError
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.modelfile import model_card, save_model
from evopose.models.network import PoseNetwork
from evopose.structures import PoseDataset
from evopose.training.checkpoint import write_atomically
from evopose.training.compute import Compute, make_fabric, prepare
from evopose.training.config import TrainConfig
from evopose.training.loop import FitResult, fit
from evopose.training.losses import LOSSES, window
from evopose.training.processes import from_first
from evopose.training.validate import Encoder, TrainData

PosesOf = Callable[[PoseDataset, TrainData], PoseSource]
"""From a split and its crops to the poses that a network which refines poses is given."""
MARGIN = 1.4
"""Side of a stored crop over the network's: room to turn and to zoom out."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What `train_network` leaves."""

    model: Path
    """The model file; it is there once training has finished."""
    outcome: FitResult


def codec_spec(training: TrainConfig, input_hw: tuple[int, int] = (256, 192)) -> CodecSpec:
    """Return the codec that a network of that input size, trained this way, is read with."""
    loss = LOSSES[training.loss]
    name = training.codec or loss.codec
    if training.codec_params is not None:
        return CodecSpec(name=name, params=dict(training.codec_params))
    params: dict[str, Any] = {}
    if name == "gaussian":
        params = {
            "sigma": training.sigma,
            "round_centre": training.round_centre,
            "activation": "none",
            "peak": training.peak,
            "truncate": training.truncate,
        }
    elif name in ("dark", "udp"):
        params = {"sigma": training.sigma, "activation": "none", "peak": training.peak}
    elif name == "megvii" and loss.codec != "megvii":
        params = {"peak": training.peak} | LOSSES["mspn"].codec_params(input_hw)
    elif name == "soft_argmax" and loss.codec != "soft_argmax":
        params = {"window": window(input_hw)}
    params = {k: v for k, v in params.items() if k not in _LATER or v != _LATER[k]}
    return CodecSpec(name=name, params=params | loss.codec_params(input_hw))


_LATER = {"peak": 255.0, "truncate": None}
"""Parameters that came after the first model files, with their values there."""


def make_encoder(net: PoseNetwork, codec: CodecSpec, input_spec: InputSpec) -> Encoder:
    """Return what stands between pixels and coordinates for this network."""
    made = make_codec(
        codec.name, input_hw=net.config.input_hw, heatmap_hw=net.heatmap_hw, **codec.params
    )
    return Encoder(input=input_spec, codec=made)


def cut_crops(
    dataset: PoseDataset,
    input_hw: tuple[int, int],
    *,
    margin: float,
    padding: float = 1.25,
    align_corners: bool = False,
    on_progress: Progress | None = None,
) -> TrainData:
    """Return the dataset's persons as crops, from the cache if they were cut before."""
    spec = CropSpec(input_hw=input_hw, margin=margin, padding=padding, align_corners=align_corners)
    cache = build_crops(dataset, spec, on_progress=on_progress)
    return TrainData(cache=cache, indices=np.arange(len(cache)))


def train_network(
    net: PoseNetwork,
    data: Splits,
    training: TrainConfig,
    out: Path,
    *,
    compute: Compute,
    provenance: dict[str, Any],
    resume: bool = False,
    poses_of: PosesOf | None = None,
    on_data: Progress | None = None,
    on_progress: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train `net` on the data's train split, with its val split to stop early and to choose.

    Writes `checkpoint.pt`, `history.jsonl`, `config.json` and at the end `model.safetensors` in
    the folder `out`. `poses_of` gives a network that refines poses those to refine, for the
    persons of either split. Of several processes (see `fit`) the first alone reads and writes the
    folder; the first on each machine cuts the crops.

    Raises: RunError where `out` holds a training already and `resume` is not set, or one with
    other options, network or data.
    """
    checkpoint = out / "checkpoint.pt"
    fabric = make_fabric(compute)
    begun = from_first(fabric, lambda: _begun(checkpoint, resume=resume))
    prepare(compute)
    codec = codec_spec(training, net.config.input_hw)
    with fabric.rank_zero_first(local=True):
        train, val = (
            cut_crops(
                part,
                net.config.input_hw,
                margin=MARGIN,
                padding=training.input.box_padding,
                align_corners=codec.align_corners,
                on_progress=on_data,
            )
            for part in (data.train, data.val)
        )
    poses = poses_of(data.train, train) if poses_of else None
    val_poses = poses_of(data.val, val) if poses_of else None
    described = training.to_dict() | {
        "network": asdict(net.config),
        "skeleton": data.train.skeleton.to_json(),
        "data": data.digest,
    }
    from_first(fabric, lambda: _write_config(out / "config.json", described, goes_on=begun))

    def note(event: dict[str, Any]) -> None:
        if event.get("kind") == "epoch":
            with (out / "history.jsonl").open("a") as file:
                file.write(json.dumps(event | {"at": time.time()}) + "\n")
        on_progress(event)

    outcome = fit(
        net,
        train,
        val,
        training,
        compute=compute,
        encoder=make_encoder(net, codec, training.input),
        checkpoint=checkpoint,
        poses=poses,
        val_poses=val_poses,
        on_progress=note,
        should_stop=should_stop,
    )
    model = out / "model.safetensors"
    if outcome.finished and fabric.is_global_zero:
        provenance = provenance | {
            "training": training.to_dict(),
            "data": data.digest,
            "best": asdict(outcome.best),
        }
        card = model_card(
            net,
            skeleton=data.train.skeleton,
            codec=codec,
            input=training.input,
            provenance=provenance,
        )
        save_model(model, net, card)
    return Trained(model=model, outcome=outcome)


def _begun(checkpoint: Path, *, resume: bool) -> bool:
    """Return whether there is a training to go on with; raise RunError if it should not be."""
    if checkpoint.exists() and not resume:
        raise RunError(
            f"{checkpoint.parent} holds a training already: go on with --resume, or choose another "
            "--out"
        )
    return checkpoint.exists()


def _write_config(path: Path, described: dict[str, Any], *, goes_on: bool) -> None:
    """Write what determines a training; raise RunError if one that goes on has another."""
    text = json.dumps(described, indent=1)
    if goes_on and path.exists():
        written = json.loads(path.read_text())
        before = TrainConfig(epochs=1).to_dict() | written  # an older version wrote fewer options
        if others := [
            name for name, value in json.loads(text).items() if value != before.get(name)
        ]:
            raise RunError(
                f"the training in {path.parent} was begun with other values of "
                f"{', '.join(others)}: give those again, or choose another --out"
            )
    write_atomically(path, text.encode())
