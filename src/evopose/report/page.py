"""The page: one self-contained HTML text that fetches nothing."""

import base64
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from evopose.drawing import encode_image
from evopose.evolution.individual import Individual
from evopose.genotype import STAGE_GENES, Genotype, spoken
from evopose.report.facts import SearchFacts, mean_oks_of
from evopose.report.figures import effects_figure, progress_figure, trade_off_figure
from evopose.report.markup import Figures, sentence, table_html
from evopose.report.plotting import MOST_DOTS
from evopose.report.tables import (
    NOT_YET,
    best_table,
    changes_text,
    effects_table,
    failures_table,
    gain_text,
    progress_text,
)
from evopose.report.text import count, duration, number, percent, plural
from evopose.report.tree import MOST_DRAWN, tree_figure

BAR_COLOURS = ("#4f46e5", "#0d9488", "#f59e0b", "#94a3b8", "#e11d48", "#64748b")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture for the page."""

    image: NDArray[np.uint8]
    """(H, W, 3) in RGB."""
    caption: str


def render_page(facts: SearchFacts, *, pictures: Sequence[Picture] = ()) -> str:
    """Return the whole page as HTML."""
    figures = Figures()
    sections = {
        "summary": ("Summary", _summary(facts)),
        "winner": ("The winner", _winner(facts)),
        "pictures": ("What the winner sees", _pictures(pictures)),
        "best": ("The best individuals", _best(facts)),
        "progress": ("Fitness by generation", _progress(facts, figures)),
        "trade-off": ("Loss against parameters", _trade_off(facts, figures)),
        "tree": ("The family tree", _tree(facts, figures)),
        "mutations": ("What each mutation did", _mutations(facts, figures)),
        "failures": ("Failures", _failures(facts)),
        "next": ("How to go on", _next(facts)),
    }
    shown = {key: (title, body) for key, (title, body) in sections.items() if body}
    links = "".join(f'<a href="#{key}">{title}</a>' for key, (title, _) in shown.items())
    content = "\n".join(
        f'<section id="{key}"><h2>{title}</h2>{body}</section>'
        for key, (title, body) in shown.items()
    )
    kind = "finished" if facts.state == "finished" else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(facts.name)} · evopose</title>"
        f"<style>{files('evopose.report').joinpath('style.css').read_text()}</style></head>\n"
        f'<body><main><header><h1>{escape(facts.name)} <span class="state {kind}">'
        f"{escape(facts.state)}</span></h1>"
        f'<div class="muted">{escape(sentence(progress_text(facts)))}</div></header>'
        f"<nav>{links}</nav>\n"
        f"{content}\n<footer>Made by evopose. This page needs no network.</footer></main>"
        "</body></html>\n"
    )


def _summary(facts: SearchFacts) -> str:
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


def _winner(facts: SearchFacts) -> str:
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
    new, old = one.genotype, ancestor.genotype
    genes = [g for g in STAGE_GENES if any(new.gene(i, g) is not None for i in _stages(new))]
    rows = []
    for index in _stages(new):
        before = index if index < len(old.stages) else None
        cells = [
            _gene(new.gene(index, g), new.gene(index, g) if before is None else old.gene(index, g))
            for g in genes
        ]
        rows.append(f"<tr><td>stage {index + 1}</td>{''.join(cells)}</tr>")
    heads = "".join(f"<th>{spoken(gene)}</th>" for gene in ("", *genes))
    whole = "".join(
        f"<tr><td>{spoken(gene)}</td>{_gene(value, old.gene(None, gene))}</tr>"
        for gene, value in new.network.given.items()
    )
    network = whole and f'<div class="scroll genes"><table><tbody>{whole}</tbody></table></div>'
    return (
        f'<div class="scroll genes"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}'
        f'</tbody></table></div>{network}<p class="note">Filters in units of eight channels. '
        f"Marked: changed since the ancestor. <code>{escape(one.genotype.to_json())}</code></p>"
    )


def _stages(genotype: Genotype) -> range:
    return range(len(genotype.stages))


def _gene(value: object, was: object) -> str:
    if value == was:
        return f"<td>{escape(str(value))}</td>"
    return f'<td class="changed">{escape(str(was))} → {escape(str(value))}</td>'


def _lineage(line: Sequence[Individual]) -> str:
    items = "".join(
        f"<li><b>{escape(one.id)}</b> {escape(changes_text(one) or one.kind)} "
        f'<span class="muted">J {number(one.fitness)} · {count(one.num_parameters)}</span></li>'
        for one in line
    )
    return f'<ol class="line" tabindex="0">{items}</ol>'


def _pictures(pictures: Sequence[Picture]) -> str:
    return "".join(
        '<figure><img alt="{0}" src="data:image/jpeg;base64,{1}"><figcaption>{0}</figcaption>'
        "</figure>".format(
            escape(picture.caption),
            base64.b64encode(encode_image(picture.image, ".jpg")).decode(),
        )
        for picture in pictures
    )


def _best(facts: SearchFacts) -> str:
    rows = best_table(facts, 15)
    return table_html(rows, first="winner") if rows else ""


def _progress(facts: SearchFacts, figures: Figures) -> str:
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


def _trade_off(facts: SearchFacts, figures: Figures) -> str:
    if facts.winner is None:
        return ""
    return (
        f"<p>{plural(len(facts.pareto_ids), 'individual')} in the Pareto set: no other equals or "
        "beats it in loss, parameters and multiply-adds alike. The line joins those that none "
        f"beats in loss and parameters.</p>{figures.html(trade_off_figure(facts), 'trade-off')}"
        f"{_thinned(len(facts.ranked), MOST_DOTS)}"
    )


def _tree(facts: SearchFacts, figures: Figures) -> str:
    if len(facts.individuals) < 2:
        return ""
    total = len(facts.individuals)
    left_out = (
        f'<p class="note">Of {total:,} individuals, the winner\'s line, the Pareto set and the '
        "best are drawn, with their lines.</p>"
    )
    return (
        "<p>Each dot is a network, joined to its parent; a line that goes on through later "
        "generations is a survivor with children to come. Rest the pointer on a dot to see its "
        f"genes.</p>{figures.html(tree_figure(facts), 'family tree')}"
        f"{left_out if total > MOST_DRAWN else ''}"
    )


def _mutations(facts: SearchFacts, figures: Figures) -> str:
    rows = effects_table(facts)
    if not rows or len(facts.ranked) < 2:
        return ""
    return (
        "<p>The change of fitness that came with each kind of mutation: against the parent (which "
        "holds what training on gained) and against the clone of the generation (which does not). "
        f"Negative is better.</p>{figures.html(effects_figure(facts), 'mutations')}"
        f"{table_html(rows)}"
    )


def _failures(facts: SearchFacts) -> str:
    if not facts.failures:
        return ""
    total = plural(len(facts.failures), "individual")
    return f"<p>{total} could not be trained.</p>{table_html(failures_table(facts))}"


def _next(facts: SearchFacts) -> str:
    said = ""
    if facts.winner is not None:
        command = shlex.join(["evopose", "train", facts.folder, facts.data or "DATA"])
        other = shlex.join(["evopose", "train", f"{facts.folder}:{facts.winner.id}"])
        said = (
            "<p>Train the winner fully:</p>"
            f"<pre>{escape(command)}</pre><p>Any other individual whose weights are kept goes by "
            f"its id, as in <code>{escape(other)}</code>.</p>"
        )
    if facts.state != "finished":
        again = ["evopose", "evolve", facts.data or "DATA", "--run", facts.folder, "--resume"]
        command = escape(shlex.join(again))
        said += f"<p>A search that was stopped goes on with</p><pre>{command}</pre>"
    if facts.config:
        resolved = json.dumps(facts.config, indent=1, sort_keys=True)
        said += (
            "<details><summary>The resolved configuration</summary>"
            f"<pre>{escape(resolved)}</pre></details>"
        )
    return said
