"""Bitmasks: one bit per token, the form in which every host takes a mask.

int32 words of shape (rows, ceil(V / 32)); token i is bit `i & 31` of word `i >> 5`; 1 means allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher

__all__ = ["allocate_bitmask", "bitmask_words", "fill_bitmasks", "unpack_row"]

Bitmask = npt.NDArray[np.int32]


def bitmask_words(vocabulary_size: int) -> int:
    """How many int32 words a row has."""
    return (vocabulary_size + 31) // 32


def allocate_bitmask(rows: int, vocabulary_size: int) -> Bitmask:
    """A bitmask with every token allowed (bits beyond the vocabulary included, as a row nobody fills is free)."""
    if rows < 0 or vocabulary_size < 1:
        raise ValueError(f"a bitmask needs rows >= 0 and a vocabulary of at least 1, not {rows} and {vocabulary_size}")
    return np.full((rows, bitmask_words(vocabulary_size)), -1, dtype=np.int32)


def fill_bitmasks(matchers: Sequence[Matcher], bitmask: Bitmask, rows: Sequence[int] | None = None) -> None:
    """Fill one row per matcher; `rows` says which (default: the first len(matchers)).

    The matchers may follow any grammars of one vocabulary.
    """
    places = range(len(matchers)) if rows is None else rows
    if len(places) != len(matchers):
        raise ValueError(f"{len(matchers)} matchers but {len(places)} rows")
    for matcher, row in zip(matchers, places, strict=True):
        matcher.fill_bitmask(bitmask, row)


def unpack_row(row: Bitmask, vocabulary_size: int) -> npt.NDArray[np.bool_]:
    """The row as booleans, one per token."""
    return np.unpackbits(row.view(np.uint8), count=vocabulary_size, bitorder="little").astype(np.bool_)
