"""What children are before their first step: python benchmarks/step0.py DATA RUN

For every one-gene neighbour of the ancestor of RUN (a search whose weights of individual 0 are
kept) the loss and the mean OKS on the fitness persons right after inheritance, under both transfer
rules, by kind of mutation. Nothing is trained.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

from evopose.data.layouts import open_dataset
from evopose.genotype import neighbours
from evopose.models.evopose2d import build_evopose2d
from evopose.models.inputs import InputSpec
from evopose.models.modelfile import load_model
from evopose.search.child import inherit, measure
from evopose.search.folder import read_config
from evopose.search.network import run_file
from evopose.search.session import prepare_data
from evopose.training.compute import prepare, resolve_compute
from evopose.training.session import codec_spec, make_encoder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, help="a JSON file with a row a child")
    args = parser.parse_args()
    config = read_config(args.run)
    data = prepare_data(open_dataset(args.data, only=("train", "val")), config)
    source, training = str(run_file(args.run, "0")), config.child_training
    compute = resolve_compute("cpu", threads=1)
    prepare(compute)
    encoder = make_encoder(load_model(source).net, codec_spec(training), InputSpec())
    parent = measure(load_model(source).net, data.fitness, encoder, compute, training)
    print(f"ancestor: loss {parent.loss:.4f}, mean OKS {parent.mean_oks:.4f}", flush=True)
    rows = []
    for rule in ("exact", "official"):
        ruled = replace(config, transfer=rule)
        for mutant in neighbours(config.ancestor, config.space):
            (change,) = mutant.changes
            options = config.evopose2d(mutant.genotype, num_keypoints=len(data.skeleton))
            net = build_evopose2d(options, seed=config.evolution.training_seed)
            encoder = make_encoder(net, codec_spec(training), InputSpec())
            report = inherit(net, source, ruled, data.train, encoder, compute, training)
            found = measure(net, data.fitness, encoder, compute, training)
            kind = f"{change.gene} {'up' if change.after > change.before else 'down'}"
            rows.append(
                {
                    "rule": rule,
                    "kind": kind,
                    "change": str(change),
                    "share": report.share_inherited,
                    "loss": found.loss,
                    "oks": found.mean_oks,
                }
            )
    tell(rows, parent.loss, parent.mean_oks)
    if args.out:
        args.out.write_text(json.dumps({"loss": parent.loss, "oks": parent.mean_oks, "rows": rows}))


def tell(rows: list[dict], loss: float, oks: float) -> None:
    """Print a row a kind and rule: the loss over the parent's, median and worst; mean OKS lost."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["rule"]].append(row)
    print(f"{'mutation':16}{'rule':10}{'n':>4}{'median':>10}{'worst':>10}{'OKS':>9}{'share':>8}")
    for (kind, rule), found in sorted(groups.items()):
        over = [row["loss"] - loss for row in found]
        print(
            f"{kind:16}{rule:10}{len(found):4}{median(over):+10.4f}{max(over):+10.4f}"
            f"{fmean(row['oks'] for row in found) - oks:+9.4f}"
            f"{fmean(row['share'] for row in found):8.1%}"
        )


if __name__ == "__main__":
    main()
