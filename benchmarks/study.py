"""Does the search help? Four arms from the same ancestors: python benchmarks/study.py DATA

For each seed an ancestor is trained once. From its weights go on, each with the same epochs a
child:

- `exact`: the search with function-preserving inheritance,
- `official`: the same search with the official code's inheritance,
- `random`: the same search with parents drawn by chance,
- `longer`: no search; the ancestor is trained on in one schedule for as many epochs as the whole
  lineage of the winner of `exact`.

All of it is done by `evopose evolve`, a few commands at once, and goes on where it was stopped.
At the end every winner is measured on DATA's validation and test splits. What to do with the runs:
`evopose compare DIR/exact-* DIR/official-* DIR/random-*`.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ARMS: dict[str, list[str]] = {
    "exact": [],
    "official": ["--transfer", "official"],
    "random": ["--parents-by", "random"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--generations", type=int, nargs="+", default=[2, 4, 6])
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--ancestor-epochs", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=2, help="commands at once, a thread each")
    parser.add_argument("--more", nargs="*", default=[], help="options for every search")
    args = parser.parse_args()
    (args.out / "logs").mkdir(parents=True, exist_ok=True)
    study = Study(args)
    with ThreadPoolExecutor(args.at_once) as pool:
        list(pool.map(study.ancestor, args.seeds))
        for generations in args.generations:  # arms side by side: stopped early, they are even
            tasks = [(arm, seed, generations) for seed in args.seeds for arm in ARMS]
            list(pool.map(lambda task: study.search(*task), tasks))
            list(pool.map(study.longer, args.seeds))
            study.summarise(generations)


class Study:
    """The commands of the study."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def ancestor(self, seed: int) -> None:
        run = self.args.out / f"ancestor-{seed}"
        self.evolve(run, seed, 0, ["--ancestor-epochs", str(self.args.ancestor_epochs)])

    def search(self, arm: str, seed: int, generations: int) -> None:
        self.evolve(
            self.args.out / f"{arm}-{seed}",
            seed,
            generations,
            ["--ancestor", self.weights(seed), "--ancestor-epochs", "0", *ARMS[arm]],
        )

    def longer(self, seed: int) -> None:
        depth = len(results(self.args.out / f"exact-{seed}")["lineage"]) - 1
        run = self.args.out / f"longer-{seed}-{depth}"
        epochs = str(max(1, depth) * self.args.epochs)
        rate = ["--learning-rate", "0.0015"]  # a child's
        start = ["--ancestor", self.weights(seed), "--ancestor-epochs", epochs]
        self.evolve(run, seed, 0, [*start, *rate])

    def weights(self, seed: int) -> str:
        run = self.args.out / f"ancestor-{seed}"
        return str((run / "best.safetensors").resolve())

    def evolve(self, run: Path, seed: int, generations: int, options: list[str]) -> None:
        """Run `evopose evolve` to that many generations, or go on to them."""
        args = self.args
        if (run / "results.json").exists():
            found = results(run)
            done = found["state"] == "finished" and len(found["generations"]) > generations
            if done:
                return
        command = [sys.executable, "-m", "evopose", "evolve", args.data, "--run", str(run)]
        command += ["--generations", str(generations), "--workers", "1", "--threads", "1"]
        if (run / "run.sqlite").exists():
            command += ["--resume"]
        else:
            command += ["--recipe", "small", "--seed", str(seed), "--epochs", str(args.epochs)]
            command += ["--children", str(args.children), "--no-clones", "--rescore", "0"]
            command += [*options, *args.more]
        print(" ".join(command[1:]), flush=True)
        with (args.out / "logs" / f"{run.name}.log").open("a") as log:
            subprocess.run(
                command,
                stdout=log,
                stderr=log,
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def summarise(self, generations: int) -> None:
        """Print and write what each arm reached, by seed."""
        rows = []
        for seed in self.args.seeds:
            depth = len(results(self.args.out / f"exact-{seed}")["lineage"]) - 1
            for arm in ("ancestor", "longer", *ARMS):
                name = f"longer-{seed}-{depth}" if arm == "longer" else f"{arm}-{seed}"
                rows.append({"arm": arm, "seed": seed} | reached(self.args.out / name, generations))
        rows = measured(rows, self.args.data, self.args.out)
        (self.args.out / f"study-{generations}.json").write_text(json.dumps(rows, indent=1))
        for row in rows:
            print(json.dumps(row), flush=True)


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def reached(run: Path, generations: int) -> dict[str, Any]:
    """Return the winner's figures and what its search cost: samples x multiply-adds."""
    found = [
        one
        for one in results(run)["individuals"]
        if one["status"] == "done" and one["generation"] <= generations
    ]
    best = min(found, key=lambda one: one["fitness"])
    cost = sum(sum(h["samples"] for h in one["history"]) * one["num_macs"] for one in found)
    return {
        "run": run.name,
        "winner": best["id"],
        "J": best["fitness"],
        "loss": best["loss"],
        "oks": best["mean_oks"],
        "parameters": best["num_parameters"],
        "macs": best["num_macs"],
        "samples_x_macs": cost,
    }


def measured(rows: list[dict[str, Any]], data: str, out: Path) -> list[dict[str, Any]]:
    """Return the rows with each winner's mean OKS on the validation and test splits."""
    from evopose.data.layouts import open_dataset
    from evopose.search.winner import look
    from evopose.training.compute import resolve_compute
    from evopose.training.session import cut_crops

    splits = open_dataset(data)
    compute = resolve_compute("cpu", threads=1)
    for name in ("val", "test"):
        if name in splits.found:
            crops = cut_crops(splits.named(name), (96, 64), margin=1.4)
            for row in rows:
                view = look(out / row["run"] / "best.safetensors", crops, compute)
                row[f"{name}_oks"] = view.mean_oks
    return rows


if __name__ == "__main__":
    main()
