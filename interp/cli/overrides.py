"""Where the choices lie, and how the overrides that one types come into the form Hydra reads."""

from pathlib import Path

from hydra.core.config_store import ConfigStore

from interp.core.configuration import Config

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel carries conf/ inside this package; in a checkout it stands beside it.
CONF = next(
    path
    for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf")
    if (path / "config.yaml").is_file()
)

ConfigStore.instance().store(name="schema", node=Config)


def as_hydra_reads(given: list[str]) -> list[str]:
    """Bring a command line into the form that Hydra reads.

    Overrides may stand before and after options, a path may hold `{layer}` unquoted, and a folder
    or file may begin with "~".
    """
    quoted = []
    for argument in given:
        key, equals, value = argument.partition("=")
        if key in ("outputs", "model.path", "prompts.path") and value.startswith("~"):
            value = str(Path(value).expanduser())
        if equals and "{layer}" in value and not {'"', "'"} & set(value):
            value = ",".join(f'"{path}"' for path in value.split(","))
        quoted.append(f"{key}{equals}{value}")
    return sorted(quoted, key=lambda a: not a.startswith("-") and ("=" in a or a[:1] in "~+"))
