"""A comparison of several runs: records in; tables, figures and sentences out."""

from interp.results.comparison.description import Scope, describe_runs, shorten, summarise
from interp.results.comparison.differences import (
    difference_table,
    find_differences,
    label_runs,
)
from interp.results.comparison.panels import draw_comparison
from interp.results.comparison.peaks import (
    Peak,
    are_jobs_of_one_sweep,
    find_peaks,
    format_peaks,
    peak_table,
)
from interp.results.comparison.records import RunRecord, finite_series

__all__ = [
    "Peak",
    "RunRecord",
    "Scope",
    "are_jobs_of_one_sweep",
    "describe_runs",
    "difference_table",
    "draw_comparison",
    "find_differences",
    "find_peaks",
    "finite_series",
    "format_peaks",
    "label_runs",
    "peak_table",
    "shorten",
    "summarise",
]
