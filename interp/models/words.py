"""Words as rows of an embedding, and random tokens in their place."""

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

# Two words around their mean have one singular value, and all such spectra are equal.
_FEWEST_WORDS = 3

# Frequency ranks are matched within that many classes of equal size.
_RANK_CLASSES = 20

# Numbers of random embeddings held at once: 64 MB.
_NUMBERS_PER_CHUNK = 8_000_000


@dataclass(frozen=True, eq=False)
class Words:
    """Words and their tokens.

    Attributes:
        texts: the words.
        ids: the tokens of all words, in order, [token].
        word_of_token: the word to which each token belongs, [token].
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
        remedy: str = "leave them out",
    ) -> "Words":
        """Look up the words; no weights are needed.

        Args:
            prompts: one word each.
            model: the model whose tokenizer is used.
            pooling: "none": a word must be one token; "mean" of its tokens; its "first" or "last".
            remedy: for the error message about words of several tokens.

        Raises:
            ConfigError: too few words, words of several tokens without pooling, a word that the
                tokenizer does not know, or two words with the same tokens.
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
                f"prompts: words must be one token each, but these are several in {model.title}: "
                f"{', '.join(several[:3])}{more}; {remedy}"
            )
        counts = Counter(tuple(ids.tolist()) for ids in found)
        ambiguous = [
            repr(text)
            for text, ids in zip(prompts.texts, found, strict=True)
            if counts[tuple(ids.tolist())] > 1
        ]
        if ambiguous:
            raise ConfigError(
                f"prompts: {', '.join(ambiguous[:5])} have the same tokens in {model.title}"
            )
        lengths = [len(ids) for ids in found]
        return cls(
            prompts.texts,
            np.concatenate(found).astype(np.intp),
            np.repeat(np.arange(len(found)), lengths),
        )

    def points(self, matrix: NDArray[np.float32], ids: NDArray[np.intp]) -> Array:
        """Return embeddings of tokens in the words' places, pooled like these, [..., word, d].

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
        ids: [set, token]; a token is repeated within a set where the words repeat one.
        description: what they have in common with the words, for figures.
    """

    ids: NDArray[np.intp]
    description: str

    @classmethod
    def sample(
        cls,
        words: Words,
        vocabulary: Vocabulary,
        match: str,
        n_sets: int,
        rng: np.random.Generator,
    ) -> "RandomTokens":
        """Draw from all tokens that are neither special nor unused, those of the words included.

        Args:
            words: the words.
            vocabulary: the tokens to draw from.
            match: "none"; "length": each token has as many characters as the one that it replaces,
                and both are ASCII or neither; "rank": from the same twentieth of the vocabulary by
                id, which tokenizers assign roughly by frequency.
            n_sets: how many random sets.
            rng: for the draws.

        Raises:
            ConfigError: fewer matching tokens than words.
        """
        pool = np.flatnonzero(vocabulary.is_word)
        if match == "length":
            bare = [text.removeprefix("␣").removeprefix("##") for text in vocabulary.texts]
            # Most tokens of one character belong to rare scripts, so scripts are matched too.
            kinds = np.array([2 * len(text) + text.isascii() for text in bare])
            description = "random tokens of the same lengths and script"
        elif match == "rank":
            kinds = np.zeros(len(vocabulary.texts), np.intp)
            kinds[pool] = np.arange(len(pool)) * _RANK_CLASSES // len(pool)
            description = "random tokens of similar frequency rank"
        else:
            kinds = np.zeros(len(vocabulary.texts), np.intp)
            description = "random tokens"
        # Tokens that words share are replaced by the same random token.
        distinct, place_of_token = np.unique(words.ids, return_inverse=True)
        ids = np.empty((n_sets, len(distinct)), np.intp)
        for kind in np.unique(kinds[distinct]):
            places = np.flatnonzero(kinds[distinct] == kind)
            candidates = pool[kinds[pool] == kind]
            if len(candidates) < len(places):
                raise ConfigError(
                    f"analysis.match={match}: {len(places)} words match only "
                    f"{len(candidates)} tokens of the vocabulary"
                )
            for number in range(n_sets):
                ids[number, places] = rng.choice(candidates, len(places), replace=False)
        return cls(ids[:, place_of_token], description)

    def chunks(self, width: int) -> Iterator[slice]:
        """Yield slices of the sets whose embeddings of that width fit into memory."""
        step = max(_NUMBERS_PER_CHUNK // (self.ids.shape[1] * width), 1)
        for start in range(0, len(self.ids), step):
            yield slice(start, start + step)
