"""The page of a comparison: one self-contained HTML text that fetches nothing."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from evopose.report.comparing_caveats import METHOD, caveats
from evopose.report.comparing_facts import Comparison
from evopose.report.comparing_figures import curves_figure, seeds_figure
from evopose.report.comparing_tables import (
    arms_table,
    budget_text,
    reach_texts,
    runs_table,
    sentences,
)
from evopose.report.markup import Figures, table_html
from evopose.report.text import plural

CLONES = (
    " Dashed: the best clone so far, an unmutated copy of the best parent trained like a child. "
    "What a search is better than its clones, mutation gained; the rest is training on."
)


def comparison_page(comparison: Comparison) -> str:
    """Return the whole page as HTML."""
    figures = Figures()
    sections = {
        "arms": ("The arms", _arms(comparison)),
        "curves": ("Best so far against cost", _curves(comparison, figures)),
        "pairs": ("What can be told", _told(comparison, figures)),
        "caveats": ("What limits this", _list(caveats(comparison))),
        "runs": ("The runs", table_html(runs_table(comparison))),
        "method": ("How it is done", "".join(f"<p>{escape(text)}</p>" for text in METHOD)),
    }
    shown = {key: (title, body) for key, (title, body) in sections.items() if body}
    links = "".join(f'<a href="#{key}">{title}</a>' for key, (title, _) in shown.items())
    content = "\n".join(
        f'<section id="{key}"><h2>{title}</h2>{body}</section>'
        for key, (title, body) in shown.items()
    )
    title = " against ".join(arm.name for arm in comparison.arms)
    counted = f"{plural(len(comparison.runs), 'run')} in {plural(len(comparison.arms), 'arm')}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · evopose</title>"
        f"<style>{files('evopose.report').joinpath('style.css').read_text()}</style></head>\n"
        f"<body><main><header><h1>{escape(title)}</h1>"
        f'<div class="muted">{counted}, compared by {comparison.measure.name} on '
        f"{escape(comparison.runs[0].source or 'unnamed data')}.</div></header>"
        f"<nav>{links}</nav>\n"
        f"{content}\n<footer>Made by evopose. This page needs no network.</footer></main>"
        "</body></html>\n"
    )


def _arms(comparison: Comparison) -> str:
    several = len(comparison.arms) > 1
    reference = comparison.arms[0].name
    note = (
        f'<p class="note">In brackets: 95 % intervals. Against {escape(reference)}: the mean '
        "difference, over pairs of the same seed where there are enough. Cost to be as good: "
        f"until the mean of an arm is what that of {escape(reference)} is at equal cost, as a "
        "share of what that took there. Parameters, multiply-adds and mean OKS: means over the "
        "best individual of each run at equal cost.</p>"
        if several
        else ""
    )
    return f"<p>{escape(budget_text(comparison))}</p>{table_html(arms_table(comparison))}{note}"


def _curves(comparison: Comparison, figures: Figures) -> str:
    if not comparison.compared:
        return ""
    clones = CLONES if any(arm.clones for arm in comparison.arms) else ""
    return (
        "<p>Thin: each run, to where it stands. Thick: the mean of an arm, as far as all of its "
        f"runs reached, in the band of its interval where it has three runs or more.{clones}</p>"
        f"{figures.html(curves_figure(comparison), 'best so far against cost')}"
    )


def _told(comparison: Comparison, figures: Figures) -> str:
    if not comparison.pairs:
        return ""
    cost = _list(reach_texts(comparison))
    drawn = figures.html(seeds_figure(comparison), "each run at equal cost")
    return (
        f"{_list(sentences(comparison))}<p>A dot a run at equal cost; a line joins runs of the "
        f"same seed.</p>{drawn}<h3>Cost to be as good</h3>{cost}"
    )


def _list(texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
