"""Which genes the search came to like: the share of each value, generation by generation."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from evopose.evolution.individual import Individual
from evopose.genotype import Genotype
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
        return self.gene if self.stage is None else f"stage {self.stage + 1} {self.gene}"


_NETWORK_GENES = tuple(field.name for field in fields(Genotype) if field.name != "stages")


def genes_of(genotype: Genotype) -> dict[GeneKey, Any]:
    """Return all genes of a genotype, those of the whole network last."""
    stages = {
        (index, field.name): getattr(stage, field.name)
        for index, stage in enumerate(genotype.stages)
        for field in fields(stage)
    }
    return stages | {(None, name): getattr(genotype, name) for name in _NETWORK_GENES}


def gene_names(genotype: Genotype) -> tuple[str, ...]:
    """Return the names of the genes of a stage, in their order."""
    return tuple(field.name for field in fields(genotype.stages[0]))


def gene_text(value: Any) -> str:
    """Return a gene's value as text: a size is its two sides.

    >>> gene_text(3), gene_text((96, 64)), gene_text(None)
    ('3', '96x64', 'none')
    """
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
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
        for names_and_values, number in Counter(map(_network_genes, genotypes)).items():
            parts[generation, (None, names_and_values)] += number
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


def _network_genes(genotype: Genotype) -> tuple[tuple[str, Any], ...]:
    return tuple((name, getattr(genotype, name)) for name in _NETWORK_GENES)


def _genes_in(part: tuple[int | None, Any]) -> Iterator[tuple[GeneKey, Any]]:
    index, content = part
    if index is None:
        yield from (((None, name), value) for name, value in content)
    elif content is not None:  # a genotype of fewer stages has none here
        yield from (((index, f.name), getattr(content, f.name)) for f in fields(content))


def _history(
    key: GeneKey, found: dict[int, Counter[Any]], totals: Counter[int]
) -> GeneHistory:  # fmt: skip
    values = sorted({value for counter in found.values() for value in counter}, key=_order)
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


def _order(value: Any) -> tuple[int, Any]:
    """Return what values of any kinds can be sorted by: numbers, texts, tuples, all others."""
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return (2, value) if isinstance(value, tuple) else (3, str(value))


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
