"""Sentences, series and tables of `context_clustering`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.captions import Caption
from interp.results.result import Series
from interp.stats.tested_series import TestedSeries

from .design import OTHER, SUBJECT, Design
from .effects import ContextDrift, Effect, Level
from .measures import Measurements

if TYPE_CHECKING:
    import pandas as pd

NULL = "contexts exchanged within templates; classes permuted among words"


@dataclass(frozen=True, eq=False)
class ContextEffects:
    """Everything that was measured and tested, from which sentences, tables and figures are made.

    Attributes:
        design: the words and their conditions.
        measured: the levels in every condition, and the words' layout.
        levels: each level with its interval, by name.
        effects: the effect of the contexts by each measure.
        nearer: the effect on the distance, significant where the gap closes as well.
        drift: what any context does; None without the word's sentence alone.
        caption: the model, the hook and the layers in words.
        alpha: the corrected p below which an effect is significant.
        permutations: how many permutations were asked for.
    """

    design: Design
    measured: Measurements
    levels: dict[str, Level]
    effects: dict[str, Effect]
    nearer: Effect
    drift: ContextDrift | None
    caption: Caption
    alpha: float
    permutations: int

    @property
    def too_few(self) -> bool:
        """Whether so few templates or permutations allow no p below alpha."""
        return self.nearer.smallest_p >= self.alpha


def describe_significance(found: ContextEffects) -> str:
    """Return what came out, as a figure's title."""
    if found.too_few:
        return (
            f"{found.design.objects} and {found.design.subjects}: too few templates or "
            f"permutations to reach p < {found.alpha:g}"
        )
    return _describe_nearer(found)


def _describe_nearer(found: ContextEffects) -> str:
    """Return at which layers objects lie nearer to subjects in contexts that treat them as such."""
    objects, subjects, unit = found.design.objects, found.design.subjects, found.caption.unit
    nearer = np.asarray((found.nearer.p_corrected < found.alpha).any(axis=1))
    clause = (
        f"nearer to {subjects} after sentences that treat them as subjects than after as many "
        "that do not"
    )
    if nearer.any():
        return f"{objects} lie {clause}, at {found.caption.name_layers(nearer)}"
    return f"at no {unit} do {objects} lie {clause}"


def describe_finding(found: ContextEffects) -> str:
    """Return where objects come nearer, by how much, where further, and what any context does."""
    sentences = [_describe_peak(found)]
    if found.too_few:
        sentences.append(
            f"With {found.design.n_templates} templates and {found.permutations} permutations no p "
            f"can fall below {found.nearer.smallest_p:.2g}."
        )
    further = found.nearer.p_further < found.alpha
    if further.any():
        at_layer = np.asarray(further.any(axis=1))
        counts = [found.design.sentence_counts[d] for d in np.flatnonzero(further.any(axis=0))]
        sentences.append(
            f"At {found.caption.name_layers(at_layer)}, after {', '.join(map(str, counts))} "
            f"sentences, they lie further away (p < {found.alpha:g}, corrected), which the test "
            "above does not count."
        )
    if found.drift is not None:
        sentences.append(_describe_drift(found, found.drift))
    return " ".join(sentences)


def _describe_peak(found: ContextEffects) -> str:
    effect, design, caption = found.nearer, found.design, found.caption
    layer, d = effect.peak(found.alpha)
    count = design.sentence_counts[d]
    distance = found.levels["distance"].values[layer]
    after_subject, after_other = (
        distance[design.index_of(kind, count)] for kind in (SUBJECT, OTHER)
    )
    largest = "significant effect" if (effect.p_corrected < found.alpha).any() else "effect"
    return (
        f"{_describe_nearer(found)} (p < {found.alpha:g}, corrected over {caption.unit}s and "
        f"numbers of sentences). The largest {largest} is at {caption.names[layer]} after {count} "
        f"sentence{'s' * (count != 1)}: the distance from the centroid of the {design.subjects} is "
        f"{after_subject:.3f} of their spreads instead of {after_other:.3f}, nearer by "
        f"{_with_interval(effect, layer, d)}, and the gap along the direction is smaller by "
        f"{_with_interval(found.effects['projection'], layer, d)}; corrected p = "
        f"{effect.p_corrected[layer, d]:.2g}."
    )


def _describe_drift(found: ContextEffects, drift: ContextDrift) -> str:
    design, closed_by = found.design, drift.closed_by
    at = int(np.abs(closed_by.values).argmax())
    spread = found.levels["spread"].values[at, design.index_of(OTHER, design.most_sentences)]
    return (
        f"What any context does: after {design.most_sentences} sentences that do not "
        f"treat them as subjects, the gap between {design.objects} and {design.subjects} along the "
        f"direction at {found.caption.names[at]} is {drift.gap[at]:.2f}, smaller by "
        f"{closed_by.values[at]:.2f} ({closed_by.low[at]:.2f} to {closed_by.high[at]:.2f}) than "
        f"without context, and the spread of the {design.subjects} is {spread:.2f} of that of the "
        "bare words."
    )


def _with_interval(effect: Effect, layer: int, d: int) -> str:
    low, high = effect.low[layer, d], effect.high[layer, d]
    return f"{effect.values[layer, d]:.2g} (95% interval {low:.2g} to {high:.2g})"


def tested_series(found: ContextEffects) -> tuple[TestedSeries, ...]:
    """Return the effect after most sentences, with the null of exchanged contexts.

    Its p are the larger ones of both nulls.
    """
    effect = found.nearer
    contexts, classes = effect.contexts, effect.classes
    return (
        TestedSeries(
            name="value",
            label=f"nearer to {found.design.subjects} by (of their spread)",
            steps=found.caption.layers,
            values=effect.values[:, -1],
            null_mean=contexts.null_mean[:, -1],
            null_low=contexts.null_low[:, -1],
            null_high=contexts.null_high[:, -1],
            p=np.maximum(contexts.p, classes.p)[:, -1],
            p_corrected=effect.p_corrected[:, -1],
            interval_low=effect.low[:, -1],
            interval_high=effect.high[:, -1],
            direction="greater",
            alpha=found.alpha,
            n_permutations=found.permutations,
        ),
    )


def untested_series(found: ContextEffects) -> dict[str, Series]:
    """Return p by each null, distances after most sentences, and the effect of each number."""
    design, effect = found.design, found.nearer
    distance = found.levels["distance"].values
    values = {
        "p_context": effect.contexts.p[:, -1],
        "p_class": effect.classes.p[:, -1],
        **{
            f"distance_{kind}": distance[:, design.index_of(kind, design.most_sentences)]
            for kind in (SUBJECT, OTHER)
        },
        **{
            f"effect_after_{count}_sentences": effect.values[:, d]
            for d, count in enumerate(design.sentence_counts)
        },
    }
    return {name: Series.over(found.caption.layers, column) for name, column in values.items()}


def scalars(found: ContextEffects) -> dict[str, float]:
    """Return the largest effect, and at how many layers any is significant."""
    effect = found.nearer
    layer, d = effect.peak(found.alpha)
    return {
        "peak_layer": found.caption.layers[layer],
        "peak_n_context_sentences": found.design.sentence_counts[d],
        "peak_effect": float(effect.values[layer, d]),
        "peak_low": float(effect.low[layer, d]),
        "peak_high": float(effect.high[layer, d]),
        "peak_p_corrected": float(effect.p_corrected[layer, d]),
        "significant_layers": int((effect.p_corrected < found.alpha).any(axis=1).sum()),
    }


def tables(found: ContextEffects) -> "dict[str, pd.DataFrame]":
    """Return the summary after most sentences, all levels, and all effects."""
    return {
        "summary": _summary(found),
        "levels": _level_table(found.levels, found.design, found.caption),
        "effects": _effect_table(found.effects, found.design, found.caption),
    }


def _summary(found: ContextEffects) -> "pd.DataFrame":
    """Return one row per layer, after most sentences."""
    import pandas as pd

    design, effect, caption = found.design, found.nearer, found.caption
    most = design.most_sentences
    distance = found.levels["distance"].values
    limits = zip(effect.low[:, -1], effect.high[:, -1], strict=True)
    return pd.DataFrame(
        {
            caption.unit: caption.ticks or caption.layers,
            f"distance, {most} other": distance[:, design.index_of(OTHER, most)],
            f"{most} as subject": distance[:, design.index_of(SUBJECT, most)],
            "nearer by": effect.values[:, -1],
            "95% interval": [f"{low:.2g} to {high:.2g}" for low, high in limits],
            "p (corrected)": effect.p_corrected[:, -1],
            "significance": _significance(found),
        }
    )


def _significance(found: ContextEffects) -> list[str]:
    """Return in which direction the effect of most sentences is significant, per layer."""
    if found.too_few:
        return ["too few to test"] * len(found.caption.layers)
    effect = found.nearer
    return [
        "nearer" if p < found.alpha else "further" if p_further < found.alpha else "not significant"
        for p, p_further in zip(effect.p_corrected[:, -1], effect.p_further[:, -1], strict=True)
    ]


def _level_table(levels: dict[str, Level], design: Design, caption: Caption) -> "pd.DataFrame":
    """Return every level with its interval, one row per layer and condition."""
    import pandas as pd

    rows = []
    for i, layer in enumerate(caption.layers):
        for c, condition in enumerate([design.bare, *design.conditions]):
            row: dict[str, object] = {
                "layer": layer,
                "condition": condition.name,
                "context sentences": condition.n_context_sentences,
            }
            for name, level in levels.items():
                row[name] = level.values[i, c]
                row |= {f"{name}_low": level.low[i, c], f"{name}_high": level.high[i, c]}
            rows.append(row)
    return pd.DataFrame(rows)


def _effect_table(effects: dict[str, Effect], design: Design, caption: Caption) -> "pd.DataFrame":
    """Return every effect with its tests, one row per measure, layer and number of sentences."""
    import pandas as pd

    rows = []
    for name, effect in effects.items():
        columns = {
            "effect": effect.values,
            "low": effect.low,
            "high": effect.high,
            "null_low": effect.contexts.null_low,
            "null_high": effect.contexts.null_high,
            "p_context": effect.contexts.p,
            "p_context_corrected": effect.contexts.p_corrected,
            "p_class": effect.classes.p,
            "p_class_corrected": effect.classes.p_corrected,
            "p_corrected": effect.p_corrected,
            "p_further_corrected": effect.p_further,
        }
        for i, d in np.ndindex(effect.values.shape):
            row = {
                "measure": name,
                "layer": caption.layers[i],
                "context sentences": design.sentence_counts[d],
            }
            rows.append({**row, **{column: values[i, d] for column, values in columns.items()}})
    return pd.DataFrame(rows)
