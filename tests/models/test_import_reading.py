"""Reading files of weights: every format, and that nothing in them is ever run."""

import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch

from evopose.errors import ModelError
from evopose.models.importers.reading import read_arrays

WEIGHTS = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "bn.num_batches_tracked": torch.tensor(7),
}
FORMS = (True, False)
"""Torch's zip files, and the form it had before."""


def save(content: object, path: Path, *, in_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=in_zip)
    return path


def assert_weights(arrays: dict[str, torch.Tensor]) -> None:
    assert arrays.keys() == WEIGHTS.keys()
    assert all(torch.equal(arrays[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize("in_zip", FORMS)
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_torch_files(tmp_path: Path, wrapper: str | None, in_zip: bool) -> None:
    weights = OrderedDict(WEIGHTS)
    content = {wrapper: weights, "epoch": 3, "optimizer": {"lr": 0.1}} if wrapper else weights
    arrays, meta = read_arrays(save(content, tmp_path / "net.weights", in_zip=in_zip))
    assert_weights(arrays)
    assert meta == ({"epoch": 3, "optimizer": {"lr": 0.1}} if wrapper else {})


def test_state_dict_comes_first_and_what_is_beside_it_is_kept(tmp_path: Path) -> None:
    raw = {name: value + 1 for name, value in WEIGHTS.items()}
    content = {"model": "hrnet", "ema_state_dict": raw, "state_dict": WEIGHTS, "best": (0.7, None)}
    arrays, meta = read_arrays(save(content, tmp_path / "net.pth"))
    assert_weights(arrays)
    assert meta["model"] == "hrnet"
    assert meta["best"] == [0.7, None]


def test_names_stay_as_they_are(tmp_path: Path) -> None:
    wrapped = {f"module.{name}": value for name, value in WEIGHTS.items()}
    assert read_arrays(save(wrapped, tmp_path / "a.pth")).arrays.keys() == wrapped.keys()


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    safetensors.torch.save_file(WEIGHTS, path, {"format": "pt"})
    arrays, meta = read_arrays(path)
    assert_weights(arrays)
    assert meta == {"format": "pt"}


def test_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with h5py.File(path, "w") as file:
        file["conv/conv/kernel:0"] = np.arange(4, dtype=">f8")
        file["conv/names"] = "text"
        file.attrs["model_config"] = b"{}"
        file.attrs["layer_names"] = ["conv"]
    arrays, meta = read_arrays(path)
    assert arrays.keys() == {"conv/conv/kernel:0"}
    assert arrays["conv/conv/kernel:0"].tolist() == [0, 1, 2, 3]
    assert meta == {"model_config": "{}"}


class Malice:
    """A pickle of it asks to run a command."""

    def __init__(self, function: object, *given: object) -> None:
        self.wanted = (function, given)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.wanted


@pytest.mark.parametrize("in_zip", FORMS)
@pytest.mark.parametrize(
    ("function", "named"),
    [(os.system, f"{os.system.__module__}.system"), (eval, "eval"), (exec, "exec")],
)
def test_a_pickle_that_wants_to_run_code_is_refused(
    tmp_path: Path, function: object, named: str, in_zip: bool
) -> None:
    ran = tmp_path / "ran"
    program = f"touch {ran}" if function is os.system else f"__import__('os').mknod({str(ran)!r})"
    content = {"state_dict": WEIGHTS, "meta": Malice(function, program)}
    path = save(content, tmp_path / "net.pth", in_zip=in_zip)
    with pytest.raises(ModelError, match=rf"a pickle that wants to run code, {named},"):
        read_arrays(path)
    assert not ran.exists()
    torch.load(path, weights_only=False)  # it would have
    assert ran.exists()


@pytest.mark.parametrize("in_zip", FORMS)
def test_what_stands_for_harmless_things_cannot_be_turned_to_harm(
    tmp_path: Path, in_zip: bool
) -> None:
    """getattr is let through to something inert: it must not reach anything."""
    content = {"state_dict": WEIGHTS, "meta": Malice(getattr, torch.Tensor, "numpy")}
    arrays, meta = read_arrays(save(content, tmp_path / "net.pth", in_zip=in_zip))
    assert_weights(arrays)
    assert meta == {}


def test_pickles_of_other_protocols_are_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(Malice(os.system, f"touch {ran}"), protocol=4))
    with pytest.raises(ModelError, match=r"is refused|cannot read it"):
        read_arrays(path)
    assert not ran.exists()


@pytest.fixture
def history_buffer(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class under mmengine's name, which tells when it is made or called."""

    class HistoryBuffer:
        def __init__(self) -> None:
            self.log = np.arange(3.0)

        def mean(self) -> float:
            return 0.0

        def __setstate__(self, state: object) -> None:
            raise AssertionError("a class of the file's choice was called")

    HistoryBuffer.__module__ = "mmengine.logging.history_buffer"
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    HistoryBuffer.mean.__qualname__ = "HistoryBuffer.mean"
    HistoryBuffer.mean.__module__ = HistoryBuffer.__module__
    module = types.ModuleType(HistoryBuffer.__module__)
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, HistoryBuffer.__module__, module)
    return HistoryBuffer


@pytest.mark.parametrize("in_zip", FORMS)
def test_logs_of_mmengine_are_let_through_without_mmengine(
    tmp_path: Path, history_buffer: type, in_zip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "state_dict": WEIGHTS,
        "message_hub": {"loss": history_buffer(), "by": {"mean": history_buffer.mean}},
        "meta": {"cfg": "a = 1", "sigmas": np.ones(2), "best": np.float32(0.7)},
    }
    path = save(content, tmp_path / "net.pth", in_zip=in_zip)
    for name in [name for name in sys.modules if name.startswith("mmengine")]:
        monkeypatch.delitem(sys.modules, name)
    before = set(torch.serialization.get_safe_globals())
    arrays, meta = read_arrays(path)
    assert_weights(arrays)
    assert meta["meta"] == {"cfg": "a = 1"}
    assert "mmengine" not in sys.modules
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("in_zip", FORMS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_file_cut_off_is_refused(tmp_path: Path, share: float, in_zip: bool) -> None:
    path = save({"w": torch.zeros(5000)}, tmp_path / "net.pth", in_zip=in_zip)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="damaged or cut off") as said:
        read_arrays(path)
    assert str(path) in str(said.value)


def test_safetensors_cut_off_are_refused(tmp_path: Path) -> None:
    content = safetensors.torch.save(WEIGHTS)
    path = tmp_path / "net.safetensors"
    path.write_bytes(content[:-8])
    with pytest.raises(ModelError, match="damaged or cut off"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; expected a torch"),
        (b"<!DOCTYPE html>\n<html>", "is a web page, not a checkpoint"),
        (b"\n  <html>", "is a web page, not a checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "run `git lfs pull`"),
        (b"\x1f\x8b\x08\0", "is a gzip archive: unpack it"),
        (b"{}", "begins like no file of weights"),
    ],
)
def test_what_is_no_file_of_weights_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_arrays(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(2)], "holds a list, expected tensors by name"),
        ({"epoch": 3, "lr": 0.1}, "no weights: no tensors by name.*it holds epoch, lr"),
        ({"state_dict": {}, "epoch": 3}, "it holds nothing"),
    ],
)
def test_torch_files_without_weights_are_named(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_arrays(save(content, tmp_path / "net.pth"))


def test_a_whole_network_is_refused_by_its_class(tmp_path: Path) -> None:
    path = save(torch.nn.Linear(1, 1), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        read_arrays(path)


def test_a_program_of_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    with pytest.raises(ModelError, match="is a TorchScript program"):
        read_arrays(path)


def test_an_archive_of_weights_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pth", b"")
    with pytest.raises(ModelError, match=r"it holds weights\.pth. Unpack"):
        read_arrays(path)


def test_no_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_arrays(tmp_path)
    with pytest.raises(ModelError, match="there is no file"):
        read_arrays(tmp_path / "net.pth")


@pytest.fixture
def tf_checkpoint(tmp_path: Path) -> Path:
    """The outer form of a TensorFlow checkpoint."""
    for suffix in ("index", "meta", "data-00000-of-00001"):
        (tmp_path / f"snapshot_350.ckpt.{suffix}").write_bytes(b"\0")
    return tmp_path / "snapshot_350.ckpt"


def test_tensorflow_is_asked_for(tf_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ModelError, match=r"pip install 'evopose\[tensorflow\]'"):
        read_arrays(tf_checkpoint)


class Reader:
    """What TensorFlow gives of a checkpoint."""

    def __init__(self) -> None:
        ones = np.ones((1, 1, 2, 3), "f")
        self.arrays = {"conv/weights": ones, "step": np.int64(5), "text": b"no"}

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: [] for name in self.arrays}

    def get_tensor(self, name: str) -> object:
        return self.arrays[name]


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_any_file_of_a_tensorflow_checkpoint_will_do(
    tf_checkpoint: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fake = types.ModuleType("tensorflow")
    fake.train = types.SimpleNamespace(load_checkpoint=lambda at: asked.append(at) or Reader())
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    arrays, _ = read_arrays(f"{tf_checkpoint}{suffix}")
    assert asked == [str(tf_checkpoint)]
    assert arrays.keys() == {"conv/weights", "step"}
    assert arrays["conv/weights"].shape == (1, 1, 2, 3)


def test_a_tensorflow_checkpoint_without_its_index_is_incomplete(tf_checkpoint: Path) -> None:
    Path(f"{tf_checkpoint}.index").unlink()
    with pytest.raises(ModelError, match=r"snapshot_350\.ckpt\.index and .* must lie beside it"):
        read_arrays(f"{tf_checkpoint}.meta")
