"""A user's own modules: found, registered in every process, and part of what decides a result."""

import subprocess
import sys
from pathlib import Path

import pytest

from interp.core import source_code
from interp.core.errors import ConfigError
from interp.core.source_code import code_hash
from interp.core.user_modules import register_from
from interp.metrics import METRICS
from interp.tracking import Store

ROOT = Path(__file__).parents[2]

METRIC = """
from dataclasses import dataclass
from typing import ClassVar

from interp.metrics import METRICS
from interp.metrics.pairs import Cosine
from {maths} import factor


@METRICS.register("{name}")
@dataclass(frozen=True)
class Scaled(Cosine):
    '''Mean cosine, scaled.'''

    label: ClassVar[str] = "scaled cosine"

    def table(self, x, y):
        return factor() * super().table(x, y)
"""
GIVEN = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")


def own(folder, name, factor=1.0):
    """A folder of one's own: a metric in a module, which takes a number from another."""
    (folder / "metric").mkdir(parents=True, exist_ok=True)
    (folder / "metric" / f"{name}.yaml").write_text(f"name: {name}\n")
    (folder / f"my_{name}.py").write_text(METRIC.format(name=name, maths=f"maths_of_{name}"))
    (folder / f"maths_of_{name}.py").write_text(f"def factor():\n    return {factor}\n")
    return folder


def interp(folder, *arguments, cwd):
    command = [sys.executable, "-m", "interp", "--config-dir", str(folder), *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(cwd)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def peaks(outputs):
    client = Store.of(str(outputs), None, 5000).client
    experiment = client.get_experiment_by_name("layer_similarity").experiment_id
    runs = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    return [r.data.metrics["peak_value"] for r in runs if "peak_value" in r.data.metrics]


def test_a_module_beside_ones_own_choices_is_used_and_its_code_counts(tmp_path):
    folder, cwd = own(tmp_path / "mine", "scaled"), tmp_path / "elsewhere"
    cwd.mkdir()
    given = (*GIVEN, "metric=scaled", "imports=[my_scaled]", "hook.layers=1")
    interp(folder, *given, cwd=cwd)
    assert "An equal run" in interp(folder, *given, cwd=cwd)
    own(folder, "scaled", factor=0.5)
    assert "An equal run" not in interp(folder, *given, cwd=cwd)
    interp(folder, *GIVEN, "metric=cosine", "hook.layers=1", cwd=cwd)
    whole, half, cosine = peaks(cwd / "outputs")
    assert whole == pytest.approx(cosine)
    assert half == pytest.approx(cosine / 2)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_register_it(launcher, tmp_path):
    folder, cwd = own(tmp_path / "mine", "scaled", factor=0.5), tmp_path / "elsewhere"
    cwd.mkdir()
    sweep = ("-m", f"hydra/launcher={launcher}", "metric=scaled,cosine", "imports=[my_scaled]")
    said = interp(folder, *GIVEN, *sweep, "hook.layers=1", cwd=cwd)
    assert "2 of 2 jobs finished" in said
    half, cosine = sorted(peaks(cwd / "outputs"))
    assert half == pytest.approx(cosine / 2)


def test_a_module_that_is_not_there_or_cannot_be_imported_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_words.py").write_text("import nothing_of_the_kind\n")
    (tmp_path / "my_slip.py").write_text("def f(:\n")
    with pytest.raises(ConfigError, match=r"no module 'my_word'.*did you mean 'my_words'"):
        register_from(["my_word"], [tmp_path])
    with pytest.raises(ConfigError, match=r"my_words cannot be imported: ModuleNotFoundError"):
        register_from(["my_words"], [tmp_path])
    with pytest.raises(ConfigError, match=r"my_slip cannot be imported: SyntaxError"):
        register_from(["my_slip"], [tmp_path])


def code_of(component):
    """The hash as a process that starts now would find it."""
    source_code._reader.cache_clear()
    return code_hash([component])


def test_the_code_of_a_class_is_what_it_uses_of_the_modules_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    own(tmp_path, "doubled")
    register_from(["my_doubled"], [tmp_path])
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    component = METRICS.build({"name": "doubled"})
    before = code_of(component)
    (tmp_path / "unrelated.py").write_text("x = 2\n")
    maths = tmp_path / "maths_of_doubled.py"
    maths.write_text(f"# A comment.\n{maths.read_text()}\n\ndef other():\n    return 7\n")
    assert code_of(component) == before
    maths.write_text("def factor():\n    return 2.0\n")
    assert code_of(component) != before


def test_a_package_counts_as_far_as_its_modules_import_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "tangled" / "sub"
    package.mkdir(parents=True)
    (tmp_path / "tangled" / "__init__.py").write_text("")
    (tmp_path / "tangled" / "apart.py").write_text("x = 1\n")
    (tmp_path / "tangled" / "above.py").write_text("x = 1\n")
    (package / "__init__.py").write_text("")
    # Each imports all others, so that there are more ways through than anyone could walk.
    names = [f"m{i}" for i in range(14)]
    for name in names:
        others = "".join(f"import tangled.sub.{n}\n" for n in names if n != name)
        (package / f"{name}.py").write_text(others)
    code = METRIC.format(name="tangled", maths="tangled.sub.base")
    (package / "chosen.py").write_text(f"{code}\nfrom . import m0\nfrom .. import above\n")
    (package / "base.py").write_text("def factor():\n    return 1\n")
    register_from(["tangled.sub.chosen"], [tmp_path])
    component = METRICS.build({"name": "tangled"})
    seen = code_of(component)
    (tmp_path / "tangled" / "apart.py").write_text("x = 2\n")
    assert code_of(component) == seen
    (package / "base.py").write_text("def factor():\n    return 2\n")
    before, seen = seen, code_of(component)
    assert seen != before
    for file in (package / "m7.py", tmp_path / "tangled" / "above.py"):
        file.write_text(f"{file.read_text()}\nagain = True\n")
        before, seen = seen, code_of(component)
        assert seen != before


def test_a_class_that_was_typed_is_known_by_its_text(monkeypatch):
    import linecache
    import types

    def typed(text):
        module = types.ModuleType("__typed__")
        monkeypatch.setitem(sys.modules, "__typed__", module)
        file = f"<cell {len(linecache.cache)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), module.__dict__)
        return module.Typed()

    text = "class Typed:\n    def value(self):\n        return 1\n"
    assert code_of(typed(text)) == code_of(typed(text))
    assert code_of(typed(text)) != code_of(typed(text.replace("1", "2")))


def test_a_class_whose_code_cannot_be_read_equals_nothing(monkeypatch):
    typed = type("Typed", (), {"__module__": "__typed__"})
    assert code_of(typed()) != code_of(typed())


def test_a_cell_that_is_run_again_defines_its_class_anew():
    from dataclasses import dataclass

    from interp.core.registry import Registry

    registry = Registry("metric", "interp.none")

    def cell(value):
        @registry.register("mine")
        @dataclass(frozen=True)
        class Mine:
            size: int = value

        return Mine

    cell(1)
    cell(2)
    assert registry.build({"name": "mine"}).size == 2

    @dataclass(frozen=True)
    class Other:
        size: int = 3

    with pytest.raises(ValueError, match="two metric components are called 'mine'"):
        registry.register("mine")(Other)


def test_a_job_whose_module_cannot_be_imported_is_a_failed_job(tmp_path):
    folder, cwd = own(tmp_path / "mine", "scaled"), tmp_path / "elsewhere"
    cwd.mkdir()
    (folder / "experiment").mkdir()
    for name, module in (("good", "my_scaled"), ("bad", "my_scalled")):
        text = f"# @package _global_\n# A preset.\nimports: [{module}]\n"
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    command = [sys.executable, "-m", "interp", "--config-dir", str(folder), *GIVEN]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(cwd)}
    done = subprocess.run(
        [*command, "-m", "experiment=good,bad", "hook.layers=1"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 1
    assert "1 of 2 jobs finished" in done.stdout
    assert "1  bad: FAILED: imports: there is no module 'my_scalled'" in done.stderr
    assert "did you mean 'my_scaled'" in done.stderr
