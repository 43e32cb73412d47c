"""The only forward pass: hooks gather the planned tokens, and the pass ends when all are read."""

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from interp.activations import Activations
from interp.capture.reader import AllRead, Reader
from interp.hooks import AttentionScores, FinalNorm, HiddenStates, HookPoint, Module, Tap
from interp.models import ModelSource, Readout
from interp.models.language_model import LanguageModel
from interp.plan import Plan, plan
from interp.positions import Position
from interp.prompts import PromptSet
from interp.registry import ConfigError

# The difference, relative to their size, that rounding makes between activations of the same text
# in different batches: a few 1e-7 after a few float32 layers, more in deep models.
RESOLUTION = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


def capture(
    source: ModelSource,
    prompts: PromptSet,
    hook: HookPoint,
    position: Position,
    batch_size: int,
) -> Activations:
    """Run the model over the prompts and return its activations at hook and position.

    Batches are sorted by length and padded on the right, and a pass ends after the highest layer
    asked for. Equal requests in one process share one pass. In vocabulary space the vectors before
    the unembedding are kept, and `Activations.points` reads them through it.

    Args:
        source: the model.
        prompts: the prompts.
        hook: where to read.
        position: which tokens to read.
        batch_size: prompts a forward pass; values depend on it by float32 round-off alone, unless a
            model's own code lets padding through (nystromformer, convbert).

    Raises:
        ConfigError: as `plan`; or a module that does not give one vector a token; or a model whose
            own outputs are not what is read.
        FloatingPointError: an activation is infinite or not a number.
    """
    what = plan(source, prompts, hook, position)
    values = _captured(what, hook, batch_size)
    resolution = RESOLUTION[source.dtype]
    return Activations(values, what.layers, what.samples.copy(), resolution, what.readout)


@lru_cache(maxsize=2)
def _captured(what: Plan, hook: HookPoint, batch_size: int) -> NDArray[np.float32]:
    model = what.source.load(head=what.readout is not None)
    rows_of: list[list[int]] = [[] for _ in what.tokens]
    for row, prompt in enumerate(what.samples["prompt"]):
        rows_of[prompt].append(row)
    by_length = sorted(range(len(what.tokens)), key=lambda i: len(what.tokens[i].ids))
    if isinstance(hook, Module):
        # A block is known to run once; of any other module a pass to its end tells.
        _forward(model, what, by_length[:1], [rows_of[by_length[0]]], to_the_end=True)
    if isinstance(hook, HiddenStates | FinalNorm):
        _check_against_model(model, what, hook, by_length[0])
    if what.readout is not None:
        _check_against_logits(model, what, what.readout, hook, by_length[0])
    values: NDArray[np.float32] | None = None
    with tqdm(total=len(by_length), unit="prompt", delay=1, disable=None, leave=False) as bar:
        bar.set_description(f"reading {model.title}")
        for start in range(0, len(by_length), batch_size):
            batch = by_length[start : start + batch_size]
            read = _forward(model, what, batch, [rows_of[i] for i in batch])
            if values is None:
                values = np.empty((len(read), len(what.samples), *read.shape[2:]), np.float32)
            values[:, [row for i in batch for row in rows_of[i]]] = read
            bar.update(len(batch))
    if values is None:
        raise ConfigError("prompts: there is nothing to read")
    for layer, of_layer in zip(what.layers, values, strict=True):
        # A score of −∞ is where a token may not look.
        as_expected = isinstance(hook, AttentionScores) & (of_layer == -np.inf)
        if not (np.isfinite(of_layer) | as_expected).all():
            raise FloatingPointError(
                f"{model.title} gives values that are not finite at {hook.site} {layer} in "
                f"{what.source.dtype}; a wider model.dtype may help"
            )
    # One array serves every job that asks for it, so that none may change it.
    values.flags.writeable = False
    return values


def _check_against_model(
    model: LanguageModel, what: Plan, hook: HiddenStates | FinalNorm, prompt: int
) -> None:
    """Refuse a model whose own outputs are not what is read, as one prompt tells."""
    ours = _every_token(model, what, prompt)
    if not np.isfinite(ours).all():
        return
    states = _own_hidden_states(model, what.stack, what.tokens[prompt].ids)
    theirs = states[-1:] if isinstance(hook, FinalNorm) else states
    if len(theirs) == what.n_layers:
        chosen = torch.stack([theirs[layer][0].float().cpu() for layer in what.layers]).numpy()
        # The last block's own output is no entry of theirs.
        own = isinstance(hook, HiddenStates) and not hook.final_norm
        known = [i for i, layer in enumerate(what.layers) if not own or layer < what.n_layers - 1]
        if _are_close(ours[known], chosen[known]):
            return
    raise ConfigError(
        f"hook: the {hook.site} of {model.title} cannot be told from its structure: what is read "
        "there is not what the model itself returns; use hook=resid_pre or hook=resid_post"
    )


def _check_against_logits(
    model: LanguageModel, what: Plan, readout: Readout, hook: HookPoint, prompt: int
) -> None:
    """Refuse a model that reads its last layer otherwise than we do, as one prompt tells."""
    # A long prompt's logits would fill the memory that they are otherwise kept out of.
    ids = what.tokens[prompt].ids[:16]
    beginning = replace(what.tokens[prompt], ids=ids)
    last = replace(what, tokens=(beginning,), taps=(Tap(readout.read_as[0], "output", -1),))
    vectors = _every_token(model, last, 0)[0]
    if not np.isfinite(vectors).all():
        return
    reason = "the last layer read through the unembedding is not what the model itself returns"
    try:
        theirs = _own_logits(model, what.stack, ids)
        if _are_close(readout(vectors), theirs):
            return
    except RuntimeError as error:
        # Some models take vectors in the shape of their own prompt alone.
        reason = str(error).partition("\n")[0]
    raise ConfigError(
        f"hook: the {hook.site} of {model.title} cannot be told from its structure: {reason}; use "
        "hook=resid_pre or hook=resid_post"
    )


def _every_token(model: LanguageModel, what: Plan, prompt: int) -> NDArray[np.float32]:
    """Return what is read at all tokens of one prompt, as float32 [layer, token, *unit]."""
    tokens = range(len(what.tokens[prompt].ids))
    every = replace(what, indices=tuple((t,) for t in tokens), pooling="mean")
    return _forward(model, every, [prompt], [list(tokens)], to_the_end=True)


def _are_close(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> bool:
    if ours.shape != theirs.shape:
        return False
    return ours.size == 0 or bool(np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max())


@torch.inference_mode()
def _own_logits(model: LanguageModel, stack: str, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    inputs = model.inputs(stack, ids[None], np.ones((1, len(ids)), bool))
    logits: NDArray[np.float32] = model.logits(inputs)[0].float().cpu().numpy()
    return logits


@torch.inference_mode()
def _own_hidden_states(model: LanguageModel, stack: str, ids: NDArray[np.int64]) -> Any:
    inputs = model.inputs(stack, ids[None], np.ones((1, len(ids)), bool))
    output = model.entry(stack)(**inputs, output_hidden_states=True)
    name = "decoder_hidden_states" if stack == "decoder" else "hidden_states"
    return getattr(output, name, None) or ()


_PASS = Lock()


@torch.inference_mode()
def _forward(
    model: LanguageModel,
    what: Plan,
    batch: list[int],
    rows: list[list[int]],
    *,
    to_the_end: bool = False,
) -> NDArray[np.float32]:
    """Return the samples of a batch of prompts, as float32 [layer, sample, *unit]."""
    lengths = np.array([len(what.tokens[i].ids) for i in batch])
    width = int(lengths.max())
    # Padding stands on the right, where each model's own position ids are right as they are; and
    # the mask comes from lengths, never from ids, which a text may contain.
    mask = np.arange(width) < lengths[:, None]
    ids = np.full(mask.shape, model.pad_id, np.int64)
    ids[mask] = np.concatenate([what.tokens[i].ids for i in batch])
    samples = [[b * width + t for t in what.indices[r]] for b, own in enumerate(rows) for r in own]
    reader = Reader(what, torch.from_numpy(mask), samples, to_the_end)
    inputs = model.inputs(what.stack, ids, mask)
    if what.pooling == "attention":
        inputs["output_attentions"] = True
    # Hooks belong to the model, and what intercepts attention to the process.
    with _PASS, reader.attached(model), suppress(AllRead):
        model.entry(what.stack)(**inputs)
    return reader.values()
