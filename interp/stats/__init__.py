"""Permutation tests, corrections and intervals; `TestedSeries` holds what they give."""
