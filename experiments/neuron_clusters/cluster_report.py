"""Sentences, numbers and tables of `neuron_clusters` on the clusters of selected neurons."""

from typing import TYPE_CHECKING

import numpy as np

from interp.clusterings import CLUSTERINGS
from interp.metrics.functional.points import Array

from . import cluster_measures
from .clusters import NeuronClustering
from .selected_neurons import SelectedNeurons
from .validity import NULLS, Clusters, ClusterTests, Points

if TYPE_CHECKING:
    import pandas as pd

NULL = f"clusters: each neuron's {NULLS[0]}, or {NULLS[1]}"

# The adjusted Rand index from which clusters are the same partition as the sign of t.
_SAME_AS_SIGN = 0.95

_METHODS = {
    "kmeans": "k-means",
    "agglomerative": "agglomerative",
    "dbscan": "DBSCAN",
    "hdbscan": "HDBSCAN",
}


def method_name(found: NeuronClustering) -> str:
    """Return the name of the clustering method."""
    return _METHODS[CLUSTERINGS.name_of(found.settings.clustering)]


def describe_finding(found: NeuronClustering, where: str) -> str:
    """Return which clusters there are and whether they are real, or why there are none."""
    if found.tests is None:
        return _describe_obstacle(found, where)
    sentences = [
        f"{describe_significance(found, where)}.",
        _describe_selection(found),
        _describe_similarity_beyond_tuning(found, found.tests),
        *(
            _describe_space(space, found.tests, i, found.clustered)
            for i, space in enumerate(found.spaces)
        ),
        found.no_layout,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_obstacle(found: NeuronClustering, where: str) -> str:
    n = len(found.selected)
    if found.obstacle == "no neurons":
        return f"No neuron was selected at {where}: none to cluster."
    if found.obstacle == "few sentences":
        n_sentences = len(found.selected.in_first)
        return f"{n_sentences} sentences at {where} are too few to cluster neurons by."
    if found.obstacle == "few varying neurons":
        return (
            f"Neurons selected at {where}: {n}, of which {len(found.varying)} vary over the "
            f"sentences; {method_name(found)} needs {found.settings.min_neurons}."
        )
    return f"All {len(found.clustered)} neurons at {where} respond alike: one cluster."


def describe_significance(found: NeuronClustering, where: str) -> str:
    """Return in one clause which clusters there are in all dimensions, and how far apart."""
    clusters, tests, method = found.spaces[0], found.tests, method_name(found)
    neurons = f"{len(found.clustered)} neurons at {where}"
    if clusters.n_clusters < 2 or tests is None:
        return f"{method} finds {_count_clusters(clusters.n_clusters)} among {neurons}"
    lie = (
        f"{neurons} lie in {clusters.n_clusters} {method} clusters (silhouette "
        f"{clusters.silhouette:.3f})"
    )
    if tests.too_few[0]:
        return f"{lie}: too few permutations to reach p < {found.settings.alpha:g}"
    by_chance, by_tuning = (f"({mean:.3f})" for mean in tests.tests[0].null_mean)
    tuning = " and ".join(found.clustered.groups)
    beyond_chance, beyond_tuning = tests.significant[0]
    with_sign = clusters.agreement_with_sign(found.clustered.t)
    if beyond_chance and with_sign >= _SAME_AS_SIGN:
        return f"{lie}, which are the sign of t (adjusted Rand index {with_sign:.2f})"
    if beyond_tuning:
        return f"{lie}, further apart than their tuning to {tuning} makes them {by_tuning}"
    if beyond_chance:
        return (
            f"{lie}, further apart than chance makes them {by_chance} but no further than their "
            f"tuning to {tuning} does {by_tuning}"
        )
    return f"{lie}, no further apart than chance makes them {by_chance}"


def describe_layout_clusters(clusters: Clusters, where: str) -> str:
    """Return how many clusters there are in a layout, as a figure's title."""
    return f"{_count_clusters(clusters.n_clusters)} of neurons at {where} in {clusters.space.name}"


def _count_clusters(n: int) -> str:
    return {0: "no cluster", 1: "1 cluster"}.get(n, f"{n} clusters")


def _describe_selection(found: NeuronClustering) -> str:
    """Return which neurons are clustered, and on which sentences they were selected."""
    sentences = []
    n_selected, n_varying = len(found.selected), len(found.varying)
    if constant := n_selected - n_varying:
        sentences.append(
            f"{constant} of {n_selected} selected neurons do not vary over the sentences and are "
            "left out."
        )
    if len(found.clustered) < n_varying:
        sentences.append(f"They are those of the largest |t| among {n_varying} selected neurons.")
    sentences.append(
        "Caution: they were selected on the same sentences, and neurons selected so look clustered "
        f"by sign alone, noise too; of the two nulls only the one {NULLS[1]} allows for it."
        if found.selected.same_sentences
        else "They were selected on other sentences than those that they are clustered on."
    )
    return " ".join(sentences)


def _describe_space(
    clusters: Clusters, tests: ClusterTests, i: int, clustered: SelectedNeurons
) -> str:
    """Return what was found in one space."""
    found = f"In {clusters.space.name}: {_count_clusters(clusters.n_clusters)}"
    found += f" and {clusters.noise:.0%} noise" * bool(clusters.noise)
    if clusters.n_clusters < 2:
        return f"{found}."
    test, n = tests.tests[i], clusters.n_permutations
    nulls = "; ".join(
        f"{null} {test.null_mean[k]:.3f} [{test.null_low[k]:.3f}, {test.null_high[k]:.3f}], "
        f"corrected p = {tests.p_corrected[i, k]:.2g}"
        for k, null in enumerate(NULLS)
    )
    within, between = clusters.cosine
    null_cosine = clusters.null.cosine[0]
    cosines = f"mean cosine {within:.2f} within clusters and {between:.2f} between"
    if np.isfinite(null_cosine).all():
        cosines += f" ({NULLS[0]}: {null_cosine[0]:.2f} and {null_cosine[1]:.2f})"
    return (
        f"{found}, silhouette {clusters.silhouette:.3f}; nulls ({n} permutations, p at least "
        f"{1 / (n + 1):.2g}): {nulls}; {cosines}. Adjusted Rand index with the sign of t "
        f"{clusters.agreement_with_sign(clustered.t):.2f}, with the clusters of other seeds "
        f"{clusters.over_seeds.mean():.2f} and of resampled observations "
        f"{clusters.over_resamples.mean():.2f}."
    )


def _describe_similarity_beyond_tuning(found: NeuronClustering, tests: ClusterTests) -> str:
    """Return what else makes neurons similar; "" where tuning explains their clusters."""
    clusters = found.spaces[0]
    if clusters.n_clusters < 2 or not tests.significant[0, 1]:
        return ""
    if clusters.agreement_with_sign(found.clustered.t) >= _SAME_AS_SIGN:
        return ""
    return "Neurons of one layer read the same words, which also makes them similar."


def nulls(found: NeuronClustering) -> list[str]:
    """Return what the clusters are compared with, in a few words; nothing without clusters."""
    return [NULL] if found.tests is not None else []


def scalars(found: NeuronClustering) -> dict[str, float]:
    """Return how many neurons were selected, and the numbers of each space that are defined."""
    numbers = {"selected_neurons": float(len(found.selected))}
    if found.tests is None:
        return numbers
    numbers["clustered_neurons"] = float(len(found.clustered))
    for i, (clusters, prefix) in enumerate(
        zip(found.spaces, ("clusters", "layout_clusters"), strict=False)
    ):
        values = {
            "found": clusters.n_clusters,
            "noise": clusters.noise,
            "silhouette": clusters.silhouette,
            "silhouette_null": found.tests.tests[i].null_mean[0],
            "silhouette_null_within_groups": found.tests.tests[i].null_mean[1],
            "p_corrected": found.tests.p_corrected[i, 0],
            "p_corrected_within_groups": found.tests.p_corrected[i, 1],
            "cosine_within": clusters.cosine[0],
            "cosine_between": clusters.cosine[1],
        }
        if clusters.n_clusters > 1:
            values |= {
                "sign_ari": clusters.agreement_with_sign(found.clustered.t),
                "seeds_ari": clusters.over_seeds.mean(),
                "resamples_ari": clusters.over_resamples.mean(),
            }
        numbers |= {f"{prefix}_{k}": float(v) for k, v in values.items() if np.isfinite(v)}
    return numbers


def tables(found: NeuronClustering) -> "dict[str, pd.DataFrame]":
    """Return one row per cluster, one per neuron, and one per test; none without clusters."""
    import pandas as pd

    if found.tests is None:
        return {}
    cosines = Points.of_selected(found.clustered).cosines
    members = pd.DataFrame({"neuron": found.clustered.neurons, "t": found.clustered.t})
    clusters, tests = [], []
    for i, of_space in enumerate(found.spaces):
        members[f"cluster in {of_space.space.name}"] = _cluster_names(of_space)
        members[f"silhouette in {of_space.space.name}"] = of_space.silhouettes
        clusters += _cluster_rows(of_space, found.clustered, cosines)
        tests += _test_rows(of_space, found.tests, i)
    return {
        "clusters": pd.DataFrame(clusters),
        "cluster_members": members,
        "cluster_tests": pd.DataFrame(tests),
    }


def _cluster_names(clusters: Clusters) -> list[str]:
    """Return the name of each neuron's cluster, counted from 1, or "noise"."""
    return [str(label + 1) if label >= 0 else "noise" for label in clusters.labels]


def _cluster_rows(
    clusters: Clusters, clustered: SelectedNeurons, cosines: Array
) -> list[dict[str, object]]:
    """Return one row per cluster, noise last."""
    names, rows = _cluster_names(clusters), []
    for number in sorted(set(clusters.labels), key=lambda label: (label < 0, label)):
        inside = clusters.labels == number
        only_this = np.where(inside, 0, -1)
        row: dict[str, object] = {
            "space": clusters.space.name,
            "cluster": names[int(np.flatnonzero(inside)[0])],
            "neurons": int(inside.sum()),
            "share": inside.mean(),
            "mean t": clustered.t[inside].mean(),
            "mean |t|": np.abs(clustered.t[inside]).mean(),
            "mean cosine within": cluster_measures.within_and_between(cosines, only_this)[0],
            "silhouette": clusters.silhouettes[inside].mean(),
        }
        rows.append(row)
    return rows


def _test_rows(clusters: Clusters, tests: ClusterTests, i: int) -> list[dict[str, object]]:
    """Return one row per null."""
    test = tests.tests[i]
    return [
        {
            "space": clusters.space.name,
            "null": null,
            "permutations": clusters.n_permutations,
            "silhouette": clusters.silhouette,
            "null mean": test.null_mean[k],
            "null 2.5%": test.null_low[k],
            "null 97.5%": test.null_high[k],
            "p": test.p[k],
            "p corrected": tests.p_corrected[i, k],
            "cosine within": clusters.cosine[0],
            "null cosine within": clusters.null.cosine[k, 0],
            "cosine between": clusters.cosine[1],
            "null cosine between": clusters.null.cosine[k, 1],
        }
        for k, null in enumerate(NULLS)
    ]
