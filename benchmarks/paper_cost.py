"""Projects what the paper's search would take and cost on machines like this one.

    python benchmarks/paper_cost.py [--machines 1 8 16 64] [--price-per-hour 2.5] [--seconds 10]

Measures how fast the workers of this machine train the ancestor at 256x192 (all of them at once,
as `evopose evolve` measures before a search) and reckons with it: an ancestor of 30 epochs, then
64 children of 5 epochs a generation, each epoch the 149,813 persons of COCO train2017 and the
6,352 of val2017, on which the paper measures fitness. Every child is taken to be as slow as the
ancestor, which children seldom are, and validation to be three times as fast as training.

The paper searches "until J converges" and does not say how many generations that took: the total
is printed for several. A generation ends when its last child has: with 65 machines for 64
children nothing is gained over 64.
"""

import argparse
from dataclasses import replace

from evopose.recipes import SEARCH_RECIPES
from evopose.search.config import SearchConfig
from evopose.search.estimate import Throughput, estimate, measure_throughput
from evopose.search.session import choose_workers
from evopose.training.compute import resolve_compute

PERSONS = {"train": 149_813, "fitness": 6_352, "val": 0}
"""Of COCO 2017, with at least one labelled keypoint."""


def main() -> None:
    """Measure, and print a row for every number of machines and generations."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 8, 16, 64])
    parser.add_argument("--generations", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--price-per-hour", type=float, help="of one machine, in any currency")
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, help="on a machine; default one a CPU, or GPU")
    parser.add_argument("--threads", type=int, help="of a worker")
    args = parser.parse_args()

    config = paper()
    compute = resolve_compute(args.device, precision=config.child_training.precision)
    workers = choose_workers(compute, args.workers, args.threads)
    speed = measure_throughput(config, workers, num_keypoints=17, seconds=args.seconds)
    print(f"a machine: {workers.count} workers, each {workers.describe()}")
    memory = f"{speed.memory_bytes / 1e9:.0f} GB, extrapolated to batch 512"
    print(f"a worker trains {speed.images_per_second:.1f} images/s and needs {memory}")
    child = hours(config, speed, workers=64)[1]
    print(f"a child of {config.child_training.epochs} epochs: {child:.2f} h on a worker\n")
    priced = args.price_per_hour is not None
    print("machines  generations  h/generation  h in all" + ("       price" if priced else ""))
    for machines in args.machines:
        for generations in args.generations:
            ancestor, generation = hours(config, speed, workers=machines * workers.count)
            total = ancestor + generations * generation
            line = f"{machines:8}  {generations:11}  {generation:12.2f}  {total:8.1f}"
            if priced:
                # The ancestor trains alone: the other machines are rented when it is done.
                rented = ancestor + machines * generations * generation
                line += f"  {rented * args.price_per_hour:10,.0f}"
            print(line)


def paper() -> SearchConfig:
    """Return the paper's search, from random weights, which cost the same, and without clones."""
    config = SEARCH_RECIPES["paper"]()
    evolution = replace(config.evolution, clones=False, rescore=0, generations=0, patience=None)
    return replace(config, ancestor_weights=None, evolution=evolution)


def hours(config: SearchConfig, speed: Throughput, *, workers: int) -> tuple[float, float]:
    """Return the hours of the ancestor, on one worker, and of a generation."""
    cost = estimate(config, speed, persons=PERSONS, workers=workers, alone=1)
    assert cost.hours is not None
    return cost.hours, cost.hours_per_generation


if __name__ == "__main__":
    main()
