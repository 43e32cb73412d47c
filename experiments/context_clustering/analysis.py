"""When does an object become a subject? "The lamp laughed at the joke", and the words after it.

Names and objects are read in the same sentence, after more and more sentences that treat the word
as a subject, or after as many that do not. In each frame the names have a centroid and a spread,
and the question is how far from that centroid the objects lie, in those spreads. Any context may
pull words together, so what counts is what the one kind of context does beyond the other. Two
nulls stand beside it: the kinds of context exchanged within templates, and the classes shuffled
among words. Names that spread out also seem nearer, in their own spreads; so the gap along the
direction between the classes must close as well. Words and templates are both drawn from many, and
intervals resample both.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, Target, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.models import ModelSource
from interp.results.captions import Reading
from interp.results.primary_series import Headline
from interp.results.result import Result, Series
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from . import figures
from .design import OTHER, SUBJECT, Design, design
from .measures import (
    Draws,
    Effect,
    Level,
    effects,
    gap_before_and_after,
    levels,
    measured,
    nearer_by_both,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from interp.forward.plan import Plan


@ANALYSES.register("context_clustering")
@dataclass(frozen=True)
class ContextClustering:
    """How near objects come to subjects in contexts that treat them as such, by layer and dose.

    Attributes:
        permutations: draws of the nulls; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a layer and dose count as significant.
        resamples: draws of words and templates for the 95% intervals.
    """

    permutations: int = 999
    alpha: float = 0.05
    resamples: int = 999

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        if self.resamples < 100:
            raise ConfigError(
                f"resamples must be at least 100 for limits of 95%, not {self.resamples}"
            )

    def check(self, prompts: PromptSet, position: Position) -> None:
        """Refuse prompts that are no words in contexts, and positions other than the word's.

        Raises:
            ConfigError: another position, or prompts that make no such design.
        """
        design(prompts)
        if not isinstance(position, Target):
            raise ConfigError(
                "position: context_clustering reads the word itself, not its context: use "
                "position=target"
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
        """Hold objects against subjects, in both kinds of context, at each layer and dose.

        Raises:
            ConfigError: a layer at which the subjects coincide.
        """
        words = design(prompts)
        draws = Draws.of(words, self.resamples, self.permutations, rng)
        found = measured(activations, hook, words, draws)
        level, tested = levels(found, words, draws), effects(found, words, draws)
        reading = Reading(
            layers=activations.layers,
            names=plan.layer_names,
            model=source.title,
            hook=hook.label,
            position=f"position: {described(position)}",
            groups=prompts.group_names,
            units=f"{words.is_subject.sum()} {words.subjects} and {(~words.is_subject).sum()} "
            f"{words.objects} in {words.templates} templates",
            notice=plan.notice,
        )
        gap_closes = tested["projection"]
        effect = nearer_by_both(tested["distance"], gap_closes)
        passes = effect.p_corrected < self.alpha
        # The largest of what can be told from chance, or of all where nothing can.
        peak = np.unravel_index(
            np.where(passes | ~passes.any(), effect.values, -np.inf).argmax(), passes.shape
        )
        layer, d = int(peak[0]), int(peak[1])
        verdict, finding = self._told(
            effect, gap_closes, level["distance"], words, reading, layer, d
        )
        if words.has_probe:
            gap, less = gap_before_and_after(found, words, draws)
            at = int(np.abs(less.values).argmax())
            spread = level["spread"].values[:, words.number(OTHER, words.doses[-1])]
            finding += (
                f" What any context does: after {words.doses[-1]} sentences that do not treat them "
                f"as subjects the gap between {words.objects} and {words.subjects} along the "
                f"direction is {gap[at]:.2f} at {reading.names[at]}, less by {less.values[at]:.2f} "
                f"({less.low[at]:.2f} to {less.high[at]:.2f}) than before any, and the "
                f"{words.subjects}' spread {spread[at]:.2f} of what it is where they stand bare."
            )
        return Result(
            series=_series(effect, level["distance"], words, reading),
            scalars={
                "peak_layer": reading.layers[layer],
                "peak_dose": words.doses[d],
                "peak_effect": float(effect.values[layer, d]),
                "peak_low": float(effect.low[layer, d]),
                "peak_high": float(effect.high[layer, d]),
                "peak_p_corrected": float(effect.p_corrected[layer, d]),
                "significant_layers": int(passes.any(1).sum()),
            },
            tables={
                "summary": self._summary(effect, level["distance"], words, reading),
                "doses": _dose_table(level, words, reading),
                "effects": _effect_table(tested, words, reading),
            },
            figures=self._figures(tested, level, words, reading, verdict),
            animations={"words": figures.words_moving(found, effect, words, reading)},
            finding=finding,
            null="contexts exchanged within templates; classes shuffled among words",
            headlines=(
                Headline(
                    "value",
                    f"nearer to {words.subjects} by (of their spread)",
                    direction="greater",
                    alpha=self.alpha,
                ),
            ),
        )

    def _told(
        self,
        effect: Effect,
        gap_closes: Effect,
        distance: Level,
        words: Design,
        reading: Reading,
        layer: int,
        d: int,
    ) -> tuple[str, str]:
        """Return the verdict, and the finding at one layer and dose."""
        names, objects, dose = words.subjects, words.objects, words.doses[d]
        either, other = (
            distance.values[layer, words.number(kind, dose)] for kind in (SUBJECT, OTHER)
        )
        nearer = np.asarray((effect.p_corrected < self.alpha).any(axis=1))
        closer = (
            f"nearer to {names} after sentences that treat them as subjects than after as many "
            "that do not"
        )
        verdict = (
            f"{objects} lie {closer}, at {reading.where(nearer)}"
            if nearer.any()
            else f"at no {reading.unit} do {objects} lie {closer}"
        )
        sentences = f"{dose} sentence{'s' * (dose != 1)}"
        finding = (
            f"{verdict} (p < {self.alpha:g}, corrected over {reading.unit}s and doses). "
            f"{'Of these most' if nearer.any() else 'Most'} at {reading.names[layer]} after "
            f"{sentences}: {either:.3f} instead of {other:.3f} spreads of the {names} from their "
            f"centroid, nearer by {_with_interval(effect, layer, d)}, while the gap along the "
            f"direction is less by {_with_interval(gap_closes, layer, d)}; corrected p = "
            f"{effect.p_corrected[layer, d]:.2g}."
        )
        if effect.smallest_p >= self.alpha:
            verdict = f"{objects} and {names}: too few templates or draws to tell from chance"
            finding += (
                f" With {words.templates} templates and {self.permutations} draws no p can fall "
                f"below {effect.smallest_p:.2g}."
            )
        away = effect.p_other_way < self.alpha
        if away.any():
            at_dose, at_layer = away.any(axis=0), np.asarray(away.any(axis=1))
            doses = ", ".join(str(words.doses[at]) for at in np.flatnonzero(at_dose))
            finding += (
                f" At {reading.where(at_layer)}, after {doses}, they lie further away "
                f"(p < {self.alpha:g}, corrected), which the test above does not count."
            )
        return verdict, finding

    def _figures(
        self,
        tested: dict[str, Effect],
        level: dict[str, Level],
        words: Design,
        reading: Reading,
        verdict: str,
    ) -> "dict[str, Figure]":
        names, objects, effect = words.subjects, words.objects, tested["distance"]
        along = {objects: "projection_objects", names: "projection_subjects"}
        return {
            "effect": figures.over_layers_and_doses(effect, words, reading, verdict, self.alpha),
            "effect_over_doses": figures.effect_over_doses(
                effect, words, reading, verdict, self.alpha
            ),
            "measures": figures.over_layers(tested, words, reading, self.alpha),
            "distance": figures.levels_over_doses(
                {objects: level["distance"]},
                words,
                reading,
                title=f"How far {objects} lie from {names}, over sentences",
                ylabel=f"distance from the {names}' centroid, in their spreads",
                reference=(f"the {names}' own spread", 1.0),
            ),
            "projection": figures.levels_over_doses(
                {name: level[key] for name, key in along.items()},
                words,
                reading,
                title=f"Where {objects} and {names} lie along the direction between them",
                ylabel=f"projection: other bare {objects} 0, {names} 1",
                reference=("halfway", 0.5),
            ),
        }

    def _summary(
        self, effect: Effect, distance: Level, words: Design, reading: Reading
    ) -> "pd.DataFrame":
        """Return a row a layer, after most sentences."""
        import pandas as pd

        most = words.doses[-1]
        verdicts = []
        for p, p_other_way in zip(
            effect.p_corrected[:, -1], effect.p_other_way[:, -1], strict=True
        ):
            if p < self.alpha:
                verdicts.append("nearer")
            elif effect.smallest_p >= self.alpha:
                verdicts.append("too few to tell")
            else:
                verdicts.append("further" if p_other_way < self.alpha else "as chance")
        ends = zip(effect.low[:, -1], effect.high[:, -1], strict=True)
        return pd.DataFrame(
            {
                reading.unit: reading.ticks or reading.layers,
                f"distance, {most} other": distance.values[:, words.number(OTHER, most)],
                f"{most} as subject": distance.values[:, words.number(SUBJECT, most)],
                "nearer by": effect.values[:, -1],
                "95% interval": [f"{low:.2g} to {high:.2g}" for low, high in ends],
                "p (corrected)": effect.p_corrected[:, -1],
                "verdict": verdicts,
            }
        )


def _with_interval(effect: Effect, layer: int, d: int) -> str:
    low, high = effect.low[layer, d], effect.high[layer, d]
    return f"{effect.values[layer, d]:.2g} (95% interval {low:.2g} to {high:.2g})"


def _series(effect: Effect, distance: Level, words: Design, reading: Reading) -> dict[str, Series]:
    """Return what is logged of each layer: the effect of most sentences, and that of each dose."""
    most = words.doses[-1]
    values = {
        "value": effect.values[:, -1],
        "low": effect.low[:, -1],
        "high": effect.high[:, -1],
        "null_mean": effect.contexts.null_mean[:, -1],
        "null_low": effect.contexts.null_low[:, -1],
        "null_high": effect.contexts.null_high[:, -1],
        "p_context": effect.contexts.p[:, -1],
        "p_class": effect.classes.p[:, -1],
        "p_corrected": effect.p_corrected[:, -1],
        **{
            f"distance_{kind}": distance.values[:, words.number(kind, most)]
            for kind in (SUBJECT, OTHER)
        },
        **{f"effect_dose_{dose}": effect.values[:, d] for d, dose in enumerate(words.doses)},
    }
    return {name: Series.over(reading.layers, value) for name, value in values.items()}


def _dose_table(level: dict[str, Level], words: Design, reading: Reading) -> "pd.DataFrame":
    """Return every level with its interval, a row a layer and condition."""
    import pandas as pd

    rows = []
    for i, layer in enumerate(reading.layers):
        for c, condition in enumerate([words.bare, *words.conditions]):
            row: dict[str, object] = {
                "layer": layer,
                "condition": condition.name,
                "dose": condition.dose,
            }
            for name, found in level.items():
                row[name] = found.values[i, c]
                row |= {f"{name}_low": found.low[i, c], f"{name}_high": found.high[i, c]}
            rows.append(row)
    return pd.DataFrame(rows)


def _effect_table(tested: dict[str, Effect], words: Design, reading: Reading) -> "pd.DataFrame":
    """Return every effect with its tests, a row a measure, layer and dose."""
    import pandas as pd

    rows = []
    for name, effect in tested.items():
        columns = {
            "effect": effect.values,
            "low": effect.low,
            "high": effect.high,
            "null_low": effect.contexts.null_low,
            "null_high": effect.contexts.null_high,
            "p_context": effect.contexts.p,
            "p_context_corrected": effect.contexts.p_corrected,
            "p_class": effect.classes.p,
            "p_class_corrected": effect.classes.p_corrected,
            "p_corrected": effect.p_corrected,
            "p_other_way_corrected": effect.p_other_way,
        }
        for (i, d), _ in np.ndenumerate(effect.values):
            at = {"measure": name, "layer": reading.layers[i], "dose": words.doses[d]}
            rows.append({**at, **{column: values[i, d] for column, values in columns.items()}})
    return pd.DataFrame(rows)
