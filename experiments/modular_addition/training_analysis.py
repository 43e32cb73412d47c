"""How does a transformer come to add modulo p, long after it knows its training pairs by heart?

Trains a transformer of one block on some of all pairs, and follows losses and progress measures
until it answers the pairs that it has never seen: grokking (Power et al., 2022; Nanda et al.,
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

from .arithmetic import Pairs
from .fitting import prompts_for
from .progress import ablated, sparsity
from .prompts import ModularArithmetic
from .training_report import training_report
from .weights_in_frequencies import key_frequencies_of

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel

    from . import training

# By what share the test loss must fall, within the patience, for training to go on.
_WORTH_WAITING_FOR = 0.1


@ANALYSES.register("modular_addition_training")
@dataclass(frozen=True)
class ModularAdditionTraining:
    """Trains a transformer on arithmetic modulo p until it generalises.

    What is trained is kept in the folder `training` of the outputs, under a digest of all that
    decides it: a run that was killed goes on from there when it is started again.

    Attributes:
        epochs: the most steps, each on all training pairs.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        betas: AdamW's.
        interval: epochs from one evaluation to the next, and from one checkpoint to the next.
        patience: training ends once all pairs are right and the test loss has not fallen by a tenth
            for so many epochs: grokked, and cleaned of what was learned by heart.
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
        """Refuse prompts that are no pairs, and models that do not read them or are trained.

        Raises:
            ConfigError: saying what would do.
        """
        prompts_for(source, prompt_source)
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
        track: Callable[[int, Mapping[str, float]], None],
        rng: np.random.Generator,
    ) -> Result:
        """Train, or go on training, and say how it went.

        Raises:
            ConfigError: the loss is no longer a number.
        """
        import pandas as pd

        from . import training
        from .model.effective_weights import effective_weights

        prompts = prompts_for(source, prompt_source)
        pairs = prompts.pairs()
        recipe = training.Recipe(
            self.learning_rate, self.weight_decay, (self.betas[0], self.betas[1])
        )
        state = training.begin(model, recipe)
        folder = outputs / "training" / self._digest(prompts, source)
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            history = self._train(state, pairs, folder, track)
            weights = effective_weights(state.model).ordered(pairs.arithmetic.order)
            keys = key_frequencies_of(weights, rng)["W_logit"].keys
            _measure_again(history, state, pairs, folder, keys, track)
            trained_on = {**asdict(prompts), **asdict(self), "weights": source.revision}
            training.export(state, folder / "model", trained_on, history)
        return training_report(
            pd.DataFrame(history),
            keys,
            folder / "model",
            self.interval,
            told=f"{source.title} · {pairs.arithmetic} · weight decay {self.weight_decay:g}",
            opened=_opened(prompts, folder / "model"),
            modulus=pairs.arithmetic.modulus,
        )

    def _digest(self, prompts: ModularArithmetic, source: ModelSource) -> str:
        """Return what tells this training from every other."""
        decisive = [asdict(self), asdict(prompts), source.revision, source.dtype]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def _train(
        self,
        state: "training.State",
        pairs: Pairs,
        folder: Path,
        track: Callable[[int, Mapping[str, float]], None],
    ) -> list[dict[str, float]]:
        from tqdm import tqdm

        from . import training

        history = training.restored(state, folder)
        for row in history:
            track(int(row["epoch"]), _curves(row))
        before, began = history[-1]["seconds"] if history else 0.0, time.monotonic()
        with tqdm(
            total=self.epochs, initial=state.epoch, unit="epoch", delay=1, disable=None, leave=False
        ) as bar:
            while True:
                if not history or history[-1]["epoch"] < state.epoch:
                    row = _evaluated(state, pairs)
                    if not math.isfinite(row["train_loss"]):
                        raise ConfigError(
                            f"analysis.learning_rate: with {self.learning_rate:g} the loss is no "
                            f"longer a number at epoch {state.epoch}; what was reached before is "
                            f"kept in {folder}"
                        )
                    row["seconds"] = before + time.monotonic() - began
                    history.append(row)
                    track(state.epoch, _curves(row))
                    training.save(state, history, folder)
                row = history[-1]
                bar.set_description(
                    f"loss {row['train_loss']:.1e}, test {row['test_loss']:.1e}, "
                    f"test accuracy {row['test_accuracy']:.1%}"
                )
                if self._is_done(history):
                    return history
                epochs = min(self.interval, self.epochs - state.epoch)
                training.advance(state, pairs, epochs, bar.update)

    def _is_done(self, history: list[dict[str, float]]) -> bool:
        last = history[-1]
        if last["epoch"] >= self.epochs:
            return True
        earlier = [row for row in history if row["epoch"] <= last["epoch"] - self.patience]
        if not earlier or last["train_accuracy"] < 1 or last["test_accuracy"] < 1:
            return False
        before, now = (min(row["test_loss"] for row in rows) for rows in (earlier, history))
        return now > (1 - _WORTH_WAITING_FOR) * before


def _evaluated(state: "training.State", pairs: Pairs) -> dict[str, float]:
    from . import training
    from .model.effective_weights import effective_weights

    found = training.evaluate(state.model, pairs)
    weights = effective_weights(state.model).ordered(pairs.arithmetic.order)
    return {
        "epoch": state.epoch,
        "train_loss": found.train_loss,
        "test_loss": found.test_loss,
        "train_accuracy": found.train_accuracy,
        "test_accuracy": found.test_accuracy,
        "new_accuracy": found.new_accuracy,
        **sparsity(weights),
        "squared_weights": sum(float((w.detach() ** 2).sum()) for w in state.model.parameters()),
    }


def _measure_again(
    history: list[dict[str, float]],
    state: "training.State",
    pairs: Pairs,
    folder: Path,
    keys: tuple[int, ...],
    track: Callable[[int, Mapping[str, float]], None],
) -> None:
    """Add the losses that are measured by the key frequencies, known only at the end."""
    from . import training

    rows = {int(row["epoch"]): row for row in history}
    for epoch, model in training.snapshots(state, folder):
        found = ablated(training.evaluate(model, pairs).logits, pairs, pairs.train, keys)
        losses = {"restricted_loss": found.restricted, "excluded_loss": found.excluded}
        rows[epoch] |= losses
        track(epoch, _curves(losses))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
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


def _opened(prompts: ModularArithmetic, folder: Path) -> str:
    """Return the command that opens the model."""
    usual, path = asdict(ModularArithmetic()), shlex.quote(str(folder))
    given = [f"prompts.{n}={value}" for n, value in asdict(prompts).items() if value != usual[n]]
    return " ".join(["interp experiment=modular_addition", f"model.path={path}", *given])


def _curves(row: Mapping[str, float]) -> dict[str, float]:
    return {f"epoch/{n}": x for n, x in row.items() if n != "epoch" and math.isfinite(x)}
