"""How similar are two tokens at each layer: "cat" in "red cat" and in "blue cat"?

The first group of prompts holds the two tokens in question, all other prompts the tokens that they
are compared with. If the two were tokens like any others, any two of them could be the pair: so the
null is the similarity of other pairs of tokens, the same pairs at every layer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings, describe_score

from . import report
from .measures import compare_tokens, token_pairs

if TYPE_CHECKING:
    import pandas as pd


@ANALYSES.register("token_similarity")
@dataclass(frozen=True)
class TokenSimilarity:
    """Similarity of two tokens at each layer, compared with that of other pairs of tokens.

    Attributes:
        permutations: the largest number of other pairs; of more, a random subset is taken.
        alpha: the corrected p below which a layer counts as significant.
    """

    permutations: int = 999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(self, prompts: PromptSet, samples: "pd.DataFrame", metric: Metric) -> None:
        """Refuse prompts that do not give a pair of tokens and others to compare it with.

        Raises:
            ConfigError: a first group of other than two prompts, no other prompts, several tokens
                per prompt, or a metric that is not defined between two single points.
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
                "the other groups hold those that they are compared with"
            )
        if len(prompts) < 4:
            raise ConfigError(
                f"prompts: {len(prompts) - 2} tokens besides the pair are too few for a null; give "
                "a second group of prompts with other tokens"
            )
        if len(samples) != len(prompts):
            raise ConfigError(
                "position: token_similarity reads one token per prompt, such as position=target"
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
        from . import figures

        a, b = prompts.members(prompts.group_names[0])
        tokens = activations.samples["token"].tolist()
        pairs = token_pairs((a, b), len(prompts), metric.symmetric, self.permutations, rng)
        found = compare_tokens(activations, pairs, metric, hook, self.alpha)
        words = report.Comparison(
            layers=activations.layers,
            tokens=(tokens[a], tokens[b]),
            texts=(prompts.texts[a], prompts.texts[b]),
            others=len(prompts) - 2,
            pairs=len(pairs) - 1,
            model=source.title,
            position=described(position),
            hook=hook.label,
            metric=metric,
            alpha=self.alpha,
        )
        return Result(
            tested=(found.tested_series(activations.layers, metric.label, self.alpha),),
            scalars=report.scalars(found, words),
            tables={"summary": found.summary({"layer": activations.layers}, metric.label)},
            figures={"similarity": figures.similarity_curve(found, words)},
            finding=report.describe_finding(found, words),
            null=f"other pairs of tokens; {describe_score(metric)}",
        )
