"""The questions: one file an analysis, to be read from top to bottom."""
