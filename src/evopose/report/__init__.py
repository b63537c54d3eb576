"""What a search found: tables, figures, one HTML page, and files for scripts."""

from evopose.report.facts import SearchFacts
from evopose.report.files import write_all, write_csv, write_report, write_results
from evopose.report.page import Picture
from evopose.report.reading import read_facts
from evopose.report.repeats import noise_of, noise_text, repeated, repeats_table
from evopose.report.tables import best_table, effects_table, failures_table, summary_lines

__all__ = [
    "Picture",
    "SearchFacts",
    "best_table",
    "effects_table",
    "failures_table",
    "noise_of",
    "noise_text",
    "read_facts",
    "repeated",
    "repeats_table",
    "summary_lines",
    "write_all",
    "write_csv",
    "write_report",
    "write_results",
]
