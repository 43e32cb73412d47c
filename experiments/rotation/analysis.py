"""By what angle does each layer turn a token's vector, and is it another for the target?

A vector is read at the target and at the token before it, and held against itself one layer on. A
step that turns both alike says nothing of the target; so the two are compared in the same
sentences, and the target with what the angle would be if a step led anywhere: to another layer and
position of its sentence, shuffled. What counts once is an observation, not a prompt: the members of
a minimal pair share all but a word, and a causal model reads what they share but once.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import POSITIONS, Position, TargetAndBefore, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.hooks.vocabulary import LogitLens, Logits
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.results.captions import Reading
from interp.results.primary_series import Headline
from interp.results.result import Result
from interp.runner.analysis import ANALYSES, at_layer, refuse_scores
from interp.stats import permutations
from interp.stats.calibration import check_settings
from interp.stats.observations import check_words, observations, words

from .differences import Differences, differences, smallest_p
from .report import (
    angle_table,
    described_series,
    geometric_mean,
    logged_differences,
    summary,
    tests_table,
    with_limits,
)
from .turns import Turns, norms, turns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interp.forward.plan import Plan


@ANALYSES.register("rotation")
@dataclass(frozen=True)
class Rotation:
    """The angle by which each layer turns a token's vector, the target's against its controls'.

    Attributes:
        permutations: draws of the null; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a step counts as significant.
        words: which column's words observations that share one are put together by; "auto" for the
            targets where these vary, else for the one with most different words; "none" to count
            sentences.
    """

    permutations: int = 999
    alpha: float = 0.05
    words: str = "auto"

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(self, prompts: PromptSet, plan: "Plan", hook: HookPoint, position: Position) -> None:
        """Refuse what has no step from layer to layer, or no token before the target.

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
        lengths = norms(activations)
        shared = words(prompts, observations(prompts, plan, activations), self.words)
        observation = shared.number
        nowhere = (lengths == 0).any(axis=(0, 2))
        left_out = np.isin(observation, observation[nowhere])
        if left_out.all():
            first = activations.layers[int((lengths == 0).any(axis=(1, 2)).argmax())]
            with at_layer(hook, first, activations.layers):
                raise ValueError("a vector lies at the origin and has no direction")
        kept = np.flatnonzero(~left_out)
        numbers, observation_of_kept = np.unique(observation[kept], return_inverse=True)
        n = len(numbers)
        of_prompts = turns(activations, lengths, kept)
        means = of_prompts.averaged(observation_of_kept)
        counted = shared.counted(n)
        reading = Reading(
            layers=activations.layers[1:],
            names=_steps(plan),
            model=source.title,
            hook=hook.label,
            position=f"position: {described(position)}",
            groups=prompts.group_names,
            units=f"{len(kept)} prompt{'s' * (len(kept) != 1)}, {counted}",
            notice=plan.notice,
        )
        remarks = []
        if n < len(kept):
            alike = f" or has its {shared.called} in common" if shared.name else ""
            remarks.append(
                f"{len(kept)} prompts are {counted}: the members of a pair count once, and so does "
                f"what the model reads alike{alike}."
            )
        if n < observation.max() + 1:
            remarks.append(
                f"Left out: {observation.max() + 1 - n} with a vector at the origin, which has no "
                "direction."
            )
        described_alone = Result(
            series=described_series(means, reading),
            tables={"angles": angle_table(of_prompts, kept, observation, prompts, reading)},
        )
        if n < 2:
            title = "By how much each step turns the target, and the token before it"
            told = "One observation: its angles are drawn, and nothing is tested."
            drawn = Result(
                tables={"summary": summary(means, None, reading)},
                figures={"rotation": self._rotations(of_prompts, means, None, reading, title)},
                finding=" ".join([told, *remarks]),
            )
            return Result.merged([drawn, described_alone])
        exchanged = permutations.exchanges(n, self.permutations, rng)
        rounding = float(np.degrees(activations.resolution))
        against_before = means.target - means.before
        control = differences(against_before, exchanged, rounding)
        chance = differences(means.target - means.shuffled[:, None], exchanged, rounding)
        tested = self._tested(of_prompts, means, control, chance, reading, remarks)
        return Result.merged([tested, described_alone])

    def _tested(
        self,
        of_prompts: Turns,
        means: Turns,
        control: Differences,
        chance: Differences,
        reading: Reading,
        remarks: list[str],
    ) -> Result:
        """Say what the tests found of the target beside both of its controls."""
        import pandas as pd

        from . import figures
        from .figures import Estimate

        passes = control.flips.p_corrected < self.alpha
        # The largest of what can be told from chance, or of all where nothing can.
        top = int(np.where(passes | ~passes.any(), np.abs(control.mean), -1).argmax())
        verdict = self._verdict(control, reading)
        d = f", d_z = {with_limits(control.d, control.d_low, control.d_high, top, '', 2)}"
        of_tests = [f"Wilcoxon {control.p_wilcoxon_holm[top]:.2g}"]
        if control.varies[top]:
            of_tests.insert(0, f"t {control.p_t_holm[top]:.2g}")
        finding = [
            f"{verdict} (signs of {control.observations} observations flipped, p < "
            f"{self.alpha:g}, corrected over steps). {'Of these most' if passes.any() else 'Most'} "
            f"at {reading.names[top]}: {means.target.mean(0)[top]:.1f}° against "
            f"{means.before.mean(0)[top]:.1f}°, a difference of "
            f"{with_limits(control.mean, control.low, control.high, top, '°', 1)}"
            f"{d if control.varies[top] else ''}, corrected p = "
            f"{control.flips.p_corrected[top]:.2g} (Holm: {', '.join(of_tests)}).",
            self._against_chance(means, chance, reading),
            *remarks,
        ]
        if smallest_p(control.observations, self.permutations) >= self.alpha:
            finding.append(
                "With so few observations or draws no p can fall below "
                f"{smallest_p(control.observations, self.permutations):.2g}."
            )
        for name, found in (("before", control), ("shuffled", chance)):
            if not found.varies.all():
                finding.append(
                    f"At {reading.where(~found.varies)} the target minus {name} does not vary "
                    "beyond rounding, and has no t and no d_z."
                )
        furthest = f"{control.mean[top]:+.1f}°"
        if control.varies[top]:
            furthest += f", d_z\u00a0=\u00a0{control.d[top]:.2f}"
        return Result(
            series={
                **logged_differences("before", control, reading),
                **logged_differences("shuffled", chance, reading),
            },
            scalars={
                "peak_layer": reading.layers[top],
                "peak_difference": float(control.mean[top]),
                "peak_p_corrected": float(control.flips.p_corrected[top]),
                "significant_steps": int(passes.sum()),
            },
            headlines=(
                Headline(
                    "minus_before_difference",
                    "angle, target − token before (degrees)",
                    "minus_before_",
                    alpha=self.alpha,
                ),
            ),
            tables={
                "summary": summary(means, control, reading),
                "tests": pd.concat(
                    [
                        tests_table("before", control, reading),
                        tests_table("shuffled", chance, reading),
                    ]
                ),
            },
            figures={
                "rotation": self._rotations(of_prompts, means, passes, reading, verdict),
                "differences": figures.estimates_over_steps(
                    reading.names,
                    [
                        Estimate(
                            "target − before (degrees)", control.mean, control.low, control.high
                        ),
                        Estimate(
                            "the same in d_z\n(standard deviations)",
                            control.d,
                            control.d_low,
                            control.d_high,
                        ),
                    ],
                    passes,
                    title="The target's angle minus that of the token before it: furthest from 0 "
                    f"at {reading.names[top]}, {furthest.replace('-', '−')}",
                    subtitle=reading.told(),
                    xlabel=reading.xlabel,
                    **self._signs(),
                ),
            },
            finding=" ".join(finding),
            null="angles of target and token before it exchanged in whole observations",
        )

    def _verdict(self, control: Differences, reading: Reading) -> str:
        """Say at which steps the target turns more than the token before it, and at which less."""
        if smallest_p(control.observations, self.permutations) >= self.alpha:
            return "The target and the token before it: too few observations to tell from chance"
        passes = control.flips.p_corrected < self.alpha
        told = _more_or_less(passes, control.mean, "the token before it", reading)
        return told or "At no step does the target turn more or less than the token before it"

    def _against_chance(self, means: Turns, chance: Differences, reading: Reading) -> str:
        """Say how the target's angles lie to those between shuffled layers and positions."""
        passes = chance.flips.p_corrected < self.alpha
        told = _more_or_less(passes, chance.mean, "that", reading)
        told = told or "At no step does the target turn more or less than that"
        return (
            "Two vectors of one sentence, of shuffled layers and positions, are "
            f"{means.shuffled.mean():.1f}° apart on average. {told} (p < {self.alpha:g}, "
            "corrected)."
        )

    def _signs(self, of: str = "") -> dict[str, str]:
        """Return what filled and hollow points of a figure mean."""
        return {
            "significant_label": f"{of}p < {self.alpha:g}, corrected over steps",
            "other_label": f"{of}p ≥ {self.alpha:g}, corrected over steps",
        }

    def _rotations(
        self,
        of_prompts: Turns,
        means: Turns,
        passes: NDArray[np.bool_] | None,
        reading: Reading,
        title: str,
    ) -> "Figure":
        from . import figures
        from .figures import Bundle

        steps = len(reading.layers)
        level = np.broadcast_to(of_prompts.shuffled[:, None], (len(of_prompts), steps))
        before = "token before it"
        return figures.rotations(
            reading.names,
            [
                Bundle("target", of_prompts.target, means.target.mean(0)),
                Bundle(before, of_prompts.before, means.before.mean(0)),
                Bundle(
                    "shuffled layers and positions", level, np.full(steps, means.shuffled.mean())
                ),
            ],
            [
                Bundle("target", of_prompts.growth_target, geometric_mean(means.growth_target)),
                Bundle(before, of_prompts.growth_before, geometric_mean(means.growth_before)),
            ],
            passes,
            title=title,
            subtitle=reading.told(),
            xlabel=reading.xlabel,
            **self._signs("target − before: "),
        )


def _more_or_less(passes: NDArray[np.bool_], mean: Array, than: str, reading: Reading) -> str:
    """Say where the target turns more than its control, and where less; "" where neither."""
    said: list[str] = []
    for word, which in (("more", passes & (mean > 0)), ("less", passes & (mean < 0))):
        if which.any():
            said.append(f"{word}{'' if said else f' than {than}'} at {reading.where(which)}")
    return f"The target turns {'; '.join(said)}" if said else ""


def _steps(plan: "Plan") -> tuple[str, ...]:
    """Name each step by the layers that it leads from and to: "0→1", "embed→attn 0"."""
    named = [name.removeprefix("layer ") for name in plan.layer_names]
    return tuple(f"{a}→{b}" for a, b in itertools.pairwise(named))
