"""How near objects lie to subjects in every condition, as it is, resampled, and shuffled."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.hooks import HookPoint
from interp.metrics.functional.points import Array, distances
from interp.runner.analysis import at_layer
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest
from interp.stats.permutations import exchanges
from interp.stats.resampling import interval, times_drawn

from .centroids import Direction, Weightings, relative_distance, silhouette
from .design import OTHER, PROBE, SUBJECT, Condition, Design

# What is measured in a frame, in this order; the last is the subjects' spread, in that of the bare.
LEVELS = ("distance", "projection_subjects", "projection_objects", "silhouette", "spread")

# What one context is said to do beyond the other; each is larger the nearer objects come.
EFFECTS = ("distance", "projection", "silhouette")


@dataclass(frozen=True, eq=False)
class Draws:
    """Weightings of words and templates: as they are, then resampled, then with classes shuffled.

    Attributes:
        words: weightings of the words, [1 + resamples + shuffles, word].
        templates: weights of the templates that sum to 1, [1 + resamples + shuffles, template].
        resamples: how many of them are resampled.
        exchanged: which templates exchange the two contexts, the first none, [1 + b, template].
    """

    words: Weightings
    templates: Array
    resamples: int
    exchanged: NDArray[np.bool_]

    @property
    def as_given(self) -> int:
        """How many of the shuffles leave the classes as they are: with few words, many."""
        subjects = self.words.subjects > 0
        return int((subjects[1 + self.resamples :] == subjects[0]).all(1).sum())

    def parted(self, values: Array) -> tuple[Array, Array, Array]:
        """Part values [..., draw] into the one as it is, those resampled, and those shuffled."""
        first = 1 + self.resamples
        return values[..., 0], values[..., 1:first], values[..., first:]

    @classmethod
    def of(
        cls, design: Design, resamples: int, permutations: int, rng: np.random.Generator
    ) -> "Draws":
        """Draw them."""
        n, templates = len(design.words), design.templates
        given = design.is_subject
        times = times_drawn(given.astype(np.intp), resamples, rng)
        shuffled = given[permutation_tests.permutations(n, permutations, rng)]
        one = np.ones((1, n))
        weights = np.concatenate([one, times, np.ones(shuffled.shape)])
        subject = np.concatenate([np.tile(given, (1 + resamples, 1)), shuffled])
        everywhere = np.zeros(templates, np.intp)
        of_template = np.concatenate(
            [
                np.ones((1, templates)),
                times_drawn(everywhere, resamples, rng),
                np.ones((permutations, templates)),
            ]
        )
        return cls(
            Weightings(weights * subject, weights * ~subject),
            of_template / templates,
            resamples,
            exchanges(templates, permutations, rng),
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured.

    Attributes:
        levels: every level in every condition, the bare words first, at every draw,
            [layer, 1 + condition, level, draw].
        by_template: the same in each template as it is, [layer, 1 + condition, level, template];
            the bare words' in all of them alike.
        picture: the words' means over templates after most sentences of either kind, others first:
            along the direction and along one axis across it, [layer, 2 words, 2].
    """

    levels: Array
    by_template: Array
    picture: Array


def measured(activations: Activations, hook: HookPoint, design: Design, draws: Draws) -> Measured:
    """Measure every condition at each layer.

    Raises:
        ConfigError: a layer at which the subjects coincide.
    """
    from tqdm import tqdm

    layers, n = activations.layers, len(design.words)
    shape = (len(layers), 1 + len(design.conditions), len(LEVELS))
    levels = np.empty((*shape, len(draws.templates)))
    by_template = np.empty((*shape, design.templates))
    picture = np.empty((len(layers), 2 * n, 2))
    shown = [design.rows(name, design.doses[-1]) for name in (OTHER, SUBJECT)]

    def measure(i: int) -> None:
        bare = activations.points(i, design.bare.rows[0])
        origin = bare.mean(0)
        bare = bare - origin
        direction = Direction.fitted(bare @ bare.T, draws.words)

        def in_frame(rows: NDArray[np.intp]) -> Array:
            if activations.is_degenerate(i, rows[design.is_subject]):
                raise ValueError(f"the {design.subjects} coincide up to rounding")
            x = activations.points(i, rows) - origin
            squares = distances(x, x, "sqeuclidean")
            distance, spread = relative_distance(squares, draws.words)
            along = direction.class_means(x @ bare.T)
            apart = silhouette(np.sqrt(squares), draws.words)
            return np.stack([distance, *along, apart, spread])

        levels[i, 0] = in_frame(design.bare.rows[0])
        by_template[i, 0] = levels[i, 0, :, :1]
        for c, condition in enumerate(design.conditions, 1):
            levels[i, c] = 0
            for t, rows in enumerate(condition.rows):
                found = in_frame(_twin(activations, i, design, condition, t, rows))
                levels[i, c] += found * draws.templates[:, t]
                by_template[i, c, :, t] = found[:, 0]
        # The last level is the spread, in that of the bare words.
        by_template[i, :, -1] /= levels[i, 0, -1, 0]
        levels[i, :, -1] /= levels[i, 0, -1].copy()
        means = [np.mean([activations.points(i, r) for r in rows], axis=0) for rows in shown]
        picture[i] = _plane(np.concatenate(means) - origin, bare, design.is_subject)

    for i, layer in enumerate(tqdm(layers, "measuring", unit="layer", delay=2, disable=None)):
        with at_layer(hook, layer, layers):
            measure(i)
        if i and (picture[i, :, 1] * picture[i - 1, :, 1]).sum() < 0:
            picture[i, :, 1] *= -1
    return Measured(levels, by_template, picture)


def _twin(
    activations: Activations,
    i: int,
    design: Design,
    condition: Condition,
    t: int,
    rows: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Return a subject context's rows, or those of its pair where they differ by rounding alone.

    Rounding depends on a prompt's length, and would pass for an effect.
    """
    if condition.name != SUBJECT:
        return rows
    paired = design.rows(OTHER, condition.dose)[t]
    a, b = (activations.values[i, r].astype(np.float64) for r in (rows, paired))
    differ = ((a - b) ** 2).sum() > activations.resolution**2 * (a**2).sum()
    return rows if differ else paired


def _plane(x: Array, bare: Array, is_subject: NDArray[np.bool_]) -> Array:
    """Return coordinates [2 words, 2] along the direction and along the main axis across it.

    Both are in units of the distance of the two centroids of the bare words; a word's own place
    does not count for the direction that it is shown along.

    Args:
        x: the words in one context, then in the other, around the mean of the bare words.
        bare: the bare words around their mean.
        is_subject: [word].
    """
    classes = (mask[None].astype(np.float64) for mask in (is_subject, ~is_subject))
    direction = Direction.fitted(bare @ bare.T, Weightings(*classes))
    n = len(bare)
    along = np.concatenate([direction.projections(half @ bare.T)[0] for half in (x[:n], x[n:])])
    way = bare[is_subject].mean(0) - bare[~is_subject].mean(0)
    length = np.linalg.norm(way)
    if length == 0:
        return np.column_stack([along, np.zeros(2 * n)])
    unit = way / length
    across = x - x.mean(0)
    across = across - np.outer(across @ unit, unit)
    # The main axis, by way of the few words and not of the many dimensions.
    axis = np.linalg.eigh(across @ across.T)[1][:, -1] @ across
    axis /= np.linalg.norm(axis) or 1.0
    return np.column_stack([along, across @ axis / length])


@dataclass(frozen=True, eq=False)
class Level:
    """A level in every condition, the bare words first, with its 95% interval.

    Every array is [layer, 1 + condition].
    """

    values: Array
    low: Array
    high: Array


def levels(found: Measured, design: Design, draws: Draws) -> dict[str, Level]:
    """Return every level with its interval."""
    named = {}
    for number, name in enumerate(LEVELS):
        values, resampled, _ = draws.parted(found.levels[:, :, number])
        limits = interval(
            values, resampled, found.by_template[:, :, number], design.words_in_a_class
        )
        named[name] = Level(values, *limits)
    return named


def _nearness(levels: Array, condition: int) -> Array:
    """Return what is compared between conditions, in one of them, [layer, effect, ...].

    The projection counts as the distance between the classes: a context that moves every word
    along the direction brings none nearer to another.

    Args:
        levels: [layer, 1 + condition, level, ...].
        condition: its number.
    """
    distance, subjects, objects, apart, _ = np.moveaxis(levels[:, condition], 1, 0)
    return np.stack([distance, subjects - objects, apart], axis=1)


def gap_before_and_after(found: Measured, design: Design, draws: Draws) -> tuple[Array, Level]:
    """Return what any context does: the gap between the classes along the direction.

    Returns the gap after most other sentences, [layer], and by how much less it is than before any
    sentence, [layer]; needs the probe without a sentence before.
    """
    before, after = design.number(PROBE, 0), design.number(OTHER, design.doses[-1])
    less, by_template = (
        (_nearness(values, before) - _nearness(values, after))[:, 1]
        for values in (found.levels, found.by_template)
    )
    values, resampled, _ = draws.parted(less)
    limits = interval(values, resampled, by_template, design.words_in_a_class)
    return _nearness(found.levels, after)[:, 1, 0], Level(values, *limits)


@dataclass(frozen=True, eq=False)
class Effect:
    """What sentences of one kind do beyond as many of the other kind, at each layer and dose.

    Every array is [layer, dose].

    Attributes:
        values: by how much nearer the objects come.
        low: the lower limit of the 95% interval.
        high: the upper limit.
        contexts: the test against contexts exchanged within templates.
        classes: the test against classes shuffled among words.
        p_corrected: the larger of both corrected p; corrected over layers and doses.
        p_other_way: the same for objects that move away.
        smallest_p: the smallest p that so many templates and draws allow.
    """

    values: Array
    low: Array
    high: Array
    contexts: PermutationTest
    classes: PermutationTest
    p_corrected: Array
    p_other_way: Array
    smallest_p: float


def effects(found: Measured, design: Design, draws: Draws) -> dict[str, Effect]:
    """Test what the contexts do, by each measure.

    Both nulls must be beaten, so that the larger p stands for both (an intersection-union test,
    which needs no correction for being two: Berger, 1982).
    """
    less, by_template = (
        np.stack(
            [
                _nearness(values, design.number(OTHER, dose))
                - _nearness(values, design.number(SUBJECT, dose))
                for dose in design.doses
            ],
            axis=2,
        )
        for values in (found.levels, found.by_template)
    )
    signs = 1.0 - 2.0 * draws.exchanged
    tested = {}
    for e, name in enumerate(EFFECTS):
        values, resampled, shuffled = draws.parted(less[:, e])
        of_templates = by_template[:, e]
        exchanged = of_templates @ signs[1:].T / design.templates
        low, high = interval(values, resampled, of_templates, design.words_in_a_class)
        nulls = [null.reshape(values.size, -1) for null in (exchanged, shuffled)]
        nearer = [permutation_tests.permutation_test(values.ravel(), n, "greater") for n in nulls]
        away = [permutation_tests.permutation_test(values.ravel(), n, "less") for n in nulls]
        shape = values.shape
        tested[name] = Effect(
            values=values,
            low=low,
            high=high,
            contexts=_shaped(nearer[0], shape),
            classes=_shaped(nearer[1], shape),
            p_corrected=np.maximum(*(test.p_corrected for test in nearer)).reshape(shape),
            p_other_way=np.maximum(*(test.p_corrected for test in away)).reshape(shape),
            smallest_p=max(
                1 / (1 + exchanged.shape[-1]), (1 + draws.as_given) / (1 + shuffled.shape[-1])
            ),
        )
    return tested


def nearer_by_both(distance: Effect, projection: Effect) -> Effect:
    """Return the effect on the distance, its p that of what both measures show.

    In the subjects' own spreads objects also come nearer where the subjects alone spread out, and
    along the direction where all words draw together. Neither is a move of one towards the other.
    """
    return dataclasses.replace(
        distance,
        p_corrected=np.maximum(distance.p_corrected, projection.p_corrected),
        p_other_way=np.maximum(distance.p_other_way, projection.p_other_way),
    )


def _shaped(test: PermutationTest, shape: tuple[int, ...]) -> PermutationTest:
    return PermutationTest(**{name: values.reshape(shape) for name, values in vars(test).items()})
