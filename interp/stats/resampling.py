"""The former names of `interp.stats.intervals`, until the questions use the new ones."""

from interp.stats.intervals import bootstrap_interval as interval
from interp.stats.intervals import resample_counts as times_drawn

__all__ = ["interval", "times_drawn"]
