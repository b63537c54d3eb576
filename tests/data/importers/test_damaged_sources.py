"""Every format, damaged in every way: a clear error each, and nothing left behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.importers.sources import (
    SOURCES,
    Source,
    images_in,
    json_source,
    lsp_joints,
    lsp_matrix,
    read,
    read_csv,
    write_csv,
)
from evopose.data.importers import Options, import_dataset
from evopose.data.importers.matfile import read_mat_array
from evopose.errors import ConfigError, DataError, EvoposeError

COCO_FORMS = ("mpii-trb", "crowdpose", "aic", "ap10k", "jhmdb", "ochuman", "lsp")
JSON_KINDS = (*COCO_FORMS, "mpii", "aic-original", "ochuman-original")
SIZED = (*COCO_FORMS[1:], "mpii-trb", "ochuman-original")
FORMATS_BY_NAME = ("mpii", "crowdpose", "aic", "ap10k", "jhmdb", "ochuman", "lsp", "deeplabcut")


def rewrite(source: Source, change: Callable[[Any], object]) -> None:
    content = read(source.labels)
    change(content)
    source.labels.write_text(json.dumps(content))


def first_person(content: Any) -> tuple[dict, str]:
    """Return the record that holds the first person's keypoints, and under which key."""
    if isinstance(content, dict) and "annotations" in content:
        return content["annotations"][0], "keypoints"
    if isinstance(content, dict):
        return content["images"][0]["annotations"][0], "keypoints"
    if "joints" in content[0]:
        return content[0], "joints"
    return content[0]["keypoint_annotations"], "human1"


def set_cell(source: Source, value: str | None) -> None:
    """Put a value into a text format's first coordinate; None: take one value away."""
    if source.format == "deeplabcut":
        rows = read_csv(source.labels)
        rows[3] = rows[3][:-1] if value is None else [rows[3][0], value, *rows[3][2:]]
        write_csv(source.labels, rows)
        return
    cells = source.labels.read_text().split("\n")[0].split()
    cells = cells[:-1] if value is None else [*cells[:5], value, *cells[6:]]
    source.labels.write_text(" ".join(cells) + "\n")


def set_value(source: Source, value: Any) -> None:
    def change(content: Any) -> None:
        record, key = first_person(content)
        if key == "joints":
            record[key][0] = [value, 1.0]
            record["joints_vis"][0] = 1
        else:
            record[key][0] = value
            record[key][2] = 1

    if source.labels.suffix == ".json":
        rewrite(source, change)
    else:
        set_cell(source, str(value))


# One function a damage: what it does to the source, or None where a format cannot have it


def cut_off(source: Source) -> None:
    content = source.labels.read_bytes()
    source.labels.write_bytes(content[: int(0.61 * len(content))])


def empty_file(source: Source) -> None:
    path = source.path / "data.yaml" if source.format == "yolo-pose" else source.labels
    path.write_bytes(b"")


def key_missing(source: Source) -> None:
    if source.format == "deeplabcut":
        rows = read_csv(source.labels)
        write_csv(source.labels, [rows[0], *rows[2:]])
    elif source.format == "yolo-pose":
        path = source.path / "data.yaml"
        path.write_text(path.read_text().replace("kpt_shape", "kpt_shopa"))
    else:
        rewrite(source, lambda c: first_person(c)[0].pop(first_person(c)[1]))


def wrong_number_of_keypoints(source: Source) -> None:
    if source.labels.suffix == ".json":
        rewrite(source, lambda c: first_person(c)[0][first_person(c)[1]].pop())
    else:
        set_cell(source, None)


def not_a_number(source: Source) -> None:
    set_value(source, float("nan") if source.labels.suffix == ".json" else "inf")


def text_for_a_number(source: Source) -> None:
    set_value(source, "twelve")


def digits_as_text(source: Source) -> None:
    set_value(source, "12")


def absurd_coordinate(source: Source) -> None:
    set_value(source, 3e7)


def huge_number(source: Source) -> None:
    set_value(source, 1e308)


def negative_size(source: Source) -> None:
    def change(content: Any) -> None:
        if isinstance(content, list):
            if "scale" in content[0]:
                content[0]["scale"] = -2.5
            else:
                content[0]["human_annotations"]["human1"][:3] = [500, 10, 20]
        elif "annotations" in content:
            content["images"][0]["width"] = -640
        else:
            content["images"][0]["annotations"][0]["bbox"][:3] = [500, 10, 20]

    if source.labels.suffix == ".json":
        rewrite(source, change)
    else:
        cells = source.labels.read_text().split()
        source.labels.write_text(" ".join([*cells[:3], "-0.2", *cells[4:56]]) + "\n")


def image_missing(source: Source) -> None:
    source.images[0].unlink()


def image_undecodable(source: Source) -> None:
    source.images[0].write_bytes(b"no picture")


def image_cut_off(source: Source) -> None:
    content = source.images[0].read_bytes()
    source.images[0].write_bytes(content[: len(content) // 3])


def image_of_another_size(source: Source) -> None:
    for path in source.images:
        cv2.imwrite(str(path), np.zeros((21, 16, 3), np.uint8))


def given_twice(source: Source) -> None:
    if source.format == "deeplabcut":
        rows = read_csv(source.labels)
        write_csv(source.labels, [*rows, rows[-1]])
    elif source.format == "yolo-pose":
        line = source.labels.read_text().splitlines()[0]
        source.labels.write_text(f"{line}\n{line}\n")
    elif isinstance(content := read(source.labels), dict) and "annotations" not in content:
        rewrite(source, lambda c: c["images"].append(c["images"][0]))
    elif isinstance(content, dict):
        rewrite(source, lambda c: c["annotations"].append(c["annotations"][0]))
    else:
        rewrite(source, lambda c: c.append(c[0]))


def image_given_twice(source: Source) -> None:
    rewrite(source, lambda c: c["images"].append({**c["images"][0], "id": 10**6}))


def unknown_category(source: Source) -> None:
    if source.format == "yolo-pose":
        source.labels.write_text("7" + source.labels.read_text()[1:])
    else:
        rewrite(source, lambda c: c["annotations"][0].update(category_id=999))


def category_that_is_no_number(source: Source) -> None:
    rewrite(source, lambda c: c["annotations"][0].update(category_id={"a": 1}))


def strange_crowd(source: Source) -> None:
    rewrite(source, lambda c: c["annotations"][0].update(iscrowd="maybe"))


def strange_area(source: Source) -> None:
    rewrite(source, lambda c: c["annotations"][0].update(area=""))


def one_number(source: Source) -> None:
    source.labels.write_text("12.5")


def unknown_image(source: Source) -> None:
    rewrite(source, lambda c: c["annotations"][0].update(image_id=999_999))


def name_that_leads_away(source: Source) -> None:
    if source.format == "deeplabcut":
        rows = read_csv(source.labels)
        rows[3][0] = "../../secret.png"
        write_csv(source.labels, rows)
        return
    key = {list: "image", dict: "file_name"}

    def change(content: Any) -> None:
        if isinstance(content, list):
            content[0]["image" if "image" in content[0] else "image_id"] = "../../secret.jpg"
        else:
            content["images"][0][key[dict]] = "/etc/secret.jpg"

    rewrite(source, change)


def nobody(source: Source) -> None:
    if source.format == "deeplabcut":
        write_csv(source.labels, [r if i < 3 else [r[0], *[""] * (len(r) - 1)]
                                  for i, r in enumerate(read_csv(source.labels))])  # fmt: skip
    elif source.format == "yolo-pose":
        for path in source.labels.parent.glob("*.txt"):
            path.write_text("")
    elif isinstance(content := read(source.labels), dict) and "annotations" in content:
        rewrite(source, lambda c: c["annotations"].clear())
    elif isinstance(content, dict):
        rewrite(source, lambda c: [i["annotations"].clear() for i in c["images"]])
    elif "joints" in content[0]:
        rewrite(source, lambda c: [r.update(joints_vis=[0] * 16) for r in c])
    else:
        rewrite(source, lambda c: [(r["human_annotations"].clear(),
                                    r["keypoint_annotations"].clear()) for r in c])  # fmt: skip


TEXTS = ("deeplabcut", "yolo-pose")
EVERY = (*JSON_KINDS, *TEXTS)
DAMAGES: dict[Callable[[Source], None], tuple[tuple[str, ...], str]] = {
    cut_off: (EVERY, r"is not JSON, or is cut off|columns; others in|got \d+ values|could not|"
                     r"other numbers"),
    empty_file: (EVERY, "is empty|not understood|kpt_shape"),
    key_missing: (EVERY, "each needs|not the same|same persons|header of rows|kpt_shape"),
    wrong_number_of_keypoints: (EVERY, r"other numbers of val|columns; others in|got \d+ values"),
    not_a_number: (EVERY, "not all finite|finite numbers"),
    text_for_a_number: (EVERY, "no numbers|finite numbers or empty|could not convert"),
    digits_as_text: (JSON_KINDS, "no numbers"),
    absurd_coordinate: (EVERY, "far outside the image|parts of the image"),
    huge_number: (EVERY, "not all finite|finite numbers|parts of the image"),
    negative_size: ((*JSON_KINDS, "yolo-pose"), "must be|negative size|parts of the image"),
    image_missing: (EVERY, r"image is missing|without an image"),
    image_undecodable: (EVERY, "image cannot be read or decoded"),
    image_cut_off: (EVERY, "image cannot be read or decoded"),
    image_of_another_size: (tuple(k for k in EVERY if k != "yolo-pose"),
                            "another size|far outside|far out of|does not touch"),
    given_twice: (EVERY, "twice|differ|one row"),
    image_given_twice: (COCO_FORMS, "given twice"),
    unknown_category: ((*COCO_FORMS, "yolo-pose"), "category_id must name|classes are person"),
    category_that_is_no_number: (COCO_FORMS, "each needs a whole number as 'category_id'"),
    strange_crowd: (COCO_FORMS, "iscrowd must be 0 or 1"),
    strange_area: (COCO_FORMS, "area must be a number; values that are no numbers"),
    one_number: (JSON_KINDS, "is not .*: expected .*; got a float"),
    unknown_image: (COCO_FORMS, "image_id must name"),
    name_that_leads_away: (tuple(k for k in EVERY if k != "yolo-pose"), "below the folder"),
    nobody: (EVERY, "nothing to import|no labelled|no person"),
}  # fmt: skip
"""Damage -> the formats that can have it, and what the message says."""


def refused(source: Source, tmp_path: Path, said: str, options: Options = Options()) -> str:
    before = sorted(p for p in tmp_path.iterdir())
    with pytest.raises(EvoposeError, match=said) as error:
        import_dataset(source.format, source.path, tmp_path / "out", options)
    assert error.value.exit_code == 2
    assert sorted(p for p in tmp_path.iterdir()) == before, "something is left behind"
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        pytest.param(k, d, id=f"{k}-{d.__name__}")
        for d, (kinds, _) in DAMAGES.items()
        for k in kinds
    ],
)
def test_a_damaged_source_is_refused(shared, tmp_path, kind, damage):
    source = SOURCES[kind](shared, tmp_path / "source")
    damage(source)
    message = refused(source, tmp_path, DAMAGES[damage][1])
    assert len(message) < 1500


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        (f, k)
        for f in ("mpii", "crowdpose", "deeplabcut")
        for k in EVERY
        if k.partition("-")[0] != f
    ],
)
def test_another_format_is_named(shared, tmp_path, kind, format):
    source = SOURCES[kind](shared, tmp_path / "source")
    path = source.path / "data.yaml" if source.format == "yolo-pose" else source.path
    looks = "mpii" if kind == "mpii-trb" else source.format
    refused(replace(source, format=format, path=path), tmp_path, f"It looks like.*{looks}")


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_labels_given_as_yolo(shared, tmp_path, kind):
    source = SOURCES[kind](shared, tmp_path / "source")
    looks = "mpii" if kind == "mpii-trb" else source.format
    refused(replace(source, format="yolo-pose"), tmp_path, f"It looks like.*{looks}")


@pytest.mark.parametrize(
    "file", ["coco/test_coco_det_AP_H_56", "crowdpose/test_crowdpose_det_AP_40"]
)
def test_detections_are_no_labels(shared, tmp_path, file):
    content = read(shared / f"data/fixtures/{file}.json")
    source = json_source("crowdpose", tmp_path / "source", shared / "data/fixtures/coco", content)
    refused(source, tmp_path, "It looks like detections")


def test_coco_itself_needs_no_import(shared, tmp_path):
    fixture = shared / "data/animals/openfield"
    source = json_source("ap10k", tmp_path / "source", fixture, read(fixture / "openfield.json"))
    refused(source, tmp_path, "evopose reads that without an import")


@pytest.mark.parametrize("kind", EVERY)
def test_an_occupied_out_is_refused(shared, tmp_path, kind):
    source = SOURCES[kind](shared, tmp_path / "source")
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    refused(source, tmp_path, "holds something else already")
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_out_that_is_or_lies_below_a_file(shared, tmp_path, place):
    source = SOURCES["crowdpose"](shared, tmp_path / "source")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"is a file|cannot write"):
        import_dataset("crowdpose", source.path, tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_foreign_dataset_is_not_added_to(shared, tmp_path):
    source = SOURCES["crowdpose"](shared, tmp_path / "source")
    out = tmp_path / "out"
    (out / "annotations").mkdir(parents=True)
    (out / "annotations/person_keypoints_val.json").write_text(source.labels.read_text())
    with pytest.raises(DataError, match="no earlier import"):
        import_dataset("crowdpose", source.path, out)
    assert [p.name for p in out.rglob("*.json")] == ["person_keypoints_val.json"]


def test_a_disk_that_fills_leaves_nothing(shared, tmp_path, monkeypatch):
    source = SOURCES["aic"](shared, tmp_path / "source")
    import_dataset("aic", source.path, tmp_path / "out")
    before = {p: p.stat().st_mtime for p in (tmp_path / "out").rglob("*")}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(DataError, match="No space left on device"):
        import_dataset("aic", source.path, tmp_path / "out", Options(split="val"))
    assert {p: p.stat().st_mtime for p in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(DataError, match="No space left on device"):
        import_dataset("aic", source.path, tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]


def test_nothing_there(tmp_path):
    for format in FORMATS_BY_NAME:
        with pytest.raises(DataError, match="there is no"):
            import_dataset(format, tmp_path / "nowhere", tmp_path / "out")


# joints.mat


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b[:300], "damaged or cut off"),
        (lambda b: b"", "is no MATLAB file|is empty"),
        (lambda b: b"MATLAB 7.3 MAT-file" + b[19:], "save it anew in MATLAB with -v7"),
        (lambda b: b[:200] + b"\xff" * 40 + b[240:], "damaged or cut off"),
        (lambda b: b'{"joints": 1}', "is no MATLAB file"),
    ],
)
def test_a_damaged_matrix(tmp_path, change, said):
    source = lsp_matrix(None, tmp_path / "source")
    source.labels.write_bytes(change(source.labels.read_bytes()))
    refused(source, tmp_path, said)


def test_a_matrix_with_an_image_missing(tmp_path):
    source = lsp_matrix(None, tmp_path / "source")
    images_in(tmp_path / "source")[1].unlink()
    refused(source, tmp_path, "image is missing: im0002.jpg")


def test_a_matrix_for_another_format(tmp_path):
    source = lsp_matrix(None, tmp_path / "source")
    refused(replace(source, format="mpii"), tmp_path, "MATLAB file; of those only LSP's")


def test_a_matrix_of_another_name(tmp_path):
    source = lsp_matrix(None, tmp_path / "source")
    np.testing.assert_array_equal(read_mat_array(source.path, "joints"), lsp_joints())
    with pytest.raises(DataError, match="no numeric array 'points'; it holds joints"):
        read_mat_array(source.path, "points")


# What only one format can get wrong


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("kpt_shape: [17]\n", "kpt_shape must be"),
        ("kpt_shape: [17, 3]\nflip_idx: [0, 1]\n", "flip_idx must hold each number from 0 to 16"),
        ("kpt_shape: [3, 3]\nflip_idx: [1, 2, 0]\n", "flip_idx must swap pairs"),
        ("kpt_shape: [17, 3]\nkpt_names: [a, b]\n", "kpt_names has 2 names"),
        ("kpt_shape: [5, 3]\n", "got 56 values"),
        ("kpt_shape: [17, 3]\ntrain: nowhere\n", "there is no folder nowhere"),
        ("kpt_shape: [17, 3\n", "not understood"),
        ("kpt_shape [17, 3]\n", "expected keys with values"),
        ("a: 1\na: 2\n", "given twice"),
        ("- a\n- b\n", "expected keys with values"),
        ("names: !!python/object/apply:os.getcwd []\n", "not understood"),
    ],
)
def test_descriptions_that_cannot_be(shared, tmp_path, yaml, said):
    source = SOURCES["yolo-pose"](shared, tmp_path / "source")
    (tmp_path / "source/data.yaml").write_text(yaml)
    refused(source, tmp_path, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: [[*x, "l"] if i < 2 else [*x, "likelihood"] if i == 2 else [*x, "0.9"]
                    for i, x in enumerate(r)], "predictions, no labels"),
        (lambda r: [*r[:3], ["", *r[3][1:]]], "below the folder"),
        (lambda r: r[:3], "no frames"),
        (lambda r: [*r[:3], [r[3][0], "", *r[3][2:]]], "x without y"),
        (lambda r: [r[0], ["bodyparts", *["snout"] * 8], *r[2:]], "given twice"),
        (lambda r: [r[0], ["bodyparts", "left_a", "left_a", "b", "b", "c", "c", "d", "d"], *r[2:]],
         "cannot tell which keypoint mirrors 'left_a'.*--skeleton"),
    ],
)  # fmt: skip
def test_sheets_that_cannot_be(shared, tmp_path, change, said):
    source = SOURCES["deeplabcut"](shared, tmp_path / "source")
    write_csv(source.labels, change(read_csv(source.labels)))
    refused(source, tmp_path, said)


def test_a_turned_image_is_called_so(shared, tmp_path):
    source = SOURCES["crowdpose"](shared, tmp_path / "source")
    image = cv2.imread(str(source.images[0]))
    cv2.imwrite(str(source.images[0]), cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))
    refused(source, tmp_path, "image is turned against its labels: 103319.jpg")


def test_a_skeleton_where_there_is_one(shared, tmp_path):
    source = SOURCES["crowdpose"](shared, tmp_path / "source")
    with pytest.raises(ConfigError, match="has a skeleton of its own"):
        import_dataset("crowdpose", source.path, tmp_path / "out", Options(skeleton=source.path))
