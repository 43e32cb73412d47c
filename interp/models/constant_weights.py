"""A model whose weights are constants: it runs, and takes almost no memory."""

import copy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from interp.models.language_model import LanguageModel
from interp.models.projections import computes_projection, is_experts, matrix_of


def with_constant_weights(model: LanguageModel) -> LanguageModel:
    """Return a model on the `meta` device as one that runs, each weight filled with one number.

    A trace with codes does not depend on the weights. They share the memory of one number per row,
    and projections, whose outputs the trace replaces, compute nothing.
    """
    module = copy.deepcopy(model.module).float()
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            # A vector scales or shifts, and must change nothing. The rows of an embedding must not
            # be constant, or a norm would divide by 0.
            row = torch.linspace(-1, 1, weight.shape[-1]) if weight.ndim > 1 else torch.ones(1)
            setattr(part, name, nn.Parameter(row.expand(weight.shape), requires_grad=False))
        for name, buffer in part.named_buffers(recurse=False):
            # Floating-point buffers scale; integers are ids, of which 0 always exists.
            fill = 1.0 if buffer.is_floating_point() or buffer.dtype == torch.bool else 0
            setattr(part, name, torch.full_like(buffer, fill, device="cpu"))
        if computes_projection(part):
            part.forward = partial(_projected_to_zero, int(matrix_of(part).shape[1]))
        elif is_experts(part):
            part.forward = _zeros
    return replace(model, module=module)


def _projected_to_zero(width: int, vectors: Tensor) -> Tensor:
    return vectors.new_zeros(*vectors.shape[:-1], width)


def _zeros(vectors: Tensor, *_: object, **__: object) -> Tensor:
    return torch.zeros_like(vectors)
