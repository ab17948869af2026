"""How many strings an array holds that begin with some text: an index of the one array that was asked about last.

Letters are interned (see `memory_nodes`), so a text and its beginnings are numbers. The index is a sparse set of them
(Briggs and Torczon, "An efficient representation for sparse sets", 1993): its tables need no clearing.
An array that has grown since only adds its new items.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import INDEX, INDEX_COUNT, INDEX_OWNER, INDEX_PLACES, INDEX_WORDS
from tokamask.grammar.jit import jit
from tokamask.grammar.memory_nodes import OPEN, STRING_VALUE, below, content, kind_of, text_length

Words = npt.NDArray[np.int32]

# Words of an entry: the letters, how many strings begin with them, and the node of the newest one.
STRINGS, NEWEST = 1, 2

# The newest items, so many at most, are looked at by themselves.
FEW_ITEMS = 8


@jit
def _entry(M: Words, letters: int) -> int:
    """The address of the entry of some letters; 0 for none."""
    place = M[M[INDEX_PLACES] + letters]
    if 0 <= place < M[INDEX_COUNT]:
        entry = M[INDEX] + INDEX_WORDS * place
        if M[entry] == letters:
            return entry
    return 0


@jit
def _add(M: Words, node: int, letters: int) -> None:
    """Count the string of a node, with these letters, for each of its beginnings; the empty text is one."""
    is_last = False
    while not is_last:
        is_last = letters == 0
        entry = _entry(M, letters)
        if entry == 0:
            place = M[INDEX_COUNT]
            M[INDEX_COUNT] = place + 1
            M[M[INDEX_PLACES] + letters] = place
            entry = M[INDEX] + INDEX_WORDS * place
            M[entry] = letters
            M[entry + STRINGS] = 0
            M[entry + NEWEST] = 0
        M[entry + STRINGS] += 1
        M[entry + NEWEST] = max(M[entry + NEWEST], node)  # a node is made after those below it
        if not is_last:
            letters = below(M, letters)


@jit
def _index(M: Words, newest: int) -> None:
    """Make the index that of an array whose newest whole node is `newest`, but for its newest items.

    What may follow is looked at for one item after another, so an index with the last one would serve that one alone.
    """
    known = newest
    items = 0
    while known != M[INDEX_OWNER] and kind_of(M, known) != OPEN:
        known = below(M, known)
        items += 1
    if known == M[INDEX_OWNER] and items <= FEW_ITEMS:
        return
    if known != M[INDEX_OWNER]:
        M[INDEX_COUNT] = 0
    M[INDEX_OWNER] = newest if kind_of(M, newest) == OPEN else below(M, newest)
    node = M[INDEX_OWNER]
    while node != known:
        value = content(M, node)
        if kind_of(M, value) == STRING_VALUE:
            _add(M, node, content(M, value))
        node = below(M, node)


@jit
def begins_with(M: Words, letters: int, prefix: int) -> bool:
    """Whether a text begins with another one."""
    length = text_length(M, prefix)
    if text_length(M, letters) < length:
        return False
    while text_length(M, letters) > length:
        letters = below(M, letters)
    return letters == prefix


@jit
def is_string_beginning(M: Words, node: int, letters: int) -> bool:
    """Whether an item, by its node, is a string that begins with `letters`."""
    value = content(M, node)
    return kind_of(M, value) == STRING_VALUE and begins_with(M, content(M, value), letters)


@jit
def strings_beginning(M: Words, newest: int, letters: int) -> int:
    """How many items are strings that begin with `letters`, of the array whose newest whole node is `newest`."""
    _index(M, newest)
    entry = _entry(M, letters)
    count = M[entry + STRINGS] if entry else 0
    while newest != M[INDEX_OWNER]:
        count += is_string_beginning(M, newest, letters)
        newest = below(M, newest)
    return count


@jit
def newest_beginning(M: Words, newest: int, letters: int) -> int:
    """The node of the newest of these items; 0 for none."""
    _index(M, newest)
    while newest != M[INDEX_OWNER]:
        if is_string_beginning(M, newest, letters):
            return newest
        newest = below(M, newest)
    entry = _entry(M, letters)
    return M[entry + NEWEST] if entry else 0
