"""The network that a MODEL argument means, for a skeleton: loaded, or built anew."""

from pathlib import Path

from evopose.errors import ConfigError, ModelError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.store import Store
from evopose.genotype import Genotype
from evopose.models import MODELS, build_model, split_name
from evopose.models.architectures import like
from evopose.models.card import ModelCard
from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import require_fit
from evopose.models.modelfile import load_model
from evopose.models.network import PoseNetwork
from evopose.skeleton import Skeleton


def load_or_build(
    model: str,
    skeleton: Skeleton,
    *,
    genotype: str | None = None,
    input_hw: tuple[int, int] | None = None,
    fresh: bool = False,
    seed: int = 0,
) -> tuple[PoseNetwork, ModelCard | None, str]:
    """Return the network, the card of the file with its weights, and where it comes from, in words.

    `model` is a model file, the folder of a run (its best) or of a training, `RUN:ID`, or a name;
    the size and the genotype may be given for a name only. `fresh` draws the weights of a file
    anew.

    Raises: ModelError if `model` is none of these, or its keypoints are not the skeleton's;
    ConfigError for an input size that the strides do not divide.
    """
    file = find_model_file(model)
    if file is None:
        built = build_model(
            model,
            input_hw=input_hw,
            num_keypoints=len(skeleton),
            genotype=Genotype.from_json(genotype) if genotype else None,
            seed=seed,
        )
        if isinstance(built, EvoPose2D):
            require_fit(built.config)
        return built, None, f"{model}, random weights"
    if genotype or input_hw:
        raise ConfigError(f"{model} has its own genotype and input size; give them for names only")
    net, card = load_model(file)
    if card.skeleton.keypoints != skeleton.keypoints:
        raise ModelError(
            f"{model} knows the keypoints {', '.join(card.skeleton.keypoints)}; the data has "
            f"{', '.join(skeleton.keypoints)}"
        )
    if fresh:
        return like(net, seed=seed), None, f"{model}, random weights"
    return net, card, f"{model}, with its weights"


def find_model_file(model: str) -> Path | None:
    """Return the file that `model` names, None for a name to build.

    Raises: ModelError if it is no file, run folder, `RUN:ID` or name.
    """
    path = Path(model)
    if path.is_file():
        return path
    if path.is_dir():
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
            f"{', '.join(MODELS)}"
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
    """Return the file with the weights of an individual of a run; of its best for None."""
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
    return BlobStore(run / "blobs").path(one.blob)
