"""`evopose models`: what can be built, counted, beside what was published."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evopose.cli import app
from evopose.cli.options import JSON, VERBOSE, console, print_json, say, table

if TYPE_CHECKING:
    from evopose.models.published import Published


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A network at an input size; without figures where a genotype is needed first."""

    name: str
    summary: str
    input_hw: tuple[int, int]
    published: "Published | None"
    num_parameters: int | None = None
    num_trainable: int | None = None
    num_macs: int | None = None


@app.command()
def models(as_json: bool = JSON, verbose: bool = VERBOSE) -> None:
    """List the networks that can be built: parameters and multiply-adds, measured and published.

    Measured are the networks as built here, by running them on shapes. A published count follows
    the convention of its source; -v tells which, and where it cannot be reproduced.
    """
    rows = _rows()
    if as_json:
        print_json({"models": [_json(row) for row in rows]})
        return
    screen = console(as_json)
    notes = _notes(rows)
    screen.print(table([_cells(row, notes) for row in rows], left=("name", "notes")))
    say(screen, "")
    say(
        screen,
        "parameters: trainable ones and batch-norm statistics. published: millions of parameters "
        "/ billions of multiply-adds. AP: COCO val2017, with the HRNet authors' person boxes.",
    )
    for number, note in enumerate(notes, 1):
        say(screen, f"[{number}] {note}")
    if verbose:
        for row in rows:
            counted = row.published.convention if row.published else ""
            say(screen, f"{row.name}: {row.summary}{f'; published: {counted}' if counted else ''}")


def _rows() -> list[_Row]:
    from evopose.models import MODELS
    from evopose.models.published import PUBLISHED

    rows = []
    for name, entry in MODELS.items():
        of_paper = [one for one in PUBLISHED if one.model == name]
        rows_of: list[Published | None] = [*of_paper] or [None]
        for published in rows_of:
            size = published.input_hw if published else entry.input_hw
            counts = _counts(name, size)
            rows.append(
                _Row(name=name, summary=entry.summary, input_hw=size, published=published, **counts)
            )
    return rows


def _counts(name: str, input_hw: tuple[int, int]) -> dict[str, int]:
    from evopose.models import MODELS, build_model
    from evopose.models.complexity import complexity

    if MODELS[name].architecture == "evopose2d" and MODELS[name].genotype is None:
        return {}
    return asdict(complexity(build_model(name, input_hw=input_hw, outline=True), input_hw=input_hw))


def _json(row: _Row) -> dict[str, Any]:
    published = asdict(row.published) if row.published else None
    for known in ("model", "input_hw"):
        if published:
            del published[known]
    return {f: getattr(row, f) for f in row.__dataclass_fields__} | {"published": published}


def _notes(rows: list[_Row]) -> list[str]:
    """Return what is to be said of published figures, each once."""
    said: dict[str, None] = {}
    for row in rows:
        said |= dict.fromkeys(_said(row))
    return list(said)


def _said(row: _Row) -> list[str]:
    from evopose.models.published import MACS

    if row.published is None:
        return []
    one = row.published
    unusual = one.gflops is not None and one.convention != MACS
    return [
        *([f"published figure: {one.convention}"] if unusual else []),
        *([f"AP: {one.ap_of}"] if one.ap_of else []),
        *([one.note] if one.note else []),
    ]


def _cells(row: _Row, notes: list[str]) -> dict[str, str]:
    from evopose.report.text import count

    one = row.published
    return {
        "name": row.name,
        "input": f"{row.input_hw[0]}x{row.input_hw[1]}",
        "parameters": _millions(row.num_parameters),
        "trainable": _millions(row.num_trainable),
        "multiply-adds": count(row.num_macs),
        "published": f"{one.parameters_m} / {one.gflops}" if one and one.gflops else "",
        "AP": f"{one.ap}" if one and one.ap else "",
        "notes": "".join(
            f"[{number}]" for number in sorted(notes.index(s) + 1 for s in _said(row))
        ),
    }


def _millions(value: int | None) -> str:
    from evopose.report.text import number

    return "" if value is None else f"{number(value / 1e6, 3 if value < 1e8 else 4)} M"
