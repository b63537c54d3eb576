"""Each verb on a finished run: what it prints for people, and for programs."""

import json
import shutil

import pytest

from evopose.models import MODELS
from evopose.models.modelfile import load_model
from tiny_runs import FLAGS, INLINE, story

pytestmark = pytest.mark.usefixtures("quick")


def test_a_dry_run_starts_nothing(evopose, dots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    done = evopose("evolve", dots, *FLAGS, *INLINE, "--dry-run", "--json")
    assert done.code == 0
    assert done.json["cost"]["trainings"] == 9
    assert done.json["config"]["evolution"]["children"] == 3
    assert done.json["persons"]["val"] == 6
    lines = done.err.splitlines()
    assert lines[0].startswith("device: cpu (")
    assert lines[1].startswith("speed: 100 images/s a worker")
    assert any(line.startswith("cost: 9 trainings, about") for line in lines)
    assert any(line.startswith("note: the ancestor is trained for 6 steps only") for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_told(evopose, dots):
    done = evopose("evolve", dots, *FLAGS, "--workers", "1", "--threads", "1", "--dry-run")
    assert "memory 500 MB\n" in done.out
    from tiny_runs import no_measurement

    def starved(*given, **named):
        from dataclasses import replace

        return replace(no_measurement(*given, **named), free_memory_bytes=10**8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evopose.api.measure_throughput", starved)
        done = evopose("evolve", dots, *FLAGS, "--workers", "1", "--threads", "1", "--dry-run")
    assert "memory 500 MB, of which 100 MB are free" in done.out


def test_too_little_disk_is_told(evopose, dots, tmp_path, monkeypatch):
    command = [
        "evolve", dots, *FLAGS, "--workers", "1", "--threads", "1", "--run", tmp_path / "run",
        "--dry-run",
    ]  # fmt: skip
    assert " for weights; memory" in evopose(*command).out
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    done = evopose(*command)
    assert " for weights, of which 0 MB are free; memory" in done.out
    assert f"note: the disk of {tmp_path} has no room for the weights" in done.out


def test_evolve_from_start_to_end(evopose, dots, finished_run, tmp_path):
    run = tmp_path / "run"
    done = evopose("evolve", dots, *FLAGS, *INLINE, "--run", run)
    assert done.code == 0
    assert story(run) == story(finished_run)  # flags and options mean the same
    text = done.out
    assert "\x1b" not in text
    assert "\r" not in text
    lines = text.splitlines()
    assert sum(line.startswith("generation ") for line in lines) == 3
    assert sum(": J " in line for line in lines) == 9
    assert any(line.strip().startswith("c1 of") and line.endswith(" clone") for line in lines)
    assert "ended: all 2 generations are done" in lines
    (head,) = (line for line in lines if line.split()[:3] == ["id", "J", "loss"])
    assert len(head) <= 100
    ranked = lines[lines.index(head) + 1 :][:7]
    assert [line.split()[0] for line in ranked] == list("1234567")
    assert all(len(line.rstrip()) <= 100 for line in ranked)
    assert f"train the winner fully: evopose train {run} {dots}" in lines
    (further,) = (line for line in lines if line.startswith("search on: "))
    assert further.startswith(f"search on: evopose evolve {dots} --run {run} --resume ")
    assert further.endswith(" --executor inline --generations 5")
    for name in ("best.safetensors", "pareto", "winner.png", "report.html", "individuals.csv"):
        assert f"  {name} " in text


def test_evolve_as_json_says_one_object(evopose, dots, tmp_path):
    run = tmp_path / "run"
    done = evopose("evolve", dots, *FLAGS, *INLINE, "--run", run, "--generations", "1", "--json")
    assert done.code == 0
    found = done.json
    assert (found["run"], found["interrupted"]) == (str(run), False)
    assert found["best"]["num_parameters"] > 0
    assert found["best"]["fitness"] == min(one[5] for one in story(run) if one[0][0] != "c")
    assert 0 <= found["val_mean_oks"] <= 1
    assert "generation 1: best is" in done.err


def test_a_search_whose_hours_are_spent_says_how_to_go_on(evopose, dots, tmp_path):
    run = tmp_path / "run"
    done = evopose("evolve", dots, *FLAGS, *INLINE, "--run", run, "--budget-hours", "1e-9")
    assert done.code == 0
    assert "ended: its hours are spent" in done.out
    assert "train the winner" not in done.out  # there is none
    assert done.out.splitlines()[-1].endswith("--executor inline --budget-hours 2e-09")
    assert (run / "report.html").is_file()
    assert not (run / "best.safetensors").exists()


def test_status_of_a_finished_run(evopose, finished_run):
    done = evopose("status", finished_run)
    assert done.code == 0
    head = "finished (all 2 generations are done): generation 2 of 2; 7 individuals finished; "
    assert done.out.startswith(head)
    assert "go on with" not in done.out
    lines = done.out.splitlines()
    (head,) = (at for at, line in enumerate(lines) if line.split()[:3] == ["id", "J", "loss"])
    assert [line.split()[0] for line in lines[head + 1 :]] == list("1234567")
    found = evopose("status", finished_run, "--json", "--best", 2).json
    assert (found["state"], found["finished"], found["failed"]) == ("finished", 7, 0)
    assert (found["attempts"], found["failures"], found["last_error"]) == ({"done": 9}, [], None)
    blobs = [path.stat().st_size for path in (finished_run / "blobs").glob("*/*")]
    kept = found["disk"]["weights"]
    assert (kept["kept"], kept["kept_bytes"]) == (len(blobs), sum(blobs))
    assert kept["kept"] + kept["dropped"] == 9
    logs = sum(path.stat().st_size for path in (finished_run / "logs").iterdir())
    assert (found["disk"]["logs"], found["disk"]["logs_estimated"]) == (logs, False)
    assert [set(one) >= {"id", "fitness", "genotype"} for one in found["best"]] == [True, True]
    assert isinstance(found["best"][0]["num_parameters"], int)


def test_report_writes_again_what_was_deleted(evopose, finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    for name in ("report.html", "results.json", "individuals.csv", "winner.png"):
        (run / name).unlink()
    shutil.rmtree(run / "pareto")
    (run / "pareto").mkdir()
    (run / "pareto" / "99.safetensors").write_bytes(b"of another time")
    done = evopose("report", run)
    assert (done.code, done.out) == (0, f"wrote {run}/report.html\n")
    assert (run / "winner.png").read_bytes() == (finished_run / "winner.png").read_bytes()
    assert not (run / "pareto" / "99.safetensors").exists()
    assert json.loads((run / "results.json").read_text())["state"] == "finished"
    found = evopose("report", run, "--json").json
    assert found["report"] == str(run / "report.html")


def test_report_without_its_crops_says_that_the_picture_is_missing(
    evopose, finished_run, tmp_path, caplog
):
    import sqlite3

    run = shutil.copytree(finished_run, tmp_path / "run")
    with sqlite3.connect(run / "run.sqlite") as db:
        gone = json.dumps({"val": str(tmp_path / "gone")})
        db.execute("UPDATE meta SET value = ? WHERE key = 'crops'", (gone,))
        db.execute("UPDATE meta SET value = '{}' WHERE key = 'crops_at'")
    db.close()
    done = evopose("report", run, "--json")
    assert (done.code, done.json["val_mean_oks"]) == (0, None)
    assert "no picture of what the winner sees: no usable crops" in caplog.text


def test_models(evopose):
    done = evopose("models")
    assert done.code == 0
    rows = {tuple(line.split()[:2]): line.split() for line in done.out.splitlines() if line}
    assert rows["evopose2d-s", "256x192"][2:] == [
        "2.53", "M", "2.50", "M", "1.06", "G", "2.53", "/", "1.07", "70.2",
    ]  # fmt: skip
    assert rows["hrnet-w32", "384x288"][-1] == "[1][2]"
    assert "[1] published figure: multiply-adds / 2^30" in done.out
    assert "it should read 17.2" in done.out
    listed = evopose("models", "--json").json["models"]
    assert len(listed) == len(rows) - len([row for row in rows if row[0] not in MODELS])
    found = {(one["name"], *one["input_hw"]): one for one in listed}
    assert found["evopose2d-s", 256, 192]["num_parameters"] == 2_531_199
    assert found["evopose2d-m", 384, 288]["published"]["ap"] == 75.1
    assert found["evopose2d", 256, 192]["num_macs"] is None


@pytest.fixture
def trained(evopose, dots, tmp_path):
    """Train something for an epoch, and return the folder and what was said."""

    def train(model, *options, epochs=1):
        folder = tmp_path / "trained"
        done = evopose(
            "train", model, dots, "--epochs", epochs, "--batch-size", 8, "--threads", 1,
            "--precision", "fp32", "--out", folder, *options,
        )  # fmt: skip
        return folder, done

    return train


@pytest.mark.parametrize("which", ["", ":1"])
def test_train_an_individual_of_a_run(trained, finished_run, which):
    folder, done = trained(f"{finished_run}{which}")
    assert done.code == 0, done.err
    assert f"network: {finished_run}{which}, with its weights, 32x32" in done.out
    assert f"wrote {folder}/model.safetensors" in done.out
    _, card = load_model(folder / "model.safetensors")
    assert card.provenance["training"]["epochs"] == 1
    assert card.skeleton.keypoints == ("nose", "left_hand", "right_hand")
    if which:
        from evopose.evolution.store import Store

        with Store.read(finished_run) as store:
            assert card.genotype == store.individual("1").genotype


def test_train_a_name_at_a_size_and_a_training_again(trained, evopose, dots, tmp_path):
    folder, done = trained("narrow", "--input", "32x32", "--loss", "mse", "--json")
    assert done.code == 0, done.err
    assert done.json["model"] == str(folder / "model.safetensors")
    assert done.json["best"]["epoch"] == 1
    again = evopose("train", folder, dots, "--epochs", 1, "--threads", 1, "--out", tmp_path / "on")
    assert f"network: {folder}, with its weights" in again.out


def test_train_a_genotype(trained):
    genes = "[[3,1,1,1],[3,1,1,2],[3,1,1,2],[3,1,1,1],[3,1,1,1],[3,1,1,1],[3,1,1,1]]"
    folder, done = trained("evopose2d", "--genotype", genes, "--input", "32x32")
    assert done.code == 0, done.err
    assert load_model(folder / "model.safetensors").card.genotype.to_json() == genes


def test_a_training_that_ended_can_be_asked_for_again(trained, finished_run):
    folder, _ = trained(finished_run)
    model = (folder / "model.safetensors").read_bytes()
    _, refused = trained(finished_run)
    assert refused.code == 2
    assert "holds a training already: go on with --resume" in refused.err
    _, other = trained(finished_run, "--resume", epochs=2)
    assert other.code == 2
    assert "was begun with other values of epochs" in other.err
    _, again = trained(finished_run, "--resume")
    assert again.code == 0
    assert (folder / "model.safetensors").read_bytes() == model


def test_train_cannot_go_on_on_other_data(trained, evopose, finished_run, dots, tmp_path):
    folder, _ = trained(finished_run)
    other = shutil.copytree(dots, tmp_path / "other")
    content = json.loads((other / "train.json").read_text())
    content["annotations"].pop()
    (other / "train.json").write_text(json.dumps(content))
    done = evopose(
        "train", finished_run, other, "--epochs", 1, "--batch-size", 8, "--threads", 1,
        "--precision", "fp32", "--out", folder, "--resume",
    )  # fmt: skip
    assert done.code == 2
    assert "was begun with other values of data" in done.err
