"""A run is identified by the code that decides its result, and activations by what reads them."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interp import compose
from interp.cache import ActivationStore
from interp.cache.request import Request
from interp.core import source_code
from interp.core.configuration import resolved
from interp.runner.build import build
from interp.runner.fingerprint import tags_of
from interp.runner.inputs import Inputs

ROOT = Path(__file__).parents[2]
SMALL = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")
BY_TOKENS = ("analysis=token_similarity", "position=target", "prompts=red_cat_blue_cat")
RUNS = {
    "cosine": SMALL,
    "svcca": (*SMALL, "metric=svcca"),
    "procrustes": (*SMALL, "metric=procrustes"),
    "linear_cka": (*SMALL, "metric=linear_cka"),
    "mlp_post": (*SMALL, "hook=mlp_post"),
    "result": (*SMALL, "hook=result", "position=last"),
    "reduced": (*SMALL, "reduction=pca", "reduction.n_components=2"),
    "layer_matrix": (*SMALL, "analysis=layer_matrix"),
    "token_similarity": ("model=tiny", "model.device=cpu", *BY_TOKENS),
    "letters": ("model=tiny", "model.device=cpu", "experiment=letters"),
}
ALL = set(RUNS)
READING = ALL - {"letters"}
COSINE = READING - {"svcca", "procrustes", "linear_cka"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the project's source."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("interp", "experiments", "conf"):
        ignored = shutil.ignore_patterns("__pycache__", "weights", "*.safetensors")
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=ignored)
    assert (root / "interp" / "experiments").is_symlink()
    return root


@pytest.fixture(scope="module")
def experiments():
    configs = {name: compose(*overrides) for name, overrides in RUNS.items()}
    return {name: (build(config), resolved(config)) for name, config in configs.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ActivationStore(tmp_path_factory.mktemp("activations"), 10**9)


@pytest.fixture(scope="module")
def identities(tree, experiments, store):
    """Return the fingerprint of each run, and the key of what it reads, by the tree's code."""

    def found():
        # A file is read once per process; here it changes in between.
        source_code._reader.cache_clear()
        fingerprints, keys = {}, {}
        for name, (e, settings) in experiments.items():
            inputs = Inputs(e, store.folder, store)
            fingerprints[name] = tags_of(e, inputs, settings)["fingerprint"]
            keys[name] = Request(e.source, e.prompts, e.hook, e.position).key
        return fingerprints, keys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_code, "_PROJECT_ROOT", tree)
        yield found
    source_code._reader.cache_clear()


@pytest.fixture(scope="module")
def changed_by(identities):
    """Edit a file of the tree; return the runs whose fingerprint, and whose key, changed."""
    before = identities()

    def edit(file, change):
        text = file.read_text(encoding="utf-8")
        edited = change(text)
        assert edited != text
        compile(edited, str(file), "exec")
        file.write_text(edited, encoding="utf-8")
        try:
            after = identities()
        finally:
            file.write_text(text, encoding="utf-8")
        return tuple(
            {name for name in RUNS if old[name] != new[name]}
            for old, new in zip(before, after, strict=True)
        )

    return edit


def in_code(name):
    """An edit that adds a statement to a function or method: "pearson", "Cosine.table"."""

    def change(text):
        body = ast.parse(text).body
        for part in name.split("."):
            found = next(one for one in body if getattr(one, "name", "") == part)
            body = found.body
        is_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        first = body[is_docstring]
        lines = text.splitlines()
        lines.insert(first.lineno - 1, f"{' ' * first.col_offset}assert True")
        return "\n".join(lines) + "\n"

    return change


def replaced(old, new):
    return lambda text: text.replace(old, new, 1)


def commented(text):
    return f"# A comment.\n{text}\n# Another.\n"


NOTHING = (set(), set())


@pytest.mark.parametrize(
    "file",
    [
        *("interp/metrics/pairs.py", "interp/hooks/residual.py", "interp/forward/engine.py"),
        *("interp/cache/requests.py", "experiments/layer_similarity/analysis.py"),
    ],
)
def test_a_comment_changes_nothing(file, tree, changed_by):
    assert changed_by(tree / file, commented) == NOTHING


def test_a_docstring_changes_nothing(tree, changed_by):
    for file in ("interp/metrics/metric.py", "experiments/layer_similarity/measures.py"):
        assert changed_by(tree / file, replaced('"""', '"""Reworded: ')) == NOTHING


def test_the_type_of_a_parameter_changes_nothing(tree, changed_by):
    file = tree / "interp" / "metrics" / "metric.py"
    assert changed_by(file, replaced("x: Array, y: Array", "x: 'Array', y: 'Array'")) == NOTHING


@pytest.mark.parametrize(
    "file",
    [
        *("interp/plotting/style.py", "experiments/layer_similarity/figures.py"),
        *("interp/cli/main.py", "interp/cli/commands/help.py", "interp/core/registry.py"),
        *("interp/tracking/store.py", "interp/results/comparison/peaks.py"),
        "interp/cache/locks.py",
    ],
)
def test_what_draws_prints_logs_or_stores_changes_nothing(file, tree, changed_by):
    def with_code(text):
        return text + "\n\ndef added():\n    return 1\n\n\nadded()\n"

    assert changed_by(tree / file, with_code) == NOTHING


def test_the_colour_of_a_figure_changes_nothing(tree, changed_by):
    file = tree / "interp" / "plotting" / "style.py"
    assert changed_by(file, replaced("#0072B2", "#123456")) == NOTHING


@pytest.mark.parametrize(
    ("file", "name", "runs"),
    [
        ("pairs.py", "Cosine", COSINE),
        ("subspaces.py", "SVCCA", {"svcca"}),
        ("subspaces.py", "Procrustes", {"procrustes"}),
        ("functional/linear_kernels.py", "", {"linear_cka"}),
    ],
)
def test_a_metric_s_formula_changes_the_runs_that_use_it(file, name, runs, tree, changed_by):
    place = tree / "interp" / "metrics" / file
    if name:
        methods = next(
            one.body
            for one in ast.parse(place.read_text()).body
            if getattr(one, "name", "") == name
        )
        method = next(one.name for one in methods if isinstance(one, ast.FunctionDef))
        change = in_code(f"{name}.{method}")
    else:
        functions = ast.parse(place.read_text()).body
        change = in_code(next(o.name for o in functions if isinstance(o, ast.FunctionDef)))
    found, keys = changed_by(place, change)
    assert found == runs
    assert keys == set()


def test_a_hook_s_code_changes_what_is_read_there(tree, changed_by):
    found, keys = changed_by(tree / "interp" / "hooks" / "neurons.py", in_code("MlpPost.taps"))
    assert keys == found == {"mlp_post"}
    found, keys = changed_by(tree / "interp" / "hooks" / "heads.py", in_code("HeadResult.taps"))
    assert keys == found == {"result"}


def test_the_forward_pass_changes_everything_that_is_read(tree, changed_by):
    found, keys = changed_by(tree / "interp" / "forward" / "engine.py", in_code("read"))
    assert keys == ALL
    assert found == READING


def test_an_analysis_changes_its_own_runs_alone(tree, changed_by):
    place = tree / "experiments"
    change = in_code("LayerMatrix.__call__")
    assert changed_by(place / "layer_matrix" / "analysis.py", change) == ({"layer_matrix"}, set())
    report = place / "layer_matrix" / "report.py"
    first = next(
        o.name for o in ast.parse(report.read_text()).body if isinstance(o, ast.FunctionDef)
    )
    assert changed_by(report, in_code(first)) == ({"layer_matrix"}, set())


def test_a_reduction_changes_the_runs_that_use_it(tree, changed_by):
    found, keys = changed_by(tree / "interp" / "reductions" / "linear.py", in_code("PCA.fitted"))
    assert (found, keys) == ({"reduced"}, set())


def test_a_real_run_is_reused_until_its_metric_changes(tree, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(tree, root, symlinks=True)
    environment = {
        "PYTHONPATH": str(root),
        "PATH": "",
        "HF_HUB_OFFLINE": "1",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "interp", *SMALL, "hook.layers=1"]

    def is_reused():
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return "An equal run" in done.stdout

    def edit(file, change):
        path = root / file
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    def stored():
        return len(list((tmp_path / "outputs" / "activations").glob("*/*/manifest*")))

    assert not is_reused()
    n_stored = stored()
    assert n_stored > 0
    edit("interp/metrics/pairs.py", commented)
    edit("interp/plotting/style.py", replaced("#0072B2", "#123456"))
    edit("interp/cli/commands/help.py", in_code("serve"))
    edit("interp/hooks/neurons.py", in_code("MlpPost.taps"))
    assert is_reused()
    edit("interp/metrics/pairs.py", in_code("Cosine.table"))
    assert not is_reused()
    assert stored() == n_stored
    edit("interp/hooks/residual.py", in_code("HiddenStates.taps"))
    assert not is_reused()
    assert stored() > n_stored
