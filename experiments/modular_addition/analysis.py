"""How does a transformer add modulo p? By rotations at a few frequencies.

Examines a transformer of one block that has learned it: the attention of its heads, the frequencies
of its weights, of its neurons and of its logits, and the loss with these frequencies alone and
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

from . import report
from .compatibility import architecture_of, require_pairs
from .fourier import power_shares
from .key_frequencies import chance_shares, key_frequencies_of_weights
from .logits import logit_waves
from .measurements import ExamplePattern, Measurements
from .model import ModularCheckpoint
from .neurons import components, neurons
from .predictions import predict
from .singular_vectors import singular_vectors
from .training_history import TrainingHistory

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
        """Check that the prompts are the pairs, and the split, that the model was trained on.

        Raises:
            ConfigError: they are not, with the settings to add.
        """
        given = asdict(require_pairs(source, prompt_source))
        trained_on = {} if source.is_drawn else architecture_of(source).trained_on
        wanted = " ".join(
            f"prompts.{key}={trained_on[key]}"
            for key, value in given.items()
            if key in trained_on and trained_on[key] != value
        )
        if wanted:
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
        """Measure the model for all pairs, and report and draw what was found."""
        from .figures import figures
        from .model.effective_weights import effective_weights
        from .model.transformer import ModularArithmeticForCausalLM

        if not isinstance(model.head, ModularArithmeticForCausalLM):
            raise TypeError(f"{model.title} has no unembedding")
        pairs = require_pairs(source, prompt_source).pairs()
        predictions = predict(
            model.head,
            pairs,
            split_is_known=not source.is_drawn and bool(architecture_of(source).trained_on),
            is_trained=not source.is_drawn,
        )
        weights = effective_weights(model.head).ordered(predictions.order)
        by_matrix = key_frequencies_of_weights(weights, rng)
        keys = by_matrix["W_logit"].keys
        by_chance = chance_shares(weights, by_matrix, rng)
        of_embedding = singular_vectors(weights.embedding, rng)
        by_neuron = neurons(predictions, rng)
        subject = f"{source.title} · {pairs.arithmetic}"
        found = Measurements(
            subject=subject,
            predictions=predictions,
            example=self._example(source, pairs.arithmetic.modulus),
            keys_by_matrix=by_matrix,
            chance_shares=by_chance,
            head_shares=np.array([power_shares(of_head) for of_head in weights.neurons]),
            singular_vectors=of_embedding,
            neurons=by_neuron,
            logits=logit_waves(predictions, keys, rng),
            components=components(predictions, by_neuron, keys, rng),
            history=_history(source, subject, keys, pairs.arithmetic.modulus),
        )
        return Result(
            spectra={
                **{f"power_{name}": of.share for name, of in by_matrix.items()},
                "singular_value_W_E": found.singular_vectors.values,
                "logit_coefficient": found.logits.waves.coefficients,
                "logit_share": found.logits.waves.shares,
                "singular_value_logits": found.logits.singular_values,
            },
            scalars=report.scalars(found),
            tables=report.tables(found),
            figures=figures(found),
            finding=report.finding(found),
        )

    def _example(self, source: ModelSource, modulus: int) -> ExamplePattern:
        """Capture the attention pattern of the prompt "a b =" in the one block."""
        from interp.forward.capture import capture

        tokens = (str(self.a % modulus), str(self.b % modulus), "=")
        prompt = from_marked({"one": [" ".join(tokens)]})
        # [layer, query, head, key] of one prompt.
        pattern = capture(source, prompt, Pattern(), All()).values[0]
        return ExamplePattern(pattern.swapaxes(0, 1), tokens)


def _history(
    source: ModelSource, subject: str, keys: tuple[int, ...], modulus: int
) -> TrainingHistory | None:
    """Return the training that made the weights, where the checkpoint keeps it."""
    if not isinstance(source, ModularCheckpoint):
        return None
    table = source.training()
    return None if table.empty else TrainingHistory(subject, table, keys, modulus)
