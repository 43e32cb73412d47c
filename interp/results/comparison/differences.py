"""The parameters in which runs differ, and labels of runs made from them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.results.comparison.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd

# Settings of storage, which do not change a result.
_INDIFFERENT = ("outputs", "rerun", "tracking", "activations", "dry", "imports")
_ABSENT = "–"
# The longest value in a label, in characters, and the most fields of one component.
_LONGEST, _MOST_FIELDS = 32, 3


def find_differences(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Return the parameters that differ, with one value per run; names of components come first."""
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for record in records for key in record.params):
        if key.partition(".")[0] in _INDIFFERENT:
            continue
        values = [record.params.get(key, _ABSENT) for record in records]
        if len(set(values)) > 1:
            found[key] = values
    return dict(sorted(found.items(), key=lambda item: not item[0].endswith(".name")))


def describe_shared(records: Sequence[RunRecord]) -> str:
    """Return the model, the prompts and the site, as far as all runs share them."""
    places = [
        f"{record.site}, {record.params.get('position.name', '')}" if record.site else ""
        for record in records
    ]
    columns = ([r.model for r in records], [r.prompts for r in records], places)
    return " · ".join(column[0] for column in columns if len(set(column)) == 1 and column[0])


def difference_table(records: Sequence[RunRecord], names: Sequence[str]) -> "pd.DataFrame":
    """Return the differences as a table with one row per parameter and one column per run.

    With more runs than parameters it is transposed, because a page is taller than wide.
    """
    import pandas as pd

    columns = {
        key: [_cut(value) for value in values] for key, values in find_differences(records).items()
    }
    table = pd.DataFrame(columns, index=list(names))
    if len(records) > len(columns):
        return table.rename_axis("run").reset_index()
    return table.T.rename_axis("parameter").reset_index()


def label_runs(records: Sequence[RunRecord]) -> list[tuple[str, ...]]:
    """Return a distinct label for each run, in parts: ("minilm", "cosine").

    The parts come from the names of a sweep's jobs, or from the parameters that differ. Labels that
    would be equal end in the first digits of the run's id.
    """
    if len({record.parent for record in records}) == 1 and records[0].parent:
        found = [tuple(record.name.split(" · ")) for record in records]
        if len(set(map(len, found))) > 1:
            found = [(record.name,) for record in records]
    else:
        found = list(zip(*_parts(records), strict=True)) or [() for _ in records]
    # A part that all runs share is left out, unless there is no other.
    kept = [i for i, part in enumerate(zip(*found, strict=True)) if len(set(part)) > 1]
    if kept:
        found = [tuple(label[i] for i in kept) for label in found]
    elif len(records) == 1:
        found = [(records[0].name,)]
    return [
        label if found.count(label) == 1 else (*label, record.run_id[:8])
        for label, record in zip(found, records, strict=True)
    ]


def _parts(records: Sequence[RunRecord]) -> list[list[str]]:
    """Return, for each component that differs between runs, one value per run."""
    differing = find_differences(records)
    parts = []
    for group in dict.fromkeys(key.partition(".")[0] for key in differing):
        fields = {
            key.removeprefix(f"{group}.").removeprefix(group): values
            for key, values in differing.items()
            if key.partition(".")[0] == group
        }
        distinct = len(set(zip(*fields.values(), strict=True)))
        names = fields.get("name", [""] * len(records))
        if group == "model":
            names = [record.model or name for record, name in zip(records, names, strict=True)]
        if len(set(names)) == distinct:
            parts.append(names)
            continue
        shown = [(f, values) for f, values in fields.items() if f != "name"][:_MOST_FIELDS]
        parts.append(
            [
                ", ".join(
                    [
                        *([names[i]] if len(set(names)) > 1 else []),
                        *(
                            f"{f or group}={_cut(values[i])}"
                            for f, values in shown
                            if values[i] != _ABSENT
                        ),
                    ]
                )
                for i in range(len(records))
            ]
        )
    return parts


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
