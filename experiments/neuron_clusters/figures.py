"""Which figures `neuron_clusters` makes of its records; the drawing is in `*_figures`."""

from typing import TYPE_CHECKING

import numpy as np

from interp import plotting
from interp.metrics.functional.points import Array
from interp.plotting import Labels
from interp.stats.tested_series import TestedSeries

from . import cluster_figures, neuron_figures
from .cluster_figures import (
    ClusterLayouts,
    ClusterMatrices,
    CosineHistogram,
    Partition,
    PlaneTexts,
    SilhouetteNull,
)
from .cluster_measures import split_pairs
from .cluster_report import describe_layout_clusters, describe_significance, method_name
from .clusters import NeuronClustering
from .layer_report import Comparison, quantity_labels
from .layer_report import describe_significance as describe_layers
from .layer_tests import LayerTests, NeuronTests
from .neuron_figures import (
    ActivationHeatmap,
    EffectForest,
    SentenceValues,
    StatisticFrames,
    Texts,
)
from .neuron_report import describe_neuron, describe_sentence_means
from .ranking import RankedNeurons, compare_sentence_means
from .validity import NULLS, Clusters, Points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_EFFECTS = 20


def layer_curves(found: LayerTests, comparison: Comparison) -> "Figure":
    """Draw the three quantities over layers, each with its null."""
    caption, criterion = comparison.caption, comparison.criterion
    names = quantity_labels(criterion)
    series = [
        TestedSeries.from_test(
            name,
            names[name],
            caption.layers,
            values[:, 0],
            found.tests[name],
            alpha=criterion.alpha,
        )
        for name, values in found.quantities.items()
    ]
    labels = Labels(
        describe_layers(found, comparison),
        caption.subtitle(str(criterion), f"{found.n_permutations} permutations"),
        caption.xlabel,
    )
    null_label = f"95% of the null: {comparison.permuted}"
    return plotting.draw_statistics(series, labels, null_label, caption.ticks)


def statistic_images(found: LayerTests, comparison: Comparison) -> "dict[str, dict[int, Figure]]":
    """Draw the statistic of every neuron at every layer."""
    caption = comparison.caption
    frames = _statistic_frames(found.neurons, caption.layers, caption.names, comparison)
    return {"t_values": frames}


def _statistic_frames(
    neurons: tuple[NeuronTests, ...],
    layers: tuple[int, ...],
    names: tuple[str, ...],
    comparison: Comparison,
) -> "dict[int, Figure]":
    """Draw the statistic of every neuron, one figure per layer with the same axes."""
    criterion, (one, other) = comparison.criterion, comparison.groups
    titles = [
        f"{tests.significant.sum()} of {tests.has_test.sum()} neurons of {where} distinguish {one} "
        f"from {other}"
        for tests, where in zip(neurons, names, strict=True)
    ]
    return neuron_figures.statistic_frames(
        StatisticFrames(
            layers=layers,
            statistics=np.array([tests.statistic for tests in neurons]),
            significant=np.array([tests.significant for tests in neurons]),
            names=comparison.tested.neurons,
            titles=titles,
            subtitle=comparison.caption.subtitle(str(criterion)),
            ylabel=f"{criterion.statistic} of a neuron",
            groups=comparison.groups,
        )
    )


def ranking_figures(
    ranked: RankedNeurons, i: int, neuron: int | None, comparison: Comparison
) -> "dict[str, Figure]":
    """Draw the tests of the neurons at the layer of index i, and one neuron over sentences.

    Args:
        ranked: the neurons of the smallest p.
        i: the index of the layer.
        neuron: the index of the neuron over sentences; None for that of the smallest p.
        comparison: what is compared.
    """
    caption, tests = comparison.caption, ranked.tests
    if not len(ranked):
        return {"neuron": one_neuron(i, neuron or 0, "it has no test", comparison)}
    shown = int(ranked.order[0]) if neuron is None else neuron
    layers, names = (caption.layers[i],), (caption.names[i],)
    return {
        "t_values": _statistic_frames((tests,), layers, names, comparison)[caption.layers[i]],
        "effect_sizes": _effect_forest(ranked, caption.names[i], comparison),
        "neuron": one_neuron(i, shown, describe_neuron(tests, shown, comparison), comparison),
    }


def _effect_forest(ranked: RankedNeurons, where: str, comparison: Comparison) -> "Figure":
    criterion, order = comparison.criterion, ranked.order[:_MAX_EFFECTS]
    n = len(order)
    return neuron_figures.effect_forest(
        EffectForest(
            names=[comparison.tested.neurons[j] for j in order],
            effects=ranked.tests.d[order],
            low=ranked.d_low[:n],
            high=ranked.d_high[:n],
            significant=ranked.tests.significant[order],
            groups=comparison.groups,
        ),
        Texts(
            title=f"The largest effects of {where}: {n} neurons, selected by their p, which "
            "overstates them",
            subtitle=comparison.caption.subtitle(where, str(criterion)),
            xlabel=f"Cohen's {criterion.effect}, with its 95% interval"
            f"{criterion.interval_assumption}",
            ylabel="neuron",
        ),
    )


def one_neuron(i: int, neuron: int, description: str, comparison: Comparison) -> "Figure":
    """Draw one neuron's activation in each sentence."""
    contrast, caption = comparison.sentences, comparison.caption
    places, names = contrast.places
    return neuron_figures.sentence_values(
        SentenceValues(
            contrast.points(i)[:, neuron], contrast.in_first, places, names, contrast.groups
        ),
        Texts(
            title=f"Neuron {contrast.neurons[neuron]} of {caption.names[i]}: {description}",
            subtitle=caption.subtitle(),
            xlabel=contrast.place_label,
            ylabel="activation",
        ),
    )


def activation_figures(i: int, order_by: Array, comparison: Comparison) -> "dict[str, Figure]":
    """Draw all activations at the layer of index i: each, by neuron, and by sentence.

    Args:
        i: the index of the layer.
        order_by: neurons are ordered by it, the largest first; NaN come last, [neuron].
        comparison: what is compared.
    """
    contrast, criterion = comparison.sentences, comparison.criterion
    one, other = comparison.groups
    subtitle = comparison.caption.subtitle(comparison.caption.names[i])
    points, first = contrast.points(i), contrast.in_first
    by_what = criterion.statistic if comparison.tested.can_be_tested else "difference of means"
    heatmap = neuron_figures.activation_heatmap(
        ActivationHeatmap(
            points[:, np.argsort(-order_by, kind="stable")],
            {one: int(first.sum()), other: int((~first).sum())},
            label="activation; colours end at the 99th percentile",
        ),
        Texts(
            title=f"Activations of {points.shape[1]} neurons in each sentence",
            subtitle=subtitle,
            xlabel=f"neuron, by its {by_what}: larger for {one} on the left, for {other} on the "
            "right",
            ylabel="sentences",
        ),
    )
    histogram = neuron_figures.activation_histograms(
        {one: points[first].mean(0), other: points[~first].mean(0)},
        Texts(
            title=f"Mean activation of each neuron over sentences with {one} and with {other}",
            subtitle=subtitle,
            xlabel="mean activation of a neuron over sentences",
            ylabel="neurons (logarithmic above 1)",
        ),
    )
    test = compare_sentence_means(comparison.tested, i, criterion)
    described = describe_sentence_means(test, criterion, comparison.groups)
    places, names = contrast.places
    means = neuron_figures.sentence_values(
        SentenceValues(points.mean(1), first, places, names, contrast.groups),
        Texts(
            title=f"Mean activation of a sentence, over all neurons: {described}",
            subtitle=subtitle,
            xlabel=contrast.place_label,
            ylabel="mean activation over neurons",
        ),
    )
    return {"activations": heatmap, "mean_activation": histogram, "sentence_means": means}


def clustering_figures(
    found: NeuronClustering, where: str, comparison: Comparison
) -> "dict[str, Figure]":
    """Draw the matrices, the cosines and the nulls, and the layout where there is one.

    None where there are no clusters.
    """
    if found.tests is None:
        return {}
    full, *layouts = found.spaces
    n, n_sentences = found.clustered.values.T.shape
    selection = (
        "selected on the same sentences, which alone separates them by sign"
        if found.clustered.same_sentences
        else "selected on other sentences"
    )
    over = f"{n} neurons over {n_sentences} sentences, {selection}"
    subtitle = f"{comparison.caption.subtitle(over)} · {method_name(found)}"
    title = describe_significance(found, where)
    drawn = {
        "cluster_matrices": _matrices(found, full, where, subtitle),
        "cosines": _cosines(found, full, where, subtitle),
        "silhouette_null": _silhouette_nulls(found, title, subtitle),
    }
    for layout in layouts:
        drawn |= _layout_figures(found, layout, title, where, subtitle)
    return drawn


def _matrices(found: NeuronClustering, full: Clusters, where: str, subtitle: str) -> "Figure":
    centred = found.clustered.values - found.clustered.values.mean(0)
    return cluster_figures.cluster_matrices(
        ClusterMatrices(
            {
                "Gram matrix of centred activations": centred.T @ centred,
                "cosine (correlation over sentences)": Points.of_selected(found.clustered).cosines,
            },
            _partition(full),
            np.lexsort((-found.clustered.t, full.labels, full.labels < 0)),
            title=f"Which neurons at {where} respond alike over sentences",
            subtitle=f"{subtitle} in {full.space.name}",
        )
    )


def _cosines(found: NeuronClustering, full: Clusters, where: str, subtitle: str) -> "Figure":
    within, between = split_pairs(Points.of_selected(found.clustered).cosines, full.labels)
    return cluster_figures.cosine_histogram(
        CosineHistogram(
            within,
            between,
            dict(zip(NULLS, full.null.pair_cosines, strict=True)),
            title=f"How alike two neurons at {where} are, within clusters and between them",
            subtitle=f"{subtitle} in {full.space.name}",
            xlabel="cosine of two neurons: their correlation over sentences",
        )
    )


def _silhouette_nulls(found: NeuronClustering, title: str, subtitle: str) -> "Figure":
    panels = [
        SilhouetteNull(
            f"{space.space.name}, {null}",
            space.null.silhouette[k],
            space.silhouette,
            float(found.tests.p_corrected[i, k]) if found.tests else np.nan,
        )
        for i, space in enumerate(found.spaces)
        for k, null in enumerate(NULLS)
    ]
    return cluster_figures.silhouette_nulls(panels, len(NULLS), title=title, subtitle=subtitle)


def _layout_figures(
    found: NeuronClustering, layout: Clusters, title: str, where: str, subtitle: str
) -> "dict[str, Figure]":
    plane, name = layout.coordinates[:, :2], layout.space.name
    axes = (f"dimension 1 of {name}", f"dimension 2 of {name}")
    of_clusters = f"{subtitle}; clusters are numbered by their mean t in either space"
    return {
        "clusters": cluster_figures.cluster_layouts(
            ClusterLayouts(
                plane,
                [_partition(layout), _partition(found.spaces[0])],
                found.clustered.t,
                found.clustered.groups,
            ),
            PlaneTexts(title, of_clusters, *axes),
        ),
        "centroids": cluster_figures.cluster_centroids(
            plane,
            _partition(layout),
            PlaneTexts(describe_layout_clusters(layout, where), subtitle, *axes),
        ),
    }


def _partition(clusters: Clusters) -> Partition:
    return Partition(f"clusters in {clusters.space.name}", clusters.labels)
