"""What the workers did when, and how long individuals took."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evopose.evolution.individual import Attempt, Individual
from evopose.report.facts import SearchFacts
from evopose.report.plotting import (
    BEST,
    CHILD,
    CLONE,
    PARETO,
    WINNER,
    Figure,
    hover,
    layout,
    thin,
    titled,
)
from evopose.report.text import duration, percent

MOST_BARS = 1500
"""Attempts drawn one by one; of more, the share of time that each worker was busy."""

BINS = 240
MOST_TIMES = 1500
"""Individuals in the figure of times."""

_COLOURS = {"ancestor": BEST, "mutant": CHILD, "clone": CLONE, "repeat": PARETO}


def search_clock(sessions: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, float]]:
    """Return (start, end, seconds of the search before it) of each session, in seconds."""
    found, before = [], 0.0
    for session in sessions:
        start, end = session["started_at"], max(session["started_at"], session["seen_at"])
        found.append((start, end, before))
        before += end - start
    return found


def search_seconds(clock: Sequence[tuple[float, float, float]], at: float) -> float:
    """Return how much of the search had passed at a time; what lies between sessions is none."""
    passed = 0.0
    for start, end, before in clock:
        if at >= start:
            passed = before + min(at, end) - start
    return passed


def workers_figure(facts: SearchFacts) -> Figure:
    """Return a row a worker: a bar an attempt, or how busy it was where they are many."""
    ended = [a for a in facts.attempts if a.ended_at is not None]
    clock = search_clock(facts.sessions)
    spans = [
        (a, search_seconds(clock, a.started_at), search_seconds(clock, a.ended_at or 0.0))
        for a in ended
    ]
    slots = sorted({a.slot for a in ended})
    last = max((end for _, _, end in spans), default=0.0)
    size, unit = (3600, "hours") if last > 7200 else (60, "minutes")
    few = len(spans) <= MOST_BARS
    data = list(_bars(facts, spans, size)) if few else [_busy(spans, slots, last, size)]
    x_axis = {"title": titled(f"{unit} of the search"), "range": [0, last / size or 1]}
    y_axis = {
        "autorange": "reversed",
        "showgrid": False,
        "type": "category",
        "categoryarray": [_slot_name(slot) for slot in slots],
    }
    height = 120 + 30 * len(slots)
    more = {"barmode": "overlay", "bargap": 0.25}
    return {"data": data, "layout": layout(height, x_axis, y_axis, **more)}


def _slot_name(slot: int) -> str:
    return f"worker {slot}"


Span = tuple[Attempt, float, float]


def _bars(facts: SearchFacts, spans: Sequence[Span], size: float) -> Iterable[dict[str, Any]]:
    """Yield the bars of each kind of individual, and those of attempts that gave no result."""
    names = {"ancestor": "ancestor", "mutant": "children", "clone": "clones", "repeat": "repeats"}
    groups: dict[str, list[Span]] = {name: [] for name in (*names.values(), "no result")}
    for span in spans:
        one = facts.by_id[span[0].individual_id]
        groups[names[one.kind] if span[0].outcome == "done" else "no result"].append(span)
    colours = {names[kind]: colour for kind, colour in _COLOURS.items()} | {"no result": WINNER}
    for name, members in groups.items():
        if members:
            yield {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "base": [round(start / size, 4) for _, start, _ in members],
                "x": [round((end - start) / size, 4) for _, start, end in members],
                "y": [_slot_name(attempt.slot) for attempt, _, _ in members],
                "marker": {"color": colours[name], "line": {"color": "#ffffff", "width": 1}},
                "text": [_attempt_text(attempt, end - start) for attempt, start, end in members],
                "textposition": "none",
                "customdata": [attempt.individual_id for attempt, _, _ in members],
                "hovertemplate": "%{text}<extra></extra>",
            }


def _attempt_text(attempt: Attempt, seconds: float) -> str:
    again = f", attempt {attempt.no}" if attempt.no > 1 else ""
    outcome = "" if attempt.outcome == "done" else f": {attempt.outcome}"
    return f"{attempt.individual_id}{again}, {duration(seconds)}{outcome}"


def _busy(
    spans: Sequence[Span], slots: Sequence[int], last: float, size: float
) -> dict[str, Any]:  # fmt: skip
    width = last / BINS or 1.0
    row = {slot: place for place, slot in enumerate(slots)}
    busy = [[0.0] * BINS for _ in slots]
    for attempt, start, end in spans:
        for place in range(int(start / width), min(BINS, int(end / width) + 1)):
            covered = min(end, (place + 1) * width) - max(start, place * width)
            busy[row[attempt.slot]][place] += max(0.0, covered) / width
    return {
        "type": "heatmap",
        "x": [round((place + 0.5) * width / size, 4) for place in range(BINS)],
        "y": [_slot_name(slot) for slot in slots],
        "z": [[round(min(1.0, share), 3) for share in line] for line in busy],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "#f1f5f9"], [1, BEST]],
        "colorbar": {"title": {"text": "busy"}, "tickformat": ".0%", "thickness": 12,
                     "outlinewidth": 0},
        "hovertemplate": "%{y} at %{x}: %{z:.0%} busy<extra></extra>",
    }  # fmt: skip


def times_figure(facts: SearchFacts) -> Figure:
    """Return how long individuals took, by parameters (left) and by generation (right)."""
    timed = [one for one in facts.ranked if one.seconds is not None and one.kind != "ancestor"]
    shown = thin(timed, MOST_TIMES) if timed else []
    size, unit = (60, "minutes") if max((_seconds(o) for o in shown), default=0) > 300 else (
        1, "seconds")  # fmt: skip
    made = layout(320, {}, {"title": titled(f"{unit} for one individual"), "rangemode": "tozero"})
    x_left = made["xaxis"] | {
        "title": titled("parameters"), "domain": [0, 0.47], "tickformat": "~s", "nticks": 6,
    }  # fmt: skip
    x_right = made["xaxis"] | {
        "title": titled("generation"), "domain": [0.53, 1], "anchor": "y2", "tickformat": "d",
    }  # fmt: skip
    y_right = made["yaxis"] | {"anchor": "x2", "title": {}, "matches": "y"}
    made |= {"xaxis": x_left, "xaxis2": x_right, "yaxis2": y_right, "showlegend": False}
    left = _times(shown, size) | {"x": [one.num_parameters for one in shown]}
    right = left | {"x": [one.generation for one in shown], "xaxis": "x2", "yaxis": "y2"}
    return {"data": [left, right], "layout": made}


def _times(members: Sequence[Individual], size: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "y": [round(_seconds(one) / size, 3) for one in members],
        "marker": {"color": BEST, "size": 6, "opacity": 0.5},
        "text": [f"{hover(one)}<br>{duration(one.seconds)}" for one in members],
        "customdata": [one.id for one in members],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _seconds(one: Individual) -> float:
    return one.seconds or 0.0


def overhead_text(facts: SearchFacts) -> str:
    """Return how much of the workers' time was not training, in words; empty if nobody knows."""
    found = facts.overhead
    slot = found.get("slot_seconds", 0.0)
    if not slot:
        return ""
    parts = {
        "of their time workers were at their own work": found["busy_seconds"] / slot,
        "they waited for the last of a generation": found["idle_share"],
        "went into starting, inheriting, saving and coordinating": found["overhead_share"],
        "into attempts that gave no result": found["lost_seconds"] / slot,
    }
    return "; ".join(f"{percent(share)} {what}" for what, share in parts.items()) + "."
