"""`--tensorboard` on the command line."""

import pytest

from tiny_runs import INLINE


def test_a_full_training_is_written_too(evopose, dots, tmp_path, quick):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    start = ["train", "narrow", dots, "--input", "32x32", "--batch-size", "8", *INLINE[2:]]
    done = evopose(*start, "--epochs", "2", "--out", tmp_path / "out", "--tensorboard", "--json")
    assert done.code == 0, done.err
    found = accumulator.EventAccumulator(str(tmp_path / "out" / "tensorboard" / "train"))
    found.Reload()
    losses = {event.step: event.value for event in found.Scalars("loss/val")}
    assert set(losses) == {1, 2}
    best = done.json["best"]
    assert losses[best["epoch"]] == pytest.approx(best["val_loss"], rel=1e-6)


def test_without_the_package_it_says_what_to_install(evopose, dots, monkeypatch, tmp_path):
    monkeypatch.setattr("evopose.training.event_files.find_spec", lambda name: None)
    for verb in (["evolve", dots, "--run"], ["train", "narrow", dots, "--out"]):
        done = evopose(*verb, tmp_path / "x", "--tensorboard")
        assert done.code == 2
        assert done.err.strip() == (
            "evopose: event files need the package tensorboard, which is not installed: "
            "pip install 'evopose[tensorboard]', or leave --tensorboard out (the same numbers are "
            "in the logs)"
        )
        assert not (tmp_path / "x").exists()
