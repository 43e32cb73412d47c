"""Every YAML is buildable, complete, and known to its registry; every preset runs."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from interp.cli import choices
from interp.cli.main import CONF
from interp.core.configuration import Settings, StoredActivations, Tracking
from interp.core.fields import fields_of
from interp.core.groups import GROUPS
from interp.runner.build import build
from interp.runner.run import run

REGISTRIES = {group.folder: group.registry for group in GROUPS}
FILES = [(group, path.stem) for group in REGISTRIES for path in (CONF / group).glob("*.yaml")]
PRESETS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.fixture
def mandatory(tmp_path):
    """A value for each field that a YAML leaves to the user."""
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    return {
        ("model", "path"): [f"model.path={tmp_path}"],
        ("prompts", "dataset"): ["prompts.path=no/such"],
        ("prompts", "file"): [f"prompts.path={tmp_path / 'prompts.txt'}"],
        ("prompts", "inline"): ["prompts.groups={a: [x, y]}"],
        ("hook", "module"): ["hook.path=h"],
    }


@pytest.mark.parametrize(("group", "name"), FILES, ids="/".join)
def test_every_yaml_builds_and_lists_exactly_the_fields(group, name, mandatory):
    config = composed(f"{group}={name}", *mandatory.get((group, name), []))[group]
    component = REGISTRIES[group].build(config)
    fields = {field.name for field in dataclasses.fields(component)}
    assert set(config) == {"name"} | fields


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_registered_name_has_a_yaml_and_none_is_unknown(group):
    used = {composed(f"{group}={name}")[group].name for found, name in FILES if found == group}
    assert used == set(REGISTRIES[group])


@pytest.mark.parametrize(("group", "name"), FILES, ids="/".join)
def test_every_yaml_begins_with_a_sentence_on_what_it_is(group, name):
    first = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def read(group, name):
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))


# Other files are choices of other values.
NAMESAKES = [(group, name) for group, name in FILES if read(group, name).get("name") == name]


@pytest.mark.parametrize(("group", "name"), NAMESAKES, ids="/".join)
def test_a_yaml_named_like_its_component_has_the_defaults_of_the_class(group, name):
    given = read(group, name)
    for field in fields_of(REGISTRIES[group][name]):
        value = given[field.name]
        # Such as ${seed}: the run's own.
        follows = isinstance(value, str) and value.startswith("${")
        if not field.is_required and not follows:
            assert value == OmegaConf.to_container(OmegaConf.create([field.default]))[0]


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, r in REGISTRIES.items() for n in r])
def test_every_setting_of_a_component_is_described_in_its_class(group, name):
    missing = [field.name for field in fields_of(REGISTRIES[group][name]) if not field.description]
    assert missing == []


def test_config_yaml_has_the_defaults_and_the_descriptions_of_the_schema():
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(text)
    listed = dict(re.findall(r"^  - ([\w@]+): \S+ +# (.+)$", text, re.M))
    assert listed == {group.key: group.decides for group in choices.groups(CONF)[:10]}
    assert [group.key for group in choices.groups(CONF)[10:]] == ["hydra/launcher", "hydra/sweeper"]
    described = dict(re.findall(r"^ {0,2}(\w+):(?: .*?\S)? +# (.+)$", text, re.M))
    expected = {}
    for cls, values in (
        (Settings, given),
        (StoredActivations, given["activations"]),
        (Tracking, given["tracking"]),
    ):
        for field in fields_of(cls):
            assert field.description
            expected[field.name] = field.description.removesuffix(".")
            if not dataclasses.is_dataclass(field.default):
                assert values[field.name] == field.default
    assert {name: described.get(name) for name in expected} == expected


def test_every_folder_of_conf_is_known():
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders == {*REGISTRIES, "experiment", "hydra"}
    assert {path.name for path in (CONF / "hydra").iterdir()} == {"launcher", "sweeper"}


def test_the_default_is_the_preset_digits_and_words():
    assert composed() == composed("experiment=digits_and_words")


def test_the_default_has_at_least_forty_pairs():
    prompts = build(composed()).prompts
    assert [len(prompts.members(group)) >= 40 for group in prompts.group_names] == [True, True]


# What the presets that are made for a model of their own run with here.
OTHERWISE = {
    "modular_addition": ["model=modular_addition_untrained", "prompts.modulus=11"],
    "modular_addition_training": ["prompts.modulus=11", "analysis.epochs=3"],
}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs_on_a_tiny_model(preset, tmp_path):
    chosen = [f"experiment={preset}", f"outputs={tmp_path}", *OTHERWISE.get(preset, ["model=tiny"])]
    if preset == "weight_spectrum":
        # To a model that reads bytes a name is several tokens.
        chosen.append("prompts=letters")
    if composed(*chosen).hook.get("layers", "all") != "all":
        chosen.append("hook.layers=-1")
    fields = set(composed(*chosen).analysis)
    if "most" in fields:
        # Layouts of many neurons take their time; those of him_her will do for both.
        chosen.append("analysis.most=8")
        if preset != "him_her":
            chosen.append("reduction=pca")
    chosen += [f"analysis.{name}=20" for name in {"permutations", "draws"} & fields]
    outcome = run(composed(*chosen), tmp_path / "run")
    found = outcome.result
    assert found.tested or found.series or found.spectra or found.scalars
    tables = ["layers"] * (not found.layer_table().empty) + ["prompts"]
    for name in ("config.yaml", "result.json", *(f"tables/{table}.csv" for table in tables)):
        assert (tmp_path / "run" / name).stat().st_size > 0
    figures = {path.name for path in Path(tmp_path / "run" / "figures").iterdir()}
    assert figures == {f"{n}.{e}" for n in outcome.result.figures for e in ("png", "svg")}


def test_presets_select_and_set_no_more_than_a_few_scalars():
    for preset in PRESETS:
        lines = (CONF / "experiment" / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# @package _global_"
        said = [line for line in lines[1:] if not line.strip().startswith("#") and line.strip()]
        chosen = [line for line in said if line != "defaults:"]
        scalars = [line for line in chosen if not line.startswith("  - override /")]
        assert len(scalars) <= 2
        for line in scalars:
            assert re.fullmatch(r"(\w+:|  \w+: [\w.]+)", line)
