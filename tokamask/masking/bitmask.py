"""Bitmasks: one bit per token, the form in which every host takes a mask.

int32 words of shape (rows, ceil(V / 32)); token i is bit `i & 31` of word `i >> 5`; 1 means allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import VocabularyMismatch

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher

__all__ = [
    "allocate_bitmask",
    "bitmask_words",
    "clear_tokens",
    "fill_bitmasks",
    "pack_row",
    "row_addresses",
    "set_tokens",
    "unpack_row",
]

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

    The matchers may follow any grammars of one vocabulary. One after another: a mask already seen takes less time than
    handing it to another thread, and those of one grammar wait for each other anyway. Kernels release the GIL, so
    several threads may fill bitmasks of their own.

    Raises:
        VocabularyMismatch: the bitmask has another width or type, or the matchers are of different vocabularies.
        IndexError: no such row. Nothing is written then.
    """
    places = range(len(matchers)) if rows is None else rows
    if len(places) != len(matchers):
        raise ValueError(f"{len(matchers)} matchers but {len(places)} rows")
    for row in places:
        if not 0 <= row < len(bitmask):
            raise IndexError(f"row {row} of a bitmask with {len(bitmask)} rows")
    if len({matcher.compiled.vocabulary.fingerprint for matcher in matchers}) > 1:
        raise VocabularyMismatch("the matchers belong to different vocabularies; fill a bitmask for each")
    for matcher, row in zip(matchers, places, strict=True):
        matcher.fill_bitmask(bitmask, row)


def row_addresses(bitmask: Bitmask, vocabulary_size: int) -> dict[int, int]:
    """Where each row begins in memory, for kernels that write masks of so many tokens; hold the array meanwhile.

    Raises:
        TypeError: no numpy array.
        VocabularyMismatch: the bitmask has another width or type, or is read-only.
    """
    if not isinstance(bitmask, np.ndarray):
        raise TypeError(
            f"a bitmask must be a numpy array, not {type(bitmask).__name__}; allocate_bitmask makes one, and "
            "torch.from_numpy a tensor that shares its memory"
        )
    if (
        bitmask.dtype != np.int32
        or bitmask.ndim != 2
        or bitmask.shape[1] != bitmask_words(vocabulary_size)
        or bitmask.strides[1] != 4
    ):
        raise VocabularyMismatch(
            f"a bitmask of {bitmask.dtype} {bitmask.shape} cannot hold masks of {vocabulary_size} tokens; "
            f"use allocate_bitmask(rows, {vocabulary_size})"
        )
    if not bitmask.flags.writeable:
        raise VocabularyMismatch("the bitmask is read-only; masks are written into it")
    first, step = bitmask.ctypes.data, bitmask.strides[0]
    return {row: first + row * step for row in range(len(bitmask))}


def unpack_row(row: Bitmask, vocabulary_size: int) -> npt.NDArray[np.bool_]:
    """The row as booleans, one per token."""
    return np.unpackbits(row.view(np.uint8), count=vocabulary_size, bitorder="little").astype(np.bool_)


def pack_row(allowed: npt.NDArray[np.bool_]) -> Bitmask:
    """A row of int32 words from one boolean per token."""
    padded = np.zeros(32 * bitmask_words(len(allowed)), dtype=np.bool_)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.int32)


def set_tokens(row: Bitmask, tokens: Sequence[int]) -> None:
    """Allow some tokens in a row."""
    words = row.view(np.uint32)
    for token in tokens:
        words[token >> 5] |= np.uint32(1 << (token & 31))


def clear_tokens(row: Bitmask, tokens: Sequence[int]) -> list[int]:
    """Forbid some tokens in a row; returns those that were allowed."""
    words = row.view(np.uint32)
    were_allowed = [token for token in tokens if words[token >> 5] >> np.uint32(token & 31) & 1]
    for token in were_allowed:
        words[token >> 5] ^= np.uint32(1 << (token & 31))
    return were_allowed
