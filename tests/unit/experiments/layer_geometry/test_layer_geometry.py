"""The analysis on constructed activations whose geometry is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Mean
from interp.data.prompts import from_marked
from interp.experiments.layer_geometry.analysis import LayerGeometry
from interp.experiments.layer_geometry.layer_projections import project_layers
from interp.experiments.layer_geometry.ordering import ordering
from interp.hooks.residual import ResidPost
from interp.metrics.functional.order import rank_correlations
from interp.models import Random
from interp.reductions import REDUCTIONS
from interp.stats.permutation_tests import corrected_p, permutation_test
from interp.stats.permutations import draw_reorderings

N = 16


def prompts_of(groups, **columns):
    return from_marked({g: [f"{g} {i}" for i in range(n)] for g, n in groups.items()}, columns)


def prepared(values, prompts, tokens=1):
    """Activations [layer, prompt × token, d] and as much of a plan as the analysis looks at."""
    rows = [(i, prompts.groups[i], f"t{j}", 1) for i in range(len(prompts)) for j in range(tokens)]
    samples = pd.DataFrame(rows, columns=["prompt", "group", "token", "n_tokens"])
    layers = tuple(range(len(values)))
    plan = SimpleNamespace(
        layers=layers,
        samples=samples,
        tokens=[SimpleNamespace(of_text=[0] * tokens)] * len(prompts),
        layer_names=tuple(f"layer {layer}" for layer in layers),
        notice="",
    )
    return Activations(np.asarray(values, np.float32), layers, samples, 1e-5), plan


def run(values, prompts, tokens=1, reduction=None, seed=0, **settings):
    activations, plan = prepared(values, prompts, tokens)
    analysis = LayerGeometry(**{"permutations": 199, **settings})
    reduction = REDUCTIONS.build(reduction or {"name": "pca", "n_components": 4})
    analysis.check(prompts, plan, reduction)
    return analysis(
        activations,
        prompts,
        Random(architecture="gpt2", settings={}),
        ResidPost(),
        Mean(),
        reduction,
        plan,
        np.random.default_rng(seed),
    )


def turned(cloud, layers, rng):
    """The same cloud under another rotation, with its reflections, at each layer."""
    turns = [np.linalg.qr(rng.normal(size=(cloud.shape[1],) * 2))[0] for _ in range(layers)]
    return np.array([cloud @ turn for turn in turns])


def layout(values, prompts, reduction, basis="layer"):
    activations, _ = prepared(values, prompts)
    return project_layers(activations, prompts, ResidPost(), REDUCTIONS.build(reduction), basis)


TWO = prompts_of({"a": N // 2, "b": N // 2})
TWO_COMPONENTS = {"name": "pca", "n_components": 2}


@pytest.mark.parametrize("name", ["pca", "svd", "kernel_pca", "isomap"])
def test_a_rotating_cloud_stays_still(name):
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(N, 6)) * [4, 3, 1, 0.5, 0.5, 0.5]
    found = layout(turned(cloud, 6, rng), TWO, {"name": name, "n_components": 2})
    for after in found.layout[1:]:
        np.testing.assert_allclose(after, found.layout[0], atol=2e-4)


def test_a_growing_cloud_keeps_its_size_and_the_share_that_is_shown_is_right():
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(N, 6))
    values = np.array([cloud, 100 * cloud, 0.01 * cloud + 5])
    found = layout(values, TWO, {"name": "pca", "n_components": 3})
    centred = cloud - cloud.mean(0)
    s = np.linalg.svd(centred, compute_uv=False) ** 2
    for i in range(3):
        assert found.share(i) == pytest.approx(s[:2].sum() / s.sum(), rel=1e-3)
        np.testing.assert_allclose(found.layout[i].mean(0), 0, atol=1e-6)
        assert (found.layout[i] ** 2).sum(1).mean() == pytest.approx(1)


def test_one_basis_for_all_layers_shows_what_moves():
    rng = np.random.default_rng(2)
    cloud = rng.normal(size=(N, 5))
    step = np.array([10.0, 0, 0, 0, 0])
    values = np.array([cloud + i * step for i in range(4)])
    found = layout(values, TWO, {"name": "pca", "n_components": 2}, basis="all")
    moved = np.diff(found.layout.mean(1), axis=0)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 10, rtol=1e-2)
    assert found.explained.shape == (1, 2)


def test_the_basis_of_one_layer_is_applied_to_the_others():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, N, 5))
    found = layout(values, TWO, {"name": "pca", "n_components": 2}, basis=1)
    mean = values[1].mean(0)
    axes = np.linalg.svd(values[1] - mean)[2][:2]
    expected = (values - mean) @ axes.T
    for i in range(3):
        for k in range(2):
            sign = np.sign(found.layout[i, 0, k] * expected[i, 0, k])
            np.testing.assert_allclose(found.layout[i, :, k], sign * expected[i, :, k], atol=1e-4)


def test_tsne_begins_where_the_layer_before_ended():
    rng = np.random.default_rng(4)
    cloud = rng.normal(size=(40, 8))
    drift = np.array([cloud, cloud + 0.05 * rng.normal(size=cloud.shape)])
    prompts = prompts_of({"a": 20, "b": 20})
    found = layout(drift, prompts, {"name": "tsne", "perplexity": 8.0})
    alone = layout(drift[1:], prompts, {"name": "tsne", "perplexity": 8.0, "seed": 1})

    def apart(x, y):
        return 1 - np.corrcoef(pdist(x), pdist(y))[0, 1]

    assert apart(found.layout[0], found.layout[1]) < apart(found.layout[0], alone.layout[0])


@pytest.mark.parametrize("name", ["class_direction", "lda"])
def test_a_supervised_reduction_shows_prompts_that_it_was_not_fitted_on(name):
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(2, 40, 60))
    prompts = prompts_of({"a": 20, "b": 20})
    found = layout(noise, prompts, {"name": name})
    np.testing.assert_array_equal(found.rows, np.arange(1, 40, 2))
    # In noise held-out groups are not apart along the direction that separates the fitted ones.
    first = found.components[:, :, 0]
    gap = np.abs(first[:, :10].mean(1) - first[:, 10:].mean(1)) / first.std(1)
    assert (gap < 1.5).all()


def test_a_planted_order_is_found_where_it_is_and_nowhere_else():
    rng = np.random.default_rng(6)
    number = np.tile(np.arange(12.0), 2)
    prompts = prompts_of({"a": 12, "b": 12}, number=number)
    values = rng.normal(size=(3, 24, 10))
    values[1] += np.outer(number, rng.normal(size=10))
    result = run(values, prompts)
    component, probe = result.tested[:2]
    rho, p = component.values, component.p_corrected
    assert rho[1] > 0.95
    assert p[1] == 1 / 200
    assert (p[[0, 2]] > 0.05).all()
    assert probe.values[1] > 0.95
    assert probe.p_corrected[1] < 0.05
    assert "number lies along one component at layer 1 (p < 0.05" in result.finding
    assert "permuted among pairs of prompts" in result.null


def test_an_order_that_pairs_share_is_not_counted_twice():
    """Where both prompts of a pair are nearly one point, pairs are what there is of evidence."""
    rng = np.random.default_rng(7)
    prompts = prompts_of({"a": 8, "b": 8}, number=np.tile(np.arange(8.0), 2))
    order = ordering("auto", prompts, prepared(np.zeros((1, 16, 1)), prompts)[1])
    p = {"pairs": [], "prompts": []}
    for _ in range(200):
        half = rng.normal(size=(8, 3))
        cloud = np.concatenate([half, half + 1e-2 * rng.normal(size=half.shape)])
        for kind, unit in (("pairs", order.unit_of_row), ("prompts", np.arange(16))):
            part = order.part_of_row if kind == "pairs" else np.zeros(16, int)
            orders = draw_reorderings(order.values, unit, part, 99, rng)
            best = np.abs(rank_correlations(cloud, orders)).max(1)
            p[kind].append(permutation_test(best[None, 0], best[None, 1:], "greater").p[0])
    assert np.mean(np.array(p["pairs"]) <= 0.1) < 0.16
    assert np.mean(np.array(p["prompts"]) <= 0.1) > 0.25


def test_planted_groups_are_apart_where_they_are_and_nowhere_else():
    rng = np.random.default_rng(8)
    values = rng.normal(size=(3, 24, 10))
    values[2, 12:] += 3
    result = run(values, prompts_of({"a": 12, "b": 12}))
    names = [series.name for series in result.tested]
    assert names == ["silhouette", "variance_between", "centroid_accuracy"]
    for series in result.tested:
        assert series.p_corrected[2] < 0.05
        assert (series.p_corrected[:2] > 0.05).all()
    assert "a and b are apart at layer 2 (silhouette" in result.finding
    assert "order" not in result.figures


def test_noise_is_not_significant():
    values = np.random.default_rng(9).normal(size=(4, 20, 8))
    result = run(values, prompts_of({"a": 10, "b": 10}, number=np.tile(np.arange(10.0), 2)))
    assert "number lies along one component at no layer" in result.finding
    assert "a and b are apart at no layer" in result.finding


def test_too_few_prompts_to_test_still_give_a_picture():
    rng = np.random.default_rng(10)
    one_each = run(rng.normal(size=(2, 8, 5)), prompts_of({"a": 1, "b": 1}), tokens=4)
    assert set(one_each.figures) == {"layers", "order", "components"}
    assert "position: too few positions to test" in one_each.finding
    two_each = run(rng.normal(size=(2, 8, 5)), prompts_of({"a": 2, "b": 2}), tokens=2)
    assert "a and b: too few prompts to test" in two_each.finding


def test_one_group_is_drawn_and_ordered():
    values = np.random.default_rng(11).normal(size=(2, 9, 5))
    result = run(values, prompts_of({"all": 9}, number=np.arange(9.0)))
    assert set(result.figures) == {"layers", "order", "components"}
    assert set(result.animations["layers"].frames) == {0, 1}


def test_each_layer_has_a_frame_with_its_name_and_share():
    values = np.random.default_rng(12).normal(size=(3, N, 5))
    result = run(values, TWO)
    animation = result.animations["layers"]
    assert animation.names == ("layer 0", "layer 1", "layer 2")
    shares = result.series["explained_variance"].values
    for figure, share in zip(animation.frames.values(), shares, strict=True):
        title = figure.axes[0].get_title(loc="left")
        assert f"{share:.0%} of the variance" in " ".join(title.split())


@pytest.mark.parametrize(
    ("reduction", "settings", "message"),
    [
        ({"name": "identity"}, {}, "which reduction=identity does not give; use reduction=pca"),
        ({"name": "pca", "n_components": 1}, {}, "which reduction.n_components=1 does not give"),
        ({"name": "tsne"}, {"basis": 1}, "tsne cannot be applied to points that it was not"),
        ({"name": "pca", "n_components": 2}, {"basis": 7}, "layer 7 is not among the layers"),
        (
            {"name": "pca", "n_components": 40},
            {},
            r"pca \(n_components=40\) needs at least 40 points, not 16",
        ),
        ({"name": "pca", "n_components": 2}, {"order": "number"}, "order cannot be 'number'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_read(reduction, settings, message):
    _, plan = prepared(np.zeros((2, N, 5)), TWO)
    with pytest.raises(ConfigError, match=message):
        LayerGeometry(**settings).check(TWO, plan, REDUCTIONS.build(reduction))


def test_a_supervised_reduction_needs_two_halves_of_two_groups():
    prompts = prompts_of({"a": 8, "b": 3})
    _, plan = prepared(np.zeros((2, 11, 5)), prompts)
    with pytest.raises(ConfigError, match=r"two groups of at least 4 prompts, not 8 \(a\), 3 \(b"):
        LayerGeometry().check(prompts, plan, REDUCTIONS.build({"name": "lda"}))


def test_a_basis_is_a_word_or_a_layer():
    with pytest.raises(ConfigError, match=r"basis must be layer, all, .* not 1\.5"):
        LayerGeometry(basis=1.5)


def test_points_that_coincide_are_refused_by_layer():
    values = np.random.default_rng(13).normal(size=(2, N, 5))
    values[1] = values[1, :1]
    with pytest.raises(ConfigError, match="resid_post 1: all points coincide up to rounding"):
        run(values, TWO)


def test_prompts_of_different_length_do_not_make_an_order_of_positions():
    """Late positions are those of long prompts, and alike for that reason alone."""
    rng = np.random.default_rng(14)
    tokens = [4, 5, 6, 7, 9]
    prompts = prompts_of({"all": 5})
    samples = pd.DataFrame({"prompt": np.repeat(np.arange(5), tokens)})
    order = ordering("position", prompts, SimpleNamespace(samples=samples, tokens=[]))
    assert order.units_are == "positions that all prompts have"
    np.testing.assert_array_equal(order.counted, order.values <= 4)
    p = {"all": [], "counted": []}
    for _ in range(150):
        cloud = 2 * rng.normal(size=(5, 3))[samples["prompt"]] + rng.normal(size=(31, 3))
        for kind, rows in (("all", np.arange(31)), ("counted", np.flatnonzero(order.counted))):
            unit = order.unit_of_row[rows]
            orders = draw_reorderings(order.values[rows], unit, np.zeros_like(unit), 99, rng)
            best = np.abs(rank_correlations(cloud[rows], orders)).max(1)
            p[kind].append(permutation_test(best[None, 0], best[None, 1:], "greater").p[0])
    assert np.mean(np.array(p["counted"]) <= 0.1) < 0.16
    assert np.mean(np.array(p["all"]) <= 0.1) > 0.25


def test_an_order_of_positions_counts_those_that_all_prompts_have():
    rng = np.random.default_rng(15)
    prompts = prompts_of({"a": 3, "b": 3})
    values = rng.normal(size=(1, 6 * 8, 6))
    values[0, :, 0] += 4 * np.tile(np.arange(8), 6)
    activations, plan = prepared(values, prompts, tokens=8)
    # Two prompts lose their last token, where the planted order is broken.
    left = ~((plan.samples["prompt"] < 2) & (plan.samples["token"] == "t7"))
    plan.samples = plan.samples[left].reset_index(drop=True)
    broken = activations.values[:, left.to_numpy()].copy()
    broken[0, plan.samples["token"] == "t7"] *= -1
    result = LayerGeometry(permutations=199)(
        Activations(broken, (0,), plan.samples, 1e-5),
        prompts,
        Random(architecture="gpt2", settings={}),
        ResidPost(),
        Mean(),
        REDUCTIONS.build({"name": "pca", "n_components": 2}),
        plan,
        np.random.default_rng(0),
    )
    assert result.tested[1].values[0] > 0.95
    assert "position permuted among positions that all prompts have" in result.null


def test_a_shift_that_all_pairs_share_is_found_among_what_pairs_differ_by():
    rng = np.random.default_rng(16)
    pairs = 3 * rng.normal(size=(8, 6))
    values = np.concatenate([pairs, pairs + 1])[None] + 0.3 * rng.normal(size=(1, 16, 6))
    result = run(values, TWO)
    assert result.tested[0].p_corrected[0] < 0.05
    assert "labels permuted within pairs of prompts" in result.null
    # Five pairs have no arrangement that could be rare enough; their prompts have.
    few = run(np.delete(values, [5, 6, 7, 13, 14, 15], axis=1), prompts_of({"a": 5, "b": 5}))
    assert "labels permuted among prompts" in few.null


def test_groups_whose_points_coincide_are_as_far_apart_as_can_be():
    values = np.random.default_rng(17).normal(size=(2, N, 5))
    values[0] = np.repeat(values[0, :2], N // 2, axis=0)
    result = run(values, TWO)
    assert len(result.tested) == 3
    for series in result.tested:
        assert series.values[0] == pytest.approx(1)
        assert series.p_corrected[0] < 0.05


def test_what_cannot_be_significant_is_not_reported_as_absent():
    """Two prompts in each of three groups are divided in 15 ways, though labelled in 90."""
    values = np.random.default_rng(18).normal(size=(1, 6, 4))
    values[0] += 50 * np.repeat(np.eye(4)[:3], 2, axis=0)
    result = run(values, prompts_of({"a": 2, "b": 2, "c": 2}))
    assert "too few prompts to test" in result.finding
    # Of the 120 orders of these numbers 6 are the given one.
    tied = np.array([1.0, 1, 1, 2, 3])
    planted = np.random.default_rng(19).normal(size=(1, 5, 4)) + 50 * tied[:, None]
    result = run(planted, prompts_of({"all": 5}, number=tied), reduction=TWO_COMPONENTS)
    assert "number: too few prompts to test" in result.finding


def test_half_of_the_pairs_may_be_too_few_to_test():
    prompts = prompts_of({"a": 8, "b": 8}, number=np.tile(np.arange(8.0), 2))
    values = np.random.default_rng(20).normal(size=(1, 16, 6))
    result = run(values, prompts, reduction={"name": "class_direction"})
    assert "number: too few pairs of prompts to test" in result.finding


def test_the_share_of_a_supervised_reduction_is_that_of_what_is_shown():
    rng = np.random.default_rng(21)
    noise = rng.normal(size=(1, N, 400))
    found = layout(noise, TWO, {"name": "class_direction"})
    shown = noise[0, found.rows]
    total = shown.var(0).sum()
    assert found.explained[0] == pytest.approx(found.components[0].var(0) / total, rel=1e-4)
    assert found.share(0) < 0.02
    assert (found.layout**2).sum(2).mean() == pytest.approx(1)


@pytest.mark.parametrize(("offset", "name"), [(0, "svd"), (10, "svd"), (10, "pca")])
def test_a_cloud_far_from_the_origin_is_drawn_no_smaller(offset, name):
    cloud = np.random.default_rng(22).normal(size=(2, N, 6)) + offset
    found = layout(cloud, TWO, {"name": name, "n_components": 2})
    np.testing.assert_allclose((found.layout**2).sum(2).mean(1), 1)


def test_turned_axes_are_not_called_components():
    values = np.random.default_rng(23).normal(size=(2, N, 6))
    assert layout(values, TWO, TWO_COMPONENTS).axes[1] == "axis 2"
    assert layout(values, TWO, TWO_COMPONENTS, basis="all").axes == ("pca 1", "pca 2")
    assert layout(values, TWO, {"name": "class_direction"}).axes[1] == "class direction 2"


def test_a_cell_counts_where_the_best_component_of_its_layer_would():
    rng = np.random.default_rng(24)
    observed, null = rng.normal(size=4), rng.normal(size=(4, 199))
    test = permutation_test(observed, null, "greater")
    again = corrected_p(np.column_stack([observed, observed - 1]), observed, null, "greater")
    np.testing.assert_array_equal(again[:, 0], test.p_corrected)
    assert (again[:, 1] >= again[:, 0]).all()
