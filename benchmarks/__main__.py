"""The table of what the project claims of speed and memory.

    python -m benchmarks                     all of it, in about an hour
    python -m benchmarks extraction sweep    these parts, the others left as they are
    python -m benchmarks --rounds 5
    python -m benchmarks --small             a trial of a few minutes that writes nothing

writes benchmarks/results.md and benchmarks/results.json.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.table import markdown

# By name, the module that measures it.
SECTIONS = {
    "extraction": "benchmarks.extraction",
    "neurons": "benchmarks.neurons",
    "patterns": "benchmarks.patterns",
    "sweep": "benchmarks.sweep",
    "growth": "benchmarks.growth",
    "similarity": "benchmarks.metrics",
    "gpu": "benchmarks.gpu",
}
RESULTS = Path(__file__).with_name("results.json")


def measured(name: str, rounds: int, *, small: bool) -> dict[str, Any]:
    """Run a section and return its rows, with what they were measured on."""
    print(name, file=sys.stderr, flush=True)
    section = importlib.import_module(SECTIONS[name])
    rows = [row.as_json() for row in section.rows(rounds, small=small)]
    return {"environment": environment(), "rows": rows}


def kept(path: Path) -> dict[str, Any]:
    """Return the sections of earlier runs; nothing where there was none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(sections: dict[str, Any], path: Path) -> None:
    """Write the sections as JSON, and beside it as Markdown."""
    ordered = {name: sections[name] for name in SECTIONS if name in sections}
    text = json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(ordered), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Measure and write; a section is written as soon as it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way (default 3)")
    parser.add_argument("--small", action="store_true", help="try it out on cut-down shapes")
    given = parser.parse_args(arguments)
    for name in given.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}; there are {', '.join(SECTIONS)}")
    if given.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {given.rounds}")
    found: dict[str, Any] = {}
    for name in given.sections or SECTIONS:
        found[name] = measured(name, given.rounds, small=given.small)
        if not given.small:
            write({**kept(RESULTS), **found}, RESULTS)
    print(markdown(found))
    if any(row["remark"].startswith("failed") for s in found.values() for row in s["rows"]):
        sys.exit("some of it failed: see the remarks")


if __name__ == "__main__":
    main(sys.argv[1:])
