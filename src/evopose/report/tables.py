"""What a search found, as rows and sentences: the same in the terminal and on the page."""

from collections import defaultdict
from collections.abc import Sequence

from evopose.evolution.individual import Individual
from evopose.report.effects import Effect
from evopose.report.facts import Generation, SearchFacts, latency_of, mean_oks_of
from evopose.report.repeats import noise_text
from evopose.report.text import count, duration, number, percent, plural, signed

Row = dict[str, str]
"""Column heading -> text; every row of a table has the same headings in the same order."""

NOT_YET = "nothing has finished yet"


def best_table(facts: SearchFacts, k: int = 10) -> list[Row]:
    """Return the `k` individuals of lowest fitness as rows, best first; controls are not ranked."""
    return ranked_rows(facts.ranked[:k], facts.pareto_ids)


def ranked_rows(
    individuals: Sequence[Individual], pareto_ids: frozenset[str] = frozenset()
) -> list[Row]:
    """Return individuals, best first, as rows."""
    return [
        {
            "rank": str(rank),
            "id": one.id,
            "J": number(one.fitness),
            "loss": number(one.loss),
            "mean OKS": number(mean_oks_of(one), 3),
            "parameters": count(one.num_parameters),
            "multiply-adds": count(one.num_macs),
            "latency": latency_text(one),
            "generation": str(one.generation),
            "parent": one.parent_id or "",
            "change": changes_text(one),
            "Pareto": "yes" if one.id in pareto_ids else "",
        }
        for rank, one in enumerate(individuals, 1)
    ]


def latency_text(one: Individual) -> str:
    """Return how long one crop takes; empty where that was not measured."""
    milliseconds = latency_of(one)
    return "" if milliseconds is None else f"{number(milliseconds, 3)} ms"


def changes_text(one: Individual) -> str:
    """Return what made `one` from its parent, in words."""
    return ", ".join(map(str, one.changes)).replace("->", "→")


def effects_table(effects: Sequence[Effect]) -> list[Row]:
    """Return what each kind of mutation did as rows; lower fitness is better."""
    return [
        {
            "mutation": effect.kind,
            "finished": str(effect.finished),
            "failed": str(effect.failed),
            "median change from parent": signed(effect.median_from_parent),
            "median change from clone": signed(effect.median_from_clone),
            "better than clone": percent(effect.share_better_than_clone),
            "parameters inherited": percent(effect.share_inherited),
            "began with parent's function": percent(effect.share_preserving),
        }
        for effect in effects
    ]


def failures_table(facts: SearchFacts, k: int = 20) -> list[Row]:
    """Return the `k` most frequent reasons of failure as rows, with some who failed so."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in facts.failures:
        groups[_first_line(one.fail_reason or "")].append(one.id)
    frequent = sorted(groups.items(), key=lambda item: -len(item[1]))[:k]
    return [
        {
            "reason": reason,
            "count": f"{len(ids):,}",
            "individuals": ", ".join(ids[:8]) + (", ..." if len(ids) > 8 else ""),
        }
        for reason, ids in frequent
    ]


def _first_line(text: str, limit: int = 240) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= limit else f"{line[:limit]}..."


def summary_lines(facts: SearchFacts) -> list[str]:
    """Return the search in a few sentences: how far, the winner, the gain, the time."""
    lines = [progress_text(facts)]
    if (winner := facts.winner) is not None:
        lines.append(f"best: {winner_text(winner)}")
        lines += [gain_text(facts), noise_text(facts)]
        lines.append(
            f"{plural(len(facts.pareto_ids), 'individual')} in the Pareto set of "
            f"{facts.error_name}, parameters and cost"
        )
    if (spent := time_text(facts)) != "":
        lines.append(spent)
    return [line for line in lines if line]


def progress_text(facts: SearchFacts) -> str:
    """Return how far the search is, in one sentence."""
    generations = facts.generations
    finished, failed, pending = (
        sum(getattr(g, what) for g in generations) for what in ("finished", "failed", "pending")
    )
    state = facts.state + (f" ({facts.stop_reason})" if facts.stop_reason else "")
    if not generations:
        return f"{state}: {NOT_YET}; no individual has been proposed"
    counted = [
        f"{plural(finished, 'individual')} finished" if finished else NOT_YET,
        f"{failed:,} failed" if failed else "",
        f"{pending:,} waiting or in training" if pending else "",
        _repeats_text(facts),
    ]
    return f"{state}: generation {generations[-1].number}; {', '.join(c for c in counted if c)}"


def _repeats_text(facts: SearchFacts) -> str:
    repeats = [one for one in facts.individuals if one.kind == "repeat"]
    ended = sum(one.status in ("done", "failed") for one in repeats)
    return f"{ended} of {plural(len(repeats), 'repeat')} trained" if repeats else ""


def winner_text(winner: Individual) -> str:
    """Return an individual's figures in one line."""
    figures = {
        "J": number(winner.fitness),
        "loss": number(winner.loss),
        "mean OKS": number(mean_oks_of(winner), 3),
    }
    sizes = {"parameters": count(winner.num_parameters), "multiply-adds": count(winner.num_macs)}
    named = [f"{label} {value}" for label, value in figures.items() if value]
    named += [f"{value} {label}" for label, value in sizes.items() if value]
    return f"{winner.id} ({winner.genotype}): {', '.join(named)}"


def gain_text(facts: SearchFacts) -> str:
    """Return what mutation gained over training on, in words; empty while nobody can say."""
    compared = [g for g in facts.generations if g.gain is not None]
    if not compared:
        return ""
    won = sum((g.gain or 0) > 0 for g in compared)
    better = sum(g.better_than_clone for g in compared)
    children = sum(g.finished for g in compared)
    return (
        f"{_last_gain_text(compared[-1])} The best child beat the clone in {won} of "
        f"{plural(len(compared), 'generation')}; {better:,} of "
        f"{plural(children, 'child', 'children')} ({percent(better / children)}) beat theirs."
    )


def _last_gain_text(generation: Generation) -> str:
    leader, clone, gain = generation.best, generation.clone, generation.gain
    assert leader is not None
    assert clone is not None
    assert gain is not None
    how = f"{number(abs(gain), 3)} {'better' if gain > 0 else 'worse'}" if gain else "no better"
    return (
        f"In generation {generation.number} the best child ({leader.id}) has J "
        f"{number(leader.fitness)}, the clone of the best parent {number(clone.fitness)}: the "
        f"child is {how} than the same training without a mutation."
    )


def time_text(facts: SearchFacts) -> str:
    """Return how long it took and what for, in one sentence; empty while nobody knows."""
    total = sum(facts.seconds.values())
    shares = [f"{what} {percent(s / total)}" for what, s in facts.seconds.items() if total > 0]
    wall = duration(facts.wall_seconds)
    return ": ".join(part for part in (wall, ", ".join(shares)) if part)


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the headings of the columns in which any row has a text."""
    return tuple(name for name in (rows[0] if rows else ()) if any(row[name] for row in rows))
