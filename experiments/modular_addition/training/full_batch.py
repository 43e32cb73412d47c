"""Full-batch training of a transformer of one block on arithmetic modulo p.

Every epoch is one step of AdamW on all training pairs, as in Nanda et al. (2023), by the exact
computation at "=" alone; the loss is a float64 cross-entropy, since its float32 rounding would be
the whole of it once the pairs are learned.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from interp.models.language_model import LanguageModel

from ..arithmetic import Pairs
from ..model.last_position import last_position
from ..model.transformer import ModularArithmeticForCausalLM


@dataclass(frozen=True)
class Recipe:
    """What AdamW is given.

    Attributes:
        learning_rate: its step.
        weight_decay: how much of a weight it takes off a step, relative to the learning rate.
        betas: how much of the mean gradient, and of the mean squared one, it keeps a step.
    """

    learning_rate: float
    weight_decay: float
    betas: tuple[float, float]


@dataclass
class State:
    """A model under training; it is the only thing here that changes.

    Attributes:
        model: the model with its unembedding.
        optimizer: what has its moments.
        epoch: how many steps have been made.
    """

    model: ModularArithmeticForCausalLM
    optimizer: torch.optim.AdamW
    epoch: int = 0


def begin(model: LanguageModel, recipe: Recipe) -> State:
    """Return a model to be trained: a copy, which leaves the given one as it is."""
    module = copy.deepcopy(model.head)
    if not isinstance(module, ModularArithmeticForCausalLM):
        raise TypeError(f"{model.title} is no transformer of modular arithmetic")
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=recipe.betas,
        fused=True,
    )
    return State(module.train(), optimizer)


def advance(state: State, pairs: Pairs, epochs: int, each: Callable[[], object]) -> None:
    """Train for some epochs, and call `each` after every one of them."""
    device = state.model.device
    a, b, answers = (
        torch.from_numpy(numbers[pairs.train]).to(device)
        for numbers in (pairs.a, pairs.b, pairs.answers)
    )
    with _without_subnormals():
        for _ in range(epochs):
            state.optimizer.zero_grad()
            logits = last_position(state.model, a, b).logits
            torch.autograd.backward(functional.cross_entropy(_wide(logits), answers))
            state.optimizer.step()
            state.epoch += 1
            each()


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How well a model answers, and its logits.

    Attributes:
        train_loss: mean cross-entropy of the training pairs, in nats.
        test_loss: that of the others.
        train_accuracy: the fraction of training pairs that are answered right.
        test_accuracy: that of the others.
        new_accuracy: that of test pairs whose mirror image is no training pair; nan if there is
            none.
        logits: of all pairs, [p, p, output].
    """

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    new_accuracy: float
    logits: NDArray[np.float32]


@torch.inference_mode()
def evaluate(model: ModularArithmeticForCausalLM, pairs: Pairs) -> Accuracy:
    """Return how well a model answers the pairs."""
    a, b, answers, train, new = (
        torch.from_numpy(numbers.flatten()).to(model.device)
        for numbers in (pairs.a, pairs.b, pairs.answers, pairs.train, pairs.new)
    )
    logits = last_position(model, a, b).logits
    losses = functional.cross_entropy(_wide(logits), answers, reduction="none")
    right = (logits.argmax(-1) == answers).float()
    return Accuracy(
        train_loss=float(losses[train].mean()),
        test_loss=float(losses[~train].mean()),
        train_accuracy=float(right[train].mean()),
        test_accuracy=float(right[~train].mean()),
        new_accuracy=float(right[new].mean()),
        logits=logits.float().cpu().numpy().reshape(*pairs.train.shape, -1),
    )


def _wide(logits: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    return logits.float() if logits.device.type == "mps" else logits.double()


@contextmanager
def _without_subnormals() -> Iterator[None]:
    """Count numbers below 10^-38 as 0: gradients reach them, and processors are slow with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
