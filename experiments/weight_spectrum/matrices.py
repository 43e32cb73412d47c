"""A model's weights as matrices that read the residual stream and write to it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.metrics.functional.points import Array
from interp.metrics.functional.spectra import effective_rank

from .low_rank import factored_svd

if TYPE_CHECKING:
    from interp.models.final_norm import FinalNorm
    from interp.models.language_model import LanguageModel
    from interp.models.weights import MlpWeights, QueryKeyWeights, ValueOutputWeights

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Weights:
    """What of a model's weights can be told apart; empty where it cannot.

    Attributes:
        ov: the values and outputs of each layer.
        qk: the queries and keys of each layer.
        mlp: the MLP of each layer.
        missing: why something is empty, a sentence each.
    """

    ov: "tuple[ValueOutputWeights, ...]"
    qk: "tuple[QueryKeyWeights, ...]"
    mlp: "tuple[MlpWeights, ...]"
    missing: tuple[str, ...]

    def centred(self, norm: "FinalNorm") -> "Weights":
        """Return what is written without what the norms take off anyhow."""
        return replace(
            self,
            ov=tuple(replace(layer, output=norm.centred(layer.output)) for layer in self.ov),
            mlp=tuple(replace(layer, output=norm.centred(layer.output)) for layer in self.mlp),
        )

    @classmethod
    def of(cls, model: "LanguageModel") -> "Weights":
        """Tell them apart.

        Raises:
            ConfigError: nothing can be.
        """
        from interp.models.weights import mlp_weights, query_key_weights, value_output_weights

        missing: list[str] = []

        def told(read: "Callable[[LanguageModel, str], tuple[T, ...]]") -> tuple[T, ...]:
            try:
                return read(model, model.read_by_head)
            except ConfigError as error:
                missing.append(str(error))
                return ()

        ov, qk = told(value_output_weights), told(query_key_weights)
        mlp = told(mlp_weights)
        if not (ov or qk or mlp):
            raise ConfigError(missing[0])
        # What is empty for one and the same reason is explained once.
        return cls(ov, qk, mlp, tuple(dict.fromkeys(missing)))


def refuse_factorised(model: "LanguageModel") -> None:
    """Refuse a token embedding of another width than the residual stream.

    Raises:
        ConfigError: as in ALBERT and ELECTRA.
    """
    path = model.embedding(model.stack(model.read_by_head))
    width = int(model.module.get_submodule(path).weight.shape[-1])
    if width != model.width:
        raise ConfigError(
            f"model: the token embedding of {model.title} has {width} dimensions and its residual "
            f"stream {model.width}, so that no weight can be read in the vocabulary"
        )


@dataclass(frozen=True, eq=False)
class Part:
    """One kind of matrix at every layer, as singular values and leading directions.

    Attributes:
        name: "OV", "QK", "MLP in (c_fc)", "MLP out".
        values: singular values, [layer, head, k]; of an MLP the one "head" is all of it.
        reads: leading left directions, which what is read is projected on, [layer, head, c, d];
            empty where the left side is no residual stream.
        writes: leading right directions, [layer, head, c, d]; empty for an MLP's input.
        shape: of each matrix, one of whose sides is the residual stream.
        both_read: whether both sides read, as queries and keys do.
        heads: whether there are heads.
    """

    name: str
    values: Array
    reads: Array
    writes: Array
    shape: tuple[int, int]
    both_read: bool = False
    heads: bool = True

    @property
    def key(self) -> str:
        """The name as metrics and files are named: "mlp_in_c_fc"."""
        return re.sub(r"\W+", "_", self.name.lower()).strip("_")

    @property
    def effective_rank(self) -> Array:
        """The effective rank of each matrix, [layer, head]."""
        return effective_rank(self.values)


def parts(weights: Weights, components: int) -> list[Part]:
    """Decompose every matrix, and keep so many leading directions of each."""
    found = []
    if weights.ov:
        pairs = [(layer.value, layer.output) for layer in weights.ov]
        found.append(_products("OV", pairs, components))
    if weights.qk:
        pairs = [(layer.query, np.swapaxes(layer.key, 1, 2)) for layer in weights.qk]
        found.append(_products("QK", pairs, components, both_read=True))
    if weights.mlp:
        for name in weights.mlp[0].inputs:
            matrices = [layer.inputs[name] for layer in weights.mlp]
            found.append(_sides(f"MLP in ({name})", matrices, components, reads=True))
        matrices = [layer.output.T for layer in weights.mlp]
        found.append(_sides("MLP out", matrices, components, reads=False))
    return found


def _products(
    name: str,
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    components: int,
    *,
    both_read: bool = False,
) -> Part:
    values, reads, writes = [], [], []
    for left, right in pairs:
        u, s, vt = factored_svd(left.astype(np.float64), right.astype(np.float64))
        values.append(s)
        reads.append(np.swapaxes(u[:, :, :components], 1, 2))
        writes.append(vt[:, :components])
    d, k = pairs[0][0].shape[1:]
    return Part(name, np.array(values), np.array(reads), np.array(writes), (d, k), both_read)


def _sides(name: str, matrices: list[NDArray[np.float32]], components: int, *, reads: bool) -> Part:
    """Decompose matrices [d, m] whose columns lie in the residual stream."""
    values, directions = [], []
    for matrix in matrices:
        # The d × d side is the smaller one, and its square is exact enough in float64.
        wide = matrix.astype(np.float64)
        squares, vectors = np.linalg.eigh(wide @ wide.T)
        rank = min(wide.shape)
        values.append(np.sqrt(np.maximum(squares[::-1][:rank], 0)))
        directions.append(vectors[:, ::-1][:, :components].T)
    kept = np.array(directions)[:, None]
    empty = kept[:, :, :0]
    sides = (kept, empty) if reads else (empty, kept)
    shape = (matrices[0].shape[0], matrices[0].shape[1])
    return Part(name, np.array(values)[:, None], *sides, shape, heads=False)
