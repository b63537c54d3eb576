"""Which samples are whose, and how many processes there are to be."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evopose.errors import ConfigError, RunError
from evopose.models.devices import cpu_count
from evopose.training import compute
from evopose.training.compute import Compute, make_fabric, resolve_processes, share_compute
from evopose.training.processes import Place, Share, from_first, this_place, total

FIRST = Place(rank=0, local_rank=0, processes=2, local_processes=2, launched=True)
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
}  # fmt: skip


@settings(deadline=None)
@given(count=st.integers(1, 40), parts=st.integers(1, 6), processes=st.integers(1, 9))
def test_every_sample_of_every_part_has_one_process(count, parts, processes) -> None:
    batch = list(range(100, 100 + count))
    part = -(-count // parts)
    shares = [Share(rank=rank, processes=processes) for rank in range(processes)]
    mine = [batch[share.rows] for share in shares]
    assert max(map(len, mine)) - min(map(len, mine)) <= 1
    for start in range(0, count, part):
        whole = batch[start : start + part]
        stop = start + len(whole)
        pieces = [some[share.piece(start, stop)] for some, share in zip(mine, shares, strict=True)]
        assert sorted(itertools.chain.from_iterable(pieces)) == whole
        assert [whole[share.within(start)] for share in shares] == pieces


def test_a_process_alone_has_everything() -> None:
    assert list(range(7))[Share().rows] == list(range(7))
    assert Share().piece(2, 5) == slice(2, 5)
    assert Share.of(make_fabric(Compute(device="cpu", threads=1, precision="fp32"))) == Share()


def test_alone_there_is_nobody_to_ask() -> None:
    fabric = make_fabric(Compute(device="cpu", threads=1, precision="fp32"))
    assert total(fabric, 2.5) == 2.5
    assert from_first(fabric, lambda: 3) == 3

    def fail() -> None:
        raise RunError("no")

    with pytest.raises(RunError, match="no"):
        from_first(fabric, fail)


def test_what_torchrun_says(monkeypatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "3")  # someone else's
    assert this_place() == Place()
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert this_place() == Place(
        rank=5, local_rank=1, processes=8, local_processes=4, launched=True
    )


def test_how_many_processes() -> None:
    assert resolve_processes(None, "cpu", Place()) == 1
    assert resolve_processes("1", "cpu:0", Place()) == 1
    assert resolve_processes(None, "cpu", FIRST) == 2
    assert resolve_processes("2", "cpu", FIRST) == 2
    most = str(cpu_count())
    assert resolve_processes(most, "cpu", Place()) == cpu_count()


@pytest.mark.parametrize(
    ("devices", "device", "place", "message"),
    [
        ("0", "cpu", Place(), "must be a number from 1, or all; got '0'"),
        ("two", "cpu", Place(), "must be a number from 1, or all; got 'two'"),
        ("9999", "cpu", Place(), "9999 processes need as many devices; this machine has"),
        ("all", "cpu", Place(), "--devices all is every GPU, and training is on cpu"),
        ("2", "cuda:1", Place(), "--device cuda:1 is one device, for 2 processes; give .* cuda,"),
        (None, "cpu:0", FIRST, "--device cpu:0 is one device, for 2 processes"),
        ("1", "cpu", FIRST, "--devices 1 is 1, and torchrun started 2 processes here"),
    ],
)
def test_processes_that_cannot_be_are_refused(devices, device, place, message) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_processes(devices, device, place)


@pytest.fixture
def three_gpus(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(compute, "resolve_device", lambda device: "cuda:0")
    monkeypatch.setattr(compute, "computes_bf16", lambda kind: True)


@pytest.mark.usefixtures("three_gpus")
def test_gpus_are_counted_and_each_process_has_its_own() -> None:
    assert resolve_processes("all", "auto", Place()) == 3
    with pytest.raises(
        ConfigError, match="4 processes need as many devices; this machine has 3 of"
    ):
        resolve_processes("4", "auto", Place())
    with pytest.raises(ConfigError, match="4 processes need as many devices"):
        resolve_processes(None, "auto", replace(FIRST, processes=4, local_processes=4))
    place = Place(rank=4, local_rank=1, processes=6, local_processes=3, launched=True)
    found = share_compute(place, "auto", threads=1)
    assert found == Compute(device="cuda:1", threads=1, precision="bf16", processes=6, machines=2)


def test_processes_share_the_cpus() -> None:
    assert share_compute(Place(), "cpu", precision="fp32").threads == cpu_count()
    shared = share_compute(FIRST, "cpu", precision="fp32")
    assert shared.threads == max(1, cpu_count() // 2)
    assert (shared.device, shared.processes, shared.machines) == ("cpu", 2, 1)
    assert shared.describe().startswith("2 processes, the first with cpu (")
    assert "on 3 machines" in replace(shared, processes=6, machines=3).describe()
    with pytest.raises(ConfigError, match="every machine needs as many processes as this one, 2"):
        share_compute(replace(FIRST, processes=3), "cpu")
