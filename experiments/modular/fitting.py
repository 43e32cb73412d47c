"""Whether model and prompts are of the same arithmetic."""

from interp.models import ModelSource
from interp.models.modular.transformer import ModularArithmeticConfig
from interp.prompts import ModularArithmetic, PromptSource
from interp.registry import ConfigError


def config_of(source: ModelSource) -> ModularArithmeticConfig:
    """Return the configuration of a transformer that reads "a b =".

    Raises:
        ConfigError: the model is another one.
    """
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
        ConfigError: other prompts, another kind of model, or another modulus.
    """
    modulus = config_of(source).modulus
    if not isinstance(prompts, ModularArithmetic):
        raise ConfigError("prompts: this analysis asks for all pairs: prompts=modular_addition")
    if modulus != prompts.modulus:
        raise ConfigError(
            f"prompts.modulus: {source.title} reads numbers modulo {modulus}, the prompts are "
            f"modulo {prompts.modulus}; add prompts.modulus={modulus}"
        )
    return prompts
