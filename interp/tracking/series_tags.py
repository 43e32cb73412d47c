"""A run's tested series in tags: the specifications without the numbers, which are metrics.

MLflow limits the length of a tag, so that a long text goes on in `tested_series_2` and so on.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from interp.tracking.store import LONGEST_TAG

if TYPE_CHECKING:
    from interp.stats.tested_series import TestedSeries

_TAG = "tested_series"


def to_tags(series: "Iterable[TestedSeries]") -> dict[str, str]:
    """Return the tags that record the series, the primary one first; none without a series."""
    specifications = [one.specification() for one in series]
    if not specifications:
        return {}
    text = json.dumps(specifications, ensure_ascii=False, separators=(",", ":"))
    parts = [text[start : start + LONGEST_TAG] for start in range(0, len(text), LONGEST_TAG)]
    return {_name(number): part for number, part in enumerate(parts, start=1)}


def from_tags(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the specifications that `to_tags` recorded; none where a run has no such tag."""
    text, number = "", 1
    while part := tags.get(_name(number)):
        text, number = text + part, number + 1
    specifications: list[dict[str, Any]] = json.loads(text or "[]")
    return specifications


def _name(number: int) -> str:
    return _TAG if number == 1 else f"{_TAG}_{number}"
