"""What limits a comparison: seeds, machines, and all that is not counted."""

from collections import defaultdict
from collections.abc import Iterator

from evopose.report.comparing_configs import arm_settings, differing, label_of, seed_of
from evopose.report.comparing_facts import Arm, Comparison, Seed
from evopose.report.comparing_statistics import FEWEST
from evopose.report.comparing_tables import cost_text, seed_text
from evopose.report.text import plural

METHOD = (
    "Cost is training samples processed times the multiply-adds of one forward pass of the network "
    "trained, added up in the order of finishing. The backward pass costs about twice the forward "
    "one: a constant factor, left out for all alike. So are validation and start-up. What trained "
    "the weights that an ancestor began with is not counted.",
    "The best so far is the lowest J (or loss, or the highest OKS) that an individual got when it "
    "was trained in the search, luck included; what its repeats with other seeds got is left out "
    "here. Curves are averaged over the runs of an arm as far as all of them reached. "
    "Bands and brackets are 95 % percentile bootstrap intervals over runs: 10,000 resamples, "
    "drawn with a fixed seed.",
    "Of few runs such an interval is too narrow: of three it is never wider than from the lowest "
    "to the highest. So a difference whose interval leaves zero out is also held against chance, "
    "by turning the signs of the pairs, or dealing the runs out to both arms, in all ways.",
)
"""How it is done, a paragraph each."""


def caveats(comparison: Comparison) -> list[str]:
    """Return what to keep in mind, a sentence each, the weightiest first."""
    return [
        *_seeds(comparison),
        *_starts(comparison),
        *_grouping(comparison),
        *_unfinished(comparison),
        *_uncounted(comparison),
        *_machines(comparison),
    ]


def _seeds(comparison: Comparison) -> Iterator[str]:
    sizes = {len(arm.used) for arm in comparison.compared}
    few = min(sizes, default=0)
    if 0 < few < FEWEST:
        yield (
            f"An arm has {plural(few, 'run')}. Of fewer than {FEWEST} no interval is given: a "
            "difference may be luck."
        )
    elif few:
        yield (
            f"Arms have {' to '.join(map(str, sorted({min(sizes), max(sizes)})))} runs each; "
            "what is said holds for this data and these settings."
        )
    judged = sum(pair.chance is not None for pair in comparison.pairs)
    if judged >= 3:
        yield (
            f"{judged} pairs are compared: of twenty pairs that do not differ, one "
            "looks as if it did."
        )
    for arm in comparison.arms:
        by_seed: dict[str, list[str]] = defaultdict(list)
        for run in arm.runs:
            by_seed[seed_text(run)].append(run.name)
        for seed, names in by_seed.items():
            if len(names) > 1:
                yield (
                    f"{', '.join(names)} of {arm.name} have the same seed ({seed}): they are not "
                    "independent, and the interval is too narrow."
                )


def _starts(comparison: Comparison) -> Iterator[str]:
    """Yield what to say where runs of one seed did not begin alike."""
    begun: dict[Seed, set[float]] = defaultdict(set)
    for run in comparison.runs:
        if (ancestor := run.trace.ancestor) is not None:
            begun[seed_of(run.settings)].add(round(ancestor, 6))
    apart = [str(seed[0]) for seed, values in begun.items() if len(values) > 1]
    if apart:
        yield (
            f"Runs of the same seed began with ancestors of different {comparison.measure.name} "
            f"(seed {', '.join(apart)}): a part of what sets arms apart is their ancestors. One "
            "file of weights for all arms of a seed (evolve --ancestor FILE) would rule that out."
        )


def _grouping(comparison: Comparison) -> Iterator[str]:
    for arm in comparison.arms:
        apart = _apart(arm)
        if apart:
            yield f"Within {arm.name} the runs differ in {', '.join(apart)}."
    if any(len(set(_weights(arm))) > 1 for arm in comparison.arms):
        yield (
            "Within an arm the ancestors began with different files of weights: each seed is "
            "taken to have an ancestor of its own."
        )


def _apart(arm: Arm) -> list[str]:
    """Return the settings in which the runs of an arm differ, beside seeds, ends and weights."""
    return [label_of(path) for path in differing([arm_settings(r.settings) for r in arm.runs])]


def _weights(arm: Arm) -> list[str]:
    return [str(run.settings.get("ancestor_weights")) for run in arm.runs]


def _unfinished(comparison: Comparison) -> Iterator[str]:
    idle = [run.name for run in comparison.runs if run.trace.curve is None]
    if idle:
        yield f"Left out, as nothing has finished there: {', '.join(idle)}."
    going = [run.name for run in comparison.runs if run.state == "running"]
    if going:
        yield f"Still going on, and compared as far as they are: {', '.join(going)}."


def _uncounted(comparison: Comparison) -> Iterator[str]:
    runs = comparison.runs
    failed = sum(run.trace.failed for run in runs)
    if failed:
        yield (
            f"{plural(failed, 'individual')} failed: what was spent on failures is not known, and "
            "not counted."
        )
    if uncounted := sum(run.trace.uncounted for run in runs):
        yield (
            f"Samples are not told by {plural(uncounted, 'finished individual')}, made by an older "
            "version: they count as free, and costs are too low."
        )
    if unmeasured := sum(run.trace.unmeasured for run in runs):
        yield (
            f"{comparison.measure.name} is not told by {plural(unmeasured, 'individual')} that "
            "finished: they cost, and cannot be the best."
        )
    if controls := sum(run.trace.control_cost for run in runs):
        how = "counted among" if comparison.count_controls else "not counted in"
        yield (
            f"Controls (clones, repeats) cost {cost_text(controls)} multiply-adds in all, {how} "
            "the cost of the search."
        )


def _machines(comparison: Comparison) -> Iterator[str]:
    made = {run.made_by for run in comparison.runs}
    if len(made) > 1:
        yield (
            "The runs were made on different devices or by different versions, which alone may "
            f"move results: {' | '.join(sorted(text or 'unknown' for text in made))}."
        )
    elif text := next(iter(made), ""):
        yield f"All runs were made on one kind of machine: {text}."
