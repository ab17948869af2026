"""Tokens that close a key and go on: what follows the quote, within the value, depends on the VALUE record alone.

So these tokens are found once for each, whatever the object has so far and whatever comes behind it. Tokens that also
close the value and go on are rare: V has a trie of them (see `pieces`), to be read where the object stands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FULL, VISITS, WALK, WALK_CAPACITY
from tokamask.grammar.configurations import intern_single, intern_thread
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move
from tokamask.grammar.program import ACCEPTING, END_PC, NAMED_PC
from tokamask.masking.mask_operations import take
from tokamask.masking.pieces import (
    BLANKS,
    EXIT_BEYOND_NODES,
    EXIT_BEYOND_TOKENS,
    EXIT_LATER_NODES,
    EXIT_LATER_TOKENS,
    EXIT_NODES,
    EXIT_TOKENS,
    EXIT_WORDS,
    EXITS,
    GROUP_NODES,
    GROUP_TOKENS,
)
from tokamask.masking.trie_kernels import child_count, find_child
from tokamask.masking.trie_walk import has_stack, walk

Words = npt.NDArray[np.int32]

COLON = ord(":")
BEFORE_VALUE = (*BLANKS, COLON)
"""The bytes that can stand between a key and its value."""


@jit
def named_thread(M: Words, state: int, block: int, value: int) -> int:
    """The pseudo-thread whose mask is the tokens that close a key in body state `state` and go on within its value.

    `block` is the automaton of the blanks around the colon, `value` a VALUE record.
    """
    return intern_thread(M, NAMED_PC, value, block, state, 0, 0)


@jit
def walk_named(P: Words, M: Words, V: Words, state: int, block: int, value: int) -> int:
    """Take the tokens of such a pseudo-thread. Returns as `take` does, or FULL."""
    entry = V[EXITS] + state * EXIT_WORDS
    return _walk_closing(P, M, V, V[entry + EXIT_NODES], V[entry + EXIT_TOKENS], block, value, 0)


@jit
def walk_named_later(P: Words, M: Words, V: Words, state: int, block: int, value: int, has_row: int) -> int:
    """Take those of them with some text before the quote."""
    entry = V[EXITS] + state * EXIT_WORDS
    return _walk_closing(P, M, V, V[entry + EXIT_LATER_NODES], V[entry + EXIT_LATER_TOKENS], block, value, has_row)


@jit
def walk_named_group(P: Words, M: Words, V: Words, group: int, block: int, value: int, has_row: int) -> int:
    """Take those of a group of equal text before the quote; `value` 0: there are none."""
    return _walk_closing(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], block, value, has_row)


@jit
def _walk_closing(
    P: Words, M: Words, V: Words, nodes: int, tokens: int, block: int, value: int, has_row: int
) -> int:
    """Walk a trie whose only first byte is the closing quote."""
    if value == 0 or nodes == 0:
        return has_row
    return walk_behind_quote(P, M, V, nodes, tokens, nodes + 4 * V[nodes + 1], block, value, 0, has_row)


@jit
def walk_behind_quote(
    P: Words, M: Words, V: Words, nodes: int, tokens: int, quote: int, block: int, value: int, base: int, has_row: int
) -> int:
    """Take the tokens that end at or below node `quote`, which closes a key, no later than the value ends.

    The other arguments and what is returned: see `walk`.
    """
    has_row = take(M, V, tokens, quote, has_row)
    if child_count(V, quote) == 0:
        return has_row
    inside = 0
    M[M[WALK] + base] = quote
    M[M[WALK] + base + 1] = 0
    M[M[WALK] + base + 2] = 0
    top = base + 3
    while top > base:
        top -= 3
        node = M[M[WALK] + top]
        blanks = M[M[WALK] + top + 1]
        has_colon = M[M[WALK] + top + 2]
        if not has_stack(M, top, M[WALK_CAPACITY], 3):
            return FULL
        may_end = automaton_flags(P, block, blanks) & ACCEPTING
        for byte in BEFORE_VALUE:
            target = automaton_move(P, block, blanks, byte)
            is_colon = target < 0 and byte == COLON and has_colon == 0 and may_end != 0
            if target < 0 and not is_colon:
                continue
            child = find_child(V, nodes, node, byte)
            if child == 0:
                continue
            M[VISITS] += 1
            has_row = take(M, V, tokens, child, has_row)
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = 0 if is_colon else target
                M[M[WALK] + top + 2] = 1 if is_colon else has_colon
                top += 3
        if has_colon and may_end:
            if inside == 0:
                # Where the value ends nothing can be read.
                inside = intern_single(P, M, value, 0, 0, 0, intern_single(P, M, END_PC, 0, 0, 0, 0, 0), 0)
            has_row = walk(P, M, V, nodes, tokens, node, inside, top, has_row)
            if has_row < 0:
                return FULL
    return has_row


@jit
def walk_beyond(
    P: Words, M: Words, V: Words, pc: int, data: int, place: int, escape: int, ret: int, has_row: int
) -> int:
    """Take the tokens that close a key, in which a thread stands, and go on behind its value."""
    entry = V[EXITS] + (escape & 255) * EXIT_WORDS
    nodes = V[entry + EXIT_BEYOND_NODES]
    if nodes == 0:
        return has_row
    single = intern_single(P, M, pc, data, place, escape, ret, 0)
    return walk(P, M, V, nodes, V[entry + EXIT_BEYOND_TOKENS], nodes, single, 0, has_row)
