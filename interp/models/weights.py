"""A block's weights as matrices that act on the residual stream, whatever the architecture.

Where a head's query, key, value and output stand in fused, grouped or transposed projections is
told by the model itself. One forward pass of single tokens runs with every projection's output
replaced by codes, the numbers of its channels; which of them arrive at attention, head by head and
dimension by dimension, is the layout, and codes that leave attention tell the output projection's.
MLPs are told the same way, by which channels move which. What the model does between a projection
and attention other than sorting and scaling channels spoils the codes, and is refused: nothing
here is read off names, and nothing is fitted.

The gain and the shift of the norm in front of a projection are folded into it, as TransformerLens's
`fold_layer_norm` does, so that in a pre-norm model a matrix reads the normalised stream: the stream
less its mean and over its standard deviation (LayerNorm), or over its root mean square (RMSNorm).
In a post-norm model (BERT), and where there is no norm in front (OLMo 2), it reads the stream as it
is. What a block does with an output before adding it to the stream is not part of the output:
Granite's multiplier, the norm that Gemma 2 and OLMo 2 put there, BERT's norm of the sum.
"""

import copy
import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from interp.models.language_model import LanguageModel
from interp.models.tracing import (
    Call,
    Run,
    decoded,
    matrix_of,
    projections_in,
    same,
    traced,
    with_codes,
)
from interp.registry import ConfigError

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class QueryKeyWeights:
    """One block's queries and keys, the QK circuit of each head (Elhage et al., 2021).

    With x and y two vectors as the matrices read them, the attention score of x for y is
    `scale * (x @ query[h] + query_bias[h]) @ (y @ key[h] + key_bias[h])`, where both stand at the
    same position or the model knows no rotation. A rotary one goes in between, and what the model
    adds to scores (ALiBi, T5's bias) or makes of them (Gemma 2's soft cap) comes on top.

    Attributes:
        query: [head, d, d_head].
        key: [head, d, d_head]; heads that share a key, as in grouped-query attention, repeat it.
        query_bias: [head, d_head], the norm's shift included.
        key_bias: [head, d_head], the norm's shift included.
        scale: the factor of the product, as the model hands it to attention. A model that scales
            its queries before (OPT) hands on 1, and its factor is within `query`, rounded as the
            model rounds it.
        groups: how many of the heads' keys differ.
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

    A head that attends to x alone writes `(x @ value[h] + value_bias[h]) @ output[h]`; all heads
    together write the sum of that, and `output_bias`.

    Attributes:
        value: [head, d, d_head]; heads that share a value, as in grouped-query attention, repeat
            it.
        output: [head, d_head, d].
        value_bias: [head, d_head], the norm's shift included.
        output_bias: [d], which belongs to no head.
        groups: how many of the heads' values differ.
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
            a fused one (Phi-3), "up" is the half that enters as it is and "gate" the half that an
            activation function is applied to.
        biases: [m] by the same names, the norm's shift included.
        output: [m, d]: the neurons' activations times it, and `output_bias`, are what the MLP
            gives.
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
            queries and keys are no linear map of its residual stream: Qwen 3 and Gemma 3 norm
            them, DeepSeek passes them through a latent.
    """
    found = []
    for query, key, scale in with_codes(model, choice, _queries_and_keys):
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
            are no linear map of its residual stream (DeepSeek passes them through a latent), or
            what attention gives is changed before it is projected.
    """
    found = []
    for value, output in with_codes(model, choice, _values_and_outputs):
        (values, value_bias), (outputs, output_bias) = value.weights(), output.weights()
        found.append(ValueOutputWeights(values, outputs, value_bias, output_bias, value.groups))
    return tuple(found)


def mlp_weights(model: LanguageModel, choice: str = "auto") -> tuple[MlpWeights, ...]:
    """Return each block's MLP, in float32; attention may be of any kind.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: some block has a mixture of experts, or not one MLP of projections around
            something elementwise.
    """
    found = []
    for layout in traced(model, choice, (_N_BITS + 2, 2), _moved, _mlp):
        folded = [(name, part.columns()) for name, part in layout.parts.items()]
        weight, bias = matrix_of(layout.output), _bias(layout.output)
        found.append(
            MlpWeights(
                inputs={name: _array(columns) for name, (columns, _) in folded},
                biases={name: _array(shift) for name, (_, shift) in folded},
                output=_array(weight),
                output_bias=_array(bias),
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class FinalNorm:
    """The norm between the last block and the unembedding.

    Attributes:
        gain: what each dimension of the normalised stream is multiplied by, [d]; ones where there
            is no such norm, as in a post-norm model.
        centres: whether it takes off the stream's mean, as LayerNorm does and RMSNorm does not.
        module: the norm itself, one that changes nothing where there is none.
    """

    gain: Array
    centres: bool
    module: nn.Module

    @torch.inference_mode()
    def applied(self, vectors: Array) -> Array:
        """Return vectors [..., d] of the residual stream as the unembedding reads them."""
        weight = next(self.module.parameters(), torch.empty(0))
        return _array(self.module(torch.tensor(vectors).to(weight)))

    def folded(self, unembedding: Array) -> Array:
        """Return the unembedding [id, d] as it reads the normalised stream."""
        return self.centred(unembedding * self.gain)

    def centred(self, vectors: Array) -> Array:
        """Return vectors [..., d] of the stream without what no norm lets through: their mean."""
        return vectors - vectors.mean(-1, keepdims=True) if self.centres else vectors


def final_norm(model: LanguageModel, choice: str = "auto") -> FinalNorm:
    """Return the norm between the last block and the unembedding.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: the blocks cannot be found.
    """
    stack = model.stack(choice)
    last = stack.blocks[-1].removeprefix(f"{stack.root}.")

    def norm_after(run: "Run") -> tuple[nn.Module, int]:
        place = next(i for i, call in enumerate(run.calls) if call.path == last)
        leaving = run.calls[place].returned
        norms = (c for c in run.calls[place:] if c.is_norm and same(c.given, leaving))
        return next((call.module for call in norms), nn.Identity()), leaving.shape[-1]

    def as_it_is(_run: "Run", output: Tensor) -> Tensor:
        return output

    # Of several tokens, since the embedding of padding may be 0, which no norm changes.
    ((norm, width),) = traced(model, choice, (3, 1), as_it_is, norm_after, (stack.root,))
    gain, _, centres = _gain_and_shift(norm, width)
    return FinalNorm(_array(gain), centres, norm)


@dataclass(frozen=True, eq=False)
class _Reader:
    """A projection of the residual stream, and the norm in front of it, which may be no change."""

    projection: nn.Module
    norm: nn.Module

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the weight [d, n] with the norm's gain, and the bias [n] with its shift.

        Behind a norm that takes off the mean what a column has in common reads nothing, and is
        taken off too.
        """
        weight, bias = matrix_of(self.projection).float(), _bias(self.projection).float()
        gain, shift, centres = _gain_and_shift(self.norm, len(weight))
        read = gain.to(weight)[:, None] * weight
        return read - centres * read.mean(0), shift.to(weight) @ weight + bias


@dataclass(frozen=True, eq=False)
class _Heads:
    """Which channels the vectors at attention consist of.

    Attributes:
        readers: the projections, by the number of their first channel.
        channels: the numbers [head, d_head] of the channels.
        factors: [head, d_head], what they are multiplied by.
    """

    readers: dict[int, _Reader]
    channels: NDArray[np.int64]
    factors: Array

    @property
    def groups(self) -> int:
        """How many of the heads differ."""
        return len(np.unique(self.channels, axis=0))

    def weights(self) -> tuple[Array, Array]:
        """Return the matrices [head, d, d_head] and the biases [head, d_head]."""
        folded = {start: reader.folded() for start, reader in self.readers.items()}
        (width,) = {len(weight) for weight, _ in folded.values()}
        weights = np.zeros((*self.channels.shape, width), np.float32)
        biases = np.zeros(self.channels.shape, np.float32)
        for start, (weight, bias) in folded.items():
            here = (self.channels >= start) & (self.channels < start + len(bias))
            columns, factors = self.channels[here] - start, self.factors[here]
            weights[here] = _array(weight).T[columns] * factors[:, None]
            biases[here] = _array(bias)[columns] * factors
        return weights.swapaxes(1, 2), biases


@dataclass(frozen=True, eq=False)
class _Output:
    """The projection of what attention gives: its rows [head, d_head], and their factors."""

    projection: nn.Module
    rows: NDArray[np.int64]
    factors: Array

    def weights(self) -> tuple[Array, Array]:
        """Return the matrices [head, d_head, d] and the bias [d]."""
        weight = _array(matrix_of(self.projection))
        return weight[self.rows] * self.factors[..., None], _array(_bias(self.projection))


def _queries_and_keys(run: Run) -> tuple[_Heads, _Heads, float]:
    (attention,) = run.attention
    query = _heads(run, attention.query, len(attention.query[0]), "queries")
    key = _heads(run, attention.key, len(attention.query[0]), "keys")
    return query, key, attention.scale


def _values_and_outputs(run: Run) -> tuple[_Heads, _Output]:
    (attention,) = run.attention
    n_heads, width = len(attention.query[0]), attention.value.shape[-1]
    for call in run.projections[len(run.before_attention) :]:
        if call.given.shape[-1] != n_heads * width or len(call.given) != run.shape[0]:
            continue
        numbers, factors = decoded(run.rows(call.given)[:, 0])
        if np.array_equal(np.sort(numbers), np.arange(n_heads * width)):
            # The column that attention's number i arrives at.
            rows = np.argsort(numbers).reshape(n_heads, width)
            output = _Output(call.module, rows, factors[rows])
            return _heads(run, attention.value, n_heads, "values"), output
    raise ConfigError(
        f"{run.title}: what its attention gives is changed before it is projected, as by a norm or "
        "a gate; its heads write nothing that is linear in their values"
    )


def _heads(run: Run, codes: Tensor, n_heads: int, what: str) -> _Heads:
    """Return which channels the codes [row, head, d_head] come from, one row a query head.

    Raises:
        ConfigError: they are no channels of projections of the block's residual stream.
    """
    refused = (
        f"{run.title}: the {what} of its attention are not a linear map of the residual stream"
    )
    numbers, factors = decoded(codes)
    n_channels = sum(call.returned.shape[-1] for call in run.before_attention)
    each_once = all(len(set(head)) == len(head) for head in numbers.tolist())
    if not each_once or numbers.min() < 0 or numbers.max() >= n_channels:
        raise ConfigError(
            f"{refused}: between the projections and attention something other than sorting and "
            "scaling is done with them, such as a norm"
        )
    stop, readers = 0, {}
    for call in run.before_attention:
        start, stop = stop, stop + call.returned.shape[-1]
        if not ((numbers >= start) & (numbers < stop)).any():
            continue
        norms = [c for c in run.norms_before(call) if same(c.given, run.given)]
        if not norms and not same(call.given, run.given):
            raise ConfigError(
                f"{refused}: {call.path} projects something else than the stream that enters the "
                "block, or a norm of it"
            )
        readers[start] = _Reader(call.module, norms[0].module if norms else nn.Identity())
    # As every attention function does where there are fewer keys and values than queries.
    repeats = n_heads // len(numbers)
    return _Heads(readers, numbers.repeat(repeats, 0), factors.repeat(repeats, 0))


@dataclass(frozen=True, eq=False)
class _Part:
    """Channels of a projection that a neuron each reads with."""

    reader: _Reader
    channels: slice

    def columns(self) -> tuple[Tensor, Tensor]:
        """Return the weight [d, m] and the bias [m]."""
        weight, bias = self.reader.folded()
        return weight[:, self.channels], bias[self.channels]


@dataclass(frozen=True, eq=False)
class _Mlp:
    """The parts that an MLP's neurons read with, by name, and the projection of the neurons."""

    parts: dict[str, _Part]
    output: nn.Module


# So many draws that no wrong layout agrees with all of them in every neuron.
_N_BITS = 24
# The least that any activation function changes, between the two values that it is given.
_CHANGE = 0.05


def _bits(projection: int, n: int) -> NDArray[np.bool_]:
    """Return which of the n channels of a block's projection, by its number, move in which row."""
    return np.random.default_rng(projection).random((_N_BITS, n)) < 0.5


def _moved(run: Run, output: Tensor) -> Tensor:
    """Return ones, then ones with the first token moved, then ones with some channels moved."""
    n_rows, n_tokens = run.shape
    n = output.shape[-1]
    codes = torch.ones(n_rows, n_tokens, n)
    codes[1, 0] = 2
    codes[2:] += torch.from_numpy(_bits(len(run.projections), n))[:, None]
    return run.spread(codes, output)


def _mlp(run: Run) -> _Mlp:
    width = run.given.shape[-1]
    found = []
    for call in run.projections:
        n_neurons = call.given.numel() // math.prod(run.shape)
        if call.returned.shape[-1] == width and call.given.shape[-1] == n_neurons:
            parts = _moving(run, call)
            if parts:
                found.append((call, parts))
    shapes = {matrix_of(call.module).shape for call, _ in found}
    ran = {call.module for call in run.projections}
    idle = [m for m in projections_in(run.module) if m not in ran and matrix_of(m).shape in shapes]
    sent = [c for c in run.projections if len(c.given.flatten(0, -2)) < math.prod(run.shape)]
    if idle or (sent and not found) or _has_experts(run.module):
        raise ConfigError(
            f"{run.title}: its MLP is a mixture of experts, which has no weights of its own that "
            "every token meets"
        )
    if len(found) != 1:
        raise ConfigError(
            f"{run.title}: its MLP cannot be told from its structure: {len(found)} of its "
            "projections read, neuron by neuron, what other projections of the same token give"
        )
    ((call, parts),) = found
    return _Mlp(parts, call.module)


def _moving(run: Run, output: Call) -> dict[str, _Part]:
    """Return the parts of projections whose channels move the output's inputs one by one.

    Empty where other tokens move them too, as in attention, or where channels mix.
    """
    base, elsewhere, *rest = run.rows(output.given)[:, -1].float().cpu().numpy()
    least = _CHANGE * np.abs(base)
    changes = np.stack(rest) - base
    moved = np.abs(changes) > least
    n, width = len(base), run.given.shape[-1]
    bits: dict[tuple[Call, int], NDArray[np.bool_]] = {}
    for i, call in enumerate(run.projections):
        n_channels = call.returned.shape[-1]
        if call is not output and call.given.shape[-1] == width and n_channels % n == 0:
            drawn = _bits(i, n_channels)
            parts = {start: drawn[:, start : start + n] for start in range(0, n_channels, n)}
            bits |= {(call, start): b for start, b in parts.items() if not (b & ~moved).any()}
    from_elsewhere = (np.abs(elsewhere - base) > least).any()
    if not bits or from_elsewhere or not np.array_equal(np.any(list(bits.values()), 0), moved):
        return {}

    def enters_as_it_is(part: tuple[Call, int]) -> bool:
        # What is moved alone, from 1 to 2, doubles what comes of it.
        alone = bits[part] & (np.sum(list(bits.values()), 0) == 1)
        return not (alone & (np.abs(changes - base) > least)).any()

    # The norm's output is the stream itself where blocks end in one.
    post_norm = any(c.is_norm and same(c.returned, run.calls[-1].returned) for c in run.calls)
    last_names = [call.path.rpartition(".")[2] for call in {call: () for call, _ in bits}]
    found = {}
    for call, start in bits:
        norms = [] if post_norm else run.norms_before(call)
        norm = norms[0].module if norms else nn.Identity()
        name = call.path.rpartition(".")[2]
        if last_names.count(name) > 1:
            name = call.path
        fused = {part[1]: enters_as_it_is(part) for part in bits if part[0] is call}
        if len(fused) == 2 and sum(fused.values()) == 1:
            name = "up" if fused[start] else "gate"
        elif len(fused) > 1:
            name += f".{start // n}"
        found[name] = _Part(_Reader(call.module, norm), slice(start, start + n))
    return found


def _has_experts(block: nn.Module) -> bool:
    return any(
        weight.ndim > 2
        for module in block.modules()
        if not isinstance(module, _ConvNd)
        for weight in module.parameters(recurse=False)
    )


def _bias(projection: nn.Module) -> Tensor:
    weight, bias = matrix_of(projection), cast("Tensor | None", projection.bias)
    return weight.new_zeros(weight.shape[1]) if bias is None else bias.detach()


def _gain_and_shift(norm: nn.Module, width: int) -> tuple[Tensor, Tensor, bool]:
    """Return what a norm multiplies the normalised vector by and adds, [d], and if it centres.

    The norm says so itself, however its weight is stored (Gemma's gain is 1 + its weight): signs
    that alternate have no mean, and are so large here that the norm's epsilon is nothing to them.

    Raises:
        ConfigError: the module is no norm, as its output goes with the size of its input.
    """
    if isinstance(norm, nn.Identity):
        return torch.ones(width), torch.zeros(width), False
    device = next((weight.device for weight in norm.parameters()), torch.device("cpu"))
    signs = 1.0 - 2.0 * (torch.arange(width, device=device) % 2)
    norm = copy.deepcopy(norm).float()
    with torch.inference_mode():
        up, down, larger = (
            norm(size * signs[None, None])[0, 0] for size in (2.0**10, -(2.0**10), 2.0**11)
        )
        level = norm(torch.full_like(signs, 2.0**10)[None, None])[0, 0]
    if not torch.allclose(up, larger):
        raise ConfigError(f"{type(norm).__name__} scales with what it is given: it is no norm")
    gain, shift = (up - down) / 2 * signs, (up + down) / 2
    # A level vector is all mean.
    return gain, shift, torch.allclose(level, shift, atol=1e-4 * float(gain.abs().max()))


def _array(tensor: Tensor) -> Array:
    # A copy: a change to what is returned is none to the model.
    copied = tensor.detach().to(
        "cpu", torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    return cast("Array", copied.numpy())
