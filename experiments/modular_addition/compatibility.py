"""Checks that the model and the prompts belong to the same arithmetic."""

from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSource
from interp.models import ModelSource

from .prompts import ModularArithmetic

if TYPE_CHECKING:
    from .model.transformer import ModularArithmeticConfig

# With fewer numbers too many permutations mirror or rotate their order.
_FEWEST = 10


def architecture_of(source: ModelSource) -> "ModularArithmeticConfig":
    """Return the configuration of a transformer that reads "a b =".

    Raises:
        ConfigError: the model has another architecture.
    """
    from .model.transformer import ModularArithmeticConfig

    config = source.config()
    if not isinstance(config, ModularArithmeticConfig):
        raise ConfigError(
            f"model: {source.title} does not read 'a b ='; use model=modular_addition, or to train "
            "one model=modular_addition_untrained"
        )
    return config


def require_pairs(source: ModelSource, prompts: PromptSource) -> ModularArithmetic:
    """Return the prompt source, which makes all pairs of the model's numbers.

    Raises:
        ConfigError: other prompts, another kind of model, another modulus, multiplication modulo a
            number that is not prime, or too few numbers to test their frequencies.
    """
    modulus = architecture_of(source).modulus
    if not isinstance(prompts, ModularArithmetic):
        raise ConfigError("prompts: this analysis needs all pairs: prompts=modular_addition")
    if modulus != prompts.modulus:
        raise ConfigError(
            f"prompts.modulus: {source.title} reads numbers modulo {modulus}, the prompts are "
            f"modulo {prompts.modulus}; add prompts.modulus={modulus}, or train another: "
            "experiment=modular_addition_training"
        )
    pairs = prompts.pairs()
    order = pairs.arithmetic.order
    if len(order) < _FEWEST:
        raise ConfigError(
            f"prompts.modulus: {len(order)} numbers are too few to distinguish a frequency from "
            f"chance; at least {_FEWEST} are needed"
        )
    if not pairs.train[np.ix_(order, order)].any():
        raise ConfigError(
            f"prompts.train_fraction: {prompts.train_fraction} leaves no training pair without 0"
        )
    return prompts
