"""The command line: `interp`, the same as `python -m interp`."""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig

from interp.cli import console, dry_run
from interp.cli.arguments import split_folder
from interp.cli.errors import EXPLAINED_ERRORS, explain
from interp.cli.hydra import callback
from interp.cli.overrides import CONF, as_hydra_reads, check_choices, make_outputs

# What one may ask for besides a run: each is the module of that name in `interp.cli.commands`,
# whose `serve` takes the configuration folder and the rest of the command line.
VERBS = ("list", "show", "new", "compare", "store", "ui")

# What is imported stays as long as the process does: Python would look through all of it for
# garbage a dozen times while it comes in, and once more at the end.
gc.set_threshold(20_000, 10, 20)
atexit.register(gc.freeze)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")  # type: ignore[untyped-decorator]
def _job(config: DictConfig) -> None:
    # Launchers pickle this function by value: all that it needs is imported where it runs.
    from interp.cli.hydra import task

    task.run(config)


def main() -> None:
    """Run the command line; a mistake of the user's is answered in one line."""
    arguments = as_hydra_reads(sys.argv[1:])
    sys.argv[1:] = arguments
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        # Left to itself Hydra prints an error in its own way and exits.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        _dispatch(arguments)
    except BaseException as error:
        if callback.close(completed=False):
            sys.exit(1)
        if isinstance(error, KeyboardInterrupt):
            print("interp: interrupted", file=sys.stderr)
            # The status that a shell reports of a program that Ctrl-C ended.
            sys.exit(130)
        if wants_traceback or not isinstance(error, EXPLAINED_ERRORS):
            raise
        sys.exit(f"interp: {explain(error, CONF, arguments)}")
    finally:
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]
    callback.close(completed=True)


def _dispatch(arguments: list[str]) -> None:
    """Serve a verb, a completion or the help, or run what is configured."""
    # The user's own folder may stand before a verb, as it does before overrides.
    if (verb := "".join(split_folder(arguments)[1][:1])) in VERBS:
        rest = list(arguments)
        rest.remove(verb)
        with console.to_a_reader():
            importlib.import_module(f"interp.cli.commands.{verb}").serve(CONF, rest)
    elif {"-sc", "--shell-completion"} & set(arguments):
        from interp.cli.commands import completion

        completion.serve(CONF, arguments, VERBS)
    elif {"-h", "--help"} & set(arguments):
        from interp.cli.commands import help

        help.serve(CONF, arguments)
    else:
        _run(arguments)


def _run(arguments: Sequence[str]) -> None:
    check_choices(arguments, CONF)
    make_outputs(arguments)
    _job()
    if dry_run.report():
        sys.exit(1)


if __name__ == "__main__":
    main()
