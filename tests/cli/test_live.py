"""What a search shows while it runs, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from evopose.cli import live
from evopose.cli.live import DataDisplay, search_display
from evopose.cli.options import say, table
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.individual import Individual
from evopose.genotype import SPACES

SPACE = SPACES["small"]


def screen(*, terminal=False, width=100):
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def shown(console):
    return console.file.getvalue()


def proposed(id, generation, parent=None):
    return {"kind": "proposed", "id": id, "generation": generation, "parent_id": parent}


def started(id, generation, slot=0):
    return {"kind": "started", "id": id, "generation": generation, "slot": slot, "attempt": 1}


def stepped(id, step, slot=0):
    progress = {
        "epoch": 1, "epochs": 2, "step": step, "steps": 10, "loss": 3.25, "images_per_second": 99.6
    }  # fmt: skip
    return {"kind": "progress", "id": id, "slot": slot, "progress": progress}


def done(id, generation, fitness):
    return {"kind": "done", "id": id, "generation": generation, "loss": 0.5, "fitness": fitness}


def closed(generation, best, fitness, clone=None, failed=0):
    return {
        "kind": "generation", "generation": generation, "done": 2, "failed": failed,
        "best_id": best, "best_fitness": fitness, "clone_fitness": clone,
    }  # fmt: skip


def play(console, *events, generations=3, mode="generations", before=()):
    evolution = EvolutionConfig(generations=generations, mode=mode)
    with search_display(console, evolution) as show:
        show.recall(before)
        for event in events:
            show(event)
        return show.bars.tasks[0]


def test_results_are_lines():
    console = screen()
    play(
        console,
        proposed("0", 0), started("0", 0), done("0", 0, 0.5), closed(0, "0", 0.5),
        proposed("1", 1, "0"), proposed("2", 1, "0"), proposed("c1", 1, "0"),
        started("1", 1), done("1", 1, 0.4), started("c1", 1), done("c1", 1, 0.3),
        started("2", 1), done("2", 1, 0.45), closed(1, "1", 0.4, clone=0.3),
    )  # fmt: skip
    assert shown(console).splitlines() == [
        "     0 ancestor: J 0.5000, loss 0.5000 best so far",
        "generation 0: best is 0 with J 0.5000",
        "     1 of    0: J 0.4000, loss 0.5000 best so far",
        "    c1 of    0: J 0.3000, loss 0.5000 clone",
        "     2 of    0: J 0.4500, loss 0.5000",
        "generation 1: best is 1 with J 0.4000; its clone 0.3000",
    ]


def test_failures_are_told_word_for_word():
    reason = "no such [/thing] as [[3,1,1,1]] in a line that is rather longer than a screen is wide"
    console = screen(width=60)
    play(
        console,
        proposed("0", 0), started("0", 0),
        {"kind": "lost", "id": "0", "outcome": "oom", "reason": "16 [TiB]"},
        {"kind": "failed", "id": "0", "generation": 0, "reason": reason},
    )  # fmt: skip
    assert shown(console).splitlines() == [
        "     0 oom, tried again: 16 [TiB]",
        f"     0 failed: {reason}",
    ]


def test_a_run_that_goes_on_knows_parents_bests_and_how_far_it_was():
    def known(birth, generation, status="done", fitness=None):
        return Individual(
            kind="mutant" if birth else "ancestor", birth=birth, generation=generation,
            parent_id="0" if birth else None, genotype=SPACE.ancestor, seed=0, num_parameters=1,
            num_macs=1, created_at=0.0, status=status, fitness=fitness,
        )  # fmt: skip

    before = [known(0, 0, fitness=0.5), known(1, 1, fitness=0.4), known(2, 1, "failed"),
              known(3, 1, "proposed")]  # fmt: skip
    console = screen()
    bar = play(console, started("3", 1), done("3", 1, 0.45), before=before)
    assert shown(console) == "     3 of    0: J 0.4500, loss 0.5000\n"
    assert (bar.description, bar.completed, bar.total) == ("generation 1 of 3", 3, 3)


def test_elsewhere_a_long_silence_is_broken(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    console = screen()
    with search_display(console, EvolutionConfig(generations=3)) as show:
        show(proposed("0", 0))
        show(started("0", 0))
        for step in range(1, 11):
            now[0] += 7
            show(stepped("0", step))
    line = "     0 epoch 1/2, loss 3.250, 100 images/s; generation 0 of 3: 0 of 1 trained"
    assert shown(console).splitlines() == [line, line]  # after 35 and 70 seconds


def test_on_a_terminal_there_are_bars():
    console = screen(terminal=True)
    with search_display(console, EvolutionConfig()) as show:
        for event in (proposed("0", 0), started("0", 0), stepped("0", 5)):
            show(event)
        show.bars.refresh()
    text = shown(console)
    assert "generation 0 " in text
    assert "0/1" in text
    assert "5/20" in text
    assert "epoch 1/2, loss 3.250, 100 images/s" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_data_that_is_built_is_told_once(terminal):
    console = screen(terminal=terminal)
    show = DataDisplay(console)
    for count in (1, 2, 3):
        show("crops of [train] at 38x38", count, 3)
    text = shown(console)
    assert text.count("\n") == 1
    assert "building crops of [train] at 38x38" in text
    assert ("3 of 3" in text) == terminal
    assert ("\r" in text) == terminal


def test_elsewhere_lines_stay_lines_and_on_a_terminal_words_stay_words():
    text = "device: " + "words " * 20 + "/a/path/that/is/long"
    console = screen(width=40)
    say(console, text)
    assert shown(console) == text + "\n"
    console = screen(terminal=True, width=40)
    say(console, text)
    lines = shown(console).splitlines()
    assert len(lines) > 2
    assert " ".join(" ".join(lines).split()) == text
    console = screen(terminal=True, width=10)
    say(console, "/a/path/that/is/long", exact=True)
    assert shown(console) == "/a/path/that/is/long\n"


def test_numbers_in_tables_are_not_broken_and_texts_are_no_markup():
    console = screen(width=42)
    rows = [{"J": "0.123456789", "loss": "0.987654321", "change": "stage 3 [/kernel] 3 to 5"}]
    console.print(table(rows, left=("change",)))
    text = shown(console)
    assert "0.123456789" in text
    assert "0.987654321" in text
    change = " ".join(line[26:].strip() for line in text.splitlines()[1:])
    assert change == "stage 3 [/kernel] 3 to 5"


def test_without_barriers_the_bar_counts_all_that_are_born():
    console = screen()
    events = (
        proposed("0", 0), started("0", 0), done("0", 0, 0.5), proposed("1", 1), started("1", 0),
        proposed("2", 2), started("2", 1), done("1", 1, 0.4),
    )  # fmt: skip
    bar = play(console, *events, mode="async")
    assert (bar.description, bar.completed, bar.total) == ("generation 2 of 3", 2, 3)


def test_workers_that_come_and_go_are_counted():
    console = screen()
    play(console, {"kind": "slots", "count": 3}, {"kind": "slots", "count": 0})
    assert shown(console).splitlines() == [
        "  3 workers now", "  0 workers now; the search waits for one",
    ]  # fmt: skip
