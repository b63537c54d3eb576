"""How busy N slots are: generations with a barrier, without one, and without but repeatable.

    python benchmarks/utilisation.py [--slots 4 16 64] [--cv 0.3] [--generations 6]

Runs whole searches over children that take log-normal times, in virtual time: the engine, the
store and the proposals are the real ones, only the trainings are not. Utilisation is the share of
slot-seconds spent in trainings between the moment at which every slot has had its first child
and the last proposal. The official code waits after every round of as many children as it has
accelerators: that is `rounds`, generations of as many children as there are slots.
Also prints the coordinator's own CPU time a child, and what share that is of the 10 s of a slot
that a child takes. Exits 1 if the asynchronous mode is below 95 %, or that share above 1 %.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evopose.evolution.config import EvolutionConfig
from evopose.evolution.engine import run_search
from evopose.evolution.executors import SimulatedExecutor
from evopose.evolution.fitness import Size
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Heartbeat, Job
from evopose.evolution.store import Store
from evopose.genotype import SPACES, Genotype
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan_complexity

SPACE = SPACES["paper"]
MEAN_SECONDS = 10.0
CHILDREN = 64


def measure(genotype: Genotype) -> Size:
    """The size of the network at 256x192, as a search asks for it."""
    found = plan_complexity(
        EvoPose2DConfig(genotype=genotype, input_hw=(256, 192), num_keypoints=17)
    )
    return Size(num_parameters=found.num_parameters, num_macs=found.num_macs)


def train(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """Return a loss that is nobody's, smaller for larger networks."""
    return {"loss": 1.0 + job["noise"], "seconds": job["seconds"]}


def jobs(cv: float, seed: int) -> Callable[..., Job]:
    """Return what makes jobs of log-normal times of this coefficient of variation."""
    sigma = np.sqrt(np.log(1 + cv**2))

    def make(one: Individual, attempt: int, parent: Individual | None, store: Store) -> Job:
        rng = np.random.default_rng([seed, one.birth, one.kind == "clone"])
        seconds = MEAN_SECONDS * rng.lognormal(-(sigma**2) / 2, sigma)
        return {
            "function": f"{Path(__file__).stem}:train",
            "seconds": float(seconds),
            "noise": float(rng.random()),
        }

    return make


def utilisation(store: Store, slots: int) -> float:
    """Return the share of slot-seconds in trainings from the first fill to the last proposal."""
    attempts = [a for a in store.attempts() if a.individual_id != "0"]
    firsts: dict[int, float] = {}
    for attempt in attempts:
        firsts.setdefault(attempt.slot, attempt.started_at)
    since = max(firsts.values())
    until = max(one.created_at for one in store.individuals(kind="mutant"))
    busy = sum(
        max(0.0, min(a.ended_at, until) - max(a.started_at, since))
        for a in attempts
        if a.ended_at is not None
    )
    return busy / (slots * (until - since))


def run(slots: int, config: EvolutionConfig, cv: float, seed: int) -> tuple[float, float, int]:
    """Return the utilisation of a search, the coordinator's own seconds, and its trainings."""
    executor = SimulatedExecutor(slots=slots, seconds=lambda job: float(job["seconds"]))
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.create(Path(folder) / "run", {}, clock=executor.clock) as store,
    ):
        begun = time.process_time()
        run_search(
            store, SPACE, config, measure=measure, make_job=jobs(cv, seed), executor=executor
        )
        own = time.process_time() - begun
        return utilisation(store, slots), own, sum(store.counts().values())


def main() -> None:
    """Print a table of modes and slots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slots", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--cv", type=float, default=0.3, help="spread of the children's times")
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))  # jobs name a function of this file
    base = EvolutionConfig(children=CHILDREN, parents=4, generations=args.generations)
    worst, cost = 1.0, 0.0
    print(f"{CHILDREN} children a generation, {args.generations} generations, CV {args.cv}")
    for slots in args.slots:
        modes = {
            "rounds": {
                "children": slots,
                "clones": False,
                "generations": args.generations * CHILDREN // slots,
            },
            "generations": {},
            "async": {"mode": "async"},
            **{
                f"async, W = {k} x slots": {"mode": "async", "window": k * slots} for k in (1, 2, 4)
            },
        }
        for name, options in modes.items():
            found = [
                run(slots, EvolutionConfig(**{**vars(base), **options}), args.cv, seed)
                for seed in range(args.seeds)
            ]
            shares = [share for share, _, _ in found]
            each = sum(own for _, own, _ in found) / sum(count for _, _, count in found)
            own = each / MEAN_SECONDS
            print(
                f"{slots:4} slots  {name:22} {np.mean(shares):6.1%} busy "
                f"({min(shares):.1%} to {max(shares):.1%})   coordinator: {1000 * each:.1f} ms a "
                f"child, {own:.2%} of its slot's time, {own * slots:.1%} of one core",
                flush=True,
            )
            if name == "async":
                worst, cost = min(worst, min(shares)), own
    print(f"async: at worst {worst:.1%} (wanted 95 %); coordinator {cost:.2%} (wanted 1 %)")
    sys.exit(worst < 0.95 or cost > 0.01)


if __name__ == "__main__":
    main()
