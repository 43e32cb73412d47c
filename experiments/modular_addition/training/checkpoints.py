"""Checkpoints: what resumes a killed training, and the weights at each evaluated epoch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from interp.experiments.modular_addition.model.tokenizer import number_tokenizer
from interp.experiments.modular_addition.model.transformer import ModularArithmeticForCausalLM

from .full_batch import State

# AdamW's names of its state per weight.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save(state: State, history: list[dict[str, float]], folder: Path) -> None:
    """Write a snapshot of the weights, and replace the state that training resumes from.

    Args:
        state: what to save.
        history: one row per evaluated epoch.
        folder: of this training.
    """
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in state.model.state_dict().items()}
    _replace(weights, {}, folder / "snapshots" / f"{state.epoch:07d}.safetensors")
    moments = {
        f"{moment} {name}": state.optimizer.state[weight][moment]
        for name, weight in state.model.named_parameters()
        for moment in _MOMENTS
        # Before the first step there are none.
        if weight in state.optimizer.state
    }
    metadata = {"epoch": str(state.epoch), "history": json.dumps(history)}
    _replace(weights | moments, metadata, folder / "state.safetensors")


def restore(state: State, folder: Path) -> list[dict[str, float]]:
    """Load the last checkpoint into a new state, and return its history.

    Without a checkpoint the state is unchanged, and the history is empty.
    """
    path = folder / "state.safetensors"
    if not path.is_file():
        return []
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    saved = load_file(path, device=str(state.model.device))
    state.model.load_state_dict({n: t for n, t in saved.items() if " " not in n})
    for name, weight in state.model.named_parameters():
        found = {m: saved[f"{m} {name}"] for m in _MOMENTS if f"{m} {name}" in saved}
        if found:
            state.optimizer.state[weight] = found
    state.epoch = int(metadata["epoch"])
    history: list[dict[str, float]] = json.loads(metadata["history"])
    return history


def snapshots(state: State, folder: Path) -> Iterator[tuple[int, ModularArithmeticForCausalLM]]:
    """Yield each epoch with a snapshot, up to the state's own, and the model at that epoch.

    All are the same module with other weights: use each before the next is taken.
    """
    current = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    try:
        for path in sorted((folder / "snapshots").glob("*.safetensors")):
            if int(path.stem) <= state.epoch:
                state.model.load_state_dict(load_file(path, device=str(state.model.device)))
                yield int(path.stem), state.model
    finally:
        state.model.load_state_dict(current)


def export(
    state: State, folder: Path, trained_on: dict[str, Any], history: list[dict[str, float]]
) -> None:
    """Write the model in Hugging Face's layout, for `model=modular_addition model.path=FOLDER`.

    An existing folder is left unchanged: other processes may be reading it.

    Args:
        state: the model to write.
        folder: is made.
        trained_on: which pairs it was trained on, and how.
        history: one row per evaluated epoch, written as training.csv.
    """
    if folder.is_dir():
        return
    config = state.model.config
    config.trained_on = trained_on
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    state.model.save_pretrained(unfinished)
    number_tokenizer(config.modulus).save_pretrained(unfinished)
    pd.DataFrame(history).to_csv(unfinished / "training.csv", index=False)
    unfinished.rename(folder)


def _replace(tensors: dict[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    # Atomic: a kill in between leaves the previous file.
    unfinished = path.with_suffix(".unfinished")
    with torch.no_grad():
        save_file({name: tensor.cpu() for name, tensor in tensors.items()}, unfinished, metadata)
    unfinished.replace(path)
