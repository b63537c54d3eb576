"""A cache is built once, whole, by whoever comes first."""

import logging
import threading
import time

import pytest

from evopose.data.home import build_once
from evopose.errors import DataError
from evopose.home import cache_home


def test_where_caches_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "x"))
    assert cache_home() == tmp_path / "x"
    monkeypatch.delenv("EVOPOSE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache/evopose"


def test_one_builds_and_others_wait(tmp_path, caplog):
    built, folder = [], tmp_path / "caches/one"

    def build(partial):
        built.append(partial)
        time.sleep(0.3)
        (partial / "file").write_text("whole")

    def use():
        assert build_once(folder, build, usable=lambda f: True) == folder
        seen.append((folder / "file").read_text())

    seen = []
    with caplog.at_level(logging.INFO):
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(built) == 1
    assert seen == ["whole"] * 4
    assert "waiting for another process that builds one" in caplog.text


def test_a_failed_or_killed_build_leaves_nothing(tmp_path):
    folder = tmp_path / "one"

    def fail(partial):
        (partial / "file").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(folder, fail, usable=lambda f: True)
    assert [p.name for p in tmp_path.iterdir()] == ["one.lock"]
    (tmp_path / "one.partial").mkdir()  # what a killed process leaves
    (tmp_path / "one.partial/old").touch()
    build_once(folder, lambda partial: (partial / "new").touch(), usable=lambda f: True)
    assert [p.name for p in folder.iterdir()] == ["new"]


def test_what_is_not_usable_is_built_again(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "bad").touch()
    build_once(folder, lambda p: (p / "good").touch(), usable=lambda f: (f / "good").exists())
    assert [p.name for p in folder.iterdir()] == ["good"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError, match=r"cannot write the cache \S+: .*directory.*set EVOPOSE_HOME"
    ):
        build_once(tmp_path / "file/cache/one", lambda p: None, usable=lambda f: True)
