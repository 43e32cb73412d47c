"""The arrangement of a batch's tokens in a forward pass: padded, or packed into one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """The arrangement of some prompts' tokens in one forward pass.

    Attributes:
        ids: the model's input, [row, column].
        mask: which of them are tokens, not padding, [row, column].
        place: the index of each token of each prompt among the flattened ids, [prompt, token];
            arbitrary beyond a prompt's end.
        lengths: the number of tokens of each prompt, [prompt].
    """

    ids: Ids
    mask: NDArray[np.bool_]
    place: Ids
    lengths: Ids

    @cached_property
    def home(self) -> Ids:
        """For each of the flattened ids, the flat index of a [prompt, token] cell that it holds."""
        n_prompts, longest = self.place.shape
        is_token = np.arange(longest) < self.lengths[:, None]
        cells = np.arange(n_prompts * longest).reshape(self.place.shape)
        home = np.zeros(self.ids.size, np.int64)
        home[self.place[is_token]] = cells[is_token]
        return home

    @property
    def positions(self) -> Ids:
        """The index of each token in its prompt, [row, column]."""
        return np.asarray(self.home % self.place.shape[1]).reshape(self.ids.shape)


def padded(prompts: Sequence[Ids], pad_id: int) -> Layout:
    """Return one row per prompt, padded on the right.

    With padding on the right the model's own position ids are correct. The mask is made from the
    lengths, since a text may contain the padding's id.
    """
    lengths, table, mask = _table(prompts, pad_id)
    places = np.arange(mask.size).reshape(mask.shape)
    return Layout(table, mask, places, lengths)


def packed(prompts: Sequence[Ids], *, shared: bool) -> Layout:
    """Return one row in which the prompts follow one another without padding.

    Args:
        prompts: the ids of each; equal beginnings are shared between neighbours, so that
            lexicographic order shares most.
        shared: whether tokens with the same text before them are included only once, as in a causal
            model they have the same values.
    """
    lengths, table, mask = _table(prompts, 0)
    is_new = mask.copy()
    if shared:
        equal = (table[1:] == table[:-1]) & mask[1:] & mask[:-1]
        is_new[1:] &= ~np.logical_and.accumulate(equal, axis=1)
    places = np.zeros(mask.shape, np.int64)
    places[is_new] = np.arange(is_new.sum())
    # A token that is not new is that of the last row with a new one in the same column.
    places = np.maximum.accumulate(np.where(is_new, places, 0), axis=0)
    row = table[is_new][None]
    return Layout(row, np.ones_like(row, bool), places, lengths)


def _table(prompts: Sequence[Ids], fill: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
    lengths = np.array([len(ids) for ids in prompts])
    mask = np.arange(lengths.max()) < lengths[:, None]
    table = np.full(mask.shape, fill, np.int64)
    table[mask] = np.concatenate(prompts)
    return lengths, table, mask


def batches(prompts: Sequence[Ids], tokens: int, *, similar: bool) -> list[list[int]]:
    """Return the prompts of each batch: of similar length, the batch with most tokens first.

    Args:
        prompts: the ids of each.
        tokens: the largest number of tokens per batch, padding counted; a longer prompt runs alone.
        similar: whether prompts of roughly the same length are ordered by their beginnings.
    """
    lengths = np.array([len(ids) for ids in prompts])
    if similar:
        # Lengths within a factor of two bound the padding that attention computes.
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
    # The largest first: the memory that it leaves allocated has room for every other.
    return sorted(found, key=lambda batch: -int(lengths[batch].sum()))
