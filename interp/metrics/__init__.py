"""Metrics as components: thin, declared classes over the maths in `similarity`."""

from interp.metrics import distributions, kernels, pairs, subspaces, vocabulary
from interp.metrics.metric import METRICS, Metric, TableMetric

__all__ = [
    "METRICS",
    "Metric",
    "TableMetric",
    "distributions",
    "kernels",
    "pairs",
    "subspaces",
    "vocabulary",
]
