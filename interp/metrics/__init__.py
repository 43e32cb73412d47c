"""Metrics as components: thin, declared classes over the maths in `similarity`."""

from interp.metrics import distributions, kernels, pairs, subspaces, vocabulary
from interp.metrics.metric import METRICS, Metric

__all__ = ["METRICS", "Metric", "distributions", "kernels", "pairs", "subspaces", "vocabulary"]
