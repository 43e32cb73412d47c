"""Sentences, series and tables of `rotation`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.results.captions import Caption
from interp.results.result import Series
from interp.stats.observations import ObservationGroups
from interp.stats.tested_series import TestedSeries

from .measures import MeanChanges, MeasuredPrompts, StepChanges
from .paired_tests import PairedTests, smallest_p

if TYPE_CHECKING:
    import pandas as pd

NULL = "angles of the target and the token before it exchanged in whole observations"


@dataclass(frozen=True, eq=False)
class Rotations:
    """Everything that was measured and tested, from which sentences, tables and figures are made.

    Attributes:
        of_prompts: the changes, one row per measured prompt.
        means: their means over observations.
        measured: which prompts are measured, and which observation each belongs to.
        shared: what prompts of one observation have in common.
        minus_before: the target's angle minus that of the token before it; None where there are too
            few observations for a test.
        minus_shuffled: the target's angle minus the shuffled one; None as well.
        caption: the model, the hook and the steps in words.
        alpha: the corrected p below which a step is significant.
        permutations: how many sign flips were asked for.
    """

    of_prompts: StepChanges
    means: MeanChanges
    measured: MeasuredPrompts
    shared: ObservationGroups
    minus_before: PairedTests | None
    minus_shuffled: PairedTests | None
    caption: Caption
    alpha: float
    permutations: int

    @property
    def tests(self) -> dict[str, PairedTests]:
        """The tests by the control that the target is compared with; empty for one observation."""
        by_control = {"before": self.minus_before, "shuffled": self.minus_shuffled}
        return {control: found for control, found in by_control.items() if found is not None}


def describe_finding(found: Rotations) -> str:
    """Return where the target turns more or less than its controls, by how much, and of what n."""
    if found.minus_before is None or found.minus_shuffled is None:
        sentences = ["One observation: its angles are drawn, and nothing is tested."]
        return " ".join([*sentences, *_describe_observations(found)])
    sentences = [
        _describe_peak(found, found.minus_before),
        _describe_shuffled(found, found.minus_shuffled),
        *_describe_observations(found),
    ]
    smallest = smallest_p(found.minus_before.n_observations, found.permutations)
    if smallest >= found.alpha:
        sentences.append(
            f"With so few observations or permutations no p can fall below {smallest:.2g}."
        )
    for control, tests in found.tests.items():
        if not tests.varies.all():
            sentences.append(
                f"At {found.caption.name_layers(~tests.varies)} the target minus {control} does "
                "not vary beyond rounding, and has no t and no d_z."
            )
    return " ".join(sentences)


def describe_significance(found: Rotations) -> str:
    """Return at which steps the target turns more, or less, than the token before it."""
    tests = found.minus_before
    if tests is None:
        return "By how much each step turns the target, and the token before it"
    if smallest_p(tests.n_observations, found.permutations) >= found.alpha:
        return (
            f"The target and the token before it: too few observations to reach p < {found.alpha:g}"
        )
    return _more_or_less(tests, "the token before it", found)


def describe_peak_difference(tests: PairedTests, found: Rotations) -> str:
    """Return the step of the largest difference with its size, as a figure's title."""
    peak = tests.peak(found.alpha)
    size = f"{tests.mean[peak]:+.1f}°"
    if tests.varies[peak]:
        size += f", d_z\u00a0=\u00a0{tests.d[peak]:.2f}"
    return (
        "The target's angle minus that of the token before it: furthest from 0 at "
        f"{found.caption.names[peak]}, {size.replace('-', '−')}"
    )


def _describe_peak(found: Rotations, tests: PairedTests) -> str:
    peak, caption = tests.peak(found.alpha), found.caption
    holm = [f"Wilcoxon {tests.p_wilcoxon_holm[peak]:.2g}"]
    d = ""
    if tests.varies[peak]:
        holm.insert(0, f"t-test {tests.p_t_holm[peak]:.2g}")
        d = f", d_z = {_with_interval(tests.d, tests.d_low, tests.d_high, peak, '', 2)}"
    largest = "significant difference" if tests.significant(found.alpha).any() else "difference"
    return (
        f"{describe_significance(found)} (signs of {tests.n_observations} observations flipped, p "
        f"< {found.alpha:g}, corrected over steps). The largest {largest} is at "
        f"{caption.names[peak]}: {found.means.angle_target[peak]:.1f}° for the target, "
        f"{found.means.angle_before[peak]:.1f}° for the token before it, difference "
        f"{_with_interval(tests.mean, tests.low, tests.high, peak, '°', 1)}{d}, corrected p = "
        f"{tests.sign_flips.p_corrected[peak]:.2g} (corrected by Holm: {', '.join(holm)})."
    )


def _describe_shuffled(found: Rotations, tests: PairedTests) -> str:
    return (
        "Two vectors of one sentence, at shuffled layers and positions, are "
        f"{found.means.angle_shuffled:.1f}° apart on average. "
        f"{_more_or_less(tests, 'that', found)} (p < {found.alpha:g}, corrected over steps)."
    )


def _more_or_less(tests: PairedTests, control: str, found: Rotations) -> str:
    """Return where the target turns more than its control, and where less."""
    significant = tests.significant(found.alpha)
    clauses: list[str] = []
    for word, which in (
        ("more", significant & (tests.mean > 0)),
        ("less", significant & (tests.mean < 0)),
    ):
        if which.any():
            than = "" if clauses else f" than {control}"
            clauses.append(f"{word}{than} at {found.caption.name_layers(which)}")
    if not clauses:
        return f"At no step does the target turn more or less than {control}"
    return f"The target turns {'; '.join(clauses)}"


def _describe_observations(found: Rotations) -> list[str]:
    """Return what counts as one observation, and what is left out; none where nothing is to say."""
    measured, sentences = found.measured, []
    n_prompts = len(measured.prompts)
    if measured.n < n_prompts:
        alike = f" or that share their {found.shared.label}" if found.shared.name else ""
        sentences.append(
            f"{n_prompts} prompts are {found.shared.describe(measured.n)}: the members of a pair "
            f"count once, and so do prompts that the model reads alike{alike}."
        )
    if measured.n_left_out:
        sentences.append(
            f"Left out: {measured.n_left_out} with a vector at the origin, which has no direction."
        )
    return sentences


def _with_interval(values: Array, low: Array, high: Array, at: int, unit: str, digits: int) -> str:
    """Return a value with its 95% interval: "1.2° [0.8, 1.6]"."""
    value, lower, upper = (f"{x[at]:.{digits}f}".replace("-", "−") for x in (values, low, high))
    return f"{value}{unit} [{lower}, {upper}]"


def tested_series(found: Rotations) -> tuple[TestedSeries, ...]:
    """Return the target's angle minus each control's, with its sign-flip test and its interval."""
    named = {"before": "token before", "shuffled": "shuffled vectors"}
    return tuple(
        TestedSeries(
            name=f"minus_{control}_difference",
            label=f"angle, target − {named[control]} (degrees)",
            steps=found.caption.layers,
            values=tests.mean,
            p=tests.sign_flips.p,
            p_corrected=tests.sign_flips.p_corrected,
            interval_low=tests.low,
            interval_high=tests.high,
            alpha=found.alpha,
            n_permutations=found.permutations,
        )
        for control, tests in found.tests.items()
    )


def untested_series(found: Rotations) -> dict[str, Series]:
    """Return the means over observations, and the statistics beside each difference.

    Steps at which a statistic is undefined are left out.
    """
    layers, means = found.caption.layers, found.means
    values = {
        "angle_target": means.angle_target,
        "angle_before": means.angle_before,
        "angle_shuffled": np.full(len(layers), means.angle_shuffled),
        "norm_growth_target": means.norm_growth_target,
        "norm_growth_before": means.norm_growth_before,
    }
    for control, tests in found.tests.items():
        of_control = _effect_size(tests) | _parametric_tests(tests)
        of_control["size_null_high"] = tests.sign_flips.null_high
        values |= {f"minus_{control}_{name}": column for name, column in of_control.items()}
    series = {}
    for name, column in values.items():
        defined = np.flatnonzero(np.isfinite(column))
        if len(defined):
            series[name] = Series.over([layers[i] for i in defined], column[defined])
    return series


def _effect_size(tests: PairedTests) -> dict[str, Array]:
    return {"d_z": tests.d, "d_z_low": tests.d_low, "d_z_high": tests.d_high}


def _parametric_tests(tests: PairedTests) -> dict[str, Array]:
    return {
        "t": tests.t,
        "p_t": tests.p_t,
        "p_t_holm": tests.p_t_holm,
        "p_wilcoxon": tests.p_wilcoxon,
        "p_wilcoxon_holm": tests.p_wilcoxon_holm,
    }


def scalars(found: Rotations) -> dict[str, float]:
    """Return the largest difference from the token before, and how many steps are significant."""
    if (tests := found.minus_before) is None:
        return {}
    peak = tests.peak(found.alpha)
    return {
        "peak_layer": found.caption.layers[peak],
        "peak_difference": float(tests.mean[peak]),
        "peak_p_corrected": float(tests.sign_flips.p_corrected[peak]),
        "significant_steps": int(tests.significant(found.alpha).sum()),
    }


def tables(found: Rotations, prompts: PromptSet) -> "dict[str, pd.DataFrame]":
    """Return the summary, every test, and every measured angle."""
    import pandas as pd

    angles = _angle_table(found.of_prompts, found.measured, prompts, found.caption)
    if not found.tests:
        return {"summary": _summary(found), "angles": angles}
    tests = [
        _test_table(control, of_control, found.caption)
        for control, of_control in found.tests.items()
    ]
    return {"summary": _summary(found), "tests": pd.concat(tests), "angles": angles}


def _summary(found: Rotations) -> "pd.DataFrame":
    """Return one row per step: the mean angles, the difference with its tests, and norm growth."""
    import pandas as pd

    means = found.means
    columns: dict[str, object] = {
        "step": found.caption.names,
        "target (°)": means.angle_target.round(2),
        "before (°)": means.angle_before.round(2),
        "shuffled (°)": f"{means.angle_shuffled:.2f}",
    }
    if (tests := found.minus_before) is not None:
        steps = range(len(found.caption.layers))
        columns |= {
            "target − before (°)": [
                _with_interval(tests.mean, tests.low, tests.high, i, "", 2) for i in steps
            ],
            "d_z": [
                _with_interval(tests.d, tests.d_low, tests.d_high, i, "", 2)
                if tests.varies[i]
                else ""
                for i in steps
            ],
            "p (corrected)": tests.sign_flips.p_corrected,
            "t-test p (Holm)": tests.p_t_holm,
            "Wilcoxon p (Holm)": tests.p_wilcoxon_holm,
        }
    columns |= {
        "norm growth, target": means.norm_growth_target.round(4),
        "norm growth, before": means.norm_growth_before.round(4),
    }
    return pd.DataFrame(columns)


def _test_table(control: str, tests: PairedTests, caption: Caption) -> "pd.DataFrame":
    """Return every test of the target against one control, one row per step."""
    import pandas as pd

    return pd.DataFrame(
        {
            "comparison": f"target − {control}",
            "step": caption.names,
            "n": tests.n_observations,
            "difference": tests.mean,
            "difference_low": tests.low,
            "difference_high": tests.high,
            **_effect_size(tests),
            **_parametric_tests(tests),
            "size_null_high": tests.sign_flips.null_high,
            "p": tests.sign_flips.p,
            "p_corrected": tests.sign_flips.p_corrected,
        }
    )


def _angle_table(
    of_prompts: StepChanges, measured: MeasuredPrompts, prompts: PromptSet, caption: Caption
) -> "pd.DataFrame":
    """Return what was measured, one row per prompt and step."""
    import pandas as pd

    n_steps = len(caption.layers)
    kept: NDArray[np.intp] = measured.prompts
    described = {"group": prompts.groups, **prompts.columns}
    return pd.DataFrame(
        {
            "prompt": np.repeat(kept, n_steps),
            **{
                name: np.repeat([column[i] for i in kept], n_steps)
                for name, column in described.items()
            },
            "observation": np.repeat(measured.observation_of_prompt[kept], n_steps),
            "step": list(caption.names) * len(kept),
            "angle_target": of_prompts.angle_target.ravel(),
            "angle_before": of_prompts.angle_before.ravel(),
            "angle_shuffled": np.repeat(of_prompts.angle_shuffled, n_steps),
            "norm_growth_target": of_prompts.norm_growth_target.ravel(),
            "norm_growth_before": of_prompts.norm_growth_before.ravel(),
        }
    )
