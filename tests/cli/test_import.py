"""`evopose import`: what it says of a file of weights, and the model file it writes."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from evopose.models.modelfile import load_model
from goldens import check_golden
from models.golden_weights import formula_weights, read_golden

NAME = "tf_efficientnet_b0.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-B0 of timm, as trained in DataParallel."""
    arrays = formula_weights(read_golden("efficientnet_b0_timm_tf")["shapes"])
    path = tmp_path_factory.mktemp("weights") / NAME
    torch.save({"model": {f"module.{n}": v for n, v in arrays.items()}, "epoch": 3}, path)
    return path


def test_what_it_says(evopose, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = evopose("import", weights)
    assert done.code == 0
    check_golden("import-efficientnet.txt", done.out)
    assert load_model(tmp_path / "tf_efficientnet_b0.safetensors").card.architecture == "evopose2d"


def test_v_names_every_array(evopose, weights, tmp_path):
    done = evopose("import", weights, "-o", tmp_path / "b0.safetensors", "-v")
    assert "module.classifier.weight" in done.out
    assert ", ..." not in done.out


def test_what_it_says_to_programs(evopose, weights, tmp_path):
    out = tmp_path / "b0.safetensors"
    done = evopose(
        "import", weights, "-o", out, "--keypoints", 4, "--input", "64x96", "--as",
        "efficientnet-timm-tf", "--json",
    )  # fmt: skip
    assert done.code == 0
    said = done.json
    assert said["model"] == str(out)
    assert said["format"] == "efficientnet-timm-tf"
    assert said["network"]["input_hw"] == [64, 96]
    assert said["keypoints"][3] == "keypoint_4"
    assert said["trained_head"] is False
    assert len(said["used"]) == 352
    assert len(said["provenance"]["sha256"]) == 64
    assert load_model(out).card.input_hw == (64, 96)


@pytest.mark.parametrize(
    "skeleton",
    [
        {"keypoints": ["snout", "left_ear", "right_ear"], "skeleton": [[1, 2], [1, 3]]},
        {
            "keypoints": ["snout", "left_ear", "right_ear"], "limbs": [[0, 1], [0, 2]],
            "flip_pairs": [[1, 2]], "sigmas": [0.05, 0.05, 0.05], "sigmas_assumed": True,
        },
    ],
    ids=["category", "skeleton"],
)  # fmt: skip
def test_names_of_keypoints(evopose, weights, tmp_path, skeleton):
    file, out = tmp_path / "mouse.json", tmp_path / "b0.safetensors"
    file.write_text(json.dumps(skeleton))
    done = evopose("import", weights, "-o", out, "--keypoints", 3, "--skeleton", file)
    assert (done.code, done.err) == (0, "")
    read = load_model(out).card.skeleton
    assert read.keypoints == ("snout", "left_ear", "right_ear")
    assert (read.limbs, read.flip_pairs) == (((0, 1), (0, 2)), ((1, 2),))


def test_an_address_is_fetched(evopose, weights, tmp_path):
    done = evopose("import", weights.as_uri(), "-o", tmp_path / "b0.safetensors", "--json")
    assert done.json["provenance"]["url"] == weights.as_uri()


def test_a_name_whose_digest_is_another_is_mentioned(evopose, weights, tmp_path):
    path = tmp_path / "tf_efficientnet_b0-0af12548.pth"
    path.symlink_to(weights)
    done = evopose("import", path, "-o", tmp_path / "b0.safetensors")
    assert done.code == 0
    assert "its name says 0af12548" in done.out


def refused(evopose, case, tmp_path, *arguments):
    """Run an import that must be refused; compare its message with the golden one."""
    out = tmp_path / "out.safetensors"
    done = evopose("import", *arguments, "-o", out)
    assert (done.code, done.out) == (2, "")
    assert not out.exists()
    assert "Traceback" not in done.err
    check_golden(f"errors/weights-{case}.txt", done.err.replace(str(tmp_path), "HERE"))


class Malice:
    def __reduce__(self):
        return (print, ("ran",))


def test_a_pickle_that_wants_to_run_code(evopose, tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"state_dict": Malice()}, path)
    refused(evopose, "malicious", tmp_path, path)


def test_weights_of_another_network(evopose, tmp_path):
    path = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"encoder.weight": torch.zeros(2)}, path)
    refused(evopose, "of-no-format", tmp_path, path)


def test_another_digest(evopose, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
        refused(evopose, "another-digest", tmp_path, path, "--sha256", "00ff")


def test_nothing_there(evopose, tmp_path):
    refused(evopose, "nothing-there", tmp_path, tmp_path / "net.pth")
    done = evopose("import", tmp_path / "net.ckpt", "--sha256", "00")
    assert "--sha256 is of a file" in done.err


def test_several_formats(evopose, weights, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.symlink_to(weights)
    refused(evopose, "of-several-formats", tmp_path, path)


def test_nothing_is_overwritten(evopose, weights, tmp_path):
    out = tmp_path / "b0.safetensors"
    out.write_text("mine")
    done = evopose("import", weights, "-o", out)
    assert done.code == 2
    assert "exists; name another file with -o" in done.err
    assert out.read_text() == "mine"


def test_a_codec_where_there_is_a_choice(evopose, weights, tmp_path):
    done = evopose("import", weights, "-o", tmp_path / "b0.safetensors", "--codec", "udp")
    assert done.code == 2
    assert "its heatmaps are read by gaussian, not by udp" in done.err
    arrays = formula_weights(read_golden("simple_baseline_mmpose")["shapes"])
    torch.save(arrays, tmp_path / "r50_256x192.pth")
    out = tmp_path / "r50.safetensors"
    done = evopose("import", tmp_path / "r50_256x192.pth", "-o", out, "--codec", "udp")
    assert done.code == 0, done.err
    assert "heatmaps: udp, sigma 2.0, peak 1.0, blur_kernel 11" in done.out
    assert load_model(out).card.codec.align_corners
