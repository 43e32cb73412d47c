"""Which neurons tell two kinds of sentences apart, at which layers, and do they form clusters?

Minimal pairs such as "him" and "her" differ in one word, and each neuron is tested for responding
to it: in how many do the pairs differ, by how much, and can a linear probe tell sentences apart
that it has not seen? Each number stands beside its null, the words exchanged within pairs, in all
layers alike. One layer is then shown in detail, and the neurons that the test chooses there are
held against each other over the sentences that had no part in choosing them.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.clusterings import Clustering
from interp.core.errors import ConfigError, check_choice, nearest
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.models import ModelSource
from interp.reductions import Reduction
from interp.reductions.reduction import refuse_supervised
from interp.results.captions import Reading
from interp.results.result import Result
from interp.runner.analysis import ANALYSES, refuse_scores
from interp.stats.calibration import check_settings
from interp.stats.observations import Words, check_words, observations, words
from interp.stats.two_sample import CORRECTIONS, TESTS

from .clusters import clustered
from .contrast import Contrast
from .criterion import Criterion
from .over_layers import measured, over_layers
from .overview import overview
from .selected_neurons import chosen
from .tuning import one_neuron, tuned

if TYPE_CHECKING:
    from interp.forward.plan import Plan


@ANALYSES.register("neuron_clusters")
@dataclass(frozen=True)
class NeuronClusters:
    """A test of every neuron at every layer, and the significant ones of one layer in clusters.

    Attributes:
        groups: the two groups to compare; empty for the only two that there are.
        test: "paired", "student", "welch" or "mann_whitney".
        correction: over the neurons of a layer: "benjamini_hochberg", "holm" or "bonferroni".
        alpha: the corrected p below which a neuron, or a layer, counts as significant.
        permutations: draws of the nulls; the smallest p is 1 / (permutations + 1).
        layer: the layer shown in detail: "strongest", that with most significant neurons, or its
            number.
        neuron: the neuron shown over sentences: "top", that of the smallest p, or its number;
            where units have two axes both, "3:17".
        words: which column's words sentences that share one are averaged by for tests; "auto" for
            the targets where these vary, else for the one with most different words; "none" to test
            sentences.
        split_half: whether neurons are chosen on one half of the sentences and clustered on the
            other.
        most: the most neurons that are clustered, those of the largest statistic: each draw of the
            layout's nulls takes a layout of them all, whose time grows with their square.
    """

    groups: list[str] = field(default_factory=list)
    test: str = "paired"
    correction: str = "benjamini_hochberg"
    alpha: float = 0.05
    permutations: int = 199
    layer: Any = "strongest"
    neuron: Any = "top"
    words: str = "auto"
    split_half: bool = True
    most: int = 64

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        check_choice("test", self.test, TESTS)
        check_choice("correction", self.correction, CORRECTIONS)
        if self.layer != "strongest" and type(self.layer) is not int:
            raise ConfigError(f"layer must be strongest or a layer's number, not {self.layer!r}")
        if self.groups and len(set(self.groups)) != 2:
            raise ConfigError(f"groups must be two different groups, not {list(self.groups)}")
        if self.most < 4:
            raise ConfigError(f"most must be at least 4, not {self.most}")

    def check(
        self, prompts: PromptSet, plan: "Plan", hook: HookPoint, reduction: Reduction
    ) -> None:
        """Refuse what cannot be compared.

        Raises:
            ConfigError: groups that there are not, or are no pairs for a paired test; several
                tokens a prompt; a layer that is not read; attention scores; words that the prompts
                do not have; a reduction that is fitted on groups.
        """
        refuse_scores(hook, "neuron_clusters")
        check_words(prompts, self.words)
        sizes = {group: len(prompts.members(group)) for group in self._groups(prompts)}
        if self.test == "paired" and len(set(sizes.values())) > 1:
            said = ", ".join(f"{size} ({group})" for group, size in sizes.items())
            raise ConfigError(
                f"analysis.test: paired compares the i-th prompts of groups of one size, not "
                f"{said}; use analysis.test=welch"
            )
        if len(plan.samples) != len(prompts):
            raise ConfigError(
                f"position: neuron_clusters compares prompts, one point each, not "
                f"{len(plan.samples)} tokens of {len(prompts)} prompts; use position=target"
            )
        if self.layer != "strongest" and self.layer not in plan.layers:
            raise ConfigError(
                f"analysis.layer cannot be {self.layer}{nearest(self.layer, plan.layers)}"
            )
        refuse_supervised(reduction)

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        reduction: Reduction,
        clustering: Clustering,
        plan: "Plan",
        rng: np.random.Generator,
    ) -> Result:
        """Test every neuron at every layer, and cluster those that one layer chooses.

        Raises:
            ConfigError: a neuron that there is not.
        """
        groups = self._groups(prompts)
        number = observations(prompts, plan, activations, groups)
        shared = words(prompts, number, self.words)
        sentences = Contrast.of(activations, prompts, number, groups, hook.units)
        tested = Contrast.of(activations, prompts, shared.number, groups, hook.units)
        neuron = self._neuron(sentences.neurons)
        criterion = Criterion(self.test, self.correction, self.alpha)
        reading = Reading(
            layers=activations.layers,
            names=plan.layer_names,
            model=source.title,
            hook=hook.label,
            position=f"position: {described(position)}",
            groups=groups,
            units=_counted(sentences, tested, shared),
            notice=plan.notice,
        )
        if not tested.can_be_tested:
            return _untested(sentences, tested, self._layer(reading, 0), neuron, criterion, reading)
        found = measured(tested, sentences, reading.layers, criterion, self.permutations, rng)
        i = self._layer(reading, found.strongest)
        parts = [
            over_layers(found, tested, criterion, reading),
            tuned(tested, sentences, found.tuning, i, neuron, criterion, reading),
            overview(sentences, tested, i, found.tuning[i].statistic, criterion, reading),
            clustered(
                chosen(tested, sentences, i, criterion, self.split_half, rng),
                reading,
                reading.names[i],
                reduction,
                clustering,
                self.most,
                self.alpha,
                self.permutations,
                rng,
            ),
        ]
        together = Result.merged(parts)
        headline, *rest = together.finding.split("\n\n")
        told = [headline, _said(tested, shared), sentences.merged, *rest]
        together = dataclasses.replace(together, finding="\n\n".join(filter(None, told)))
        return dataclasses.replace(
            together, scalars={**together.scalars, "layer_shown": float(reading.layers[i])}
        )

    def _groups(self, prompts: PromptSet) -> tuple[str, str]:
        names = prompts.group_names
        for group in self.groups:
            check_choice("analysis.groups", group, names)
        if not self.groups and len(names) != 2:
            choose = f"; choose two, as in 'analysis.groups=[{names[0]},{names[-1]}]'"
            raise ConfigError(
                f"analysis.groups: neuron_clusters compares two groups, not {len(names)} "
                f"({', '.join(names)}){choose * (len(names) > 2)}"
            )
        one, other = self.groups or names
        return one, other

    def _layer(self, reading: Reading, strongest: int) -> int:
        """Return the index of the layer that is shown."""
        return strongest if self.layer == "strongest" else reading.layers.index(self.layer)

    def _neuron(self, names: tuple[str, ...]) -> int | None:
        """Return the index of the neuron that is shown; None where the test is to choose it."""
        if self.neuron == "top":
            return None
        if str(self.neuron) not in names:
            raise ConfigError(
                f"analysis.neuron cannot be {self.neuron!r}: it is top, or one of {names[0]} to "
                f"{names[-1]}"
            )
        return names.index(str(self.neuron))


def _counted(sentences: Contrast, tested: Contrast, shared: Words) -> str:
    """Say what was read, and what the tests count where that is something else."""
    if not shared.name:
        return sentences.counted
    return f"{sentences.counted}, tested by {shared.called} (n = {tested.n_observations})"


def _said(tested: Contrast, shared: Words) -> str:
    """Say what the tests count, where it is not sentences; "" where it is."""
    if not shared.name:
        return ""
    return (
        f"Tests count {shared.counted(tested.n_observations)}: sentences that share it are "
        "averaged, as they are no independent evidence for other words."
    )


def _untested(
    contrast: Contrast,
    tested: Contrast,
    i: int,
    neuron: int | None,
    criterion: Criterion,
    reading: Reading,
) -> Result:
    """Show the activations of groups that are too small for any test."""
    points = contrast.points(i)
    apart = points[contrast.in_first].mean(0) - points[~contrast.in_first].mean(0)
    shown = int(np.abs(apart).argmax()) if neuron is None else neuron
    said = "too few sentences to test"
    return Result.merged(
        [
            Result(
                figures={"neuron": one_neuron(contrast, i, shown, said, reading.names[i], reading)},
                finding=f"{contrast.counted}: a test needs two sentences of each group. "
                f"{contrast.merged}".strip(),
            ),
            overview(contrast, tested, i, apart, criterion, reading),
        ]
    )
