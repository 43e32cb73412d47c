"""`interp list`: what can be chosen, one line each with what it is."""

from collections.abc import Sequence
from pathlib import Path

from interp.cli import choices
from interp.cli.arguments import VerbParser
from interp.cli.console import paragraph, table

_DESCRIPTION = """\
The groups that a run is put together from, or the choices of one of them, each with what it is.
Those of your own folder are listed too."""


def serve(conf: Path, arguments: list[str]) -> None:
    """Print the groups, or the choices of the group that is named.

    Args:
        conf: the configuration folder.
        arguments: the command line without `list`.

    Raises:
        ConfigError: there is no such group or folder, or more is given than a group.
    """
    parser = VerbParser("list", "[GROUP] [--config-dir FOLDER]", _DESCRIPTION)
    parser.add_argument(
        "group", metavar="GROUP", nargs="?", help="by default the groups are listed"
    )
    given = parser.parse(arguments)
    if given.group:
        # Someone may have typed the "=" that comes next.
        _print_choices(given.group.removesuffix("="), conf, given.own)
    else:
        _print_groups(conf, given.own)


def _print_groups(conf: Path, own: Sequence[Path]) -> None:
    rows = [("group", "choices", "default", "what it decides")]
    for group in choices.groups(conf, own):
        found = choices.of_group(group.key, conf, own)
        count = len([choice for choice in found if not choice.is_hidden])
        rows.append((group.key, str(count).rjust(7), group.default or "-", group.decides))
    print(table(rows))
    print()
    print(paragraph("interp list GROUP describes each choice; interp GROUP=CHOICE runs it."))


def _print_choices(key: str, conf: Path, own: Sequence[Path]) -> None:
    found = choices.of_group(key, conf, own)
    group = next((g for g in choices.groups(conf, own) if g.key == key), choices.Group(key, "", ""))
    default = f" (by default {group.default})" if group.default else ""
    print(paragraph(f"{key}: {group.decides or 'choices'}{default}"))
    print()
    rows = []
    for choice in found:
        marks = "own, hidden by the project's" if choice.is_hidden else "own" * choice.is_own
        rows.append((choice.name, marks, choice.description))
    has_marks = any(marks for _, marks, _ in rows)
    print(table(rows if has_marks else [(name, text) for name, _, text in rows]))
