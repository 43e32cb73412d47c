"""Every preset and every metric gives the numbers that it gave before.

The files in `tests/golden` are what `result.json` held at an earlier version, most of them with few
permutations. A deliberate change of a number makes its file anew, and CHANGELOG.md says why.
"""

import json
import math
from pathlib import Path

import pytest

from interp import compose, run

FOLDER = Path(__file__).parents[1] / "golden"
# What depends on the machine.
MEASURED = {"minutes"}
GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Where all of them keep their activations, so that each prompt set is read once."""
    return tmp_path_factory.mktemp("golden")


def test_every_preset_has_numbers_to_hold_to():
    conf = Path(__file__).parents[2] / "conf"
    presets = {path.stem for path in (conf / "experiment").glob("*.yaml")}
    # These two are presets that exist above for models that no package carries.
    assert presets - set(GOLDEN) == {"him_her_gpt2_medium", "rotation_gpt2_xl"}
    metrics = {path.stem for path in (conf / "metric").glob("*.yaml")}
    assert {f"metric_{name}" for name in metrics} <= set(GOLDEN)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_numbers_are_those_of_before(name, outputs):
    result = run(compose(*GOLDEN[name]["overrides"], f"outputs={outputs}")).result
    found = dict(result.scalars)
    for key, series in result.series.items():
        found |= {f"{key} {step}": v for step, v in zip(series.layers, series.values, strict=True)}
    for key, values in result.spectra.items():
        found |= {f"{key} {step}": v for step, v in enumerate(values, start=1)}
    for series in result.tested:
        for key, values in series.metrics.items():
            own = key.partition("/")[2]
            found |= {f"{own} {s}": v for s, v in zip(series.steps, values, strict=True)}
    expected = {k: v for k, v in GOLDEN[name]["numbers"].items() if k not in MEASURED}
    assert set(expected) <= set(found)
    differing = {
        key: (value, found[key])
        for key, value in expected.items()
        if not math.isclose(found[key], value, rel_tol=1e-6, abs_tol=1e-6)
    }
    assert not differing
