"""What one kind of context does beyond the other: effects with intervals and tests."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from interp.metrics.functional.points import Array
from interp.stats import permutation_tests
from interp.stats.intervals import bootstrap_interval
from interp.stats.permutation_tests import PermutationTest

from .design import OTHER, PROBE, SUBJECT, Design
from .measures import LEVELS, Measurements, Reweightings

# The measures by which objects may come nearer; each effect is larger the nearer they come.
EFFECTS = ("distance", "projection", "silhouette")


@dataclass(frozen=True, eq=False)
class Level:
    """A level with its 95% interval, [layer, 1 + condition] each, the bare words first."""

    values: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Effect:
    """By how much nearer objects come after sentences of one kind than after as many of the other.

    Every array is [layer, sentence count].

    Attributes:
        values: by how much nearer the objects come.
        low: the lower limit of the 95% interval.
        high: the upper limit.
        contexts: the test against contexts exchanged within templates.
        classes: the test against classes permuted among words.
        p_corrected: the larger of both corrected p; corrected over layers and sentence counts.
        p_further: the same for objects that move away.
        smallest_p: the smallest p that so many templates and permutations allow.
    """

    values: Array
    low: Array
    high: Array
    contexts: PermutationTest
    classes: PermutationTest
    p_corrected: Array
    p_further: Array
    smallest_p: float

    def peak(self, alpha: float) -> tuple[int, int]:
        """Return layer and sentence count of the largest significant value, or else of the largest.

        Both are indices.
        """
        significant = self.p_corrected < alpha
        candidates = np.where(significant | ~significant.any(), self.values, -np.inf)
        layer, count = np.unravel_index(candidates.argmax(), candidates.shape)
        return int(layer), int(count)


@dataclass(frozen=True, eq=False)
class ContextDrift:
    """What any context does, whatever its kind: the gap between the classes closes.

    Attributes:
        gap: the gap along the direction after most other sentences, [layer].
        closed_by: by how much smaller it is than without any context, with its interval, [layer].
    """

    gap: Array
    closed_by: Level


def levels_with_intervals(
    measured: Measurements, design: Design, reweightings: Reweightings
) -> dict[str, Level]:
    """Return each of `LEVELS` with its interval."""
    levels = {}
    for number, name in enumerate(LEVELS):
        values, resampled, _ = reweightings.split(measured.levels[:, :, number])
        limits = bootstrap_interval(
            values, resampled, measured.by_template[:, :, number], design.smaller_class_size
        )
        levels[name] = Level(values, *limits)
    return levels


def context_effects(
    measured: Measurements, design: Design, reweightings: Reweightings
) -> dict[str, Effect]:
    """Test what the contexts do, by each of `EFFECTS`.

    Both nulls must be rejected, so the larger p stands for both (an intersection-union test, which
    needs no correction for the number of its tests: Berger, 1982).
    """
    nearer, by_template = (
        np.stack(
            [
                _separation(values, design.index_of(OTHER, count))
                - _separation(values, design.index_of(SUBJECT, count))
                for count in design.sentence_counts
            ],
            axis=2,
        )
        for values in (measured.levels, measured.by_template)
    )
    signs = 1.0 - 2.0 * reweightings.exchanged
    tested = {}
    for e, name in enumerate(EFFECTS):
        values, resampled, permuted = reweightings.split(nearer[:, e])
        of_templates = by_template[:, e]
        exchanged = of_templates @ signs[1:].T / design.n_templates
        low, high = bootstrap_interval(values, resampled, of_templates, design.smaller_class_size)
        shape = values.shape
        observed = values.ravel()
        nulls = [null.reshape(values.size, -1) for null in (exchanged, permuted)]
        closer, further = (
            [permutation_tests.permutation_test(observed, null, tail) for null in nulls]
            for tail in ("greater", "less")
        )
        n_permuted = permuted.shape[-1]
        tested[name] = Effect(
            values=values,
            low=low,
            high=high,
            contexts=_reshaped(closer[0], shape),
            classes=_reshaped(closer[1], shape),
            p_corrected=np.maximum(*(test.p_corrected for test in closer)).reshape(shape),
            p_further=np.maximum(*(test.p_corrected for test in further)).reshape(shape),
            smallest_p=max(
                1 / (1 + exchanged.shape[-1]), (1 + reweightings.n_unchanged) / (1 + n_permuted)
            ),
        )
    return tested


def nearer_by_both(distance: Effect, projection: Effect) -> Effect:
    """Return the effect on the distance, with the p of what both measures show.

    In the subjects' own spreads objects also come nearer where only the subjects spread out, and
    along the direction where all words draw together. Neither is a move of one towards the other.
    """
    return dataclasses.replace(
        distance,
        p_corrected=np.maximum(distance.p_corrected, projection.p_corrected),
        p_further=np.maximum(distance.p_further, projection.p_further),
    )


def context_drift(
    measured: Measurements, design: Design, reweightings: Reweightings
) -> ContextDrift | None:
    """Return what any context does; None where the word's sentence is not given without one."""
    if not design.has_probe:
        return None
    before, after = design.index_of(PROBE, 0), design.index_of(OTHER, design.most_sentences)
    closed_by, by_template = (
        (_separation(values, before) - _separation(values, after))[:, 1]
        for values in (measured.levels, measured.by_template)
    )
    values, resampled, _ = reweightings.split(closed_by)
    limits = bootstrap_interval(values, resampled, by_template, design.smaller_class_size)
    return ContextDrift(_separation(measured.levels, after)[:, 1, 0], Level(values, *limits))


def _separation(levels: Array, condition: int) -> Array:
    """Return how far apart the classes are in one condition, by each of `EFFECTS`.

    Returns [layer, effect, ...].

    The projection enters as the gap between the classes: a context that moves every word along the
    direction brings none nearer to another.

    Args:
        levels: [layer, 1 + condition, level, ...].
        condition: its index.
    """
    distance, subjects, objects, apart, _ = np.moveaxis(levels[:, condition], 1, 0)
    return np.stack([distance, subjects - objects, apart], axis=1)


def _reshaped(test: PermutationTest, shape: tuple[int, ...]) -> PermutationTest:
    return PermutationTest(**{name: values.reshape(shape) for name, values in vars(test).items()})
