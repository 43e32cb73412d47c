"""Where the tokens of a batch lie in a forward pass: padded, or packed into one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of some prompts lie in one forward pass.

    Attributes:
        ids: what the model is given, [row, column].
        mask: which of them are tokens, [row, column].
        place: where each token of each prompt lies among the flattened ids, [prompt, token]; what
            is beyond a prompt's end points anywhere.
        lengths: the number of tokens of each prompt.
    """

    ids: Ids
    mask: NDArray[np.bool_]
    place: Ids
    lengths: Ids

    @cached_property
    def home(self) -> Ids:
        """One [prompt, token] cell, flattened, that each of the flattened ids stands for."""
        n_prompts, longest = self.place.shape
        there = np.arange(longest) < self.lengths[:, None]
        home = np.zeros(self.ids.size, np.int64)
        home[self.place[there]] = np.arange(n_prompts * longest).reshape(self.place.shape)[there]
        return home

    @property
    def positions(self) -> Ids:
        """The place of each token in its prompt, [row, column]."""
        return np.asarray(self.home % self.place.shape[1]).reshape(self.ids.shape)


def padded(prompts: Sequence[Ids], pad_id: int) -> Layout:
    """Return a row a prompt, filled up on the right.

    There each model's own position ids are right as they are; and the mask comes from lengths,
    never from ids, which a text may contain.
    """
    lengths, table, mask = _side_by_side(prompts, pad_id)
    places = np.arange(mask.size).reshape(mask.shape)
    return Layout(table, mask, places, lengths)


def packed(prompts: Sequence[Ids], *, shared: bool) -> Layout:
    """Return one row in which the prompts follow one another without padding.

    Args:
        prompts: the ids of each; equal beginnings are found where they stand next to each other, as
            in lexicographic order.
        shared: whether tokens with the same text before them are there but once, as a causal model
            cannot tell them apart.
    """
    lengths, table, mask = _side_by_side(prompts, 0)
    is_new = mask.copy()
    if shared:
        alike = (table[1:] == table[:-1]) & mask[1:] & mask[:-1]
        is_new[1:] &= ~np.logical_and.accumulate(alike, axis=1)
    places = np.zeros(mask.shape, np.int64)
    places[is_new] = np.arange(is_new.sum())
    # A token that is not new is that of the last row which had a new one there.
    places = np.maximum.accumulate(np.where(is_new, places, 0), axis=0)
    row = table[is_new][None]
    return Layout(row, np.ones_like(row, bool), places, lengths)


def _side_by_side(prompts: Sequence[Ids], fill: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
    lengths = np.array([len(ids) for ids in prompts])
    mask = np.arange(lengths.max()) < lengths[:, None]
    table = np.full(mask.shape, fill, np.int64)
    table[mask] = np.concatenate(prompts)
    return lengths, table, mask


def batches(prompts: Sequence[Ids], tokens: int, *, similar: bool) -> list[list[int]]:
    """Return which prompts run together: neighbours in length, up to so many tokens a batch.

    Args:
        prompts: the ids of each.
        tokens: the most tokens of a batch, padding counted; a longer prompt runs alone.
        similar: whether prompts of roughly the same length are put next to those that begin alike.
    """
    lengths = np.array([len(ids) for ids in prompts])
    if similar:
        # Within a factor of two of one another, which bounds the padding that attention computes.
        size = np.ceil(np.log2(lengths)).astype(int)
        order = sorted(range(len(prompts)), key=lambda i: (size[i], prompts[i].tobytes()))
    else:
        order = np.argsort(lengths, kind="stable").tolist()
    found: list[list[int]] = []
    longest = 0
    for i in order:
        longest = max(longest, int(lengths[i]))
        if not found or (len(found[-1]) + 1) * longest > tokens:
            found.append([])
            longest = int(lengths[i])
        found[-1].append(i)
    # The largest first: what it leaves behind in memory has room for every other.
    return sorted(found, key=lambda batch: -int(lengths[batch].sum()))
