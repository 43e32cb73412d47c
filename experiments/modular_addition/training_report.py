"""What a training run says: when pairs were learned by heart, when they were understood."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from interp.results.primary_series import Headline
from interp.results.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Of the pairs; what is right from some epoch on counts as learned there.
LEARNED = 0.999


def training_report(
    history: "pd.DataFrame",
    keys: tuple[int, ...],
    folder: Path,
    interval: int,
    *,
    told: str,
    opened: str,
    modulus: int,
) -> Result:
    """Return the curves, and when what was learned.

    Args:
        history: a row an evaluated epoch.
        keys: the key frequencies of the trained model.
        folder: where the model is.
        interval: epochs between evaluations.
        told: the model, the question and the recipe.
        opened: the command that opens the model.
        modulus: p; by chance one answer in p is right.
    """
    import pandas as pd

    last = history.iloc[-1]
    by_heart, understood = (_learned(history, f"{part}_accuracy") for part in ("train", "test"))
    summary = pd.DataFrame(
        {
            "": ["training pairs", "test pairs"],
            "accuracy": [last.train_accuracy, last.test_accuracy],
            "by chance": 1 / modulus,
            "loss (nats)": [last.train_loss, last.test_loss],
            "loss of a guess": math.log(modulus),
            f"{LEARNED:.1%} right by epoch": [_said(by_heart), _said(understood)],
        }
    )
    scalars = {
        "epochs": float(last.epoch),
        "train_accuracy": float(last.train_accuracy),
        "test_accuracy": float(last.test_accuracy),
        "train_loss": float(last.train_loss),
        "test_loss": float(last.test_loss),
        "minutes": float(last.seconds) / 60,
    }
    scalars |= {"epoch_by_heart": by_heart} if math.isfinite(by_heart) else {}
    scalars |= {"epoch_grokked": understood} if math.isfinite(understood) else {}
    return Result(
        scalars=scalars,
        tables={"summary": summary, "training": history},
        figures={"training": training_figure(history, keys, told, modulus)},
        folders={"model": folder},
        headlines=(
            Headline("test_loss", "test loss (nats)", over="epoch", scale="logarithmic"),
            Headline("test_accuracy", "test accuracy", over="epoch"),
        ),
        finding=_finding(history, by_heart, understood, keys, interval, modulus)
        + f" The model is kept; this opens it: {opened}",
    )


def training_figure(
    history: "pd.DataFrame", keys: tuple[int, ...], told: str, modulus: int
) -> "Figure":
    """Return losses, accuracies and progress measures over the epochs."""
    from . import training_figures
    from .training_figures import TrainingCurve, TrainingPanel

    understood = _learned(history, "test_accuracy")
    values = {name: history[name].to_numpy(np.float64) for name in history}
    by_keys = [
        TrainingCurve(
            "restricted to the key frequencies, all pairs", "restricted", values["restricted_loss"]
        ),
        TrainingCurve("without the key frequencies, train", "excluded", values["excluded_loss"]),
    ] * bool(keys)
    by_heart = _learned(history, "train_accuracy")
    if math.isfinite(understood) and math.isfinite(by_heart):
        title = (
            f"{LEARNED:.1%} of training pairs are right by epoch {by_heart:,.0f}, of the others by "
            f"epoch {understood:,.0f}"
        )
    else:
        last = history.iloc[-1]
        title = (
            f"After {last.epoch:,.0f} epochs {last.train_accuracy:.1%} of training pairs are right "
            f"and {last.test_accuracy:.1%} of the others"
        )
    return training_figures.training_curves(
        [int(epoch) for epoch in history["epoch"]],
        [
            TrainingPanel(
                "cross-entropy (nats)",
                [
                    TrainingCurve("train", "train", values["train_loss"]),
                    TrainingCurve("test", "test", values["test_loss"]),
                    *by_keys,
                ],
                "logarithmic",
                math.log(modulus),
            ),
            TrainingPanel(
                "accuracy",
                [
                    TrainingCurve("train", "train", values["train_accuracy"]),
                    TrainingCurve("test", "test", values["test_accuracy"]),
                    TrainingCurve("new test pairs", "new", values["new_accuracy"]),
                ],
                "fraction",
                1 / modulus,
            ),
            TrainingPanel(
                "Gini coefficient of norms by frequency",
                [
                    TrainingCurve("W_E", "weights", values["gini_embedding"]),
                    TrainingCurve("W_logit", "logits", values["gini_logits"]),
                ],
                "fraction",
            ),
            TrainingPanel(
                "sum of squared weights",
                [TrainingCurve("all weights", "all", values["squared_weights"])],
                "logarithmic",
            ),
        ],
        title=title,
        subtitle=f"{told} · {_keys_said(keys)} in the end",
        marked=(f"{LEARNED:.1%} of test pairs right", understood)
        if math.isfinite(understood)
        else None,
    )


def _learned(history: "pd.DataFrame", accuracy: str) -> float:
    """Return the first evaluated epoch from which on nearly all are right; infinite if none is."""
    wrong = np.flatnonzero(history[accuracy].to_numpy() < LEARNED)
    first = int(wrong[-1]) + 1 if len(wrong) else 0
    return float(history["epoch"].iloc[first]) if first < len(history) else math.inf


def _said(epoch: float) -> str:
    return f"{epoch:,.0f}" if math.isfinite(epoch) else "none"


def _finding(
    history: "pd.DataFrame",
    by_heart: float,
    understood: float,
    keys: tuple[int, ...],
    interval: int,
    modulus: int,
) -> str:
    last = history.iloc[-1]
    if not (math.isfinite(understood) and math.isfinite(by_heart)):
        return (
            f"Not grokked: after {last.epoch:,.0f} epochs {last.train_accuracy:.1%} of the "
            f"training pairs are right and {last.test_accuracy:.1%} of the test pairs (by chance "
            f"{1 / modulus:.1%}); of those whose mirror image (b, a) is no training pair either "
            f"{last.new_accuracy:.1%}."
        )
    by_keys = (
        f" With these alone the loss of all pairs is {last.restricted_loss:.1e}, without them that "
        f"of the training pairs {last.excluded_loss:.1f} (a guess: {math.log(modulus):.1f})."
    )
    return (
        f"Grokked: {LEARNED:.1%} of the training pairs are right by epoch {by_heart:,.0f}, of "
        f"the test pairs by epoch {understood:,.0f} (by chance {1 / modulus:.1%}; looked at "
        f"every {interval:,} epochs). At epoch {last.epoch:,.0f} the test loss is "
        f"{last.test_loss:.1e} nats, with {_keys_said(keys)}.{by_keys * bool(keys)}"
    )


def _keys_said(keys: tuple[int, ...]) -> str:
    if not keys:
        return "no key frequency"
    return f"key frequenc{'y' if len(keys) == 1 else 'ies'} {', '.join(map(str, keys))}"
