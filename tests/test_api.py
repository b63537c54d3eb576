"""`evopose.evolve`, end to end on drawn dots, and the names a README uses."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import evopose
from evopose.api import default_run, make_config, plan_search
from evopose.errors import ConfigError, DataError, EvoposeError, RunError, TrainingDiverged
from evopose.evolution.accounting import overhead
from evopose.evolution.store import Store
from evopose.inference.model_files import find_model_file
from evopose.models.card import read_card
from evopose.models.devices import cpu_count
from evopose.models.modelfile import load_model
from evopose.search.child import train_individual
from evopose.search.folder import read_config
from tiny_runs import INLINE_OPTIONS, OPTIONS, story

pytestmark = pytest.mark.usefixtures("quick")


def search(dots, run, **options):
    return evopose.evolve(dots, run=run, **OPTIONS | INLINE_OPTIONS | options)


def test_importing_evopose_is_quick_and_its_names_are_there():
    code = (
        "import sys, evopose; heavy = {'torch', 'cv2', 'plotly', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; print(all(getattr(evopose, n) for n in evopose.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
    with pytest.raises(AttributeError, match="no attribute 'evolv'"):
        evopose.evolv  # noqa: B018


def test_what_a_run_leaves(finished_run):
    names = {path.name for path in finished_run.iterdir()}
    assert names >= {
        "run.sqlite", "config.json", "blobs", "logs", "best.safetensors", "pareto", "winner.png",
        "report.html", "results.json", "individuals.csv",
    }  # fmt: skip
    assert "work" not in names  # no checkpoint outlives its training
    assert not [name for name in names if name.startswith(".")]
    with Store.read(finished_run) as store:
        ids = [one.id for one in store.individuals()]
        assert ids == ["0", "1", "2", "3", "c1", "4", "5", "6", "c2"]
        assert store.counts() == {"proposed": 0, "running": 0, "done": 9, "failed": 0}
        best, front = store.best(1)[0], {f"{one.id}.safetensors" for one in store.pareto()}
        assert {path.name for path in (finished_run / "pareto").iterdir()} == front
        for one in store.individuals():
            log = (finished_run / "logs" / f"{one.id}.jsonl").read_text().splitlines()
            assert any(json.loads(line).get("kind") == "epoch" for line in log)
        spent = overhead(store)
    assert spent["busy_seconds"] > 0
    results = json.loads((finished_run / "results.json").read_text())
    assert results["winner"] == best.id
    assert read_card(finished_run / "best.safetensors").genotype == best.genotype


def test_the_winner_can_be_used(finished_run):
    import torch

    net, card = load_model(finished_run / "best.safetensors")
    with torch.no_grad():
        heatmaps = net(torch.zeros(1, 3, *card.input_hw))
    assert heatmaps.shape[:2] == (1, 3)
    assert card.provenance["recipe"] == "demo"


def test_the_configuration_of_a_run_is_the_one_that_was_searched_with(finished_run):
    config = read_config(finished_run)
    assert (config.input_hw, config.evolution.children) == ((32, 32), 3)
    with Store.read(finished_run) as store:
        meta = store.meta
    assert meta["persons"].keys() == {"train", "fitness", "val"}
    assert (meta["workers"], meta["recipe"], meta["input_hw"]) == (1, "demo", [32, 32])
    assert set(meta["versions"]) == {"evopose", "torch", "python"}


@pytest.mark.skipif(cpu_count() < 2, reason="two workers need two CPUs")
def test_processes_and_one_process_agree(dots, finished_run, tmp_path):
    run = tmp_path / "two"
    search(dots, run, executor="process", workers=2, generations=1)
    assert story(run) == story(finished_run, generations=1)
    with Store.read(run) as store:
        assert {attempt.slot for attempt in store.attempts()} == {0, 1}


def test_a_resumed_run_goes_on_with_more_generations(dots, finished_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    evolved = evopose.evolve(dots, run=run, resume=True, generations=3, **INLINE_OPTIONS)
    assert evolved.ending.reason == "all 3 generations are done"
    assert not evolved.interrupted
    assert story(run, generations=2) == story(finished_run)
    assert [one[0] for one in story(run)][-4:] == ["7", "8", "9", "c3"]
    # What was asked for last is what the next session knows.
    again = evopose.evolve(dots, run=run, resume=True, **INLINE_OPTIONS)
    assert again.ending.reason == "all 3 generations are done"
    assert len(story(run)) == 13


def test_the_command_that_began_a_run_goes_on_with_it(dots, finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    same = OPTIONS | INLINE_OPTIONS | {"resume": True, "deterministic": True}
    plan = plan_search(dots, run=run, **same, timeout_seconds=90.0, hours=3.0, quota_gb=1.0)
    before = read_config(finished_run)
    ends = {"timeout_seconds": 90.0, "hours": 3.0, "quota_gb": 1.0}
    assert plan.config == replace(before, evolution=replace(before.evolution, **ends))
    with pytest.raises(ConfigError, match=r"--child-timeout may have .*, not --epochs, --input$"):
        plan_search(dots, run=run, **same | {"input_hw": (64, 64), "epochs": 2})


def test_a_run_in_use_is_not_resumed_and_nothing_is_read_before(
    dots, finished_run, tmp_path, monkeypatch
):
    run = shutil.copytree(finished_run, tmp_path / "run")
    monkeypatch.setattr("evopose.api.open_dataset", None)
    with Store.open(run), pytest.raises(RunError, match="is in use by process"):
        plan_search(dots, run=run, resume=True, **INLINE_OPTIONS)


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_search_whose_winner_is_lost_says_so_and_keeps_the_old_one(
    evopose_lost, dots, harm, caplog
):
    run, blob, best = evopose_lost(harm)
    evolved = evopose.evolve(dots, run=run, resume=True, **INLINE_OPTIONS)
    assert evolved.model is None
    assert evolved.view is None
    assert evolved.best.blob == blob
    assert (run / "best.safetensors").read_bytes() == best
    assert f"best.safetensors is not written: the weights {run / 'blobs'}" in caplog.text
    assert (run / "report.html").is_file()
    with pytest.raises(RunError, match=f"{blob}.safetensors are {harm}"):
        find_model_file(str(run))


@pytest.fixture
def evopose_lost(finished_run, tmp_path):
    """A copy of a finished run, its winner's weights lost, of which an older winner is there."""

    def make(harm):
        run = shutil.copytree(finished_run, tmp_path / "run")
        best = b"of an older winner"
        (run / "best.safetensors").write_bytes(best)
        (run / "report.html").unlink()
        with Store.read(run) as store:
            winner = store.winner()
            (run / "pareto" / f"{winner.id}.safetensors").unlink(missing_ok=True)
            path = store.blobs.path(winner.blob)
        if harm == "damaged":
            path.write_bytes(bytes(4) + path.read_bytes()[4:])
        else:
            path.unlink()
        return run, winner.blob, best

    return make


def test_without_clones_and_within_limits(dots, tmp_path):
    limit = 280_000
    evolved = search(
        dots, tmp_path / "run", generations=1, clones=False, max_parameters=limit, seed=4
    )
    with Store.read(evolved.run) as store:
        individuals = store.individuals()
    assert [one.kind for one in individuals] == ["ancestor", "mutant", "mutant", "mutant"]
    assert max(one.num_parameters for one in individuals) <= limit


def test_children_that_fail_are_recorded_and_the_search_goes_on(dots, tmp_path, monkeypatch):
    def train(job, heartbeat):
        match job["id"], job["micro_batch_divisor"]:
            case "1", _:
                raise ValueError("no such thing as [/child] one")
            case "2", _:
                raise TrainingDiverged("the loss is nan at epoch 1, step 2")
            case "3", 1:
                raise MemoryError("16 TiB")
        return train_individual(job, heartbeat)

    monkeypatch.setattr("evopose.search.child.train_individual", train)
    told = []
    evolved = search(dots, tmp_path / "run", generations=1, on_event=told.append)
    with Store.read(evolved.run) as store:
        failed = {one.id: one.fail_reason for one in store.individuals(status="failed")}
        assert store.counts()["done"] == 3
        outcomes = {
            id: [attempt.outcome for attempt in store.attempts(id)] for id in ("1", "2", "3")
        }
        third = read_card(store.blobs.path(store.individual("3").blob))
    assert failed.keys() == {"1", "2"}
    assert "no such thing as [/child] one" in failed["1"]
    assert "the loss is nan" in failed["2"]
    assert outcomes == {"1": ["failed"], "2": ["diverged"], "3": ["oom", "done"]}
    assert third.provenance["training"]["accumulate"] == 2
    kinds = ["proposed", "started", "progress", "done", "failed", "lost", "generation", "stopped"]
    assert {event["kind"] for event in told} == set(kinds)
    assert "no such thing as [/child] one" in (evolved.run / "report.html").read_text()


def test_a_full_disk_stops_the_search_and_keeps_what_is_done(dots, tmp_path, monkeypatch):
    def train(job, heartbeat):
        if job["id"] == "2":
            raise OSError(28, "No space left on device")
        return train_individual(job, heartbeat)

    monkeypatch.setattr("evopose.search.child.train_individual", train)
    run = tmp_path / "run"
    with pytest.raises(RunError, match=r"is full\. All results so far are kept: free some space"):
        search(dots, run)
    with Store.read(run) as store:
        done = {one.id for one in store.individuals(status="done")}
    assert "0" in done
    monkeypatch.undo()
    monkeypatch.setattr("evopose.api.measure_throughput", _measured())
    evopose.evolve(dots, run=run, resume=True, generations=1, **INLINE_OPTIONS)
    with Store.read(run) as store:
        assert store.counts()["done"] == 5
        assert [a.outcome for a in store.attempts("2")] == ["interrupted", "done"]
        assert all(len(store.attempts(id)) == 1 for id in done)


def _measured():
    from tiny_runs import no_measurement

    return no_measurement


def test_nothing_is_written_by_a_plan(dots, tmp_path):
    run = tmp_path / "run"
    plan = plan_search(dots, run=run, **OPTIONS | INLINE_OPTIONS)
    assert not run.exists()
    assert plan.persons["train"] + plan.persons["fitness"] == 24
    assert plan.persons["val"] == 6
    assert plan.cost.trainings == 9
    assert plan.blind == {}
    assert not plan.resume


def test_a_plan_says_which_genes_the_scaling_blinds(dots):
    plan = plan_search(dots, **OPTIONS | INLINE_OPTIONS, scaling_reference="224")
    assert plan.blind["stage 3 repeats"] == "has no effect"


def test_an_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="there are small, demo, paper, paper-as-written"):
        make_config("large")


def test_a_configuration_is_as_good_as_a_recipe(dots):
    config = make_config("demo", input_hw=(32, 32))
    config = replace(config, recipe="my own")
    plan = plan_search(dots, recipe=config, children=2, **INLINE_OPTIONS)
    assert (plan.config.recipe, plan.config.evolution.children) == ("my own", 2)


@pytest.mark.parametrize("recipe", ["paper", "paper-as-written"])
def test_without_imagenet_weights_the_papers_recipes_stop(dots, recipe):
    with pytest.raises(ConfigError, match="--ancestor-weights none to start from random ones"):
        plan_search(dots, recipe=recipe)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("synthetic", "synthetic"),
        ("synthetic:500", "synthetic"),
        ("../people/", "people"),
        ("sets/mice.v2", "mice.v2"),
        ("synthetic_mice/", "synthetic_mice"),
    ],
)
def test_runs_are_named_by_data_and_date(data, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parent, _, stamp = str(default_run(data)).rpartition(f"/{name}-")
    assert parent == "runs"
    assert len(stamp) == len("20260131-120000")


def test_a_run_of_a_file_is_named_by_the_file(tmp_path):
    (tmp_path / "mice.json").write_text("{}")
    assert default_run(tmp_path / "mice.json").name.startswith("mice-2")


def test_a_run_folder_cannot_be_taken_twice(dots, finished_run):
    before = story(finished_run)
    with pytest.raises(RunError, match="is a run already: go on with --resume"):
        search(dots, finished_run)
    assert story(finished_run) == before


def test_resuming_needs_the_run_its_data_and_its_configuration(dots, finished_run, tmp_path):
    with pytest.raises(ConfigError, match="which run is to go on"):
        evopose.evolve(dots, resume=True)
    with pytest.raises(RunError, match="is not the folder of a run"):
        evopose.evolve(dots, run=tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"keeps its configuration.*not --children, --seed"):
        evopose.evolve(dots, run=finished_run, resume=True, children=4, seed=1)
    other = shutil.copytree(dots, tmp_path / "other")
    content = json.loads((other / "train.json").read_text())
    content["annotations"][0]["keypoints"][0] += 1
    (other / "train.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"was made on .*dots .*name that dataset, or start another"):
        evopose.evolve(other, run=finished_run, resume=True)


def test_the_same_data_elsewhere_is_the_same_data(dots, finished_run, tmp_path):
    moved = shutil.copytree(dots, tmp_path / "moved" / "dots")
    plan = plan_search(moved, run=finished_run, resume=True, **INLINE_OPTIONS)
    assert plan.resume


def test_errors_are_of_one_family():
    assert issubclass(ConfigError, EvoposeError)
    assert issubclass(DataError, EvoposeError)
    with pytest.raises(DataError, match="there is no nowhere"):
        evopose.evolve("nowhere")
