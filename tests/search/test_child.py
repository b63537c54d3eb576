"""One individual's training, as a worker does it: killed and run again it gives the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evopose.data.layouts import open_dataset
from evopose.evolution.blobs import BlobStore
from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.genotype import Change
from evopose.models.modelfile import load_model
from evopose.recipes import SEARCH_RECIPES
from evopose.search.child import train_individual
from evopose.search.folder import create_run
from evopose.search.overrides import override
from evopose.search.session import Workers, make_jobs, prepare_data
from evopose.training.compute import Compute
from tiny_runs import OPTIONS, as_before

WORKERS = Workers(compute=Compute(device="cpu", threads=1, precision="fp32"), executor="inline")
RESULT_KEYS = {
    "blob", "loss", "mean_oks", "best_epoch", "history", "samples", "busy_seconds", "seconds",
    "train_seconds", "val_seconds",
    "pid",
}  # fmt: skip


class Killed(BaseException):
    """SIGKILL, as far as a function in this process can be."""


@pytest.fixture(autouse=True)
def torch_as_before():
    with as_before():
        yield


@pytest.fixture
def jobs(dots, tmp_path):
    """A function from an individual and its parent to a job, in a run of its own."""
    options = {k: v for k, v in OPTIONS.items() if k != "recipe"}
    config = override(SEARCH_RECIPES["demo"](), **options)
    each_step = {"checkpoint_seconds": 0.0}
    config = replace(
        config,
        ancestor_training=replace(config.ancestor_training, **each_step),
        child_training=replace(config.child_training, **each_step),
    )
    data = prepare_data(open_dataset(dots), config)
    store = create_run(tmp_path / "run", config, data, WORKERS)
    make_job = make_jobs(config, data, WORKERS)

    def job(genotype=config.ancestor, parent=None, **more):
        one = individual(genotype, birth=1 if parent else 0)
        return make_job(one, 1, parent, store) | more

    job.config, job.store = config, store
    yield job
    store.close()


def individual(genotype, birth=0, blob=None):
    return Individual(
        kind="mutant" if birth else "ancestor", birth=birth, generation=birth,
        genotype=genotype, seed=3, num_parameters=1, num_macs=1, created_at=0.0, blob=blob,
        changes=(Change(stage=0, gene="kernel", before=3, after=5),) if birth else (),
    )  # fmt: skip


def silent(**told):
    """A heartbeat that nobody hears."""


def lasting(result):
    """What must not depend on clocks and processes."""
    timed = ("history", "busy_seconds", "seconds", "train_seconds", "val_seconds", "pid")
    records = [
        {k: v for k, v in record.items() if not k.endswith("seconds")}
        for record in result["history"]
    ]
    return {k: v for k, v in result.items() if k not in timed} | {"history": records}


def test_an_ancestor(jobs):
    job = jobs()
    assert json.loads(json.dumps(job)) == job
    told = []
    result = train_individual(job, lambda **event: told.append(event))
    assert set(result) == RESULT_KEYS
    assert result["loss"] == min(record["val_loss"] for record in result["history"])
    assert result["best_epoch"] in (1, 2)
    assert result["samples"] == 2 * len(np.load(Path(job["data"]["train"]) / "samples.npz")["ids"])
    assert 0 < result["busy_seconds"] <= result["seconds"]
    assert [event["epoch"] for event in told if event.get("kind") == "epoch"] == [1, 2]
    assert json.loads(json.dumps(result))["blob"] == result["blob"]


def test_the_blob_is_a_model_file_that_explains_itself(jobs):
    job = jobs()
    result = train_individual(job, silent)
    net, card = load_model(BlobStore(Path(job["blobs"])).path(result["blob"]))
    assert card.genotype == jobs.config.ancestor
    assert card.input_hw == (32, 32)
    assert card.skeleton.keypoints == ("nose", "left_hand", "right_hand")
    assert card.skeleton.flip_pairs == ((1, 2),)
    assert card.codec.params["activation"] == "softmax"
    assert card.provenance["individual"] == "0"
    assert card.provenance["loss"] == result["loss"]
    assert card.provenance["data"] == job["data_digest"]
    assert net.config.scaling_reference is None


@pytest.fixture
def parent(jobs, finished_run):
    """The trained ancestor of a search of the same configuration."""
    with Store.read(finished_run) as store:
        blob = jobs.store.blobs.put(store.blobs.read(store.individual("0").blob))
    return individual(jobs.config.ancestor, blob=blob)


def test_a_child_inherits(jobs, parent):
    child = jobs.config.ancestor.with_gene(0, "kernel", 5)
    result = train_individual(jobs(child, parent), silent)
    assert set(result) == RESULT_KEYS | {"transfer", "start_loss", "start_oks"}
    assert result["transfer"]["rule"] == "exact"
    assert result["transfer"]["preserves_function"]
    assert result["transfer"]["share_inherited"] > 0.9
    assert [record["epoch"] for record in result["history"]] == [1]


def test_before_its_first_step_a_grown_child_is_its_parent(jobs, parent, monkeypatch):
    from evopose.search import child as module

    losses = []

    def look(net, train, val, training, *, compute, encoder, **more):
        from evopose.training.compute import make_fabric
        from evopose.training.validate import validate

        fabric = make_fabric(compute)
        found = validate(
            net.eval(), val, encoder=encoder, loss=training.loss, batch_size=8, fabric=fabric
        )
        losses.append(found.loss)
        raise Killed

    monkeypatch.setattr(module, "fit", look)
    for gene, value in (("kernel", 5), ("repeats", 2)):
        child = jobs.config.ancestor.with_gene(0, gene, value)
        with pytest.raises(Killed):
            train_individual(
                jobs(child, parent, work=str(jobs.store.folder / "work" / gene)), silent
            )
    trained = load_model(jobs.store.blobs.path(parent.blob)).card.provenance["loss"]
    assert losses == pytest.approx([trained, trained], rel=1e-4)


def test_the_official_rule_is_followed_where_the_search_says_so(jobs, parent):
    config = replace(jobs.config, transfer="official")
    child = jobs.config.ancestor.with_gene(0, "kernel", 5)
    result = train_individual(jobs(child, parent, config=config.to_json()), silent)
    assert result["transfer"]["rule"] == "official"


@pytest.mark.parametrize("moment", [0, 2, 4])
def test_killed_and_run_again_it_gives_the_same(jobs, parent, moment):
    child = jobs.config.ancestor.with_gene(5, "filters", 4)  # cut: statistics estimated anew
    undisturbed = train_individual(jobs(child, parent), silent)
    for made in (jobs.store.folder / "work", jobs.store.folder / "logs"):
        shutil.rmtree(made)
    jobs.store.blobs.delete(undisturbed["blob"])
    told = []

    def until(**event):
        told.append(event)
        if len(told) > moment:
            raise Killed

    job = jobs(child, parent)
    _every_event(job, until)
    result = train_individual(job, silent)
    assert lasting(result) == lasting(undisturbed)
    assert jobs.store.blobs.path(result["blob"]).is_file()


def _every_event(job, heartbeat):
    """Run a job that is killed from its heartbeat, which hears of every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evopose.search.child._Throttled", _direct)
        with pytest.raises(Killed):
            train_individual(job, heartbeat)


def _direct(heartbeat):
    return lambda event: heartbeat(**event)


def test_a_half_of_the_batch_at_once_begins_anew(jobs):
    job = jobs()
    seen = []

    def until(**event):
        seen.append(event)
        if len(seen) == 2:
            raise Killed

    _every_event(job, until)
    result = train_individual(job | {"micro_batch_divisor": 2}, silent)
    card = load_model(jobs.store.blobs.path(result["blob"])).card
    assert card.provenance["training"]["accumulate"] == 2
    fresh = train_individual(
        jobs(micro_batch_divisor=2, work=str(jobs.store.folder / "work" / "fresh")), silent
    )
    assert fresh["blob"] == result["blob"]


def test_an_ancestor_with_weights_starts_from_them(jobs, parent):
    weights = str(jobs.store.blobs.path(parent.blob))
    result = train_individual(
        jobs(start_from=weights, work=str(jobs.store.folder / "work" / "again")), silent
    )
    assert result["transfer"]["share_inherited"] == 1.0
    assert len(result["history"]) == 2  # the ancestor's epochs, not a child's
