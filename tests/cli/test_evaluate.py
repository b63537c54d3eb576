"""`evopose evaluate` and `predict`: models measured and used from the command line."""

import json

import cv2
import numpy as np
import pytest

from evopose.models import build_model
from evopose.models.inputs import CodecSpec
from evopose.models.modelfile import load_model, model_card, save_model
from evopose.skeleton import COCO_PERSON, Skeleton

DOTS = ("nose", "left_hand", "right_hand")


@pytest.fixture
def refiner(tmp_path, finished_run):
    """A PoseFix for dots that was never trained."""
    net = build_model("posefix-r50", input_hw=(32, 32), num_keypoints=3)
    skeleton = load_model(finished_run / "best.safetensors").card.skeleton
    card = model_card(
        net,
        skeleton=skeleton,
        codec=CodecSpec(name="soft_argmax", params={"activation": "softmax"}),
    )
    return save_model(tmp_path / "posefix.safetensors", net, card)


def test_evaluate_a_runs_best(evopose, finished_run, dots, tmp_path):
    out = tmp_path / "measured"
    done = evopose("evaluate", finished_run, dots, "--threads", 1, "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.json["persons"] == len(json.loads((dots / "val.json").read_text())["images"])
    results = json.loads((out / "results.json").read_text())
    assert len(results) == done.json["persons"]
    assert len(results[0]["keypoints"]) == 9
    written = json.loads((out / "metrics.json").read_text())
    assert written["mean_oks"] == done.json["mean_oks"]
    assert 0 <= written["AP"] <= written["AP50"] <= 1
    table = evopose("evaluate", finished_run, dots, "--threads", 1).out
    assert f"{written['mean_oks']:.3f}" in table


def test_what_goes_wrong_is_told_and_written(evopose, finished_run, dots, tmp_path):
    out = tmp_path / "measured"
    done = evopose("evaluate", finished_run, dots, "--threads", 1, "--out", out)
    assert done.code == 0, done.err
    assert "results fit one of" in done.out
    assert "AP lost to" in done.out
    written = json.loads((out / "metrics.json").read_text())
    errors = written["errors"]
    assert errors["ap"] == pytest.approx(written["AP"], abs=1e-12)
    assert errors["persons"] == written["persons"]
    assert set(errors["by_keypoint"]) == set(DOTS)
    assert sum(errors["counts"].values()) == sum(
        row[kind] for row in errors["by_keypoint"].values() for kind in errors["counts"]
    )
    page = (out / "report.html").read_text()
    assert "What AP is lost to" in page
    assert page.count("<figure>") >= min(9, written["persons"])
    assert sorted(one.name for one in out.iterdir()) == [
        "metrics.json", "report.html", "results.json",
    ]  # fmt: skip


def test_two_models_side_by_side(evopose, finished_run, dots, tmp_path):
    out, other = tmp_path / "measured", f"{finished_run}:0"
    done = evopose(
        "evaluate", finished_run, dots, "--threads", 1, "--out", out, "--against", other, "--json"
    )
    assert done.code == 0, done.err
    against = done.json["against"]
    assert against["model"] == other
    alone = evopose("evaluate", other, dots, "--threads", 1, "--json").json
    found = against["comparison"]["differences"]["mean OKS"]
    assert found["second"] == done.json["mean_oks"]
    assert found["first"] == against["mean_oks"] == alone["mean_oks"]
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["resamples"] == 1000
    assert json.loads((out / "metrics.json").read_text())["against"] == against
    assert 'id="against"' in (out / "report.html").read_text()
    told = evopose("evaluate", finished_run, dots, "--threads", 1, "--against", other).out
    assert "95 % interval" in told
    assert "1,000 resamples" in told


def test_a_refiner_mends_what_is_measured(evopose, finished_run, dots, refiner, tmp_path):
    plain, mended = (
        evopose("evaluate", finished_run, dots, "--threads", 1, "--json", *more)
        for more in ([], ["--refine", refiner])
    )
    assert mended.code == 0, mended.err
    assert f"poses are mended by {refiner}" in mended.err
    assert mended.json["refine"] == str(refiner)
    assert mended.json["mean_oks"] != plain.json["mean_oks"]


@pytest.mark.parametrize("source", ["made up", "a model's"])
def test_a_refiner_is_trained(evopose, finished_run, dots, refiner, tmp_path, source):
    out = tmp_path / "trained"
    errors = ["--errors-of", finished_run] if source == "a model's" else []
    done = evopose(
        "train", refiner, dots, "--epochs", 1, "--batch-size", 24, "--threads", 1,
        "--precision", "fp32", "--out", out, *errors,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "recipe: posefix, 1 epochs" in done.out
    card = load_model(out / "model.safetensors").card
    assert (card.architecture, card.codec.name) == ("posefix", "soft_argmax")
    assert card.provenance["training"]["loss"] == "posefix"


def test_evaluate_public_weights_of_a_file(evopose, dots, tmp_path):
    """A model file under its network's name."""
    net = build_model("narrow", input_hw=(32, 32))
    file = save_model(
        tmp_path / "narrow.safetensors", net,
        model_card(net, skeleton=COCO_PERSON, codec=CodecSpec()),
    )  # fmt: skip
    done = evopose("evaluate", "narrow-32x32", dots, "--weights", file)
    assert done.code == 2
    assert "the model knows the keypoints nose, left_eye" in done.err
    other = evopose("evaluate", "evopose2d-xs-32x32", dots, "--weights", file)
    assert "holds another network than evopose2d-xs" in other.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["narrow"], "narrow is a name, without weights: give --weights coco"),
        (["narrow", "--weights", "coco"], "there are no public weights of narrow"),
        (["hrnet-w32-64x64", "--weights", "coco"], "there are coco (256x192), coco (384x288)"),
        (["hrnet-w32", "--weights", "missing.pth"], "there is no file of weights missing.pth"),
        (["RUN", "--weights", "coco"], "has weights and an input size of its own"),
        (["RUN", "--split", "all"], "--split is one of train, val, test, got 'all'"),
        (["RUN", "--split", "test"], "test"),
        (["RUN", "--against", "narrow"], "narrow is a name, without weights: give --weights coco"),
        (["RUN", "--decoder", "simcc"], "unknown decoder 'simcc'; there are: gaussian, dark, udp"),
        (["hrnet-w32-64x64", "--weights", "coco-udp"], "coco-dark (384x288), coco-udp (256x192)"),
        (["RUN", "--refine", "narrow"], "--refine takes a model file"),
        (["RUN", "--refine", "RUN"], "finds poses and mends none"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(evopose, finished_run, dots, arguments, message):
    model, *more = (str(finished_run) if one == "RUN" else one for one in arguments)
    done = evopose("evaluate", model, dots, *more)
    assert done.code == 2
    assert message in done.err


def test_public_weights_without_a_network(evopose, dots, tmp_path, monkeypatch):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    done = evopose("evaluate", "hrnet-w32", dots, "--weights", "coco")
    assert done.code != 0
    assert "EVOPOSE_OFFLINE" in done.err
    assert "hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth" in done.err


def test_predict_draws_and_writes(evopose, finished_run, dots, tmp_path):
    image = dots / "images" / "1001.png"
    done = evopose(
        "predict", finished_run, image, "--box", "4,4,40,40", "--box", "0,0,48,48",
        "--threads", 1, "--out", tmp_path / "seen", "--threshold", 0,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "2 persons in 1 images, 0 left out" in done.out
    written = json.loads((tmp_path / "seen/predictions.json").read_text())
    assert tuple(written["keypoints"]) == DOTS
    (seen,) = written["images"]
    assert seen["persons"][0]["box_xyxy"] == [4, 4, 44, 44]
    assert np.shape(seen["persons"][1]["keypoints"]) == (3, 3)
    drawn = cv2.imread(seen["drawn"])
    assert drawn.shape == (48, 48, 3)
    assert (drawn != cv2.imread(str(image))).any()


def test_predict_names_and_skips_what_is_no_image(evopose, finished_run, dots, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("1001.png", "1002.png"):
        (folder / name).write_bytes((dots / "images" / name).read_bytes())
    (folder / "broken.jpg").write_bytes(b"no image")
    done = evopose(
        "predict", finished_run, folder, "--out", tmp_path / "seen", "--threads", 1,
        "--detector", "none",
    )  # fmt: skip
    assert done.code == 1
    assert "each image is taken for one, whole" in done.out
    assert "left out: " in done.out
    assert "broken.jpg" in done.out
    assert "2 persons in 2 images, 1 left out" in done.out


def test_predict_takes_the_boxes_of_a_file(evopose, finished_run, dots, tmp_path):
    done = evopose(
        "predict", finished_run, dots / "images" / "1001.png", "--boxes", dots / "val.json",
        "--out", tmp_path / "seen", "--threads", 1, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["persons"] == 1


def test_boxes_of_a_file_that_lie_outside_are_counted(evopose, finished_run, dots, tmp_path):
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"1001.png": [[0, 0, 20, 20], [9000, 9000, 5, 5]]}))
    images = [dots / "images" / name for name in ("1001.png", "1002.png")]
    done = evopose(
        "predict", finished_run, *images, "--boxes", file, "--out", tmp_path / "seen",
        "--threads", 1, "--runtime", "pytorch", "--no-draw",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "1 boxes lie outside their images and are left out" in done.out
    assert "1 persons in 2 images, 0 left out" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--box", "1,2,3"], "--box is X,Y,W,H in pixels of the image, got '1,2,3'"),
        (["--box", "1,2,0,5"], "a person's box needs a width and a height above 0"),
        (["--box", "1,1,9,9", "--boxes", "val.json"], "give --boxes or --box, not both"),
        (["--boxes", "nowhere.json"], "cannot read nowhere.json"),
        (["--box", "1,1,9,9", "--box", "48,0,5,5"], "the box 48,0,5,5 (left, top, width, height)"),
    ],
)
def test_boxes_that_cannot_be_are_refused(evopose, finished_run, dots, tmp_path, options, message):
    image = dots / "images" / "1001.png"
    done = evopose(
        "predict", finished_run, image, "--out", tmp_path / "seen", *options, "--runtime", "pytorch"
    )
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_an_image_that_is_not_there_is_told(evopose, finished_run, tmp_path):
    done = evopose("predict", finished_run, tmp_path / "none.jpg")
    assert done.code == 2
    assert f"there is no {tmp_path / 'none.jpg'}" in done.err


def test_a_codec_is_trained_remembered_and_read_otherwise(evopose, dots, tmp_path):
    common = [
        dots, "--epochs", 1, "--batch-size", 24, "--threads", 1, "--precision", "fp32", "--out",
    ]  # fmt: skip
    trained = evopose(
        "train", "narrow", "--input", "32x32", "--recipe", "small", "--codec", "udp",
        *common, tmp_path / "one",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert "codec: udp" in trained.out
    assert load_model(tmp_path / "one/model.safetensors").card.codec.name == "udp"
    again = evopose("train", tmp_path / "one", *common, tmp_path / "two")
    assert again.code == 0, again.err
    assert load_model(tmp_path / "two/model.safetensors").card.codec.name == "udp"
    plain, other = (
        evopose("evaluate", tmp_path / "one", dots, "--threads", 1, "--json", *more)
        for more in ([], ["--decoder", "gaussian"])
    )
    assert other.code == 0, other.err
    assert "heatmaps: of udp, read by gaussian" in other.err
    assert other.json["mean_oks"] != plain.json["mean_oks"]
    refused = evopose(
        "train", "narrow", "--loss", "mspn", "--codec", "udp", *common, tmp_path / "x"
    )
    assert refused.code == 2
    assert "mspn has a codec of its own" in refused.err


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        (CodecSpec(name="dark", params={"sigma": 1.3, "blur_kernel": 7, "peak": 1.0}), "dark, wi"),
        (CodecSpec(name="gaussian", params={"sigma": 1.3, "round_centre": False}), "gaussian, wi"),
        (CodecSpec(name="gaussian", params={"sigma": 2.0, "activation": "softmax"}), None),
    ],
)
def test_a_files_codec_goes_on_with_its_parameters(evopose, dots, tmp_path, codec, told):
    net = build_model("narrow", input_hw=(32, 32), num_keypoints=3)
    skeleton = Skeleton(keypoints=DOTS, limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),))
    file = save_model(
        tmp_path / "file.safetensors", net, model_card(net, skeleton=skeleton, codec=codec)
    )
    common = [
        dots, "--epochs", 1, "--batch-size", 24, "--threads", 1, "--precision", "fp32",
        "--loss", "mse",
    ]  # fmt: skip
    done = evopose("train", file, *common, "--out", tmp_path / "own")
    assert done.code == 0, done.err
    found = load_model(tmp_path / "own/model.safetensors").card.codec
    if told is None:  # logits became heatmaps: their codec is the loss's
        assert found.params["activation"] == "none"
        return
    assert found == codec
    assert f"codec: {told}th the file's parameters" in done.out
    config = json.loads((tmp_path / "own/config.json").read_text())
    assert config["codec_params"] == codec.params
    again = evopose("train", tmp_path / "own", *common, "--codec", "dark", "--out", tmp_path / "x")
    assert again.code == 0, again.err
    assert "blur_kernel" not in load_model(tmp_path / "x/model.safetensors").card.codec.params


def test_a_model_beside_itself_read_otherwise(evopose, finished_run, dots, refiner):
    """--decoder and --refine are the first model's alone."""
    done = evopose(
        "evaluate", finished_run, dots, "--threads", 1, "--against", finished_run,
        "--decoder", "gaussian", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    plain = evopose("evaluate", finished_run, dots, "--threads", 1, "--json").json
    assert done.json["against"]["mean_oks"] == plain["mean_oks"]
    assert done.json["mean_oks"] != plain["mean_oks"]
    mended = evopose(
        "evaluate", finished_run, dots, "--threads", 1, "--against", finished_run,
        "--refine", refiner, "--no-flip-test", "--json",
    )  # fmt: skip
    difference = mended.json["against"]["comparison"]["differences"]["mean OKS"]
    assert difference["second"] == pytest.approx(mended.json["mean_oks"])
    assert difference["first"] != difference["second"]


def test_evaluate_in_boxes_of_a_file(evopose, finished_run, dots, tmp_path):
    truth = json.loads((dots / "val.json").read_text())
    boxes = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.5}
        for one in truth["annotations"]
    ]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps([*boxes, boxes[0] | {"image_id": 10**9}]))
    done = evopose("evaluate", finished_run, dots, "--threads", 1, "--boxes", file, "--json")
    assert done.code == 0, done.err
    assert "left out 1 of images that" in done.err.replace("\n", " ")
    plain = evopose("evaluate", finished_run, dots, "--threads", 1, "--json").json
    assert done.json["boxes"] == str(file)
    assert done.json["AP"] == plain["AP"]
    assert done.json["mean_oks"] == pytest.approx(plain["mean_oks"])


def test_persons_are_found_by_a_detector(evopose, shared, tmp_path):
    """Real photos, YOLOX-nano, and a network that was never trained."""
    net = build_model("narrow", input_hw=(64, 64), num_keypoints=17)
    model = save_model(
        tmp_path / "m.safetensors", net, model_card(net, skeleton=COCO_PERSON, codec=CodecSpec())
    )
    detector = shared / "data/weights/yolox_nano.onnx"
    people = shared / "data/people"
    photos = sorted((people / "images/coco").iterdir())[:4]
    done = evopose(
        "predict", model, *photos, "--detector", detector, "--threads", 1, "--no-flip-test",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())["images"]
    assert sum(len(one["persons"]) for one in found) == done.json["persons"] > len(photos) / 2
    both = evopose("predict", model, photos[0], "--detector", detector, "--box", "1,2,3,4")
    assert "give --detector or boxes, not both" in both.err
    measured = evopose(
        "evaluate", model, people, "--detector", detector, "--limit", 3, "--threads", 1, "--json"
    )
    assert measured.code == 0, measured.err
    assert measured.json["boxes"] == "yolox_nano"
