"""Words in sentences that follow a growing number of context sentences about the word."""

import string
from collections.abc import Iterator
from dataclasses import dataclass

from interp.core.errors import ConfigError
from interp.data.prompts.prompt_set import PromptSet, escaped, from_marked
from interp.data.prompts.source import PROMPTS

# The template number of a prompt without a template.
NO_TEMPLATE = -1


@dataclass(frozen=True)
class ContextPair:
    """Two sentences of similar length about a word; only one treats it as a subject.

    Both contain `{word}` once.
    """

    subject: str
    other: str


@dataclass(frozen=True)
class Template:
    """A sentence in which the word acts, one in which it is acted on, and context sentences.

    Attributes:
        probe: a sentence that contains `{word}` once, as the agent.
        as_object: a sentence that contains `{word}` once, as the object.
        contexts: sentences that precede the probe. No other template may use them, or the templates
            would not be independent.
    """

    probe: str
    as_object: str
    contexts: list[ContextPair]


@PROMPTS.register("words_in_contexts")
@dataclass(frozen=True)
class WordsInContexts:
    """Every word of every group: alone, as object, and as agent after k sentences about the word.

    The first k context sentences of a template precede its probe, once those of `subject` and once
    those of `other`; the i-th of both are a pair. The last mention of the word is the target. A
    prompt's `condition` is "bare", "as_object", "probe" (no context), "subject" or "other"; its
    `dose` is k, and its `template` counts from 0, or is -1 for the bare word.

    Attributes:
        groups: words by group.
        bare: the frame of the word without a sentence; contains `{word}` once.
        doses: numbers of context sentences.
        templates: the sentences.
    """

    groups: dict[str, list[str]]
    bare: str
    doses: list[int]
    templates: list[Template]

    def __post_init__(self) -> None:
        if sorted(set(self.doses)) != self.doses or not self.doses or self.doses[0] < 0:
            raise ConfigError(f"doses must rise from 0 or more, not {self.doses}")
        if not self.templates:
            raise ConfigError("templates: give at least one")
        words = [word for members in self.groups.values() for word in members]
        for word in words:
            if words.count(word) > 1:
                raise ConfigError(f"groups: the word {word!r} is given twice")
        for i, template in enumerate(self.templates):
            if len(template.contexts) < self.doses[-1]:
                raise ConfigError(
                    f"templates: number {i} has {len(template.contexts)} pairs of context "
                    f"sentences, too few for a dose of {self.doses[-1]}"
                )
        for sentence in self._sentences():
            if _names(sentence) != ["word"]:
                raise ConfigError(
                    f"{sentence!r} must name {{word}} exactly once, and have no other braces"
                )

    def _sentences(self) -> Iterator[str]:
        yield self.bare
        for template in self.templates:
            yield from (template.probe, template.as_object)
            for pair in template.contexts:
                yield from (pair.subject, pair.other)

    def load(self) -> PromptSet:
        """Return the prompts, word by word, with the columns word, condition, dose, template."""
        groups: dict[str, list[str]] = {group: [] for group in self.groups}
        columns: dict[str, list[float | str]] = {
            name: [] for name in ("word", "condition", "dose", "template")
        }
        for group, words in self.groups.items():
            for word in words:
                for sentences, condition, dose, template in self._prompts():
                    *before, last = sentences
                    marked = [s.replace("{word}", escaped(word)) for s in before]
                    marked.append(last.replace("{word}", f"{{{word}}}"))
                    groups[group].append(" ".join(marked))
                    columns["word"].append(word)
                    columns["condition"].append(condition)
                    columns["dose"].append(dose)
                    columns["template"].append(template)
        return from_marked(groups, columns)

    def _prompts(self) -> Iterator[tuple[list[str], str, float, float]]:
        """Yield the sentences of each prompt, its condition, dose and template."""
        yield [self.bare], "bare", 0.0, float(NO_TEMPLATE)
        for i, template in enumerate(self.templates):
            yield [template.as_object], "as_object", 0.0, float(i)
            for dose in self.doses:
                pairs = template.contexts[:dose]
                if dose == 0:
                    yield [template.probe], "probe", 0.0, float(i)
                    continue
                subject = [*(pair.subject for pair in pairs), template.probe]
                yield subject, "subject", float(dose), float(i)
                yield (
                    [*(pair.other for pair in pairs), template.probe],
                    "other",
                    float(dose),
                    float(i),
                )


def _names(sentence: str) -> list[str]:
    """Return the names in a sentence's braces; the sentence itself where braces are unbalanced."""
    try:
        parts = list(string.Formatter().parse(sentence))
    except ValueError:
        return [sentence]
    # A doubled brace, a format or a conversion would later be read as a mark.
    if any(spec or conversion or {"{", "}"} & set(text) for text, _, spec, conversion in parts):
        return [sentence]
    return [name for _, name, _, _ in parts if name is not None]
