"""What is kept between the compositions of a sweep changes none of them."""

import pytest
from hydra import initialize_config_dir
from hydra._internal import config_loader_impl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from interp.cli.hydra.composition import compose_once, forget
from interp.cli.main import CONF

JOBS = [
    ["metric=cosine", "hook.layers=3"],
    ["metric=cosine", "hook.layers=4", "+prompts.fillers.when=[that evening]", "prompts=him_her"],
    ["metric=linear_cka", "hook.layers=3"],
    ["hook.layers=3", "metric=cosine", "metric.centred=true"],
    ["experiment=rotation", "model=tiny", "seed=4"],
    ["experiment=rotation", "model=tiny", "model.settings={n_layer: 3}", "~analysis.alpha"],
    ["+model@reference=tiny", "reference.seed=7", "hydra.job.chdir=false"],
    ["metric={name: cosine}", "seed=5"],
    ["metric=cosine", "hook.layers=5"],
]


@pytest.fixture
def loader():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()
    forget()


def composed(loader, overrides):
    """The whole configuration, its overrides and choices too, or what is wrong with it."""
    try:
        config = loader.load_configuration("config", overrides, RunMode.RUN)
    except ConfigCompositionException as error:
        return str(error)
    return OmegaConf.to_container(config)


def test_a_job_is_composed_as_hydra_would_compose_it_alone(loader):
    expected = [composed(loader, job) for job in JOBS]
    assert len({str(config) for config in expected}) == len(JOBS)
    assert any(isinstance(config, dict) for config in expected)
    compose_once()
    for _ in range(2):
        assert [composed(loader, job) for job in JOBS] == expected


def test_hydra_is_left_as_it_was(loader):
    own = config_loader_impl.create_defaults_list
    for _ in range(2):
        compose_once()
        assert config_loader_impl.create_defaults_list is not own
        forget()
        assert config_loader_impl.create_defaults_list is own


def test_what_is_changed_of_one_job_is_not_changed_of_the_next(loader):
    compose_once()
    first = loader.load_configuration("config", ["metric=cosine"], RunMode.RUN)
    expected = OmegaConf.to_container(first)
    OmegaConf.set_struct(first, False)
    first.hook.layers, first.metric.more = 11, 12
    again = loader.load_configuration("config", ["metric=cosine"], RunMode.RUN)
    assert OmegaConf.to_container(again) == expected


@pytest.mark.parametrize("wrong", ["metric=cosin", "hook.layer=3", "nothing=1"])
def test_a_misspelt_job_is_refused_in_the_same_words(loader, wrong):
    expected = composed(loader, [wrong])
    assert isinstance(expected, str)
    compose_once()
    composed(loader, ["metric=cosine"])
    assert [composed(loader, [wrong]) for _ in range(2)] == [expected, expected]
