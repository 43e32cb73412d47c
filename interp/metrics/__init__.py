"""Metrics as components: thin classes with declared properties over the maths in `functional`.

A metric's module is imported when its name is first asked for, so that a run depends on the code
of the metric that it uses and on no other's.
"""

from interp.metrics.metric import METRICS, Metric, TableMetric

__all__ = ["METRICS", "Metric", "TableMetric"]
