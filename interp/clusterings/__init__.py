"""Clusterings: scikit-learn's objects behind one protocol.

A clustering's module is imported when its name is first asked for.
"""

from interp.clusterings.clustering import CLUSTERINGS, Clustering, Labels

__all__ = ["CLUSTERINGS", "Clustering", "Labels"]
