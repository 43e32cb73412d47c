"""`interp list`: what can be chosen, a line each with what it is."""

from pathlib import Path

from interp.cli import choices
from interp.cli.columns import aligned, wrapped
from interp.core.errors import ConfigError

_HELP = """\
interp list [GROUP] [--config-dir FOLDER]
The groups that a run is put together from, or the choices of one of them, each with what it is.
Those of your own folder are listed too."""


def serve(conf: str, arguments: list[str]) -> None:
    """Print the groups, or the choices of the group that is named.

    Args:
        conf: the configuration folder.
        arguments: the command line without `list`.

    Raises:
        ConfigError: there is no such group or folder, or more is given than a group.
    """
    if {"-h", "--help"} & set(arguments):
        print(_HELP)
        return
    own, named = choices.split_folder(arguments)
    choices.check_folder(own)
    if len(named) > 1:
        raise ConfigError(f"list takes one group, not {' and '.join(named)}")
    if named:
        # Someone may have typed the "=" that comes next.
        _print_choices(named[0].removesuffix("="), Path(conf), own)
    else:
        _print_groups(Path(conf), own)


def _print_groups(conf: Path, own: tuple[Path, ...]) -> None:
    rows = [("group", "choices", "default", "what it decides")]
    for group in choices.groups(conf, own):
        found = choices.of_group(group.key, conf, own)
        count = len([choice for choice in found if not choice.is_hidden])
        rows.append((group.key, str(count).rjust(7), group.default or "-", group.decides))
    print(aligned(rows))
    print()
    print(wrapped("interp list GROUP says what each choice is; interp GROUP=CHOICE runs it."))


def _print_choices(key: str, conf: Path, own: tuple[Path, ...]) -> None:
    found = choices.of_group(key, conf, own)
    group = next((g for g in choices.groups(conf, own) if g.key == key), choices.Group(key, "", ""))
    default = f" (by default {group.default})" if group.default else ""
    print(wrapped(f"{key}: {group.decides or 'choices'}{default}"))
    print()
    rows = []
    for choice in found:
        marks = "own, hidden by the project's" if choice.is_hidden else "own" * choice.is_own
        rows.append((choice.name, marks, choice.description))
    has_marks = any(marks for _, marks, _ in rows)
    print(aligned(rows if has_marks else [(name, said) for name, _, said in rows]))
