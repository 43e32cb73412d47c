"""Reductions to fewer dimensions: scikit-learn's objects behind one protocol.

A reduction's module is imported when its name is first asked for.
"""

from interp.reductions.reduction import REDUCTIONS, Estimator, Reduction, refuse_supervised

__all__ = ["REDUCTIONS", "Estimator", "Reduction", "refuse_supervised"]
