"""Modular addition: what a transformer that has learned it does, and how it came to."""
