"""Tokens that close a JSON string, walked behind the quote: once for each place that strings return to.

V has a trie of what follows the quote for all of them, and one for each *group* of tokens with the same text before it
(see `pieces`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FULL
from tokamask.grammar.configurations import intern_thread
from tokamask.grammar.jit import jit
from tokamask.grammar.program import EXITS_PC
from tokamask.masking.mask_operations import take
from tokamask.masking.pieces import (
    EXIT_CHARACTERS,
    EXIT_FIRST_GROUP,
    EXIT_GROUP_COUNT,
    EXIT_NODES,
    EXIT_TOKENS,
    EXIT_WORDS,
    EXITS,
    GROUP_CHARACTERS,
    GROUP_LENGTH,
    GROUP_NODES,
    GROUP_TEXT,
    GROUP_TOKENS,
    GROUP_WORDS,
    GROUPS,
)
from tokamask.masking.trie_kernels import child_count
from tokamask.masking.trie_walk import walk

Words = npt.NDArray[np.int32]


@jit
def closing_thread(M: Words, state: int, after: int) -> int:
    """The pseudo-thread whose mask is the tokens that close a string in body state `state` and go on in `after`."""
    return intern_thread(M, EXITS_PC, 0, 0, state, after, 0)


@jit
def first_group(V: Words, state: int) -> int:
    """The address of the first group for a body state; the others follow, GROUP_WORDS apart."""
    return V[GROUPS] + V[V[EXITS] + state * EXIT_WORDS + EXIT_FIRST_GROUP] * GROUP_WORDS


@jit
def end_of_groups(V: Words, state: int) -> int:
    return first_group(V, state) + V[V[EXITS] + state * EXIT_WORDS + EXIT_GROUP_COUNT] * GROUP_WORDS


@jit
def most_characters(V: Words, state: int) -> int:
    """How many characters a token can begin, at most, before it closes the string."""
    return V[V[EXITS] + state * EXIT_WORDS + EXIT_CHARACTERS]


@jit
def first_group_from(V: Words, state: int, byte: int) -> int:
    """The address of the first group whose text is not below that of `byte` alone, or the end."""
    low = first_group(V, state)
    count = V[V[EXITS] + state * EXIT_WORDS + EXIT_GROUP_COUNT]
    while count > 0:
        half = count >> 1
        middle = low + half * GROUP_WORDS
        if V[middle + GROUP_LENGTH] == 0 or V[V[middle + GROUP_TEXT]] < byte:
            low = middle + GROUP_WORDS
            count -= half + 1
        else:
            count = half
    return low


@jit
def _walk_closing(P: Words, M: Words, V: Words, nodes: int, tokens: int, after: int, has_row: int) -> int:
    """Walk a trie whose only first byte is the closing quote; `after` is the configuration behind it."""
    if after == 0 or nodes == 0:
        return has_row
    quote = nodes + 4 * V[nodes + 1]
    has_row = take(M, V, tokens, quote, has_row)
    return walk(P, M, V, nodes, tokens, quote, after, 0, has_row) if child_count(V, quote) else has_row


@jit
def walk_group(P: Words, M: Words, V: Words, group: int, after: int, has_row: int) -> int:
    """Take the tokens of a group that can go on in `after`, a configuration (0: none can)."""
    return _walk_closing(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], after, has_row)


@jit
def walk_groups(P: Words, M: Words, V: Words, state: int, after: int, least: int, most: int) -> int:
    """The same for groups that begin between `least` and `most` characters (-1: any number) before the quote."""
    has_row = 0
    for group in range(first_group(V, state), end_of_groups(V, state), GROUP_WORDS):
        if V[group + GROUP_CHARACTERS] < least or 0 <= most < V[group + GROUP_CHARACTERS]:
            continue
        has_row = walk_group(P, M, V, group, after, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def walk_all_groups(P: Words, M: Words, V: Words, state: int, after: int) -> int:
    """The same for every token that closes a string in body state `state`, all at once."""
    entry = V[EXITS] + state * EXIT_WORDS
    return _walk_closing(P, M, V, V[entry + EXIT_NODES], V[entry + EXIT_TOKENS], after, 0)
