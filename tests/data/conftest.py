"""Fixtures of the data tests."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.small_sets import coco_content, write_images


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset of one JSON with its images in images/, after `change(content)`."""

    def make(change: Callable[[dict], object] = lambda content: None, images: int = 4) -> Path:
        content = coco_content(images)
        write_images(tmp_path / "set/images", content)
        change(content)
        path = tmp_path / "set/labels.json"
        path.write_text(json.dumps(content))
        return path

    return make
