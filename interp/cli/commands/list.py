"""`interp list`: what can be chosen, one line each with what it is."""

from collections.abc import Sequence
from pathlib import Path

from interp.cli import choices
from interp.cli.arguments import VerbParser
from interp.cli.console import paragraph, table

_DESCRIPTION = """\
The groups that a run is put together from, the choices of one of them, or the settings of one
choice, each with what it is. Those of your own folder are listed too."""


def serve(conf: Path, arguments: list[str]) -> None:
    """Print the groups, the choices of the group that is named, or the settings of a choice.

    Args:
        conf: the configuration folder.
        arguments: the command line without `list`.

    Raises:
        ConfigError: there is no such group, choice or folder, or more is given than one.
    """
    parser = VerbParser("list", "[GROUP[=CHOICE]] [--config-dir FOLDER]", _DESCRIPTION)
    parser.add_argument(
        "group", metavar="GROUP", nargs="?", help="by default the groups are listed"
    )
    given = parser.parse(arguments)
    group, _, choice = (given.group or "").partition("=")
    if choice:
        _print_settings(choices.find(group, choice, conf, given.own))
    elif group:
        _print_choices(group, conf, given.own)
    else:
        _print_groups(conf, given.own)


def _print_groups(conf: Path, own: Sequence[Path]) -> None:
    rows = [("group", "choices", "default", "what it decides")]
    for group, found in choices.by_group(conf, own).items():
        count = len([choice for choice in found if not choice.is_hidden])
        rows.append((group.key, str(count).rjust(7), group.default or "-", group.decides))
    print(table(rows))
    print()
    print(
        paragraph("interp list GROUP describes each choice, interp list GROUP=CHOICE its settings.")
    )


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


def _print_settings(choice: choices.Choice) -> None:
    print(paragraph(f"{choice.group}={choice.name}: {choice.description}"))
    settings = choices.settings_of(choice)
    if not settings:
        return
    print()
    print(table([("setting", "value", "type", "what it means"), *settings]))
    first = settings[0][0]
    print()
    command = f"interp {choice.group}={choice.name} {choice.group}.{first}=…"
    print(paragraph(f"{command} sets another value."))
