"""Which of a run's curves it is compared by, and what is recorded beside that curve."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

# What a curve runs over: the first part of its name in MLflow, and its step.
Over = Literal["layer", "component", "epoch"]

# A departure in which direction counts: above the null, below it, or either way.
Direction = Literal["greater", "less", "both"]

# What is recorded beside a curve, behind its prefix.
BESIDE = ("null_mean", "null_low", "null_high", "p_corrected", "score")

# Of a run that names no headline, so many of its curves are compared.
_MOST = 4


@dataclass(frozen=True)
class Headline:
    """A curve by which runs are compared.

    What it is held against has its prefix: `silhouette` stands beside `silhouette_null_mean`,
    `silhouette_null_low`, `silhouette_null_high`, `silhouette_p_corrected` and `silhouette_score`,
    as far as they are recorded.

    Attributes:
        name: what the series, or the spectrum, is called.
        label: what it is, with its unit, as on an axis; runs whose labels differ share no axis.
        prefix: of what is recorded beside it.
        direction: in which direction it departs from its null.
        alpha: the corrected p below which it counts as significant.
        over: what it runs over.
        scale: of its axis.
    """

    name: str
    label: str
    prefix: str = ""
    direction: Direction = "both"
    alpha: float = 0.05
    over: Over = "layer"
    scale: Literal["linear", "logarithmic"] = "linear"

    @property
    def key(self) -> str:
        """What MLflow calls it: "layer/silhouette"."""
        return f"{self.over}/{self.name}"

    def beside(self, what: str) -> str:
        """What MLflow calls one of `BESIDE`: "layer/silhouette_p_corrected"."""
        return f"{self.over}/{self.prefix}{what}"


def to_text(headlines: Sequence[Headline]) -> str:
    """Return headlines as JSON, for a tag."""
    return json.dumps([dataclasses.asdict(one) for one in headlines], ensure_ascii=False)


def from_text(text: str) -> tuple[Headline, ...]:
    """Return what `to_text` wrote; none of an empty text."""
    return tuple(Headline(**fields) for fields in json.loads(text or "[]"))


def guessed(keys: Iterable[str]) -> tuple[Headline, ...]:
    """Return what a run that names no headline is compared by, from the names of its metrics.

    Curves that have a null come alone; where none has one, all do that stand beside no other. At
    most four, in alphabetical order.
    """
    known = set(keys)
    found: list[Headline] = []
    for key in sorted(known):
        over, slash, name = key.partition("/")
        if not slash or over not in get_args(Over):
            continue
        prefix = "" if name == "value" else f"{name}_"
        found.append(Headline(name, name.replace("_", " "), prefix, over=over))  # type: ignore[arg-type]
    with_null = [one for one in found if one.beside("null_mean") in known]
    alone = [one for one in found if not _stands_beside(one.key, known)]
    return tuple((with_null or alone)[:_MOST])


def _stands_beside(key: str, known: set[str]) -> bool:
    endings = ("p", "low", "high", *BESIDE)
    return any(
        key.endswith(f"_{ending}") and key.removesuffix(f"_{ending}") in known for ending in endings
    )
