"""Masks inside an object's key.

In a key that must be declared the walk carries places in the name table; configurations come in only before values
(see `named_values`) and in escapes. In an open object's key any text may come: only what closes it is looked at, since
that may complete a declared name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FULL, VISITS, WALK, WALK_CAPACITY
from tokamask.grammar.body_states import BACKSLASH, QUOTE
from tokamask.grammar.configurations import has_room, intern_single
from tokamask.grammar.jit import jit
from tokamask.grammar.keys import name_is_live, name_read
from tokamask.grammar.moves import move
from tokamask.grammar.name_table import OFF, complete_name, name_byte, name_move, next_branch
from tokamask.grammar.program import (
    DEPTH_BITS,
    OBJECT_COUNT,
    OBJECT_HOME,
    OBJECT_KEY,
    OBJECT_NAMES,
    OBJECT_OPEN,
    OBJECT_WHITESPACE,
)
from tokamask.grammar.properties import may_declare
from tokamask.grammar.string_body import BODY, read_escape
from tokamask.grammar.threads import property_value
from tokamask.masking.closing_tokens import end_of_groups, first_group, first_group_from
from tokamask.masking.mask_operations import take
from tokamask.masking.named_values import walk_behind_quote, walk_named_group, walk_named_later
from tokamask.masking.pieces import GROUP_LENGTH, GROUP_TEXT, GROUP_WORDS, NODES, TOKENS
from tokamask.masking.token_trie import BACKSLASH_BELOW, QUOTE_BELOW
from tokamask.masking.trie_kernels import child_count, find_child
from tokamask.masking.trie_walk import has_stack, walk

Words = npt.NDArray[np.int32]


@jit
def _completed_name(P: Words, V: Words, names: int, place: int, home: int, group: int) -> int:
    """The declared index of the name that a group's text completes from `place`, between two characters; or -1."""
    at = V[group + GROUP_TEXT]
    end = at + V[group + GROUP_LENGTH]
    while at < end and place != OFF:
        if V[at] == BACKSLASH:
            escape, at = read_escape(V, at, end, home)
            place = name_read(P, names, place, escape >> 8)
        else:
            place = name_move(P, names, place, V[at])
            at += 1
    return -1 if place == OFF else complete_name(P, names, place)


@jit
def _completes_later(P: Words, V: Words, names: int, place: int, home: int) -> bool:
    """Whether a closing token with some text before the quote can complete a declared name from `place`."""
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    while entry < P[names]:
        byte = name_byte(P, names, entry, depth)
        if byte >= 0 and _completes_beginning(P, V, names, place, home, byte):
            return True
        entry = next_branch(P, names, entry, depth)
    return _completes_beginning(P, V, names, place, home, BACKSLASH)


@jit
def _completes_beginning(P: Words, V: Words, names: int, place: int, home: int, byte: int) -> bool:
    """Whether one whose text begins with `byte` can."""
    group = first_group_from(V, home, byte)
    last = end_of_groups(V, home)
    while group < last and V[V[group + GROUP_TEXT]] == byte:
        if _completed_name(P, V, names, place, home, group) >= 0:
            return True
        group += GROUP_WORDS
    return False


@jit
def may_complete(P: Words, V: Words, pc: int, place: int) -> bool:
    """Whether some closing token can complete a declared name from `place`."""
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    if place == OFF:
        return False
    return complete_name(P, names, place) >= 0 or _completes_later(P, V, names, place, P[record + OBJECT_HOME])


@jit
def other_value(P: Words, pc: int) -> int:
    """The VALUE record behind a name that is not declared."""
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    return property_value(P, record, P[record + OBJECT_COUNT])


@jit
def key_blanks(P: Words, pc: int) -> int:
    """The automaton of the blanks that may stand behind a key."""
    return P[pc - (OBJECT_KEY - OBJECT_OPEN) + OBJECT_WHITESPACE]


@jit
def walk_behind_name(P: Words, M: Words, V: Words, pc: int, data: int, place: int) -> int:
    """Take the tokens that close an open object's key from `place`, where one may complete a declared name.

    Without those that go on behind the value (see `named_values`).
    """
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    home = P[record + OBJECT_HOME]
    block = P[record + OBJECT_WHITESPACE]
    other = other_value(P, pc)
    first = first_group(V, home)
    last = end_of_groups(V, home)
    has_row = 0
    if not _completes_later(P, V, names, place, home):
        # Only a quote right here completes one: all others at once.
        has_row = walk_named_later(P, M, V, home, block, other, has_row)
        if has_row < 0:
            return FULL
        has_quote_alone = first < last and V[first + GROUP_LENGTH] == 0
        last = first + GROUP_WORDS if has_quote_alone else first
    for group in range(first, last, GROUP_WORDS):
        value = other
        index = _completed_name(P, V, names, place, home, group)
        if index >= 0:
            value = property_value(P, record, index) if may_declare(P, M, record, data, index) else 0
        has_row = walk_named_group(P, M, V, group, block, value, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def walk_names(P: Words, M: Words, V: Words, pc: int, data: int, place: int, ret: int) -> int:
    """Take the tokens that can follow in a key that must be declared, from between two characters.

    Without those that go on behind the value (see `named_values`).
    """
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    home = P[record + OBJECT_HOME]
    block = P[record + OBJECT_WHITESPACE]
    nodes = V[NODES]
    tokens = V[TOKENS]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = place
    M[M[WALK] + 2] = home
    top = 3
    while top > 0:
        top -= 3
        node = M[M[WALK] + top]
        place = M[M[WALK] + top + 1]
        state = M[M[WALK] + top + 2]
        if not has_stack(M, top, limit, 3) or not has_room(M):
            return FULL
        if state == home and V[node + 3] & QUOTE_BELOW:
            child = find_child(V, nodes, node, QUOTE)
            index = complete_name(P, names, place)
            if child and index >= 0 and may_declare(P, M, record, data, index):
                M[VISITS] += 1
                value = property_value(P, record, index)
                has_row = walk_behind_quote(P, M, V, nodes, tokens, child, block, value, limit, has_row)
                if has_row < 0:
                    return FULL
        if state == home and V[node + 3] & BACKSLASH_BELOW:
            child = find_child(V, nodes, node, BACKSLASH)
            if child:
                inner = move(P, M, intern_single(P, M, pc, data, place, home, ret, 0), BACKSLASH)
                if inner < 0:
                    return FULL
                M[VISITS] += 1
                if inner:
                    has_row = take(M, V, tokens, child, has_row)
                    has_row = walk(P, M, V, nodes, tokens, child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
        depth = place & ((1 << DEPTH_BITS) - 1)
        entry = place >> DEPTH_BITS
        while entry < P[names]:
            byte = name_byte(P, names, entry, depth)
            if byte >= 0 and byte != BACKSLASH and BODY[state, byte] >= 0:
                child = find_child(V, nodes, node, byte)
                reached = entry << DEPTH_BITS | depth + 1
                if child and name_is_live(P, M, record, data, reached):
                    M[VISITS] += 1
                    has_row = take(M, V, tokens, child, has_row)
                    if child_count(V, child):
                        M[M[WALK] + top] = child
                        M[M[WALK] + top + 1] = reached
                        M[M[WALK] + top + 2] = BODY[state, byte]
                        top += 3
            entry = next_branch(P, names, entry, depth)
    return has_row
