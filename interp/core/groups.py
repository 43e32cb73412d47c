"""The configuration groups: adding one is one entry of `GROUPS`, and a folder of `conf/`."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.core.registry import Registry


@dataclass(frozen=True)
class Group:
    """One choice that a configuration makes: a component, from a folder of `conf/`.

    Attributes:
        name: its key in the configuration: "metric".
        decides: what it decides, in a few words.
        registry_at: where the registry of its components is, "module:ATTRIBUTE".
        folder: the folder of `conf/` that its choices are files of; "" for the group's own name.
            Where it is another group's, this is one more place for a component of that kind.
        input: the name by which an analysis asks for the component; "" for the group's own name.
        is_optional: whether nothing may be chosen.
        neutral: the component that changes nothing; any other is refused by an analysis that does
            not use the group. None where an unused choice is allowed, "" where no choice is the
            neutral one.
        known_by_content: whether a run is identified by what the component yields, weights or
            prompts, wherever that comes from; otherwise by the component's name and fields.
    """

    name: str
    decides: str
    registry_at: str
    folder: str = ""
    input: str = ""
    is_optional: bool = False
    neutral: str | None = None
    known_by_content: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)
        object.__setattr__(self, "input", self.input or self.name)

    @property
    def override(self) -> str:
        """What stands before "=" on the command line: "metric", "model@reference"."""
        return self.name if self.folder == self.name else f"{self.folder}@{self.name}"

    @property
    def registry(self) -> "Registry[Any]":
        """The registry of its components, imported when it is first asked for."""
        module, _, attribute = self.registry_at.partition(":")
        found: Registry[Any] = getattr(importlib.import_module(module), attribute)
        return found


GROUPS = (
    Group(
        "model",
        "where the weights come from",
        "interp.models.sources:MODELS",
        input="source",
        known_by_content=True,
    ),
    Group(
        "prompts",
        "the texts, in groups",
        "interp.data.prompts.source:PROMPTS",
        input="prompt_source",
        known_by_content=True,
    ),
    Group("hook", "where to read: a site and its layers", "interp.hooks.hook:HOOKS"),
    Group(
        "position",
        "which tokens to read, and how to pool them",
        "interp.data.positions:POSITIONS",
    ),
    Group(
        "reduction",
        "to fewer dimensions, before anything is compared",
        "interp.reductions.reduction:REDUCTIONS",
        neutral="identity",
    ),
    Group(
        "clustering",
        "how points are put into clusters",
        "interp.clusterings.clustering:CLUSTERINGS",
    ),
    Group("metric", "how alike two sets of points are", "interp.metrics.metric:METRICS"),
    Group("analysis", "the question", "interp.runner.analysis:ANALYSES"),
    Group(
        "reference",
        "a model that the run is compared with",
        "interp.models.sources:MODELS",
        folder="model",
        input="reference_source",
        is_optional=True,
        neutral="",
        known_by_content=True,
    ),
)

_BY_NAME = {group.name: group for group in GROUPS}


def group_named(name: str) -> Group:
    """Return the group of that name.

    Raises:
        KeyError: there is no such group.
    """
    return _BY_NAME[name]
