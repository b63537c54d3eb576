"""The training loop: gradients, averages, the best epoch, and how it stops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evopose.data.augment import Augmentation
from evopose.data.loader import batches
from evopose.errors import TrainingDiverged
from evopose.training import loop
from evopose.training.losses import LOSSES
from evopose.training.schedule import learning_rate
from evopose.training.validate import normalise
from training.toys import (
    Plain,
    assert_same_weights,
    encoder,
    losses,
    make_config,
    make_net,
    stop_after,
)


def plain_config(**options):
    """One step on all ten persons, nothing left to chance."""
    values = {
        "epochs": 1, "batch_size": 10, "ema_decay": 0.0, "clip_norm": 0.0, "warmup_epochs": 0,
        "augmentation": Augmentation.none(),
    }  # fmt: skip
    return make_config(**values | options)


def first_batch(toy, config):
    return next(
        batches(
            toy.train.cache,
            batch_size=config.batch_size,
            augmentation=config.augmentation,
            seed=config.seed,
            epoch=0,
            shuffle=True,
        )
    )


def gradients_by_hand(toy, config) -> dict[str, Tensor]:
    """Return the gradients of the mean loss over the whole batch at once."""
    net, batch, made = Plain(), first_batch(toy, config), encoder(config)
    output = net(normalise(batch.images, torch.device("cpu"), made.input))
    target = torch.from_numpy(made.codec.encode(batch.keypoints, batch.visible))
    visible = torch.from_numpy(batch.visible)
    if config.loss == "mse":
        mean = ((output - target).square() * visible[..., None, None]).mean()
    else:
        p = (target / target.sum((2, 3), keepdim=True)).flatten(2)[visible]
        mean = -(p * output.flatten(2)[visible].log_softmax(-1)).sum() / visible.sum()
    mean.backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}


@pytest.fixture
def uneven(toy):
    """The toy, some keypoints of some persons unlabelled, so that parts of a batch differ."""
    keypoints = toy.train.cache.keypoints.copy()
    keypoints[1:4, :2, 2] = 0
    keypoints[6, :, 2] = 0
    cache = replace(toy.train.cache, keypoints=keypoints)
    return replace(toy, train=replace(toy.train, cache=cache))


@pytest.mark.parametrize("loss", ["mse", "softmax"])
@pytest.mark.parametrize("accumulate", [1, 2, 3, 10, 64])
def test_gradients_are_those_of_the_whole_batch_in_however_many_parts(
    uneven, loss, accumulate
) -> None:
    config = plain_config(loss=loss, accumulate=accumulate)
    net = Plain()
    uneven.fit(net, config)
    expected = gradients_by_hand(uneven, config)
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6 * largest)


@pytest.mark.parametrize("loss", ["mse", "softmax"])
def test_the_reported_loss_is_the_mean_over_the_epoch(uneven, loss) -> None:
    results = [
        uneven.fit(Plain(), plain_config(loss=loss, accumulate=parts, learning_rate=1e-12))
        for parts in (1, 3)
    ]
    batched = uneven.fit(Plain(), plain_config(loss=loss, batch_size=4, learning_rate=1e-12))
    for result in (*results, batched):
        assert result.best.train_loss == pytest.approx(results[0].best.train_loss, rel=1e-5)


def test_the_norm_of_the_gradient_is_clipped(toy) -> None:
    whole, clipped = Plain(), Plain()
    toy.fit(whole, plain_config())
    toy.fit(clipped, plain_config(clip_norm=0.01))
    norm = torch.cat([p.grad.flatten() for p in whole.parameters()]).norm()
    assert norm > 0.02
    for one, other in zip(clipped.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad * 0.01 / norm, rtol=1e-3, atol=1e-9)


def test_the_rate_of_each_step_follows_the_schedule(toy) -> None:
    config = make_config()
    result = toy.fit(make_net(), config)
    last_steps = [2, 5, 8]
    expected = [learning_rate(config, step, 3) for step in last_steps]
    assert [record.learning_rate for record in result.history] == expected


def test_the_average_of_weights_is_what_is_kept(toy) -> None:
    config = make_config(epochs=1, ema_decay=0.6, batch_size=3)
    net, seen = make_net(), []

    def look(event: dict) -> None:
        if "step" in event:
            seen.append({n: t.clone() for n, t in net.state_dict().items()})

    toy.fit(net, config, on_progress=look)
    assert len(seen) == 4
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            expected = seen[0][name]
            for weights in seen[1:]:
                expected = 0.6 * expected + 0.4 * weights[name]
            torch.testing.assert_close(tensor, expected, rtol=1e-4, atol=1e-6)
    assert not torch.equal(net.stem_conv.weight, seen[-1]["stem_conv.weight"])


def test_progress_is_told_at_each_step_and_epoch(toy) -> None:
    events = []
    result = toy.fit(make_net(), make_config(epochs=2), on_progress=events.append)
    steps = [e for e in events if "kind" not in e]
    assert [(e["epoch"], e["step"]) for e in steps] == [(e, s) for e in (1, 2) for s in (1, 2, 3)]
    assert all(e["epochs"] == 2 and e["steps"] == 3 for e in steps)
    assert all(np.isfinite(e["loss"]) and e["images_per_second"] > 0 for e in steps)
    epochs = [e for e in events if e.get("kind") == "epoch"]
    assert [e["val_loss"] for e in epochs] == [r.val_loss for r in result.history]
    told = ["step" if "step" in event else event["kind"] for event in events]
    # five persons are validated in batches of four
    assert told == 2 * ["step", "step", "step", "validation", "validation", "epoch"]


@pytest.fixture
def scripted(monkeypatch, toy):
    """Train with validation losses from a list; return the result and the weights validated."""

    def run(values, config, **options):
        seen, left = [], iter(values)

        def told(net: nn.Module, *args, **kwargs):
            seen.append({name: tensor.clone() for name, tensor in net.state_dict().items()})
            return replace(genuine(net, *args, **kwargs), loss=next(left))

        genuine = loop.validate
        with monkeypatch.context() as patch:
            patch.setattr(loop, "validate", told)
            net = make_net()
            return toy.fit(net, config, **options), net, seen

    return run


def test_the_weights_of_the_best_epoch_are_returned(scripted) -> None:
    result, net, seen = scripted([3.0, 1.0, 2.0, 1.0], make_config(epochs=4))
    assert result.best.epoch == 2, "the first of equals"
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, seen[1][name])
    assert not torch.equal(net.stem_conv.weight, seen[3]["stem_conv.weight"])


@pytest.mark.parametrize(
    ("values", "patience", "epochs"),
    [
        ([3, 2, 2.5, 2.6, 1, 1], 2, 4),
        ([3, 2, 2.5, 1.9, 1.95, 1.8], 2, 6),
        ([3, 3, 3, 3, 3, 3], 1, 2),
        ([3, 4, 5, 6, 7, 8], None, 6),
    ],
)
def test_training_stops_after_so_many_epochs_without_a_better_one(
    scripted, values, patience, epochs
) -> None:
    result, _, seen = scripted(values, make_config(epochs=6, patience=patience))
    assert len(result.history) == len(seen) == epochs
    assert result.finished
    assert result.best.val_loss == min(values[:epochs])


def spoil(monkeypatch, loss: str, at_call: int, how) -> None:
    genuine, calls = LOSSES[loss], iter(range(1, 1000))

    def spoilt(outputs, target, visibility):
        total = genuine.value(outputs, target, visibility)
        if outputs[-1].requires_grad and next(calls) == at_call:
            total = how(total)
        return total

    monkeypatch.setitem(LOSSES, loss, replace(genuine, value=spoilt))


FAULTS = {
    "the loss is nan": lambda total: total * float("nan"),
    "the loss is inf": lambda total: total + float("inf"),
    "the norm of the gradient is nan": lambda total: total + (total * 0).sqrt(),
}


@pytest.mark.parametrize("what", FAULTS)
def test_divergence_names_step_images_and_the_last_good_checkpoint(
    toy, tmp_path, monkeypatch, what
) -> None:
    config, checkpoint = make_config(checkpoint_seconds=0.0), tmp_path / "checkpoint.pt"
    whole = make_net()
    expected = toy.fit(whole, config)
    second = list(
        batches(
            toy.train.cache, batch_size=4, augmentation=config.augmentation, seed=config.seed,
            epoch=1, shuffle=True,
        )
    )[1]  # fmt: skip
    with monkeypatch.context() as patch:
        spoil(patch, "softmax", 5, FAULTS[what])
        with pytest.raises(TrainingDiverged) as caught:
            toy.fit(make_net(), config, checkpoint=checkpoint)
    message = str(caught.value)
    assert message.startswith(f"{what} at epoch 2, step 2 of 3; images ")
    ids = [int(toy.train.cache.ids[i]) for i in second.index]
    for number in ids:  # of the dots' images, each has one person of its own number
        assert f"{number} (annotation {number})" in message
    assert message.count("annotation") == 4
    assert f"last good checkpoint: {checkpoint}." in message
    assert "A lower learning rate" in message
    # and good it is: without the fault, training goes on from there as if nothing had been
    net = make_net(seed=99)
    assert losses(toy.fit(net, config, checkpoint=checkpoint)) == losses(expected)
    assert_same_weights(net, whole)


def test_divergence_before_any_checkpoint_says_so(toy, monkeypatch) -> None:
    spoil(monkeypatch, "mse", 1, FAULTS["the loss is nan"])
    with pytest.raises(TrainingDiverged, match=r"epoch 1, step 1 of 1.*and others; no checkpoint"):
        toy.fit(make_net(), make_config(loss="mse", batch_size=10))


def test_a_learning_rate_that_is_far_too_high_ends_in_divergence(toy) -> None:
    config = make_config(learning_rate=1e30, warmup_epochs=0, clip_norm=0.0, ema_decay=0.0)
    with pytest.raises(TrainingDiverged, match=r"[Aa] lower learning rate"):
        toy.fit(make_net(), config)


def test_a_validation_loss_that_is_not_finite_stops_training(scripted) -> None:
    with pytest.raises(TrainingDiverged, match="the validation loss is nan after epoch 2"):
        scripted([1.0, float("nan")], make_config())


def test_the_networks_layers_draw_from_the_global_generator_again_afterwards(toy) -> None:
    net = make_net()
    toy.fit(net, make_config(), should_stop=stop_after(1))
    assert net.stages[1][1].drop.generator is None


def test_no_global_generator_is_touched(toy) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    toy.fit(make_net(), make_config())
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002


def test_the_seed_decides_order_augmentation_and_depth(toy) -> None:
    first, again, other = (
        losses(toy.fit(make_net(), make_config(seed=seed))) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
