"""Runs to compare: real searches in real folders, their trainings a formula."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evolution.toys import measure, search, toy_loss
from evopose.evolution.blobs import BlobStore
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Heartbeat, Job
from evopose.evolution.store import Store
from evopose.genotype import Genotype
from evopose.recipes import SEARCH_RECIPES
from evopose.search.config import SearchConfig
from evopose.search.overrides import override

DATA = "a" * 64
SAMPLES = {"ancestor": 400, "mutant": 100, "clone": 100, "repeat": 100}
"""Samples that a training processes, by kind."""


def train(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """Return a loss that falls with the network's size, luck of the job's own, and the rest."""
    if job["fail"]:
        raise ValueError("the toy fails")
    rng = np.random.default_rng([job["luck"], sum(job["id"].encode())])
    loss = 0.2 + toy_loss(Genotype.from_list(job["genotype"])) + job["worse"] + rng.normal(0, 0.01)
    blob = BlobStore(Path(job["blobs"])).put(f"{job['id']} {job['luck']}".encode())
    told = {"samples": job["samples"]} if job["samples"] is not None else {}
    return told | {"loss": loss, "mean_oks": 1 - loss, "blob": blob, "seconds": 1.0}


def toy_run(
    folder: Path,
    *,
    seed: int = 0,
    worse: float = 0.0,
    data: str = DATA,
    tells: bool = True,
    fails: tuple[str, ...] = (),
    config: SearchConfig | None = None,
    changes: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Make a finished run and return its folder.

    `options` are those of `override`; `changes` go into config.json by dotted path, as a later
    version might write them. `worse` is added to every loss; `fails` are ids; `tells`: whether
    trainings tell their samples.
    """
    config = config or override(
        SEARCH_RECIPES["demo"](), seed=seed, **{"generations": 3, "children": 4} | options
    )

    def job(one: Individual, attempt: int, parent: Individual | None, store: Store) -> Job:
        return {
            "function": "report.toy_runs:train",
            "id": one.id,
            "genotype": one.genotype.to_list(),
            "blobs": str(store.blobs.folder),
            "log": str(store.folder / "logs" / f"{one.id}.jsonl"),
            "luck": seed,
            "worse": worse,
            "fail": one.id in fails,
            "samples": SAMPLES[one.kind] if tells else None,
        }

    meta = {
        "title": f"toys: {config.recipe}",
        "source": "toys",
        "data": data,
        "recipe": config.recipe,
        "device": "cpu, 1 thread",
        "versions": {"evopose": "0.2.0"},
    }
    with Store.create(folder, meta) as store:
        evolution = replace(config.evolution, hours=None)
        search(store, evolution, space=config.space, make_job=job, measure=measure)
    value = json.loads(config.to_json())
    for path, item in (changes or {}).items():
        *parts, name = path.split(".")
        inside = value
        for part in parts:
            inside = inside[part]
        inside[name] = item
    (folder / "config.json").write_text(json.dumps(value))
    return folder
