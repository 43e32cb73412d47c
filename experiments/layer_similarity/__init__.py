"""Similarity of two groups of prompts at each layer."""
