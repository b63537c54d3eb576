"""Weights that others published: where they lie, what they reach, and how one becomes a model file.

Source: mmpose's tables of its `td-hm` and `mspn` configurations (AP and AR on COCO val2017, with
the detector of 56.4 AP); the addresses in torchvision 0.28 and timm 1.0. Not here: what is
published behind a form or by a folder (the authors' of SimpleBaseline, HRNet, CPN and PoseFix):
fetch such a file, and `evopose import` it.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from evopose.errors import ModelError
from evopose.home import cache_home, locked
from evopose.models.download import OnBytes, digest_in_name, fetch
from evopose.version import VERSION

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PublicWeights:
    """One file of public weights."""

    model: str
    """A name in `MODELS`."""
    input_hw: tuple[int, int] | None
    """The input size they were trained at; None: a trunk's, for any."""
    weights: str
    """What they were trained on: `coco` (whole networks), with the codecs of DARK and UDP
    `coco-dark` and `coco-udp`; or `imagenet` (trunks to train)."""
    url: str
    ap: float | None = None
    """AP on COCO val2017, percent, as published with the file."""
    ar: float | None = None

    @property
    def sha256_prefix(self) -> str | None:
        """The beginning of the file's SHA-256, which its name holds."""
        return digest_in_name(self.url)


_MMPOSE = "https://download.openmmlab.com/mmpose/"
_TOP_DOWN = _MMPOSE + "v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_"
_MSPN = _MMPOSE + "top_down/mspn/"
_TORCHVISION = "https://download.pytorch.org/models/"
_TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights/"


def _coco(
    model: str, input_hw: tuple[int, int], ap: float, ar: float, url: str, weights: str = "coco"
) -> PublicWeights:
    return PublicWeights(model=model, input_hw=input_hw, weights=weights, ap=ap, ar=ar, url=url)


def _imagenet(model: str, url: str) -> PublicWeights:
    return PublicWeights(model=model, input_hw=None, weights="imagenet", url=url)


PUBLIC_WEIGHTS: tuple[PublicWeights, ...] = (
    _coco("simple-baseline-r50", (256, 192), 71.8, 77.4,
          _TOP_DOWN + "res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth"),
    _coco("simple-baseline-r50", (384, 288), 73.1, 78.2,
          _TOP_DOWN + "res50_8xb64-210e_coco-384x288-7b8db90e_20220923.pth"),
    _coco("simple-baseline-r101", (256, 192), 72.8, 78.3,
          _TOP_DOWN + "res101_8xb64-210e_coco-256x192-065d3625_20220926.pth"),
    _coco("simple-baseline-r152", (256, 192), 73.6, 79.1,
          _TOP_DOWN + "res152_8xb32-210e_coco-256x192-0345f330_20220928.pth"),
    _coco("simple-baseline-r152", (384, 288), 75.0, 80.0,
          _TOP_DOWN + "res152_8xb32-210e_coco-384x288-7fbb906f_20220927.pth"),
    _coco("hrnet-w32", (256, 192), 74.6, 79.9,
          _TOP_DOWN + "hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth"),
    _coco("hrnet-w32", (384, 288), 76.0, 81.0,
          _TOP_DOWN + "hrnet-w32_8xb64-210e_coco-384x288-ca5956af_20220909.pth"),
    _coco("hrnet-w48", (256, 192), 75.6, 80.6,
          _TOP_DOWN + "hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth"),
    _coco("hrnet-w48", (384, 288), 76.7, 81.6,
          _TOP_DOWN + "hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth"),
    _coco("mspn-1x", (256, 192), 72.3, 78.8, _MSPN + "mspn50_coco_256x192-8fbfb5d0_20201123.pth"),
    _coco("mspn-2x", (256, 192), 75.4, 81.6, _MSPN + "2xmspn50_coco_256x192-c8765a5c_20201123.pth"),
    _coco("mspn-3x", (256, 192), 75.8, 82.1, _MSPN + "3xmspn50_coco_256x192-e348f18e_20201123.pth"),
    _coco("mspn-4x", (256, 192), 76.5, 82.6, _MSPN + "4xmspn50_coco_256x192-7b837afb_20201123.pth"),
    _coco("simple-baseline-r50", (256, 192), 72.4, 77.7,
          _TOP_DOWN + "res50_dark-8xb64-210e_coco-256x192-c129dcb6_20220926.pth", "coco-dark"),
    _coco("simple-baseline-r50", (384, 288), 73.5, 78.6,
          _TOP_DOWN + "res50_dark-8xb64-210e_coco-384x288-8b90b538_20220926.pth", "coco-dark"),
    _coco("simple-baseline-r101", (256, 192), 73.3, 78.6,
          _TOP_DOWN + "res101_dark-8xb64-210e_coco-256x192-528ec248_20220926.pth", "coco-dark"),
    _coco("simple-baseline-r101", (384, 288), 74.9, 79.9,
          _TOP_DOWN + "res101_dark-8xb64-210e_coco-384x288-487d40a4_20220926.pth", "coco-dark"),
    _coco("simple-baseline-r152", (256, 192), 74.3, 79.6,
          _TOP_DOWN + "res152_dark-8xb32-210e_coco-256x192-f754df5f_20221031.pth", "coco-dark"),
    _coco("simple-baseline-r152", (384, 288), 75.7, 80.5,
          _TOP_DOWN + "res152_dark-8xb32-210e_coco-384x288-329f8454_20221031.pth", "coco-dark"),
    _coco("hrnet-w32", (256, 192), 75.7, 80.7,
          _TOP_DOWN + "hrnet-w32_dark-8xb64-210e_coco-256x192-0e00bf12_20220914.pth", "coco-dark"),
    _coco("hrnet-w32", (384, 288), 76.6, 81.5,
          _TOP_DOWN + "hrnet-w32_dark-8xb64-210e_coco-384x288-9bab4c9b_20220917.pth", "coco-dark"),
    _coco("hrnet-w48", (256, 192), 76.4, 81.4,
          _TOP_DOWN + "hrnet-w48_dark-8xb32-210e_coco-256x192-e1ebdd6f_20220913.pth", "coco-dark"),
    _coco("hrnet-w48", (384, 288), 77.2, 82.1,
          _TOP_DOWN + "hrnet-w48_dark-8xb32-210e_coco-384x288-39c3c381_20220916.pth", "coco-dark"),
    _coco("hrnet-w32", (256, 192), 76.2, 81.0,
          _TOP_DOWN + "hrnet-w32_udp-8xb64-210e_coco-256x192-73ede547_20220914.pth", "coco-udp"),
    _coco("hrnet-w32", (384, 288), 76.8, 81.5,
          _TOP_DOWN + "hrnet-w32_udp-8xb64-210e_coco-384x288-9a3f7c85_20220914.pth", "coco-udp"),
    _coco("hrnet-w48", (256, 192), 76.8, 81.7,
          _TOP_DOWN + "hrnet-w48_udp-8xb32-210e_coco-256x192-3feaef8f_20220913.pth", "coco-udp"),
    _coco("hrnet-w48", (384, 288), 77.3, 82.1,
          _TOP_DOWN + "hrnet-w48_udp-8xb32-210e_coco-384x288-70d7ab01_20220913.pth", "coco-udp"),
    _imagenet("efficientnet-b0", _TIMM + "tf_efficientnet_b0-0af12548.pth"),
    _imagenet("simple-baseline-r50", _TORCHVISION + "resnet50-0676ba61.pth"),
    _imagenet("simple-baseline-r101", _TORCHVISION + "resnet101-63fe2227.pth"),
    _imagenet("simple-baseline-r152", _TORCHVISION + "resnet152-394f9c45.pth"),
)  # fmt: skip
"""Every file of public weights that a name stands for."""

COCO_WEIGHTS = ("coco", "coco-dark", "coco-udp")
"""Whole networks, ready to use, among `PublicWeights.weights`."""


def public_weights(
    model: str, input_hw: tuple[int, int], *, weights: str = "coco"
) -> PublicWeights:
    """Return the public weights of a network (a name in `MODELS`) at an input size.

    Raises: ModelError if there are none, saying what there is for that network.
    """
    own = [one for one in PUBLIC_WEIGHTS if one.model == model]
    for one in own:
        if one.weights == weights and one.input_hw in (None, tuple(input_hw)):
            return one
    wanted = f"{model} at {_spoken(input_hw)}"
    if not own:
        names = ", ".join(dict.fromkeys(one.model for one in PUBLIC_WEIGHTS))
        raise ModelError(
            f"there are no public weights of {wanted} that evopose knows of; there are of {names}. "
            "A file of weights that you have is made a model file by `evopose import`"
        )
    there = ", ".join(f"{one.weights} ({_spoken(one.input_hw)})" for one in own)
    raise ModelError(f"there are no weights {weights!r} of {wanted}; there are {there}")


def load_public(
    model: str,
    input_hw: tuple[int, int],
    *,
    weights: str = "coco",
    on_progress: OnBytes | None = None,
) -> Path:
    """Return the model file of public weights, fetched and imported the first time.

    It lies in `weights/` of the cache home, named by the file's digest and by what imported it, so
    that another version of evopose imports anew.

    Raises: ModelError where there are none or the file is another; DownloadFailed.
    """
    from evopose.models.importers import import_weights
    from evopose.models.modelfile import save_model

    public = public_weights(model, input_hw, weights=weights)
    key = hashlib.sha256(f"{public.url} {input_hw} {VERSION}".encode()).hexdigest()[:8]
    name = f"{model}-{_spoken(input_hw)}-{weights}-{public.sha256_prefix}-{key}.safetensors"
    target = cache_home() / "weights" / name
    if target.is_file():
        return target
    file = fetch(public.url, on_progress=on_progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f"{name}.lock")):
        if not target.is_file():
            made = import_weights(
                file,
                input_hw=input_hw,
                provenance={"url": public.url, "weights": weights, "published_ap": public.ap},
            )
            log.info("imported %s: %s", file.name, made.imported.report.summary())
            save_model(target, made.imported.net, made.card)
    return target


def _spoken(input_hw: tuple[int, int] | None) -> str:
    return f"{input_hw[0]}x{input_hw[1]}" if input_hw else "any size"
