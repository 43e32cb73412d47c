"""A model's weights as matrices that read and write the residual stream, and its vocabulary."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel
    from interp.models.weights import MlpWeights, QueryKeyWeights, ValueOutputWeights

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ModelWeights:
    """The matrices of a model's blocks; a kind that cannot be separated is empty.

    Outputs are without their mean over dimensions if the model's norms subtract it (LayerNorm), so
    that nothing depends on what the model itself cannot see.

    Attributes:
        ov: the values and outputs of each layer.
        qk: the queries and keys of each layer.
        mlp: the MLP of each layer.
        missing: why a kind is empty, one sentence per reason.
    """

    ov: "tuple[ValueOutputWeights, ...]"
    qk: "tuple[QueryKeyWeights, ...]"
    mlp: "tuple[MlpWeights, ...]"
    missing: tuple[str, ...]

    @classmethod
    def of(cls, model: "LanguageModel") -> "ModelWeights":
        """Separate the weights of a model.

        Raises:
            ConfigError: no kind of matrix can be separated.
        """
        from interp.models.final_norm import final_norm
        from interp.models.weights import mlp_weights, query_key_weights, value_output_weights

        missing: list[str] = []

        def separated(read: "Callable[[LanguageModel, str], tuple[T, ...]]") -> tuple[T, ...]:
            try:
                return read(model, model.read_by_head)
            except ConfigError as error:
                missing.append(str(error))
                return ()

        norm = final_norm(model, model.read_by_head)
        ov, qk = separated(value_output_weights), separated(query_key_weights)
        mlp = separated(mlp_weights)
        if not (ov or qk or mlp):
            raise ConfigError(missing[0])
        return cls(
            tuple(replace(layer, output=norm.centred(layer.output)) for layer in ov),
            qk,
            tuple(replace(layer, output=norm.centred(layer.output)) for layer in mlp),
            # Several kinds may be missing for the same reason.
            tuple(dict.fromkeys(missing)),
        )


@dataclass(frozen=True, eq=False)
class VocabularySpace:
    """The matrices that map words to the residual stream and the stream to words.

    Attributes:
        embedding: [id, d], without what the norms subtract.
        unembedding: [id, d], the final norm's gain included.
        vocabulary: what the ids stand for.
    """

    embedding: NDArray[np.float32]
    unembedding: NDArray[np.float32]
    vocabulary: Vocabulary

    @classmethod
    def of(cls, model: "LanguageModel") -> "VocabularySpace":
        """Return those of a model with a language-model head."""
        from interp.models.final_norm import final_norm

        norm = final_norm(model, model.read_by_head)
        return cls(
            norm.centred(model.token_embedding),
            norm.folded(model.unembedding_matrix),
            model.vocabulary,
        )
