"""Figures read back from their artists, and animations from their files."""

import base64
import io
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from PIL import Image, ImageSequence

from interp import plotting
from interp.plotting import Cells, Labels, Layout
from interp.plotting.style import mark
from interp.stats.permutation_tests import permutation_test
from interp.stats.tested_series import TestedSeries


def cloud(n_layers, n, groups=("digits", "words"), seed=0, **given):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.normal(size=(n_layers, n, 2)), axis=0)
    names = tuple(groups[i * len(groups) // n] for i in range(n))
    labels = tuple(f"point {i}" for i in range(n))
    return Layout(points, names, **({"labels": labels} | given))


def frames(layout, title="Layer", subtitle="tiny"):
    n = len(layout.points)
    return plotting.layout_frames(
        layout,
        tuple(range(10, 10 + n)),
        titles=[f"{title} {i}" for i in range(n)],
        # One that is wrapped must not move the axes of the others.
        subtitles=[subtitle * (40 if i == 1 else 1) for i in range(n)],
        xlabel="first",
        ylabel="second",
    )


def panels(layout, title="What moves", subtitle="tiny", units="layers"):
    labels = plotting.Labels(title, subtitle, xlabel="first", ylabel="second")
    names = [f"layer {i}" for i in range(len(layout.points))]
    return plotting.draw_layout_panels(layout, names, labels, "", units)


def written(figure, axes):
    """The labels in an axes, without its subtitle, and their boxes in pixels."""
    plotting.pixels(figure)
    texts = [text for text in axes.texts if text.get_text() and text.get_path_effects()]
    return texts, [text.get_window_extent() for text in texts]


def drawn_points(axes):
    scatters = [c for c in axes.collections if isinstance(c, PathCollection)]
    return np.vstack([np.asarray(c.get_offsets()) for c in scatters])


@pytest.fixture(scope="module")
def moving():
    layout = cloud(3, 48, paths=(np.arange(24), np.arange(20, 28)))
    return layout, frames(layout)


def test_frames_are_of_one_size_and_nothing_moves_but_the_points(moving):
    layout, found = moving
    assert list(found) == [10, 11, 12]
    assert len({plotting.pixels(figure).shape for figure in found.values()}) == 1
    axes = [figure.axes[0] for figure in found.values()]
    assert len({(a.get_xlim(), a.get_ylim(), a.get_position().bounds) for a in axes}) == 1
    low, high = layout.points.min((0, 1)), layout.points.max((0, 1))
    assert axes[0].get_xlim()[0] < low[0] < high[0] < axes[0].get_xlim()[1]
    assert axes[0].get_ylim()[0] < low[1] < high[1] < axes[0].get_ylim()[1]
    for i, a in enumerate(axes):
        expected = layout.points[i]
        np.testing.assert_array_equal(drawn_points(a), expected)
        titles = a.get_title(loc="left")
        assert titles == f"Layer {i}"


@pytest.mark.parametrize("stretch", [(1, 1), (1, 0.01), (0.01, 1), (0, 0), (0, 1)])
def test_one_unit_is_as_long_on_either_axis(stretch):
    layout = cloud(2, 12)
    layout = Layout(layout.points * stretch, layout.groups, ("",) * 12)
    for figure in (*frames(layout).values(), panels(layout)):
        plotting.pixels(figure)
        axes = figure.axes[-1]
        place = axes.get_position(original=True).bounds
        assert axes.get_position().bounds == pytest.approx(place)
        x, y = np.abs(np.diff(axes.transData.transform([(0, 0), (1, 1)]), axis=0))[0]
        assert x == pytest.approx(y)


@pytest.mark.parametrize("n", [10, 48, 130])
def test_labels_overlap_neither_each_other_nor_points_and_stay_inside(n):
    layout = cloud(1, n)
    figure = frames(layout)[10]
    axes = figure.axes[0]
    texts, boxes = written(figure, axes)
    assert min(n, 25) * 0.8 <= len(texts) <= n
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    dots = axes.transData.transform(layout.points[0])
    (discs, *_) = [c for c in axes.collections if isinstance(c, PathCollection)]
    radius = np.sqrt(discs.get_sizes().max()) / 2 * figure.dpi / 72
    for box in boxes:
        nearest = np.clip(dots, box.min, box.max)
        assert np.hypot(*(nearest - dots).T).min() > radius
        assert axes.bbox.contains(*box.min)
        assert axes.bbox.contains(*box.max)
    # Each stands nearer to a point than a leader may reach.
    by_name = dict(zip(layout.labels, dots, strict=True))
    for text, box in zip(texts, boxes, strict=True):
        x, y = by_name[text.get_text()]
        apart = np.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
        assert apart < 0.15 * axes.bbox.width


def test_long_labels_are_cut_and_empty_ones_are_none():
    long = "a label that goes on and on"
    layout = cloud(1, 4, labels=(long, "", "two\nlines", "four"))
    figure = frames(layout)[10]
    texts, _ = written(figure, figure.axes[0])
    assert sorted(text.get_text() for text in texts) == ["a label that goes…", "four", "two lines"]
    bare = frames(cloud(1, 4, labels=("",) * 4))[10]
    assert not written(bare, bare.axes[0])[0]


def test_where_no_label_has_room_none_is_written(capsys):
    points = np.random.default_rng(0).uniform(size=(1, 6000, 2))
    points[0, :3] = 0.5
    layout = Layout(points, ("all",) * 6000, ("in the midst",) * 3 + ("",) * 5997)
    figure = panels(layout)
    assert not written(figure, figure.axes[1])[0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("length", range(60, 130, 7))
def test_titles_of_any_length_stay_inside_of_frames(length):
    title, subtitle = ("of many words " * 20)[:length], ("and of more " * 20)[: 2 * length]
    figure = frames(cloud(1, 2, labels=("",) * 2), title, subtitle)[10]
    height, width, _ = plotting.pixels(figure).shape
    (axes,) = figure.axes
    bold, fine = axes._left_title.get_window_extent(), axes.texts[0].get_window_extent()
    assert height > bold.y1 > bold.y0 > fine.y1 > fine.y0 > axes.bbox.y1
    assert max(bold.x1, fine.x1) < width


def test_paths_go_through_their_points_in_order(moving):
    layout, found = moving
    (lines,) = [c for c in found[12].axes[0].collections if hasattr(c, "get_segments")]
    for segment, path in zip(lines.get_segments(), layout.paths, strict=True):
        np.testing.assert_array_equal(segment, layout.points[2][path])
    # The second leaves its group, and takes no group's colour.
    assert to_hex(lines.get_colors()[0]).upper() == mark(0).colour
    assert len({to_hex(colour) for colour in lines.get_colors()}) == 2


def test_equal_input_gives_equal_figures(moving):
    layout, found = moving
    again = frames(Layout(layout.points, layout.groups, layout.labels, layout.paths))
    for layer, figure in found.items():
        np.testing.assert_array_equal(plotting.pixels(figure), plotting.pixels(again[layer]))


@pytest.mark.parametrize("n", [12, 400])
def test_every_group_has_its_own_mark_and_every_point_is_drawn(n):
    names = tuple(f"group {i}" for i in range(11))
    layout = cloud(1, n, groups=names, labels=("",) * n)
    figure = panels(layout)
    axes = figure.axes[1]
    found, expected = (np.array(sorted(p.tolist())) for p in (drawn_points(axes), layout.points[0]))
    np.testing.assert_array_equal(found, expected)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(dict.fromkeys(layout.groups))
    marks = {(line.get_marker(), line.get_color()) for line in legend.get_lines()}
    assert len(marks) == 11
    plotting.pixels(figure)
    box = legend.get_window_extent()
    assert box.y1 < axes.get_tightbbox().y0
    assert figure.bbox.contains(*box.min)
    assert figure.bbox.contains(*box.max)
    assert len({mark(i)[:2] for i in range(64)}) == 64


def test_panels_share_their_scale_and_none_covers_another():
    layout = cloud(7, 16)
    figure = panels(layout, title="A long title, " * 20, subtitle="and a long subtitle, " * 20)
    around, *axes = figure.axes
    assert [a.get_title(loc="left") for a in axes] == [f"layer {i}" for i in range(7)]
    assert len({(a.get_xlim(), a.get_ylim()) for a in axes}) == 1
    for i, a in enumerate(axes):
        np.testing.assert_array_equal(drawn_points(a), layout.points[i])
    height, width, _ = plotting.pixels(figure).shape
    for a, b in itertools.combinations([a.get_tightbbox() for a in axes], 2):
        assert not a.overlaps(b)
    title, subtitle = around._left_title.get_window_extent(), around.texts[0].get_window_extent()
    assert title.x1 < width
    assert title.y1 < height
    assert title.y0 > subtitle.y1 > subtitle.y0 > max(a.get_tightbbox().y1 for a in axes)
    lowest = min(a.get_tightbbox().y0 for a in axes)
    assert figure.legends[0].get_window_extent().y1 < around.xaxis.label.get_window_extent().y0
    assert around.xaxis.label.get_window_extent().y1 < lowest
    assert around.yaxis.label.get_window_extent().x0 > 0
    assert around.yaxis.label.get_window_extent().x1 < min(a.get_tightbbox().x0 for a in axes)
    # Few labels are written also where there is little room.
    texts, boxes = written(figure, axes[0])
    assert len(texts) > 8
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_of_many_layers_an_even_subset_is_shown_and_named():
    layout = cloud(49, 20)
    figure = panels(layout, units="places")
    shown = [a.get_title(loc="left") for a in figure.axes[1:]]
    assert len(shown) == 16
    assert (shown[0], shown[-1]) == ("layer 0", "layer 48")
    assert set(np.diff([int(name.split()[1]) for name in shown])) == {3, 4}
    assert figure.axes[0].texts[0].get_text() == "tiny · 16 of 49 places"
    np.testing.assert_array_equal(drawn_points(figure.axes[-1]), layout.points[48])
    # So many labels would cover a small panel.
    assert not written(figure, figure.axes[1])[0]


def test_a_layout_that_does_not_fit_together_is_refused():
    points = np.zeros((2, 3, 2))
    with pytest.raises(ValueError, match=r"must be \[layer, 2, 2\]"):
        Layout(points, ("a", "b"), ("", ""))
    with pytest.raises(ValueError, match="with 3 labels, not 1"):
        Layout(points, ("a",) * 3, ("",))
    with pytest.raises(ValueError, match="finite"):
        Layout(points * np.nan, ("a",) * 3, ("",) * 3)
    with pytest.raises(ValueError, match="2 layers need as many keys, not 1"):
        plotting.layout_frames(
            Layout(points, ("a",) * 3, ("",) * 3),
            (0,),
            titles=["one"],
            subtitles=[""],
            xlabel="",
            ylabel="",
        )
    layout = Layout(points, ("a",) * 3, ("",) * 3)
    with pytest.raises(ValueError, match="2 layers need as many titles, not 1"):
        plotting.draw_layout_panels(layout, ["one"], plotting.Labels(""), "")


@pytest.fixture(scope="module")
def played(moving, tmp_path_factory):
    """The frames as pixels, and the files made of them."""
    folder = tmp_path_factory.mktemp("animations")
    images = [plotting.pixels(figure) for figure in moving[1].values()]
    # Twice the same, as where two layers look alike.
    images.append(images[-1])
    plotting.gif(images, folder / "moving.gif")
    names = ["embeddings", "layer <1> & 'more'", "layer 2", "layer 2 again"]
    plotting.player(images, names, "Digits & <words>", folder / "moving.html")
    return images, folder


def test_each_frame_of_the_gif_is_its_picture_and_no_overlay(played):
    images, folder = played
    shown, times = [], []
    with Image.open(folder / "moving.gif") as gif:
        assert gif.info["loop"] == 0
        for frame in ImageSequence.Iterator(gif):
            times.append(frame.info["duration"])
            shown.append(np.asarray(frame.convert("RGB")).astype(int))
    # Equal frames in a row are one that lasts longer.
    assert times == [900, 900, 3400]
    background = (images[0] == 255).all(-1)
    assert background.mean() > 0.8
    for i, found in enumerate(shown):
        apart = np.abs(found - images[i])
        assert apart.mean() < 0.2
        assert apart.max() < 48
        # Where one frame has a point and the next has none, nothing is left of it.
        white = (images[i] == 255).all(-1)
        assert (found[white] == 255).all()
    assert np.abs(shown[0] - shown[1]).max() > 150


def test_a_gif_of_few_colours_keeps_every_one(tmp_path):
    rng = np.random.default_rng(0)
    images = list(rng.choice([0, 7, 128, 250], size=(3, 20, 30, 3)).astype(np.uint8))
    plotting.gif(images, tmp_path / "new" / "few.gif")
    with Image.open(tmp_path / "new" / "few.gif") as gif:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
    np.testing.assert_array_equal(shown, images)
    with pytest.raises(ValueError, match="one size"):
        plotting.gif([images[0], images[1][:5]], tmp_path / "few.gif")


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.words[self.open[-1]] = self.words.get(self.open[-1], "") + data


def test_the_player_holds_every_frame_and_needs_nothing_else(played):
    images, folder = played
    text = (folder / "moving.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []
    assert page.words["title"] == "Digits & <words>"
    assert "<words>" not in text
    bare = re.sub(r"base64,[^\"]+", "base64,", text)
    assert not re.search(r"https?:|//[a-z]|\bsrc=\"(?!data:)|\bhref=|@import|url\(", bare)
    shown = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [attributes["data-name"] for attributes in shown][1] == "layer <1> & 'more'"
    assert shown[1]["alt"] == "Digits & <words>: layer <1> & 'more'"
    for attributes, image in zip(shown, images, strict=True):
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as png:
            np.testing.assert_array_equal(np.asarray(png), image)
    (slider,) = [attributes for tag, attributes in page.tags if tag == "input"]
    assert (slider["min"], slider["max"]) == ("0", "3")
    assert "prefers-reduced-motion" in text
    for tag, attributes in page.tags:
        if tag in ("input", "select"):
            assert attributes["aria-label"]
    with pytest.raises(ValueError, match=r"zip\(\)"):
        plotting.player(images, ["one"], "", folder / "short.html")


def against_chance(n_layers, seed=0):
    rng = np.random.default_rng(seed)
    null = rng.normal(size=(n_layers, 199))
    observed = np.linspace(-1, 8, n_layers)
    # Beyond most draws of its own layer, but not of all layers at once.
    observed[n_layers // 2] = 2.2
    return observed, permutation_test(observed, null, "greater")


def over_layers(layers, series, step_names=()):
    """Draw series, each given as its label, its values and its test."""
    drawn = [
        TestedSeries.from_test("x", label, layers, values, *test)
        if test
        else TestedSeries("x", label, layers, values)
        for label, values, *test in series
    ]
    labels = Labels("What is found", "tiny", "layer")
    return plotting.draw_statistics(drawn, labels, "95% of the null", step_names)


def test_statistics_carry_their_band_their_mean_and_their_marks():
    (first, null), (second, other) = against_chance(6), against_chance(6, seed=1)
    layers = (2, 3, 5, 7, 8, 9)
    assert null.p[3] < 0.05 <= null.p_corrected[3]
    figure = over_layers(
        layers,
        [
            ("one", first, null),
            ("two", -second, other),
            ("three", first),
        ],
    )
    top, middle, bottom = figure.axes
    for axes, values, expected in ((top, first, null), (middle, -second, other)):
        (band,) = axes.collections
        corners = band.get_paths()[0].vertices
        for layer, low, high in zip(layers, expected.null_low, expected.null_high, strict=True):
            heights = corners[corners[:, 0] == layer, 1]
            assert (heights.min(), heights.max()) == pytest.approx((low, high))
        mean, curve, filled, open_ = axes.lines
        np.testing.assert_array_equal(mean.get_ydata(), expected.null_mean)
        np.testing.assert_array_equal(curve.get_ydata(), values)
        significant = expected.p_corrected < 0.05
        np.testing.assert_array_equal(filled.get_xdata(), np.array(layers)[significant])
        np.testing.assert_array_equal(filled.get_ydata(), values[significant])
        np.testing.assert_array_equal(open_.get_ydata(), values[~significant])
        assert open_.get_markerfacecolor() == "white"
        assert filled.get_markerfacecolor() != "white"
    (alone,) = bottom.lines
    np.testing.assert_array_equal(alone.get_ydata(), first)
    assert not bottom.collections
    assert [axes.get_ylabel() for axes in figure.axes] == ["one", "two", "three"]
    assert list(bottom.get_xticks()) == list(layers)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(legend) == sorted(
        [
            "95% of the null",
            "mean of the null",
            "p < 0.05, corrected over layers",
            "p ≥ 0.05, corrected over layers",
        ]
    )


def sublayers(n):
    return ["embed", *[f"{kind} {i}" for i in range(n) for kind in ("attn", "mlp")]]


@pytest.mark.parametrize(
    "names", [sublayers(3), sublayers(12), sublayers(48), [f"a longer name {i}" for i in range(9)]]
)
def test_names_of_layers_do_not_collide(names):
    observed, null = against_chance(len(names))
    figure = over_layers(tuple(range(len(names))), [("one", observed, null)], step_names=names)
    plotting.pixels(figure)
    shown = [tick for tick in figure.axes[0].get_xticklabels() if tick.get_text()]
    assert shown[0].get_text().replace("\n", " ") == names[0]
    assert len(shown) >= min(len(names), 25)
    rotation = np.radians(shown[0].get_rotation())
    for a, b in itertools.pairwise(shown):
        if rotation:
            # The lines that slanted names stand on are so far apart.
            step = np.diff([t.get_transform().transform(t.get_position())[0] for t in (a, b)])[0]
            assert step * np.sin(rotation) > a.get_fontsize() * figure.dpi / 72
        else:
            assert not a.get_window_extent().overlaps(b.get_window_extent())
    with pytest.raises(ValueError, match="places need as many names"):
        over_layers((0, 1), [("one", np.zeros(2))], step_names=["a", "b", "c"])


def test_a_single_layer_and_statistics_without_nulls_are_drawn():
    observed, null = against_chance(1)
    both = over_layers((4,), [("one", observed, null), ("two", observed)])
    assert list(both.axes[1].get_xticks()) == [4]
    assert both.axes[1].lines[0].get_marker() == "_"
    alone = over_layers((4, 5), [("two", np.array([1.0, 2.0]))])
    assert not alone.legends
    assert plotting.pixels(both).min() < 128 > plotting.pixels(alone).min()


def heatmap(values, significant, **given):
    rows, columns = ([str(i) for i in range(n)] for n in values.shape)
    cells = Cells(
        given.get("rows", rows),
        given.get("columns", columns),
        values,
        "change",
        significant,
        "p ≥ 0.05",
    )
    labels = Labels("Heads", "tiny", "head", "layer")
    return plotting.draw_heatmap(cells, labels, signed=given.get("signed", True))


def values_in(axes):
    """The values in the cells: all texts but the subtitle, which begins at the left."""
    return [text for text in axes.texts if text.get_ha() == "center"]


def test_a_heatmap_shows_signs_what_is_not_significant_and_every_value():
    values = np.array([[-0.5, 0.25, np.nan], [0.001, -0.0001, 0.125]])
    significant = np.array([[True, False, False], [False, True, True]])
    figure = heatmap(values, significant, rows=["low", "high"])
    axes = figure.axes[0]
    (image,) = axes.images
    assert image.get_clim() == (-0.5, 0.5)
    np.testing.assert_array_equal(image.get_array().filled(np.nan), values)
    (hatching,) = [patch for patch in axes.patches if patch.get_hatch()]
    cells = [outline.mean(axis=0) for outline in hatching.get_path().to_polygons(closed_only=False)]
    hatched = {(round(y), round(x)) for x, y in cells}
    # What has no value is not called insignificant.
    assert hatched == {(0, 1), (1, 0)}
    shown = {tuple(t.get_position()): t.get_text() for t in values_in(axes)}
    assert shown == {
        (0, 0): "−0.500",
        (1, 0): "0.250",
        (0, 1): "0.001",
        (1, 1): "0.000",
        (2, 1): "0.125",
    }
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["low", "high"]
    # The first row lies at the bottom.
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["p ≥ 0.05"]
    assert not heatmap(values, np.ones_like(significant)).legends


def test_a_heatmap_without_signs_runs_from_its_least_to_its_largest():
    figure = heatmap(np.array([[120.4, 30.0], [40.0, 100.0]]), np.ones((2, 2), bool), signed=False)
    axes = figure.axes[0]
    assert axes.images[0].get_clim() == (30, 120.4)
    assert {t.get_text() for t in values_in(axes)} == {"120", "30", "40", "100"}


@pytest.mark.parametrize("shape", [(97, 3), (32, 32), (1, 1), (49, 5)])
def test_texts_in_heatmaps_of_any_shape_do_not_overlap(shape):
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape)
    columns = [f"a name of some length {i}" if shape[1] < 9 else str(i) for i in range(shape[1])]
    figure = heatmap(values, values > 0, columns=columns)
    height, width, _ = plotting.pixels(figure).shape
    assert max(height, width) < 1300
    axes = figure.axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [tick.get_window_extent() for tick in ticks if not tick.get_rotation()]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    texts = [t.get_window_extent() for t in values_in(axes)]
    assert len(texts) == (values.size if shape in ((1, 1), (49, 5)) else 0)
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(texts))
