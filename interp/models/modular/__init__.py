"""Transformers of one block that do arithmetic modulo p, as Nanda et al. (2023) trained them."""

from interp.models.modular.effective_weights import EffectiveWeights, effective_weights
from interp.models.modular.last_position import (
    AllPairs,
    LastPosition,
    all_pairs,
    last_position,
)
from interp.models.modular.sources import ModularArithmetic, ModularCheckpoint
from interp.models.modular.transformer import ModularArithmeticForCausalLM

__all__ = [
    "AllPairs",
    "EffectiveWeights",
    "LastPosition",
    "ModularArithmetic",
    "ModularArithmeticForCausalLM",
    "ModularCheckpoint",
    "all_pairs",
    "effective_weights",
    "last_position",
]
