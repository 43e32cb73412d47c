"""Shell completion: what may stand where the cursor is, and the lines that make a shell ask.

Hydra completes groups, choices and fields. It knows neither verbs nor a folder of the user's own,
no `model@reference`, no second choice of a sweep, and nothing after `python -m interp`; its bash
function changes where words end for all other programs, too. So it is not asked.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from interp.cli import choices
from interp.cli.arguments import split_folder
from interp.cli.errors import EXPLAINED_ERRORS
from interp.cli.hydra.composition import Composer
from interp.core.errors import check_choice

# For readline a word ends within `model@reference=tiny`, too: what it holds for done is taken off
# each answer. Behind "=", "." and "/" one goes on typing, so that no space follows.
_BASH = """\
@NAME() {
    local line="${COMP_LINE:0:COMP_POINT}" ask=("$1") found before answer
    COMPREPLY=()@GUARD
    before="${line##*[[:space:]]}"
    before="${before%"${before##*[$COMP_WORDBREAKS]}"}"
    mapfile -t found < <(COMP_LINE="$line" "${ask[@]}" -sc query=bash 2>/dev/null)
    for answer in "${found[@]}"; do COMPREPLY+=("${answer#"$before"}"); done
    if [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" =~ [=./]$ ]]; then compopt -o nospace; fi
}
complete -o default -F @NAME @PROGRAMS"""
_BASH_GUARD = """
    [[ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" == "-m interp" ]] || return 0
    ask+=(-m interp)"""

_ZSH = """\
@NAME() {
    local line
    local -a ask found unended ended
    ask=("$words[1]")@GUARD
    line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    found=("${(@f)$(COMP_LINE="$line" "${ask[@]}" -sc query=zsh 2>/dev/null)}")
    found=(${found:#})
    (( $#found )) || { _files; return; }
    unended=(${(M)found:#*[=./]})
    ended=(${found:#*[=./]})
    (( $#unended )) && compadd -S '' -a unended
    (( $#ended )) && compadd -a ended
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef @NAME @PROGRAMS"""
_ZSH_GUARD = """
    [[ "$words[2] $words[3]" == "-m interp" ]] || { _default; return; }
    ask+=(-m interp)"""

_FISH = """\
function @NAME
    set -l words (commandline -opc)
    set -l ask $words[1]@GUARD
    set -lx COMP_LINE (commandline -cp)
    $ask -sc query=fish 2>/dev/null
end
for program in @PROGRAMS
    complete -c $program -f -a '(@NAME)'
end"""
_FISH_GUARD = """
    if test "$words[2] $words[3]" != "-m interp"
        __fish_complete_path (commandline -ct)
        return
    end
    set ask $words[1] -m interp"""

_SCRIPTS = {"bash": (_BASH, _BASH_GUARD), "zsh": (_ZSH, _ZSH_GUARD), "fish": (_FISH, _FISH_GUARD)}
_UNINSTALL = {
    "bash": "complete -r @PROGRAMS; unset -f @NAME",
    "zsh": "compdef -d @PROGRAMS; unfunction @NAME",
    "fish": "for program in @PROGRAMS; complete -e -c $program; end; functions -e @NAME",
}

_OPTIONS = ("--cfg", "--config-dir", "--help", "--hydra-help", "--multirun", "-m")
_PATHS = ("outputs", "model.path", "prompts.path", "reference.path")
_ACTIONS = ("list", "verify", "prune")
_SETTINGS = {
    "compare": ("outputs=", "tracking.uri=", "tracking.port="),
    "store": ("to=", "outputs=", "activations.limit_gb="),
    "ui": ("outputs=", "tracking.uri=", "tracking.port="),
}


def serve(conf: Path, arguments: Sequence[str], verbs: Sequence[str]) -> None:
    """Print the lines that install completion in a shell, that take it away, or its answers.

    Args:
        conf: the configuration folder.
        arguments: `install=SHELL`, `uninstall=SHELL`, or `query=SHELL`, as the installed lines ask
            with the command line up to the cursor in COMP_LINE.
        verbs: what may stand in front of everything else.

    Raises:
        ConfigError: another action, or another shell.
    """
    given = [argument for argument in arguments if not argument.startswith("-")]
    action, _, shell = (given or [""])[0].partition("=")
    check_choice("-sc", action, ("install", "uninstall", "query"))
    check_choice(f"-sc {action}", shell, _SCRIPTS)
    if action == "query":
        line = os.environ.get("COMP_LINE", "")
        line = line[: int(os.environ.get("COMP_POINT", len(line)))]
        for answer in answers(line, conf, verbs):
            print(answer)
        return
    is_module = Path(sys.argv[0]).name == "__main__.py"
    script, guard = _SCRIPTS[shell] if action == "install" else (_UNINSTALL[shell], "")
    programs = {Path(sys.executable).name, "python"} if is_module else {Path(sys.argv[0]).name}
    for mark, text in (
        ("@GUARD", guard * is_module),
        ("@NAME", "_python_m_interp" if is_module else "_interp_complete"),
        ("@PROGRAMS", " ".join(sorted(programs))),
    ):
        script = script.replace(mark, text)
    print(script)


def answers(line: str, conf: Path, verbs: Sequence[str]) -> list[str]:
    """Return what the last word of a command line may become, as whole words.

    Args:
        line: what has been typed, up to the cursor, with the program in front.
        conf: the configuration folder.
        verbs: what may stand in front of everything else.
    """
    words = line.split()
    word = "" if not words or line[-1].isspace() else words.pop()
    while words and "=" in words[0]:
        # What is set for one command alone stands in front of the program.
        del words[0]
    is_module = len(words) > 2 and words[1:3] == ["-m", "interp"]
    typed = words[-1] if words else ""
    if typed in ("--config-dir", "-cd"):
        found = [path for path in _paths(word) if path.endswith("/")]
    elif typed in ("--cfg", "-c"):
        found = ["job", "hydra", "all"]
    else:
        own, before = split_folder(words[3 if is_module else 1 :])
        verb = before[0] if before and before[0] in verbs else ""
        own = tuple(folder for folder in own if folder.is_dir())
        possible = _Possible(conf, own, before[bool(verb) :], word)
        found = [*(() if before else verbs), *possible.after(verb)]
    return sorted({answer for answer in found if answer.startswith(word)})


def _paths(word: str) -> Iterator[str]:
    """Yield the files that a path may become, folders with a slash at their end."""
    folder, slash, _ = word.rpartition("/")
    place = Path(f"{folder}{slash}" or ".").expanduser()
    for path in place.iterdir() if place.is_dir() else ():
        if word.rpartition("/")[2].startswith(".") or not path.name.startswith("."):
            yield f"{folder}{slash}{path.name}{'/' * path.is_dir()}"


class _Possible:
    """What may come next.

    Attributes:
        conf, own: the folders of configurations.
        before: the words in front of the cursor's, without program, verb and folder.
        word: what of the next one has been typed.
    """

    def __init__(self, conf: Path, own: Sequence[Path], before: Sequence[str], word: str) -> None:
        self.conf, self.own, self.before, self.word = conf, own, before, word

    def after(self, verb: str) -> Iterator[str]:
        """Yield it, as whole words."""
        if self.word.startswith("-"):
            yield from _OPTIONS
        elif verb == "list":
            yield from (() if self.before else self._keys())
        elif verb == "new" and not self.before:
            yield "experiment"
        elif verb == "new":
            yield "from="
            yield from (f"from={name}" for name in self._names("experiment"))
        elif verb in _SETTINGS:
            yield from _ACTIONS if verb == "store" and not self.before else ()
            yield from _SETTINGS[verb]
            yield from self._values() if "=" in self.word else ()
        elif verb in ("", "show"):
            yield from self._values() if "=" in self.word else self._overrides()

    def _keys(self) -> list[str]:
        return [group.key for group in choices.groups(self.conf, self.own)]

    def _names(self, group: str) -> list[str]:
        """Return the choices of a group, of Hydra's own groups those of its plugins too."""
        if not group.startswith("hydra/"):
            return [choice.name for choice in choices.of_group(group, self.conf, self.own)]
        with Composer(self.conf, self.own) as composer:
            return composer.options(group)

    def _overrides(self) -> Iterator[str]:
        yield from (f"{key}=" for key in self._keys() if not key.startswith("hydra/"))
        if self.word.startswith("h"):
            yield from ("hydra/launcher=", "hydra/sweeper=")
        parent, dot, _ = self.word.rpartition(".")
        node = self._select(parent)
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "name" or (key == "reference" and value is None):
                continue
            if isinstance(value, dict):
                # Of the many fields of a choice only those are offered that one has begun to type.
                yield from [f"{parent}{dot}{key}."] * bool(self.word)
            else:
                yield f"{parent}{dot}{key}="

    def _values(self) -> Iterator[str]:
        key, _, value = self.word.partition("=")
        group = key.lstrip("+")
        if group in (*self._keys(), "hydra/launcher", "hydra/sweeper"):
            # A sweep names several.
            known, comma, _ = value.rpartition(",")
            rest = [name for name in self._names(group) if name not in known.split(",")]
            yield from (f"{key}={known}{comma}{name}" for name in rest)
        elif key in _PATHS:
            yield from (f"{key}={path}" for path in _paths(value))
        else:
            now = self._select(key)
            if isinstance(now, bool):
                yield from (f"{key}=true", f"{key}=false")
            elif isinstance(now, str | int | float) and " " not in str(now):
                yield f"{key}={now}"

    def _select(self, key: str) -> Any:
        """Return what stands at a dotted key, given the choices that have been typed already."""
        groups, typed = self._keys(), []
        for argument in self.before:
            group, equals, value = argument.partition("=")
            if equals and group in groups:
                typed.append(f"{group}={value.partition(',')[0]}")
        with Composer(self.conf, self.own) as composer:
            try:
                config = composer.compose(typed, with_hydra=True)
            except EXPLAINED_ERRORS:
                config = composer.compose(with_hydra=True)
        found: Any = OmegaConf.to_container(config, resolve=False)
        if not key:
            del found["hydra"]
        for part in key.split(".") if key else ():
            found = found.get(part) if isinstance(found, dict) else None
        return found
