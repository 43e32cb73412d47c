"""The spectrum of some words as a finding, tables and curves over components."""

from typing import TYPE_CHECKING

import numpy as np

from interp.metrics.functional.points import Array
from interp.results.result import Result
from interp.stats.tested_series import TestedSeries

from .extreme_tokens import ExtremeTokens
from .findings import Findings
from .measures import DIMENSIONS, WordSpectrum, cumulative_variance

if TYPE_CHECKING:
    import pandas as pd

    from interp.plotting import SpectrumBand


def spectrum_result(found: Findings) -> Result:
    """Report how many dimensions the words span, and which tokens lie at the ends of one."""
    from .figures import spectrum_figures

    spectrum = found.spectrum
    bands = spectrum_bands(spectrum)
    relative = bands[1]
    title = _title(found)
    scalars = dict(zip(DIMENSIONS, spectrum.dimensions.tolist(), strict=True))
    p_values = zip(DIMENSIONS, spectrum.fewer.p_corrected.tolist(), strict=True)
    return Result(
        tested=(
            TestedSeries(
                "relative_singular_value",
                "singular value, relative to the largest",
                tuple(range(1, len(relative.values) + 1)),
                relative.values,
                null_mean=relative.null_mean,
                null_low=relative.null_low,
                null_high=relative.null_high,
                alpha=found.alpha,
                axis="component",
            ),
        ),
        spectra={"singular_value": bands[0].values, "cumulative_variance": bands[2].values},
        scalars={
            **scalars,
            **{f"{name}_p": p for name, p in p_values},
            "mean_absolute_correlation": spectrum.mean_correlation,
            "mean_absolute_correlation_p": float(spectrum.more_correlated.p[0]),
        },
        tables={
            "summary": _summary(spectrum),
            "spectrum": _spectrum_table(bands),
            "tokens": found.extremes.table(),
        },
        figures=spectrum_figures(found, bands, title),
        finding=_finding(found, title),
        null=found.random_name,
    )


def spectrum_bands(spectrum: WordSpectrum) -> "list[SpectrumBand]":
    """Return the spectrum in three forms, each with the band of the random sets."""
    from interp.plotting import SpectrumBand

    def band(ylabel: str, values: Array, random: Array) -> "SpectrumBand":
        low, high = np.quantile(random, [0.025, 0.975], axis=0)
        return SpectrumBand(ylabel, values, random.mean(0), low, high)

    values, random = spectrum.values, spectrum.random.values
    return [
        band("singular value", values, random),
        band("relative to the largest", values / values[0], random / random[:, :1]),
        band(
            "cumulative share of variance", cumulative_variance(values), cumulative_variance(random)
        ),
    ]


def _title(found: Findings) -> str:
    """Return in one clause whether the words span fewer or more dimensions."""
    if not found.is_decidable:
        return f"{found.name}: too few random sets for significance"
    fewer, more = (
        int((test.p_corrected < found.alpha).sum())
        for test in (found.spectrum.fewer, found.spectrum.more)
    )
    if fewer == len(DIMENSIONS):
        return f"{found.name} span fewer dimensions than random tokens"
    if fewer:
        return f"{found.name} span fewer dimensions than random tokens by {fewer} of 3 measures"
    if more:
        return (
            f"{found.name} span more dimensions than random tokens by {more} of 3 measures "
            f"(smallest p {found.spectrum.more.p_corrected.min():.2g})"
        )
    return f"{found.name} do not differ significantly from random tokens in their dimensions"


def _finding(found: Findings, title: str) -> str:
    spectrum, extremes, fewer = found.spectrum, found.extremes, found.spectrum.fewer
    measures = ", ".join(
        f"{name.replace('_', ' ')} is {spectrum.dimensions[i]:.1f} (random "
        f"{fewer.null_mean[i]:.1f} [{fewer.null_low[i]:.1f}, {fewer.null_high[i]:.1f}], "
        f"p = {fewer.p_corrected[i]:.2g})"
        for i, name in enumerate(DIMENSIONS)
    )
    variances = spectrum.values**2
    share = variances[found.component - 1] / variances.sum()
    low, high = (", ".join(labels[:5]) for labels in (extremes.low_labels, extremes.high_labels))
    return (
        f"{title} in the {found.matrix} (p < {found.alpha:g}, corrected for three measures, "
        f"against {found.n_random} sets of {found.random_name}): {measures}. "
        f"Component {found.component} holds {share:.0%} of the variance of {found.name}; of all "
        f"other tokens {low} lie at one end and {high} at the other{_kind_clause(extremes)}."
    )


def _kind_clause(extremes: ExtremeTokens) -> str:
    """Return how many tokens are of the words' own kind, if these are of one kind."""
    test = extremes.kind_test
    if not test.kind:
        return ""
    return (
        f"; {test.count} of the {len(extremes.high)} tokens at one end are {test.kind} too (random "
        f"sets {test.expected:.1f}, p = {test.p:.2g})"
    )


def _summary(spectrum: WordSpectrum) -> "pd.DataFrame":
    """Return one row per measure: value, random mean and band, p."""
    import pandas as pd

    fewer, correlated = spectrum.fewer, spectrum.more_correlated
    rows = [
        (
            name.replace("_", " "),
            spectrum.dimensions[i],
            fewer.null_mean[i],
            f"{fewer.null_low[i]:.4g} to {fewer.null_high[i]:.4g}",
            fewer.p_corrected[i],
        )
        for i, name in enumerate(DIMENSIONS)
    ]
    rows.append(
        (
            "mean |r|",
            spectrum.mean_correlation,
            correlated.null_mean[0],
            f"{correlated.null_low[0]:.4g} to {correlated.null_high[0]:.4g}",
            correlated.p[0],
        )
    )
    return pd.DataFrame(rows, columns=["measure", "value", "random", "random (95%)", "p"])


def _spectrum_table(bands: "list[SpectrumBand]") -> "pd.DataFrame":
    """Return one row per component: each form of the spectrum with its random band."""
    import pandas as pd

    columns: dict[str, Array] = {}
    for band in bands:
        columns |= {
            band.ylabel: band.values,
            f"{band.ylabel}, random": band.null_mean,
            f"{band.ylabel}, random low": band.null_low,
            f"{band.ylabel}, random high": band.null_high,
        }
    table = pd.DataFrame(columns)
    table.insert(0, "component", np.arange(1, len(table) + 1))
    return table
