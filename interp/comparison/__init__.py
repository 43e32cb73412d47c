"""What several runs found, side by side: records in, tables, figures and words out."""

from interp.comparison.description import Asked, came_out, described, shortened
from interp.comparison.differences import difference_table, differences, labels
from interp.comparison.peaks import Peak, are_jobs_of_one, peak_table, peaks, shown
from interp.comparison.pictures import pictures
from interp.comparison.records import Curve, RunRecord

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
