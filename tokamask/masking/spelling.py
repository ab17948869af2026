"""What a vocabulary can spell, as far as shortest completions ask: found once for each vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tokamask.masking.automaton_costs import MISSING_BYTE
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Spelling", "spelling_of"]

RECENT_VOCABULARIES = 4

LONG_TOKENS = 2
"""How many tokens over each of these alphabets are among the long ones."""
ALPHABETS = tuple(
    frozenset(letters)
    for letters in (
        b"0123456789",
        b"0123456789abcdef",
        b"abcdefghijklmnopqrstuvwxyz",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        bytes(set(range(0x20, 0x7F)) - set(b'"\\')),
    )
)

UTF8_BYTES = sorted(set(range(0x100)) - {0xC0, 0xC1, *range(0xF5, 0x100)})
"""The bytes of text. Where each has a token, no cost is due to a byte that cannot be spelled."""


@dataclass(frozen=True, eq=False)
class Spelling:
    """What the tokens of a vocabulary can spell.

    Attributes:
        byte_costs: int32 (256,): 1 for bytes that have a token of their own, MISSING_BYTE for others.
        is_bounded_by_cost: whether JSON's own punctuation, digits and some character can be spelled byte by byte, as
            costs take it.
        spells_all_bytes: whether all bytes of UTF-8 can.
        longest: the bytes of the longest token.
        long_tokens: the longest tokens over each of a few alphabets; of equally long ones those with the lowest ids.
    """

    byte_costs: npt.NDArray[np.int32]
    is_bounded_by_cost: bool
    spells_all_bytes: bool
    longest: int
    long_tokens: tuple[int, ...]


@lru_cache(maxsize=RECENT_VOCABULARIES)
def spelling_of(vocabulary: Vocabulary) -> Spelling:
    texts = vocabulary.token_bytes
    byte_costs = np.full(256, MISSING_BYTE, dtype=np.int32)
    byte_costs[[text[0] for text in texts if text is not None and len(text) == 1]] = 1
    byte_costs.flags.writeable = False
    return Spelling(
        byte_costs,
        bool((byte_costs[0x20:0x7F] == 1).all()),
        bool((byte_costs[UTF8_BYTES] == 1).all()),
        max((len(text) for text in texts if text), default=1),
        tuple(_long_tokens(texts)),
    )


def _long_tokens(texts: Sequence[bytes | None]) -> list[int]:
    found: set[int] = set()
    for alphabet in ALPHABETS:
        spelled = [token for token, text in enumerate(texts) if text and alphabet.issuperset(text)]
        found.update(sorted(spelled, key=lambda token: -len(texts[token] or b""))[:LONG_TOKENS])
    return sorted(found)
