"""`interp store`: what is kept of captured activations, whether it is sound, how to make room."""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from interp.cache import ActivationStore, EntrySummary
from interp.cache.files import format_bytes
from interp.cli.arguments import VerbParser
from interp.cli.console import table
from interp.cli.settings import read_settings
from interp.core.errors import ConfigError, check_choice

_USAGE = "[list|verify|prune] [to=SIZE] [outputs=FOLDER] [activations.limit_gb=50]"
_DESCRIPTION = """\
Look at, or make room in, the captured activations that are kept in FOLDER/activations.

  list     what there is: model, site, position, prompts, layers, size, and when it was last used
  verify   read every file against its checksum; what is damaged is set aside, and computed anew by
           the next run that needs it (exit status 1)
  prune    remove what was used longest ago until the rest is no larger than SIZE, such as to=2GB,
           to=500MB or to=0; by default activations.limit_gb. What was set aside goes first."""

_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_KEYS = ("outputs", "activations.limit_gb", "to")


def serve(conf: Path, arguments: list[str]) -> None:
    """Carry out one action on the store; the overrides give its folder, as for a run.

    Args:
        conf: the configuration folder, whose config.yaml gives what is not overridden.
        arguments: the command line without `store`.

    Raises:
        ConfigError: an unknown action or setting.
        StorageError: the store cannot be read or written.
        SystemExit: files were damaged.
    """
    parser = VerbParser("store", _USAGE, _DESCRIPTION)
    parser.add_argument("given", nargs="*", metavar="ACTION", help="list by default, and settings")
    given: list[str] = parser.parse(arguments).given
    actions = [argument for argument in given if "=" not in argument] or ["list"]
    check_choice("store", actions[0], ("list", "verify", "prune"))
    if len(actions) > 1:
        raise ConfigError(f"store takes one action, not {' and '.join(actions)}")
    settings = read_settings("store", conf, _KEYS, [line for line in given if "=" in line])
    limit = settings["activations.limit_gb"]
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ConfigError(f"activations.limit_gb must be a number of GB, not {limit!r}")
    if "to" in settings and actions != ["prune"]:
        raise ConfigError(f"to is a setting of `interp store prune`, not of {actions[0]}")
    store = ActivationStore.of(str(settings["outputs"]), limit)
    if actions == ["prune"]:
        _prune(store, _bytes(str(settings["to"])) if "to" in settings else store.limit_bytes)
    elif actions == ["verify"]:
        _verify(store)
    else:
        _list(store)


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]B)", size)
    if match is None and size != "0":
        raise ConfigError(f"to: expected a size such as 2GB or 500MB, not {size!r}")
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _list(store: ActivationStore) -> None:
    entries = store.entries()
    read = [entry for entry in entries if entry.layers]
    if read:
        _print_table("what", read)
    total = sum(entry.bytes for entry in entries)
    if total:
        print(
            f"{format_bytes(total)} of at most {format_bytes(store.limit_bytes)} in {store.folder}"
        )
    else:
        print(f"nothing is stored in {store.folder}")
    if damaged := store.quarantined_bytes():
        size = format_bytes(damaged)
        print(f"{size} set aside as damaged; `interp store prune to=…` removes them first")


def _row(entry: EntrySummary) -> tuple[str, ...]:
    made: dict[str, object] = {}
    for way in reversed(entry.made):
        made |= way
    what = [str(made[field]) for field in ("title", "site", "position") if field in made]
    return (
        " · ".join(what) or entry.key[:12],
        str(made.get("prompts", "")),
        _ranges(entry.layers),
        str(entry.samples),
        format_bytes(entry.bytes),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used)),
    )


def _ranges(layers: Sequence[int]) -> str:
    """Return ascending numbers in short: "0-3, 7"."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _print_table(title: str, entries: list[EntrySummary]) -> None:
    names = (title, "prompts", "layers", "samples", "size", "last used")
    print(table([names, *map(_row, entries)]))
    print()


def _verify(store: ActivationStore) -> None:
    sound = size = wrong = 0
    for checked in store.verify():
        if checked.state == "sound":
            sound, size = sound + 1, size + checked.bytes
        else:
            wrong += 1
            print(f"{checked.state:7}  {checked.file} of {checked.key}")
    print(f"{sound} files ({format_bytes(size)}) are what was written; {wrong} are not")
    if wrong:
        sys.exit(1)


def _prune(store: ActivationStore, to_bytes: int) -> None:
    before = {entry.key: entry for entry in store.entries()}
    evicted = store.prune(to_bytes)
    gone = [before[key] for key in evicted.keys if key in before]
    if read := [entry for entry in gone if entry.layers]:
        _print_table("removed", read)
    for size, what in (
        (sum(entry.bytes for entry in gone), "of activations"),
        (evicted.damaged, "that had been set aside as damaged"),
        (evicted.unfinished, "that had been left unfinished"),
    ):
        if size:
            print(f"{format_bytes(size)} {what} removed")
    print(f"{format_bytes(evicted.left)} left in {store.folder}")
