"""The page's sections on how the search worked: the tree, mutations, genes, workers, failures."""

import json
import shlex
from html import escape

from evopose.report.effects import mutation_effects
from evopose.report.facts import SearchFacts
from evopose.report.figures import effects_figure
from evopose.report.genes import gene_histories, genes_figure
from evopose.report.inheritance import (
    inheritance_table,
    inheritances,
    shares_figure,
    starts_figure,
)
from evopose.report.markup import Figures, table_html
from evopose.report.tables import effects_table, failures_table
from evopose.report.text import duration, plural
from evopose.report.tree import MOST_DRAWN, Tree, tree_figure
from evopose.report.workers import MOST_BARS, overhead_text, times_figure, workers_figure


def tree_html(facts: SearchFacts, tree: Tree, figures: Figures) -> str:
    """Return the family tree; empty where there is nothing to show."""
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
        "genes; click one, here or in another figure, to follow its line.</p>"
        '<form id="find" hidden><label>Individual <input name="id" size="8" autocomplete="off">'
        "</label> <button>show</button> <output></output></form>"
        f"{figures.html(tree_figure(facts, tree), 'family tree')}"
        f"{left_out if total > MOST_DRAWN else ''}"
    )


def mutations_html(facts: SearchFacts, figures: Figures) -> str:
    """Return what each kind of mutation did; empty where there is nothing to show."""
    effects = mutation_effects(facts)
    rows = effects_table(effects)
    if not rows or len(facts.ranked) < 2:
        return ""
    return (
        "<p>The change of fitness that came with each kind of mutation: against the parent (which "
        "holds what training on gained) and against the clone of the generation (which does not). "
        f"Negative is better.</p>{figures.html(effects_figure(effects), 'mutations')}"
        f"{table_html(rows)}"
    )


def inheritance_html(facts: SearchFacts, figures: Figures) -> str:
    """Return what children inherited and where they began; empty where nobody noted it."""
    found = inheritances(facts)
    if not found:
        return ""
    said = (
        "<p>What each kind of mutation left a child of its parent's weights"
        f"{'.' if not any(one.shares for one in found) else ': each dot is a child.'}</p>"
    )
    if any(one.shares for one in found):
        said += figures.html(shares_figure(found), "parameters inherited by kind of mutation")
    if any(one.start_losses for one in found):
        said += (
            "<p>The loss of children right after inheriting, before any training, and at its end. "
            "A child that keeps its parent's function begins at its parent's loss.</p>"
            f"{figures.html(starts_figure(found), 'loss at start and end by kind of mutation')}"
        )
    return f"{said}{table_html(inheritance_table(found))}"


def genes_html(facts: SearchFacts, figures: Figures) -> str:
    """Return how often children had each value of each gene, by generation."""
    histories = gene_histories(facts)
    if not histories or len(facts.generations) < 2:
        return ""
    return (
        "<p>The share of each value among the children of a generation (the ancestor is generation "
        "0); only genes that vary. A child is one mutation away from a parent that was chosen, so "
        f"a value that spreads is one that was selected.</p>"
        f"{figures.html(genes_figure(histories), 'gene frequencies by generation')}"
    )


def workers_html(facts: SearchFacts, figures: Figures) -> str:
    """Return what the workers did when, and how long individuals took."""
    said = ""
    if any(attempt.ended_at is not None for attempt in facts.attempts):
        drawn = "a bar an attempt" if len(facts.attempts) <= MOST_BARS else "the darker, the busier"
        said += (
            f"<p>What each worker did, {drawn}; time between sessions is left out. "
            f"{escape(overhead_text(facts))}</p>"
            f"{figures.html(workers_figure(facts), 'workers over time')}"
        )
    timed = [one.seconds for one in facts.ranked if one.seconds and one.kind != "ancestor"]
    if len(timed) > 1:
        middle = sorted(timed)[len(timed) // 2]
        said += (
            f"<h3>Time for one individual: {duration(middle)} in the middle</h3>"
            f"{figures.html(times_figure(facts), 'time for one individual')}"
        )
    return said


def failures_html(facts: SearchFacts) -> str:
    """Return what failed, by reason; empty where there is nothing to show."""
    if not facts.failures:
        return ""
    total = plural(len(facts.failures), "individual")
    return f"<p>{total} could not be trained.</p>{table_html(failures_table(facts))}"


def next_html(facts: SearchFacts) -> str:
    """Return the commands to go on with; empty where there is nothing to show."""
    said = ""
    if facts.winner is not None:
        data = [facts.data or "DATA", *facts.data_options]
        command = shlex.join(["evopose", "train", facts.folder, *data])
        other = shlex.join(["evopose", "train", f"{facts.folder}:{facts.winner.id}"])
        said = (
            "<p>Train the winner fully:</p>"
            f"<pre>{escape(command)}</pre><p>Any other individual whose weights are kept goes by "
            f"its id, as in <code>{escape(other)}</code>.</p>"
        )
    if facts.state != "finished":
        again = ["evopose", "evolve", facts.data or "DATA", "--run", facts.folder, "--resume"]
        command = escape(shlex.join([*again, *facts.data_options]))
        said += f"<p>A search that was stopped goes on with</p><pre>{command}</pre>"
    if facts.config:
        resolved = json.dumps(facts.config, indent=1, sort_keys=True)
        said += (
            "<details><summary>The resolved configuration</summary>"
            f"<pre>{escape(resolved)}</pre></details>"
        )
    return said
