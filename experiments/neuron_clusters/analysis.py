"""Which neurons distinguish two kinds of sentences, at which layers, and do they form clusters?

Minimal pairs such as "him" and "her" differ in one word, and each neuron is tested for responding
to it: in how many neurons do the pairs differ, by how much, and can a linear probe classify
sentences that it was not fitted on? Each number is compared with its null, the words exchanged
within pairs, in all layers alike. One layer is then shown in detail, and the neurons that the test
selects there are clustered by their responses to sentences that had no part in the selection.
"""

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
from interp.reductions import Reduction, refuse_supervised
from interp.results.captions import Caption
from interp.results.result import Result
from interp.runner.analysis import ANALYSES, refuse_scores
from interp.stats.calibration import check_settings
from interp.stats.observations import check_words, group_observations, number_observations
from interp.stats.two_sample import CORRECTIONS, TESTS

from . import cluster_report, layer_report, neuron_report
from .clusters import ClusterSettings, cluster_neurons
from .contrast import Contrast
from .criterion import Criterion
from .layer_report import Comparison
from .layer_tests import compare_layers
from .ranking import compare_sentence_means, rank_neurons
from .selected_neurons import select_neurons

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
        permutations: permutations of the nulls; the smallest p is 1 / (permutations + 1).
        layer: the layer shown in detail: its number, or "strongest" for the one with most
            significant neurons.
        neuron: the neuron shown over sentences: its number, or "top" for the one of the smallest p;
            where units have two axes, both numbers: "3:17".
        words: the column of the prompts by whose words sentences are averaged for tests; "auto" for
            the targets where these vary, else the column with most different words; "none" to test
            sentences.
        split_half: whether neurons are selected on one half of the sentences and clustered on the
            other.
        most: how many neurons are clustered at most, those of the largest statistic. Each
            permutation takes a layout of them all, whose time grows with their square.
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
        """Refuse prompts that cannot be compared, and layers that are not read.

        Raises:
            ConfigError: unknown groups, or groups without pairs for a paired test; several tokens
                per prompt; a layer that is not read; attention scores; words that the prompts do
                not have; a reduction that is fitted on groups.
        """
        refuse_scores(hook, "neuron_clusters")
        check_words(prompts, self.words)
        sizes = {group: len(prompts.members(group)) for group in self._groups(prompts)}
        if self.test == "paired" and len(set(sizes.values())) > 1:
            counts = ", ".join(f"{size} ({group})" for group, size in sizes.items())
            raise ConfigError(
                f"analysis.test: paired compares the i-th prompts of groups of one size, not "
                f"{counts}; use analysis.test=welch"
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

    # Over 60 lines: it names ten inputs and every part of the result.
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
        """Test every neuron at every layer, and cluster those that one layer's test selects.

        Raises:
            ConfigError: an unknown neuron.
        """
        from . import figures

        groups = self._groups(prompts)
        number = number_observations(prompts, plan, activations, groups)
        shared = group_observations(prompts, number, self.words)
        sentences = Contrast.of(activations, prompts, number, groups, hook.units)
        tested = Contrast.of(activations, prompts, shared.number, groups, hook.units)
        criterion = Criterion(self.test, self.correction, self.alpha)
        neuron = self._neuron(sentences.neurons)
        units = layer_report.describe_sizes(sentences, tested, shared)
        caption = _caption(source, hook, position, plan, groups, units)
        comparison = Comparison(sentences, tested, shared, criterion, caption)
        if not tested.can_be_tested:
            return _show_untested(comparison, self._layer(caption, 0), neuron)

        found = compare_layers(tested, sentences, caption.layers, criterion, self.permutations, rng)
        i = self._layer(caption, found.strongest)
        ranked = rank_neurons(found.neurons[i], tested, i, criterion)
        selected = select_neurons(tested, sentences, i, criterion, self.split_half, rng)
        settings = ClusterSettings(reduction, clustering, self.most, self.alpha, self.permutations)
        clusters = cluster_neurons(selected, settings, rng)

        where = caption.names[i]
        paragraphs = [
            layer_report.describe_finding(found, comparison),
            layer_report.describe_observations(comparison),
            sentences.averaging,
            neuron_report.describe_neurons(ranked, where, comparison),
            cluster_report.describe_finding(clusters, where),
        ]
        return Result(
            tested=layer_report.tested_series(found, comparison),
            series=layer_report.untested_series(found, comparison),
            scalars={
                **layer_report.scalars(found),
                **neuron_report.scalars(compare_sentence_means(tested, i, criterion)),
                **cluster_report.scalars(clusters),
                "layer_shown": float(caption.layers[i]),
            },
            tables={
                "summary": layer_report.summary(found, comparison),
                **neuron_report.tables(ranked, i, comparison),
                **cluster_report.tables(clusters),
            },
            figures={
                "over_layers": figures.layer_curves(found, comparison),
                **figures.ranking_figures(ranked, i, neuron, comparison),
                **figures.activation_figures(i, found.neurons[i].statistic, comparison),
                **figures.clustering_figures(clusters, where, comparison),
            },
            images=figures.statistic_images(found, comparison) if len(ranked) else {},
            finding="\n\n".join(filter(None, paragraphs)),
            null="; ".join([comparison.permuted, *cluster_report.nulls(clusters)]),
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

    def _layer(self, caption: Caption, strongest: int) -> int:
        """Return the index of the layer that is shown in detail."""
        return strongest if self.layer == "strongest" else caption.layers.index(self.layer)

    def _neuron(self, names: tuple[str, ...]) -> int | None:
        """Return the index of the neuron that is shown; None for the one of the smallest p."""
        if self.neuron == "top":
            return None
        if str(self.neuron) not in names:
            raise ConfigError(
                f"analysis.neuron cannot be {self.neuron!r}: it is top, or one of {names[0]} to "
                f"{names[-1]}"
            )
        return names.index(str(self.neuron))


def _caption(
    source: ModelSource,
    hook: HookPoint,
    position: Position,
    plan: "Plan",
    groups: tuple[str, str],
    units: str,
) -> Caption:
    return Caption(
        layers=plan.layers,
        names=plan.layer_names,
        model=source.title,
        hook=hook.label,
        position=f"position: {described(position)}",
        groups=groups,
        units=units,
        notice=plan.notice,
    )


def _show_untested(comparison: Comparison, i: int, neuron: int | None) -> Result:
    """Show the activations at the layer of index i of groups that are too small for a test."""
    from . import figures

    sentences = comparison.sentences
    points = sentences.points(i)
    difference = points[sentences.in_first].mean(0) - points[~sentences.in_first].mean(0)
    shown = int(np.abs(difference).argmax()) if neuron is None else neuron
    paragraph = f"{sentences.description}: a test needs two sentences of each group."
    return Result(
        tables={"sentences": neuron_report.sentence_table(i, comparison)},
        figures={
            "neuron": figures.one_neuron(i, shown, "too few sentences to test", comparison),
            **figures.activation_figures(i, difference, comparison),
        },
        finding=f"{paragraph} {sentences.averaging}".strip(),
    )
