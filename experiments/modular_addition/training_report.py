"""A training run in numbers, tables and sentences: when it had memorised, and when it grokked."""

import math
from typing import TYPE_CHECKING

from .training_history import LEARNED, TrainingHistory

if TYPE_CHECKING:
    import pandas as pd


def scalars(history: TrainingHistory) -> dict[str, float]:
    """Return the last epoch's losses and accuracies, and when pairs were learned if they were."""
    names = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
    learned = {
        "epoch_memorised": history.epoch_memorised,
        "epoch_grokked": history.epoch_grokked,
    }
    return {
        "epochs": history.last("epoch"),
        **{name: history.last(name) for name in names},
        "minutes": history.last("seconds") / 60,
        **{name: epoch for name, epoch in learned.items() if math.isfinite(epoch)},
    }


def summary_table(history: TrainingHistory) -> "pd.DataFrame":
    """Return accuracy and loss of training and test pairs, each compared with a guess."""
    import pandas as pd

    learned = (history.epoch_memorised, history.epoch_grokked)
    return pd.DataFrame(
        {
            "": ["training pairs", "test pairs"],
            "accuracy": [history.last("train_accuracy"), history.last("test_accuracy")],
            "by chance": 1 / history.modulus,
            "loss (nats)": [history.last("train_loss"), history.last("test_loss")],
            "loss of a guess": history.guess_loss,
            f"{LEARNED:.1%} correct by epoch": [
                f"{epoch:,.0f}" if math.isfinite(epoch) else "none" for epoch in learned
            ],
        }
    )


def finding(history: TrainingHistory, interval: int, command: str) -> str:
    """Return whether and when the model grokked, and the command that examines it.

    Args:
        history: the training.
        interval: epochs between evaluations.
        command: examines the trained model.
    """
    outcome = _grokked(history, interval) if history.is_grokked else _not_grokked(history)
    return f"{outcome} The model is kept; this examines it: {command}"


def _grokked(history: TrainingHistory, interval: int) -> str:
    by_keys = (
        f" Restricted to these the loss of all pairs is {history.last('restricted_loss'):.1e}, "
        f"with them excluded that of the training pairs is {history.last('excluded_loss'):.1f} (a "
        f"guess: {history.guess_loss:.1f})."
        if history.keys
        else ""
    )
    return (
        f"Grokked: {LEARNED:.1%} of the training pairs are correct by epoch "
        f"{history.epoch_memorised:,.0f}, of the test pairs by epoch {history.epoch_grokked:,.0f} "
        f"(by chance {1 / history.modulus:.1%}; evaluated every {interval:,} epochs). At epoch "
        f"{history.last('epoch'):,.0f} the test loss is {history.last('test_loss'):.1e} nats, with "
        f"{_listed(history.keys)}.{by_keys}"
    )


def _not_grokked(history: TrainingHistory) -> str:
    return (
        f"Not grokked: after {history.last('epoch'):,.0f} epochs "
        f"{history.last('train_accuracy'):.1%} of the training pairs are correct and "
        f"{history.last('test_accuracy'):.1%} of the test pairs (by chance "
        f"{1 / history.modulus:.1%}); of the test pairs (a, b) whose (b, a) is no training pair "
        f"either {history.last('new_accuracy'):.1%}."
    )


def title(history: TrainingHistory) -> str:
    """Return the title of the training curves: when pairs were learned, or how many were."""
    if history.is_grokked:
        return (
            f"{LEARNED:.1%} of training pairs are correct by epoch {history.epoch_memorised:,.0f}, "
            f"of test pairs by epoch {history.epoch_grokked:,.0f}"
        )
    return (
        f"After {history.last('epoch'):,.0f} epochs {history.last('train_accuracy'):.1%} of "
        f"training pairs are correct and {history.last('test_accuracy'):.1%} of test pairs"
    )


def subtitle(history: TrainingHistory) -> str:
    """Return the subtitle of the training curves: the model and its key frequencies."""
    return f"{history.subject} · {_listed(history.keys)} at the end"


def _listed(keys: tuple[int, ...]) -> str:
    if not keys:
        return "no key frequency"
    return f"key frequenc{'y' if len(keys) == 1 else 'ies'} {', '.join(map(str, keys))}"
