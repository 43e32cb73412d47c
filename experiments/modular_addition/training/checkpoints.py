"""Training on disk: what resumes it after a kill, and the weights on the way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..model.tokenizer import number_tokenizer
from ..training.full_batch import State

# AdamW's own names of its moments.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save(state: State, history: list[dict[str, float]], folder: Path) -> None:
    """Write the weights as they are now, and all that resuming needs, in place of the last.

    Args:
        state: what to save.
        history: what has been recorded by now, a row an evaluated epoch.
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
    told = {"epoch": str(state.epoch), "history": json.dumps(history)}
    _replace(weights | moments, told, folder / "state.safetensors")


def restored(state: State, folder: Path) -> list[dict[str, float]]:
    """Bring a state that has just begun to where training was saved last, and return the history.

    Where nothing was saved it stays as it is, and the history is empty.
    """
    path = folder / "state.safetensors"
    if not path.is_file():
        return []
    with safe_open(path, "pt") as file:
        told = file.metadata()
    saved = load_file(path, device=str(state.model.device))
    state.model.load_state_dict({n: t for n, t in saved.items() if " " not in n})
    for name, weight in state.model.named_parameters():
        found = {m: saved[f"{m} {name}"] for m in _MOMENTS if f"{m} {name}" in saved}
        if found:
            state.optimizer.state[weight] = found
    state.epoch = int(told["epoch"])
    history: list[dict[str, float]] = json.loads(told["history"])
    return history


def snapshots(state: State, folder: Path) -> Iterator[tuple[int, Any]]:
    """Yield the epochs at which weights were kept, up to the state's own, and the model as it was.

    One model serves all of them: what is asked of it is asked before the next.
    """
    was = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    try:
        for path in sorted((folder / "snapshots").glob("*.safetensors")):
            if int(path.stem) <= state.epoch:
                state.model.load_state_dict(load_file(path, device=str(state.model.device)))
                yield int(path.stem), state.model
    finally:
        state.model.load_state_dict(was)


def export(
    state: State, folder: Path, trained_on: dict[str, Any], history: list[dict[str, float]]
) -> None:
    """Write the model in Hugging Face's layout, for `model=modular_addition model.path=FOLDER`.

    What is there already is left as it is: others may be reading it.

    Args:
        state: what to write.
        folder: where to.
        trained_on: which pairs it was trained on, and how.
        history: what was recorded on the way, which becomes training.csv.
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


def _replace(tensors: dict[str, Tensor], told: dict[str, str], path: Path) -> None:
    # A kill in the middle leaves what was there.
    unfinished = path.with_suffix(".unfinished")
    with torch.no_grad():
        save_file({name: tensor.cpu() for name, tensor in tensors.items()}, unfinished, told)
    unfinished.replace(path)
