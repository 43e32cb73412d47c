"""Singular values and leading directions of a model's circuits and MLP matrices."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.metrics.functional.spectra import effective_rank

from .low_rank import factored_svd
from .weights import ModelWeights


@dataclass(frozen=True, eq=False)
class Side:
    """The directions that a kind of matrix reads or writes.

    Attributes:
        name: "reads", "writes", "queries" or "keys".
        directions: [layer, head, component, d].
        reads: whether the matrix reads them from the residual stream or writes them to it.
    """

    name: str
    directions: Array
    reads: bool


@dataclass(frozen=True, eq=False)
class Decomposition:
    """One kind of matrix at every layer, as singular values and leading directions.

    Attributes:
        name: "OV", "QK", "MLP in (c_fc)", "MLP out".
        values: singular values, [layer, head, k]; an MLP has one "head".
        left: leading left directions, [layer, head, component, d], which project what is read;
            empty if the left side is not the residual stream.
        right: leading right directions, [layer, head, component, d]; empty for an MLP's input.
        shape: of each matrix, one of whose sides is the residual stream.
        both_read: whether both sides read, as queries and keys do.
        has_heads: whether the matrix belongs to a head.
    """

    name: str
    values: Array
    left: Array
    right: Array
    shape: tuple[int, int]
    both_read: bool = False
    has_heads: bool = True

    @property
    def key(self) -> str:
        """The name in metrics and files: "mlp_in_c_fc"."""
        return re.sub(r"\W+", "_", self.name.lower()).strip("_")

    @property
    def effective_rank(self) -> Array:
        """The effective rank of each matrix, [layer, head]."""
        return effective_rank(self.values)

    @property
    def sides(self) -> list[Side]:
        """The sides that lie in the residual stream."""
        if self.both_read:
            return [Side("queries", self.left, True), Side("keys", self.right, True)]
        sides = [Side("reads", self.left, True), Side("writes", self.right, False)]
        return [side for side in sides if side.directions.size]

    @property
    def directions_per_matrix(self) -> int:
        """How many directions of each matrix are kept, both sides together."""
        return int(self.left.shape[2] + self.right.shape[2])


def decompose(weights: ModelWeights, components: int) -> list[Decomposition]:
    """Decompose every matrix, and keep that many leading directions of each."""
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
            found.append(_one_sided(f"MLP in ({name})", matrices, components, reads=True))
        matrices = [layer.output.T for layer in weights.mlp]
        found.append(_one_sided("MLP out", matrices, components, reads=False))
    return found


def random_effective_rank(decomposition: Decomposition, rng: np.random.Generator) -> float:
    """Return the effective rank of a random matrix of the same shape, or of random factors."""
    random = rng.normal(size=decomposition.shape)
    if decomposition.has_heads:
        values = factored_svd(random, rng.normal(size=random.T.shape)).values
    else:
        values = np.asarray(np.linalg.svd(random, compute_uv=False))
    return float(effective_rank(values))


def _products(
    name: str,
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    components: int,
    *,
    both_read: bool = False,
) -> Decomposition:
    """Decompose each layer's products left [head, d, k] @ right [head, k, d]."""
    values, left_directions, right_directions = [], [], []
    for left, right in pairs:
        u, s, vt = factored_svd(left.astype(np.float64), right.astype(np.float64))
        values.append(s)
        left_directions.append(np.swapaxes(u[:, :, :components], 1, 2))
        right_directions.append(vt[:, :components])
    d, k = pairs[0][0].shape[1:]
    return Decomposition(
        name,
        np.array(values),
        np.array(left_directions),
        np.array(right_directions),
        (d, k),
        both_read,
    )


def _one_sided(
    name: str, matrices: list[NDArray[np.float32]], components: int, *, reads: bool
) -> Decomposition:
    """Decompose matrices [d, m] whose columns lie in the residual stream."""
    values, directions = [], []
    for matrix in matrices:
        # d is the smaller side, and the d × d product is accurate enough in float64.
        wide = matrix.astype(np.float64)
        squares, vectors = np.linalg.eigh(wide @ wide.T)
        rank = min(wide.shape)
        values.append(np.sqrt(np.maximum(squares[::-1][:rank], 0)))
        directions.append(vectors[:, ::-1][:, :components].T)
    kept = np.array(directions)[:, None]
    none = kept[:, :, :0]
    left, right = (kept, none) if reads else (none, kept)
    d, m = matrices[0].shape
    return Decomposition(name, np.array(values)[:, None], left, right, (d, m), has_heads=False)
