"""How similar are two groups of prompts at each layer, and is that more than chance?

At each layer one number compares the two groups; the same number under permutations is its null.
Paired metrics ask whether the given pairs are closer than other pairs of the same prompts, unpaired
metrics whether the two groups differ more than two random groups of the same prompts. Every layer
sees the same permutations, so that p-values are corrected for all layers by the most extreme layer
of each permutation. With a randomly initialised reference model, a second null shows how much of
the similarity is present without training.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric
from interp.models import ModelSource
from interp.reductions import REDUCTIONS, Reduction, refuse_supervised
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.runner.reference_model import Reference
from interp.stats.calibration import check_settings, describe_score

from . import report
from .measures import TwoGroups, compare_groups, compare_with_reference

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan


@ANALYSES.register("layer_similarity")
@dataclass(frozen=True)
class LayerSimilarity:
    """One similarity per layer between two groups of prompts, with its permutation null.

    Attributes:
        permutations: permutations of the null; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a layer counts as significant.
    """

    permutations: int = 999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(
        self,
        prompts: PromptSet,
        samples: "pd.DataFrame",
        plan: "Plan",
        metric: Metric,
        reduction: Reduction,
        reference: Reference,
    ) -> None:
        """Refuse prompts that the metric cannot compare.

        Raises:
            ConfigError: other than two groups, too few prompts, a paired metric with groups that
                do not pair up, prompt by prompt and token by token, a reduction that is fitted on
                the groups, or a reference model with other layers or tokens.
        """
        refuse_supervised(reduction)
        _check_groups(prompts, metric)
        _check_points(prompts, samples, metric)
        if len(samples) < reduction.min_samples:
            raise ConfigError(
                f"reduction: it needs at least {reduction.min_samples} points, not {len(samples)}"
            )
        if not reference.draws:
            return
        if reference.layers != plan.layers:
            raise ConfigError(
                f"reference: {reference.title} has {len(reference.layers)} layers to read, the "
                f"model {len(plan.layers)}; analysis=layer_matrix compares models of unequal depth"
            )
        reference.check_samples(samples)

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        metric: Metric,
        reduction: Reduction,
        reference: Reference,
        rng: np.random.Generator,
    ) -> Result:
        """Compare the two groups at each layer.

        Raises:
            ConfigError: a layer at which the metric is not defined, for example because all points
                coincide.
        """
        from . import figures

        groups = TwoGroups.of(prompts, activations.samples)
        permuted = groups.permuted(metric.paired, self.permutations, rng)
        setting = (groups, metric, reduction, hook, permuted, self.alpha)
        similarity = compare_groups(activations, *setting)
        found = similarity.calibration
        of_seeds = [compare_groups(seed, *setting).calibration for seed in _seeds_of(reference)]
        compared = compare_with_reference(found, of_seeds, metric.paired) if of_seeds else None

        counts = (len(groups.first), len(groups.second))
        reduced_by = REDUCTIONS.name_of(reduction)
        words = report.Comparison(
            layers=activations.layers,
            groups=groups.names,
            counts=counts,
            units="prompts" if sum(counts) == len(prompts) else "tokens",
            model=source.title,
            position=described(position),
            hook=hook.label,
            metric=metric,
            reduction="" if reduced_by == "identity" else reduced_by,
            reader=activations.unembedding.name if activations.unembedding else "",
            permutations=found.null.shape[1],
            alpha=self.alpha,
            reference=reference.title if of_seeds else "",
            seeds=len(of_seeds),
        )
        return Result(
            tested=(found.tested_series(activations.layers, metric.label, self.alpha),),
            series=report.reference_series(compared, activations.layers),
            scalars=report.scalars(found, compared, words),
            tables=report.tables(found, compared, words),
            figures={"similarity": figures.similarity_curve(found, compared, words)},
            images=figures.images(similarity, words),
            finding=report.describe_finding(found, compared, words),
            null=f"{words.permuted}; {describe_score(metric)}",
        )


def _seeds_of(reference: Reference) -> Iterable[Activations]:
    """Return the activations of each seed of the reference model, with a progress bar."""
    from tqdm import tqdm

    seeds: Iterable[Activations] = tqdm(
        reference.activations(), "reference", reference.draws, delay=2, disable=None, leave=False
    )
    return seeds


def _check_groups(prompts: PromptSet, metric: Metric) -> None:
    """Refuse other than two groups, groups of one prompt, and unequal groups where they pair up."""
    groups = prompts.group_names
    if len(groups) != 2:
        raise ConfigError(
            f"prompts: layer_similarity compares two groups, not {len(groups)}: "
            f"{', '.join(groups)}; a prompt's group is its key in prompts.groups, or a file's "
            "group column"
        )
    sizes = [len(prompts.members(group)) for group in groups]
    if metric.paired and sizes[0] != sizes[1]:
        raise ConfigError(
            f"prompts: metric={METRICS.name_of(metric)} pairs the prompts of both groups, which "
            f"have {sizes[0]} ({groups[0]}) and {sizes[1]} ({groups[1]})"
        )
    for group, size in zip(groups, sizes, strict=True):
        if size < 2:
            raise ConfigError(f"prompts: group {group!r} has one prompt; a null needs at least two")


def _check_points(prompts: PromptSet, samples: "pd.DataFrame", metric: Metric) -> None:
    """Refuse tokens that do not pair up, and groups that may have too few points."""
    name, counts = METRICS.name_of(metric), samples.groupby("prompt").size()
    if metric.paired and counts.nunique() > 1:
        raise ConfigError(
            f"position: metric={name} pairs tokens, but prompts give {counts.min()} to "
            f"{counts.max()} of them; pool them (position=mean) or take one (position=last)"
        )
    # A permuted group may consist of the shortest prompts, and must have enough points too.
    smaller = min(len(prompts.members(group)) for group in prompts.group_names)
    fewest = int(np.sort(counts)[:smaller].sum())
    if fewest < metric.min_samples:
        known = [field for field in ("components", "k", "folds") if hasattr(metric, field)]
        raise ConfigError(
            f"prompts: metric={name} needs at least {metric.min_samples} points per group, not "
            f"{fewest}; give more prompts{f', or lower metric.{known[0]}' if known else ''}"
        )
