"""The set of words as rows of an embedding, and random tokens in their place."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel

# Two words are a line, and every spectrum of one value is the same.
_FEWEST_WORDS = 3

# Frequency ranks are matched within so many classes of one size.
_RANK_CLASSES = 20

# Numbers held at once by random draws: 64 MB.
_HELD_AT_ONCE = 8_000_000


@dataclass(frozen=True, eq=False)
class Words:
    """Words, and the tokens that they are made of.

    Attributes:
        texts: the words.
        ids: the tokens of all of them, one word after the other, [token].
        word_of_token: which word each is of, [token].
    """

    texts: tuple[str, ...]
    ids: NDArray[np.intp]
    word_of_token: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        prompts: PromptSet,
        model: "LanguageModel",
        pooling: str,
        way_out: str = "leave them out",
    ) -> "Words":
        """Look up the words; no weight is needed.

        Args:
            prompts: one word each.
            model: whose tokenizer reads them.
            pooling: "none": a word is one token; "mean" of its tokens; its "first" or "last".
            way_out: what can be done about words of several tokens.

        Raises:
            ConfigError: too few words, words of several tokens where none are pooled, a word that
                the tokenizer does not know, or two words that are the same to it.
        """
        if len(prompts) < _FEWEST_WORDS:
            raise ConfigError(
                f"prompts: a spectrum needs at least {_FEWEST_WORDS} words, not {len(prompts)}"
            )
        found: list[NDArray[np.int64]] = []
        several = []
        for tokens in model.tokenize(prompts.texts):
            ids = tokens.ids[tokens.of_text]
            if not len(ids):
                raise ConfigError(f"prompts: {tokens.text!r} has no token in {model.title}")
            if model.tokenizer.unk_token_id in ids:
                raise ConfigError(f"prompts: {model.title} has no token for {tokens.text!r}")
            if len(ids) > 1:
                pieces = [str(p) for p in model.tokenizer.convert_ids_to_tokens(ids.tolist())]
                shown = " + ".join(pieces[:4] + ["…"] * (len(pieces) > 4))
                several.append(f"{tokens.text!r} ({shown})")
            found.append({"first": ids[:1], "last": ids[-1:]}.get(pooling, ids))
        if several and pooling == "none":
            more = f" and {len(several) - 3} more" if len(several) > 3 else ""
            raise ConfigError(
                f"prompts: words of one token are needed, and of several in {model.title} are "
                f"{', '.join(several[:3])}{more}; {way_out}"
            )
        times = Counter(tuple(ids.tolist()) for ids in found)
        alike = [
            repr(text)
            for text, ids in zip(prompts.texts, found, strict=True)
            if times[tuple(ids.tolist())] > 1
        ]
        if alike:
            raise ConfigError(
                f"prompts: {', '.join(alike[:5])} are not told apart by their tokens in "
                f"{model.title}"
            )
        lengths = [len(ids) for ids in found]
        return cls(
            prompts.texts,
            np.concatenate(found).astype(np.intp),
            np.repeat(np.arange(len(found)), lengths),
        )

    def points(self, matrix: NDArray[np.float32], ids: NDArray[np.intp]) -> Array:
        """Return the rows of tokens in the words' places, pooled as the words are, [..., word, d].

        Args:
            matrix: the embedding, [id, d].
            ids: [..., token].
        """
        rows = matrix[ids].astype(np.float64)
        if len(self.texts) == len(self.ids):
            return rows
        pool = (np.arange(len(self.texts))[:, None] == self.word_of_token).astype(np.float64)
        return np.asarray((pool / pool.sum(1, keepdims=True)) @ rows)


@dataclass(frozen=True, eq=False)
class RandomTokens:
    """Random tokens in the places of the words' tokens.

    Attributes:
        ids: [draw, token]; in a draw a token comes twice where it does in the words.
        described: what they are matched in, for figures.
    """

    ids: NDArray[np.intp]
    described: str

    @classmethod
    def drawn(
        cls,
        words: Words,
        vocabulary: Vocabulary,
        match: str,
        draws: int,
        rng: np.random.Generator,
    ) -> "RandomTokens":
        """Draw from all tokens that are neither special nor unused, the words' own among them.

        Args:
            words: the words.
            vocabulary: where tokens are drawn from.
            match: "none"; "length": each token as many signs long as the one in whose place it
                stands, both ASCII or neither; "rank": from the same twentieth of the vocabulary by
                its ids, which tokenizers give out roughly by frequency.
            draws: how many times.
            rng: where they are drawn from.

        Raises:
            ConfigError: more words than tokens like them.
        """
        pool = np.flatnonzero(vocabulary.is_word)
        if match == "length":
            bare = [text.removeprefix("␣").removeprefix("##") for text in vocabulary.texts]
            # Of one sign, most tokens are of scripts that hardly occur.
            kinds = np.array([2 * len(text) + text.isascii() for text in bare])
            described = "random tokens of the same lengths and script"
        elif match == "rank":
            kinds = np.zeros(len(vocabulary.texts), np.intp)
            kinds[pool] = np.arange(len(pool)) * _RANK_CLASSES // len(pool)
            described = "random tokens of similar frequency rank"
        else:
            kinds = np.zeros(len(vocabulary.texts), np.intp)
            described = "random tokens"
        # What words have in common their places have in common too.
        distinct, place_of_token = np.unique(words.ids, return_inverse=True)
        ids = np.empty((draws, len(distinct)), np.intp)
        for kind in np.unique(kinds[distinct]):
            places = np.flatnonzero(kinds[distinct] == kind)
            candidates = pool[kinds[pool] == kind]
            if len(candidates) < len(places):
                raise ConfigError(
                    f"analysis.match={match}: {len(places)} words are like only "
                    f"{len(candidates)} tokens of the vocabulary"
                )
            for draw in range(draws):
                ids[draw, places] = rng.choice(candidates, len(places), replace=False)
        return cls(ids[:, place_of_token], described)

    def chunks(self, width: int) -> Iterator[slice]:
        """Part the draws so that their rows of that width fit into memory."""
        step = max(_HELD_AT_ONCE // (self.ids.shape[1] * width), 1)
        for start in range(0, len(self.ids), step):
            yield slice(start, start + step)
