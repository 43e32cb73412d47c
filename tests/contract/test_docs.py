"""What docs/metrics.md says is what the code declares; docs/sites.md has a row for each site."""

import re
from pathlib import Path

import numpy as np
import pytest

from interp.hooks import HOOKS
from interp.metrics import METRICS
from tests.contract.test_conf import FILES, composed

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
CHOICES = [name for group, name in FILES if group == "metric"]
ENDS = {"∞": np.inf, "−∞": -np.inf, "ln 2": np.log(2)}


def rows():
    paired = True
    for line in PAGE.splitlines():
        if line.startswith("### "):
            paired = not line.startswith("### Unpaired")
        if match := re.match(r"\| `(\w+)` \|", line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            yield match[1], (paired, *cells[1:])


ROWS = dict(rows())
SITES = (Path(__file__).parents[2] / "docs" / "sites.md").read_text(encoding="utf-8")


def test_there_is_a_row_for_each_metric():
    assert sorted(name for name, _ in rows()) == sorted(CHOICES)


@pytest.mark.parametrize("name", CHOICES)
def test_a_row_says_what_the_code_declares(name):
    metric = METRICS.build(composed(f"metric={name}").metric)
    paired, formula, limits, invariances, rotation, use, source = ROWS[name]
    assert paired == metric.paired
    low, high = (
        ENDS[end] if end in ENDS else float(end.replace("−", "-")) for end in limits.split(" to ")
    )
    assert (low, high) == metric.bounds
    assert set(invariances.split(", ")) - {"none"} == metric.invariances
    assert rotation == ("no" if "orthogonal" in metric.invariances else "yes")
    assert all((formula, use, source))


def test_there_is_a_row_for_each_site():
    named = {
        site for row in re.findall(r"^\| (`.+?`) \| \S", SITES, re.M) for site in row.split(", ")
    }
    assert {site.strip("`") for site in named} - {"hook"} == set(HOOKS)
