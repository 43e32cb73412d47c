"""Whether what is read is what its name says, as one prompt's own outputs tell."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.forward.layout import padded
from interp.forward.passes import forward
from interp.forward.plan import CapturePlan
from interp.hooks import Tap
from interp.hooks.module import Module
from interp.hooks.residual import FinalNorm, HiddenStates
from interp.models import Readout
from interp.models.language_model import LanguageModel

# A long prompt's logits would fill the memory that they are otherwise kept out of.
_LOGITS_OF = 16


def check(model: LanguageModel, what: CapturePlan) -> None:
    """Refuse a site that is not what its name says in this model.

    Raises:
        ConfigError: a module that runs several times, or hidden states, a final norm or logits that
            are not the model's own.
    """
    shortest = what.selected.prompt(int(what.selected.lengths.argmin()))
    if isinstance(what.hook, Module):
        # A block is known to run once; of any other module a pass to its end tells.
        _every_token(model, what, shortest)
    if isinstance(what.hook, HiddenStates | FinalNorm):
        _check_hidden_states(model, what, what.hook, shortest)
    if what.plan.unembedding:
        _check_logits(model, what, shortest[:_LOGITS_OF])


def _check_hidden_states(
    model: LanguageModel, what: CapturePlan, hook: HiddenStates | FinalNorm, ids: NDArray[np.int64]
) -> None:
    ours, output = _every_token(model, what, ids, output_hidden_states=True)
    if not np.isfinite(ours).all():
        return
    name = "decoder_hidden_states" if what.stack == "decoder" else "hidden_states"
    states = getattr(output, name, None) or ()
    theirs = states[-1:] if isinstance(hook, FinalNorm) else states
    layers, n_layers = what.plan.layers, what.plan.n_layers
    if len(theirs) == n_layers:
        chosen = torch.stack([theirs[layer][0].float().cpu() for layer in layers]).numpy()
        # The last block's own output is no entry of theirs.
        own = isinstance(hook, HiddenStates) and not hook.final_norm
        known = [i for i, layer in enumerate(layers) if not own or layer < n_layers - 1]
        if _are_close(ours[known], chosen[known]):
            return
    raise ConfigError(
        f"hook: the {hook.site} of {model.title} cannot be told from its structure: what is read "
        "there is not what the model itself returns; use hook=resid_pre or hook=resid_post"
    )


def _check_logits(model: LanguageModel, what: CapturePlan, ids: NDArray[np.int64]) -> None:
    readout = Readout(what.source, what.plan.unembedding, what.plan.read_as)
    last = replace(what, taps=(Tap(readout.read_as[0], "output", -1),))
    [vectors], _ = _every_token(model, last, ids)
    if not np.isfinite(vectors).all():
        return
    reason = "the last layer read through the unembedding is not what the model itself returns"
    try:
        if _are_close(readout(vectors), _own_logits(model, what.stack, ids)):
            return
    except RuntimeError as error:
        # Some models take vectors in the shape of their own prompt alone.
        reason = str(error).partition("\n")[0]
    raise ConfigError(
        f"hook: the {what.hook.site} of {model.title} cannot be told from its structure: {reason}; "
        "use hook=resid_pre or hook=resid_post"
    )


def _every_token(
    model: LanguageModel, what: CapturePlan, ids: NDArray[np.int64], **options: Any
) -> tuple[NDArray[np.float32], Any]:
    """Return what is read at all tokens of a prompt, [layer, token, *unit], and the output."""
    samples = [(0, np.array([token])) for token in range(len(ids))]
    plain = replace(what, pooling="mean")
    [read], output = forward(
        model, [plain], [samples], padded([ids], model.pad_id), to_the_end=True, **options
    )
    return torch.stack([layer.cpu() for layer in read]).numpy(), output


def _are_close(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    if ours.shape != theirs.shape:
        return False
    return ours.size == 0 or bool(np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max())


@torch.inference_mode()
def _own_logits(model: LanguageModel, stack: str, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    inputs = model.inputs(stack, ids[None], np.ones((1, len(ids)), bool))
    logits: NDArray[np.float32] = model.logits(inputs)[0].float().cpu().numpy()
    return logits
