"""Which genes the search came to like: the share of each value, generation by generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.genotype import (
    NETWORK_GENES,
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

Part = Stage | NetworkGenes


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
    children = [one for one in facts.individuals if one.competes]
    if not children:
        return ()
    generations, rows = np.unique([one.generation for one in children], return_inverse=True)
    totals = np.bincount(rows)
    stages = zip_longest(*(one.genotype.stages for one in children))  # None where it has fewer
    networks = tuple(one.genotype.network for one in children)
    found: list[GeneHistory] = []
    for stage, members in [*enumerate(stages), (None, networks)]:
        codes, parts = _coded(members)
        for gene in NETWORK_GENES if stage is None else STAGE_GENES:
            values, counts = _counted(parts, gene, codes, rows)
            shares = (counts / totals).tolist()
            found.append(
                GeneHistory(
                    stage=stage,
                    gene=gene,
                    generations=tuple(generations.tolist()),
                    values=tuple(values),
                    shares=tuple(map(tuple, shares)),
                )
            )
    order = {name: place for place, name in enumerate((*STAGE_GENES, *NETWORK_GENES))}
    varying = [history for history in found if len(history.values) > 1]
    return tuple(sorted(varying, key=lambda h: (h.stage is None, order[h.gene], h.stage or 0)))


def _coded(parts: Sequence[Part | None]) -> tuple[NDArray[np.intp], list[Part | None]]:
    """Return the parts that differ, and for each part which of them it is.

    Those of a search share most of theirs, so they are told apart by what they are in memory.
    """
    apart = {id(part): part for part in parts}
    number = {key: code for code, key in enumerate(apart)}
    codes = np.fromiter(map(number.__getitem__, map(id, parts)), np.intp, len(parts))
    return codes, list(apart.values())


def _counted(
    parts: Sequence[Part | None], gene: str, codes: NDArray[np.intp], rows: NDArray[np.intp]
) -> tuple[list[Any], NDArray[np.intp]]:
    """Return the values of a gene in their order, and how often each is in each row: (V, rows)."""
    values = sorted({getattr(p, gene) for p in parts if p}, key=lambda v: _order(gene, v))
    place = {value: number for number, value in enumerate(values)}
    there = np.array([p is not None for p in parts])[codes]
    numbers = np.array([place[getattr(p, gene)] if p else 0 for p in parts])[codes]
    shape = len(values), int(rows.max()) + 1
    flat = np.ravel_multi_index((numbers[there], rows[there]), shape)
    return values, np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


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
