"""A model file in the form that the fast runtimes read: exported once, and kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from evopose.data.home import build_once
from evopose.home import cache_home
from evopose.version import VERSION

FILE = "model.onnx"


def exported_once(path: Path, *, on_export: Callable[[], None] = lambda: None) -> Path:
    """Return the ONNX file of a model file, exported into the cache unless it is there.

    `on_export` is called before it is made, which loads PyTorch and takes seconds.

    Raises: ModelError as `export_model`; DataError if the cache cannot be written.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    folder = cache_home() / "exported" / f"{digest}-{VERSION}"

    def build(empty: Path) -> None:
        from evopose.export import export_model
        from evopose.models.modelfile import load_model

        on_export()
        export_model(load_model(path), empty / FILE, "onnx")

    return build_once(folder, build, usable=lambda made: (made / FILE).is_file()) / FILE
