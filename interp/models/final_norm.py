"""The norm between the last block and the unembedding, and what any norm does."""

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.language_model import LanguageModel
from interp.models.tracing import Array, Call, Run, same, traced


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
        return as_array(self.module(torch.tensor(vectors).to(weight)))

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
    call, width = _norm_after_blocks(model, choice)
    norm = call.module if call else nn.Identity()
    gain, _, centres = gain_and_shift(norm, width)
    return FinalNorm(as_array(gain), centres, norm)


def final_norm_path(model: LanguageModel, choice: str = "auto") -> str:
    """Return where that norm stands in the model; "" where there is none. A hollow model tells it.

    Raises:
        ConfigError: the blocks cannot be found.
    """
    call, _ = _norm_after_blocks(model, choice)
    return ".".join(filter(None, (model.stack(choice).root, call.path))) if call else ""


def _norm_after_blocks(model: LanguageModel, choice: str) -> tuple[Call | None, int]:
    """Return the norm that is given what leaves the last block, and the width of that."""
    stack = model.stack(choice)
    last = stack.blocks[-1].removeprefix(f"{stack.root}.")

    def norm_after(run: Run) -> tuple[Call | None, int]:
        place = next(i for i, call in enumerate(run.calls) if call.path == last)
        leaving = run.calls[place].returned
        norms = (c for c in run.calls[place:] if c.is_norm and same(c.given, leaving))
        return next(norms, None), leaving.shape[-1]

    def as_it_is(_run: Run, output: Tensor) -> Tensor:
        return output

    # Of several tokens, since the embedding of padding may be 0, which no norm changes.
    within = tuple(f"{path.removeprefix(f'{stack.root}.')}." for path in stack.blocks)
    (found,) = traced(
        *(model, choice, (3, 1), as_it_is, norm_after, (stack.root,)), unwatched=within
    )
    return found


def gain_and_shift(norm: nn.Module, width: int) -> tuple[Tensor, Tensor, bool]:
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


def as_array(tensor: Tensor) -> Array:
    """Return a tensor as float32 on the processor, in memory of its own."""
    # A copy: a change to what is returned is none to the model.
    copied = tensor.detach().to(
        "cpu", torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    return cast("Array", copied.numpy())
