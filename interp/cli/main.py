"""The command line: `interp`, the same as `python -m interp`."""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import hydra
from hydra._internal.hydra import Hydra
from hydra.types import RunMode
from omegaconf import DictConfig

from interp.cli import choices, dry_run, report
from interp.cli.arguments import check_choices, make_outputs
from interp.cli.errors import CONFIG_ERRORS, explain
from interp.cli.hydra import callback
from interp.cli.overrides import CONF, as_hydra_reads

# What one may ask for besides a run: each is the module of that name in `interp.cli`, whose
# `serve` takes the configuration folder and what stands behind the verb.
VERBS = ("list", "show", "new", "compare", "store", "ui")

# What is imported stays as long as the process does: Python would look through all of it for
# garbage a dozen times while it comes in, and once more at the end.
gc.set_threshold(20_000, 10, 20)
atexit.register(gc.freeze)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")  # type: ignore[untyped-decorator]
def _job(config: DictConfig) -> None:
    # Launchers pickle this function by value: all that it needs is imported where it runs.
    from interp.cli.hydra import job

    job.run(config)


@contextmanager
def _composed_once(arguments: list[str]) -> Iterator[None]:
    """Spare a single run the composition that Hydra looks `hydra.mode` up in.

    It would take a fifth of the time until a mistake is found. Where an option or a setting of
    Hydra's is given, its mode may be another; a preset of `conf` that sets one is refused by Hydra.
    """
    look_up = Hydra.get_mode
    if not any(argument.startswith(("-", "+hydra", "hydra")) for argument in arguments):
        Hydra.get_mode = lambda *_, **__: RunMode.RUN
    try:
        yield
    finally:
        Hydra.get_mode = look_up


def main() -> None:
    """Run the command line; a mistake in the configuration is answered in one line."""
    sys.argv[1:] = as_hydra_reads(sys.argv[1:])
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        # Left to itself Hydra prints an error in its own way and exits.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        # A folder of one's own may stand in front of a verb, as it does in front of overrides.
        if (verb := "".join(choices.split_folder(sys.argv[1:])[1][:1])) in VERBS:
            arguments = sys.argv[1:]
            arguments.remove(verb)
            with report.to_a_reader():
                importlib.import_module(f"interp.cli.commands.{verb}").serve(str(CONF), arguments)
        elif {"-sc", "--shell-completion"} & set(sys.argv[1:]):
            from interp.cli.commands import completion

            completion.serve(str(CONF), sys.argv[1:], VERBS)
        elif {"-h", "--help"} & set(sys.argv[1:]):
            from interp.cli.commands import help

            help.show(CONF, sys.argv[1:])
        else:
            check_choices(sys.argv[1:], CONF)
            make_outputs(sys.argv[1:])
            with _composed_once(sys.argv[1:]):
                _job()
            if dry_run.report():
                sys.exit(1)
    except BaseException as error:
        if callback.close(completed=False):
            sys.exit(1)
        if isinstance(error, KeyboardInterrupt):
            print("interp: interrupted", file=sys.stderr)
            # What a shell reports of a program that Ctrl-C ended.
            sys.exit(130)
        if wants_traceback or not isinstance(error, CONFIG_ERRORS):
            raise
        sys.exit(f"interp: {explain(error, str(CONF), sys.argv[1:])}")
    finally:
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]
    callback.close(completed=True)


if __name__ == "__main__":
    main()
