"""What somebody sees who sweeps and opens the printed link, in Debian's Chromium.

The README's screenshots are made here too, of a sweep over MiniLM and its untrained twin:

    INTERP_SCREENSHOTS=docs/figures python -m pytest tests/test_browser.py -k screenshots
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from interp.tracking import Store

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()
# Milliseconds: longer than anything takes on a machine that is busy with other tests.
PATIENCE = 90_000
playwright.expect.set_options(timeout=PATIENCE)

SHOTS = os.environ.get("INTERP_SCREENSHOTS", "")
# A model of one's own beside one of the project's; they differ in depth, so that curves do too.
DEEP = """\
name: random
architecture: gpt2
settings: {n_layer: 4, n_embd: 32, n_head: 4, n_positions: 256}
seed: 1
"""
METRICS = "metric=cosine,linear_cka"
SMALL = ("model=tiny,deep", METRICS, "prompts.count=6", "analysis.permutations=19")
FULL = ("model=minilm,minilm_untrained", METRICS)
# Leaves an animation.
SPREAD = ("experiment=counting", "model=tiny", "analysis.permutations=19")


@dataclass(frozen=True)
class Served:
    """A store behind `interp ui`, with what the sweep printed last.

    Attributes:
        link: the page, as printed.
        named: the page that `interp ui` names.
        jobs: the sweep's runs, by name.
        spread: the run that leaves an animation.
    """

    client: MlflowClient
    address: str
    link: str
    named: str
    parent: Run
    jobs: dict[str, Run]
    spread: Run

    def curve(self, job: Run, key: str) -> tuple[list[int], list[float]]:
        """What the store holds of a metric: steps and values."""
        history = self.client.get_metric_history(job.info.run_id, key)
        points = sorted((metric.step, metric.value) for metric in history)
        return [step for step, _ in points], [value for _, value in points]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "interp", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(address):
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    outputs, own = tmp_path_factory.mktemp("outputs"), tmp_path_factory.mktemp("own")
    (own / "model").mkdir()
    (own / "model" / "deep.yaml").write_text(DEEP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = (f"outputs={outputs}", f"tracking.port={port}")
    processes = [
        start("-m", "--config-dir", str(own), *(FULL if SHOTS else SMALL), *at),
        start(*SPREAD, *at),
    ]
    try:
        (said, errors), told = (process.communicate(timeout=300) for process in processes)
        assert [process.returncode for process in processes] == [0, 0], (said, errors, told)
        link = re.fullmatch(r"page     (http\S+)", said.splitlines()[-1])[1]
        processes.append(start("ui", *at))
        address = re.match(r"MLflow on (\S+)", processes[-1].stdout.readline())[1]
        named = re.fullmatch(r"page     (http\S+)\n", processes[-1].stdout.readline())[1]
        wait_for(address)
        client = Store.of(str(outputs), None, port).client
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments)
        (parent,) = (run for run in runs if "sweep" in run.data.tags)
        jobs = {r.info.run_name: r for r in runs if "mlflow.parentRunId" in r.data.tags}
        assert len(jobs) == 4
        (spread,) = (run for run in runs if run.data.tags.get("analysis") == "layer_geometry")
        yield Served(client, address, link, named, parent, jobs, spread)
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(chromium):
    """Open a page as somebody would who never did before; a page that waits for a network fails."""
    contexts, foreign = [], []

    def refuse(route):
        foreign.append(route.request.url)
        route.abort()

    def open_(address, height=2600, scripts=(), width=1440):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}))
        contexts[-1].set_default_timeout(PATIENCE)
        contexts[-1].route(lambda url: not url.startswith("http://127.0.0.1:"), refuse)
        page = contexts[-1].new_page()
        for script in scripts:
            page.add_init_script(script)
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert foreign == []


@pytest.fixture(scope="module")
def view(opened, served):
    return opened(served.link)


def card(page, title):
    """The chart of that title."""
    cards = page.get_by_test_id("experiment-view-compare-runs-card")
    return cards.filter(has=page.get_by_text(title, exact=True)).first


# What Plotly has drawn: its traces, and the colours of the lines that can be seen.
DRAWN = """card => {
    const plot = card.querySelector('.js-plotly-plot');
    const lines = plot ? [...plot.querySelectorAll('path.js-line')] : [];
    const seen = lines.filter(line => line.style.strokeOpacity == 1 && line.getTotalLength() > 9);
    return {
        traces: plot ? plot.data.map(({type, name, x, y}) => ({type, name, x, y})) : [],
        strokes: [...new Set(seen.map(line => line.style.stroke))],
        bars: plot ? plot.querySelectorAll('.bars .point').length : 0,
    };
}"""


def drawn(chart, is_done):
    """What a chart shows, as soon as it shows all that it is asked for."""
    chart.scroll_into_view_if_needed()
    chart.page.wait_for_function(
        f"card => (shown => {is_done})(({DRAWN})(card))", arg=chart.element_handle()
    )
    return chart.evaluate(DRAWN)


def test_the_ui_names_the_page_that_the_sweep_printed(served):
    assert served.named == served.link


@pytest.mark.parametrize("key", ["layer/value_score", "layer/value"])
def test_the_printed_link_shows_a_curve_a_job_over_layers(view, served, key):
    shown = drawn(card(view, key), "shown.strokes.length >= 4")
    # MLflow draws each curve twice: as it is, and smoothed.
    curves = {trace["name"]: (trace["x"], trace["y"]) for trace in shown["traces"]}
    assert curves.keys() == served.jobs.keys()
    for name, (layers, values) in curves.items():
        steps, expected = served.curve(served.jobs[name], key)
        assert layers == steps
        assert len(steps) > 3
        assert values == pytest.approx(expected)
    colours = {run.data.tags["mlflow.runColor"] for run in served.jobs.values()}
    rgb = {f"rgb({int(c[1:3], 16)}, {int(c[3:5], 16)}, {int(c[5:], 16)})" for c in colours}
    assert set(shown["strokes"]) == rgb
    assert len(rgb) == 4


def test_the_curves_come_first_and_then_the_images_and_the_bars(view):
    headers = view.get_by_test_id("experiment-view-compare-runs-section-header")
    playwright.expect(headers).to_have_count(5)
    names = [text.splitlines()[0].partition(" (")[0] for text in headers.all_inner_texts()]
    assert names == ["over layers", "null distribution", "numbers", "layer", "Model metrics"]


def test_the_printed_link_lists_the_jobs_alone_by_name(view, served):
    rows = view.locator("[role=gridcell] a[href*='/runs/']")
    playwright.expect(rows).to_have_text(sorted(served.jobs))
    playwright.expect(view.get_by_text(served.parent.info.run_name, exact=True)).to_have_count(1)


def test_a_number_logged_once_is_a_bar_a_job(view, served):
    shown = drawn(card(view, "peak_value"), "shown.bars >= 4")
    (bars,) = shown["traces"]
    assert (bars["type"], shown["bars"]) == ("bar", 4)
    found = dict(zip(bars["y"], bars["x"], strict=True))
    assert found == pytest.approx(
        {job.info.run_id: job.data.metrics["peak_value"] for job in served.jobs.values()}
    )


# The images of a grid that have loaded, by their addresses.
LOADED = """card => [...card.querySelectorAll('img')]
    .filter(image => image.complete && image.naturalWidth > 100).map(image => image.src)"""


def show_layer(view, grid, layer, jobs):
    """Wait until a grid shows the image of a layer of so many jobs."""
    view.wait_for_function(
        f"([card, step, count]) => ({LOADED})(card).filter(a => a.includes(step)).length == count",
        arg=[grid.element_handle(), f"%2Bstep%2B{layer}%2B", jobs],
    )


def test_the_image_grid_has_a_slider_with_a_step_a_layer(view, served):
    grid = card(view, "null_distribution")
    grid.scroll_into_view_if_needed()
    depths = [served.curve(job, "layer/value")[0][-1] for job in served.jobs.values()]
    slider = grid.get_by_role("slider")
    playwright.expect(slider).to_have_attribute("aria-valuemax", str(max(depths)))
    seen = set()
    for layer in range(max(depths) + 1):
        playwright.expect(slider).to_have_attribute("aria-valuenow", str(layer))
        show_layer(view, grid, layer, sum(depth >= layer for depth in depths))
        seen |= set(grid.evaluate(LOADED))
        slider.press("ArrowRight")
    assert len(seen) >= sum(depths) + len(depths)


def test_the_parents_page_shows_what_was_swept(opened, served):
    note = served.parent.data.tags["mlflow.note.content"]
    page = opened(
        f"{served.address}/#/experiments/{served.parent.info.experiment_id}/runs/"
        f"{served.parent.info.run_id}"
    )
    first = next(line for line in note.splitlines() if re.search(r"\w", line))
    words = re.sub(r"[\W_]+", " ", first).strip()
    page.wait_for_function(
        "words => document.body.innerText.replace(/[^\\p{L}\\p{N}]+/gu, ' ').includes(words)",
        arg=words,
    )


def artifacts(opened, address, run):
    """Open a run's artifacts."""
    about = run.info
    return opened(f"{address}/#/experiments/{about.experiment_id}/runs/{about.run_id}/artifacts")


# Whether the artifact view shows a picture, other than the one of that address.
PICTURE = """before => [...document.querySelectorAll('img')].some(
    image => image.src != before && image.naturalWidth > 300 && image.offsetHeight > 100)"""


def test_the_parents_figure_is_visible(opened, served):
    page = artifacts(opened, served.address, served.parent)
    page.get_by_text("figures", exact=True).click()
    page.get_by_text(re.compile(r"^\w+\.png$")).first.click()
    page.wait_for_function(PICTURE)


def test_a_runs_artifacts_are_previewed(opened, served):
    page = artifacts(opened, served.address, served.spread)
    page.get_by_text("figures", exact=True).click()
    page.get_by_text("layers.png", exact=True).click()
    page.wait_for_function(PICTURE)
    picture = page.locator("img[src^='blob:']:visible")
    before = picture.get_attribute("src")
    page.get_by_text("animations", exact=True).click()
    page.get_by_text("layers.gif", exact=True).click()
    page.wait_for_function(PICTURE, arg=before)
    first, deadline = picture.screenshot(), time.monotonic() + PATIENCE / 1000
    while picture.screenshot() == first:
        assert time.monotonic() < deadline, "the animation stands still"
    page.get_by_text("layers.html", exact=True).click()
    player = page.frame_locator("iframe")
    slider, images = player.get_by_role("slider", name="Frame"), player.locator("img")
    layers, _ = served.curve(served.spread, "layer/explained_variance")
    playwright.expect(images).to_have_count(len(layers))
    playwright.expect(slider).to_have_attribute("max", str(len(layers) - 1))
    # A key on the slider stops what plays.
    slider.press("Home")
    playwright.expect(slider).to_have_value("0")
    player.get_by_role("button", name="Next frame").click()
    playwright.expect(slider).to_have_value("1")
    playwright.expect(images.nth(0)).to_be_hidden()
    playwright.expect(images.nth(1)).to_be_visible()
    playwright.expect(player.get_by_text("layer 1", exact=False).first).to_be_visible()


def keep(shot, name):
    """Keep a screenshot under a name, in as few bytes as nothing is lost by."""
    Image.open(shot).convert("RGB").save(shot.with_name(name), optimize=True)


def test_screenshots_for_the_readme(opened, served, tmp_path):
    # MLflow's assistant, which opens by itself the first time, has been closed once.
    closed = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
    options = {"animations": "disabled", "style": "[data-assistant-ui] {visibility: hidden}"}
    raw = tmp_path / "raw.png"
    page = opened(served.link, 830, [closed], width=1280)
    page.get_by_label("Toggle sidebar").click()
    page.get_by_label("Hide banner").click()
    for key in ("layer/value_score", "layer/value"):
        drawn(card(page, key), "shown.strokes.length >= 4")
    page.mouse.move(640, 5)
    page.screenshot(path=raw, **options)
    keep(raw, "mlflow_sweep.png")
    # So wide that two images stand side by side.
    page.set_viewport_size({"width": 1030, "height": 1800})
    grid = card(page, "null_distribution")
    grid.scroll_into_view_if_needed()
    for _ in range(3):
        grid.get_by_role("slider").press("ArrowRight")
    show_layer(page, grid, 3, 4)
    page.mouse.move(640, 5)
    grid.screenshot(path=raw, **options)
    keep(raw, "mlflow_images.png")
    for name in ("mlflow_sweep.png", "mlflow_images.png"):
        assert (tmp_path / name).stat().st_size < 300_000
        if SHOTS:
            shutil.copy(tmp_path / name, ROOT / SHOTS / name)
