"""The first sentence of a component's docstring."""

import inspect
import re


def first_sentence(cls: type) -> str:
    """Return the first sentence of a class's docstring, in one line."""
    paragraph = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return sentence(paragraph)


def sentence(text: str) -> str:
    """Return the first sentence of a text; an abbreviation's full stop ends none."""
    found = re.match(r".*?(?<!al)(?<!e\.g)(?<!i\.e)[.?!](?=\s+[A-Z\"]|$)", text)
    return found[0] if found else text
