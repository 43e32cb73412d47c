"""Cluster the selected neurons, as points over sentences, in all dimensions and in a layout."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from interp.clusterings import Clustering
from interp.reductions import REDUCTIONS, Reduction

from . import cluster_measures
from .selected_neurons import SelectedNeurons
from .validity import Clusters, ClusterTests, Points, Repetitions, Space, cluster_in

_MIN_NEURONS, _MIN_SENTENCES = 4, 4

# Permutations of each null: at most in all dimensions, and at least, of those asked for, in the
# layout.
_MAX_PERMUTATIONS, _MIN_LAYOUT_PERMUTATIONS = 99, 20

# Other seeds and resamples, in all dimensions and in the layout, where each takes a layout anew.
_SEEDS, _LAYOUT_SEEDS = 5, 2
_RESAMPLES, _LAYOUT_RESAMPLES = 30, 5

# All cosine distances below this: the neurons respond alike.
_ALIKE = 1e-6

# Why there are no clusters; "" where there are.
Obstacle = Literal["", "no neurons", "few sentences", "few varying neurons", "alike"]


@dataclass(frozen=True)
class ClusterSettings:
    """How the selected neurons are clustered.

    Attributes:
        reduction: computes the layout; identity makes none.
        clustering: the method.
        most: how many neurons are clustered at most, those of the largest |t|.
        alpha: the corrected p below which clusters count as real.
        permutations: of each null, at most 99 in all dimensions; in the layout as many as p below
            `alpha` needs, since each takes a layout.
    """

    reduction: Reduction
    clustering: Clustering
    most: int
    alpha: float
    permutations: int

    @property
    def min_neurons(self) -> int:
        """How many neurons are needed."""
        return max(_MIN_NEURONS, self.clustering.min_samples)


@dataclass(frozen=True, eq=False)
class NeuronClustering:
    """The clusters of the selected neurons, or why there are none.

    Attributes:
        selected: all selected neurons.
        varying: those that vary over the sentences.
        clustered: those that are clustered.
        settings: how.
        obstacle: why there are no clusters.
        spaces: the clusters in all dimensions, then in the layout; empty where there are none.
        tests: of these; None where there are none.
        no_layout: why there is no layout, as a sentence.
    """

    selected: SelectedNeurons
    varying: SelectedNeurons
    clustered: SelectedNeurons
    settings: ClusterSettings
    obstacle: Obstacle = ""
    spaces: tuple[Clusters, ...] = ()
    tests: ClusterTests | None = None
    no_layout: str = ""


def cluster_neurons(
    selected: SelectedNeurons, settings: ClusterSettings, rng: np.random.Generator
) -> NeuronClustering:
    """Cluster the selected neurons in all dimensions and in a layout, and test both.

    Args:
        selected: the neurons, over sentences.
        settings: the methods and numbers.
        rng: for seeds, permutations and resamples.
    """
    if not len(selected):
        return NeuronClustering(selected, selected, selected, settings, "no neurons")
    if len(selected.in_first) < _MIN_SENTENCES:
        return NeuronClustering(selected, selected, selected, settings, "few sentences")
    varying = selected.subset(np.flatnonzero(Points.of_selected(selected).varies))
    if len(varying) < settings.min_neurons:
        return NeuronClustering(selected, varying, varying, settings, "few varying neurons")
    clustered = varying.strongest(settings.most)
    points = Points.of_selected(clustered)
    if cluster_measures.cosine_distances(points.directions).max() < _ALIKE:
        return NeuronClustering(selected, varying, clustered, settings, "alike")

    full = Repetitions(min(settings.permutations, _MAX_PERMUTATIONS), _SEEDS, _RESAMPLES)
    spaces = [cluster_in(Space.full(), points, clustered.t, settings.clustering, full, rng)]
    no_layout = _refuse_layout(settings.reduction, points)
    if not no_layout:
        enough = max(int(1 / settings.alpha), _MIN_LAYOUT_PERMUTATIONS)
        few = Repetitions(min(settings.permutations, enough), _LAYOUT_SEEDS, _LAYOUT_RESAMPLES)
        layout = Space.layout(REDUCTIONS.name_of(settings.reduction), settings.reduction)
        try:
            spaces.append(cluster_in(layout, points, clustered.t, settings.clustering, few, rng))
        except ValueError as error:
            # Only the data show whether a layout exists: for example, a kernel of coinciding points
            # has none.
            no_layout = f"There is no layout: {error}."
    return NeuronClustering(
        selected=selected,
        varying=varying,
        clustered=clustered,
        settings=settings,
        spaces=tuple(spaces),
        tests=ClusterTests.of(tuple(spaces), settings.alpha),
        no_layout=no_layout,
    )


def _refuse_layout(reduction: Reduction, points: Points) -> str:
    """Return why the reduction makes no plane of these neurons, as a sentence; "" where it does."""
    name = REDUCTIONS.name_of(reduction)
    neurons, sentences = points.directions.shape
    components = getattr(reduction, "n_components", 0)
    if not components:
        return f"There is no layout: reduction={name} makes none, reduction=tsne does."
    if components < 2:
        return "There is no layout: a plane needs reduction.n_components=2."
    if components > min(neurons, sentences):
        return (
            f"There is no layout: {components} components are more than {neurons} neurons over "
            f"{sentences} sentences have."
        )
    if neurons < reduction.min_samples:
        settings = dataclasses.asdict(cast("Any", reduction)).items()
        return (
            f"There is no layout: {name} ({', '.join(f'{k}={v}' for k, v in settings)}) needs at "
            f"least {reduction.min_samples} neurons, not {neurons}."
        )
    return ""
