"""Where workers find weights and crops, and what carries the weights there and back."""

import json
import shutil
import socket
import uuid
from pathlib import Path

import pytest

from evopose.data.crops import open_crops
from evopose.data.layouts import open_dataset
from evopose.errors import ConfigError, DataError, RunError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.executors import InlineExecutor
from evopose.evolution.jobs import Event
from evopose.evolution.shared_blobs import UrlBlobs, file_system
from evopose.recipes import SEARCH_RECIPES
from evopose.search.courier import Courier
from evopose.search.overrides import override
from evopose.search.places import (
    check_job,
    check_worker,
    crops_here,
    crops_place,
    forget_marker,
    places_of,
    publish_crops,
    require_shared,
    tidied,
)
from evopose.search.session import prepare_data
from evopose.search.versions import versions
from tiny_runs import OPTIONS


def silent(**told):
    """A heartbeat that nobody hears."""


@pytest.fixture(scope="module")
def crops(dots):
    """The folders of a search's crops."""
    options = {k: v for k, v in OPTIONS.items() if k != "recipe"}
    config = override(SEARCH_RECIPES["demo"](), **options)
    return prepare_data(open_dataset(dots), config).crops


@pytest.fixture(params=["folder", "url"])
def shared(request, tmp_path):
    return {"folder": str(tmp_path / "shared"), "url": f"memory://{uuid.uuid4().hex}"}[
        request.param
    ]


@pytest.fixture
def places(tmp_path, shared):
    return places_of(tmp_path / "run", shared)


def elsewhere(monkeypatch, tmp_path):
    """Be another machine: with caches of its own."""
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "elsewhere"))


def test_without_a_shared_place_they_are_the_runs_own(tmp_path):
    places = places_of(tmp_path, None)
    assert (places.blobs, places.work) == (str(tmp_path / "blobs"), str(tmp_path / "work"))
    assert not places.shared
    assert crops_place(places, "/caches/crops/abc") == "/caches/crops/abc"


def test_two_runs_share_crops_and_nothing_else(tmp_path, shared):
    one, same, other = (places_of(tmp_path / name / "run", shared) for name in "aab")
    assert one == same
    assert one.blobs != other.blobs
    assert one.crops == other.crops
    assert (one.work is None) == ("://" in shared)  # checkpoints need a folder


def test_crops_are_copied_to_the_shared_place_and_from_there(
    crops, places, tmp_path, monkeypatch, shared
):
    folder = crops["train"]
    for _ in range(2):
        publish_crops(places, folder)
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(DataError, match="crops"):
        open_crops(crops_here(f"{shared}/crops/others"))
    there = crops_here(crops_place(places, folder))
    assert there != Path(folder)
    assert there == crops_here(crops_place(places, folder))
    assert open_crops(there).digest == open_crops(Path(folder)).digest
    assert (open_crops(there).images == open_crops(Path(folder)).images).all()


def test_crops_that_cannot_be_shared_are_told_with_what_to_do(crops, tmp_path):
    (tmp_path / "file").write_text("here first")
    places = places_of(tmp_path / "run", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot copy crops to .*--shared can be written$") as told:
        publish_crops(places, crops["train"])
    assert "EVOPOSE_HOME" not in str(told.value)


def test_a_shared_place_is_tried_before_it_is_used(shared, tmp_path):
    require_shared(shared)
    fs, root = file_system(shared)
    assert fs.find(root) == []
    (tmp_path / "file").write_text("here first")
    for wrong in (str(tmp_path / "file"), "/proc/nope"):
        with pytest.raises(ConfigError, match=f"--shared {wrong} cannot be used: "):
            require_shared(wrong)
    with pytest.raises(ConfigError, match="Give a folder, or a URL"):
        require_shared("nosuch://bucket")


@pytest.mark.parametrize("half_trained", [True, False])
def test_a_search_leaves_nothing_at_the_shared_place(places, half_trained):
    own = Path(places.work).parent if places.work else None
    with tidied(places, Path(places.work or "absent")):
        check_job(places, set(), versions())
        if own and half_trained:
            (own / "work" / "3").mkdir(parents=True)
    fs, root = file_system(places.blobs)
    assert not fs.exists(root)
    if own:
        assert own.exists() == half_trained


def test_a_machine_that_sees_everything_may_work(crops, places, tmp_path, monkeypatch):
    for folder in crops.values():
        publish_crops(places, folder)
    job = check_job(places, set(crops.values()), versions())
    elsewhere(monkeypatch, tmp_path)
    assert check_worker(json.loads(json.dumps(job)), silent) == {"host": socket.gethostname()}
    forget_marker(places)
    fs, root = file_system(places.blobs)
    assert fs.find(root) == []


def test_a_machine_that_does_not_see_the_data_is_named_with_what_to_do(
    crops, places, tmp_path, monkeypatch
):
    job = check_job(places, set(crops.values()), versions())
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=f"{socket.gethostname()} cannot read the crops at .*"):
        check_worker(job, silent)


def test_a_machine_that_does_not_see_the_weights_is_named_with_what_to_do(tmp_path):
    run = tmp_path / "run"
    job = check_job(places_of(run, None), set(), versions())
    shutil.rmtree(run)  # another machine has no such folder
    with pytest.raises(ConfigError, match=r"cannot exchange weights in .*blobs.*give --shared"):
        check_worker(job, silent)


@pytest.mark.parametrize(
    ("name", "version", "fine"),
    [
        ("evopose", "0.0.1", False),
        ("torch", "1.0.0", False),
        ("python", "2.7.1", False),
        ("torch", ".".join([*versions()["torch"].split(".")[:2], "99"]), True),
    ],
)
def test_a_machine_of_another_version_is_not_used(tmp_path, name, version, fine):
    job = check_job(places_of(tmp_path, None), set(), versions() | {name: version})
    if fine:
        assert check_worker(job, silent)
        return
    with pytest.raises(ConfigError, match=f"has {name} .*, the search {version}; .*the same there"):
        check_worker(job, silent)


class Elsewhere(InlineExecutor):
    """Does nothing by itself: a test tells what happened."""

    events: tuple[Event, ...] = ()

    def poll(self, timeout, tell):
        self._job = None
        for event in self.events:
            tell(event)


@pytest.fixture
def courier(places, tmp_path):
    return Courier(Elsewhere(), places, BlobStore(tmp_path / "run" / "blobs"))


def fetched(courier, data, kind="done"):
    """Let a job of a worker end so, and return what is told of it."""
    told = []
    courier._executor.events = (Event(slot=0, kind=kind, data=data),)
    courier.poll(0, told.append)
    return told[0]


def at(courier):
    fs, root = file_system(courier._places.blobs)
    return {path.rpartition("/")[2][:64] for path in fs.find(root)}


def test_weights_and_report_arrive_in_the_run(courier, tmp_path):
    parent = courier._kept.put(b"parent")
    courier.submit(0, {"start_blob": parent})
    assert at(courier) == {parent}
    child = courier._blobs.put(b"child")
    path = tmp_path / "run" / "logs" / "1.transfer.json"
    report = {"path": str(path), "content": {"share": 0.5}}
    event = fetched(courier, {"blob": child, "loss": 1.0, "report": report})
    assert event.data == {"blob": child, "loss": 1.0}
    assert courier._kept.read(child) == b"child"
    assert json.loads(path.read_text()) == {"share": 0.5}
    courier._kept.delete(parent)  # retention drops it
    other = courier._blobs.put(b"other")
    fetched(courier, {"blob": other})
    assert at(courier) == {child, other}
    courier.close()
    assert at(courier) == set()
    assert courier._kept.read(other) == b"other"


def test_a_job_whose_weights_the_run_has_lost_has_failed(courier):
    parent = courier._kept.put(b"parent")
    courier._kept.path(parent).write_bytes(b"rotten")
    told = []
    courier.submit(0, {"start_blob": parent})
    courier.poll(0, told.append)
    courier.submit(0, {"start_blob": parent})
    courier.kill(0)
    courier.poll(0, told.append)
    (event,) = told
    assert (event.slot, event.kind, event.data["cause"]) == (0, "failed", "error")
    assert f"{parent}.safetensors are damaged" in event.data["message"]


def test_weights_that_do_not_arrive_make_the_attempt_a_lost_one(courier):
    event = fetched(courier, {"blob": "f" * 64})
    assert event.kind == "lost"
    assert "its weights did not arrive: the weights" in event.data["message"]


def test_a_full_disk_is_told_as_one(courier, monkeypatch):
    digest = courier._blobs.put(b"child")

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(courier._kept, "put", full)
    event = fetched(courier, {"blob": digest})
    assert (event.kind, event.data["cause"]) == ("failed", "disk_full")


def test_a_shared_place_that_cannot_be_written_stops_the_search(courier, monkeypatch):
    parent = courier._kept.put(b"parent")

    def gone(self, data):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(courier._blobs), "put", gone)
    courier._kept.read(parent)
    with pytest.raises(RunError, match=r"cannot put the weights .*--shared.*--resume"):
        courier.submit(0, {"start_blob": parent})
    assert isinstance(courier._blobs, (UrlBlobs, BlobStore))
