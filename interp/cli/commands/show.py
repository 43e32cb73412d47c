"""`interp show`: what would run, in words, without running it."""

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from interp.cli import choices
from interp.cli.arguments import VerbParser
from interp.cli.console import paragraph, table
from interp.cli.hydra import sweeper
from interp.cli.hydra.composition import Composer
from interp.cli.hydra.provenance import Composed, flow
from interp.cli.overrides import check_choices
from interp.core.configuration import resolved
from interp.core.errors import ConfigError
from interp.core.fields import meanings_of
from interp.core.groups import GROUPS, group_named
from interp.runner.build import Experiment, build
from interp.runner.inputs import Inputs, used_groups

_USAGE = "[experiment=PRESET] [-m] [KEY=VALUE …] [--config-dir FOLDER]"
_DESCRIPTION = """\
What a run with the same arguments would do: its question, what it is put together from and who
chose it, what is set otherwise, what is loaded; with -m which jobs there would be. Nothing is run
and no weight loaded; a mistake is answered as a run would answer it."""

# Of what is swept so many values are named.
_MOST_VALUES = 8

# The names under which analyses have the number of samples of their null.
_NULL_SIZES = ("permutations", "draws")


@dataclass(frozen=True, eq=False)
class _Run:
    """What a run would do: its configuration, its components, and where the choices are files."""

    composed: Composed
    experiment: Experiment
    conf: Path
    own: Sequence[Path]

    def described(self, key: str, name: str) -> str:
        """Return what a choice is; "" for a launcher of Hydra's, which has no file here."""
        folder = key.partition("@")[0]
        every = choices.every(self.conf, self.own)
        found = [choice for choice in every if (choice.group, choice.name) == (folder, name)]
        return found[0].description if found else ""


def serve(conf: Path, arguments: list[str]) -> None:
    """Print what a run with these arguments would do.

    Args:
        conf: the configuration folder.
        arguments: the command line without `show`.

    Raises:
        ConfigError: a run would refuse them.
        HydraException: they cannot be composed.
    """
    parser = VerbParser("show", _USAGE, _DESCRIPTION)
    parser.add_argument("-m", "--multirun", action="store_true", help="the jobs of a sweep")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as of a run")
    given = parser.parse(arguments)
    check_choices(given.overrides, conf)
    with Composer(conf, given.own) as composer:
        jobs, swept = [given.overrides], list[Override]()
        if given.multirun:
            jobs, swept = _jobs(composer, given.overrides)
        composed = Composed.of(composer, jobs[0])
        run = _Run(composed, _built(composed), conf, given.own)
        if given.multirun:
            _check_values(composer, jobs, swept, run)
            print(paragraph(_describe_sweep(jobs, swept, composed.choices.get("hydra/sweeper"))))
            print()
        _print(run, composer, is_sweep=given.multirun)
    # What takes a tokenizer takes seconds, in which one may read.
    sys.stdout.flush()
    _check(run)


def _built(composed: Composed, like: _Run | None = None) -> Experiment:
    """Build the components, as a run does before anything is loaded.

    `like` has loaded prompts already, which are not loaded again where they are the same.
    """
    from interp.runner.run import refuse_unused_choices

    composed.register()
    is_like = like and like.composed.config.prompts == composed.config.prompts
    known = like.experiment.prompts if like and is_like else None
    experiment = build(composed.task, known)
    refuse_unused_choices(experiment, resolved(composed.task))
    return experiment


def _check(run: _Run) -> None:
    """Let the analysis refuse what it cannot work with, which may take the model's tokenizer.

    Raises:
        ConfigError: as it does in a run.
    """
    from interp.cache import ActivationStore

    config, analysis = run.composed.config, run.experiment.analysis
    if not hasattr(analysis, "check"):
        return
    outputs = Path(config.outputs).resolve()
    store = ActivationStore.of(str(outputs), config.activations.limit_gb)
    with TemporaryDirectory() as aside:
        if not store.folder.is_dir():
            # Whoever only looks finds no new folder afterwards.
            store = ActivationStore(Path(aside), store.limit_bytes)
        Inputs(run.experiment, outputs, store).call(analysis.check)


def _jobs(composer: Composer, overrides: list[str]) -> tuple[list[list[str]], list[Override]]:
    """Return the overrides of each job of a sweep, and what is swept.

    Where another sweeper chooses the jobs one by one, the overrides that it does not choose.

    Raises:
        ConfigError: a glob stands for nothing.
    """
    fixed = [o.input_line for o in composer.parse(overrides) if not o.is_sweep_override()]
    config = composer.compose(fixed, with_hydra=True)
    if not sweeper.is_chosen(config):
        return [fixed], []
    OmegaConf.set_readonly(config.hydra, False)
    config.hydra.overrides.task = list(overrides)
    given = composer.parse(sweeper.given_overrides(config))
    return sweeper.jobs_of(given), [override for override in given if override.is_sweep_override()]


def _check_values(
    composer: Composer, jobs: list[list[str]], swept: list[Override], first: _Run
) -> None:
    """Build a job with each value that is swept; not every combination of them.

    Raises:
        ConfigError: naming the value.
    """
    for override in swept:
        key = override.get_key_element()
        for value in list(override.sweep_string_iterator()):
            changed = f"{key}={value}"
            job = [changed if line.startswith(f"{key}=") else line for line in jobs[0]]
            if job == jobs[0]:
                continue
            try:
                _built(Composed.of(composer, job), first)
            except ConfigError as error:
                raise ConfigError(f"{changed}: {error}") from None


def _describe_sweep(jobs: list[list[str]], swept: list[Override], by: str | None) -> str:
    if by != "basic":
        return f"A sweep whose jobs hydra/sweeper={by} chooses. One of them:"
    if not swept:
        return "A sweep of one job: nothing is swept."
    by_key = {}
    for override in swept:
        key = override.get_key_element()
        values = list(map(str, override.sweep_string_iterator()))
        counted = f"{override.input_line} ({len(values)} values)"
        by_key[key] = f"{key}={','.join(values)}" if len(values) <= _MOST_VALUES else counted
    return f"A sweep of {len(jobs)} jobs: {' × '.join(by_key.values())}. The first of them:"


def _print(run: _Run, composer: Composer, *, is_sweep: bool) -> None:
    preset = run.composed.choices.get("experiment", "")
    if preset:
        print(paragraph(f"experiment={preset}: {run.described('experiment', preset)}"))
    else:
        changed = ", changed on the command line" if run.composed.overrides else ""
        print(f"No preset: the default experiment{changed}")
    print()
    print(table(list(_facts(run))))
    print()
    print(table(list(_rows(run, is_sweep=is_sweep))))
    if values := run.composed.values(composer):
        print("\nSet otherwise than in these files:")
        print(table([(v.origin, f"{v.key}={flow(v.value)}") for v in values]))


def _facts(run: _Run) -> Iterator[tuple[str, str]]:
    """Yield what the run asks, its null, what it reads and loads, and where it is logged."""
    name, origin = run.composed.choices["analysis"], run.composed.origins["analysis"]
    yield "asks", f"{name} ({origin}): {run.described('analysis', name)}"
    analysis = run.experiment.analysis
    meanings = meanings_of(type(analysis))
    for field in _NULL_SIZES:
        if field in meanings:
            yield "null", f"analysis.{field}={getattr(analysis, field)}: {meanings[field]}"
    prompts = run.experiment.prompts
    if group_named("prompts") in used_groups(analysis):
        sizes = (f"{group} {len(prompts.members(group))}" for group in prompts.group_names)
        yield "reads", f"{len(prompts)} prompts ({', '.join(sizes)})"
    yield "loads", _loaded(run.experiment)
    config = run.composed.config
    where = config.tracking.uri or f"the MLflow database in {config.outputs}"
    yield "logs to", f"the experiment {config.tracking.experiment} of {where}"


def _loaded(experiment: Experiment) -> str:
    """Return whose weights are loaded, and for what."""
    names = set(inspect.signature(experiment.analysis.__call__).parameters)
    title, reference = experiment.source.title, experiment.reference
    parts = []
    if "model" in names or ("reference_source" in names and "activations" not in names):
        parts.append(f"the weights of {title}")
    if "activations" in names:
        parts.append(f"{title} for a forward pass, unless the store has its activations")
    if reference and {"reference", "reference_source"} & names:
        draws = experiment.reference_draws if reference.is_drawn and "reference" in names else 1
        times = f", drawn {draws} times" if draws > 1 else ""
        parts.append(f"the same of {reference.title}{times}")
    return "; ".join(parts) or "no model"


def _rows(run: _Run, *, is_sweep: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each choice: group, choice, who chose it, and what it is."""
    used = used_groups(run.experiment.analysis)
    unused = {group.override for group in GROUPS if group not in used}
    yield "group", "choice", "chosen by", "what it is"
    keys = [group.key for group in choices.groups(run.conf, run.own)]
    keys = [key for key in keys if not key.startswith("hydra/")] + ["hydra/launcher"] * is_sweep
    for key in keys:
        name = run.composed.choices.get(key, "")
        if not name or key in ("experiment", "analysis"):
            continue
        text = run.described(key, name)
        if key in unused:
            text = f"unused: {run.composed.choices['analysis']} asks for none"
        yield key, name, run.composed.origins[key], text
