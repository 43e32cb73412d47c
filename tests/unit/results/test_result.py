import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from interp import plotting
from interp.data.activations import Activations
from interp.results.result import Animation, Result, Series
from interp.stats.tested_series import TestedSeries


def drawn():
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.add_subplot().plot([0, 1])
    return figure


def test_a_saved_result_reads_back(tmp_path):
    result = Result(
        series={"similarity": Series.over([0, 3], [0.25, 1 / 3])},
        spectra={"singular_value": np.array([2.0, 0.5])},
        scalars={"peak_layer": 3},
        tables={"words": pd.DataFrame({"word": ["a,b", "na\u00efve"], "n": [1, 2]})},
        figures={"curve": drawn()},
        finding="Found.",
    )
    result.save(tmp_path)
    numbers = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert numbers == {
        "scalars": {"peak_layer": 3},
        "tested": {"specifications": [], "metrics": {}},
        "series": {"similarity": {"layers": [0, 3], "values": [0.25, 1 / 3]}},
        "spectra": {"singular_value": [2.0, 0.5]},
    }
    assert (tmp_path / "finding.txt").read_text(encoding="utf-8") == "Found.\n"
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "tables" / "words.csv"), result.tables["words"], check_dtype=False
    )
    png, svg = ((tmp_path / "figures" / f"curve.{e}").read_bytes() for e in ("png", "svg"))
    assert png.startswith(b"\x89PNG")
    assert b"<svg" in svg


def test_a_saved_tested_series_reads_back(tmp_path):
    tested = TestedSeries(
        "silhouette",
        "silhouette",
        (0, 2, 5),
        np.array([0.5, np.nan, 0.25]),
        p_corrected=np.array([0.01, np.nan, 0.5]),
        interval_low=np.array([0.25, np.nan, 0.0]),
        direction="greater",
        alpha=0.01,
        n_permutations=199,
        undefined={2: "nothing varies"},
    )
    Result(tested=(tested,)).save(tmp_path)
    (found,) = Result.load(tmp_path).tested
    assert found.specification() == tested.specification()
    assert found.steps == tested.steps
    assert found.undefined == {2: "nothing varies"}
    assert found.metrics.keys() == tested.metrics.keys()
    for key, values in tested.metrics.items():
        np.testing.assert_array_equal(found.metrics[key], values)


def test_a_spectrum_is_finite():
    with pytest.raises(ValueError, match="the spectrum singular_value must be finite"):
        Result(spectra={"singular_value": np.array([1.0, np.nan])})


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("first", "second"):
        plotting.save(drawn(), tmp_path / name)
    for ending in ("png", "svg"):
        first, second = (tmp_path / f"{n}.{ending}" for n in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_pixels_are_the_figures_own():
    image = plotting.pixels(drawn())
    assert image.shape == (50, 100, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image.min() < 128


def test_animations_are_saved_and_their_frames_rendered_once(tmp_path, monkeypatch):
    rendered = []

    def counted(figure, render=plotting.pixels):
        rendered.append(figure)
        return render(figure)

    monkeypatch.setattr(plotting, "pixels", counted)
    animation = Animation("What <moves>", {4: drawn(), 7: drawn()}, ("embeddings", "layer 7"))
    result = Result(animations={"points": animation})
    result.save(tmp_path)
    assert rendered == list(animation.frames.values())
    assert {path.name for path in (tmp_path / "animations").iterdir()} == {
        "points.gif",
        "points.html",
    }
    assert (tmp_path / "animations" / "points.gif").read_bytes().startswith(b"GIF89a")
    page = (tmp_path / "animations" / "points.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2
    assert "<title>What &lt;moves&gt;</title>" in page
    assert 'data-name="layer 7"' in page
    assert list(animation.pixels) == [4, 7]
    result.save(tmp_path)
    assert len(rendered) == 2


def test_an_animation_names_every_frame():
    with pytest.raises(ValueError, match="1 frames cannot have 2 names"):
        Animation("", {0: drawn()}, ("one", "two"))
    with pytest.raises(ValueError, match="0 frames"):
        Animation("", {}, ())


def test_what_is_not_finite_or_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="must be finite"):
        Series.over([0, 1], [1.0, np.nan])
    with pytest.raises(ValueError, match="2 layers need as many values"):
        Series.over([0, 1], [1.0])
    with pytest.raises(ValueError, match="scalar z must be finite"):
        Result(scalars={"z": float("inf")})


def test_the_layer_table_lines_series_up_by_layer():
    result = Result(series={"a": Series.over([0, 1], [5, 6]), "b": Series.over([1], [7])})
    table = result.layer_table()
    assert table["layer"].tolist() == [0, 1]
    assert table["a"].tolist() == [5, 6]
    assert np.isnan(table["b"][0])
    assert table["b"][1] == 7


def test_the_layer_table_holds_tested_series_with_their_statistics():
    tested = (
        TestedSeries("value", "cosine", (0, 1), np.array([1.0, 2.0]), null_mean=np.zeros(2)),
        TestedSeries("loss", "nats", (0, 100), np.array([3.0, 4.0]), axis="epoch"),
    )
    table = Result(tested=tested, series={"a": Series.over([1], [7])}).layer_table()
    assert list(table) == ["layer", "value", "value_null_mean", "a"]
    assert table["value"].tolist() == [1.0, 2.0]
    assert table["value_null_mean"].tolist() == [0.0, 0.0]


def test_two_series_of_one_name_are_refused():
    tested = TestedSeries("value", "cosine", (0,), np.ones(1), p=np.ones(1))
    with pytest.raises(ValueError, match="several series have the name layer/value_p"):
        Result(tested=(tested,), series={"value_p": Series.over([0], [1.0])})


def test_activations_never_lose_their_labels():
    samples = pd.DataFrame({"prompt": [0, 0, 1]})
    values = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    found = Activations(values, (4, 7), samples, 1e-5).points(1, np.array([2, 0]))
    np.testing.assert_array_equal(found, values[1, [2, 0]].reshape(2, 4))
    assert found.dtype == np.float64
    with pytest.raises(ValueError, match="the labels are for"):
        Activations(values, (4,), samples, 1e-5)
