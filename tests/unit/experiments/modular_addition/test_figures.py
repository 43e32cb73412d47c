"""Figures of modular addition, read back from their artists."""

import itertools
from collections import Counter

import numpy as np
import pytest
from matplotlib.colors import to_hex

from interp.experiments.modular_addition.attention_figures import (
    AttentionPatterns,
    attention_patterns,
)
from interp.experiments.modular_addition.fourier_figures import (
    FourierBasis,
    PowerSpectrum,
    VectorsOverNumbers,
    basis_figure,
    power_spectra,
    singular_vectors_over_numbers,
)
from interp.experiments.modular_addition.logit_figures import WaveCoefficients, wave_coefficients
from interp.experiments.modular_addition.neuron_figures import NeuronFractions, neuron_fractions
from interp.experiments.modular_addition.number_map_figures import (
    NumberMaps,
    ProductSpectrum,
    number_maps,
    product_spectrum,
)
from interp.experiments.modular_addition.training_figures import (
    TrainingCurve,
    TrainingCurves,
    TrainingPanel,
    training_curves,
)
from interp.plotting.style import BLUE, ORANGE

WORDS = {"title": "What is found in the numbers", "subtitle": "tiny"}
NULL = "largest share of permuted numbers, 99.9th percentile"


def visible_words(figure):
    """Every word that is drawn, and its box in pixels."""
    figure.draw_without_rendering()
    texts = [*figure.texts, *[t for legend in figure.legends for t in legend.get_texts()]]
    for axes in figure.axes:
        texts += [axes._left_title, *axes.texts]
        if not axes.axison:
            continue
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    texts += [label for label in (tick.label1, tick.label2) if label.get_visible()]
            texts.append(axis.label)
    texts = [text for text in texts if text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent()) for text in texts]


def assert_words_stand_apart_and_inside(figure):
    words = visible_words(figure)
    for (one, a), (other, b) in itertools.combinations(words, 2):
        apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (one, other)
    for word, box in words:
        assert figure.bbox.contains(*box.min), word
        assert figure.bbox.contains(*box.max), word


def panels_of(figure):
    """All axes but the one of the titles and those of colour bars."""
    return [axes for axes in figure.axes[1:] if not hasattr(axes, "_colorbar")]


def fourier_rows(n):
    """An orthonormal basis, by the discrete Fourier transform of the unit vectors."""
    waves = np.fft.rfft(np.eye(n), axis=0)
    rows, names = [waves[0].real], ["const"]
    for k in range(1, n // 2 + 1):
        rows.append(waves[k].real)
        names.append(f"cos {k}")
        if 2 * k < n:
            rows.append(-waves[k].imag)
            names.append(f"sin {k}")
    return np.array([row / np.linalg.norm(row) for row in rows]), names


@pytest.mark.parametrize("n", [3, 7, 200])
def test_the_basis_is_drawn_as_curves_of_its_ends_and_as_a_whole(n):
    basis, names = fourier_rows(n)
    figure = basis_figure(FourierBasis(basis, names, "number", "value"), **WORDS)
    *curves, whole = panels_of(figure)
    (image,) = whole.images
    np.testing.assert_array_equal(image.get_array(), basis)
    low, high = image.get_clim()
    assert -low == high == np.abs(basis).max()
    shown = names if n <= 7 else ["const", "cos 1", "sin 1", "cos 2", "sin 2", *names[-2:]]
    assert [axes.get_title(loc="left") for axes in curves] == shown
    for axes in curves:
        drawn = basis[names.index(axes.get_title(loc="left"))]
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), drawn)
        assert axes.get_ylim()[0] < drawn.min() <= drawn.max() < axes.get_ylim()[1]
    for tick, name in zip(whole.get_yticks(), whole.get_yticklabels(), strict=True):
        assert names[int(tick)] == name.get_text()
    assert_words_stand_apart_and_inside(figure)


def spectrum(label, n_frequencies, keys, seed=0):
    rng = np.random.default_rng(seed)
    shares = rng.exponential(size=n_frequencies)
    shares[np.array(keys, int) - 1] += 20 * rng.uniform(1, 2, len(keys))
    return PowerSpectrum(label, shares / shares.sum(), 0.07, keys)


def power(*spectra):
    return power_spectra(spectra, null_label=NULL, **WORDS)


def key_names(axes):
    return {int(text.get_text()): text.get_position() for text in axes.texts}


def test_power_is_drawn_with_its_null_and_its_keys_are_labelled():
    spectra = [spectrum("W_E", 56, (17, 25, 32, 33, 47)), spectrum("W_L", 56, (), 1)]
    figure = power(*spectra)
    for axes, given in zip(panels_of(figure), spectra, strict=True):
        assert axes.get_title(loc="left") == given.label
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], given.shares)
        places = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
        np.testing.assert_allclose(places, np.arange(1, 57))
        colours = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
        assert {k for k, colour in enumerate(colours, 1) if colour == ORANGE} == set(given.keys)
        assert set(colours) <= {ORANGE, BLUE}
        names = key_names(axes)
        assert set(names) == set(given.keys)
        for k, (x, y) in names.items():
            assert x == k
            assert given.shares[k - 1] < y < axes.get_ylim()[1]
        null, even = axes.lines
        assert null.get_ydata()[0] == 0.07
        assert even.get_ydata()[0] == 1 / 56
        assert axes.get_ylim()[1] > 0.07
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[2:] == [NULL, "even share, 1/56"]


@pytest.mark.parametrize(
    ("n_frequencies", "keys"),
    [
        (1, ()),
        (3, (1, 2, 3)),
        (56, (17, 18, 19, 20, 55, 56)),
        (100, (1, 2, 30, 31, 32, 33, 97, 98, 99, 100)),
        (100, tuple(range(1, 101))),
    ],
)
def test_labels_of_keys_cover_neither_each_other_nor_bars(n_frequencies, keys):
    given = spectrum("W_E", n_frequencies, keys)
    figure = power(given)
    assert_words_stand_apart_and_inside(figure)
    (axes,) = panels_of(figure)
    largest = sorted(keys, key=lambda k: given.shares[k - 1], reverse=True)[:16]
    assert set(key_names(axes)) == set(largest)
    for text in axes.texts:
        box = text.get_window_extent()
        for bar in axes.patches:
            side = bar.get_window_extent()
            assert box.y0 >= side.y1 or box.x0 >= side.x1 - 1 or box.x1 <= side.x0 + 1
    assert all(tick >= 1 for tick in axes.get_xticks())


def test_what_is_not_finite_is_left_out_and_the_rest_is_drawn():
    shares = np.array([0.25, np.nan, 0.5])
    (axes,) = panels_of(power(PowerSpectrum("W_E", shares, 0.07, (2, 3))))
    assert key_names(axes)[3] == pytest.approx((3, 0.5), abs=0.05)
    assert 0.5 < axes.get_ylim()[1] < 1
    maps = np.array([[[-1.0, np.nan], [0.5, np.inf]]])
    (panel,) = panels_of(number_maps(NumberMaps(maps, ["one"], ""), **WORDS))
    assert panel.images[0].get_clim() == (-1, 1)


def test_a_matrix_without_power_has_no_null_and_no_keys():
    figure = power(PowerSpectrum("zeros", np.zeros(56), np.nan, ()))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["other frequency", "even share, 1/56"]
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (113, 8)])
def test_singular_vectors_are_drawn_with_their_spectra(n, k):
    vectors = np.random.default_rng(0).normal(size=(n, k))
    spectra = np.abs(np.fft.rfft(vectors, axis=0)[1:]) ** 2
    spectra /= spectra.sum(0)
    dominant = spectra.argmax(0) + 1
    names = [f"vector {i}" for i in range(k)]
    shown = VectorsOverNumbers(vectors, spectra, dominant, names, "number", "value")
    figure = singular_vectors_over_numbers(shown, **WORDS)
    axes = panels_of(figure)
    for i, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        np.testing.assert_array_equal(left.lines[1].get_ydata(), vectors[:, i])
        np.testing.assert_allclose([bar.get_height() for bar in right.patches], spectra[:, i])
        assert left.get_title(loc="left") == names[i]
        share = f"{spectra[dominant[i] - 1, i]:.0%}"
        assert right.get_title(loc="left") == f"{share} at frequency {dominant[i]}"
        assert list(key_names(right)) == [dominant[i]]
        assert left.get_ylim() == axes[0].get_ylim()
    assert_words_stand_apart_and_inside(figure)


def test_a_vector_of_nothing_has_no_frequency():
    nothing = VectorsOverNumbers(
        np.zeros((7, 1)), np.zeros((3, 1)), np.zeros(1, int), ["none"], "", ""
    )
    figure = singular_vectors_over_numbers(nothing, **WORDS)
    _, right = panels_of(figure)
    assert right.get_title(loc="left") == "no power"
    assert not right.texts


def fractions(frequency, explained, null, keys, n_frequencies=56):
    neurons = NeuronFractions(
        frequency, explained, null, 0.85, keys, n_frequencies, "numbers permuted"
    )
    return neuron_fractions(neurons, **WORDS)


def test_neurons_are_counted_where_one_frequency_explains_enough_of_them():
    rng = np.random.default_rng(0)
    keys = (17, 25, 33)
    frequency, explained = rng.choice([*keys, 40], 500), rng.beta(20, 2, 500)
    explained[:2] = 0.85, 1 + 1e-12
    null = rng.beta(3, 40, (4, 500))
    figure = fractions(frequency, explained, null, keys)
    left, right = panels_of(figure)
    for stairs, values in zip(left.patches, (null, explained), strict=True):
        heights, edges, _ = stairs.get_data()
        assert heights.sum() == pytest.approx(1)
        for i in (1, 20, 36):
            inside = (values >= edges[i]) & (values < edges[i + 1])
            assert heights[i] == pytest.approx(inside.mean())
    counted = Counter(
        k for k, x in zip(frequency.tolist(), explained.tolist(), strict=True) if x >= 0.85
    )
    heights = {k: bar.get_height() for k, bar in enumerate(right.patches, 1) if bar.get_height()}
    assert heights == counted
    assert len(right.patches) == 56
    assert set(key_names(right)) == set(keys)
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_neurons_that_are_all_alike_and_no_null_are_drawn(value):
    figure = fractions(np.full(5, round(value)), np.full(5, value), np.zeros((0, 5)), (), 1)
    left, right = panels_of(figure)
    assert [stairs.get_data()[0].sum() for stairs in left.patches] == [0, 1]
    assert [bar.get_height() for bar in right.patches] == [5 * value]
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize("scale", [1, -1e7, 0])
def test_waves_are_stems_of_their_coefficients_over_what_they_explain(scale):
    rng = np.random.default_rng(0)
    keys = (3, 4, 5, 50)
    coefficients = scale * (rng.normal(size=56) + 30 * np.isin(np.arange(1, 57), keys))
    explained = coefficients**2 / max((coefficients**2).sum(), 1e-300)
    waves = WaveCoefficients(
        coefficients, explained, keys, "coefficient of a wave", "fraction of the sum of squares"
    )
    figure = wave_coefficients(waves, **WORDS)
    above, below = panels_of(figure)
    stems, heads = above.collections
    ends = np.array([stem[1] for stem in stems.get_segments()])
    np.testing.assert_array_equal(ends, np.column_stack([np.arange(1, 57), coefficients]))
    np.testing.assert_array_equal(heads.get_offsets(), ends)
    orange = [to_hex(colour).upper() == ORANGE for colour in stems.get_colors()]
    np.testing.assert_array_equal(np.flatnonzero(orange) + 1, keys)
    np.testing.assert_allclose([bar.get_height() for bar in below.patches], explained)
    low, high = above.get_ylim()
    assert low <= coefficients.min()
    assert high > coefficients.max()
    assert set(key_names(above)) == set(key_names(below)) == set(keys)
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize(
    ("n", "k", "limits"),
    [(7, 1, None), (113, 12, None), (7, 2, (0.0, 1.0)), (200, 5, (0.0, 1.0))],
)
def test_maps_have_their_first_row_at_the_bottom_and_colours_of_their_own_or_of_all(n, k, limits):
    rng = np.random.default_rng(0)
    maps = rng.uniform(size=(k, n, n)) * 10.0 ** (np.arange(k) % 7 - 3)[:, None, None]
    maps[-1] = rng.normal(size=(n, n))
    names = [f"neuron {i}, frequency 17, 97% of its variance" for i in range(k)]
    figure = number_maps(NumberMaps(maps, names, "activation", limits), **WORDS)
    panels = panels_of(figure)
    assert len(panels) == k
    assert len(figure.axes) == 1 + k + (k if limits is None else 1)
    for axes, given in zip(panels, maps, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), given)
        assert axes.get_ylim() == axes.get_xlim() == (-0.5, n - 0.5)
        assert image.get_extent() == [-0.5, n - 0.5, -0.5, n - 0.5]
        place = axes.get_window_extent()
        assert place.width == pytest.approx(place.height)
        low, high = image.get_clim()
        if limits:
            assert (low, high) == limits
        elif (given < 0).any():
            assert -low == high == np.abs(given).max()
            assert image.get_cmap().name == "PuOr"
        else:
            assert (low, high) == (0, given.max())
            assert image.get_cmap().name == "cividis"
    assert panels[0].get_ylabel() == "a"
    assert panels[-1].get_xlabel() == "b"
    assert_words_stand_apart_and_inside(figure)


def test_shared_colours_of_two_signs_are_centred_and_maps_of_nothing_are_drawn():
    maps = np.stack([np.zeros((7, 7)), np.full((7, 7), np.nan)])
    both = number_maps(NumberMaps(maps, ["a", "b"], "", (-1, 2)), **WORDS)
    assert panels_of(both)[0].images[0].get_clim() == (-2, 2)
    own = number_maps(NumberMaps(maps, ["a", "b"], ""), **WORDS)
    assert [axes.images[0].get_clim() for axes in panels_of(own)] == [(0, 1)] * 2


@pytest.mark.parametrize("n", [7, 200])
def test_product_spectra_are_named_by_frequency_and_leave_the_constant_out_of_their_scale(n):
    norms = np.random.default_rng(0).uniform(size=(2, n, n))
    norms[0, 0, 0] = 50
    norms[1, 2, 2] = 3
    names = ["neurons, mean", "logits, mean"]
    figure = product_spectrum(ProductSpectrum(norms, names, "norm"), **WORDS)
    panels = panels_of(figure)
    ends = (norms[0].ravel()[1:].max(), 3)
    basis_names = fourier_rows(n)[1]
    for axes, given, end in zip(panels, norms, ends, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), given)
        assert image.get_clim() == (0, end)
        # The square root of a quarter is a half.
        assert image.norm(end / 4) == pytest.approx(0.5)
        for ticks, labels in (
            (axes.get_xticks(), axes.get_xticklabels()),
            (axes.get_yticks(), axes.get_yticklabels()),
        ):
            assert [labels[0].get_text(), ticks[0]] == ["const", 0]
            assert len(ticks) > 3
            for tick, label in zip(ticks[1:], labels[1:], strict=True):
                assert basis_names[tick] == f"cos {label.get_text()}"
    bars = [axes for axes in figure.axes if hasattr(axes, "_colorbar")]
    assert [axes.get_ylabel() for axes in bars] == ["norm, square-root scale"] * 2
    # Only where the constant lies beyond it does a scale go on.
    assert [axes._colorbar.extend for axes in bars] == ["max", "neither"]
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize("heads", [1, 4, 12])
def test_attention_patterns_show_shares_and_what_comes_later_is_empty(heads):
    rng = np.random.default_rng(heads)
    mean = rng.dirichlet((1, 1, 1), heads)
    one = np.tril(rng.uniform(size=(heads, 3, 3)))
    one /= one.sum(-1, keepdims=True)
    given = AttentionPatterns(
        mean,
        one,
        ["a", "b", "="],
        ["117", "45", "="],
        mean_name="attention from “=”, the mean over all 12,769 inputs",
        example_name="attention in the input 117 + 45 =",
    )
    figure = attention_patterns(given, **WORDS)
    table, *patterns = panels_of(figure)
    np.testing.assert_array_equal(table.images[0].get_array(), mean)
    written = {text.get_position(): text.get_text() for text in table.texts}
    assert written == {(j, i): f"{mean[i, j]:.2f}" for i in range(heads) for j in range(3)}
    assert [t.get_text() for t in table.get_yticklabels()] == [f"head {h}" for h in range(heads)]
    assert [t.get_text() for t in table.get_xticklabels()] == ["a", "b", "="]
    assert len(patterns) == heads
    for head, axes in enumerate(patterns):
        assert axes.get_title(loc="left") == f"head {head}"
        (image,) = axes.images
        shown = np.ma.filled(image.get_array(), np.nan)
        rows, columns = np.tril_indices(3)
        np.testing.assert_array_equal(shown[rows, columns], one[head][rows, columns])
        assert np.isnan(shown[[0, 0, 1], [1, 2, 2]]).all()
        assert len(axes.texts) == 6
        assert image.get_clim() == table.images[0].get_clim() == (0, 1)
    assert_words_stand_apart_and_inside(figure)


def curves(count):
    epochs = np.linspace(0, 20000, count).astype(int) if count > 1 else np.zeros(1, int)
    falling = 4.7 * np.exp(-epochs / 900) + 1e-7
    share = epochs / 25000
    panels = [
        TrainingPanel(
            "loss",
            [
                TrainingCurve("train", "train", falling),
                TrainingCurve("test", "test", 3 * falling),
                TrainingCurve("restricted to key frequencies", "restricted", falling**0.5),
                TrainingCurve("key frequencies excluded", "excluded", falling**0.1),
            ],
            "logarithmic",
        ),
        TrainingPanel(
            "accuracy",
            [TrainingCurve("train", "train", share), TrainingCurve("test", "test", share**2)],
            "fraction",
        ),
        TrainingPanel(
            "Gini coefficient",
            [
                TrainingCurve("of the embedding's power", "weights", share),
                TrainingCurve("of the logits' power", "logits", share / 2),
            ],
            "fraction",
        ),
    ]
    return epochs, panels


@pytest.mark.parametrize(
    ("count", "marked"),
    [(1, None), (2, None), (400, ("test accuracy reaches 0.99", 9100.0))],
)
def test_training_curves_are_what_was_given_and_look_alike_in_all_panels(count, marked):
    epochs, panels = curves(count)
    figure = training_curves(TrainingCurves(epochs, panels, marked), **WORDS)
    looks = {}
    for axes, panel in zip(panels_of(figure), panels, strict=True):
        assert axes.get_ylabel() == panel.ylabel
        assert axes.get_yscale() == ("log" if panel.scale == "logarithmic" else "linear")
        before, lines = axes.lines[: marked is not None], axes.lines[marked is not None :]
        assert [line.get_xdata()[0] for line in before] == [9100.0] * len(before)
        for line, curve in zip(lines, panel.curves, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), epochs)
            np.testing.assert_array_equal(line.get_ydata(), curve.values)
            low, high = axes.get_ylim()
            assert low < curve.values.min() <= curve.values.max() < high
            looks.setdefault(curve.role, set()).add((line.get_color(), str(line._dash_pattern)))
            # A single point has no line.
            assert count > 30 or line.get_marker()
    assert all(len(look) == 1 for look in looks.values())
    assert len({look for (look,) in looks.values()}) == 6
    labels = dict.fromkeys(curve.label for panel in panels for curve in panel.curves)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [*labels, *([marked[0]] if marked else [])]
    assert_words_stand_apart_and_inside(figure)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 0.0, 0.0], [1e-10] * 3),
        ([4.7, 1e-30, 0.0], [4.7, 1e-10, 1e-10]),
        ([np.nan, np.nan, np.nan], [np.nan] * 3),
        ([np.inf, 4.7, 1e-30], [np.inf, 4.7, 1e-10]),
        ([4.7, 4.7, 4.7], [4.7] * 3),
        ([1e30, 1e-8, 1.0], [1e30, 1e-8, 1.0]),
    ],
)
def test_losses_of_nothing_are_drawn_at_the_end_of_the_axis_and_the_tick_shows_it(values, drawn):
    panel = TrainingPanel("loss", [TrainingCurve("t", "train", np.array(values))], "logarithmic")
    figure = training_curves(TrainingCurves([0, 1, 2], [panel]), **WORDS)
    (axes,) = panels_of(figure)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), drawn)
    low, high = axes.get_ylim()
    finite = np.array(drawn)[np.isfinite(drawn)]
    assert 0 < low < high < np.inf
    assert (low < finite).all()
    assert (finite < high).all()
    assert_words_stand_apart_and_inside(figure)
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert 2 <= len(ticks) <= 7
    assert (ticks[0] == "≤ 1e-10") == (np.array(values) < 1e-10).any()
