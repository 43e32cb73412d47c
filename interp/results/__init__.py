"""The result of a run, its files and captions, and the comparison of several runs."""
