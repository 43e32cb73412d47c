"""What heads copy and compose, as figures and findings."""

from typing import TYPE_CHECKING

import numpy as np

from interp.results.result import Result, Series

from .heads import Composition, Copying

if TYPE_CHECKING:
    import pandas as pd


def copying_report(
    found: Copying, words: str, *, told: str, top: int, draws: int, alpha: float
) -> Result:
    """Draw and tell how much each head copies.

    Args:
        found: the scores.
        words: what the list of words is called.
        told: what was read.
        top: among how many tokens a copied word comes back.
        draws: random heads.
        alpha: the adjusted p below which a head counts.
    """
    import pandas as pd

    from interp import plotting

    passes = found.p_adjusted < alpha
    layer, head = np.unravel_index(found.score.argmax(), found.score.shape)
    best, most = np.unravel_index(found.words.argmax(), found.words.shape)
    verdict = (
        f"{int(passes.sum())} of {passes.size} heads copy more than random ones"
        if 1 / (draws + 1) < alpha
        else "too few draws to tell copying heads from random ones"
    )
    layers = tuple(range(len(found.score)))
    return Result(
        series={
            "most_copying": Series.over(layers, found.score.max(1)),
            "most_words_returned": Series.over(layers, found.words.max(1)),
        },
        scalars={
            "copying_heads": float(passes.sum()),
            "highest_copying_score": float(found.score.max()),
            "highest_share_of_words_returned": float(found.words.max()),
        },
        tables={
            "heads": pd.DataFrame(
                {
                    "layer": np.repeat(layers, found.score.shape[1]),
                    "head": np.tile(np.arange(found.score.shape[1]), len(layers)),
                    "copying_score": found.score.ravel(),
                    "positive_eigenvalues": found.positive.ravel(),
                    "p_adjusted": found.p_adjusted.ravel(),
                    "words_returned": found.words.ravel(),
                    "other_words_returned": found.words_by_chance.ravel(),
                }
            ),
        },
        figures={
            "copying": plotting.head_heatmap(
                found.score,
                passes,
                title=verdict,
                subtitle=f"{told} · random factors {found.null_low:.2f} to {found.null_high:.2f} "
                "in 95%",
                label="copying score Σ Re λ / Σ |λ| of W_E W_OV W_U",
                faint_label=f"p ≥ {alpha:g}, adjusted for all heads",
                signed=True,
            ),
            "positive_eigenvalues": plotting.head_heatmap(
                found.positive,
                title="Share of positive eigenvalues of each OV circuit in vocabulary space",
                subtitle=f"{told} · half of them for a head that neither copies nor the reverse",
                label="share of eigenvalues",
            ),
            "words_returned": plotting.head_heatmap(
                found.words,
                title=f"Share of {words} that each head returns among its top {top}",
                subtitle=f"{told} · for another of the {words}: "
                f"{found.words_by_chance.max():.2f} at most",
                label=f"share of {words}",
            ),
        },
        finding=(
            f"{verdict} (copying score, p < {alpha:g} adjusted for all heads); most does head "
            f"{head} of layer {layer}: {found.score[layer, head]:.2f} (random factors "
            f"{found.null_low:.2f} to {found.null_high:.2f}, adjusted p = "
            f"{found.p_adjusted[layer, head]:.2g}). Head {most} of layer {best} returns "
            f"{found.words[best, most]:.0%} of the {words} among its top {top} (for another of "
            f"them: {found.words_by_chance[best, most]:.1%})."
        ),
        null="random factors of the heads' shape",
    )


def composition_report(found: list[Composition], table: "pd.DataFrame", *, told: str) -> Result:
    """Draw and tell which heads read what earlier ones write.

    Args:
        found: a kind of composition each.
        table: the strongest of them.
        told: what was read.
    """
    from interp import plotting

    first = table.sort_values("score above random", ascending=False).iloc[0]
    return Result(
        tables={"compositions": table},
        figures={
            f"{composition.kind.lower()}_composition": plotting.head_heatmap(
                composition.strongest,
                title=f"{composition.kind}-composition: each head's strongest with an earlier one",
                subtitle=f"{told} · random factors {composition.baseline:.3f} ± "
                f"{composition.spread:.3f}, taken off",
                label="score above random",
                signed=True,
            )
            for composition in found
        },
        finding=(
            f"Strongest is the {first['composition']}-composition of head {first['later head']} "
            f"of layer {first['later layer']} with head {first['head']} of layer "
            f"{first['layer']}: {first['score above random']:.3f} above random factors "
            f"({found[0].baseline:.3f} ± {found[0].spread:.3f})."
        ),
    )
