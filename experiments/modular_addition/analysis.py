"""How does a transformer add modulo p? By rotations at a few frequencies.

Opens a transformer of one block that has learned it: where its heads look, the frequencies of its
weights, of its neurons and of its logits, and what is left of its answers with these alone and
without them (Nanda et al., 2023, "Progress measures for grokking via mechanistic
interpretability").
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.positions import All
from interp.data.prompts import PromptSource, from_marked
from interp.hooks.heads import Pattern
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES

from .attention_report import attention_report
from .fitting import config_of, prompts_for
from .logits_report import logits_of, logits_report
from .model import ModularCheckpoint
from .neurons_report import neurons_of, neurons_report
from .observed import observed
from .summary import Opened, summary
from .training_report import training_figure
from .weights_in_frequencies import by_chance, key_frequencies_of
from .weights_report import leading, weights_report

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@ANALYSES.register("modular_addition")
@dataclass(frozen=True)
class ModularAddition:
    """Attention, weights, neurons and logits of a transformer that does arithmetic modulo p.

    Attributes:
        a: the first number of the prompt whose attention is drawn, modulo p.
        b: its second number, modulo p.
    """

    a: int = 17
    b: int = 45

    def check(self, prompt_source: PromptSource, source: ModelSource) -> None:
        """Refuse other models, and prompts that are not of the model's arithmetic and pairs.

        Raises:
            ConfigError: saying which prompts would be.
        """
        prompts = prompts_for(source, prompt_source)
        known = config_of(source).trained_on if not source.is_drawn else {}
        given = asdict(prompts)
        differing = {key: known[key] for key in given if key in known and known[key] != given[key]}
        if differing:
            wanted = " ".join(f"prompts.{key}={value}" for key, value in differing.items())
            raise ConfigError(
                f"prompts: {source.title} was trained on other pairs; add {wanted}, or train one "
                "on these: experiment=modular_addition_training"
            )

    def __call__(
        self,
        prompt_source: PromptSource,
        source: ModelSource,
        model: "LanguageModel",
        rng: np.random.Generator,
    ) -> Result:
        """Open the model."""
        from interp.forward.capture import capture

        from .model.transformer import ModularArithmeticForCausalLM

        pairs = prompts_for(source, prompt_source).pairs()
        if not isinstance(model.head, ModularArithmeticForCausalLM):
            raise TypeError(f"{model.title} has no unembedding")
        seen = observed(
            model.head,
            pairs,
            knows_split=not source.is_drawn and bool(config_of(source).trained_on),
            is_trained=not source.is_drawn,
        )
        keys = key_frequencies_of(seen.weights, rng)
        model_keys = keys["W_logit"].keys
        found = Opened(
            seen,
            keys,
            by_chance(seen.weights, keys, rng),
            leading(seen.weights.embedding, rng),
            neurons_of(seen, rng),
            logits_of(seen, model_keys, rng),
        )
        told = f"{source.title} · {pairs.arithmetic}"
        place = "number"
        if pairs.arithmetic.operation == "multiplication":
            place = f"exponent of {seen.order[1]}"
        modulus = pairs.arithmetic.modulus
        one_tokens = (str(self.a % modulus), str(self.b % modulus), "=")
        prompt = from_marked({"one": [" ".join(one_tokens)]})
        # [layer, query, head, key] of the one block.
        one = capture(source, prompt, Pattern(), All()).values[0].swapaxes(0, 1)
        return Result.merged(
            [
                attention_report(seen, one, one_tokens, told=told, place=place),
                weights_report(seen, keys, found.spectrum, told=told, place=place),
                neurons_report(seen, found.neurons, model_keys, rng, told=told, place=place),
                logits_report(seen, found.logits, model_keys, told=told),
                _over_training(source, model_keys, told, modulus),
                summary(found),
            ]
        )


def _over_training(source: ModelSource, keys: tuple[int, ...], told: str, modulus: int) -> Result:
    """Return the curves of the training that made the weights, where they were kept."""
    import pandas as pd

    history = source.training() if isinstance(source, ModularCheckpoint) else pd.DataFrame()
    if history.empty:
        return Result()
    drawn = training_figure(history, keys, told, modulus)
    return Result(tables={"training": history}, figures={"training": drawn})
