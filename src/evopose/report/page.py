"""The page: one self-contained HTML text that fetches nothing."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from evopose.report.embed import json_script, page_data
from evopose.report.facts import SearchFacts
from evopose.report.insights import (
    failures_html,
    genes_html,
    inheritance_html,
    mutations_html,
    next_html,
    tree_html,
    workers_html,
)
from evopose.report.markup import Figures, sentence
from evopose.report.sections import (
    Picture,
    best_html,
    pictures_html,
    progress_html,
    repeats_html,
    summary_html,
    trade_off_html,
    winner_html,
)
from evopose.report.tables import progress_text
from evopose.report.tree import Tree, arrange, choose

__all__ = ["Picture", "render_page"]


def render_page(facts: SearchFacts, *, pictures: Sequence[Picture] = ()) -> str:
    """Return the whole page as HTML."""
    figures = Figures()
    tree = arrange(choose(facts))
    sections = {
        "summary": ("Summary", summary_html(facts)),
        "winner": ("The winner", winner_html(facts)),
        "pictures": ("What the winner sees", pictures_html(pictures)),
        "best": ("The best individuals", best_html(facts)),
        "repeats": ("The best, trained again with other seeds", repeats_html(facts)),
        "progress": ("Fitness by generation", progress_html(facts, figures)),
        "trade-off": ("Error against parameters", trade_off_html(facts, figures)),
        "tree": ("The family tree", tree_html(facts, tree, figures)),
        "mutations": ("What each mutation did", mutations_html(facts, figures)),
        "inheritance": ("What children inherited", inheritance_html(facts, figures)),
        "genes": ("Which genes spread", genes_html(facts, figures)),
        "workers": ("Workers and time", workers_html(facts, figures)),
        "failures": ("Failures", failures_html(facts)),
        "next": ("How to go on", next_html(facts)),
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
        f"<style>{_packaged('style.css')}</style></head>\n"
        f'<body><main><header><h1>{escape(facts.name)} <span class="state {kind}">'
        f"{escape(facts.state)}</span></h1>"
        f'<div class="muted">{escape(sentence(progress_text(facts)))}</div></header>'
        f"<nav>{links}</nav>\n"
        f"{content}\n<footer>Made by evopose. This page needs no network.</footer></main>"
        f"{_lineage(facts, tree, figures) if 'tree' in shown else ''}</body></html>\n"
    )


def _lineage(facts: SearchFacts, tree: Tree, figures: Figures) -> str:
    """Return the panel that tells an individual's details, and the script that fills it."""
    named = [
        *(one.id for one in facts.ranked[:50]),
        *(one.id for one in tree.members),
        *(one.id for one in facts.failures[:200]),
        *(one.id for one in facts.ranked if one.id in figures.named),
        *(one.id for one in facts.individuals if one.id in figures.named),
    ]
    data = page_data(facts, tree, named)
    return (
        '<aside id="details" aria-label="details of an individual" hidden></aside>'
        f"{json_script(data, 'individuals')}<script>{_packaged('lineage.js')}</script>"
    )


def _packaged(name: str) -> str:
    return files("evopose.report").joinpath(name).read_text()
