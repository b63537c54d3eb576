"""The crop cache: what it holds, when it is built, and that damage is noticed."""

import json
import logging
import os
import pickle
import resource
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from evopose.data import CropSpec, build_crops, open_crops, read_coco, read_image, warp_crop
from evopose.errors import ConfigError, DataError
from evopose.geometry import apply_affine, box_to_crop, crop_affine

SPEC = CropSpec(input_hw=(96, 64))


@pytest.fixture
def dataset(make_dataset):
    def two_in_one(content):
        content["annotations"].append(
            content["annotations"][0] | {"id": 50, "bbox": [100, 100, 90, 50]}
        )
        content["annotations"][1]["iscrowd"] = 1

    path = make_dataset(two_in_one)
    return read_coco(path, name="train", image_folders=[path.parent / "images"])


@pytest.mark.parametrize("margin", [1.0, 1.1, 1.4, 2.0])
@pytest.mark.parametrize("input_hw", [(96, 64), (97, 63), (256, 192), (5, 3)])
def test_stored_size_keeps_the_crop_on_whole_pixels(input_hw, margin):
    spec = CropSpec(input_hw=input_hw, margin=margin)
    for side, stored, offset in zip(input_hw, spec.stored_hw, spec.offset_hw, strict=True):
        assert stored == side + 2 * offset
        assert abs(stored - side * margin) <= 1
    with pytest.raises(ConfigError, match="margin of at least 1"):
        CropSpec(input_hw=input_hw, margin=0.9)


def test_crops_are_those_of_the_images(dataset, tmp_path):
    cache = build_crops(dataset, SPEC, cache_dir=tmp_path, workers=2)
    assert cache.images.shape == (4, *SPEC.stored_hw, 3)
    assert not cache.images.flags.writeable
    assert cache.ids.tolist() == [101, 103, 104, 50]
    assert cache.image_ids.tolist() == [1, 3, 4, 1]
    assert cache.areas.tolist() == [one.area for one in dataset.trainable]
    assert cache.skeleton == dataset.skeleton
    top, left = SPEC.offset_hw
    for row, one in enumerate(dataset.trainable):
        image = read_image(next(i.path for i in dataset.images if i.id == one.image_id))
        centre, scale = box_to_crop(one.box_xyxy, input_hw=(96, 64), padding=1.25)
        affine = crop_affine(centre, scale, input_hw=(96, 64))
        np.testing.assert_allclose(cache.crop_affines[row], affine)
        expected = warp_crop(image, affine, size_hw=(96, 64)).astype(int)
        stored = cache.images[row, top : top + 96, left : left + 64]
        assert np.abs(stored - expected).max() <= 1
        xy = apply_affine(affine, one.keypoints[:, :2]) + np.array([left, top])
        np.testing.assert_allclose(cache.keypoints[row, :, :2], xy, atol=1e-4)
        np.testing.assert_array_equal(cache.keypoints[row, :, 2], one.keypoints[:, 2])


def test_crops_with_aligned_corners_and_the_keys_of_those_without(dataset, tmp_path):
    spec = replace(SPEC, align_corners=True)
    cache = build_crops(dataset, spec, cache_dir=tmp_path)
    plain = build_crops(dataset, SPEC, cache_dir=tmp_path)
    assert open_crops(cache.folder).spec == spec
    assert plain.digest != cache.digest
    # what was written before there was the option is found, and read, still
    assert "align_corners" not in json.loads((plain.folder / "meta.json").read_text())["spec"]
    assert open_crops(plain.folder).spec == SPEC
    for row, one in enumerate(dataset.trainable):
        at = box_to_crop(one.box_xyxy, input_hw=(96, 64), padding=1.25)
        expected = crop_affine(*at, input_hw=(96, 64), align_corners=True)
        np.testing.assert_allclose(cache.crop_affines[row], expected)


def test_each_image_is_decoded_once_and_progress_told(dataset, tmp_path, monkeypatch, caplog):
    read, told = [], []
    monkeypatch.setattr(
        "evopose.data.cutting.read_image", lambda path: read.append(path.name) or read_image(path)
    )
    with caplog.at_level(logging.INFO):
        build_crops(dataset, SPEC, cache_dir=tmp_path, on_progress=lambda *a: told.append(a))
        build_crops(dataset, SPEC, cache_dir=tmp_path)
    assert sorted(read) == ["001.png", "003.png", "004.png"]
    what = "crops of train at 134x90 (0 MB)"
    assert told == [(what, 1, 3), (what, 2, 3), (what, 3, 3)]
    assert f"building {what} in {tmp_path}" in caplog.text


def test_the_key_is_the_content(dataset, tmp_path):
    folder = build_crops(dataset, SPEC, cache_dir=tmp_path).folder
    assert build_crops(replace(dataset, name="other"), SPEC, cache_dir=tmp_path).folder == folder
    moved = tmp_path / "elsewhere/images"
    shutil.copytree(dataset.images[0].path.parent, moved)
    images = tuple(replace(i, path=moved / i.path.name) for i in dataset.images)
    assert build_crops(replace(dataset, images=images), SPEC, cache_dir=tmp_path).folder == folder

    seen = {folder}
    one = dataset.instances[0]
    for changed, spec in (
        (dataset, replace(SPEC, margin=1.2)),
        (dataset, replace(SPEC, padding=1.5)),
        (replace(dataset, instances=(replace(one, area=1.0),)), SPEC),
        (replace(dataset, instances=(replace(one, keypoints=one.keypoints + 1),)), SPEC),
        (replace(dataset, skeleton=replace(dataset.skeleton, flip_pairs=None)), SPEC),
    ):
        seen.add(build_crops(changed, spec, cache_dir=tmp_path).folder)
    assert len(seen) == 6
    os.utime(dataset.images[0].path, (0, 0))
    assert build_crops(dataset, SPEC, cache_dir=tmp_path).folder not in seen


def test_a_cache_travels_as_its_folder(dataset, tmp_path):
    cache = build_crops(dataset, SPEC, cache_dir=tmp_path)
    frozen = pickle.dumps(cache)
    assert len(frozen) < 500
    again = pickle.loads(frozen)
    assert (again.digest, again.spec, again.skeleton) == (cache.digest, SPEC, cache.skeleton)
    np.testing.assert_array_equal(again.images, cache.images)


@pytest.mark.parametrize("damage", ["cut", "changed", "labels", "meta", "no meta"])
def test_damage_is_noticed_and_mended(dataset, tmp_path, damage, caplog):
    cache = build_crops(dataset, SPEC, cache_dir=tmp_path)
    before, folder = cache.images.copy(), cache.folder
    images = folder / "images.u8"
    if damage == "cut":
        os.truncate(images, images.stat().st_size - 1)
    elif damage == "changed":
        content = bytearray(images.read_bytes())
        content[5000] ^= 1
        images.write_bytes(content)
    elif damage == "labels":
        (folder / "samples.npz").write_bytes((folder / "samples.npz").read_bytes()[:-10])
    elif damage == "meta":
        (folder / "meta.json").write_text(json.dumps({"spec": {}}))
    else:
        (folder / "meta.json").unlink()
    with pytest.raises(DataError, match=r"no usable crops in \S+ \(.*delete the folder"):
        open_crops(folder)
    mended = build_crops(dataset, SPEC, cache_dir=tmp_path)
    np.testing.assert_array_equal(mended.images, before)
    assert "is damaged or incomplete and is built again" in caplog.text


def test_images_that_are_not_as_annotated(dataset, tmp_path):
    path = dataset.images[0].path
    cv2.imwrite(str(path), np.zeros((160, 200, 3), np.uint8))
    with pytest.raises(
        DataError,
        match=r"001.png has 200 x 160 pixels \(width x height\), its annotations say 160 x 200, "
        "as if turned by its EXIF orientation",
    ):
        build_crops(dataset, SPEC, cache_dir=tmp_path / "crops")
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"cannot decode image \S+001.png"):
        build_crops(dataset, SPEC, cache_dir=tmp_path / "crops")
    assert not list((tmp_path / "crops").glob("*[!k]"))  # nothing but lock files


def test_too_little_room_is_said_before_anything_is_built(dataset, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=100_000))
    with pytest.raises(
        DataError, match=r"no room for crops of train at 134x90 \(0 MB\) in .*: 0 MB are free"
    ):
        build_crops(dataset, SPEC, cache_dir=tmp_path)


def test_a_disk_that_fills_up_is_an_error_not_a_crash(dataset, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DataError, match=r"cannot write the cache .*make room there or set"):
            build_crops(dataset, SPEC, cache_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(build_crops(dataset, SPEC, cache_dir=tmp_path)) == 4


def test_nobody_to_train_on(dataset, tmp_path):
    with pytest.raises(DataError, match="train has no persons with keypoints to train on"):
        build_crops(replace(dataset, instances=()), SPEC, cache_dir=tmp_path)
