"""The file that a MODEL argument means."""

from pathlib import Path

from evopose.errors import ModelError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.store import Store
from evopose.models import MODELS, split_name

DEFAULT = "default"
"""The network in the package."""
DEFAULT_FILE = Path(__file__).parent.parent / "weights" / "default.safetensors"


def find_model_file(model: str) -> Path | None:
    """Return the file that `model` names, None for a name to build.

    `default` is the network in the package, unless a file is called so.

    Raises: ModelError if it is no file, run folder, `RUN:ID` or name.
    """
    path = Path(model)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise ModelError(f"cannot look for {model}: {error.strerror}") from error
    if is_file:
        return path
    if model == DEFAULT:
        return DEFAULT_FILE
    if is_folder:
        trained = path / "model.safetensors"
        return trained if trained.is_file() else run_file(path, None)
    folder, colon, individual = model.rpartition(":")
    if colon and Path(folder).is_dir():
        return run_file(Path(folder), individual)
    try:
        split_name(model)
    except ModelError as error:
        raise ModelError(
            f"{model!r} is no file, no run folder, no RUN:ID and no network's name; the names are "
            f"{', '.join((DEFAULT, *MODELS))}"
        ) from error
    return None


def require_model_file(model: str) -> Path:
    """Return the file that `model` names. Raises: ModelError if it is a name, without weights."""
    file = find_model_file(model)
    if file is None:
        raise ModelError(
            f"{model} is a network without weights; give a model file, a run folder or RUN:ID"
        )
    return file


def run_file(run: Path, individual: str | None) -> Path:
    """Return the file with the weights of an individual of a run; of its best for None.

    Raises: RunError if they are missing or damaged, ModelError if they are not kept.
    """
    with Store.read(run) as store:
        if individual is not None:
            one = store.individual(individual)
        elif winner := store.winner():
            one = winner
        else:
            raise ModelError(f"no individual of {run} is trained yet; see evopose status {run}")
    if one.blob is None:
        raise ModelError(
            f"the weights of individual {one.id} are not kept (it is {one.status}); kept are those "
            "of parents, the Pareto set and the best"
        )
    return BlobStore(run / "blobs").file(one.blob)
