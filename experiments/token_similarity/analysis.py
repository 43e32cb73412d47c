"""How alike is one token to another, layer by layer: "cat" in "red cat" and in "blue cat"?

The first group of prompts holds the two tokens in question, all other prompts the tokens that they
are held against. If the two were tokens like any others, any two of them could be the pair: so the
null is the similarity of other pairs of tokens, the same pairs at every layer.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES, at_layer
from interp.stats.calibration import calibrate, check_settings, describe_layers, describe_score

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@ANALYSES.register("token_similarity")
@dataclass(frozen=True)
class TokenSimilarity:
    """Similarity of two tokens at each layer, against that of other pairs of tokens.

    Attributes:
        permutations: at most so many other pairs, drawn without replacement.
        alpha: the corrected p below which a layer counts as significant.
    """

    permutations: int = 999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(self, prompts: PromptSet, samples: "pd.DataFrame", metric: Metric) -> None:
        """Refuse what is no pair of tokens.

        Raises:
            ConfigError: a first group of other than two prompts, no other prompts, several tokens
                a prompt, or a metric that is not defined between two single points.
        """
        name = METRICS.name_of(metric)
        if not metric.paired or metric.min_samples > 1:
            raise ConfigError(
                f"metric={name} is not defined between two single tokens; cosine, euclidean, "
                "frobenius and those in vocabulary space are"
            )
        pair = prompts.group_names[0]
        if (size := len(prompts.members(pair))) != 2:
            raise ConfigError(
                f"prompts: the first group ({pair}) holds the two tokens to compare, not {size}; "
                "the other groups hold those that they are held against"
            )
        if len(prompts) < 4:
            raise ConfigError(
                f"prompts: {len(prompts) - 2} tokens besides the pair are too few for a null; give "
                "a second group of prompts with other tokens"
            )
        if len(samples) != len(prompts):
            raise ConfigError(
                "position: token_similarity reads one token a prompt, such as position=target"
            )

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        metric: Metric,
        rng: np.random.Generator,
    ) -> Result:
        """Compare the two tokens at each layer.

        Raises:
            ConfigError: a layer at which the metric is not defined.
        """
        from tqdm import tqdm

        from interp import plotting

        a, b = prompts.members(prompts.group_names[0])
        every = itertools.combinations if metric.symmetric else itertools.permutations
        others = [pair for pair in every(range(len(prompts)), 2) if pair != (a, b)]
        if len(others) > self.permutations:
            chosen = rng.choice(len(others), self.permutations, replace=False)
            others = [others[i] for i in np.sort(chosen)]
        pairs = np.array([(a, b), *others])

        layers = activations.layers
        values, identity = np.empty((len(layers), len(pairs))), np.empty(len(layers))
        for i, layer in enumerate(tqdm(layers, "comparing", unit="layer", delay=2, disable=None)):
            with at_layer(hook, layer, layers):
                values[i], identity[i] = self._compared(activations, i, pairs, metric)
        found = calibrate(values[:, 0], values[:, 1:], identity, metric, self.alpha)

        test = found.test
        peak = int(found.excess.argmax())
        first, second = (f"{prompts.texts[i]!r}" for i in (a, b))
        tokens = activations.samples["token"].tolist()
        verdict = (
            f"{tokens[a]!r} in {first} and {tokens[b]!r} in {second} are closer than other tokens "
            f"at {describe_layers(layers, found.significant)}"
        )
        finding = (
            f"{verdict} (p < {self.alpha:g}, corrected over layers). Furthest from chance is "
            f"layer {layers[peak]}: {metric.label} {found.observed[peak]:.3f}, other pairs "
            f"{test.null_mean[peak]:.3f} [{test.null_low[peak]:.3f}, {test.null_high[peak]:.3f}], "
            f"corrected p = {test.p_corrected[peak]:.3g}."
        )
        finding += found.describe_smallest_p(self.alpha)
        finding += found.describe_opposite_tail(layers, metric, self.alpha)
        where = described(position)
        curve = plotting.similarity_over_layers(
            layers,
            found.observed,
            test,
            found.significant,
            found.score,
            np.empty((0, len(layers))),
            title=verdict if found.smallest_p < self.alpha else f"{tokens[a]!r}: too few to tell",
            subtitle=f"{source.title} · position: {where} · {len(prompts) - 2} other tokens, "
            f"{len(others)} pairs",
            xlabel=f"layer ({hook.label})",
            ylabel=metric.label,
            null_label="95% of the null: other pairs of tokens",
            significant_label=f"p < {self.alpha:g}, corrected over layers",
            other_label=f"p ≥ {self.alpha:g}, corrected over layers",
            label=source.title,
            reference_label="",
        )
        return Result(
            series=found.series(layers),
            scalars={
                "peak_layer": layers[peak],
                "peak_value": float(found.observed[peak]),
                "peak_p_corrected": float(test.p_corrected[peak]),
                "peak_score": float(found.score[peak]),
                "significant_layers": int(found.significant.sum()),
            },
            tables={"summary": found.summary({"layer": layers}, metric.label)},
            figures={"similarity": curve},
            finding=finding,
            null=f"other pairs of tokens; {describe_score(metric)}",
            headlines=(found.headline(metric.label, self.alpha),),
        )

    @staticmethod
    def _compared(
        activations: Activations, i: int, pairs: NDArray[np.intp], metric: Metric
    ) -> tuple[Array, float]:
        """Return the value of each pair of tokens at a layer, and that of a token with itself."""
        if activations.is_degenerate(i, np.arange(len(activations.samples))):
            raise ValueError("all tokens coincide up to rounding")
        points = activations.points(i, np.arange(len(activations.samples)))
        single = [metric.prepared(point[None]) for point in points]
        alone = np.zeros((1, 1), dtype=np.intp)
        values = np.empty(len(pairs))
        for second in np.unique(pairs[:, 1]):
            of_second = np.flatnonzero(pairs[:, 1] == second)
            firsts = [single[first] for first in pairs[of_second, 0]]
            values[of_second] = metric.evaluate_permutations(firsts, single[second], alone)[:, 0]
        return values, metric.identity(single[pairs[0, 1]])
