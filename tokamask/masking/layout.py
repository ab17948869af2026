"""Arrays laid one after another in one, as the pieces of a vocabulary are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokamask.masking.token_trie import build_trie

__all__ = ["Layout", "token_row"]

Words = npt.NDArray[np.int32]


class Layout:
    """Arrays one after another, each with its offset; the first `header` words are left free."""

    def __init__(self, header: int) -> None:
        self.parts: list[Words] = [np.zeros(header, dtype=np.int32)]
        self.size = header

    def add(self, array: npt.NDArray[np.generic]) -> int:
        """The offset at which the elements of `array` will stand."""
        part = np.ascontiguousarray(array).astype(np.int32, copy=False).ravel()
        self.parts.append(part)
        self.size += len(part)
        return self.size - len(part)

    def add_trie(self, tokens: Sequence[tuple[bytes, int]]) -> tuple[int, int]:
        """The offsets of the nodes and of the tokens of a trie (see `TokenTrie`)."""
        trie = build_trie(tokens)
        return self.add(trie.nodes), self.add(trie.tokens)

    def array(self) -> Words:
        return np.concatenate(self.parts)


def token_row(tokens: npt.ArrayLike, words: int) -> Words:
    """The bitmask row of some token ids, int32 (words,)."""
    allowed = np.zeros(words * 32, dtype=np.bool_)
    allowed[np.asarray(tokens, dtype=np.int64)] = True
    return np.packbits(allowed, bitorder="little").view("<u4").astype(np.uint32).view(np.int32)
