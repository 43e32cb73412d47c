"""Full-batch training of a transformer of one block on arithmetic modulo p.

Every epoch is one step of AdamW on all training pairs, as in Nanda et al. (2023), by the exact
computation at "=" alone. The cross-entropy is computed in float64: once the pairs are learned it is
as small as the rounding error of float32.
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

from interp.experiments.modular_addition.arithmetic import Pairs
from interp.experiments.modular_addition.model.last_position import last_position
from interp.experiments.modular_addition.model.transformer import ModularArithmeticForCausalLM
from interp.models.language_model import LanguageModel


@dataclass(frozen=True)
class OptimizerSettings:
    """The settings of AdamW.

    Attributes:
        learning_rate: the step size.
        weight_decay: the share of a weight that a step removes, relative to the learning rate.
        betas: the decay rates of the running means of the gradient and of its square.
    """

    learning_rate: float
    weight_decay: float
    betas: tuple[float, float]


@dataclass
class State:
    """A model in training; the only mutable object here.

    Attributes:
        model: the model with its unembedding.
        optimizer: holds the moments.
        epoch: the number of steps made.
    """

    model: ModularArithmeticForCausalLM
    optimizer: torch.optim.AdamW
    epoch: int = 0


def begin(model: LanguageModel, settings: OptimizerSettings) -> State:
    """Return a copy of the model, to be trained."""
    module = copy.deepcopy(model.head)
    if not isinstance(module, ModularArithmeticForCausalLM):
        raise TypeError(f"{model.title} is no transformer of modular arithmetic")
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        betas=settings.betas,
        fused=True,
    )
    return State(module.train(), optimizer)


def advance(state: State, pairs: Pairs, epochs: int, each: Callable[[], object]) -> None:
    """Train for some epochs, and call `each` after every epoch."""
    device = state.model.device
    a, b, answers = (
        torch.from_numpy(numbers[pairs.train]).to(device)
        for numbers in (pairs.a, pairs.b, pairs.answers)
    )
    with _without_subnormals():
        for _ in range(epochs):
            state.optimizer.zero_grad()
            logits = last_position(state.model, a, b).logits
            torch.autograd.backward(functional.cross_entropy(_accurate(logits), answers))
            state.optimizer.step()
            state.epoch += 1
            each()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Losses and accuracies of a model, and its logits.

    Attributes:
        train_loss: mean cross-entropy of the training pairs, in nats.
        test_loss: that of the test pairs.
        train_accuracy: the fraction of training pairs answered correctly.
        test_accuracy: that of the test pairs.
        new_accuracy: that of test pairs (a, b) whose (b, a) is no training pair; nan if there are
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
def evaluate(model: ModularArithmeticForCausalLM, pairs: Pairs) -> Evaluation:
    """Compute the model's losses and accuracies for the pairs."""
    a, b, answers, train, new = (
        torch.from_numpy(numbers.flatten()).to(model.device)
        for numbers in (pairs.a, pairs.b, pairs.answers, pairs.train, pairs.new)
    )
    logits = last_position(model, a, b).logits
    losses = functional.cross_entropy(_accurate(logits), answers, reduction="none")
    right = (logits.argmax(-1) == answers).float()
    return Evaluation(
        train_loss=float(losses[train].mean()),
        test_loss=float(losses[~train].mean()),
        train_accuracy=float(right[train].mean()),
        test_accuracy=float(right[~train].mean()),
        new_accuracy=float(right[new].mean()),
        logits=logits.float().cpu().numpy().reshape(*pairs.train.shape, -1),
    )


def _accurate(logits: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    return logits.float() if logits.device.type == "mps" else logits.double()


@contextmanager
def _without_subnormals() -> Iterator[None]:
    """Flush numbers below 10^-38 to 0: gradients reach them, and processors are slow with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
