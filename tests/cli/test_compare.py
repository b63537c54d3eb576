"""`evopose compare` on the folders of runs: what it writes, says and refuses."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from evopose.report.files import write_results
from report.toy_runs import toy_run

SMALL = {"generations": 2, "children": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two arms of three seeds: official-0 to -2, and exact-0 to -2, better by 0.02."""
    folder = tmp_path_factory.mktemp("compared")
    for seed in range(3):
        toy_run(folder / f"exact-{seed}", seed=seed, **SMALL)
        toy_run(folder / f"official-{seed}", seed=seed, worse=0.02, transfer="official", **SMALL)
    return folder


@pytest.fixture
def here(runs, tmp_path, monkeypatch) -> Path:
    """An empty folder to be in, with the runs beside."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(runs)
    return tmp_path


def arm(name: str) -> list[str]:
    return [f"runs/{name}-{seed}" for seed in range(3)]


def test_a_page_a_picture_and_what_can_be_told(evopose, here):
    done = evopose("compare", *arm("official"), *arm("exact"), "--figure", "curves.svg")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("Equal cost: ")
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["transfer", "official", "3"], ["transfer", "exact", "3"],
    ]  # fmt: skip
    assert any(
        line.startswith("- transfer exact has a lower J than transfer official in 3 of 3 seeds, by")
        for line in lines
    )
    assert lines[-2:] == ["wrote compare.html", "wrote curves.svg"]
    assert (here / "compare.html").read_text().startswith("<!DOCTYPE html>")
    assert b"<svg" in (here / "curves.svg").read_bytes()
    assert sorted(p.name for p in here.iterdir()) == ["compare.html", "curves.svg", "runs"]


def test_json_agrees_with_what_each_run_says_of_itself(evopose, here, tmp_path):
    done = evopose("compare", *arm("exact"), "--out", "page.html", "--json")
    (found,) = done.json["arms"]
    assert done.json["written"] == ["page.html"]
    for told in found["runs"]:
        shutil.copytree(told["run"], copy := tmp_path / f"copy-{told['seed']}")
        members = json.loads(write_results(copy).read_text())["individuals"]
        searched = [one for one in members if one["kind"] in ("ancestor", "mutant")]
        samples = {"ancestor": 400, "mutant": 100}
        assert told["search_cost"] == sum(samples[o["kind"]] * o["num_macs"] for o in searched)
        best = min(searched, key=lambda one: one["fitness"])
        assert told["best"] == best["id"]
        assert told["curve"]["values"][-1] == best["fitness"]
        controls = [one for one in members if one["kind"] in ("clone", "repeat")]
        assert {one["kind"] for one in controls} == {"clone", "repeat"}
        assert told["control_cost"] == sum(100 * one["num_macs"] for one in controls)
    counted = evopose("compare", *arm("exact"), "--count-controls", "--json").json
    for one, other in zip(found["runs"], counted["arms"][0]["runs"], strict=True):
        total = one["search_cost"] + one["control_cost"]
        assert one["curve"]["costs"][-1] == one["search_cost"]
        assert other["curve"]["costs"][-1] == total


def test_a_real_run(evopose, finished_run, tmp_path):
    done = evopose("compare", finished_run, "--out", tmp_path / "page.html", "--json")
    (run,) = done.json["arms"][0]["runs"]
    members = json.loads((finished_run / "results.json").read_text())["individuals"]
    cost = sum(
        sum(epoch["samples"] for epoch in one["history"]) * one["num_macs"]
        for one in members
        if one["kind"] in ("ancestor", "mutant")
    )
    assert run["search_cost"] == cost > 0
    assert run["state"] == "finished"


def test_labels_make_arms_by_hand(evopose, here):
    labels = [f"--label=old ways={run}" for run in arm("official")]
    done = evopose("compare", *arm("exact")[:2], *labels, "--json")
    assert [(a["name"], len(a["runs"])) for a in done.json["arms"]] == [
        ("demo", 2), ("old ways", 3),
    ]  # fmt: skip
    done = evopose("compare", *arm("exact"), "--label", "one=runs/exact-2/../exact-1", "--json")
    assert [[r["run"] for r in a["runs"]] for a in done.json["arms"]] == [
        ["runs/exact-0", "runs/exact-2"], ["runs/exact-1"],
    ]  # fmt: skip


def test_a_run_that_still_goes_on(evopose, here):
    shutil.copytree("runs/exact-0", "going")
    with sqlite3.connect("going/run.sqlite") as db:
        db.execute("DELETE FROM event WHERE kind = 'stopped'")
        db.execute("UPDATE individual SET status = 'running', fitness = NULL WHERE generation = 2")
    done = evopose("compare", "going", "runs/exact-1", "--json")
    assert done.code == 0
    assert done.json["arms"][0]["runs"][0]["state"] == "running"
    assert done.json["arms"][0]["runs"][0]["finished"] == 3
    assert "Still going on, and compared as far as they are: going." in done.json["said"]


def test_runs_that_do_not_tell_their_samples(evopose, tmp_path):
    run = toy_run(tmp_path / "run", tells=False, fails=("1",), **SMALL)
    done = evopose("compare", run, "--out", tmp_path / "page.html", "--json")
    (told,) = done.json["arms"][0]["runs"]
    assert (told["failed"], told["search_cost"]) == (1, 0)
    silent = told["without_samples"]
    assert silent > told["finished"] == 4
    assert any(f"Samples are not told by {silent} finished" in text for text in done.json["said"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to compare: name the folders of runs, or give --label NAME=RUN"),
        (["runs"], "runs is not the folder of a run (it has no run.sqlite)"),
        (
            ["runs/exact-0/config.json"],
            "runs/exact-0/config.json is not the folder of a run (it has no run.sqlite)",
        ),
        (
            ["runs/exact-0", "runs/exact-2/../exact-0"],
            "runs/exact-2/../exact-0 is given twice: a run is one seed, name each once",
        ),
        (
            ["--label=a=runs/exact-0", "--label=b=runs/exact-0"],
            "runs/exact-0 is given as a and as b: a run is in one arm, name it once",
        ),
        (["--label", "exact"], "--label takes NAME=RUN, say exact=runs/exact-0; got 'exact'"),
        (["runs/exact-0", "--by", "ap"], "runs are compared by one of J, loss, oks; got 'ap'"),
        (
            ["runs/exact-0", "--figure", "curves.pdf"],
            "a figure is a .png or .svg file; got 'curves.pdf'",
        ),
        (
            ["runs/exact-0", "--out", "no/such/page.html"],
            "cannot write no/such/page.html: No such file or directory; name another place",
        ),
    ],
)
def test_what_is_refused(evopose, here, arguments, said):
    done = evopose("compare", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"evopose: {said}")
    assert [path.name for path in here.iterdir()] == ["runs"]


def test_other_data_other_fitness_copies_and_lost_configurations_are_refused(evopose, here):
    mice = toy_run(Path("mice"), data="b" * 64, **SMALL)
    done = evopose("compare", "runs/exact-0", mice)
    assert (done.code, "figures on different data cannot be compared" in done.err) == (2, True)
    other = toy_run(Path("other"), seed=7, gamma=-0.2, **SMALL)
    done = evopose("compare", "runs/exact-0", other)
    assert done.code == 2
    assert done.err == (
        "evopose: J of runs/exact-0 and other cannot be compared: fitness gamma is -0.07 and -0.2; "
        "compare --by loss or --by oks, or leave one of them out\n"
    )
    assert evopose("compare", "runs/exact-0", other, "--by", "oks").code == 0
    shutil.copytree("runs/exact-0", "copy")
    done = evopose("compare", "runs/exact-0", "copy")
    assert "runs/exact-0 and copy are one run, copied" in done.err
    Path("copy/config.json").unlink()
    done = evopose("compare", "copy")
    assert (done.code, "cannot read copy/config.json" in done.err) == (2, True)
