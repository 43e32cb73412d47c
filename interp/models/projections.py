"""The linear maps of a block, whatever class holds their weights."""

from typing import cast

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

_CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


def is_projection(module: nn.Module) -> bool:
    """Whether a module is a linear map of vectors."""
    return isinstance(module, nn.Linear | Conv1D)


def computes_projection(module: nn.Module) -> bool:
    """Whether a module's forward pass is that of a linear map and nothing else.

    A router may be a linear map by its class, and compute more.
    """
    return type(module).forward in (nn.Linear.forward, Conv1D.forward)


def projections_in(block: nn.Module) -> list[nn.Module]:
    """Return the linear maps within a block."""
    return [module for module in block.modules() if is_projection(module)]


def matrix_of(projection: nn.Module) -> Tensor:
    """Return a projection's matrix [d, n], which multiplies vectors [..., d] from the right."""
    weight = cast("Tensor", projection.weight).detach()
    return weight if isinstance(projection, Conv1D) else weight.T


def is_experts(module: nn.Module) -> bool:
    """Whether a module holds the weights of several experts in one tensor."""
    weights = module.parameters(recurse=False)
    return not isinstance(module, _CONVOLUTIONS) and any(weight.ndim > 2 for weight in weights)
