"""A search made up for the reports: real genotypes and sizes, an invented loss."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evopose.evolution.fitness import Fitness
from evopose.evolution.individual import Individual
from evopose.genotype import SPACES, mutate
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan_complexity
from evopose.report.facts import SearchFacts

SPACE = SPACES["small"]
REASONS = (
    "loss is not finite at step 41 of epoch 2; images 17, 204, 9 <b>& more</b>",
    "out of memory: tried 3 times, with micro-batches of 32, 16 and 8",
    "no sign of life for 300 s, ended",
)


def make_search(generations: int = 6, children: int = 16, seed: int = 0) -> list[Individual]:
    """Return a plausible search of four parents, about one child in fifteen failing."""
    rng = np.random.default_rng(seed)
    sizes: dict[object, tuple[int, int]] = {}

    def individual(**fields: object) -> Individual:
        genotype = fields["genotype"]
        if genotype not in sizes:
            size = plan_complexity(
                EvoPose2DConfig(genotype=genotype, input_hw=(96, 64), num_keypoints=17)
            )
            sizes[genotype] = size.num_parameters, size.num_macs
        parameters, macs = sizes[genotype]
        return Individual(
            seed=1, num_parameters=parameters, num_macs=macs, created_at=100.0, **fields
        )

    def trained(one: Individual, parent: Individual | None) -> Individual:
        if one.kind == "mutant" and rng.random() < 1 / 15:
            return replace(one, status="failed", fail_reason=REASONS[int(rng.integers(3))])
        skill = 0.62 - 0.05 * np.log(one.num_parameters / 3e5)
        strides = sum(stage.stride == 2 for stage in one.genotype.stages)
        aim = skill + 0.03 * abs(strides - 3) + rng.normal(0, 0.004)
        loss = aim + 0.12 if parent is None else 0.55 * (parent.loss or 0) + 0.45 * aim
        loss *= 3.0 if one.kind == "mutant" and rng.random() < 0.01 else 1.0
        transfer = {
            "share_inherited": float(np.clip(rng.normal(0.97, 0.03), 0, 1)),
            "preserves_function": bool(rng.random() < 0.6),
            "reasons": [],
        }
        history = [
            {"epoch": e, "train_seconds": 8.0, "val_seconds": 1.5, "val_loss": loss + 0.1 / e}
            for e in (1, 2, 3)
        ]
        result = {"mean_oks": float(1.1 - loss), "best_epoch": 3, "history": history}
        return replace(
            one,
            status="done",
            loss=float(loss),
            error=float(loss),
            fitness=Fitness().score(float(loss), one.size),
            result=result | ({"transfer": transfer} if parent else {}),
            finished_at=130.0,
            seconds=30.0,
        )

    ancestor = individual(kind="ancestor", birth=0, generation=0, genotype=SPACE.ancestor)
    found = [trained(ancestor, None)]
    seen = {SPACE.ancestor}
    for generation in range(1, generations + 1):
        pool = [one for one in found if one.status == "done" and one.kind != "clone"]
        pool = [one for one in pool if one.generation >= generation - 2]
        parents = sorted(pool, key=lambda one: one.fitness)[:4]
        births = sum(one.kind != "clone" for one in found)
        for index in range(children):
            parent = parents[index % len(parents)]
            mutant = mutate(parent.genotype, SPACE, rng=rng, allowed=lambda g: g not in seen)
            seen.add(mutant.genotype)
            child = individual(
                kind="mutant",
                birth=births + index,
                generation=generation,
                genotype=mutant.genotype,
                changes=mutant.changes,
                parent_id=parent.id,
            )
            found.append(trained(child, parent))
        clone = individual(
            kind="clone",
            birth=generation,
            generation=generation,
            genotype=parents[0].genotype,
            parent_id=parents[0].id,
        )
        found.append(trained(clone, parents[0]))
    return found


def make_facts(individuals: list[Individual], **fields: object) -> SearchFacts:
    """Return the facts of a search with settings that need escaping."""
    settings = {
        "data": "photos of <people> & dogs: 6,798 persons to train",
        "input": "96x64",
        "space": f"small ({SPACE.size():.3g} genotypes)",
        "children, parents": "16, 4",
        "epochs": "30 for the ancestor, 3 for a child",
        "device": "CPU, 2 threads, fp32",
        "seed": "0",
        "versions": "evopose 0.1.0, torch 2.13, Python 3.11",
    }
    known = {
        "name": "people-2026-01-31",
        "folder": "runs/people-2026-01-31",
        "individuals": tuple(individuals),
        "state": "finished",
        "stop_reason": "6 generations were asked for",
        "settings": settings,
        "data": "data/my people",
        "seconds": {"training": 2432.0, "validation": 302.0, "the rest": 71.0},
        "wall_seconds": 2805.0,
        "config": {"recipe": "small", "space": {"name": "small"}},
    }
    return SearchFacts(**(known | fields))


@pytest.fixture(scope="session")
def search() -> list[Individual]:
    """Six generations of 16 children, with failures and clones."""
    return make_search()


@pytest.fixture(scope="session")
def facts(search: list[Individual]) -> SearchFacts:
    """The facts of that search."""
    return make_facts(search)


@pytest.fixture(scope="session")
def facts_of() -> Callable[..., SearchFacts]:
    """`make_facts`, for tests that change something."""
    return make_facts
