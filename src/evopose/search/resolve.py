"""What a MODEL argument means: a file, a run's best, one individual of a run, or a name."""

from dataclasses import dataclass
from pathlib import Path

from evopose.errors import ModelError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.selection import best
from evopose.evolution.store import Store
from evopose.models import MODELS, split_name


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a network comes from: a model file with weights, or a name to build."""

    file: Path | None = None
    name: str | None = None
    input_hw: tuple[int, int] | None = None
    """The size in a name's alias, if it has one."""


def resolve_model(model: str) -> ModelSource:
    """Return what `model` means: a model file, a run folder (its best), `RUN:ID`, or a name.

    Raises: ModelError that says what was tried and what there is.
    """
    path = Path(model)
    if path.is_file():
        return ModelSource(file=path)
    if path.is_dir():
        return ModelSource(file=run_blob(path, None))
    folder, colon, number = model.rpartition(":")
    if colon and Path(folder).is_dir():
        return ModelSource(file=run_blob(Path(folder), number))
    if split_name_known(model):
        name, size = split_name(model)
        return ModelSource(name=name, input_hw=size)
    raise ModelError(
        f"{model!r} is no file, no run folder, no RUN:ID and no network's name; there are "
        f"{', '.join(MODELS)}"
    )


def split_name_known(model: str) -> bool:
    """Return whether `model` is a network's name or alias."""
    try:
        split_name(model)
    except ModelError:
        return False
    return True


def run_blob(run: Path, individual_id: str | None) -> Path:
    """Return the weights' file of an individual of a run; of its best for None."""
    with Store.read(run) as store:
        individuals = store.individuals()
    if individual_id is None:
        chosen = best(individuals, 1)
        if not chosen:
            raise ModelError(f"no individual of {run} is trained yet; see `evopose status {run}`")
        one = chosen[0]
    else:
        found = [i for i in individuals if i.id == individual_id]
        if not found:
            raise ModelError(
                f"{run} has no individual {individual_id!r}; `evopose status {run}` lists them"
            )
        one = found[0]
    if one.blob is None:
        raise ModelError(
            f"the weights of individual {one.id} are not kept (its state: {one.status}); kept are "
            "parents, the Pareto set and the best"
        )
    return BlobStore(run / "blobs").path(one.blob)
