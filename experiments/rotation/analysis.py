"""By what angle does each step from layer to layer turn a token's vector, and more at the target?

Two vectors of each sentence are read, at the target and at the token before it, and each is
compared with itself one layer later. A step that turns both alike says nothing about the target, so
the two angles are compared within sentences. The target's angle is also compared with the mean
angle between any two vectors of the sentence, at shuffled layers and positions. Tests count
observations, not prompts: the members of a minimal pair share all but a word, and a causal model
reads the text before that word once.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import POSITIONS, Position, TargetAndBefore, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.hooks.vocabulary import LogitLens, Logits
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.results.captions import Caption
from interp.results.result import Result
from interp.runner.analysis import ANALYSES, at_layer, refuse_scores
from interp.stats import permutations
from interp.stats.calibration import check_settings
from interp.stats.observations import check_words, group_observations, number_observations

from . import report
from .measures import MeasuredPrompts, measure_changes, vector_norms
from .paired_tests import paired_tests

if TYPE_CHECKING:
    from interp.forward.plan import Plan


@ANALYSES.register("rotation")
@dataclass(frozen=True)
class Rotation:
    """The angle by which each step turns a token's vector, at the target and at its controls.

    Attributes:
        permutations: permutations of the null; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a step counts as significant.
        words: the column of the prompts by whose words observations are merged; "auto" for the
            targets where these vary, else the column with most different words; "none" to count
            sentences.
    """

    permutations: int = 999
    alpha: float = 0.05
    words: str = "auto"

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(self, prompts: PromptSet, plan: "Plan", hook: HookPoint, position: Position) -> None:
        """Refuse inputs without steps from layer to layer, or without a token before the target.

        Raises:
            ConfigError: another position, logits or scores in place of vectors, a single layer, or
                words that the prompts do not have.
        """
        check_words(prompts, self.words)
        refuse_scores(hook, "rotation")
        if not isinstance(position, TargetAndBefore):
            raise ConfigError(
                "position: rotation reads the target and the token before it: use "
                f"position=target_and_before, not {POSITIONS.name_of(position)}"
            )
        if isinstance(hook, LogitLens | Logits):
            raise ConfigError(
                "hook: rotation turns the model's own vectors, and the logits that "
                f"hook={hook.site} reads are none; use hook=hidden_states"
            )
        if len(plan.layers) < 2:
            raise ConfigError(
                f"hook: rotation goes from layer to layer and needs two at least; {hook.label} is "
                f"read at layer {plan.layers[0]} alone"
            )

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        plan: "Plan",
        rng: np.random.Generator,
    ) -> Result:
        """Measure the angles of every sentence, and test them over observations.

        Raises:
            ConfigError: every observation has a vector at the origin, which has no direction.
        """
        from . import figures

        norms = vector_norms(activations)
        observation = number_observations(prompts, plan, activations)
        shared = group_observations(prompts, observation, self.words)
        measured = MeasuredPrompts.of(shared, norms)
        if measured.n == 0:
            _refuse_zero_vectors(norms, hook, activations.layers)
        of_prompts = measure_changes(activations, norms, measured.prompts)
        of_observations = of_prompts.averaged(measured.observation)

        minus_before = minus_shuffled = None
        if measured.n > 1:
            flipped = permutations.draw_exchanges(measured.n, self.permutations, rng)
            rounding = float(np.degrees(activations.resolution))
            target, before = of_observations.angle_target, of_observations.angle_before
            shuffled = of_observations.angle_shuffled[:, None]
            minus_before = paired_tests(target - before, flipped, rounding)
            minus_shuffled = paired_tests(target - shuffled, flipped, rounding)

        n_prompts = len(measured.prompts)
        units = f"{n_prompts} prompt{'s' * (n_prompts != 1)}, {shared.describe(measured.n)}"
        found = report.Rotations(
            of_prompts=of_prompts,
            means=of_observations.mean(),
            measured=measured,
            shared=shared,
            minus_before=minus_before,
            minus_shuffled=minus_shuffled,
            caption=_caption(source, hook, position, plan, prompts, units),
            alpha=self.alpha,
            permutations=self.permutations,
        )
        return Result(
            tested=report.tested_series(found),
            series=report.untested_series(found),
            scalars=report.scalars(found),
            tables=report.tables(found, prompts),
            figures=figures.figures(found),
            finding=report.describe_finding(found),
            null=report.NULL if found.tests else "",
        )


def _caption(
    source: ModelSource,
    hook: HookPoint,
    position: Position,
    plan: "Plan",
    prompts: PromptSet,
    units: str,
) -> Caption:
    """Name the steps by the layers that they lead to."""
    return Caption(
        layers=plan.layers[1:],
        names=_step_names(plan),
        model=source.title,
        hook=hook.label,
        position=f"position: {described(position)}",
        groups=prompts.group_names,
        units=units,
        notice=plan.notice,
    )


def _refuse_zero_vectors(norms: Array, hook: HookPoint, layers: tuple[int, ...]) -> None:
    """Raise a ConfigError that names the first layer with a vector at the origin."""
    first = layers[int((norms == 0).any(axis=(1, 2)).argmax())]
    with at_layer(hook, first, layers):
        raise ValueError("a vector lies at the origin and has no direction")


def _step_names(plan: "Plan") -> tuple[str, ...]:
    """Return the name of each step by the layers that it leads from and to: "0→1"."""
    names = [name.removeprefix("layer ") for name in plan.layer_names]
    return tuple(f"{a}→{b}" for a, b in itertools.pairwise(names))
