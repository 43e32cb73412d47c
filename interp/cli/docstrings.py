"""What docstrings say of a component: its first sentence, and the meaning of each of its fields."""

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


def meanings(cls: type) -> dict[str, str]:
    """Return what each field means, by the section "Attributes" of a class's docstring."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if start := re.match(r"    (\w[\w, ]*): (.+)", line):
            name, text = start.groups()
            found[name] = text
        elif line.startswith("        ") and name:
            found[name] += " " + line.strip()
        else:
            break
    return {one: text for names, text in found.items() for one in names.split(", ")}
