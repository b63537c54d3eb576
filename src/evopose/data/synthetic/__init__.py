"""Synthetic people, drawn by seed, with true keypoints: figures, scenes, datasets."""

from evopose.data.synthetic.coco import (
    split_of,
    synthetic_dataset,
    write_synthetic,
)
from evopose.data.synthetic.config import SceneConfig
from evopose.data.synthetic.scene import Person, Scene, draw_scene

__all__ = [
    "Person",
    "Scene",
    "SceneConfig",
    "draw_scene",
    "split_of",
    "synthetic_dataset",
    "write_synthetic",
]
