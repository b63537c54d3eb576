"""Numbers that a change must not move unless it means to: `make goldens` writes them anew."""

import numpy as np

from evopose.data.augment import Augmentation
from evopose.genotype import SPACES, mutate
from goldens import check_golden, check_golden_numbers
from tiny_runs import as_before
from training.toys import make_config, make_net, make_toy


def test_golden_losses_of_a_short_training(tmp_path) -> None:
    """Six steps and two validations of each loss; machines round differently, by far less."""
    toy, found = make_toy(tmp_path), {}
    for loss in ("softmax", "mse"):
        config = make_config(
            loss=loss, epochs=2, learning_rate=1e-2, augmentation=Augmentation(colour=0.2)
        )
        events: list[dict] = []
        with as_before():
            toy.fit(make_net(), config, on_progress=events.append)
        for name, key in (("steps", "loss"), ("validation", "val_loss")):
            found[f"{loss} {name}"] = [float(f"{e[key]:.6g}") for e in events if key in e]
    check_golden_numbers("short_training.json", found, rel=1e-3)


def test_golden_children_of_seed_0() -> None:
    """A line a child: what changed, and the genotype; ten of the ancestor of each space."""
    lines = []
    for space in SPACES.values():
        rng = np.random.default_rng(0)
        for _ in range(10):
            child = mutate(space.ancestor, space, rng=rng)
            changes = ", ".join(map(str, child.changes))
            lines.append(f"{space.name}: {changes}: {child.genotype.to_json()}")
    check_golden("first_children.txt", "\n".join(lines))
