"""How does a transformer come to add modulo p, long after it has memorised its training pairs?

Trains a transformer of one block on some of all pairs, and follows losses and progress measures
until it answers the pairs that it was not trained on: grokking (Power et al., 2022; Nanda et al.,
2023).
"""

import hashlib
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSource
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES

from . import training_report
from .arithmetic import Pairs
from .compatibility import require_pairs
from .key_frequencies import key_frequencies_of_weights
from .progress_measures import ablated_losses, sparsity
from .prompts import ModularArithmetic
from .training_history import TrainingHistory

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel

    from . import training
    from .model.transformer import ModularArithmeticForCausalLM

Track = Callable[[int, Mapping[str, float]], None]

# The share by which the test loss must fall, within the patience, for training to go on.
_MINIMAL_FALL = 0.1


@ANALYSES.register("modular_addition_training")
@dataclass(frozen=True)
class ModularAdditionTraining:
    """Trains a transformer on arithmetic modulo p until it generalises.

    Checkpoints are kept in the folder `training` of the outputs, under a hash of all that decides
    them: a run that was killed continues from there when it is started again.

    Attributes:
        epochs: the most steps, each on all training pairs.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        betas: AdamW's.
        interval: epochs between evaluations, and between checkpoints.
        patience: training ends once all pairs are answered correctly and the test loss has not
            fallen by a tenth for so many epochs: the model has grokked, and weight decay has
            removed what it had memorised.
    """

    epochs: int = 40000
    learning_rate: float = 1e-3
    weight_decay: float = 1.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    interval: int = 200
    patience: int = 1000

    def __post_init__(self) -> None:
        for name, value, holds, what in (
            ("epochs", self.epochs, self.epochs >= 1, "at least 1"),
            ("interval", self.interval, self.interval >= 1, "at least 1"),
            ("learning_rate", self.learning_rate, self.learning_rate > 0, "above 0"),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0, "at least 0"),
            ("patience", self.patience, self.patience >= 1, "at least 1"),
        ):
            if not holds:
                raise ConfigError(f"{name} must be {what}, not {value}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be two numbers from 0 to below 1, not {self.betas}")

    def check(self, prompt_source: PromptSource, source: ModelSource) -> None:
        """Check that the prompts are pairs, and that the model reads them and is not trained.

        Raises:
            ConfigError: they are not, with what to choose instead.
        """
        require_pairs(source, prompt_source)
        if not source.is_drawn:
            raise ConfigError(
                "model: training begins from random weights: model=modular_addition_untrained"
            )

    def __call__(
        self,
        prompt_source: PromptSource,
        source: ModelSource,
        model: "LanguageModel",
        outputs: Path,
        track: Track,
        rng: np.random.Generator,
    ) -> Result:
        """Train the model, or continue its training, and report when it grokked.

        Raises:
            ConfigError: the loss is no longer finite.
        """
        import pandas as pd

        from . import training
        from .model.effective_weights import effective_weights
        from .training_figures import training_figure

        prompts = require_pairs(source, prompt_source)
        pairs = prompts.pairs()
        state = training.begin(
            model,
            training.OptimizerSettings(
                self.learning_rate, self.weight_decay, (self.betas[0], self.betas[1])
            ),
        )
        folder = outputs / "training" / self._hash(prompts, source)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            rows = self._train(state, pairs, folder, track)
            weights = effective_weights(state.model).ordered(pairs.arithmetic.order)
            keys = key_frequencies_of_weights(weights, rng)["W_logit"].keys
            _add_ablated_losses(rows, training.snapshots(state, folder), pairs, keys, track)
            trained_on = {**asdict(prompts), **asdict(self), "weights": source.revision}
            training.export(state, folder / "model", trained_on, rows)
        subject = f"{source.title} · {pairs.arithmetic} · weight decay {self.weight_decay:g}"
        history = TrainingHistory(subject, pd.DataFrame(rows), keys, pairs.arithmetic.modulus)
        command = _examining_command(prompts, folder / "model")
        return Result(
            tested=history.tested_series(),
            scalars=training_report.scalars(history),
            tables={"summary": training_report.summary_table(history), "training": history.table},
            figures={"training": training_figure(history)},
            folders={"model": folder / "model"},
            finding=training_report.finding(history, self.interval, command),
        )

    def _hash(self, prompts: ModularArithmetic, source: ModelSource) -> str:
        """Return the hash that identifies this training."""
        decisive = [asdict(self), asdict(prompts), source.revision, source.dtype]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def _train(
        self, state: "training.State", pairs: Pairs, folder: Path, track: Track
    ) -> list[dict[str, float]]:
        """Train to the end from where the last checkpoint is; return one row per evaluation."""
        from tqdm import tqdm

        from . import training

        rows = training.restore(state, folder)
        for row in rows:
            track(int(row["epoch"]), _metrics(row))
        seconds_before, began = rows[-1]["seconds"] if rows else 0.0, time.monotonic()
        with tqdm(
            total=self.epochs, initial=state.epoch, unit="epoch", delay=1, disable=None, leave=False
        ) as bar:
            while True:
                if not rows or rows[-1]["epoch"] < state.epoch:
                    row = self._evaluate(state, pairs, folder)
                    row["seconds"] = seconds_before + time.monotonic() - began
                    rows.append(row)
                    track(state.epoch, _metrics(row))
                    training.save(state, rows, folder)
                row = rows[-1]
                bar.set_description(
                    f"loss {row['train_loss']:.1e}, test {row['test_loss']:.1e}, "
                    f"test accuracy {row['test_accuracy']:.1%}"
                )
                if self._is_done(rows):
                    return rows
                epochs = min(self.interval, self.epochs - state.epoch)
                training.advance(state, pairs, epochs, bar.update)

    def _evaluate(self, state: "training.State", pairs: Pairs, folder: Path) -> dict[str, float]:
        """Return losses, accuracies and sparsity of the model as it is now."""
        from . import training
        from .model.effective_weights import effective_weights

        found = training.evaluate(state.model, pairs)
        if not math.isfinite(found.train_loss):
            raise ConfigError(
                f"analysis.learning_rate: with {self.learning_rate:g} the loss is no longer a "
                f"number at epoch {state.epoch}; the checkpoints before are kept in {folder}"
            )
        weights = effective_weights(state.model).ordered(pairs.arithmetic.order)
        squares = (float((w.detach() ** 2).sum()) for w in state.model.parameters())
        return {
            "epoch": state.epoch,
            "train_loss": found.train_loss,
            "test_loss": found.test_loss,
            "train_accuracy": found.train_accuracy,
            "test_accuracy": found.test_accuracy,
            "new_accuracy": found.new_accuracy,
            **sparsity(weights),
            "squared_weights": sum(squares),
        }

    def _is_done(self, rows: list[dict[str, float]]) -> bool:
        last = rows[-1]
        if last["epoch"] >= self.epochs:
            return True
        earlier = [row for row in rows if row["epoch"] <= last["epoch"] - self.patience]
        if not earlier or last["train_accuracy"] < 1 or last["test_accuracy"] < 1:
            return False
        before, now = (min(row["test_loss"] for row in of) for of in (earlier, rows))
        return now > (1 - _MINIMAL_FALL) * before


def _add_ablated_losses(
    rows: list[dict[str, float]],
    snapshots: "Iterator[tuple[int, ModularArithmeticForCausalLM]]",
    pairs: Pairs,
    keys: tuple[int, ...],
    track: Track,
) -> None:
    """Add restricted and excluded loss, whose key frequencies are known only at the end."""
    from . import training

    by_epoch = {int(row["epoch"]): row for row in rows}
    for epoch, model in snapshots:
        logits = training.evaluate(model, pairs).logits
        found = ablated_losses(logits, pairs, pairs.train, keys)
        losses = {"restricted_loss": found.restricted, "excluded_loss": found.excluded}
        by_epoch[epoch] |= losses
        track(epoch, _metrics(losses))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process train at a time; a second one waits, and then finds what was trained."""
    from tqdm import tqdm

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tqdm.write("waiting for another process that trains the same model", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _examining_command(prompts: ModularArithmetic, folder: Path) -> str:
    """Return the command that examines the trained model."""
    usual, path = asdict(ModularArithmetic()), shlex.quote(str(folder))
    given = [f"prompts.{n}={value}" for n, value in asdict(prompts).items() if value != usual[n]]
    return " ".join(["interp experiment=modular_addition", f"model.path={path}", *given])


def _metrics(row: Mapping[str, float]) -> dict[str, float]:
    """Return the finite values of a row by the names that MLflow has for them."""
    return {f"epoch/{n}": x for n, x in row.items() if n != "epoch" and math.isfinite(x)}
