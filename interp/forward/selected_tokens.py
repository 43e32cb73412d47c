"""The tokens of all prompts, and which of them are read."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.positions import Position, Tokens
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class SelectedTokens:
    """The token ids of all prompts, and the tokens that are read.

    Attributes:
        ids: the token ids of all prompts, one after the other; int32, half the size of PyTorch's
            own type, since a million prompts have many.
        prompt_starts: the start of each prompt in `ids`, and the end of the last, [prompt + 1].
        tokens: the token indices of all samples, each within its prompt.
        sample_starts: the start of each sample in `tokens`, and the end of the last, [sample + 1].
        first_samples: the first sample of each prompt, and the number of samples, [prompt + 1].
        words: the text of each sample.
        own_lengths: the number of tokens of each prompt, without special ones, [prompt].
    """

    ids: NDArray[np.int32]
    prompt_starts: NDArray[np.int64]
    tokens: NDArray[np.int64]
    sample_starts: NDArray[np.int64]
    first_samples: NDArray[np.int64]
    words: list[str]
    own_lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.prompt_starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each prompt, special ones included, [prompt]."""
        return np.diff(self.prompt_starts)

    @cached_property
    def last_read(self) -> NDArray[np.int64]:
        """The index of the last token of each prompt that is read, [prompt]."""
        last = np.maximum.reduceat(self.tokens, self.sample_starts[:-1])
        return np.asarray(np.maximum.reduceat(last, self.first_samples[:-1]))

    def duplicate_of(self) -> NDArray[np.int64]:
        """Return `Plan.duplicate_of`."""
        first: dict[bytes, int] = {}
        found = np.empty(len(self), np.int64)
        for number in range(len(self)):
            start, end = self.first_samples[number : number + 2]
            starts = self.sample_starts[start : end + 1]
            parts = (
                self.prompt(number)[: self.last_read[number] + 1],
                starts - starts[0],
                self.tokens[starts[0] : starts[-1]],
            )
            content = hashlib.sha256(b"|".join(part.tobytes() for part in parts)).digest()
            found[number] = first.setdefault(content, number)
        return found

    def prompt(self, number: int) -> NDArray[np.int64]:
        """Return the token ids of a prompt."""
        own = slice(self.prompt_starts[number], self.prompt_starts[number + 1])
        return self.ids[own].astype(np.int64)


def select_tokens(model: "LanguageModel", prompts: PromptSet, position: Position) -> SelectedTokens:
    """Tokenise the prompts and select their tokens, some thousands of prompts at a time.

    Args:
        model: the model whose tokenizer is used; no weight is needed.
        prompts: the prompts.
        position: selects the tokens of each prompt.

    Raises:
        ConfigError: a prompt that is too long or has no token, or a position that a prompt does not
            have.
    """
    texts: dict[str, str] = {}
    words: list[str] = []
    own_lengths: list[NDArray[np.int64]] = []
    ids: list[NDArray[np.int32]] = []
    read: list[NDArray[np.int64]] = []
    prompt_lengths: list[int] = []
    sample_lengths: list[int] = []
    n_samples: list[int] = []
    start, limit = 0, model.context_length
    for chunk in model.tokenized_in_chunks(prompts.texts):
        tokens: list[int] = []
        for i, prompt in enumerate(chunk, start):
            _check_length(prompt, model.title, limit)
            try:
                samples = position(prompt, prompts.targets[i])
            except ConfigError as error:
                raise ConfigError(f"position: {error}") from error
            prompt_lengths.append(len(prompt.ids))
            n_samples.append(len(samples))
            for sample in samples:
                tokens += sample
                sample_lengths.append(len(sample))
                first, last = prompt.offsets[sample[0], 0], prompt.offsets[sample[-1], 1]
                text = prompt.text[first:last].strip()
                # A million samples have few different texts.
                words.append(texts.setdefault(text, text))
        start += len(chunk)
        ids.append(chunk.ids.astype(np.int32))
        own_lengths.append(np.add.reduceat(~chunk.special, chunk.starts[:-1], dtype=np.int64))
        read.append(np.array(tokens, np.int64))
    return SelectedTokens(
        ids=np.concatenate(ids),
        prompt_starts=_starts(prompt_lengths),
        tokens=np.concatenate(read),
        sample_starts=_starts(sample_lengths),
        first_samples=_starts(n_samples),
        words=words,
        own_lengths=np.concatenate(own_lengths),
    )


def _starts(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _check_length(prompt: Tokens, title: str, limit: float) -> None:
    if not prompt.of_text:
        raise ConfigError(f"prompts: {prompt.text!r} has no token besides special ones in {title}")
    if len(prompt.ids) > limit:
        raise ConfigError(
            f"prompts: {prompt.text[:40]!r}… is {len(prompt.ids)} tokens long; {title} reads at "
            f"most {limit:.0f}"
        )
