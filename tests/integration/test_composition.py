"""A sweep's jobs are composed as Hydra would compose each alone, and most of them far faster."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from interp.cli.hydra import launchers, sweeper
from interp.cli.hydra.composition import Composer, JobComposer, parse
from interp.cli.hydra.internals import COMMAND_LINE, PRESET, choice_origins
from interp.cli.main import CONF
from interp.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
JOBS = [
    ["metric=cosine", "hook.layers=3"],
    ["metric=cosine", "hook.layers=[0,4]"],
    ["metric=cosine", "hook.layers=4", "+prompts.fillers.when=[that evening]", "prompts=him_her"],
    ["metric=linear_cka", "hook.layers=3"],
    ["hook.layers=3", "metric=cosine", "metric.centred=true"],
    ["experiment=rotation", "model=tiny", "seed=4"],
    ["experiment=rotation", "model=tiny", "seed=5"],
    ["experiment=rotation", "model=tiny", "seed='6'"],
    ["experiment=rotation", "model=tiny", "model.settings={n_layer: 3}", "~analysis.alpha"],
    ["experiment=rotation", "model=tiny", "model.settings={n_layer: 4}", "seed=7"],
    ["model=tiny", "model.settings={n_layer: 4}", "model.settings.n_layer=5"],
    ["model=tiny", "model.settings={n_layer: 4}", "model.settings.n_layer=6"],
    ["model.settings.n_layer=6", "model=tiny", "model.settings={n_layer: 4}"],
    ["model.settings.n_layer=7", "model=tiny", "model.settings={n_layer: 4}"],
    ["+model@reference=tiny", "reference.seed=7", "hydra.job.chdir=false"],
    ["model@reference=tiny", "reference.seed=10", "hydra.job.chdir=false"],
    ["model@reference=tiny", "reference.seed=11", "hydra.job.chdir=false"],
    ["model@reference=tiny", "reference.seed=8"],
    ["model@reference=minilm", "reference.seed=9"],
    ["metric={name: cosine}", "seed=5"],
    ["metric=cosine", "hook.layers=5"],
    ["tracking.experiment=a", "seed=${tracking.port}"],
    ["tracking.experiment=b", "seed=1"],
    ["tracking.uri=null", "seed=1"],
    ["tracking.uri=x", "seed=1"],
    ["imports=[a,b]", "model=tiny"],
    ["imports=[c]", "model=tiny"],
]


@pytest.fixture
def composer():
    with Composer(CONF) as composer:
        yield composer


def composed(compose, overrides):
    """The whole configuration, its overrides and choices too, or what is wrong with it."""
    try:
        return OmegaConf.to_container(compose(overrides))
    except HydraException as error:
        return str(error)


def test_a_job_is_composed_as_hydra_would_compose_it_alone(composer):
    sweep = composer.sweep_config()
    expected = [
        composed(lambda job: composer.loader.load_sweep_config(sweep, job), job) for job in JOBS
    ]
    assert len({str(config) for config in expected}) == len(JOBS)
    assert sum(isinstance(config, dict) for config in expected) > len(JOBS) - 4
    jobs = JobComposer(composer.loader, sweep)
    for _ in range(2):
        assert [composed(jobs.compose, job) for job in JOBS] == expected


def test_jobs_that_differ_in_values_alone_are_walked_through_by_hydra_once(composer, monkeypatch):
    sweep, loaded = composer.sweep_config(), []
    load = composer.loader.load_sweep_config
    monkeypatch.setattr(
        composer.loader, "load_sweep_config", lambda *given: loaded.append(given) or load(*given)
    )
    jobs = JobComposer(composer.loader, sweep)
    for metric in ("cosine", "rsa"):
        for seed in range(5):
            config = jobs.compose(["model=tiny", f"metric={metric}", f"seed={seed}"])
            assert (config.metric.name, config.seed) == (metric, seed)
    assert len(loaded) == 2


def test_what_is_changed_of_one_job_is_not_changed_of_another(composer):
    jobs = JobComposer(composer.loader, composer.sweep_config())
    first = jobs.compose(["seed=1"])
    OmegaConf.set_struct(first, False)
    first.hook.layers, first.metric.more = 11, 12
    second = jobs.compose(["seed=2"])
    assert (second.hook.layers, "more" in second.metric) == ("all", False)


@pytest.mark.parametrize("wrong", ["metric=cosin", "hook.layer=3", "nothing=1", "seed=some"])
def test_a_misspelt_job_is_refused_in_the_same_words(composer, wrong):
    sweep = composer.sweep_config()
    expected = composed(lambda job: composer.loader.load_sweep_config(sweep, job), [wrong])
    assert isinstance(expected, str)
    jobs = JobComposer(composer.loader, sweep)
    right = {"seed=some": "seed=1"}.get(wrong, "metric=cosine")
    composed(jobs.compose, [right])
    assert [composed(jobs.compose, [wrong]) for _ in range(2)] == [expected, expected]


def test_the_users_folders_come_after_the_projects_and_before_none(tmp_path):
    for name, metric in (("first", "cosine"), ("second", "rsa")):
        folder = tmp_path / f"{name} o'f" / "experiment"
        folder.mkdir(parents=True)
        text = f"# @package _global_\ndefaults:\n  - override /metric: {metric}\n"
        for preset in (name, "both", "rotation"):
            (folder / f"{preset}.yaml").write_text(text)
    first, second = sorted(tmp_path.iterdir())
    quoted = str(second).replace("'", r"\'")
    given = [f"hydra.searchpath=['file://{quoted}']"]
    with Composer(CONF, [first]) as composer:
        assert composer.compose(["experiment=first"]).metric.name == "cosine"
        assert composer.compose(["experiment=both", *given]).metric.name == "cosine"
        assert composer.compose(["experiment=second", *given]).metric.name == "rsa"
        assert composer.compose(["experiment=rotation"]).analysis.name == "rotation"
        assert {"first", "rotation"} <= set(composer.options("experiment"))


# --- the sweeper, and the plugins that Hydra finds


def test_the_jobs_are_all_combinations_and_the_last_of_equal_keys_counts(composer):
    given = ["metric=cosine,rsa", "seed=0,1", "hook=glob(resid_p*)", "model=tiny", "seed=7"]
    assert sweeper.jobs_of(composer.parse(given)) == [
        [f"metric={metric}", "seed=7", f"hook={hook}", "model=tiny"]
        for metric in ("cosine", "rsa")
        for hook in ("resid_post", "resid_pre")
    ]
    assert sweeper.jobs_of(parse(["seed=range(3)"])) == [["seed=0"], ["seed=1"], ["seed=2"]]
    assert sweeper.jobs_of([]) == [[]]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("metric=glob(zz*)", "stands for nothing"),
        ("seed=interval(0,1)", "is no list of values to sweep over"),
    ],
)
def test_what_is_no_list_of_jobs_is_refused(composer, given, reason):
    with pytest.raises(ConfigError, match=reason):
        sweeper.jobs_of(composer.parse([given]))


def test_hydra_finds_the_sweeper_and_the_launchers_and_uses_them(composer):
    config = composer.compose(with_hydra=True)
    assert config.hydra.sweeper._target_ == sweeper.TARGET
    assert config.hydra.launcher._target_ == launchers.SEQUENTIAL
    for kind, target in ((Sweeper, sweeper.TARGET), (Launcher, launchers.SEQUENTIAL)):
        found = Plugins.instance().discover(kind)
        assert target in {f"{cls.__module__}.{cls.__name__}" for cls in found}


def test_another_program_of_hydras_keeps_its_own_launchers():
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance(); "
        "from hydra.core.config_store import ConfigStore; "
        "repo = ConfigStore.instance().repo; launchers = repo['hydra']['launcher']; "
        "print(launchers['basic.yaml'].node._target_, 'schema.yaml' in repo, "
        "'interp.cli' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    launcher, has_schema, has_interp = found.stdout.split()
    assert launcher.endswith(".BasicLauncher")
    assert (has_schema, has_interp) == ("False", "False")


# --- what of Hydra is read without being public


def test_hydra_says_who_chose_a_group(composer):
    """Where this fails, Hydra has changed what `interp.cli.hydra.internals` reads."""
    assert isinstance(composer.loader, ConfigLoader)
    overrides = ["experiment=rotation", "model=tiny"]
    origins = choice_origins(composer.loader, overrides)
    assert origins["experiment"] == origins["model"] == COMMAND_LINE
    assert origins["analysis"] == origins["prompts"] == PRESET
    assert "clustering" not in origins
    choices = composer.compose(overrides, with_hydra=True).hydra.runtime.choices
    assert set(origins) <= set(choices)


def test_no_private_module_of_hydra_is_imported():
    sources = [*(ROOT / "interp").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
    found = [path for path in sources if "hydra._internal" in path.read_text(encoding="utf-8")]
    assert found == []
