"""The figure of `token_similarity`."""

from matplotlib.figure import Figure

from interp.plotting.curves import draw_similarity
from interp.plotting.labels import Labels
from interp.stats.calibration import Calibration

from .report import Comparison, describe_significance


def similarity_curve(found: Calibration, words: Comparison) -> Figure:
    """Draw the similarity of the two tokens over layers, with that of other pairs as its null."""
    title = f"{words.tokens[0]!r}: too few other pairs to test"
    if found.smallest_p < words.alpha:
        title = describe_significance(found, words)
    return draw_similarity(
        found.tested_series(words.layers, words.metric.label, words.alpha),
        Labels(title, words.setting, xlabel=f"layer ({words.hook})"),
        "95% of the null: other pairs of tokens",
    )
