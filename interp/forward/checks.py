"""Whether a site holds what its name promises, compared with the model's own outputs."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.forward.layout import Ids, padded
from interp.forward.passes import forward
from interp.forward.plan import CapturePlan
from interp.hooks import Tap
from interp.models import Readout
from interp.models.language_model import LanguageModel

# Tokens whose logits are compared: those of a long prompt would not fit in memory.
_LOGITS_OF = 16


def check(model: LanguageModel, plan: CapturePlan) -> None:
    """Refuse a site that does not hold what its name promises in this model.

    Raises:
        ConfigError: a module that runs several times, or hidden states, a final norm or logits that
            differ from the model's own.
    """
    shortest = plan.selected.prompt(int(plan.selected.lengths.argmin()))
    if plan.hook.may_repeat:
        # A block runs once; any other module is run to the end of the pass to see whether it does.
        _every_token(model, plan, shortest)
    if plan.hook.is_hidden_state:
        _check_hidden_states(model, plan, shortest)
    if plan.plan.unembedding:
        _check_logits(model, plan, shortest[:_LOGITS_OF])


def _check_hidden_states(model: LanguageModel, plan: CapturePlan, ids: Ids) -> None:
    ours, output = _every_token(model, plan, ids, output_hidden_states=True)
    if not np.isfinite(ours).all():
        return
    name = "decoder_hidden_states" if plan.stack == "decoder" else "hidden_states"
    theirs = plan.hook.comparable_states(getattr(output, name, None) or ())
    if len(theirs) == plan.plan.n_layers:
        of_layers = [theirs[layer] for layer in plan.plan.layers]
        known = [i for i, state in enumerate(of_layers) if state is not None]
        own = [state[0].float().cpu().numpy() for state in of_layers if state is not None]
        if not own or _are_close(ours[known], np.stack(own)):
            return
    raise ConfigError(
        f"hook: the {plan.hook.site} of {model.title} cannot be identified from its structure: "
        "what is read there differs from what the model itself returns; use hook=resid_pre or "
        "hook=resid_post"
    )


def _check_logits(model: LanguageModel, plan: CapturePlan, ids: Ids) -> None:
    readout = Readout(plan.source, plan.plan.unembedding, plan.plan.read_as)
    last = replace(plan, taps=(Tap(readout.read_as[0], "output", -1),))
    [vectors], _ = _every_token(model, last, ids)
    if not np.isfinite(vectors).all():
        return
    reason = "the last layer read through the unembedding differs from the model's own logits"
    try:
        if _are_close(readout(vectors), _own_logits(model, plan.stack, ids)):
            return
    except RuntimeError as error:
        # Some models take vectors in the shape of their own prompt alone.
        reason = str(error).partition("\n")[0]
    raise ConfigError(
        f"hook: the {plan.hook.site} of {model.title} cannot be identified from its structure: "
        f"{reason}; use hook=resid_pre or hook=resid_post"
    )


def _every_token(
    model: LanguageModel, plan: CapturePlan, ids: Ids, **options: Any
) -> tuple[NDArray[np.float32], Any]:
    """Return what is read at all tokens of a prompt, [layer, token, *unit], and the output."""
    samples = [(0, np.array([token])) for token in range(len(ids))]
    plain = replace(plan, pooling="mean")
    [read], output = forward(
        model, [plain], [samples], padded([ids], model.pad_id), to_the_end=True, **options
    )
    return torch.stack([layer.cpu() for layer in read]).numpy(), output


def _are_close(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    if ours.shape != theirs.shape:
        return False
    return ours.size == 0 or bool(np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max())


@torch.inference_mode()
def _own_logits(model: LanguageModel, stack: str, ids: Ids) -> NDArray[np.float32]:
    inputs = model.inputs(stack, ids[None], np.ones((1, len(ids)), bool))
    logits: NDArray[np.float32] = model.logits(inputs)[0].float().cpu().numpy()
    return logits
