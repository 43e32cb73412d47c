"""Sentences and numbers of `token_similarity`."""

from dataclasses import dataclass

from interp.metrics import Metric
from interp.stats.calibration import Calibration, describe_layers


@dataclass(frozen=True)
class Comparison:
    """What was compared, in the words that the finding, the table and the figure share.

    Attributes:
        layers: that were compared.
        tokens: the two tokens.
        texts: the prompt of each.
        others: how many other tokens there are.
        pairs: how many other pairs make the null.
        model: the model's title.
        position: which tokens were read, in words.
        hook: the label of the hook point.
        metric: the similarity or distance.
        alpha: the corrected p below which a layer is significant.
    """

    layers: tuple[int, ...]
    tokens: tuple[str, str]
    texts: tuple[str, str]
    others: int
    pairs: int
    model: str
    position: str
    hook: str
    metric: Metric
    alpha: float

    @property
    def setting(self) -> str:
        """Where the tokens come from and how many others there are, on one line."""
        return (
            f"{self.model} · position: {self.position} · {self.others} other tokens, "
            f"{self.pairs} pairs"
        )


def describe_significance(found: Calibration, words: Comparison) -> str:
    """Return at which layers the two tokens are closer than others, as a clause."""
    first, second = (
        f"{token!r} in {text!r}" for token, text in zip(words.tokens, words.texts, strict=True)
    )
    where = describe_layers(words.layers, found.significant)
    return f"{first} and {second} are closer than other tokens at {where}"


def describe_finding(found: Calibration, words: Comparison) -> str:
    """Return where the two tokens are significantly close, and how close they are at most."""
    test, peak = found.test, int(found.excess.argmax())
    finding = (
        f"{describe_significance(found, words)} (p < {words.alpha:g}, corrected over layers). "
        f"The largest difference from the null is at layer {words.layers[peak]}: "
        f"{words.metric.label} {found.observed[peak]:.3f}, other pairs "
        f"{test.null_mean[peak]:.3f} [{test.null_low[peak]:.3f}, {test.null_high[peak]:.3f}], "
        f"corrected p = {test.p_corrected[peak]:.3g}."
    )
    finding += found.describe_smallest_p(words.alpha)
    return finding + found.describe_opposite_tail(words.layers, words.metric, words.alpha)


def scalars(found: Calibration, words: Comparison) -> dict[str, float]:
    """Return the numbers at the layer furthest from the null, and how many are significant."""
    peak = int(found.excess.argmax())
    return {
        "peak_layer": words.layers[peak],
        "peak_value": float(found.observed[peak]),
        "peak_p_corrected": float(found.test.p_corrected[peak]),
        "peak_score": float(found.score[peak]),
        "significant_layers": int(found.significant.sum()),
    }
