"""When does an object become a subject? "The lamp laughed at the joke", and the words after it.

Names and objects are read in the same sentence, after an increasing number of sentences that treat
the word as a subject, or after as many that do not. In each frame the names have a centroid and a
spread, and the measure is how far from that centroid the objects lie, in units of that spread. Any
context may draw words together, so the effect is what one kind of context does beyond the other. It
is tested against two nulls: the kinds of context exchanged within templates, and the classes
permuted among words. Objects also seem nearer, in units of the names' spread, if only the names
spread out; so the gap along the direction between the classes must close as well. Words and
templates are both samples from many, and intervals resample both.
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
from interp.results.captions import Caption
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from . import report
from .design import Design, read_design
from .effects import context_drift, context_effects, levels_with_intervals, nearer_by_both
from .measures import Reweightings, measure_conditions

if TYPE_CHECKING:
    from interp.forward.plan import Plan


@ANALYSES.register("context_clustering")
@dataclass(frozen=True)
class ContextClustering:
    """How near objects come to subjects in contexts that treat them as such.

    Measured at each layer and after each number of context sentences.

    Attributes:
        permutations: permutations of the nulls; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which an effect counts as significant.
        resamples: resamples of words and templates for the 95% intervals.
    """

    permutations: int = 999
    alpha: float = 0.05
    resamples: int = 999

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        if self.resamples < 100:
            raise ConfigError(
                f"resamples must be at least 100 for 95% intervals, not {self.resamples}"
            )

    def check(self, prompts: PromptSet, position: Position) -> None:
        """Refuse prompts that are not words in contexts, and positions other than the word's.

        Raises:
            ConfigError: another position, or prompts without such a design.
        """
        read_design(prompts)
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
        """Compare objects with subjects in both kinds of context, at each layer.

        Raises:
            ConfigError: a layer at which the subjects coincide.
        """
        from . import figures

        design = read_design(prompts)
        reweightings = Reweightings.sample(design, self.resamples, self.permutations, rng)
        measured = measure_conditions(activations, hook, design, reweightings)
        effects = context_effects(measured, design, reweightings)
        found = report.ContextEffects(
            design=design,
            measured=measured,
            levels=levels_with_intervals(measured, design, reweightings),
            effects=effects,
            nearer=nearer_by_both(effects["distance"], effects["projection"]),
            drift=context_drift(measured, design, reweightings),
            caption=Caption(
                layers=activations.layers,
                names=plan.layer_names,
                model=source.title,
                hook=hook.label,
                position=f"position: {described(position)}",
                groups=prompts.group_names,
                units=_describe_words(design),
                notice=plan.notice,
            ),
            alpha=self.alpha,
            permutations=self.permutations,
        )
        return Result(
            tested=report.tested_series(found),
            series=report.untested_series(found),
            scalars=report.scalars(found),
            tables=report.tables(found),
            figures=figures.figures(found),
            animations={"words": figures.word_animation(found)},
            finding=report.describe_finding(found),
            null=report.NULL,
        )


def _describe_words(design: Design) -> str:
    n_subjects = int(design.is_subject.sum())
    n_objects = len(design.words) - n_subjects
    return (
        f"{n_subjects} {design.subjects} and {n_objects} {design.objects} in "
        f"{design.n_templates} templates"
    )
