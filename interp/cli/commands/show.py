"""`interp show`: what would run, in words, without running it."""

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from interp.cli import choices
from interp.cli.arguments import check_choices
from interp.cli.columns import aligned, wrapped
from interp.cli.hydra import composition
from interp.cli.provenance import Composed, flow, opened, parsed
from interp.core.errors import ConfigError
from interp.core.fields import meanings_of
from interp.core.groups import GROUPS, group_named
from interp.runner.build import Experiment, build
from interp.runner.inputs import Inputs, used_groups

_HELP = """\
interp show [experiment=PRESET] [-m] [KEY=VALUE …] [--config-dir FOLDER]
What a run with the same arguments would do: its question, what it is put together from and who
chose it, what is set otherwise, what is loaded; with -m which jobs there would be. Nothing is run
and no weight loaded; a mistake is answered as a run would answer it."""

# Of what is swept so many values are named.
_NAMED = 8

# What the number of an analysis' draws is called.
_DRAWS = ("permutations", "draws")


def serve(conf: str, arguments: list[str]) -> None:
    """Print what a run with these arguments would do.

    Args:
        conf: the configuration folder.
        arguments: the command line without `show`.

    Raises:
        ConfigError: a run would refuse them; also whatever composing them raises.
    """
    if {"-h", "--help"} & set(arguments):
        print(_HELP)
        return
    own, rest = choices.split_folder(arguments)
    choices.check_folder(own)
    options = [argument for argument in rest if argument.startswith("-")]
    if unknown := set(options) - {"-m", "--multirun"}:
        raise ConfigError(f"show takes -m, --config-dir and overrides, not {min(unknown)}")
    overrides = [argument for argument in rest if argument not in options]
    check_choices(overrides, Path(conf))
    with opened(conf, own):
        composition.compose_once()
        try:
            if options:
                jobs, swept = _jobs(overrides)
                first = Composed.of(jobs[0])
                experiment = _built(first)
                _check_values(jobs, swept, first, experiment)
                sweeper = first.choices.get("hydra/sweeper", "")
                print(wrapped(_told_of_sweep(jobs, swept, sweeper)))
                print()
            else:
                first = Composed.of(overrides)
                experiment = _built(first)
            _print(first, experiment, Path(conf), own, is_sweep=bool(options))
        finally:
            composition.forget()
    # What takes a tokenizer takes seconds, in which one may read.
    sys.stdout.flush()
    _check(first, experiment)


def _built(composed: Composed, like: tuple[Composed, Experiment] | None = None) -> Experiment:
    """Build the components, as a run does before anything is loaded.

    `like` has loaded prompts already, which are not loaded again where they are the same.
    """
    from interp.core.configuration import resolved
    from interp.runner.run import refuse_unused_choices

    composed.register()
    known = like[1].prompts if like and like[0].config.prompts == composed.config.prompts else None
    experiment = build(composed.task, known)
    refuse_unused_choices(experiment, resolved(composed.task))
    return experiment


def _check(composed: Composed, experiment: Experiment) -> None:
    """Let the analysis refuse what it cannot work with, which may take the model's tokenizer.

    Raises:
        ConfigError: as it does in a run.
    """
    from interp.cache import ActivationStore

    if not hasattr(experiment.analysis, "check"):
        return
    outputs = Path(composed.config.outputs).resolve()
    store = ActivationStore.of(str(outputs), composed.config.activations.limit_gb)
    with TemporaryDirectory() as aside:
        if not store.folder.is_dir():
            # Whoever only looks finds no new folder afterwards.
            store = ActivationStore(Path(aside), store.limit_bytes)
        Inputs(experiment, outputs, store).call(experiment.analysis.check)


def _jobs(overrides: list[str]) -> tuple[list[list[str]], list[Override]]:
    """Return the jobs of a sweep, each its overrides, and what is swept; none where it is sought.

    Raises:
        ConfigError: a glob stands for nothing.
    """
    fixed = [o.input_line for o in parsed(overrides) if not o.is_sweep_override()]
    hydra = compose("config", overrides=fixed, return_hydra_config=True).hydra
    presets = hydra.sweeper.get("params") or {}
    if hydra.sweeper._target_ != f"{BasicSweeper.__module__}.{BasicSweeper.__name__}":
        return [fixed], []
    # What a preset sweeps; the command line comes after, as it does for Hydra.
    given = parsed([*(f"{key}={value}" for key, value in presets.items()), *overrides])
    swept = [override for override in given if override.is_sweep_override()]
    for override in swept:
        if not list(override.sweep_string_iterator()):
            raise ConfigError(f"{override.input_line} stands for nothing")
    [jobs] = BasicSweeper.split_arguments(given, None)
    return jobs, swept


def _check_values(
    jobs: list[list[str]], swept: list[Override], first: Composed, experiment: Experiment
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
                _built(Composed.of(job), (first, experiment))
            except ConfigError as error:
                raise ConfigError(f"{changed}: {error}") from None


def _told_of_sweep(jobs: list[list[str]], swept: list[Override], sweeper: str) -> str:
    if sweeper != "basic":
        return f"A sweep whose jobs hydra/sweeper={sweeper} chooses. One of them:"
    if not swept:
        return "A sweep of one job: nothing is swept."
    by_key = {}
    for override in swept:
        values = list(map(str, override.sweep_string_iterator()))
        told = f"{override.input_line} ({len(values)} values)"
        key = override.get_key_element()
        by_key[key] = f"{key}={','.join(values)}" if len(values) <= _NAMED else told
    return f"A sweep of {len(jobs)} jobs: {' × '.join(by_key.values())}. The first of them:"


def _print(
    composed: Composed, experiment: Experiment, conf: Path, own: Sequence[Path], *, is_sweep: bool
) -> None:
    preset = composed.choices.get("experiment", "")
    if preset:
        print(wrapped(f"experiment={preset}: {_described('experiment', preset, conf, own)}"))
    else:
        changed = ", changed on the command line" if composed.overrides else ""
        print(f"No preset: the default experiment{changed}")
    print()
    print(aligned(list(_facts(composed, experiment, conf, own))))
    print()
    print(aligned(list(_rows(composed, experiment, conf, own, is_sweep=is_sweep))))
    if values := composed.values():
        print("\nSet otherwise than in these files:")
        print(aligned([(v.origin, f"{v.key}={flow(v.value)}") for v in values]))


def _facts(
    composed: Composed, experiment: Experiment, conf: Path, own: Sequence[Path]
) -> Iterator[tuple[str, str]]:
    name = composed.choices["analysis"]
    by = composed.origins["analysis"]
    yield "asks", f"{name} ({by}): {_described('analysis', name, conf, own)}"
    told = meanings_of(type(experiment.analysis))
    for field in _DRAWS:
        if field in told:
            value = getattr(experiment.analysis, field)
            yield "null", f"analysis.{field}={value}: {told[field]}"
    prompts = experiment.prompts
    groups = ", ".join(f"{group} {len(prompts.members(group))}" for group in prompts.group_names)
    if group_named("prompts") in used_groups(experiment.analysis):
        yield "reads", f"{len(prompts)} prompts ({groups})"
    yield "loads", _loaded(experiment)
    config = composed.config
    where = config.tracking.uri or f"the MLflow database in {config.outputs}"
    yield "logs to", f"the experiment {config.tracking.experiment} of {where}"


def _loaded(experiment: Experiment) -> str:
    """Say whose weights are loaded, and for what."""
    names = set(inspect.signature(experiment.analysis.__call__).parameters)
    title, reference = experiment.source.title, experiment.reference
    said = []
    if "model" in names or ("reference_source" in names and "activations" not in names):
        said.append(f"the weights of {title}")
    if "activations" in names:
        said.append(f"{title} for a forward pass, unless the store has its activations")
    if reference and {"reference", "reference_source"} & names:
        draws = experiment.reference_draws if reference.is_drawn and "reference" in names else 1
        times = f", drawn {draws} times" if draws > 1 else ""
        said.append(f"the same of {reference.title}{times}")
    return "; ".join(said) or "no model"


def _rows(
    composed: Composed, experiment: Experiment, conf: Path, own: Sequence[Path], *, is_sweep: bool
) -> Iterator[tuple[str, str, str, str]]:
    unused = {g.override for g in GROUPS if g not in used_groups(experiment.analysis)}
    yield "group", "choice", "chosen by", "what it is"
    keys = [group.key for group in choices.groups(conf, own)]
    keys = [key for key in keys if not key.startswith("hydra/")] + ["hydra/launcher"] * is_sweep
    for key in keys:
        name = composed.choices.get(key, "")
        if not name or key in ("experiment", "analysis"):
            continue
        said = _described(key, name, conf, own)
        if key in unused:
            said = f"unused: {composed.choices['analysis']} asks for none"
        yield key, name, composed.origins[key], said


def _described(key: str, name: str, conf: Path, own: Sequence[Path]) -> str:
    """Return what a choice is; "" for a launcher of Hydra's, which has no file here."""
    folder = key.partition("@")[0]
    found = [c for c in choices.every(conf, own) if (c.group, c.name) == (folder, name)]
    return found[0].description if found else ""
