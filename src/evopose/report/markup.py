"""Pieces of HTML: tables, figures, sentences. Whatever comes in is escaped here."""

from collections.abc import Collection, Sequence
from html import escape

from evopose.report.plotting import Figure
from evopose.report.tables import Row, columns_of

BUTTONS = ("zoom2d", "pan2d", "resetScale2d", "toImage")
"""Plotly's buttons; named one by one, as among its own there is one that sends the figure away."""

NUMERIC = frozenset(
    {"rank", "J", "loss", "mean OKS", "parameters", "multiply-adds", "generation", "parent",
     "finished", "failed", "median change from parent", "median change from clone",
     "better than clone", "parameters inherited", "began with parent's function", "count",
     "latency", "children", "least inherited", "parent's loss", "loss at start", "loss at end",
     "J of the search", "J of the repeats", "mean of the repeats", "their deviation"}
)  # fmt: skip
"""Headings whose columns are aligned to the right."""


IDS = frozenset({"id", "parent"})
"""Headings whose cells name an individual: buttons that tell its details."""
PROSE = frozenset({"reason", "individuals"})
"""Headings whose columns may break their lines."""


class Figures:
    """Turns figures into HTML; the first brings Plotly's script along."""

    def __init__(self) -> None:
        self.count = 0
        self.named: set[str] = set()
        """Ids of the individuals that the figures so far show."""

    def html(self, figure: Figure, label: str) -> str:
        import plotly.io  # here: tables and summaries must not wait for it

        self.count += 1
        self.named |= {name for trace in figure["data"] for name in trace.get("customdata", ())}
        text = plotly.io.to_html(
            figure,
            include_plotlyjs=self.count == 1,
            full_html=False,
            div_id=f"figure-{self.count}",
            validate=False,
            config={"displaylogo": False, "responsive": True, "modeBarButtons": [BUTTONS]},
        )
        return f'<div role="img" aria-label="{escape(label)}">{text}</div>'


def table_html(
    rows: Sequence[Row],
    first: str = "",
    *,
    numeric: Collection[str] = NUMERIC,
    prose: Collection[str] = PROSE,
) -> str:
    names = columns_of(rows)
    kinds = {
        name: ' class="number"' if name in numeric else ' class="text"' if name in prose else ""
        for name in names
    }
    heads = "".join(f"<th{kinds[name]}>{escape(name)}</th>" for name in names)
    body = []
    for index, row in enumerate(rows):
        cells = "".join(
            f"<td{kinds[name]}>{pick(row[name]) if name in IDS else escape(row[name])}</td>"
            for name in names
        )
        body.append(
            f'<tr class="{first}">{cells}</tr>' if first and not index else f"<tr>{cells}</tr>"
        )
    return (
        f'<div class="scroll wide"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def pick(name: str) -> str:
    """Return an individual's id as a button that tells its details."""
    said = escape(name)
    return f'<button type="button" class="pick" data-id="{said}">{said}</button>' if name else ""


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
