"""Sentences and tables of `layer_geometry`."""

from typing import TYPE_CHECKING, Any

from interp.reductions import REDUCTIONS, Reduction
from interp.results.captions import Caption
from interp.stats.tested_series import TestedSeries

from .layer_projections import LayerProjections
from .measures import OrderTests, SeparationTests

if TYPE_CHECKING:
    import pandas as pd


def describe_order(found: OrderTests, caption: Caption) -> str:
    """Return at which layers one component follows the order, as a clause."""
    name, series = found.order.name, found.component
    if found.smallest_p >= series.alpha:
        return f"{name}: too few {found.order.units_are} to test"
    return f"{name} lies along one component at {caption.name_layers(series.significant)}"


def order_finding(found: OrderTests, caption: Caption) -> str:
    """Return how closely a component, and a probe, follow the order."""
    rho, r2 = found.component, found.probe
    top, peak = int(rho.values.argmax()), int(r2.values.argmax())
    return (
        f"{describe_order(found, caption)} (p < {rho.alpha:g}, corrected over {caption.unit}s and "
        f"for choosing the best of {found.correlations.shape[1]}). The largest |ρ| is that of "
        f"component {found.best[top] + 1} at {caption.names[top]}: {_with_null(rho, top)}. A ridge "
        f"probe in all dimensions predicts it at {caption.name_layers(r2.significant)}, best at "
        f"{caption.names[peak]}: cross-validated R² = {_with_null(r2, peak)}."
    )


def order_scalars(found: OrderTests) -> dict[str, float]:
    """Return the largest correlation and R² of all layers, with their p."""
    numbers = {}
    for name, series in (("order_best_rho", found.component), ("order_best_r2", found.probe)):
        top = int(series.values.argmax())
        numbers[name] = float(series.values[top])
        numbers[f"{name}_p"] = float(series.statistics["p_corrected"][top])
    return numbers


def component_table(found: OrderTests, caption: Caption) -> "pd.DataFrame":
    """Return the correlation of each component with the order, one row per layer."""
    import pandas as pd

    n = found.correlations.shape[1]
    columns = {f"component {c + 1}": found.correlations[:, c] for c in range(n)}
    return pd.DataFrame({"layer": caption.names, **columns})


def describe_separation(found: SeparationTests, caption: Caption) -> str:
    """Return at which layers the groups lie apart, as a clause."""
    series = found.silhouette
    if found.smallest_p >= series.alpha:
        return f"{caption.group_phrase}: too few prompts to test"
    return f"{caption.group_phrase} are apart at {caption.name_layers(series.significant)}"


def separation_finding(found: SeparationTests, caption: Caption) -> str:
    """Return how far the groups lie apart, and how often the nearest mean is the right one."""
    series, accuracy = found.silhouette, found.accuracy
    top = int(series.values.argmax())
    chance, p = (accuracy.statistics[name][top] for name in ("null_mean", "p_corrected"))
    return (
        f"{describe_separation(found, caption)} (silhouette, p < {series.alpha:g}, corrected over "
        f"{caption.unit}s). The silhouette is largest at {caption.names[top]}: "
        f"{_with_null(series, top)}; a held-out prompt lies nearest to its own group's mean in "
        f"{accuracy.values[top]:.0%} of cases (null {chance:.0%}, corrected p = {p:.2g})."
    )


def separation_scalars(found: SeparationTests) -> dict[str, float]:
    """Return the largest silhouette of all layers with its p, and the largest accuracy."""
    top = int(found.silhouette.values.argmax())
    return {
        "best_silhouette": float(found.silhouette.values[top]),
        "best_silhouette_p": float(found.silhouette.statistics["p_corrected"][top]),
        "best_centroid_accuracy": float(found.accuracy.values.max()),
    }


def describe_lonely_groups(groups: list[str]) -> str:
    """Return which groups have too few prompts for a test of their separation; "" for none."""
    if not groups:
        return ""
    return f"One prompt in {' and '.join(groups)}: the separation of groups is not tested."


def describe_basis(reduction: Reduction, basis: Any) -> str:
    """Return what the axes of the picture are fitted on."""
    name = REDUCTIONS.name_of(reduction).replace("_", " ")
    on = {"layer": "each layer", "all": "all layers together"}.get(basis, f"layer {basis}")
    if reduction.supervised:
        return f"{name} fitted on {on}, on one half of the prompts; the other half is shown"
    if basis == "layer":
        return f"plane of {name} 1 and 2 of each layer, rotated towards the layer before"
    return f"{name} fitted on {on}"


def shares_shown(found: LayerProjections, basis: Any) -> list[float]:
    """Return each layer's share of the variance that is drawn; none where axes are shared."""
    if found.explained is None or basis != "layer":
        return []
    return [found.share(i) for i in range(len(found.layout))]


def picture_finding(found: LayerProjections, caption: Caption, basis: Any) -> str:
    """Return how much of the variance the picture shows; "" where the reduction does not know."""
    if found.explained is None:
        return ""
    if basis == "layer":
        shares = shares_shown(found, basis)
        low, high = (f"{share:.0%}" for share in (min(shares), max(shares)))
        return (
            f"The picture shows {low if low == high else f'{low} to {high}'} of the variance at "
            f"each {caption.unit}."
        )
    if basis == "all":
        where = f"of all {caption.unit}s together"
    else:
        where = f"at {caption.names[caption.layers.index(basis)]}"
    return f"The picture shows {found.share(0):.0%} of the variance {where}."


def summary_table(
    shares: list[float],
    order: OrderTests | None,
    groups: SeparationTests | None,
    caption: Caption,
) -> "pd.DataFrame":
    """Return what was found at each layer, one row each."""
    import pandas as pd

    columns: dict[str, object] = {caption.unit: caption.ticks or caption.layers}
    if shares:
        columns["variance shown"] = [f"{share:.0%}" for share in shares]
    if order:
        columns[f"|ρ| with {order.order.name}"] = _with_p(order.component)
        columns["component"] = order.best + 1
        columns["R² of a probe"] = _with_p(order.probe)
    if groups:
        columns["silhouette"] = _with_p(groups.silhouette)
        columns["centroid accuracy"] = _with_p(groups.accuracy)
    return pd.DataFrame(columns)


def _with_null(series: TestedSeries, i: int) -> str:
    """Return one value with its null and its corrected p."""
    mean, low, high, p = (
        series.statistics[name][i] for name in ("null_mean", "null_low", "null_high", "p_corrected")
    )
    # Without the sum a mean of minus zero would be written "-0.00".
    return (
        f"{series.values[i]:.2f}, null {mean + 0:.2f} [{low:.2f}, {high:.2f}], "
        f"corrected p = {p:.2g}"
    )


def _with_p(series: TestedSeries) -> list[str]:
    """Return each value with its corrected p."""
    pairs = zip(series.values, series.statistics["p_corrected"], strict=True)
    return [f"{value:.3g} (p {p:.2g})" for value, p in pairs]
