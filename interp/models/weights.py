"""A block's weights as matrices that act on the residual stream, whatever the architecture.

The channels of the projections are found by tracing (`head_layout`, `mlp_layout`). A model that
does more between a projection and attention than sort and scale channels has no such matrix, and is
refused: no name is used, and nothing is fitted.

The gain and the shift of the norm in front of a projection are folded into it, as TransformerLens's
`fold_layer_norm` does, so that in a pre-norm model a matrix reads the normalised stream: the stream
less its mean and over its standard deviation (LayerNorm), or over its root mean square (RMSNorm).
In a post-norm model (BERT), and where the projection has no norm in front (OLMo 2), it reads the
stream itself. What a block applies to an output before adding it to the stream is not part of the
output: Granite's multiplier, the norm of Gemma 2 and OLMo 2, BERT's norm of the sum.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.channel_codes import trace_codes
from interp.models.final_norm import as_array, gain_and_shift
from interp.models.head_layout import OutputRows, channels, output_rows
from interp.models.language_model import LanguageModel
from interp.models.mlp_layout import mlp_layouts
from interp.models.projections import matrix_of
from interp.models.tracing import Run, same

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class QueryKeyWeights:
    """One block's queries and keys, the QK circuit of each head (Elhage et al., 2021).

    With x and y two vectors as the matrices read them, the attention score of x for y is
    `scale * (x @ query[h] + query_bias[h]) @ (y @ key[h] + key_bias[h])`, where both stand at the
    same position or the model has no rotary positions. A rotation is applied in between, and what
    the model adds to scores (ALiBi, T5's bias) or applies to them (Gemma 2's soft cap) comes after.

    Attributes:
        query: [head, d, d_head].
        key: [head, d, d_head]; heads that share a key, as in grouped-query attention, repeat it.
        query_bias: [head, d_head], the norm's shift included.
        key_bias: [head, d_head], the norm's shift included.
        scale: the factor of the product in the model's call of attention. In a model that scales
            its queries before (OPT) it is 1, and the factor is part of `query`, rounded as the
            model rounds it.
        groups: how many different keys the heads have.
    """

    query: Array
    key: Array
    query_bias: Array
    key_bias: Array
    scale: float
    groups: int


@dataclass(frozen=True, eq=False)
class ValueOutputWeights:
    """One block's values and outputs, the OV circuit of each head (Elhage et al., 2021).

    A head that attends to x alone adds `(x @ value[h] + value_bias[h]) @ output[h]` to the stream;
    all heads together add the sum of these and `output_bias`.

    Attributes:
        value: [head, d, d_head]; heads that share a value, as in grouped-query attention, repeat
            it.
        output: [head, d_head, d].
        value_bias: [head, d_head], the norm's shift included.
        output_bias: [d], which belongs to no head.
        groups: how many different values the heads have.
    """

    value: Array
    output: Array
    value_bias: Array
    output_bias: Array
    groups: int


@dataclass(frozen=True, eq=False)
class MlpWeights:
    """One block's MLP, whose m neurons read with `inputs` and write with `output`.

    Attributes:
        inputs: [d, m] by the projection's own last name: "c_fc", or "gate_proj" and "up_proj". Of
            a fused one (Phi-3), "gate" is the half that an activation function is applied to and
            "up" its factor.
        biases: [m] by the same names, the norm's shift included.
        output: [m, d]: the MLP's output is the neurons' activations times it plus `output_bias`.
        output_bias: [d].
    """

    inputs: dict[str, Array]
    biases: dict[str, Array]
    output: Array
    output_bias: Array


def query_key_weights(model: LanguageModel, choice: str = "auto") -> tuple[QueryKeyWeights, ...]:
    """Return the queries and keys of each block's self-attention, in float32.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: attention is not called through transformers' interface, or some block's
            queries and keys are not a linear map of its residual stream: Qwen 3 and Gemma 3
            normalise them, DeepSeek passes them through a latent.
    """
    found = []
    for query, key, scale in trace_codes(model, choice, _queries_and_keys):
        (queries, query_bias), (keys, key_bias) = query.weights(), key.weights()
        found.append(QueryKeyWeights(queries, keys, query_bias, key_bias, scale, key.groups))
    return tuple(found)


def value_output_weights(
    model: LanguageModel, choice: str = "auto"
) -> tuple[ValueOutputWeights, ...]:
    """Return the values and outputs of each block's self-attention, in float32.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: attention is not called through transformers' interface, some block's values
            are not a linear map of its residual stream (DeepSeek passes them through a latent),
            or attention's output is changed before it is projected.
    """
    found = []
    for value, output in trace_codes(model, choice, _values_and_outputs):
        (values, value_bias), projection = value.weights(), output.call.module
        outputs = as_array(matrix_of(projection))[output.rows] * output.factors[..., None]
        bias = as_array(_bias(projection))
        found.append(ValueOutputWeights(values, outputs, value_bias, bias, value.groups))
    return tuple(found)


def mlp_weights(model: LanguageModel, choice: str = "auto") -> tuple[MlpWeights, ...]:
    """Return each block's MLP, in float32; attention may be of any kind.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: some block has a mixture of experts, or no MLP of projections around
            an elementwise function, or several.
    """
    found = []
    for layout in mlp_layouts(model, choice):
        inputs, biases = {}, {}
        for name, part in layout.parts.items():
            weight, bias = _Reader(part.call.module, part.norm).folded()
            inputs[name] = as_array(weight[:, part.channels])
            biases[name] = as_array(bias[part.channels])
        output = layout.output.module
        found.append(
            MlpWeights(inputs, biases, as_array(matrix_of(output)), as_array(_bias(output)))
        )
    return tuple(found)


def check_embedding_width(model: LanguageModel) -> None:
    """Refuse a token embedding of another width than the residual stream.

    No weight that reads or writes the stream can then be compared with the vocabulary.

    Raises:
        ConfigError: such an embedding, as in ALBERT and ELECTRA.
    """
    path = model.embedding(model.stack(model.read_by_head))
    width = int(model.module.get_submodule(path).weight.shape[-1])
    if width != model.width:
        raise ConfigError(
            f"model: the token embedding of {model.title} has {width} dimensions and its residual "
            f"stream {model.width}, so that no weight can be read in the vocabulary"
        )


@dataclass(frozen=True, eq=False)
class _Reader:
    """A projection of the residual stream, and the norm of its input, which may be the identity."""

    projection: nn.Module
    norm: nn.Module

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the weight [d, n] with the norm's gain, and the bias [n] with its shift.

        After a norm that subtracts the mean, the mean of a column has no effect, and is subtracted
        too.
        """
        weight, bias = matrix_of(self.projection).float(), _bias(self.projection).float()
        gain, shift, centres = gain_and_shift(self.norm, len(weight))
        read = gain.to(weight)[:, None] * weight
        return read - centres * read.mean(0), shift.to(weight) @ weight + bias


@dataclass(frozen=True, eq=False)
class _Heads:
    """The projections and channels of the vectors at attention.

    Attributes:
        readers: the projections, by the number of their first channel.
        numbers: the numbers [head, d_head] of the channels.
        factors: [head, d_head], by which they are multiplied.
    """

    readers: dict[int, _Reader]
    numbers: NDArray[np.int64]
    factors: Array

    @property
    def groups(self) -> int:
        """How many different vectors the heads have."""
        return len(np.unique(self.numbers, axis=0))

    def weights(self) -> tuple[Array, Array]:
        """Return the matrices [head, d, d_head] and the biases [head, d_head]."""
        folded = {start: reader.folded() for start, reader in self.readers.items()}
        (width,) = {len(weight) for weight, _ in folded.values()}
        weights = np.zeros((*self.numbers.shape, width), np.float32)
        biases = np.zeros(self.numbers.shape, np.float32)
        for start, (weight, bias) in folded.items():
            here = (self.numbers >= start) & (self.numbers < start + len(bias))
            columns, factors = self.numbers[here] - start, self.factors[here]
            weights[here] = as_array(weight).T[columns] * factors[:, None]
            biases[here] = as_array(bias)[columns] * factors
        return weights.swapaxes(1, 2), biases


def _queries_and_keys(run: Run) -> tuple[_Heads, _Heads, float]:
    query = _heads(run, run.attention.query, "queries")
    return query, _heads(run, run.attention.key, "keys"), run.attention.scale


def _values_and_outputs(run: Run) -> tuple[_Heads, OutputRows]:
    output = output_rows(run)
    return _heads(run, run.attention.value, "values"), output


def _heads(run: Run, codes: Tensor, what: str) -> _Heads:
    """Return the projections and channels of the vectors at attention, one row per query head.

    Raises:
        ConfigError: they are not channels of projections of the block's residual stream.
    """
    found = channels(run, codes, what)
    readers = {}
    for start, call in found.calls.items():
        norms = [c for c in run.norms_before(call) if same(c.given, run.given)]
        if not norms and not same(call.given, run.given):
            raise ConfigError(
                f"{run.title}: the {what} of its attention are not a linear map of the residual "
                f"stream: {call.path} projects something other than the stream that enters "
                "the block, or its norm"
            )
        readers[start] = _Reader(call.module, norms[0].module if norms else nn.Identity())
    # With fewer keys and values than queries, every attention function repeats them.
    repeats = run.attention.query.shape[1] // len(found.numbers)
    return _Heads(readers, found.numbers.repeat(repeats, 0), found.factors.repeat(repeats, 0))


def _bias(projection: nn.Module) -> Tensor:
    weight, bias = matrix_of(projection), cast("Tensor | None", projection.bias)
    return weight.new_zeros(weight.shape[1]) if bias is None else bias.detach()
