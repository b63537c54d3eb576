"""`evopose predict` and `export` from the command line: sources, videos, exported files."""

import json
import signal
import weakref
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from rich.console import Console

from evopose.cli import predict_files
from evopose.cli.options import StopRequest
from evopose.cli.predict import split_model
from evopose.cli.predict_videos import predict_video
from evopose.data.video_writing import VideoWriter
from evopose.errors import ConfigError
from evopose.inference import sources
from evopose.inference.estimator import PoseEstimator
from evopose.inference.poses import Poses

QUICK = ("--detector", "none", "--runtime", "pytorch", "--threads", 1, "--no-flip-test")


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), image)
    return path


def test_a_photo_alone_is_enough(evopose, photo, tmp_path):
    done = evopose(
        "predict", photo, "--out", tmp_path / "out", "--detector", "none", "--runtime", "pytorch",
        "--threads", 1, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["model"] == "default"
    assert (done.json["images"], done.json["persons"], done.json["failed"]) == (1, 1, [])
    (result,) = json.loads((tmp_path / "out/results.json").read_text())
    assert len(result["keypoints"]) == 51
    assert result["bbox"] == [-0.5, -0.5, 80, 60]
    assert cv2.imread(str(tmp_path / "out/photo.jpg")).shape == (60, 80, 3)


def test_photos_of_one_name_are_drawn_apart(evopose, photo, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").write_bytes(photo.read_bytes())
    done = evopose(
        "predict", photo, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out",
        "--detector", "none", "--runtime", "pytorch", "--threads", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    drawn = {path.name for path in (tmp_path / "out").glob("*.jpg")}
    assert drawn == {"photo.jpg", "a-photo.jpg", "b-photo.jpg"}


def test_a_video_is_drawn_and_told_frame_by_frame(evopose, photo, tmp_path):
    frame = cv2.imread(str(photo))[..., ::-1]
    with VideoWriter(tmp_path / "still.mp4", fps=10) as writer:
        for _ in range(5):
            writer.write(frame)
    done = evopose(
        "predict", tmp_path / "still.mp4", photo, "--out", tmp_path / "out", "--detector", "none",
        "--runtime", "pytorch", "--threads", 1, "--frames", 4, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    (video,) = done.json["videos"]
    assert (video["frames"], video["written"]) == (4, ["still.jsonl", "still.mp4"])
    lines = (tmp_path / "out/still.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2, 3]
    film = cv2.VideoCapture(str(tmp_path / "out/still.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 4


def test_in_a_folder_what_cannot_be_read_is_named_and_counted(
    evopose, photo, tmp_path, monkeypatch
):
    folder, out = tmp_path / "mixed", tmp_path / "out"
    folder.mkdir()
    image = PIL.Image.open(photo)
    image.convert("L").save(folder / "grey.png")
    image.convert("RGBA").save(folder / "alpha.png")
    cv2.imwrite(str(folder / "deep.png"), cv2.imread(str(photo)).astype(np.uint16) * 257)
    turned = PIL.Image.Exif()
    turned[0x112] = 6
    image.save(folder / "turned.jpg", exif=turned)
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes(photo.read_bytes()[:5000])
    image.resize((400, 300)).save(folder / "huge.png")
    (folder / "empty.mp4").touch()
    monkeypatch.setenv("EVOPOSE_MAX_PIXELS", "100000")
    done = evopose("predict", folder, "webcam:99", "--out", out, *QUICK)
    assert done.code == 1
    assert " in 4 images, 3 left out" in done.out
    assert "5 of 9 are left out" in done.out
    for name, reason in (
        ("text.jpg", "it holds text"),
        ("cut.png", "damaged or cut off"),
        ("huge.png", "400x300 = 120,000 pixels, more than the limit of 100,000"),
        ("empty.mp4", "as a video (0 bytes)"),
        ("webcam 99", "there is no webcam"),
    ):
        (line,) = [line for line in done.out.splitlines() if name in line]
        assert line.startswith("left out: ")
        assert reason in line
    assert {path.name for path in out.iterdir()} == {
        "grey.jpg", "alpha.jpg", "deep.jpg", "turned.jpg", "predictions.json", "results.json",
    }  # fmt: skip
    assert cv2.imread(str(out / "turned.jpg")).shape == (80, 60, 3)


def press_ctrl_c(monkeypatch, owner, name, *, at):
    """Press Ctrl-C while a function is called for the `at`-th time."""
    calls, real = [], getattr(owner, name)

    def called(*given, **more):
        calls.append(name)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return real(*given, **more)

    monkeypatch.setattr(owner, name, called)


def test_ctrl_c_keeps_the_photos_that_are_done(evopose, photo, tmp_path, monkeypatch):
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(photo.read_bytes())
    press_ctrl_c(monkeypatch, sources, "read_photo", at=3)
    film = tmp_path / "still.mp4"
    film.touch()
    done = evopose("predict", folder, film, "--out", out, *QUICK)
    assert done.code == 130
    assert "stopping; what is done is kept" in done.err
    assert "3 persons in 3 of 5 images, 0 left out" in done.out
    assert f"stopped: {out} holds what was done; 1 videos were not begun" in done.out
    told = json.loads((out / "predictions.json").read_text())["images"]
    assert [one["image"] for one in told] == [str(folder / f"{n}.png") for n in range(3)]
    assert len(json.loads((out / "results.json").read_text())) == 3
    assert {path.name for path in out.iterdir()} == {
        "predictions.json", "results.json", "0.jpg", "1.jpg", "2.jpg",
    }  # fmt: skip


def test_ctrl_c_keeps_what_is_done_of_a_video_under_its_own_name(
    evopose, photo, tmp_path, monkeypatch
):
    out, frame = tmp_path / "out", cv2.imread(str(photo))
    with VideoWriter(tmp_path / "still.mp4", fps=10) as writer:
        for _ in range(6):
            writer.write(frame)
    press_ctrl_c(monkeypatch, VideoWriter, "write", at=4)
    done = evopose("predict", tmp_path / "still.mp4", "--out", out, *QUICK, "--json")
    assert done.code == 130
    (video,) = done.json["videos"]
    assert done.json["stopped"]
    assert (video["frames"], video["stopped"]) == (4, True)
    assert video["written"] == ["still.unfinished.jsonl", "still.unfinished.mp4"]
    assert {path.name for path in out.iterdir()} == set(video["written"])
    assert len((out / "still.unfinished.jsonl").read_text().splitlines()) == 4
    assert cv2.VideoCapture(str(out / "still.unfinished.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 4


def test_of_a_long_video_no_frame_is_kept(photo, tmp_path):
    frame, alive, most = cv2.imread(str(photo)), [], 0
    with VideoWriter(tmp_path / "long.mp4", fps=10) as writer:
        for _ in range(40):
            writer.write(frame)
    estimator = PoseEstimator.load(detector=None, runtime="pytorch", threads=1, flip_test=False)

    class Watched:
        def video(self, *given, **more):
            nonlocal most
            for poses in estimator.video(*given, **more):
                alive.extend([weakref.ref(poses), weakref.ref(poses.image)])
                most = max(most, sum(one() is not None for one in alive))
                yield poses

    done = predict_video(
        Watched(), sources.Video(path=tmp_path / "long.mp4"), "long", tmp_path, Console(quiet=True),
        every=5, limit=None, smooth=True, draw=Poses.draw, stop=StopRequest(),
    )  # fmt: skip
    assert done.frames == 40
    assert len(alive) == 80
    assert most <= 4  # the frame at hand, and the one before


def test_show_opens_a_few_pictures_and_of_many_the_folder(evopose, photo, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("typer.launch", lambda path: opened.append(path) or 3)
    done = evopose("predict", photo, "--out", tmp_path / "out", *QUICK, "--show")
    assert opened == [str(tmp_path / "out/photo.jpg")]
    assert f"this system has no viewer for {opened[0]}" in done.out
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(photo.read_bytes())
    evopose("predict", tmp_path, "--out", tmp_path / "out", *QUICK, "--show")
    assert opened[1:] == [str(tmp_path / "out")]
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    done = evopose("predict", photo, "--out", tmp_path / "out", *QUICK, "--show")
    assert f"this system has no viewer for {opened[0]}" in done.out
    assert len(opened) == 2
    done = evopose("predict", photo, "--no-draw", "--show")
    assert (done.code, "give it or --no-draw" in done.err) == (2, True)


def test_persons_are_framed_if_asked(evopose, photo, tmp_path):
    drawn = []
    for name, more in (("plain", []), ("framed", ["--draw-boxes"])):
        given = ["--out", tmp_path / name, "--threshold", 1, "--box", "20,10,30,40", *QUICK[2:]]
        done = evopose("predict", photo, *given, *more)
        assert done.code == 0, done.err
        drawn.append(cv2.imread(str(tmp_path / name / "photo.jpg")).astype(int))
    differs = np.abs(drawn[0] - drawn[1]).max(axis=2) > 60
    assert differs[10:50, 19:22].any(axis=1).mean() > 0.8  # the left side of the frame
    assert not differs[:, 60:].any()


def write_video(path, photo, frames=2):
    with VideoWriter(path.with_suffix(".mp4"), fps=10) as writer:
        for _ in range(frames):
            writer.write(cv2.imread(str(photo)))
    path.with_suffix(".mp4").rename(path)
    return path


def test_what_is_looked_at_is_never_written_over(evopose, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, labels = tmp_path / "inplace", tmp_path / "labels"
    folder.mkdir()
    labels.mkdir()
    cv2.imwrite(str(folder / "a.jpg"), cv2.imread(str(photo)))
    film = write_video(folder / "film.mp4", photo)
    boxes = labels / "results.json"
    boxes.write_text('{"a.jpg": [[1, 2, 30, 40]]}')
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    for given, target in (
        (["inplace/a.jpg", "--out", folder], "inplace/a.jpg"),
        ([film, "--out", "inplace"], "inplace/film.mp4"),
        ([folder / "a.jpg", "--boxes", boxes, "--out", "labels"], "labels/results.json"),
    ):
        done = evopose("predict", *given, "--runtime", "pytorch")
        assert done.code == 2
        assert f"{target} is among the files given, and would be written over" in done.err
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == before
    done = evopose("predict", film, "--out", folder, *QUICK, "--no-draw")
    assert done.code == 0, done.err
    assert film.read_bytes() == before[film]


def test_files_of_others_are_not_written_over(evopose, photo, tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    done = evopose("predict", photo, "--out", tmp_path, *QUICK)
    assert done.code == 2
    assert f"{tmp_path / 'photo.jpg'} would be written over, and is of no earlier run" in done.err
    write_video(tmp_path / "film.avi", photo)
    (tmp_path / "film.mp4").write_text("mine")
    done = evopose("predict", tmp_path / "film.avi", "--out", tmp_path, *QUICK)
    assert done.code == 2
    assert "(there is no film.jsonl beside it)" in done.err
    assert (tmp_path / "photo.jpg").read_text() == (tmp_path / "film.mp4").read_text() == "mine"


def test_results_of_an_earlier_run_are_replaced_and_what_was_unfinished_goes(
    evopose, photo, tmp_path
):
    out, film = tmp_path / "out", write_video(tmp_path / "film.mp4", photo)
    first = evopose("predict", photo, film, "--out", out, *QUICK)
    assert "held results before" not in first.out
    for suffix in ("mp4", "jsonl"):
        (out / f"film.unfinished.{suffix}").touch()
    done = evopose("predict", photo, film, "--out", out, *QUICK)
    assert done.code == 0, done.err
    assert f"{out} held results before; replaced: predictions.json, film.jsonl" in done.out
    assert {path.name for path in out.iterdir()} == {
        "photo.jpg", "predictions.json", "results.json", "film.mp4", "film.jsonl",
    }  # fmt: skip


def test_each_video_says_what_is_drawn_of_it(evopose, photo, tmp_path):
    films = [write_video(tmp_path / name, photo) for name in ("plain.avi", "plain.mp4")]
    done = evopose("predict", *films, "--out", tmp_path / "out", *QUICK)
    assert done.code == 0, done.err
    for film, stem in zip(films, ("plain", "plain-2"), strict=True):
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"{film}: ")]
        assert line.endswith(f"wrote {stem}.jsonl and {stem}.mp4")


def test_names_are_found_in_time_that_grows_as_their_number(monkeypatch):
    asked = []
    numbered = predict_files.count
    monkeypatch.setattr(
        predict_files, "count", lambda start: (asked.append(n) or n for n in numbered(start))
    )
    same = [sources.Photo(path=Path(f"{n}/x/same.jpg")) for n in range(500)]
    other = [sources.Photo(path=Path(f"x/{n}.jpg")) for n in range(500)]
    names = predict_files.picture_names(same + other)
    assert len(set(names)) == 1000
    assert names[:3] + names[-1:] == ["same.jpg", "x-same.jpg", "same-2.jpg", "499.jpg"]
    assert len(asked) == 498


def test_what_is_unfinished_of_a_video_has_no_other_videos_name():
    videos = [sources.Video(path=Path(name)) for name in ("a.unfinished.mp4", "a.mp4", "b.mp4")]
    assert predict_files.video_stems(videos) == ["a.unfinished", "a-2", "b"]


def test_names_too_long_with_what_follows_are_cut(evopose, photo, tmp_path):
    for letter in "ab":
        (tmp_path / (("ü" * 120 + letter) + ".png")).write_bytes(photo.read_bytes())
    done = evopose("predict", f"{tmp_path}/ü*.png", "--out", tmp_path / "out", *QUICK)
    assert done.code == 0, done.err
    drawn = {path.name for path in (tmp_path / "out").glob("*.jpg")}
    assert f"{'ü' * 100}.jpg" in drawn
    assert len(drawn) == 2


def test_what_cannot_be_written_of_a_photo_or_a_video_is_told_at_the_end(evopose, photo, tmp_path):
    out, film = tmp_path / "out", write_video(tmp_path / "film.mp4", photo)
    for name in ("photo.jpg", "film.mp4"):
        (out / name).mkdir(parents=True)
    for name in ("predictions.json", "film.jsonl"):
        (out / name).touch()
    cv2.imwrite(str(tmp_path / "other.png"), cv2.imread(str(photo)))
    given = [photo, tmp_path / "other.png", film]
    done = evopose("predict", *given, "--out", out, *QUICK)
    assert done.code == 1
    assert f"not drawn: cannot write image {out / 'photo.jpg'}: Is a directory" in done.out
    assert f"left out: cannot write video {out / 'film.mp4'}" in done.out
    found = json.loads((out / "predictions.json").read_text())["images"]
    assert [("drawn" in one, len(one["persons"])) for one in found] == [(False, 1), (True, 1)]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000012.jpg", "7.png"), [12, 7]),
        (("2.jpg", "a.jpg", "b.jpg"), [1, 2, 3]),
        (("x/6471.jpg", "x/6471.png"), [1, 2]),
        (("01.jpg", "1.jpg"), [1, 2]),
    ],
)
def test_image_ids_differ(names, ids):
    assert predict_files.image_ids([sources.Photo(path=Path(name)) for name in names]) == ids


def test_an_image_keeps_its_id_where_another_cannot_be_read(evopose, photo, tmp_path):
    (tmp_path / "broken.png").touch()
    done = evopose("predict", tmp_path / "broken.png", photo, "--out", tmp_path / "out", *QUICK)
    assert done.code == 1
    (result,) = json.loads((tmp_path / "out/results.json").read_text())
    assert result["image_id"] == 2


def test_persons_of_whom_nothing_is_drawn_are_counted(evopose, photo, tmp_path):
    given = ["predict", photo, "--out", tmp_path / "out", *QUICK]
    assert "1 persons (1 too unsure to draw) in 1 images" in evopose(*given, "--threshold", 1).out
    assert "1 persons in 1 images" in evopose(*given, "--threshold", 0).out
    for threshold in (2, -1, "nan"):
        done = evopose(*given, "--threshold", threshold)
        assert done.code == 2
        assert f"--threshold is a score from 0 to 1, got {threshold}" in done.err


def test_names_that_cannot_be_are_told(evopose, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").touch()
    long = "a" * 300
    for given, message in (
        (["predict", f"{long}.jpg"], f"cannot look for {long}.jpg: File name too long"),
        (["predict", ""], "an empty name means nothing"),
        (["predict", photo, "--out", long], f"{long} cannot be written"),
        (["predict", photo, "--out", "/proc/x", *QUICK], "/proc/x cannot be written"),
        (["export", long], f"cannot look for {long}: File name too long"),
    ):
        done = evopose(*given)
        assert done.code == 2
        assert message in done.err


def test_a_video_that_is_none_is_named(evopose, tmp_path):
    (tmp_path / "film.mp4").write_bytes(bytes(1000))
    done = evopose(
        "predict", tmp_path / "film.mp4", "--out", tmp_path / "out", "--detector", "none",
        "--runtime", "pytorch", "--threads", 1,
    )  # fmt: skip
    assert done.code == 1
    assert "left out: cannot read" in done.out


def test_what_is_exported_is_used_as_the_model_is(evopose, photo, tmp_path):
    made = evopose("export", "default", "--out", tmp_path / "pose.onnx", "--json")
    assert made.code == 0, made.err
    assert made.json["parity"]["heatmap_difference"] < 1e-4
    found = {}
    for model, runtime in (("default", "pytorch"), (tmp_path / "pose.onnx", "onnxruntime")):
        out = tmp_path / runtime
        done = evopose(
            "predict", model, photo, "--out", out, "--detector", "none", "--runtime", runtime,
            "--threads", 1,
        )  # fmt: skip
        assert done.code == 0, done.err
        found[runtime] = json.loads((out / "predictions.json").read_text())["images"][0]["persons"]
    ours, theirs = (np.array(persons[0]["keypoints"]) for persons in found.values())
    np.testing.assert_allclose(theirs[:, 2], ours[:, 2], atol=1e-4)
    assert np.median(np.abs(theirs - ours)[:, :2]) < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--format", "tflite"], "--format is onnx, openvino, torchscript; got 'tflite'"),
        (["--out", "pose.pb"], "onnx files end in .onnx; pose.pb does not"),
        (
            ["--half", "--format", "torchscript", "--out", "pose.torchscript"],
            "torchscript files are float32; half is for onnx and openvino",
        ),
    ],
)
def test_exports_that_cannot_be(evopose, given, message):
    done = evopose("export", "default", *given)
    assert done.code == 2
    assert message in done.err


def test_the_first_word_is_a_model_where_it_names_one(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").touch()
    photos = tmp_path / "photos"
    photos.mkdir()
    for word in ("default", "hrnet-w32", "evopose2d-s-256x192", "a.onnx", "a.xml", str(run)):
        assert split_model([word, "photo.jpg"]) == (word, ["photo.jpg"])
    for word in ("photo.jpg", str(photos), "https://example.org/a.jpg", "webcam:0", "*.png"):
        assert split_model([word, "b.jpg"]) == (None, [word, "b.jpg"])
    with pytest.raises(ConfigError, match="default is a model; name what it is to look at"):
        split_model(["default"])
