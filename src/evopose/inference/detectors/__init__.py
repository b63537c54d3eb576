"""Finding persons: an image in, boxes out. ONNX files of several forms, run by ONNX Runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evopose.data.images import Image
from evopose.errors import DownloadFailed, ModelError
from evopose.inference.boxes import Boxes
from evopose.inference.detectors.network import Network, open_network
from evopose.inference.detectors.rtdetr import RtDetr, open_hugging_face, open_rtdetr
from evopose.inference.detectors.yolox import Yolox, anchor_points, letterbox, open_yolox
from evopose.models.download import OnBytes, fetch

__all__ = [
    "DEFAULT",
    "DETECTORS",
    "FORMS",
    "Detector",
    "Form",
    "PublishedDetector",
    "RtDetr",
    "Yolox",
    "anchor_points",
    "default_detector",
    "letterbox",
    "open_detector",
]

DEFAULT = "yolox-nano"
"""The detector of whoever names none."""


class Detector(Protocol):
    """Finds persons."""

    @property
    def name(self) -> str:
        """What to call it in a report."""

    def __call__(self, image: Image) -> Boxes:
        """Return the persons of an image (H, W, 3), RGB, uint8, best first."""


@dataclass(frozen=True, kw_only=True)
class PublishedDetector:
    """A detector that can be fetched."""

    url: str
    sha256: str
    summary: str


DETECTORS: dict[str, PublishedDetector] = {
    "yolox-nano": PublishedDetector(
        url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
        sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        summary="0.9 M parameters, 25.8 AP of COCO's 80 classes at 416x416; Apache-2.0",
    ),
}
"""Every detector by name."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way in which an ONNX file takes an image and gives boxes."""

    summary: str
    """What goes in and comes out, by which it is known."""
    open: Callable[[Network, str, float], Detector | None]
    """From a network, a name and a threshold to a detector; None for a network of another form.

    Raises: ModelError for one of this form that cannot be used.
    """


FORMS: dict[str, Form] = {
    "YOLOX": Form(
        summary="one image (1, 3, H, W) in; (1, A, 5 + classes) for the A cells of the strides 8, "
        "16 and 32 out",
        open=open_yolox,
    ),
    "RT-DETR or D-FINE of Hugging Face": Form(
        summary="one image (1, 3, H, W) in; logits (1, Q, classes) and pred_boxes (1, Q, 4) out",
        open=open_hugging_face,
    ),
    "RT-DETR or D-FINE of their authors": Form(
        summary="images (1, 3, H, W) and orig_target_sizes (1, 2) in; labels (1, Q), boxes "
        "(1, Q, 4) and scores (1, Q) out",
        open=open_rtdetr,
    ),
}
"""Every form of a detector's file. Persons are class 0 in each, as among COCO's 80."""


def open_detector(
    name: str | Path,
    *,
    threshold: float = 0.3,
    threads: int = 0,
    on_progress: OnBytes | None = None,
) -> Detector:
    """Return the detector of that name, fetched the first time, or of an ONNX file.

    The file is of one of `FORMS`, told apart by names and shapes of what goes in and comes out;
    where it leaves height or width open, images are brought to 640. Boxes below the score
    `threshold` are left out. `threads` 0: as many as ONNX Runtime takes.

    Raises: ModelError for an unknown name, a file that is none or of another form, a failed
    digest; DownloadFailed without a network.
    """
    path = Path(name).expanduser()
    if str(name) in DETECTORS:
        published = DETECTORS[str(name)]
        path = fetch(published.url, sha256_prefix=published.sha256, on_progress=on_progress)
    elif not path.is_file():
        raise ModelError(
            f"{str(name)!r} is neither a detector's name ({', '.join(DETECTORS)}) nor an ONNX file"
        )
    network = open_network(path, threads=threads)
    for form in FORMS.values():
        detector = form.open(network, path.stem if path.suffix else str(name), threshold)
        if detector is not None:
            return detector
    known = "; ".join(f"{label}: {form.summary}" for label, form in FORMS.items())
    raise ModelError(
        f"{path} is no detector of a known form. It has {network.in_words}. Known are {known}"
    )


def default_detector(
    *, threshold: float = 0.3, threads: int = 0, on_progress: OnBytes | None = None
) -> tuple[Detector | None, str]:
    """Return the detector of whoever names none, and how persons are found, to be said.

    None where it is neither on this machine (the cache, or the folder `EVOPOSE_WEIGHTS`) nor to be
    fetched: then the words are the reason, and that each image is taken for one person, whole.

    Raises: ModelError for a file that is damaged, or an `EVOPOSE_WEIGHTS` that is no folder.
    """
    try:
        detector = open_detector(
            DEFAULT, threshold=threshold, threads=threads, on_progress=on_progress
        )
    except DownloadFailed as error:
        return None, (
            f"no persons are looked for, each image is taken for one, whole: {DEFAULT} is not to "
            f"be had ({error})"
        )
    return detector, f"persons are found by {DEFAULT}"
