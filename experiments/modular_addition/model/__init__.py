"""Transformers of one block that do arithmetic modulo p, as Nanda et al. (2023) trained them."""

from .sources import ModularArithmetic, ModularCheckpoint

__all__ = ["ModularArithmetic", "ModularCheckpoint"]
