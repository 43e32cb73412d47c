"""How the angles and their tests are told: the series that are logged, and the tables."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.results.captions import Reading
from interp.results.result import Series

from .differences import Differences
from .turns import Turns

if TYPE_CHECKING:
    import pandas as pd


def geometric_mean(growth: Array) -> Array:
    """Return the geometric mean over observations, [step]."""
    return np.asarray(np.exp(np.log(growth).mean(0)))


def with_limits(values: Array, low: Array, high: Array, at: int, unit: str, digits: int) -> str:
    """Return a value with its 95% interval: "1.2° [0.8, 1.6]"."""
    told = [f"{x[at]:.{digits}f}".replace("-", "−") for x in (values, low, high)]
    return f"{told[0]}{unit} [{told[1]}, {told[2]}]"


def described_series(means: Turns, reading: Reading) -> dict[str, Series]:
    """Return the means over observations as the series that are logged."""
    values = {
        "angle_target": means.target.mean(0),
        "angle_before": means.before.mean(0),
        "angle_shuffled": np.full(len(reading.layers), means.shuffled.mean()),
        "norm_growth_target": geometric_mean(means.growth_target),
        "norm_growth_before": geometric_mean(means.growth_before),
    }
    return {name: Series.over(reading.layers, value) for name, value in values.items()}


def _columns(found: Differences) -> dict[str, Array]:
    """Return what is known of the differences, a value a step."""
    return {
        "difference": found.mean,
        "difference_low": found.low,
        "difference_high": found.high,
        "d_z": found.d,
        "d_z_low": found.d_low,
        "d_z_high": found.d_high,
        "t": found.t,
        "p_t": found.p_t,
        "p_t_holm": found.p_t_holm,
        "p_wilcoxon": found.p_wilcoxon,
        "p_wilcoxon_holm": found.p_wilcoxon_holm,
        "null_high": found.flips.null_high,
        "p": found.flips.p,
        "p_corrected": found.flips.p_corrected,
    }


def logged_differences(control: str, found: Differences, reading: Reading) -> dict[str, Series]:
    """Return the differences from a control as series, without the steps that have no t."""
    series = {}
    for name, values in _columns(found).items():
        there = np.flatnonzero(np.isfinite(values))
        if len(there):
            layers = [reading.layers[i] for i in there]
            series[f"minus_{control}_{name}"] = Series.over(layers, values[there])
    return series


def tests_table(control: str, found: Differences, reading: Reading) -> "pd.DataFrame":
    """Return everything that was tested against a control, a row a step."""
    import pandas as pd

    known = {"comparison": f"target − {control}", "step": reading.names, "n": found.observations}
    return pd.DataFrame({**known, **_columns(found)})


def summary(means: Turns, control: Differences | None, reading: Reading) -> "pd.DataFrame":
    """Return the table that a reader wants, a row a step."""
    import pandas as pd

    columns: dict[str, object] = {
        "step": reading.names,
        "target (°)": means.target.mean(0).round(2),
        "before (°)": means.before.mean(0).round(2),
        "shuffled (°)": f"{means.shuffled.mean():.2f}",
    }
    if control is not None:
        steps = range(len(reading.layers))
        columns |= {
            "target − before (°)": [
                with_limits(control.mean, control.low, control.high, i, "", 2) for i in steps
            ],
            "d_z": [
                with_limits(control.d, control.d_low, control.d_high, i, "", 2)
                if control.varies[i]
                else ""
                for i in steps
            ],
            "p (corrected)": control.flips.p_corrected,
            "t, p (Holm)": control.p_t_holm,
            "Wilcoxon, p (Holm)": control.p_wilcoxon_holm,
        }
    columns |= {
        "norm growth, target": geometric_mean(means.growth_target).round(4),
        "norm growth, before": geometric_mean(means.growth_before).round(4),
    }
    return pd.DataFrame(columns)


def angle_table(
    of_prompts: Turns,
    kept: NDArray[np.intp],
    observation: NDArray[np.intp],
    prompts: PromptSet,
    reading: Reading,
) -> "pd.DataFrame":
    """Return what was measured, a row a prompt and step."""
    import pandas as pd

    steps = len(reading.layers)
    known = {"group": prompts.groups, **prompts.columns}
    return pd.DataFrame(
        {
            "prompt": np.repeat(kept, steps),
            **{name: np.repeat([of[i] for i in kept], steps) for name, of in known.items()},
            "observation": np.repeat(observation[kept], steps),
            "step": list(reading.names) * len(kept),
            "angle_target": of_prompts.target.ravel(),
            "angle_before": of_prompts.before.ravel(),
            "angle_shuffled": np.repeat(of_prompts.shuffled, steps),
            "norm_growth_target": of_prompts.growth_target.ravel(),
            "norm_growth_before": of_prompts.growth_before.ravel(),
        }
    )
