"""What several runs found, side by side: records in, tables, figures and words out."""

from interp.results.comparison.description import Asked, came_out, described, shortened
from interp.results.comparison.differences import difference_table, differences, labels
from interp.results.comparison.figures import pictures
from interp.results.comparison.peaks import Peak, are_jobs_of_one, peak_table, peaks, shown
from interp.results.comparison.records import Curve, RunRecord

__all__ = [
    "Asked",
    "Curve",
    "Peak",
    "RunRecord",
    "are_jobs_of_one",
    "came_out",
    "described",
    "difference_table",
    "differences",
    "labels",
    "peak_table",
    "peaks",
    "pictures",
    "shortened",
    "shown",
]
