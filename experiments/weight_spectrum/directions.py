"""The leading directions of every matrix, as tokens that are alike or not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary
from interp.results.result import Result, Series

from .matrices import Part
from .readings import top_tokens

if TYPE_CHECKING:
    import pandas as pd

# Tokens of an end that the table writes out.
_WRITTEN = 10


def directions_read(
    found: Sequence[Part],
    embedding: NDArray[np.float32],
    unembedding: NDArray[np.float32],
    vocabulary: Vocabulary,
    *,
    told: str,
    top: int,
    draws: int,
    alpha: float,
    rng: np.random.Generator,
) -> Result:
    """Read each leading direction by the tokens at its ends, and hold these against random ones.

    What a matrix reads is held against the embedding, what it writes against the unembedding.
    Adjusted p bound the share of false findings among all directions (Benjamini and Hochberg,
    1995).

    Args:
        found: the matrices.
        embedding: [id, d].
        unembedding: [id, d], the final norm's gain in it.
        vocabulary: what the ids stand for.
        told: what was read, for figures.
        top: tokens of an end.
        draws: random directions.
        alpha: the adjusted p below which a direction counts.
        rng: where random directions come from.
    """
    import pandas as pd
    from scipy.stats import false_discovery_control

    from interp import plotting

    random = rng.normal(size=(draws, embedding.shape[1]))
    tied = np.array_equal(embedding, unembedding)
    nulls: dict[str, Array] = {}
    tables = []
    for part in found:
        for side, directions in (
            ("reads", part.reads),
            ("reads" if part.both_read else "writes", part.writes),
        ):
            if not directions.size:
                continue
            matrix = embedding if side == "reads" else unembedding
            name = f"{part.name} {side}"
            tokens = top_tokens(
                matrix, vocabulary, directions.reshape(-1, directions.shape[-1]), top, name
            )
            if tied and nulls:
                nulls[side] = next(iter(nulls.values()))
            elif side not in nulls:
                nulls[side] = np.sort(
                    top_tokens(matrix, vocabulary, random, top, "random directions").coherence
                )
            table = _places(part, directions)
            table.insert(1, "side", _side(part, directions))
            table["coherence"] = tokens.coherence
            above = draws - np.searchsorted(nulls[side], tokens.coherence, side="left")
            table["p"] = (above + 1) / (draws + 1)
            for end, ids in (("high", tokens.high), ("low", tokens.low)):
                table[end] = [" ".join(vocabulary.texts[i] for i in row[:_WRITTEN]) for row in ids]
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["p_adjusted"] = false_discovery_control(table["p"].to_numpy())
    passes = table["p_adjusted"] < alpha
    shares = {part.name: _share(table[table["part"] == part.name], passes) for part in found}
    by_chance = " and ".join(
        f"{null.mean():.2f} [{np.quantile(null, 0.025):.2f}, {np.quantile(null, 0.975):.2f}]"
        f" by the {'embedding' if side == 'reads' else 'unembedding'}"
        for side, null in nulls.items()
    )
    best = table.iloc[int(table["coherence"].to_numpy().argmax())]
    each = ", ".join(f"{name} {share.mean():.0%}" for name, share in shares.items())
    enough = 1 / (draws + 1) < alpha
    verdict = (
        f"{passes.mean():.0%} of {len(table)} leading directions stand for tokens that are alike"
        if enough
        else "too few draws to tell directions from random ones"
    )
    layers = tuple(range(len(found[0].values)))
    return Result(
        series={
            f"readable_{part.key}": Series.over(layers, shares[part.name].mean(1)) for part in found
        },
        scalars={"readable_directions": float(passes.mean())},
        tables={
            "directions": table.assign(head=table["head"].where(table["head"] >= 0)),
            "summary": pd.DataFrame(
                {
                    "layer": layers,
                    **{
                        f"{name}, alike": [f"{share:.0%}" for share in shares[name].mean(1)]
                        for name in shares
                    },
                }
            ),
        },
        figures={
            f"readable_{part.key}": plotting.head_heatmap(
                shares[part.name],
                title=f"{part.name}: {shares[part.name].mean():.0%} of the leading directions "
                "stand for tokens that are alike",
                subtitle=f"{told} · {directions_of(part)} directions of each, tokens more alike "
                f"than those of random directions (adjusted p < {alpha:g})",
                label="share of directions",
            )
            for part in found
            if part.heads
        },
        finding=(
            f"{verdict} (mean cosine of the {top} tokens at an end, adjusted p < {alpha:g} "
            f"against {draws} random directions: {each}). Random directions have {by_chance}. "
            f"Most alike are those of {_named(best)}: {best['high']} | {best['low']}."
        ),
        null="random directions",
    )


def directions_of(part: Part) -> int:
    """Return how many directions are read of one matrix."""
    return int(part.reads.shape[2] + part.writes.shape[2])


def _side(part: Part, directions: Array) -> str:
    if part.both_read:
        return "queries" if directions is part.reads else "keys"
    return "reads" if directions is part.reads else "writes"


def _places(part: Part, directions: Array) -> "pd.DataFrame":
    """Return a row a direction: the matrix, the layer, the head, and which component it is."""
    import pandas as pd

    places = np.array(list(np.ndindex(directions.shape[:3])))
    heads = places[:, 1] if part.heads else np.full(len(places), -1)
    return pd.DataFrame(
        {
            "part": part.name,
            "layer": places[:, 0],
            "head": heads,
            "component": places[:, 2] + 1,
            "singular_value": part.values[tuple(places.T)],
        }
    )


def _share(table: "pd.DataFrame", passes: "pd.Series[bool]") -> Array:
    """Return the share of directions that pass, [layer, head]."""
    chosen = table.assign(passes=passes[table.index])
    return np.asarray(
        chosen.pivot_table("passes", "layer", "head", aggfunc="mean"), dtype=np.float64
    )


def _named(row: "pd.Series[str]") -> str:
    head = f" head {row['head']}" if int(row["head"]) >= 0 else ""
    return f"{row['part']}, layer {row['layer']}{head}, component {row['component']}, {row['side']}"
