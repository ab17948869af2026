"""Property names as a search in a sorted table: no trie is built, a key's place is (first candidate, bytes matched).

A *place* is packed into one integer: entry << DEPTH_BITS | depth, the first entry of the sorted table that starts with
the `depth` bytes read so far; OFF when no declared name does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit
from tokamask.grammar.program import DEPTH_BITS, NAME_WORDS

Words = npt.NDArray[np.int32]

OFF = -1


@jit
def next_candidate(P: Words, names: int, entry: int, depth: int) -> int:
    """The entry after `entry` if it shares its first `depth` bytes, else the number of entries."""
    entry += 1
    if entry < P[names] and P[names + 2 + entry * NAME_WORDS + 2] >= depth:
        return entry
    return P[names]


@jit
def next_branch(P: Words, names: int, entry: int, depth: int) -> int:
    """The next entry that shares the first `depth` bytes but not the one behind them, else the number of entries."""
    entry += 1
    while entry < P[names] and P[names + 2 + entry * NAME_WORDS + 2] > depth:
        entry += 1
    return entry if entry < P[names] and P[names + 2 + entry * NAME_WORDS + 2] == depth else P[names]


@jit
def name_byte(P: Words, names: int, entry: int, depth: int) -> int:
    """Byte `depth` of an entry's name; -1 at its end."""
    at = names + 2 + entry * NAME_WORDS
    if depth >= P[at + 1]:
        return -1
    return P[P[names + 1] + P[at] + depth]


@jit
def name_move(P: Words, names: int, place: int, byte: int) -> int:
    """The place after one more byte of the decoded name."""
    if place == OFF:
        return OFF
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    while entry < P[names]:
        found = name_byte(P, names, entry, depth)
        if found == byte:
            return entry << DEPTH_BITS | depth + 1
        if found > byte:
            return OFF
        entry = next_branch(P, names, entry, depth)
    return OFF


@jit
def complete_name(P: Words, names: int, place: int) -> int:
    """The declared index of the name that ends here, or -1."""
    if place == OFF:
        return -1
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    # Shorter names sort first, so a name that ends here is the first candidate.
    if entry < P[names] and P[names + 2 + entry * NAME_WORDS + 1] == depth:
        return P[names + 2 + entry * NAME_WORDS + 3]
    return -1


@jit
def is_entry_greater(P: Words, M: Words, names: int, entry: int, text: int, length: int) -> bool:
    """Whether an entry's name comes behind the text of `length` bytes at address `text` of M, a word each."""
    for depth in range(length):
        byte = name_byte(P, names, entry, depth)
        if byte != M[text + depth]:
            return byte > M[text + depth]
    return name_byte(P, names, entry, length) >= 0


@jit
def declared_index(P: Words, names: int, entry: int) -> int:
    return P[names + 2 + entry * NAME_WORDS + 3]


@jit
def code_point_at(P: Words, names: int, entry: int, depth: int) -> int:
    """The code point of the name that starts at byte `depth` (a character boundary); -1 at the end."""
    lead = name_byte(P, names, entry, depth)
    if lead < 0x80:
        return lead
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | name_byte(P, names, entry, depth + 1) & 0x3F
    second = name_byte(P, names, entry, depth + 1) & 0x3F
    third = name_byte(P, names, entry, depth + 2) & 0x3F
    if lead < 0xF0:
        return (lead & 0xF) << 12 | second << 6 | third
    return (lead & 7) << 18 | second << 12 | third << 6 | name_byte(P, names, entry, depth + 3) & 0x3F
