"""From vectors of the residual stream to logits, by the model's own final layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.models.sources import ModelSource

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Readout:
    """Reads vectors in the model's vocabulary.

    The model runs on one token, and the vectors replace the output of the given modules: everything
    after them (final norm, projection, head, scaling, soft-capping) is the model's own computation.

    Attributes:
        source: the model, loaded at each call, so that no second model is kept in memory.
        name: the name of what reads the vocabulary, in runs and figures.
        read_as: the modules whose output the vectors replace: the last block, before norm and head,
            or the stack, before the head; not all of them need run.
    """

    source: ModelSource
    name: str
    read_as: tuple[str, ...]

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits [n, vocabulary] of vectors [n, d], all in memory at once.

        Raises:
            ConfigError: the weights are out of reach, or the model has no unembedding of the
                vectors' width.
        """
        import torch

        model = self.source.load(head=True)
        one = np.full((1, 1), model.pad_id)
        read_as = [model.module.get_submodule(path) for path in self.read_as]
        with torch.inference_mode(), _replacing_output(read_as, vectors):
            inputs = model.inputs(model.read_by_head, one, np.ones((1, 1), bool))
            logits: NDArray[np.float32] = model.logits(inputs).float().cpu().numpy()
        return logits.reshape(-1, logits.shape[-1])


@contextmanager
def _replacing_output(modules: "list[nn.Module]", vectors: NDArray[np.float32]) -> Iterator[None]:
    import torch
    from torch import Tensor

    def replace(_module: "nn.Module", _args: object, output: Any) -> Any:
        own = output if isinstance(output, Tensor) else output[0]
        given = torch.tensor(vectors, dtype=own.dtype, device=own.device)[None]
        if isinstance(output, Tensor):
            return given
        if isinstance(output, tuple):
            return (given, *output[1:])
        output.last_hidden_state = given
        return output

    handles = [module.register_forward_hook(replace) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
