"""Which genes the search came to like: the share of each value, generation by generation."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from evopose.evolution.individual import Individual
from evopose.genotype import (
    STAGE_GENES,
    GeneValue,
    Genotype,
    NetworkGenes,
    Stage,
    rank,
    spoken,
)
from evopose.report.facts import SearchFacts
from evopose.report.plotting import BEST, FONT, HOVER_LABEL, INK, MUTED, Figure

COLUMNS = 4
"""Genes beside each other in the figure."""

MOST_BINS = 150
"""Generations drawn one by one; more are drawn in groups."""

GeneKey = tuple[int | None, str]
"""(zero-based stage, name); a gene of the whole network has no stage."""


@dataclass(frozen=True, kw_only=True)
class GeneHistory:
    """The values of one gene among the children of each generation; the ancestor is the first."""

    stage: int | None
    """Zero-based; None: a gene of the whole network."""
    gene: str
    generations: tuple[int, ...]
    values: tuple[Any, ...]
    """In their order."""
    shares: tuple[tuple[float, ...], ...]
    """For each value, its share among the children of each generation."""

    @property
    def label(self) -> str:
        """What to call it."""
        name = spoken(self.gene)
        return name if self.stage is None else f"stage {self.stage + 1} {name}"


def genes_of(genotype: Genotype) -> dict[GeneKey, GeneValue | None]:
    """Return the genes of a genotype, those of the whole network last: of the stages all that any
    of them has (None where this one has not), of the network those that it has."""
    names, stages = gene_names(genotype), range(len(genotype.stages))
    of_stages = {(stage, name): genotype.gene(stage, name) for stage in stages for name in names}
    return of_stages | {(None, name): value for name, value in genotype.network.given.items()}


def gene_names(genotype: Genotype) -> tuple[str, ...]:
    """Return the names of the genes that any of the stages has, in their order."""
    return tuple(
        name
        for name in STAGE_GENES
        if any(getattr(stage, name) is not None for stage in genotype.stages)
    )


def gene_text(value: GeneValue | None) -> str:
    """Return a gene's value as text.

    >>> gene_text(3), gene_text("96x64"), gene_text(None)
    ('3', '96x64', 'none')
    """
    return "none" if value is None else str(value)


def gene_histories(facts: SearchFacts) -> tuple[GeneHistory, ...]:
    """Return the history of every gene that has more than one value, by gene and stage.

    All children count, whatever became of them: each is one mutation away from a parent that was
    chosen, so what spreads among children is what was selected.
    """
    counts: dict[GeneKey, dict[int, Counter[Any]]] = defaultdict(lambda: defaultdict(Counter))
    children = [one for one in facts.individuals if one.competes]
    totals = Counter(one.generation for one in children)
    parts: Counter[tuple[int, Any]] = Counter()
    for generation, genotypes in _by_generation(children):
        for place, stages in enumerate(zip_longest(*(g.stages for g in genotypes))):
            for stage, number in Counter(stages).items():
                parts[generation, (place, stage)] += number
        for network, number in Counter(genotype.network for genotype in genotypes).items():
            parts[generation, (None, network)] += number
    for (generation, part), number in parts.items():  # far fewer than individuals times genes
        for key, value in _genes_in(part):
            counts[key][generation][value] += number
    order = {name: place for place, name in enumerate(dict.fromkeys(gene for _, gene in counts))}
    found = [_history(key, found, totals) for key, found in counts.items()]
    varying = [history for history in found if len(history.values) > 1]
    return tuple(sorted(varying, key=lambda h: (h.stage is None, order[h.gene], h.stage or 0)))


def _by_generation(children: Iterable[Individual]) -> Iterator[tuple[int, list[Genotype]]]:
    groups: dict[int, list[Genotype]] = defaultdict(list)
    for one in children:
        groups[one.generation].append(one.genotype)
    yield from groups.items()


def _genes_in(
    part: tuple[int | None, Stage | NetworkGenes | None],
) -> Iterator[tuple[GeneKey, Any]]:
    stage, genes = part
    if genes is not None:  # a genotype of fewer stages has none here
        yield from (((stage, field.name), getattr(genes, field.name)) for field in fields(genes))


def _history(
    key: GeneKey, found: dict[int, Counter[Any]], totals: Counter[int]
) -> GeneHistory:  # fmt: skip
    there = {value for counter in found.values() for value in counter}
    values = sorted(there, key=lambda value: _order(key[1], value))
    generations = sorted(totals)
    shares = tuple(
        tuple(found[g][value] / totals[g] if g in found else 0.0 for g in generations)
        for value in values
    )
    return GeneHistory(
        stage=key[0],
        gene=key[1],
        generations=tuple(generations),
        values=tuple(values),
        shares=shares,
    )


def _order(gene: str, value: GeneValue | None) -> tuple[float, str]:
    """Return what the values of a gene are sorted by: unset ones first, numbers, names."""
    number = None if value is None else rank(gene, value)
    return (-1 if value is None else 0) if number is None else number, str(value)


def genes_figure(histories: tuple[GeneHistory, ...]) -> Figure:
    """Return a small map a gene: generations to the right, values upwards, shares as colour."""
    rows = -(-len(histories) // COLUMNS)
    height = 60 + 128 * rows
    layout: dict[str, Any] = {
        "height": height,
        "autosize": True,
        "font": {"family": FONT, "size": 11, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 40, "r": 10, "t": 26, "b": 34},
        "hoverlabel": HOVER_LABEL,
        "coloraxis": {
            "cmin": 0,
            "cmax": 1,
            "colorscale": [[0, "#f1f5f9"], [1, BEST]],
            "colorbar": {"title": {"text": "share"}, "tickformat": ".0%", "thickness": 12,
                         "outlinewidth": 0, "len": min(1.0, 220 / height), "y": 1,
                         "yanchor": "top"},
        },
        "annotations": [],
    }  # fmt: skip
    data = []
    for place, history in enumerate(histories):
        row, column = divmod(place, COLUMNS)
        number = "" if place == 0 else str(place + 1)
        left, top = column / COLUMNS, 1 - row / rows
        width, tall = 0.82 / COLUMNS, 0.62 / rows
        data.append(_map(history, number))
        plain = {"showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True,
                 "tickfont": {"color": MUTED, "size": 10}}  # fmt: skip
        layout[f"xaxis{number}"] = plain | {
            "domain": [left, left + width], "anchor": f"y{number}", "nticks": 6, "tickformat": "d",
        }  # fmt: skip
        layout[f"yaxis{number}"] = plain | {
            "domain": [top - tall - 0.14 / rows, top - 0.14 / rows], "anchor": f"x{number}",
            "type": "category",
        }  # fmt: skip
        layout["annotations"].append(
            {"text": history.label, "x": left, "y": top - 0.12 / rows, "xref": "paper",
             "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False,
             "font": {"size": 12, "color": INK}}
        )  # fmt: skip
    return {"data": data, "layout": layout}


def _map(history: GeneHistory, number: str) -> dict[str, Any]:
    group = -(-len(history.generations) // MOST_BINS)
    starts = range(0, len(history.generations), group)
    told = f"{history.label} = %{{y}}<br>generation %{{x}}: %{{z:.0%}}"
    return {
        "type": "heatmap",
        "x": [history.generations[start] for start in starts],
        "y": [gene_text(value) for value in history.values],
        "z": [
            [round(sum(shares[s : s + group]) / len(shares[s : s + group]), 4) for s in starts]
            for shares in history.shares
        ],
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "coloraxis": "coloraxis",
        "name": history.label,
        "hovertemplate": f"{told}<extra></extra>",
        "xgap": 1,
        "ygap": 1,
    }
