"""The pictures of what contexts do: a heatmap, curves over doses, and the words as they move."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from interp.results.captions import Reading
from interp.results.result import Animation

from .design import OTHER, PROBE, SUBJECT, Condition, Design
from .measures import Effect, Level, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .dose_figures import DoseCurve

# What the sentences before do with a word, as a legend says it.
_BEFORE = {OTHER: "mentioned otherwise", SUBJECT: "treated as subjects"}

_NULL = "95% of the null: contexts exchanged"
_DOSES = "sentences before the word's own"


def over_layers_and_doses(
    effect: Effect, design: Design, reading: Reading, title: str, alpha: float
) -> "Figure":
    """Draw by how much nearer the objects come, layer by dose."""
    from interp import plotting

    return plotting.component_heatmap(
        reading.names,
        [str(dose) for dose in design.doses],
        effect.values,
        effect.p_corrected < alpha,
        title=title,
        subtitle=reading.told(),
        xlabel=f"{_DOSES}, of either kind",
        ylabel=reading.xlabel,
        label=f"nearer by, in the {design.subjects}' spreads",
        faint_label=f"p ≥ {alpha:g} for nearer, corrected over {reading.unit}s and doses",
        signed=True,
    )


def over_layers(
    tested: dict[str, Effect], design: Design, reading: Reading, alpha: float
) -> "Figure":
    """Draw all three effects of most sentences over layers, beside contexts exchanged."""
    from interp import plotting
    from interp.plotting import Statistic

    labels = {
        "distance": f"nearer to the {design.subjects} by (their spreads)",
        "projection": "gap along the direction less by",
        "silhouette": "silhouette less by",
    }
    panels = []
    for name, effect in tested.items():
        of_most = {key: values[:, -1] for key, values in vars(effect.contexts).items()}
        # Filled is what both nulls leave standing.
        of_most["p_corrected"] = effect.p_corrected[:, -1]
        test = dataclasses.replace(effect.contexts, **of_most)
        panels.append(Statistic(labels[name], effect.values[:, -1], test))
    return plotting.statistics_over_layers(
        reading.layers,
        panels,
        title=f"{design.objects} after {design.doses[-1]} sentences that treat them as subjects, "
        "beside as many that do not",
        subtitle=reading.told("p against both nulls, corrected over doses too"),
        xlabel=reading.xlabel,
        null_label=_NULL,
        alpha=alpha,
        layer_names=reading.ticks,
    )


def effect_over_doses(
    effect: Effect, design: Design, reading: Reading, title: str, alpha: float
) -> "Figure":
    """Draw by how much nearer the objects come over doses, with its interval and its null."""
    from . import dose_figures
    from .dose_figures import DoseBand, DoseCurve

    test = effect.contexts
    curve = DoseCurve(
        "effect and 95% interval, filled where p "
        f"< {alpha:g}, corrected over {reading.unit}s and doses",
        effect.values,
        effect.low,
        effect.high,
        effect.p_corrected >= alpha,
        0,
    )
    return dose_figures.dose_curves(
        reading.names,
        [str(dose) for dose in design.doses],
        [curve],
        title=title,
        subtitle=reading.told("intervals over words and templates"),
        units=f"{reading.unit}s",
        xlabel=f"{_DOSES}, of either kind",
        ylabel=f"nearer by, in the {design.subjects}' spreads",
        reference=("no difference", 0.0),
        band=DoseBand(_NULL, test.null_low, test.null_high),
    )


def levels_over_doses(
    classes: dict[str, Level],
    design: Design,
    reading: Reading,
    *,
    title: str,
    ylabel: str,
    reference: tuple[str, float],
) -> "Figure":
    """Draw a level over doses in both kinds of context, and beside it that of the words alone.

    Args:
        classes: the level of each class of words, by its name; from the second on they are rings.
        design: the conditions.
        reading: the words for what was read.
        title: what is shown.
        ylabel: what the values are.
        reference: a height to hold the curves against, and its name before it.
    """
    from . import dose_figures

    places = _places(design)
    columns = list(dict.fromkeys(column for column, _, _ in places))
    curves = []
    for number, (name, level) in enumerate(classes.items()):
        for colour, (kind, said) in enumerate(_BEFORE.items()):
            # Both curves begin at the probe, which no sentence stands before.
            chosen = [(column, c) for column, c, of in places if of in (kind, PROBE)]
            label = f"{name}, {said}"
            curves.append(_curve(label, level, columns, chosen, number > 0, colour, joined=True))
        chosen = [(column, c) for column, c, of in places if of not in (*_BEFORE, PROBE)]
        label = f"{name} without sentences before"
        curves.append(_curve(label, level, columns, chosen, number > 0, 2, joined=False))
    return dose_figures.dose_curves(
        reading.names,
        columns,
        curves,
        title=title,
        subtitle=reading.told("95% intervals over words and templates"),
        units=f"{reading.unit}s",
        xlabel=_DOSES,
        ylabel=ylabel,
        reference=reference,
    )


def _places(design: Design) -> list[tuple[str, int, str]]:
    """Return the column, the number and the kind of each condition, in the order of columns."""
    both: Sequence[Condition] = (design.bare, *design.conditions)
    alone = [(c, i) for i, c in enumerate(both) if c.name not in (*_BEFORE, PROBE)]
    dosed = [(c, i) for i, c in enumerate(both) if c.name in (*_BEFORE, PROBE)]
    return [
        *((c.name.replace("_", " "), i, c.name) for c, i in alone),
        *((str(c.dose), i, c.name) for c, i in dosed),
    ]


def _curve(
    label: str,
    level: Level,
    columns: list[str],
    chosen: list[tuple[str, int]],
    hollow: bool,
    colour: int,
    *,
    joined: bool,
) -> "DoseCurve":
    """Put the chosen conditions of a level at their columns."""
    from .dose_figures import DoseCurve

    values, low, high = (np.full((len(level.values), len(columns)), np.nan) for _ in range(3))
    for column, condition in chosen:
        at = columns.index(column)
        values[:, at] = level.values[:, condition]
        low[:, at], high[:, at] = level.low[:, condition], level.high[:, condition]
    return DoseCurve(label, values, low, high, np.full(values.shape, hollow), colour, joined)


def words_moving(found: Measured, effect: Effect, design: Design, reading: Reading) -> Animation:
    """Show each word's way from the one kind of context to the other, a frame a layer."""
    from interp import plotting
    from interp.plotting import Layout

    n, most = len(design.words), design.doses[-1]
    classes = np.where(design.is_subject, design.subjects, design.objects)
    layout = Layout(
        found.picture,
        tuple(f"{name}, {said}" for said in _BEFORE.values() for name in classes),
        ("",) * n + design.words,
        tuple(np.array([word, n + word]) for word in range(n)),
    )
    title = f"{design.objects} and {design.subjects} after {most} sentences of either kind"
    nearer = [f"{design.objects} nearer by {value:.3f}" for value in effect.values[:, -1]]
    frames = plotting.layout_frames(
        layout,
        reading.layers,
        titles=[f"{name}: {title}" for name in reading.names],
        subtitles=[reading.told(said.replace("-", "−")) for said in nearer],
        xlabel=f"from the bare {design.objects} (0) to the bare {design.subjects} (1)",
        ylabel="main axis across",
    )
    return Animation(title, frames, reading.names)
