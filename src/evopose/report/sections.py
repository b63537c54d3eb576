"""The page's sections on what was found: the summary, the winner, the best, how J fell."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from evopose.drawing import encode_image
from evopose.evolution.individual import Individual
from evopose.genotype import GeneValue, spoken
from evopose.report.facts import SearchFacts, mean_oks_of
from evopose.report.figures import progress_figure, trade_off_figure
from evopose.report.genes import GeneKey, gene_names, gene_text, genes_of
from evopose.report.markup import Figures, pick, sentence, table_html
from evopose.report.plotting import MOST_DOTS
from evopose.report.repeats import noise_text, repeated, repeats_table
from evopose.report.tables import NOT_YET, best_table, changes_text, gain_text, latency_text
from evopose.report.text import count, duration, number, percent, plural

BAR_COLOURS = ("#4f46e5", "#0d9488", "#f59e0b", "#94a3b8", "#e11d48", "#64748b")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture for the page."""

    image: NDArray[np.uint8]
    """(H, W, 3) in RGB."""
    caption: str


def summary_html(facts: SearchFacts) -> str:
    """Return what was searched, what came of it, and the time; empty where nobody noted it."""
    terms = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>"
        for label, text in facts.settings.items()
        if text
    )
    gain = gain_text(facts)
    said = f"<p>{escape(gain)}</p>" if gain else ""
    if not terms and not said:
        return ""
    return f'{said}<div class="columns"><dl>{terms}</dl><div>{_time(facts)}</div></div>'


def _time(facts: SearchFacts) -> str:
    total = sum(facts.seconds.values())
    if total <= 0:
        return ""
    bars, keys = [], []
    for (what, seconds), colour in zip(facts.seconds.items(), BAR_COLOURS, strict=False):
        bars.append(f'<div style="width:{100 * seconds / total:.2f}%;background:{colour}"></div>')
        keys.append(
            f'<li><i style="background:{colour}"></i>{escape(what)} {percent(seconds / total)} '
            f'<span class="muted">({duration(seconds)})</span></li>'
        )
    wall = facts.wall_seconds
    head = f"<h3>Time{'' if wall is None else f': {duration(wall)}'}</h3>"
    return f'{head}<div class="bar">{"".join(bars)}</div><ul class="key">{"".join(keys)}</ul>'


def winner_html(facts: SearchFacts) -> str:
    """Return the winner's figures, genes and lineage; empty where there is nothing to show."""
    winner = facts.winner
    if winner is None:
        return f"<p>{sentence(NOT_YET)}</p>"
    line = facts.lineage(winner)
    cards = {
        "individual": winner.id,
        "fitness J": number(winner.fitness),
        "loss": number(winner.loss),
        "mean OKS": number(mean_oks_of(winner), 3),
        "parameters": count(winner.num_parameters),
        "multiply-adds": count(winner.num_macs),
        "latency": latency_text(winner),
    }
    shown = "".join(
        f'<div class="card{" first" if label == "individual" else ""}"><b>{escape(value)}</b>'
        f"<span>{label}</span></div>"
        for label, value in cards.items()
        if value
    )
    return (
        f'<div class="cards">{shown}</div><p class="note">Loss and OKS are measured on the persons '
        "kept for fitness: a part of the training images on which nothing trains.</p>"
        f'<div class="columns"><div><h3>Genotype</h3>'
        f"{_genes(winner, line[0])}</div><div><h3>Lineage</h3>{_lineage(line)}</div></div>"
    )


def _genes(one: Individual, ancestor: Individual) -> str:
    """Return the genes as a table, what differs from the ancestor marked."""
    names, found, before = (
        gene_names(one.genotype),
        genes_of(one.genotype),
        genes_of(ancestor.genotype),
    )
    rows = [
        f"<tr><td>stage {stage + 1}</td>"
        f"{''.join(_gene_cell(found, before, (stage, name)) for name in names)}</tr>"
        for stage in range(len(one.genotype.stages))
    ]
    heads = "".join(f"<th>{escape(spoken(name))}</th>" for name in ("", *names))
    network = "".join(
        f"<tr><td>{escape(spoken(key[1]))}</td>{_gene_cell(found, before, key)}</tr>"
        for key in found
        if key[0] is None
    )
    shared = f'<table class="network"><tbody>{network}</tbody></table>' if network else ""
    return (
        f'<div class="scroll genes"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}'
        f'</tbody></table>{shared}</div><p class="note">Filters in units of eight channels. '
        f"Marked: changed since the ancestor. <code>{escape(one.genotype.to_json())}</code></p>"
    )


def _gene_cell(
    found: dict[GeneKey, GeneValue | None], before: dict[GeneKey, GeneValue | None], key: GeneKey
) -> str:
    value, was = found[key], before.get(key, found[key])
    if value == was:
        return f"<td>{escape(gene_text(value))}</td>"
    return f'<td class="changed">{escape(gene_text(was))} → {escape(gene_text(value))}</td>'


def _lineage(line: Sequence[Individual]) -> str:
    items = "".join(
        f"<li><b>{pick(one.id)}</b> {escape(changes_text(one) or one.kind)} "
        f'<span class="muted">J {number(one.fitness)} · {count(one.num_parameters)}</span></li>'
        for one in line
    )
    return f'<ol class="line" tabindex="0">{items}</ol>'


def pictures_html(pictures: Sequence[Picture]) -> str:
    """Return pictures with their captions; empty where there is nothing to show."""
    return "".join(
        '<figure><img alt="{0}" src="data:image/jpeg;base64,{1}"><figcaption>{0}</figcaption>'
        "</figure>".format(
            escape(picture.caption),
            base64.b64encode(encode_image(picture.image, ".jpg")).decode(),
        )
        for picture in pictures
    )


def best_html(facts: SearchFacts) -> str:
    """Return the table of the best; empty where there is nothing to show."""
    rows = best_table(facts, 15)
    return table_html(rows, first="winner") if rows else ""


def repeats_html(facts: SearchFacts) -> str:
    """Return what became of the best when they were trained again with other seeds."""
    found = repeated(facts.individuals)
    if not found:
        return ""
    said = noise_text(facts)
    return (
        "<p>J holds luck: the order of images, the draws of augmentation. Some individuals were "
        "trained again from the same parent with other seeds. Repeats compete with nobody; the J "
        "of the search is on the lucky side, as it is what they were chosen for.</p>"
        f"{f'<p>{escape(said)}</p>' if said else ''}{table_html(repeats_table(found))}"
    )


def progress_html(facts: SearchFacts, figures: Figures) -> str:
    """Return fitness by generation; empty where there is nothing to show."""
    if facts.winner is None:
        return ""
    return (
        "<p>Children inherit their parent's weights and train on: part of what they gain is "
        "training alone. The clone, an unmutated copy of the best parent trained for the same "
        "budget, shows that part; what a child is better than the clone, its mutation gained. "
        "(The best of many is also the luckiest: the share of children that beat the clone says "
        f"more than the best alone.)</p>{figures.html(progress_figure(facts), 'fitness')}"
        f"{_thinned(len(facts.ranked), MOST_DOTS)}"
    )


def _thinned(total: int, limit: int) -> str:
    if total <= limit:
        return ""
    return f'<p class="note">About {limit:,} of {total:,} individuals are drawn.</p>'


def trade_off_html(facts: SearchFacts, figures: Figures) -> str:
    """Return loss against parameters; empty where there is nothing to show."""
    if facts.winner is None:
        return ""
    return (
        f"<p>{plural(len(facts.pareto_ids), 'individual')} in the Pareto set: no other equals or "
        "beats it in loss, parameters and multiply-adds alike. The line joins those that none "
        f"beats in loss and parameters.</p>{figures.html(trade_off_figure(facts), 'trade-off')}"
        f"{_thinned(len(facts.ranked), MOST_DOTS)}"
    )
