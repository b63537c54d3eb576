"""Full training in a folder: what it leaves, and that it never overwrites."""

import json
from dataclasses import replace

import pytest

from evopose.data.layouts import Splits, open_dataset
from evopose.errors import RunError
from evopose.models.evopose2d import build_evopose2d
from evopose.models.inputs import InputSpec
from evopose.models.modelfile import load_model
from evopose.training.compute import make_fabric
from evopose.training.losses import LOSSES
from evopose.training.session import Trained, cut_crops, make_encoder, train_network
from evopose.training.validate import validate
from training.toys import (
    COMPUTE,
    NETWORK,
    assert_same_weights,
    losses,
    make_config,
    make_net,
    stop_after,
)


@pytest.fixture
def data(dots) -> Splits:
    return open_dataset(dots)


def train(data: Splits, out, config=None, *, net=None, **options) -> Trained:
    return train_network(
        net or make_net(),
        data,
        config or make_config(),
        out,
        compute=COMPUTE,
        provenance={"from": "a test"},
        **options,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "mse", "sigma": 0.8, "round_centre": False},
        {"codec": "udp"},
        {"codec": "dark", "loss": "mse", "peak": 1.0},
        {"codec": "megvii", "loss": "mse"},
        {"codec": "soft_argmax"},
    ],
    ids=["softmax", "mse", "udp", "dark", "megvii", "soft_argmax"],
)
def test_the_model_file_validates_to_the_loss_it_was_chosen_by(data, tmp_path, options) -> None:
    config = make_config(**options)
    trained = train(data, tmp_path / "out", config)
    net, card = load_model(trained.model)
    aligned = card.codec.align_corners
    assert aligned == (config.codec == "udp")
    assert card.codec.name == (config.codec or LOSSES[config.loss].codec)
    val = cut_crops(data.val, card.input_hw, margin=1.4, align_corners=aligned)
    found = validate(
        net,
        val,
        encoder=make_encoder(net, card.codec, card.input),
        loss=config.loss,
        batch_size=3,
        fabric=make_fabric(COMPUTE),
    )
    best = trained.outcome.best
    assert found.loss == pytest.approx(best.val_loss, rel=1e-5)
    assert found.mean_oks == pytest.approx(best.val_oks, rel=1e-5)
    assert card.provenance["best"]["val_loss"] == best.val_loss
    assert card.provenance["from"] == "a test"
    assert card.provenance["data"] == data.digest
    assert card.provenance["training"] == config.to_dict()
    assert card.skeleton == data.train.skeleton
    assert card.input == InputSpec()
    if not config.codec:
        softmax = config.loss == "softmax"
        rounding = {} if softmax else {"round_centre": config.round_centre}
        activation = "softmax" if softmax else "none"
        assert card.codec.params == {"sigma": config.sigma, "activation": activation} | rounding


def test_what_lies_in_the_folder(data, tmp_path) -> None:
    out = tmp_path / "a/b"
    trained = train(data, out)
    assert {p.name for p in out.iterdir()} == {
        "checkpoint.pt", "config.json", "history.jsonl", "model.safetensors",
    }  # fmt: skip
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [row["val_loss"] for row in rows] == [r.val_loss for r in trained.outcome.history]
    assert json.loads((out / "config.json").read_text())["data"] == data.digest


def test_a_training_is_not_overwritten(data, tmp_path) -> None:
    train(data, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(RunError, match="holds a training already: go on with --resume, or choose"):
        train(data, tmp_path, make_config(epochs=1))
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_an_interrupted_training_writes_no_model_and_goes_on(data, tmp_path) -> None:
    whole = train(data, tmp_path / "whole")
    part = train(data, tmp_path / "part", should_stop=stop_after(8))
    assert not part.outcome.finished
    assert not part.model.exists()
    part = train(data, tmp_path / "part", net=make_net(seed=99), resume=True)
    assert losses(part.outcome) == losses(whole.outcome)
    assert_same_weights(load_model(part.model).net, load_model(whole.model).net)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": make_config(seed=8)}, "seed"),
        ({"net": "wider"}, "network"),
        ({"data": "fewer"}, "data"),
    ],
)
def test_a_training_does_not_go_on_with_something_else(data, tmp_path, change, named) -> None:
    train(data, tmp_path, should_stop=stop_after(2))
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    if "net" in change:
        change = {"net": build_evopose2d(replace(NETWORK, head_channels=16))}
    if "data" in change:
        data, change = replace(data, digest="another"), {}
    with pytest.raises(RunError, match=rf"\b{named}\b"):
        train(data, tmp_path, resume=True, **change)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_training_begun_before_there_were_codecs_goes_on(data, tmp_path) -> None:
    train(data, tmp_path, should_stop=stop_after(2))
    written = json.loads((tmp_path / "config.json").read_text())
    del written["codec"], written["codec_params"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert train(data, tmp_path, resume=True).outcome.finished
