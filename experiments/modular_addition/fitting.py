"""Whether model and prompts are of the same arithmetic."""

from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSource
from interp.models import ModelSource

from .prompts import ModularArithmetic

if TYPE_CHECKING:
    from .model.transformer import ModularArithmeticConfig

# The order of fewer numbers is repeated by too many of its shuffles, turned or mirrored.
_FEWEST = 10


def config_of(source: ModelSource) -> "ModularArithmeticConfig":
    """Return the configuration of a transformer that reads "a b =".

    Raises:
        ConfigError: the model is another one.
    """
    from .model.transformer import ModularArithmeticConfig

    config = source.config()
    if not isinstance(config, ModularArithmeticConfig):
        raise ConfigError(
            f"model: {source.title} does not read 'a b ='; use model=modular_addition, or to train "
            "one model=modular_addition_untrained"
        )
    return config


def prompts_for(source: ModelSource, prompts: PromptSource) -> ModularArithmetic:
    """Return the rule that made the prompts, which are all pairs of the model's numbers.

    Raises:
        ConfigError: other prompts, another kind of model, another modulus, multiplication modulo a
            number that is not prime, or too few numbers to tell frequencies from chance.
    """
    modulus = config_of(source).modulus
    if not isinstance(prompts, ModularArithmetic):
        raise ConfigError("prompts: this analysis asks for all pairs: prompts=modular_addition")
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
            f"prompts.modulus: {len(order)} numbers are too few to tell a frequency from a chance "
            f"order of them; {_FEWEST} or more are needed"
        )
    if not pairs.train[np.ix_(order, order)].any():
        raise ConfigError(
            f"prompts.train_fraction: {prompts.train_fraction} leaves no training pair without 0"
        )
    return prompts
