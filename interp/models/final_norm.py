"""The norm between the last block and the unembedding, and the gain and shift of any norm."""

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.language_model import LanguageModel
from interp.models.tracing import Array, Call, Probe, Run, same, trace


@dataclass(frozen=True, eq=False)
class FinalNorm:
    """The norm between the last block and the unembedding.

    Attributes:
        gain: the factor of each dimension of the normalised stream, [d]; ones where there is no
            such norm, as in a post-norm model.
        centres: whether it subtracts the stream's mean, as LayerNorm does and RMSNorm does not.
        module: the norm itself; the identity where there is none.
    """

    gain: Array
    centres: bool
    module: nn.Module

    @torch.inference_mode()
    def applied(self, vectors: Array) -> Array:
        """Return vectors [..., d] of the residual stream as the unembedding reads them."""
        weight = next(self.module.parameters(), torch.empty(0))
        return as_array(self.module(torch.tensor(vectors).to(weight)))

    def folded(self, unembedding: Array) -> Array:
        """Return the unembedding [id, d] with the gain folded in, to read the normalised stream."""
        return self.centred(unembedding * self.gain)

    def centred(self, vectors: Array) -> Array:
        """Return vectors [..., d] of the stream without their mean, where the norm subtracts it."""
        return vectors - vectors.mean(-1, keepdims=True) if self.centres else vectors


def final_norm(model: LanguageModel, choice: str = "auto") -> FinalNorm:
    """Return the norm between the last block and the unembedding.

    Args:
        model: the model, with its weights.
        choice: the stack: "auto", "encoder", "decoder".

    Raises:
        ConfigError: the blocks cannot be found.
    """
    call, width = _norm_after_blocks(model, choice)
    norm = call.module if call else nn.Identity()
    gain, _, centres = gain_and_shift(norm, width)
    return FinalNorm(as_array(gain), centres, norm)


def final_norm_path(model: LanguageModel, choice: str = "auto") -> str:
    """Return the path of that norm in the model; "" where there is none.

    A model with constant weights will do.

    Raises:
        ConfigError: the blocks cannot be found.
    """
    call, _ = _norm_after_blocks(model, choice)
    return ".".join(filter(None, (model.stack(choice).root, call.path))) if call else ""


def _norm_after_blocks(model: LanguageModel, choice: str) -> tuple[Call | None, int]:
    """Return the norm of the last block's output, and the width of that output."""
    stack = model.stack(choice)
    last = stack.blocks[-1].removeprefix(f"{stack.root}.")

    def norm_after(run: Run) -> tuple[Call | None, int]:
        place = next(i for i, call in enumerate(run.calls) if call.path == last)
        leaving = run.calls[place].returned
        norms = (c for c in run.calls[place:] if c.is_norm and same(c.given, leaving))
        return next(norms, None), leaving.shape[-1]

    within = tuple(f"{path.removeprefix(f'{stack.root}.')}." for path in stack.blocks)
    # Several tokens, since the embedding of padding may be 0, which no norm changes.
    probe = Probe((3, 1), parts=(stack.root,), unrecorded=within)
    (found,) = trace(model, choice, probe, norm_after)
    return found


def gain_and_shift(norm: nn.Module, width: int) -> tuple[Tensor, Tensor, bool]:
    """Return a norm's gain [d] and shift [d], and whether it subtracts the mean.

    They are measured, since norms store them in different ways (Gemma's gain is 1 + its weight): a
    vector of alternating signs has no mean, and is so large that the norm's epsilon is negligible.

    Raises:
        ConfigError: the module is no norm, since its output grows with its input.
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
        raise ConfigError(f"{type(norm).__name__} scales with its input: it is no norm")
    gain, shift = (up - down) / 2 * signs, (up + down) / 2
    # A constant vector is its own mean.
    return gain, shift, torch.allclose(level, shift, atol=1e-4 * float(gain.abs().max()))


def as_array(tensor: Tensor) -> Array:
    """Return a tensor as a float32 array with memory of its own: changing it changes no model."""
    copied = tensor.detach().to(
        "cpu", torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    return cast("Array", copied.numpy())
