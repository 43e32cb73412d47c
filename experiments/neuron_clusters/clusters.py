"""The chosen neurons as points over sentences: in which clusters they lie, and are these there?"""

import dataclasses
from typing import Any, cast

import numpy as np

from interp.clusterings import CLUSTERINGS, Clustering
from interp.reductions import REDUCTIONS, Reduction
from interp.results.captions import Reading
from interp.results.result import Result

from . import cluster_measures
from .cluster_report import (
    beyond_tuning,
    figures_of,
    headline_of,
    how_chosen,
    scalars_of,
    tables_of,
    told,
)
from .selected_neurons import Chosen
from .validity import NULLS, Points, Space, Verdicts, found_in

_FEWEST_NEURONS, _FEWEST_SENTENCES = 4, 4

# Draws of each null: at most in all dimensions, and at least, of those asked for, in the layout.
_MOST_DRAWS, _FEWEST_DRAWS = 99, 20

_METHODS = {
    "kmeans": "k-means",
    "agglomerative": "agglomerative",
    "dbscan": "DBSCAN",
    "hdbscan": "HDBSCAN",
}

# How many other seeds and resamples: in all dimensions, and where each takes a layout.
_SEEDS, _RESAMPLES = (5, 2), (30, 5)


def clustered(
    chosen: Chosen,
    reading: Reading,
    where: str,
    reduction: Reduction,
    clustering: Clustering,
    most: int,
    alpha: float,
    permutations: int,
    rng: np.random.Generator,
) -> Result:
    """Cluster the chosen neurons in all dimensions and in a layout, and ask what chance makes.

    What so few neurons or sentences do not allow is left out, and the finding says why.

    Args:
        chosen: the neurons, over sentences.
        reading: the words for what was read.
        where: the layer, in words.
        reduction: what makes the layout; identity makes none.
        clustering: what puts points into clusters.
        most: how many neurons at most, those of the largest |t|.
        alpha: the corrected p below which clusters count as there.
        permutations: draws of each null, at most 99 in all dimensions; in the layout no more than
            let p fall below `alpha`, since each takes a layout.
        rng: where all that is drawn comes from.
    """
    counts = {"chosen_neurons": float(len(chosen.neurons))}
    method = _METHODS[CLUSTERINGS.name_of(clustering)]
    if not chosen.neurons:
        return Result(scalars=counts, finding=f"No neuron was chosen at {where}: none to cluster.")
    if len(chosen.in_first) < _FEWEST_SENTENCES:
        said = f"{len(chosen.in_first)} sentences at {where} are too few to cluster neurons by."
        return Result(scalars=counts, finding=said)
    kept, fewest = _varying(chosen), max(_FEWEST_NEURONS, clustering.min_samples)
    if len(kept.neurons) < fewest:
        return Result(
            scalars=counts,
            finding=f"Neurons chosen at {where}: {len(chosen.neurons)}, of which "
            f"{len(kept.neurons)} vary over the sentences; {method} needs {fewest}.",
        )
    strongest = _strongest(kept, most)
    points = Points.of(strongest.values, strongest.in_first, strongest.observation)
    if cluster_measures.cosine_distances(points.directions).max() < 1e-6:
        said = f"All {len(strongest.neurons)} neurons at {where} respond alike: one cluster."
        return Result(scalars=counts, finding=said)

    parts = [
        found_in(
            *(Space.full(), points, strongest.t, clustering),
            *(min(permutations, _MOST_DRAWS), _SEEDS[0], _RESAMPLES[0], rng),
        )
    ]
    if not (missing := _no_layout(reduction, points)):
        draws = min(permutations, max(int(1 / alpha), _FEWEST_DRAWS))
        layout = Space.layout(REDUCTIONS.name_of(reduction), reduction)
        try:
            parts.append(
                found_in(
                    *(layout, points, strongest.t, clustering),
                    *(draws, _SEEDS[1], _RESAMPLES[1], rng),
                )
            )
        except ValueError as error:
            # What cannot be laid out depends on the data: a kernel of points that mostly coincide.
            missing = f"There is no layout: {error}."
    verdicts = Verdicts.of(parts, alpha)
    headline = headline_of(parts[0], verdicts, strongest, where, method)
    finding = [
        f"{headline}.",
        how_chosen(chosen, kept, strongest),
        beyond_tuning(parts[0], verdicts, strongest),
        *(told(part, verdicts, i, strongest) for i, part in enumerate(parts)),
        missing,
    ]
    return Result(
        scalars=counts | scalars_of(parts, verdicts, strongest),
        tables=tables_of(parts, verdicts, strongest),
        figures=figures_of(parts, verdicts, strongest, reading, where, headline, method),
        finding=" ".join(part for part in finding if part),
        null=f"clusters: each neuron's {NULLS[0]}, or {NULLS[1]}",
    )


def _varying(chosen: Chosen) -> Chosen:
    """Return the neurons that vary over the sentences; others are like nothing."""
    points = Points.of(chosen.values, chosen.in_first, chosen.observation)
    return _some(chosen, np.flatnonzero(points.varies))


def _strongest(chosen: Chosen, most: int) -> Chosen:
    """Return no more than so many neurons, those of the largest |t|, in their order."""
    order = np.argsort(-np.abs(chosen.t), kind="stable")
    return _some(chosen, np.sort(order[:most]))


def _some(chosen: Chosen, which: np.ndarray[Any, np.dtype[np.intp]]) -> Chosen:
    return dataclasses.replace(
        chosen,
        values=chosen.values[:, which],
        neurons=tuple(chosen.neurons[i] for i in which),
        t=chosen.t[which],
    )


def _no_layout(reduction: Reduction, points: Points) -> str:
    """Say why the neurons cannot be laid out; "" where they can."""
    name = REDUCTIONS.name_of(reduction)
    neurons, sentences = points.directions.shape
    components = getattr(reduction, "n_components", 0)
    if not components:
        return f"There is no layout: reduction={name} makes none, reduction=tsne does."
    if components < 2:
        return "There is no layout: a plane takes reduction.n_components=2."
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
