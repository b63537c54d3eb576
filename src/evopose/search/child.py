"""Training one individual: the function that an executor's worker runs.

A job is plain JSON; its result is plain JSON and a blob. Killed at any moment and run again, it
goes on from its last checkpoint and gives what it would have given.
"""

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evopose.data.augment import Augmentation
from evopose.data.crops import open_crops
from evopose.data.loader import batches
from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.inputs import InputSpec
from evopose.models.modelfile import load_model, model_bytes, model_card
from evopose.models.pixels import normalise
from evopose.models.transfer import TransferReport, inherit_weights
from evopose.search.config import SearchConfig
from evopose.search.places import blobs_at, crops_here, work_folder
from evopose.skeleton import Skeleton
from evopose.training.batch_norm import reestimate_batch_norm
from evopose.training.checkpoint import write_atomically
from evopose.training.compute import Compute, make_fabric, place, prepare
from evopose.training.config import TrainConfig
from evopose.training.loop import EpochRecord, FitResult, fit
from evopose.training.memory import require_memory
from evopose.training.session import codec_spec, make_encoder
from evopose.training.validate import Encoder, TrainData, Validation, validate

Heartbeat = Callable[..., None]


def train_individual(job: dict[str, Any], heartbeat: Heartbeat) -> dict[str, Any]:
    """Return what training the job's individual gave: loss, scores, times, and the blob's digest.

    Raises: TrainingDiverged, MemoryError, OSError: the executor sorts them.
    """
    with work_folder(job) as work:
        return _train(job, heartbeat, work)


def _train(job: dict[str, Any], heartbeat: Heartbeat, work: Path) -> dict[str, Any]:
    begun = time.monotonic()
    config = SearchConfig.from_json(job["config"])
    compute = Compute(**job["compute"])
    prepare(compute)
    train, val = open_data(job, "train"), open_data(job, "fitness")
    training = config.child_training if job["parent_blob"] else config.ancestor_training
    training = replace(
        training,
        seed=job["seed"],
        precision=compute.precision,
        accumulate=training.accumulate * job.get("micro_batch_divisor", 1),
    )
    skeleton = train.cache.skeleton
    genotype = Genotype.from_value(job["genotype"])
    net = build_evopose2d(config.evopose2d(genotype, num_keypoints=len(skeleton)), seed=job["seed"])
    trains = bool(job["parent_blob"]) or config.train_ancestor
    if trains:
        size = sum(parameter.numel() for parameter in net.parameters())
        require_memory(net.config, training, compute, num_parameters=size)
    encoder = make_encoder(net, codec_spec(training), InputSpec())
    checkpoint = checkpoint_of(work, training)
    told = work / "transfer.json" if job["sends_report"] else Path(job["report"])
    start = start_of(job)
    if start and not (checkpoint.exists() and told.exists()):
        heartbeat(phase="inherit")
        report = inherit(net, start, config, train, encoder, compute, training)
        found = measure(net, val, encoder, compute, training)
        begin = {"start_loss": found.loss, "start_oks": found.mean_oks}
        write_atomically(told, json.dumps(json.loads(report.to_json()) | begin).encode())
    if trains:
        outcome = fit(
            net,
            train,
            val,
            training,
            compute=compute,
            encoder=encoder,
            checkpoint=checkpoint,
            on_progress=_Throttled(heartbeat),
        )
    else:
        outcome = untrained(measure(net, val, encoder, compute, training))
    blob = blobs_at(job["blobs"]).put(
        model_bytes(net, describe(net, skeleton, training, config, job, outcome))
    )
    seconds = time.monotonic() - begun
    busy = sum(r.train_seconds + r.val_seconds for r in outcome.history)
    inherited = inheritance(told) if start else {}
    if start and job["sends_report"]:
        inherited["report"] = {"path": job["report"], "content": json.loads(told.read_text())}
    return inherited | {
        "blob": blob,
        "loss": outcome.best.val_loss,
        "mean_oks": outcome.best.val_oks,
        "best_epoch": outcome.best.epoch,
        "history": [vars(record) for record in outcome.history],
        "samples": sum(record.samples for record in outcome.history),
        "train_seconds": sum(record.train_seconds for record in outcome.history),
        "val_seconds": sum(record.val_seconds for record in outcome.history),
        "busy_seconds": min(busy, seconds),  # a resumed one's history began in an earlier attempt
        "seconds": seconds,
        "pid": os.getpid(),
    }


def start_of(job: dict[str, Any]) -> str | None:
    """Return the model file whose weights the job's individual starts from, if it has one."""
    if job["start_blob"]:
        return str(blobs_at(job["blobs"]).file(job["start_blob"]))
    path: str | None = job["start_from"]
    return path


def checkpoint_of(work: Path, training: TrainConfig) -> Path:
    """Return the checkpoint's file in an individual's folder.

    Its name is the training's, so that an attempt that must train otherwise (in smaller parts,
    on another device) begins anew instead of stumbling over what an earlier one left.
    """
    described = json.dumps(training.to_dict(), sort_keys=True)
    return work / f"{hashlib.sha256(described.encode()).hexdigest()[:16]}.pt"


def open_data(job: dict[str, Any], part: str) -> TrainData:
    """Return the persons of one part ("train" or "fitness") of the job's data."""
    cache = open_crops(crops_here(job["data"][part]))
    return TrainData(cache=cache, indices=np.arange(len(cache)))


def inherit(
    net: EvoPose2D,
    source: str,
    config: SearchConfig,
    train: TrainData,
    encoder: Encoder,
    compute: Compute,
    training: TrainConfig,
) -> TransferReport:
    """Fill `net` from the model file `source`; a cut net gets new batch-norm statistics."""
    parent = load_model(source).net
    assert isinstance(parent, EvoPose2D)
    report = inherit_weights(parent, net, rule=config.transfer)
    if report.needs_bn_reestimation and config.batch_norm_batches:
        fabric = make_fabric(compute)
        place(net, fabric.device)
        with fabric.autocast():
            reestimate_batch_norm(
                net, _inputs(train, training, config.batch_norm_batches, encoder, fabric.device)
            )
    return report


def measure(
    net: EvoPose2D,
    val: TrainData,
    encoder: Encoder,
    compute: Compute,
    training: TrainConfig,
) -> Validation:
    """Return what the network makes of the fitness persons as it is."""
    fabric = make_fabric(compute)
    place(net, fabric.device)
    return validate(
        net,
        val,
        encoder=encoder,
        loss=training.loss,
        batch_size=training.batch_size,
        fabric=fabric,
    )


def untrained(found: Validation) -> FitResult:
    """Return the history of an ancestor that is taken as it is: an epoch 0 without samples."""
    record = EpochRecord(
        epoch=0,
        learning_rate=0.0,
        train_loss=found.loss,
        val_loss=found.loss,
        val_oks=found.mean_oks,
        train_seconds=0.0,
        val_seconds=found.seconds,
        samples=0,
    )
    return FitResult(history=(record,), finished=True)


def inheritance(told: Path) -> dict[str, Any]:
    """Return what a child's file says of its start: the transfer in sum, loss and mean OKS.

    The transfer's rows, a tensor each, stay in the file.
    """
    found: dict[str, Any] = json.loads(told.read_text())
    start = {name: found.pop(name) for name in ("start_loss", "start_oks")}
    transfer = {name: v for name, v in found.items() if name not in ("columns", "tensors")}
    return start | {"transfer": transfer}


def _inputs(
    train: TrainData, training: TrainConfig, count: int, encoder: Encoder, device: torch.device
) -> Iterator[Tensor]:
    """Yield the inputs of `count` training batches, without augmentation."""
    found = batches(
        train.cache,
        indices=train.indices,
        batch_size=training.batch_size,
        augmentation=Augmentation.none(),
        seed=training.seed,
        epoch=0,
        shuffle=True,
    )
    for batch in itertools.islice(found, count):
        yield normalise(batch.images, device, encoder.input)


def describe(
    net: EvoPose2D,
    skeleton: Skeleton,
    training: TrainConfig,
    config: SearchConfig,
    job: dict[str, Any],
    outcome: FitResult,
) -> Any:
    """Return the model card of a trained individual."""
    provenance = {
        "individual": job["id"],
        "parent_blob": job["parent_blob"],
        "recipe": config.recipe,
        "transfer": config.transfer,
        "training": training.to_dict(),
        "loss": outcome.best.val_loss,
        "mean_oks": outcome.best.val_oks,
        "data": job["data_digest"],
        "versions": job["versions"],
    }
    return model_card(net, skeleton=skeleton, codec=codec_spec(training), provenance=provenance)


class _Throttled:
    """Passes on progress at most twice a second, epochs always."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat, self.last = heartbeat, 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if event.get("kind") == "epoch" or now - self.last > 0.5:
            self.last = now
            self.heartbeat(**event)
