"""Which tokens go on writing one of some names, as a bitmask.

A token does so in one of two ways: it lies inside a name, or it completes a name and begins what comes after with a
byte that is not part of identifiers. Tokens are kept sorted, so those of the second kind are a few ranges per name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.masking.bitmask import pack_row
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.monitors.python_lexer import IDENTIFIER_BYTES

__all__ = ["Continuations", "NameMasks"]

RECENT = 512
"""Continuations that are remembered: the names of a few dozen types, at every place inside them."""


@dataclass(frozen=True, eq=False)
class Continuations:
    """The tokens that go on writing one of some names.

    Attributes:
        row: int32 (ceil(V / 32),), one row of a bitmask, read-only.
        beyond: among them, those that complete a name and hold a dot before their last byte. If that dot is a
            dereference again, then what it refers to decides about the token.
    """

    row: npt.NDArray[np.int32]
    beyond: tuple[int, ...]


class NameMasks:
    """The masks of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        spelled: defaultdict[bytes, list[int]] = defaultdict(list)
        for token, text in enumerate(vocabulary.token_bytes):
            if text is not None:
                spelled[text].append(token)
        self.vocabulary = vocabulary
        self._texts: Sequence[bytes] = sorted(spelled)
        self._ids = [spelled[text] for text in self._texts]
        self._ids_of = spelled
        self._recent: dict[tuple[frozenset[bytes], bytes], Continuations] = {}

    def continuations(self, names: frozenset[bytes], written: bytes) -> Continuations:
        """The tokens that can follow the bytes `written` of one of `names`."""
        key = (names, written)
        known = self._recent.get(key)
        if known is None:
            if len(self._recent) >= RECENT:
                self._recent.clear()
            known = self._compute(name[len(written) :] for name in names if name.startswith(written))
            self._recent[key] = known
        return known

    def _compute(self, suffixes: Iterable[bytes]) -> Continuations:
        allowed = np.zeros(self.vocabulary.size, dtype=np.bool_)
        beyond: list[int] = []
        for suffix in suffixes:
            for length in range(1, len(suffix) + 1):
                allowed[self._ids_of.get(suffix[:length], [])] = True
            for first, end in _BOUNDARIES:
                start = bisect_left(self._texts, suffix + first)
                stop = bisect_left(self._texts, suffix + end, lo=start)
                for text, ids in zip(self._texts[start:stop], self._ids[start:stop], strict=True):
                    allowed[ids] = True
                    if text.find(b".", len(suffix), -1) >= 0:
                        beyond += ids
        row = pack_row(allowed)
        row.flags.writeable = False
        return Continuations(row, tuple(beyond))


def _ranges(members: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """Byte values as ranges; each end is one past the last."""
    chosen = set(members)
    firsts = sorted(byte for byte in chosen if byte - 1 not in chosen)
    ends = sorted(byte + 1 for byte in chosen if byte + 1 not in chosen)
    return [(bytes((first,)), bytes((end,))) for first, end in zip(firsts, ends, strict=True)]


_BOUNDARIES = _ranges(set(range(0x80)) - IDENTIFIER_BYTES)
"""The bytes after an identifier; those from 0x80 on are all part of identifiers."""
