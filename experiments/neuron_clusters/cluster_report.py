"""How clusters of neurons are told and shown: sentences, numbers, tables, figures."""

from typing import TYPE_CHECKING

import numpy as np

from interp.metrics.functional.points import Array
from interp.results.captions import Reading

from . import cluster_measures
from .selected_neurons import Chosen
from .validity import NULLS, Found, Points, Verdicts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# The adjusted Rand index from which clusters are as good as the sign of t.
_BY_SIGN = 0.95


def headline_of(found: Found, verdicts: Verdicts, chosen: Chosen, where: str, method: str) -> str:
    """Say in a sentence what came out in all dimensions."""
    neurons, tuning = f"{len(chosen.neurons)} neurons at {where}", " and ".join(chosen.groups)
    if found.n_clusters < 2:
        return f"{method} finds {_clusters(found.n_clusters)} among {neurons}"
    lie = f"{neurons} lie in {found.n_clusters} {method} clusters (silhouette {found.value:.3f})"
    if verdicts.describe_smallest_p[0]:
        return f"{lie}: too few draws to tell them from chance"
    by_chance, by_tuning = (f"({mean:.3f})" for mean in verdicts.tests[0].null_mean)
    further, beyond = verdicts.passes[0]
    of_sign = _with_sign(found, chosen)
    if further and of_sign >= _BY_SIGN:
        return f"{lie}, which are the sign of t (adjusted Rand index {of_sign:.2f})"
    if beyond:
        return f"{lie}, further apart than their tuning to {tuning} makes them {by_tuning}"
    if further:
        return (
            f"{lie}, further apart than chance makes them {by_chance} but no further than their "
            f"tuning to {tuning} does {by_tuning}"
        )
    return f"{lie}, no further apart than chance makes them {by_chance}"


def _clusters(number: int) -> str:
    return {0: "no cluster", 1: "1 cluster"}.get(number, f"{number} clusters")


def how_chosen(chosen: Chosen, kept: Chosen, strongest: Chosen) -> str:
    """Say which neurons are clustered, and on what they were chosen."""
    said = []
    if constant := len(chosen.neurons) - len(kept.neurons):
        said.append(
            f"{constant} of {len(chosen.neurons)} chosen neurons do not vary over the sentences "
            "and are left out."
        )
    if len(strongest.neurons) < len(kept.neurons):
        said.append(f"They are those of the largest |t| among {len(kept.neurons)} chosen neurons.")
    said.append(
        "Beware: they were chosen on the same sentences, and neurons chosen so look clustered by "
        f"sign alone, noise too; of the two nulls only the one {NULLS[1]} allows for it."
        if chosen.same_sentences
        else "They were chosen on other sentences than those that they are clustered on."
    )
    return " ".join(said)


def told(found: Found, verdicts: Verdicts, i: int, chosen: Chosen) -> str:
    """Say what was found in one space."""
    test, corrected = verdicts.tests[i], verdicts.corrected[i]
    said = f"In {found.space.name}: {_clusters(found.n_clusters)}"
    said += f" and {found.noise:.0%} noise" * bool(found.noise)
    if found.n_clusters < 2:
        return f"{said}."
    chance = "; ".join(
        f"{null} {test.null_mean[n]:.3f} [{test.null_low[n]:.3f}, {test.null_high[n]:.3f}], "
        f"corrected p = {corrected[n]:.2g}"
        for n, null in enumerate(NULLS)
    )
    within, between = found.cosine
    of_chance = found.null_cosine[0]
    cosines = f"mean cosine {within:.2f} within clusters and {between:.2f} between"
    if np.isfinite(of_chance).all():
        cosines += f" ({NULLS[0]}: {of_chance[0]:.2f} and {of_chance[1]:.2f})"
    draws = found.null.shape[1]
    return (
        f"{said}, silhouette {found.value:.3f}; by chance ({draws} draws, p at least "
        f"{1 / (draws + 1):.2g}): {chance}; {cosines}. They agree "
        f"with the sign of t at an adjusted Rand index of {_with_sign(found, chosen):.2f}, with "
        f"themselves over other seeds at {found.over_seeds.mean():.2f} and over resampled "
        f"observations at {found.over_resamples.mean():.2f}."
    )


def beyond_tuning(found: Found, verdicts: Verdicts, chosen: Chosen) -> str:
    """Say what being alike beyond tuning may come from; "" where neurons are not."""
    if found.n_clusters < 2 or not verdicts.passes[0, 1] or _with_sign(found, chosen) >= _BY_SIGN:
        return ""
    return (
        "Neurons of one layer read the same words, which makes them alike beyond their tuning, too."
    )


def _with_sign(found: Found, chosen: Chosen) -> float:
    """Return how far the clusters are the sign of t, over the neurons that are in any."""
    inside = found.labels >= 0
    return cluster_measures.agreement(found.labels[inside], chosen.t[inside] > 0)


def scalars_of(parts: list[Found], verdicts: Verdicts, chosen: Chosen) -> dict[str, float]:
    """Return what is logged of each space; what is not defined is left out."""
    logged = {"clustered_neurons": float(len(chosen.neurons))}
    for i, (part, prefix) in enumerate(zip(parts, ("clusters", "layout_clusters"), strict=False)):
        values = {
            "found": part.n_clusters,
            "noise": part.noise,
            "silhouette": part.value,
            "silhouette_null": verdicts.tests[i].null_mean[0],
            "silhouette_null_within_groups": verdicts.tests[i].null_mean[1],
            "p_corrected": verdicts.corrected[i, 0],
            "p_corrected_within_groups": verdicts.corrected[i, 1],
            "cosine_within": part.cosine[0],
            "cosine_between": part.cosine[1],
        }
        if part.n_clusters > 1:
            values |= {
                "sign_ari": _with_sign(part, chosen),
                "seeds_ari": part.over_seeds.mean(),
                "resamples_ari": part.over_resamples.mean(),
            }
        logged |= {f"{prefix}_{k}": float(v) for k, v in values.items() if np.isfinite(v)}
    return logged


def tables_of(parts: list[Found], verdicts: Verdicts, chosen: Chosen) -> "dict[str, pd.DataFrame]":
    """Return a row a cluster, a row a neuron, and a row a test."""
    import pandas as pd

    members = pd.DataFrame({"neuron": chosen.neurons, "t": chosen.t})
    of_clusters, tests = [], []
    for i, part in enumerate(parts):
        names = _names(part)
        members[f"cluster in {part.space.name}"] = names
        members[f"silhouette in {part.space.name}"] = part.silhouettes
        cosines = _cosines(chosen)
        for number in sorted(set(part.labels), key=lambda label: (label < 0, label)):
            inside = part.labels == number
            of_clusters.append(
                {
                    "space": part.space.name,
                    "cluster": names[int(np.flatnonzero(inside)[0])],
                    "units": int(inside.sum()),
                    "share": inside.mean(),
                    "mean t": chosen.t[inside].mean(),
                    "mean |t|": np.abs(chosen.t[inside]).mean(),
                    "mean cosine within": cluster_measures.within_and_between(
                        cosines, np.where(inside, 0, -1)
                    )[0],
                    "silhouette": part.silhouettes[inside].mean(),
                }
            )
        for n, null in enumerate(NULLS):
            test = verdicts.tests[i]
            tests.append(
                {
                    "space": part.space.name,
                    "null": null,
                    "draws": part.null.shape[1],
                    "silhouette": part.value,
                    "null mean": test.null_mean[n],
                    "null 2.5%": test.null_low[n],
                    "null 97.5%": test.null_high[n],
                    "p": test.p[n],
                    "p corrected": verdicts.corrected[i, n],
                    "cosine within": part.cosine[0],
                    "null cosine within": part.null_cosine[n, 0],
                    "cosine between": part.cosine[1],
                    "null cosine between": part.null_cosine[n, 1],
                }
            )
    return {
        "clusters": pd.DataFrame(of_clusters),
        "cluster_members": members,
        "cluster_tests": pd.DataFrame(tests),
    }


def _names(found: Found) -> list[str]:
    return [str(label + 1) if label >= 0 else "noise" for label in found.labels]


def _cosines(chosen: Chosen) -> Array:
    directions = Points.of(chosen.values, chosen.in_first, chosen.observation).directions
    return np.asarray(directions @ directions.T)


def figures_of(
    parts: list[Found],
    verdicts: Verdicts,
    chosen: Chosen,
    reading: Reading,
    where: str,
    headline: str,
    method: str,
) -> "dict[str, Figure]":
    """Draw the matrices, the cosines and the nulls, and the layout where there is one."""
    from . import cluster_figures
    from .cluster_figures import Partition, SilhouetteNull

    full, *layouts = parts
    by = (
        "chosen on the same sentences, which alone parts them by sign"
        if chosen.same_sentences
        else "chosen on other sentences"
    )
    n, sentences = chosen.values.T.shape
    told = reading.told(f"{n} neurons over {sentences} sentences, {by}")
    moved = chosen.values - chosen.values.mean(0)
    cosines = _cosines(chosen)
    partition = Partition(f"clusters in {full.space.name}", full.labels)
    one, other = np.triu_indices(n, 1)
    inside = (full.labels[one] >= 0) & (full.labels[other] >= 0)
    same = full.labels[one] == full.labels[other]
    of_pairs = cosines[one, other]
    drawn = {
        "cluster_matrices": cluster_figures.cluster_matrices(
            {
                "Gram matrix of centred activations": moved.T @ moved,
                "cosine (correlation over sentences)": cosines,
            },
            partition,
            np.lexsort((-chosen.t, full.labels, full.labels < 0)),
            title=f"Which neurons at {where} respond alike over sentences",
            subtitle=f"{told} · {method} in {full.space.name}",
        ),
        "cosines": cluster_figures.cosine_histogram(
            of_pairs[inside & same],
            of_pairs[inside & ~same],
            {null: part for null, part in zip(NULLS, full.null_cosines, strict=True)},
            title=f"How alike two neurons at {where} are, within clusters and between them",
            subtitle=f"{told} · {method} in {full.space.name}",
            xlabel="cosine of two neurons: their correlation over sentences",
        ),
        "silhouette_null": cluster_figures.silhouette_nulls(
            [
                SilhouetteNull(
                    f"{part.space.name}, {null}",
                    part.null[k],
                    part.value,
                    float(verdicts.corrected[i, k]),
                )
                for i, part in enumerate(parts)
                for k, null in enumerate(NULLS)
            ],
            len(NULLS),
            title=headline,
            subtitle=f"{told} · {method}",
        ),
    }
    for found in layouts:
        axes = {
            "xlabel": f"dimension 1 of {found.space.name}",
            "ylabel": f"dimension 2 of {found.space.name}",
        }
        plane = found.coordinates[:, :2]
        of_layout = Partition(f"clusters in {found.space.name}", found.labels)
        drawn["clusters"] = cluster_figures.cluster_layouts(
            plane,
            [of_layout, partition],
            chosen.t,
            groups=chosen.groups,
            title=headline,
            subtitle=f"{told} · {method}; clusters are numbered by their mean t in either space",
            **axes,
        )
        drawn["centroids"] = cluster_figures.cluster_centroids(
            plane,
            of_layout,
            title=f"{_clusters(found.n_clusters)} of neurons at {where} in {found.space.name}",
            subtitle=f"{told} · {method}",
            **axes,
        )
    return drawn
