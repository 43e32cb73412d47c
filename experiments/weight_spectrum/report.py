"""Directions, ranks, copying and composition as findings, tables and series over layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from interp.metrics.functional.points import Array
from interp.results.result import Result, Series
from interp.stats.tested_series import TestedSeries

from .composition import Composition, strongest_pairs
from .copying import Copying
from .decomposition import Decomposition
from .directions import DirectionScores

if TYPE_CHECKING:
    import pandas as pd

# Rows per kind in the table of compositions.
_STRONGEST_PAIRS = 20


def directions_result(
    found: DirectionScores, decompositions: Sequence[Decomposition], model: str, alpha: float
) -> Result:
    """Report which leading directions are readable.

    Args:
        found: the scores of the directions.
        decompositions: every kind of matrix.
        model: the model's title.
        alpha: the adjusted p below which a direction is readable.
    """
    import pandas as pd

    from .figures import readable_heatmaps

    layers = tuple(range(len(decompositions[0].values)))
    by_layer = {one.name: found.shares[one.name].mean(1) for one in decompositions}
    percentages = {
        f"{name}, readable": [f"{share:.0%}" for share in shares]
        for name, shares in by_layer.items()
    }
    head = found.table["head"]
    return Result(
        tested=tuple(
            TestedSeries(
                f"readable_{one.key}",
                f"readable share of the leading directions of {one.name}",
                layers,
                by_layer[one.name],
                alpha=alpha,
            )
            for one in decompositions
        ),
        scalars={"readable_directions": float(found.significant.mean())},
        tables={
            "directions": found.table.assign(head=head.where(head >= 0)),
            "summary": pd.DataFrame({"layer": layers, **percentages}),
        },
        figures=readable_heatmaps(found, decompositions, model, alpha),
        finding=_directions_finding(found, alpha),
        null="random directions",
    )


def _directions_finding(found: DirectionScores, alpha: float) -> str:
    answer = f"{found.significant.mean():.0%} of {len(found.table)} leading directions are readable"
    if 1 / (found.n_random + 1) >= alpha:
        answer = "Too few random directions for any direction to be significant"
    each = ", ".join(f"{name} {share.mean():.0%}" for name, share in found.shares.items())
    random = " and ".join(
        f"{null.mean():.2f} [{np.quantile(null, 0.025):.2f}, {np.quantile(null, 0.975):.2f}] in "
        f"the {matrix}"
        for matrix, null in found.nulls.items()
    )
    best = found.table.iloc[int(found.table["coherence"].to_numpy().argmax())]
    return (
        f"{answer}: the {found.top} tokens at one end are more similar (mean cosine) than those of "
        f"{found.n_random} random directions, adjusted p < {alpha:g} ({each}). Random directions "
        f"have {random}. The largest mean cosine is that of {_direction_name(best)}: "
        f"{best['high']} | {best['low']}."
    )


def _direction_name(row: "pd.Series[str]") -> str:
    head = f" head {row['head']}" if int(row["head"]) >= 0 else ""
    return f"{row['part']}, layer {row['layer']}{head}, component {row['component']}, {row['side']}"


def ranks_result(
    decompositions: Sequence[Decomposition], random_ranks: Sequence[float], model: str
) -> Result:
    """Report the effective rank of every matrix.

    Args:
        decompositions: every kind of matrix.
        random_ranks: the effective rank of a random matrix of each kind's shape.
        model: the model's title.
    """
    from .figures import rank_heatmaps, spectra_over_layers

    layers = tuple(range(len(decompositions[0].values)))
    ranks = ", ".join(
        f"{one.name} {one.effective_rank.mean(1).mean():.0f} of {one.values.shape[2]} "
        f"({random:.0f})"
        for one, random in zip(decompositions, random_ranks, strict=True)
    )
    return Result(
        series={
            f"effective_rank_{one.key}": Series.over(layers, one.effective_rank.mean(1))
            for one in decompositions
        },
        figures={
            **rank_heatmaps(decompositions, random_ranks, model),
            "spectra": spectra_over_layers(decompositions, model),
        },
        finding=f"Effective rank, mean over layers and heads (random matrices of the same shape): "
        f"{ranks}.",
    )


def copying_result(found: Copying, words: str, model: str, alpha: float) -> Result:
    """Report how much each head copies.

    Args:
        found: the scores.
        words: the name of the list of words.
        model: the model's title.
        alpha: the adjusted p below which a head copies significantly.
    """
    from .figures import copying_heatmaps

    layers = tuple(range(len(found.score)))
    significant = found.p_adjusted < alpha
    title = f"{int(significant.sum())} of {significant.size} heads copy more than random factors"
    if 1 / (found.n_random + 1) >= alpha:
        title = "Too few random heads for any head to be significant"
    return Result(
        tested=(
            TestedSeries(
                "most_copying",
                "largest copying score of a head",
                layers,
                found.score.max(1),
                p_corrected=found.p_adjusted[np.arange(len(layers)), found.score.argmax(1)],
                direction="greater",
                alpha=alpha,
            ),
        ),
        series={"most_words_returned": Series.over(layers, found.returned.max(1))},
        scalars={
            "copying_heads": float(significant.sum()),
            "highest_copying_score": float(found.score.max()),
            "highest_share_of_words_returned": float(found.returned.max()),
        },
        tables={"heads": _heads_table(found)},
        figures=copying_heatmaps(found, words, model, title, alpha),
        finding=_copying_finding(found, words, title, alpha),
        null="random factors of the heads' shape",
    )


def _heads_table(found: Copying) -> "pd.DataFrame":
    import pandas as pd

    n_layers, n_heads = found.score.shape
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(n_layers), n_heads),
            "head": np.tile(np.arange(n_heads), n_layers),
            "copying_score": found.score.ravel(),
            "positive_eigenvalues": found.positive.ravel(),
            "p_adjusted": found.p_adjusted.ravel(),
            "words_returned": found.returned.ravel(),
            "other_words_returned": found.returned_for_others.ravel(),
        }
    )


def _copying_finding(found: Copying, words: str, title: str, alpha: float) -> str:
    layer, head = _largest(found.score)
    best_layer, best_head = _largest(found.returned)
    return (
        f"{title} (copying score, p < {alpha:g} adjusted for all heads); the largest score is that "
        f"of head {head} of layer {layer}: {found.score[layer, head]:.2f} (random factors "
        f"{found.null_low:.2f} to {found.null_high:.2f}, adjusted p = "
        f"{found.p_adjusted[layer, head]:.2g}). Head {best_head} of layer {best_layer} returns "
        f"{found.returned[best_layer, best_head]:.0%} of the {words} among its top {found.top} "
        f"tokens (for another word of the list: "
        f"{found.returned_for_others[best_layer, best_head]:.1%})."
    )


def _largest(values: Array) -> tuple[int, int]:
    """Return the layer and the head of the largest value [layer, head]."""
    layer, head = np.unravel_index(values.argmax(), values.shape)
    return int(layer), int(head)


def composition_result(found: list[Composition], model: str) -> Result:
    """Report which heads read what earlier ones write.

    Args:
        found: Q-, K- and V-composition.
        model: the model's title.
    """
    from .figures import composition_heatmaps

    table = strongest_pairs(found, _STRONGEST_PAIRS)
    first = table.sort_values("score above random", ascending=False).iloc[0]
    return Result(
        tables={"compositions": table},
        figures=composition_heatmaps(found, model),
        finding=(
            f"The strongest composition is the {first['composition']}-composition of head "
            f"{first['later head']} of layer {first['later layer']} with head {first['head']} of "
            f"layer {first['layer']}: {first['score above random']:.3f} above random factors "
            f"({found[0].baseline:.3f} ± {found[0].spread:.3f})."
        ),
    )
