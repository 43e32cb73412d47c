import dataclasses

import pytest

from interp.cli.overrides import CONF
from interp.core.configuration import Config, Settings
from interp.core.fields import meanings_of
from interp.core.groups import GROUPS, group_named
from interp.core.source_code import code_hash
from interp.runner.analysis import ANALYSES
from interp.runner.inputs import Inputs, derived_inputs, inputs, used_groups


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_has_a_folder_a_registry_and_a_field(group):
    assert (CONF / group.folder).is_dir()
    assert group.registry.kind == group.folder
    assert group.name in {field.name for field in dataclasses.fields(Config)}
    assert group.neutral in (None, "", *group.registry)
    assert code_hash([group.registry[next(iter(group.registry))]])


def test_the_schema_is_the_groups_and_the_settings():
    names = [field.name for field in dataclasses.fields(Config)]
    settings = [field.name for field in dataclasses.fields(Settings)]
    assert names == [*(group.name for group in GROUPS), *settings]
    assert set(meanings_of(Settings)) == set(settings)


def test_a_reference_is_one_more_model():
    reference = group_named("reference")
    assert reference.override == "model@reference"
    assert reference.registry is group_named("model").registry


def test_every_input_is_a_component_or_a_property_that_names_its_groups():
    derived = {name for name in inputs() if name in vars(Inputs)}
    components = set(inputs()) - derived
    assert components == {group.input for group in GROUPS} - {"analysis"}
    public = {name for name in vars(Inputs) if not name.startswith("_")}
    assert derived == public - {"call", "requests", "record_steps"}
    assert inputs()["rng"] == ()
    assert {group.name for group in inputs()["activations"]} == {
        *("model", "prompts", "hook", "position")
    }


@pytest.mark.parametrize("name", list(ANALYSES))
def test_what_an_analysis_uses_is_known_from_its_parameters(name):
    analysis = ANALYSES[name]
    used = {group.name for group in used_groups(analysis)}
    assert {"model", "prompts"} & used or "reference" in used
    assert "analysis" not in used
    assert set(derived_inputs(analysis)) <= set(inputs())
