"""`interp --help`: what one types, and what can be chosen."""

from collections.abc import Sequence
from pathlib import Path

from interp.cli import choices
from interp.cli.arguments import check_folders, split_folder

_USAGE = """\
interp asks how representations change through a transformer, and logs the answer to MLflow.

Run
  interp                                    the default experiment
  interp metric=linear_cka hook.layers=3    other choices, other values
  interp experiment=him_her                 a preset: all choices at once
  interp model@reference=minilm_untrained   compared with another model
  interp -m model=minilm,minilm_untrained   a sweep: every combination, compared in MLflow

Look first
  interp list [GROUP]                       what can be chosen, and what each choice is
  interp show experiment=him_her            what would run, and why; nothing is run
  interp --cfg job                          the whole configuration

Look afterwards
  interp ui                                 the MLflow UI on what has been logged
  interp compare RUN RUN…                   finished runs, or a sweep's, compared
  interp store [list|verify|prune]          what is kept of captured activations

Add
  interp new experiment NAME from=him_her   a commented preset, to be changed
  --config-dir FOLDER                       presets and other choices of your own, with any of these

Worth knowing
  rerun=true    computes anew what an equal run has found
  dry=true      with -m: lists the jobs without running them

Groups, each GROUP=CHOICE; `interp list GROUP` describes each choice
"""
_MORE = """\
Completion: eval "$(interp -sc install=bash)" in ~/.bashrc; also zsh, and fish (… | source).
More: interp VERB --help; interp --hydra-help for what Hydra can do; the README for a tour."""


def serve(conf: Path, arguments: Sequence[str]) -> None:
    """Print it; Hydra's own way composes the configuration first and takes three times as long.

    Args:
        conf: the configuration folder.
        arguments: the command line, which may name a folder of the user's own.

    Raises:
        ConfigError: there is no such folder.
    """
    own, _ = split_folder(arguments)
    check_folders(own)
    rows = {}
    for group, of_group in choices.by_group(conf, own).items():
        found = [choice for choice in of_group if not choice.is_hidden]
        n_own = sum(choice.is_own for choice in found)
        count = f"{len(found)}, {n_own} of them your own" if n_own else str(len(found))
        rows[group.key] = f"{group.decides} ({count})"
    room = max(map(len, rows))
    lines = [f"  {key:{room}}  {text}" for key, text in rows.items()]
    print(_USAGE + "\n".join(lines) + f"\n\n{_MORE}")
