"""Reductions to fewer dimensions: scikit-learn's objects behind one protocol."""

from interp.reductions import layouts, linear, supervised
from interp.reductions.reduction import (
    REDUCTIONS,
    Estimator,
    Reduction,
    refuse_supervised,
)

__all__ = [
    "REDUCTIONS",
    "Estimator",
    "Reduction",
    "layouts",
    "linear",
    "refuse_supervised",
    "supervised",
]
