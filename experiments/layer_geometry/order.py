"""Does a direction capture the sequence? One component, or a probe in all dimensions."""

import numpy as np

from interp.data.order import Ordering
from interp.metrics.functional.order import folds, rank_correlations, ridge_r2
from interp.metrics.functional.points import Array
from interp.results.captions import Reading, beside, logged
from interp.results.primary_series import Headline
from interp.results.result import Result
from interp.stats import permutation_tests
from interp.stats.permutations import reorderings

from .layer_projections import Frames


def ordered(
    frames: Frames,
    clouds: list[Array],
    order: Ordering,
    reading: Reading,
    permutations: int,
    alpha: float,
    rng: np.random.Generator,
) -> Result:
    """Hold the order against each component, and against a cross-validated ridge probe.

    Both p are corrected over layers, that of the best component for having chosen it as well: its
    null is the best component of each shuffled order.

    Args:
        frames: the components of each layer.
        clouds: all dimensions of each layer, [n, d] each.
        order: what is looked for.
        reading: the words for what was read.
        permutations: draws of the null.
        alpha: the corrected p below which a layer counts as significant.
        rng: where draws and folds come from.
    """
    import pandas as pd

    from interp import plotting
    from interp.plotting import Statistic

    layers, counted = reading.layers, np.flatnonzero(order.counted)
    unit_of_row = order.unit_of_row[counted]
    orders = reorderings(
        order.values[counted], unit_of_row, order.part_of_row[counted], permutations, rng
    )
    held_out = folds(unit_of_row, rng)
    # Of the points that are reduced those that count, and where they stand among all that do.
    _, reduced, among = np.intersect1d(frames.rows, counted, return_indices=True)
    # [layer, 1 + draw, component], and [layer, 1 + draw].
    rho = np.array([rank_correlations(x[reduced], orders[:, among]) for x in frames.components])
    r2 = np.array([ridge_r2(x[counted], orders, held_out) for x in clouds])
    # Below 0 a probe reads nothing, and how far below would only widen the null's scale.
    r2 = np.maximum(r2, 0)
    k = rho.shape[2]
    size = np.abs(rho)
    best, which = size.max(2), size[:, 0].argmax(1)
    of_best = permutation_tests.permutation_test(best[:, 0], best[:, 1:], "greater")
    of_probe = permutation_tests.permutation_test(r2[:, 0], r2[:, 1:], "greater")
    # Each component is held against the best of each shuffled order, as the best one is.
    p_of_each = permutation_tests.corrected_p(size[:, 0], best[:, 0], best[:, 1:], "greater")

    passes, reads = of_best.p_corrected < alpha, of_probe.p_corrected < alpha
    top, peak = int(best[:, 0].argmax()), int(r2[:, 0].argmax())
    verdict = f"{order.name} lies along one component at {reading.where(passes)}"
    if _share_alike(orders[:, among]) >= alpha:
        verdict = f"{order.name}: too few {order.units_are} to tell from chance"
    finding = (
        f"{verdict} (p < {alpha:g}, corrected over {reading.unit}s and for choosing the best of "
        f"{k}). Furthest is component {which[top] + 1} of {reading.names[top]}: |ρ| = "
        f"{best[top, 0]:.2f}, chance {of_best.null_mean[top]:.2f} "
        f"[{of_best.null_low[top]:.2f}, {of_best.null_high[top]:.2f}], corrected p = "
        f"{of_best.p_corrected[top]:.2g}. A ridge probe in all dimensions reads it at "
        f"{reading.where(reads)}, best at {reading.names[peak]}: cross-validated R² = "
        f"{r2[peak, 0]:.2f}, chance {of_probe.null_mean[peak]:.2f}, corrected p = "
        f"{of_probe.p_corrected[peak]:.2g}."
    )
    shuffled = f"{order.name} shuffled among {order.units_are}"
    told = reading.told(f"{len(orders) - 1} draws")
    curves = plotting.statistics_over_layers(
        layers,
        [
            Statistic(f"best |ρ| of {k} components", best[:, 0], of_best),
            Statistic("R² of a ridge probe, at least 0", r2[:, 0], of_probe),
        ],
        title=verdict,
        subtitle=told,
        xlabel=reading.xlabel,
        null_label=f"95% of the null: {shuffled}",
        alpha=alpha,
        layer_names=reading.ticks,
    )
    cells = plotting.component_heatmap(
        reading.names,
        [str(c + 1) for c in range(k)],
        size[:, 0],
        p_of_each < alpha,
        title=f"Which component follows {order.name}",
        subtitle=told,
        xlabel="component",
        ylabel=reading.xlabel,
        label="Spearman's |ρ|, since signs are arbitrary",
        faint_label=f"p ≥ {alpha:g}, corrected over {reading.unit}s and components",
        signed=False,
    )
    columns = {f"component {c + 1}": rho[:, 0, c] for c in range(k)}
    return Result(
        series={
            **logged("order_rho", layers, best[:, 0], of_best),
            **logged("order_r2", layers, r2[:, 0], of_probe),
        },
        scalars={
            "order_best_rho": float(best[top, 0]),
            "order_best_rho_p": float(of_best.p_corrected[top]),
            "order_best_r2": float(r2[peak, 0]),
            "order_best_r2_p": float(of_probe.p_corrected[peak]),
        },
        tables={
            "summary": pd.DataFrame(
                {
                    f"|ρ| with {order.name}": beside(best[:, 0], of_best),
                    "component": which + 1,
                    "R² of a probe": beside(r2[:, 0], of_probe),
                }
            ),
            "components": pd.DataFrame({"layer": reading.names, **columns}),
        },
        figures={"order": curves, "components": cells},
        finding=finding,
        null=shuffled,
        headlines=tuple(
            Headline(name, label, f"{name}_", "greater", alpha)
            for name, label in (
                ("order_rho", f"|ρ| with {order.name}, best component"),
                ("order_r2", f"R² of a probe for {order.name}"),
            )
        ),
    )


def _share_alike(orders: Array) -> float:
    """Return the share of orders that are as strong as the given one, being it or its reverse."""
    from scipy.stats import rankdata

    ranks = rankdata(orders, axis=1)
    reverse = ranks.shape[1] + 1 - ranks[0]
    return float(((ranks == ranks[0]).all(1) | (ranks == reverse).all(1)).mean())
