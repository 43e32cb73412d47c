"""Prompts, positions and activations: what a model reads, which tokens, and the values."""
