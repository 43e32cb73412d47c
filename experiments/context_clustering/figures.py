"""Figures of `context_clustering`: effects and levels over layers and sentences, moving words."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.result import Animation
from interp.stats.tested_series import TestedSeries

from .design import OTHER, PROBE, SUBJECT, Condition, Design
from .effects import Level
from .panel_figures import Band, Curve, CurvePanels, Reference, curve_panels
from .report import ContextEffects, describe_significance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the sentences before do with a word, in legends.
_CONTEXTS = {OTHER: "mentioned otherwise", SUBJECT: "treated as subjects"}

_NULL_LABEL = "95% of the null: contexts exchanged"
_SENTENCES = "sentences before the word's own"

_EFFECT_LABELS = {
    "distance": "nearer to the {subjects} by (their spreads)",
    "projection": "gap along the direction smaller by",
    "silhouette": "silhouette smaller by",
}


def figures(found: ContextEffects) -> "dict[str, Figure]":
    """Return the figures of a run."""
    names, objects = found.design.subjects, found.design.objects
    distance = LevelPlot(
        {objects: found.levels["distance"]},
        title=f"How far {objects} lie from {names}, by the number of sentences",
        ylabel=f"distance from the {names}' centroid, in their spreads",
        reference=Reference(f"the {names}' own spread", 1.0),
    )
    projection = LevelPlot(
        {
            objects: found.levels["projection_objects"],
            names: found.levels["projection_subjects"],
        },
        title=f"Where {objects} and {names} lie along the direction between them",
        ylabel=f"projection: other bare {objects} 0, {names} 1",
        reference=Reference("halfway", 0.5),
    )
    return {
        "effect": _effect_heatmap(found),
        "effect_over_sentences": _effect_over_sentences(found),
        "measures": _effects_over_layers(found),
        "distance": _level_over_sentences(distance, found),
        "projection": _level_over_sentences(projection, found),
    }


def _effect_heatmap(found: ContextEffects) -> "Figure":
    """Draw by how much nearer the objects come, layer by number of sentences."""
    from interp.plotting import Cells, Labels, draw_heatmap

    effect, caption = found.effects["distance"], found.caption
    cells = Cells(
        caption.names,
        [str(count) for count in found.design.sentence_counts],
        effect.values,
        f"nearer by, in the {found.design.subjects}' spreads",
        effect.p_corrected < found.alpha,
        f"p ≥ {found.alpha:g} for nearer, corrected over {caption.unit}s and numbers of sentences",
    )
    labels = Labels(
        describe_significance(found),
        caption.subtitle(),
        f"{_SENTENCES}, of either kind",
        caption.xlabel,
    )
    return draw_heatmap(cells, labels, signed=True)


def _effects_over_layers(found: ContextEffects) -> "Figure":
    """Draw the effect of most sentences by each measure, with the null of exchanged contexts."""
    from interp.plotting import Labels, draw_statistics

    design, caption = found.design, found.caption
    panels = []
    for name, effect in found.effects.items():
        of_most = {key: values[:, -1] for key, values in vars(effect.contexts).items()}
        # Points are filled where both nulls are rejected.
        of_most["p_corrected"] = effect.p_corrected[:, -1]
        test = dataclasses.replace(effect.contexts, **of_most)
        label = _EFFECT_LABELS[name].format(subjects=design.subjects)
        panels.append(
            TestedSeries.from_test(
                name, label, caption.layers, effect.values[:, -1], test, alpha=found.alpha
            )
        )
    labels = Labels(
        f"{design.objects} after {design.most_sentences} sentences that treat them as subjects, "
        "compared with as many that do not",
        caption.subtitle("p by both nulls, corrected over layers and numbers of sentences"),
        caption.xlabel,
    )
    return draw_statistics(panels, labels, _NULL_LABEL, caption.ticks)


def _effect_over_sentences(found: ContextEffects) -> "Figure":
    """Draw by how much nearer the objects come by the number of sentences, with its null."""
    effect, caption = found.effects["distance"], found.caption
    curve = Curve(
        f"effect and 95% interval; filled: p < {found.alpha:g}, corrected over all panels",
        effect.values,
        effect.low,
        effect.high,
        effect.p_corrected >= found.alpha,
        colour=0,
    )
    return curve_panels(
        CurvePanels(
            panels=caption.names,
            columns=[str(count) for count in found.design.sentence_counts],
            curves=[curve],
            reference=Reference("no difference", 0.0),
            title=describe_significance(found),
            subtitle=caption.subtitle("intervals over words and templates"),
            xlabel=f"{_SENTENCES}, of either kind",
            ylabel=f"nearer by, in the {found.design.subjects}' spreads",
            band=Band(_NULL_LABEL, effect.contexts.null_low, effect.contexts.null_high),
            units=f"{caption.unit}s",
        )
    )


@dataclass(frozen=True, eq=False)
class LevelPlot:
    """A level to be drawn in both kinds of context.

    Attributes:
        classes: the level of each class of words, by its name; from the second on they are rings.
        title: what is shown.
        ylabel: what the values are.
        reference: a value to compare the curves with.
    """

    classes: dict[str, Level]
    title: str
    ylabel: str
    reference: Reference


def _level_over_sentences(level: LevelPlot, found: ContextEffects) -> "Figure":
    """Draw a level by the number of sentences of either kind, and that of the words alone."""
    placed = _placed_conditions(found.design)
    columns = list(dict.fromkeys(one.column for one in placed))
    curves = []
    for number, (name, of_class) in enumerate(level.classes.items()):
        hollow = number > 0
        for colour, (kind, described) in enumerate(_CONTEXTS.items()):
            # Both curves begin at the probe, which no sentence precedes.
            shown = [one for one in placed if one.name in (kind, PROBE)]
            label = f"{name}, {described}"
            curves.append(_curve(label, of_class, columns, shown, hollow, colour))
        shown = [one for one in placed if one.name not in (*_CONTEXTS, PROBE)]
        label = f"{name} without sentences before"
        alone = _curve(label, of_class, columns, shown, hollow, 2)
        curves.append(dataclasses.replace(alone, joined=False))
    caption = found.caption
    return curve_panels(
        CurvePanels(
            panels=caption.names,
            columns=columns,
            curves=curves,
            reference=level.reference,
            title=level.title,
            subtitle=caption.subtitle("95% intervals over words and templates"),
            xlabel=_SENTENCES,
            ylabel=level.ylabel,
            units=f"{caption.unit}s",
        )
    )


@dataclass(frozen=True)
class _Placed:
    """A condition by its name and index, and the column of the figure that it stands in."""

    name: str
    index: int
    column: str


def _placed_conditions(design: Design) -> list[_Placed]:
    """Return all conditions in the order of columns: words alone, then by number of sentences."""
    every: Sequence[Condition] = (design.bare, *design.conditions)
    alone, counted = [], []
    for i, condition in enumerate(every):
        if condition.name in (*_CONTEXTS, PROBE):
            counted.append(_Placed(condition.name, i, str(condition.n_context_sentences)))
        else:
            alone.append(_Placed(condition.name, i, condition.name.replace("_", " ")))
    return alone + counted


def _curve(
    label: str,
    level: Level,
    columns: list[str],
    shown: list[_Placed],
    hollow: bool,
    colour: int,
) -> Curve:
    """Return the shown conditions of a level at their columns."""
    values, low, high = (np.full((len(level.values), len(columns)), np.nan) for _ in range(3))
    for condition in shown:
        at = columns.index(condition.column)
        values[:, at] = level.values[:, condition.index]
        low[:, at], high[:, at] = level.low[:, condition.index], level.high[:, condition.index]
    return Curve(label, values, low, high, np.full(values.shape, hollow), colour)


def word_animation(found: ContextEffects) -> Animation:
    """Show each word's move from the one kind of context to the other, one frame per layer."""
    from interp import plotting
    from interp.plotting import Layout

    design, caption = found.design, found.caption
    n = len(design.words)
    classes = np.where(design.is_subject, design.subjects, design.objects)
    layout = Layout(
        found.measured.layout,
        tuple(f"{name}, {described}" for described in _CONTEXTS.values() for name in classes),
        ("",) * n + design.words,
        tuple(np.array([word, n + word]) for word in range(n)),
    )
    title = (
        f"{design.objects} and {design.subjects} after {design.most_sentences} sentences of "
        "either kind"
    )
    nearer = [f"{design.objects} nearer by {value:.3f}" for value in found.nearer.values[:, -1]]
    frames = plotting.layout_frames(
        layout,
        caption.layers,
        titles=[f"{name}: {title}" for name in caption.names],
        subtitles=[caption.subtitle(of_layer.replace("-", "−")) for of_layer in nearer],
        xlabel=f"from the bare {design.objects} (0) to the bare {design.subjects} (1)",
        ylabel="main axis across",
    )
    return Animation(title, frames, caption.names)
