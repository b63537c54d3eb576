"""Nothing between pixels and OKS is broken: what was seen fifty times is known by heart."""

from dataclasses import replace

import torch

from evopose.data.augment import Augmentation
from evopose.data.layouts import open_dataset
from evopose.data.loader import batches
from evopose.genotype import Genotype
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.inputs import InputSpec
from evopose.training.batch_norm import reestimate_batch_norm
from evopose.training.compute import make_fabric
from evopose.training.config import TrainConfig
from evopose.training.loop import fit
from evopose.training.session import codec_spec, cut_crops, make_encoder
from evopose.training.validate import normalise, validate
from training.toys import COMPUTE

NETWORK = EvoPose2DConfig(
    genotype=Genotype.from_list([[3, 1, 2, 1], [3, 1, 3, 2], [5, 2, 4, 2]]),
    input_hw=(96, 64),
    stem_channels=16,
    head_channels=32,
    head_blocks=2,
    scaling_reference=None,
)
TRAINING = TrainConfig(
    epochs=50,
    batch_size=8,
    learning_rate=1e-2,
    loss="softmax",
    augmentation=Augmentation.none(),
)


def test_a_small_network_learns_eight_real_persons(shared, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    torch.set_num_threads(1)
    people = open_dataset(shared / "data/people").train
    chosen = [one for one in people.trainable if one.num_labelled >= 12][:8]
    eight = cut_crops(replace(people, instances=tuple(chosen)), NETWORK.input_hw, margin=1.0)
    assert len(eight) == 8
    net = build_evopose2d(NETWORK)
    encoder = make_encoder(net, codec_spec(TRAINING), InputSpec())
    result = fit(net, eight, eight, TRAINING, compute=COMPUTE, encoder=encoder)
    assert result.history[-1].train_loss < 0.8
    # fifty steps move running statistics of momentum 0.01 only so far
    (batch,) = batches(
        eight.cache, batch_size=8, augmentation=Augmentation.none(), seed=0, epoch=0, shuffle=False
    )
    fabric = make_fabric(COMPUTE)
    reestimate_batch_norm(net, [normalise(batch.images, fabric.device, encoder.input)])
    found = validate(net, eight, encoder=encoder, loss="softmax", batch_size=8, fabric=fabric)
    assert found.loss < 0.5
    assert found.mean_oks > 0.9
