"""A search that trains its best again: what it says, and whom it names."""

from evopose.evolution.selection import winner
from evopose.evolution.store import Store
from tiny_runs import FLAGS, INLINE


def test_the_winner_is_named_by_its_repeats(evopose, dots, tmp_path, quick):
    run = tmp_path / "run"
    flags = [*FLAGS[: FLAGS.index("--rescore")], "--rescore", "2", "--rescore-seeds", "2"]
    done = evopose("evolve", dots, "--run", run, *flags, *INLINE, "--generations", "1")
    assert done.code == 0
    with Store.read(run) as store:
        everyone = store.individuals()
        best = store.winner()
    repeats = [one for one in everyone if one.kind == "repeat"]
    assert len(repeats) == 4
    assert best == winner(everyone)
    scores = [one.fitness for one in repeats if one.birth == best.birth]
    assert f"The winner is {best.id}: J {sum(scores) / 2:.4f} on average" in done.out
    assert "Between seeds J has a standard deviation of" in done.out
    assert "the best are trained again with other seeds" in done.out
    told = evopose("status", run, "--json").json
    assert told["state"] == "finished"
    assert (run / "best.safetensors").is_file()


def test_a_number_of_people_is_no_emoji(evopose, tmp_path, quick, monkeypatch):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    done = evopose("evolve", "synthetic:60", "--run", tmp_path / "run", *FLAGS, "--dry-run")
    assert "data: synthetic:60: " in done.out
