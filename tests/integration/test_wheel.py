"""The wheel carries the configuration and runs outside of the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_every_yaml_and_the_player(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "interp/plotting/player.html" in names
    yamls = {str(path.relative_to(ROOT)) for path in (ROOT / "conf").rglob("*.yaml")}
    assert {f"interp/{name}" for name in yamls} <= set(names)
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    # Hydra's namespace package is shared by all packages that have launchers.
    assert tops == {"interp", "hydra_plugins"}
    for_hydra = {name for name in names if name.startswith("hydra_plugins/")}
    assert for_hydra == {f"hydra_plugins/interp_{name}.py" for name in ("search_path", "sweeps")}
    assert {"interp/experiments/rotation/analysis.py", "interp/py.typed"} <= set(names)


def test_the_installed_wheel_runs_beside_a_folder_called_experiments(wheel, tmp_path):
    """It takes no name but `interp`, so that a user's own package `experiments` hides nothing."""
    for name in ("experiments", "conf", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the user's own')\n")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # The dependencies come from here, the project from the wheel alone.
    paths = [str(site), sysconfig.get_path("purelib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    code = "from interp import compose; import interp.cli.main as m; print(m.CONF); m.main()"
    arguments = ["model=tiny", "prompts.count=6", "analysis.permutations=20"]
    found = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(str(site / "interp" / "conf"))
    assert list(tmp_path.glob("outputs/runs/*/*/result.json"))
