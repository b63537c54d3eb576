"""Datasets, crops and batches."""

from evopose.data.augment import Augmentation
from evopose.data.coco import read_coco
from evopose.data.crops import CropCache, CropSpec, open_crops
from evopose.data.cutting import build_crops
from evopose.data.home import Progress
from evopose.data.images import FILL_RGB, read_image, warp_crop
from evopose.data.layouts import DATASETS, Splits, open_dataset
from evopose.data.loader import Batch, batches
from evopose.data.photos import read_photo
from evopose.data.splits import dataset_digest, fitness_split, split_by_image

__all__ = [
    "DATASETS",
    "FILL_RGB",
    "Augmentation",
    "Batch",
    "CropCache",
    "CropSpec",
    "Progress",
    "Splits",
    "batches",
    "build_crops",
    "dataset_digest",
    "fitness_split",
    "open_crops",
    "open_dataset",
    "read_coco",
    "read_image",
    "read_photo",
    "split_by_image",
    "warp_crop",
]
