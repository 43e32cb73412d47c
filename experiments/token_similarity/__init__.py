"""Similarity of two tokens at each layer."""
