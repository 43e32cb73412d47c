"""How near objects lie to subjects in every condition: as given, resampled, and permuted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.hooks import HookPoint
from interp.metrics.functional.points import Array, distances
from interp.runner.analysis import at_layer
from interp.stats import permutation_tests
from interp.stats.intervals import resample_counts
from interp.stats.permutations import draw_exchanges

from .centroids import Direction, Weightings, relative_distance, silhouette
from .design import OTHER, SUBJECT, Condition, Design

# What is measured in a frame, in this order. The spread is the subjects', relative to that of the
# bare words.
LEVELS = ("distance", "projection_subjects", "projection_objects", "silhouette", "spread")
_SPREAD = LEVELS.index("spread")


@dataclass(frozen=True, eq=False)
class Reweightings:
    """Weights of words and templates: first as given, then resampled, then with permuted classes.

    Attributes:
        words: weightings of the words, [1 + resample + permutation, word].
        templates: weights of the templates that sum to 1, [1 + resample + permutation, template].
        n_resamples: how many of them are resampled.
        exchanged: the templates whose two contexts are exchanged, none of them in the first row,
            [1 + permutation, template].
    """

    words: Weightings
    templates: Array
    n_resamples: int
    exchanged: NDArray[np.bool_]

    @classmethod
    def sample(
        cls, design: Design, resamples: int, permutations: int, rng: np.random.Generator
    ) -> "Reweightings":
        """Resample words within classes and templates, and permute the classes among the words."""
        n, n_templates = len(design.words), design.n_templates
        given = design.is_subject
        times = resample_counts(given.astype(np.intp), resamples, rng)
        permuted = given[permutation_tests.draw_permutations(n, permutations, rng)]
        weights = np.concatenate([np.ones((1, n)), times, np.ones(permuted.shape)])
        subject = np.concatenate([np.tile(given, (1 + resamples, 1)), permuted])
        one_stratum = np.zeros(n_templates, np.intp)
        of_template = np.concatenate(
            [
                np.ones((1, n_templates)),
                resample_counts(one_stratum, resamples, rng),
                np.ones((permutations, n_templates)),
            ]
        )
        return cls(
            Weightings(weights * subject, weights * ~subject),
            of_template / n_templates,
            resamples,
            draw_exchanges(n_templates, permutations, rng),
        )

    @property
    def n_unchanged(self) -> int:
        """How many permutations leave the classes as they are: many, where there are few words."""
        subjects = self.words.subjects > 0
        return int((subjects[1 + self.n_resamples :] == subjects[0]).all(1).sum())

    def split(self, values: Array) -> tuple[Array, Array, Array]:
        """Split values [..., reweighting] into the one as given, the resampled, the permuted."""
        first_permuted = 1 + self.n_resamples
        return values[..., 0], values[..., 1:first_permuted], values[..., first_permuted:]


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured.

    Attributes:
        levels: every level in every condition, the bare words first, under every reweighting,
            [layer, 1 + condition, level, reweighting].
        by_template: the same in each template, as given, [layer, 1 + condition, level, template];
            of the bare words the same in all templates.
        layout: the words' means over templates after most sentences of either kind, the other
            contexts first: along the direction and along one axis across it, [layer, 2 words, 2].
    """

    levels: Array
    by_template: Array
    layout: Array


def measure_conditions(
    activations: Activations, hook: HookPoint, design: Design, reweightings: Reweightings
) -> Measurements:
    """Measure every condition at each layer.

    Raises:
        ConfigError: a layer at which the subjects coincide.
    """
    from tqdm import tqdm

    layers = activations.layers
    of_layers = []
    for i, layer in enumerate(tqdm(layers, "measuring", unit="layer", delay=2, disable=None)):
        with at_layer(hook, layer, layers):
            of_layers.append(_measure_layer(activations, i, design, reweightings))
    layout = np.array([of_layer.layout for of_layer in of_layers])
    for i in range(1, len(layers)):
        # The sign of the axis across is arbitrary: neighbouring layers are shown alike.
        if (layout[i, :, 1] * layout[i - 1, :, 1]).sum() < 0:
            layout[i, :, 1] *= -1
    return Measurements(
        np.array([of_layer.levels for of_layer in of_layers]),
        np.array([of_layer.by_template for of_layer in of_layers]),
        layout,
    )


def _measure_layer(
    activations: Activations, i: int, design: Design, reweightings: Reweightings
) -> Measurements:
    """Measure every condition at the layer of index i; arrays without their first axis."""
    bare = activations.points(i, design.bare.rows[0])
    origin = bare.mean(0)
    bare = bare - origin
    direction = Direction.fitted(bare @ bare.T, reweightings.words)

    def measure_frame(rows: NDArray[np.intp]) -> Array:
        """Return the levels of the words in one frame, [level, reweighting]."""
        if activations.is_degenerate(i, rows[design.is_subject]):
            raise ValueError(f"the {design.subjects} coincide up to rounding")
        x = activations.points(i, rows) - origin
        squares = distances(x, x, "sqeuclidean")
        distance, spread = relative_distance(squares, reweightings.words)
        along = direction.class_means(x @ bare.T)
        apart = silhouette(np.sqrt(squares), reweightings.words)
        return np.stack([distance, *along, apart, spread])

    shape = (1 + len(design.conditions), len(LEVELS))
    levels = np.zeros((*shape, len(reweightings.templates)))
    by_template = np.empty((*shape, design.n_templates))
    levels[0] = measure_frame(design.bare.rows[0])
    by_template[0] = levels[0, :, :1]
    for c, condition in enumerate(design.conditions, 1):
        for t in range(design.n_templates):
            of_frame = measure_frame(_without_rounding(activations, i, design, condition, t))
            levels[c] += of_frame * reweightings.templates[:, t]
            by_template[c, :, t] = of_frame[:, 0]
    bare_spread = levels[0, _SPREAD].copy()
    by_template[:, _SPREAD] /= bare_spread[0]
    levels[:, _SPREAD] /= bare_spread
    shown = [design.rows(name, design.most_sentences) for name in (OTHER, SUBJECT)]
    means = [
        np.mean([activations.points(i, rows) for rows in of_context], axis=0)
        for of_context in shown
    ]
    layout = _word_layout(np.concatenate(means) - origin, bare, design.is_subject)
    return Measurements(levels, by_template, layout)


def _without_rounding(
    activations: Activations, i: int, design: Design, condition: Condition, t: int
) -> NDArray[np.intp]:
    """Return the rows of one frame; those of its pair where the two differ by rounding alone.

    Rounding depends on a prompt's length, and would otherwise count as an effect.
    """
    rows: NDArray[np.intp] = condition.rows[t]
    if condition.name != SUBJECT:
        return rows
    paired: NDArray[np.intp] = design.rows(OTHER, condition.n_context_sentences)[t]
    a, b = (activations.values[i, r].astype(np.float64) for r in (rows, paired))
    differ = ((a - b) ** 2).sum() > activations.resolution**2 * (a**2).sum()
    return rows if differ else paired


def _word_layout(x: Array, bare: Array, is_subject: NDArray[np.bool_]) -> Array:
    """Return coordinates [2 words, 2] along the direction and along the main axis across it.

    Both are in units of the distance between the two centroids of the bare words. A word is left
    out of the direction that it is shown along.

    Args:
        x: the words in one context, then in the other, relative to the mean of the bare words.
        bare: the bare words relative to their mean.
        is_subject: [word].
    """
    classes = (mask[None].astype(np.float64) for mask in (is_subject, ~is_subject))
    direction = Direction.fitted(bare @ bare.T, Weightings(*classes))
    n = len(bare)
    along = np.concatenate([direction.projections(half @ bare.T)[0] for half in (x[:n], x[n:])])
    difference = bare[is_subject].mean(0) - bare[~is_subject].mean(0)
    length = np.linalg.norm(difference)
    if length == 0:
        return np.column_stack([along, np.zeros(2 * n)])
    unit = difference / length
    across = x - x.mean(0)
    across = across - np.outer(across @ unit, unit)
    # The main axis, from the small Gram matrix of words instead of the large one of dimensions.
    axis = np.linalg.eigh(across @ across.T)[1][:, -1] @ across
    axis /= np.linalg.norm(axis) or 1.0
    return np.column_stack([along, across @ axis / length])
