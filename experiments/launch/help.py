"""`interp --help`: what one types, and what can be chosen."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_USAGE = """\
interp asks how representations change through a transformer, and logs the answer to MLflow.

interp                                     the default experiment
interp metric=linear_cka hook.layers=3     other choices, other values
interp experiment=him_her                  a preset
interp model@reference=minilm_untrained    beside another model
interp -m model=minilm,minilm_untrained    a sweep: every combination, compared in MLflow
interp ui                                  open the MLflow UI on what has been logged
interp store                               what is kept of captured activations
interp --cfg job                           print the configuration instead of running it

What can be chosen:
"""
_MORE = "More: interp --hydra-help for launchers and shell completion; the README for a tour."


def show(conf: Path, arguments: Sequence[str]) -> None:
    """Print it; Hydra's own way composes the configuration first and takes three times as long.

    Args:
        conf: the configuration folder.
        arguments: the command line, which may name a folder of one's own beside it.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", type=Path, default=conf)
    own = parser.parse_known_args(arguments)[0].config_dir
    choices: dict[str, set[str]] = {}
    for file in (*conf.glob("*/*.yaml"), *own.glob("*/*.yaml")):
        choices.setdefault(file.parent.name, set()).add(file.stem)
    print(_USAGE)
    for group, names in sorted(choices.items()):
        print(f"{group}: {', '.join(sorted(names))}")
    print(f"\n{_MORE}")
