"""`interp new experiment`: a preset written from another, commented, for its reader to change."""

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import OmegaConf

from interp.cli import choices
from interp.cli.arguments import VerbParser
from interp.cli.hydra.composition import Composer
from interp.cli.hydra.provenance import Composed, flow
from interp.core.errors import ConfigError, StorageError, check_choice
from interp.core.fields import meanings_of
from interp.runner.analysis import ANALYSES
from interp.runner.inputs import used_groups

_USAGE = "experiment NAME [from=PRESET] [--config-dir FOLDER]"
_DESCRIPTION = """\
Write a preset to begin with: the choices and values of PRESET, or the default choices, with a
comment each. It goes to FOLDER/experiment/NAME.yaml, or to conf/experiment in a checkout."""

_WIDTH = 100
_PACKAGE = "# @package _global_"
_HOW = (
    "#",
    "# Change a choice, or take the # off a default one; `interp list GROUP` describes them all.",
)

# One of a defaults list.
Entry = str | dict[str, Any]


def serve(conf: Path, arguments: list[str]) -> None:
    """Write a preset, and print where it is and how to run it.

    Args:
        conf: the configuration folder.
        arguments: the command line without `new`.

    Raises:
        ConfigError: the name is none or taken, there is no such preset to begin with, or no folder
            to write to.
        StorageError: the file cannot be written.
    """
    parser = VerbParser("new", _USAGE, _DESCRIPTION, own_must_exist=False)
    parser.add_argument("given", nargs="*", metavar="WORD", help="experiment NAME, from=PRESET")
    parsed = parser.parse(arguments)
    own = parsed.own
    name, source = _requested(parsed.given)
    file = _place(conf, own) / "experiment" / f"{name}.yaml"
    for known in choices.of_group("experiment", conf, own):
        if known.name == name:
            raise ConfigError(f"experiment={name} is there already: {known.file}")
    if source:
        choices.find("experiment", source, conf, own)
    _write(file, _preset(source, conf, own))
    option = f"--config-dir {shlex.quote(_shown(own[0]))} " if own else ""
    print(f"written  {_shown(file)}")
    print(f"explain  interp show {option}experiment={name}")
    print(f"run      interp {option}experiment={name}")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}") from None


def _requested(rest: Sequence[str]) -> tuple[str, str]:
    """Return the new preset's name, and that of the one to begin with, "" for none."""
    words = [argument for argument in rest if "=" not in argument]
    source = ""
    for setting in (argument for argument in rest if "=" in argument):
        key, _, source = setting.partition("=")
        if key != "from" or not source:
            raise ConfigError(f"new takes from=PRESET, not {setting}")
    if not words:
        raise ConfigError("new needs to know what: interp new experiment NAME")
    check_choice("new", words[0], ("experiment",))
    if len(words) != 2:
        raise ConfigError("new takes one name: interp new experiment NAME")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", words[1], re.ASCII):
        raise ConfigError(f"a preset's name is of letters, digits, _ and -, not {words[1]!r}")
    return words[1], source


def _place(conf: Path, own: Sequence[Path]) -> Path:
    if own:
        return own[0]
    if conf.parent == Path(__file__).parents[2]:
        raise ConfigError(
            "new: presets of an installed interp stay as they are; give --config-dir FOLDER"
        )
    return conf


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _preset(source: str, conf: Path, own: Sequence[Path]) -> str:
    """Return the text of a preset that begins with another one, or with the default choices."""
    # Of the user's own folder there may be nothing yet.
    with Composer(conf, [folder for folder in own if folder.is_dir()]) as composer:
        composed = Composed.of(composer, [f"experiment={source}"] if source else [])
    composed.register()
    if source:
        file = choices.find("experiment", source, conf, own).file
        about = f"As {source}: {choices.leading_comment(file) or 'your question.'}"
        listed, body = _parts(file.read_text(encoding="utf-8"))
    else:
        about = "Your question, in a line that `interp list experiment` shows."
        listed, body = _of_defaults(composed), ""
    about = textwrap.fill(about, _WIDTH - 2, break_on_hyphens=False)
    lines = [_PACKAGE, *(f"# {line}" for line in about.splitlines()), *_HOW, "defaults:"]
    lines += _choices(composed, listed, choices.groups(conf, own))
    lines += ["", body.strip("\n")] if body.strip() else []
    lines += ["", *_fields(composed, body)]
    return "\n".join(lines) + "\n"


def _of_defaults(composed: Composed) -> list[Entry]:
    """Return the choices that the default experiment makes use of."""
    cls = ANALYSES[composed.config.analysis.name]
    used = {group.override for group in used_groups(cls)} | {"analysis"}
    return [{f"override /{key}": name} for key, name in composed.choices.items() if key in used]


def _parts(text: str) -> tuple[list[Entry], str]:
    """Return a preset's defaults list, and what it sets, as it is written."""
    root, lines = yaml.compose(text), text.splitlines()
    if not isinstance(root, yaml.MappingNode):
        return [], ""
    body: list[str] = []
    listed: list[Entry] = []
    for (key, value), after in zip(root.value, [*root.value[1:], None], strict=True):
        end = after[0].start_mark.line if after else len(lines)
        if key.value == "defaults":
            listed = (yaml.safe_load(text)["defaults"]) or []
            # What follows the last entry belongs to the next key.
            last = _last_line(value)
            body += lines[last + 1 : end]
        else:
            body += lines[key.start_mark.line : end]
    return listed, "\n".join(body)


def _last_line(node: yaml.Node) -> int:
    """Return the line that a node's last scalar is on, from 0."""
    value = node.value
    if isinstance(value, list) and value:
        last = value[-1][1] if isinstance(value[-1], tuple) else value[-1]
        return _last_line(last)
    return int(node.end_mark.line)


def _choices(
    composed: Composed, listed: Sequence[Entry], groups: Sequence[choices.Group]
) -> list[str]:
    """Return the lines of the defaults list; what is not chosen is a comment."""
    overridden = {
        key.removeprefix("override").strip().lstrip("/"): name
        for entry in listed
        if isinstance(entry, dict)
        for key, name in entry.items()
        if key.startswith("override ")
    }
    others = [entry for entry in listed if not _is_override(entry)]
    rows: list[tuple[str, str]] = [(f"  - {flow(entry)}", "") for entry in others]
    if not listed:
        # Without an entry it would be no list.
        overridden["analysis"] = composed.choices["analysis"]
    for group in groups:
        if group.key in ("experiment", "hydra/sweeper"):
            continue
        choice = overridden.pop(group.key, "")
        mark = "- " if choice else "# - "
        name = choice or composed.choices.get(group.key, "") or "null"
        rows.append((f"  {mark}override /{group.key}: {name}", group.decides))
    rows += [(f"  - override /{key}: {name}", "") for key, name in overridden.items()]
    room = max(len(line) for line, _ in rows)
    return [f"{line:{room}}  # {text}" if text else line for line, text in rows]


def _is_override(entry: Entry) -> bool:
    return isinstance(entry, dict) and all(key.startswith("override ") for key in entry)


def _fields(composed: Composed, body: str) -> Iterator[str]:
    """Yield the analysis' values as comments, each with what it means."""
    config = composed.config.analysis
    meanings = meanings_of(ANALYSES[config.name])
    given = (yaml.safe_load(body) or {}) if body else {}
    of_analysis = given.get("analysis") or {}
    values = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=False))
    rows = [
        (f"#   {key}: {flow(value)}", meanings.get(key, "").removesuffix("."))
        for key, value in values.items()
        if key != "name" and key not in of_analysis
    ]
    if of_analysis:
        yield f"# Further values of {config.name}, to be put under `analysis:` above."
    else:
        yield f"# Values of {config.name}: take the # off `analysis:` and off those to change."
    yield "# So may any other value be set; `interp --cfg job` shows them all."
    if not of_analysis:
        yield "# analysis:"
    room = max((len(line) for line, _ in rows), default=0)
    for line, text in rows:
        first, *more = textwrap.wrap(text, _WIDTH - room - 4, break_on_hyphens=False) or [""]
        yield f"{line:{room}}  # {first}" if first else line
        for rest in more:
            yield f"#{'':{room - 1}}  # {rest}"
