"""Masks inside a string with an automaton: what stays inside of it, and what closes it.

A walk carries the automaton's state alone. What stays inside is found once for all places that the string may return
to, most of it without a walk (see `pattern_kernels`), or by a walk that takes whole subtrees (see `safe_subtrees`).
Where a pattern has bounds on the length beside it, tokens that cannot come near them are those of the pattern alone;
only for longer ones are characters counted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FOUND_COUNT, FULL, OVERFLOW, ROW_COUNT, ROWS, VISITS, WALK, WALK_CAPACITY
from tokamask.grammar.body_states import BACKSLASH, COMPLETE
from tokamask.grammar.closure import closure
from tokamask.grammar.configurations import has_room, intern_single
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import (
    automaton_flags,
    automaton_move,
    automaton_read,
    automaton_row,
    count_begun,
    string_can_escape,
    string_move,
    string_read,
)
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, list_automaton, move
from tokamask.grammar.program import (
    ACCEPTING,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    LENGTHS_ARE_ENDLESS,
    LENGTHS_LONGEST,
    STRING_HOME,
    STRING_LENGTHS,
)
from tokamask.grammar.string_body import BODY, read_escape, starts_character
from tokamask.masking.character_units import UNIT_NODES, UNIT_TOKENS
from tokamask.masking.closing_tokens import end_of_groups, first_group, walk_all_groups, walk_group
from tokamask.masking.mask_operations import clear_token, length_row, take, take_tokens
from tokamask.masking.pattern_kernels import PLAIN_WALK, exception, write_safe_tokens
from tokamask.masking.pieces import (
    GROUP_CHARACTERS,
    GROUP_LENGTH,
    GROUP_TEXT,
    GROUP_WORDS,
    LENGTH_COUNT,
    NODES,
    ROW_WORDS,
    TEXT,
    TEXT_START,
    TOKENS,
)
from tokamask.masking.safe_subtrees import SUBTREE_WORDS, begin_subtrees, is_safe_below
from tokamask.masking.token_trie import BACKSLASH_BELOW, SIZE_SHIFT
from tokamask.masking.trie_kernels import child_count, child_to_try, find_child, trial_count
from tokamask.masking.trie_walk import ANY_TEXT, NO_TEXT, has_stack, walk

Words = npt.NDArray[np.int32]

# A walk of as few nodes takes less time than finding out how much of it is not needed.
FEW_VISITS, ANY_VISITS = 512, 1 << 30
# Of a walk: it was given up, for it takes more visits than that.
TOO_FAR = -2


@jit
def _is_below_maximum(P: Words, V: Words, pc: int, data: int) -> bool:
    """Whether whatever one token adds to a counted string leaves room for a way to acceptance."""
    longest = P[P[pc + STRING_LENGTHS] + LENGTHS_LONGEST]
    return P[pc + 2] < 0 or data + V[LENGTH_COUNT] - 1 + longest <= P[pc + 2]


@jit
def is_free_of_bounds(P: Words, V: Words, pc: int, data: int) -> bool:
    """Whether the tokens that may come in a string with bounds are those of the string without them."""
    return P[pc + STRING_LENGTHS] != 0 and data >= P[pc + 1] and _is_below_maximum(P, V, pc, data)


@jit
def stays_free_of_bounds(P: Words, V: Words, pc: int, data: int) -> bool:
    """The same for tokens that stay inside: where every state has no end to its lengths, the minimum is in reach."""
    lengths = P[pc + STRING_LENGTHS]
    return P[lengths + LENGTHS_ARE_ENDLESS] != 0 and _is_below_maximum(P, V, pc, data)


@jit
def _has_many_ways(P: Words, M: Words, V: Words, block: int, state: int) -> bool:
    """Whether a walk of few nodes need not be tried: about as many begin with two bytes that can be read."""
    candidates = candidate_buffer(M)
    count = list_automaton(P, candidates, 0, block, state)
    if count != ANY_BYTE and count * count < FEW_VISITS:
        return False
    ways = 0
    target = -1
    following = 0
    for i in range(trial_count(V, V[NODES], count)):
        child = child_to_try(V, V[NODES], V[NODES], candidates, count, i)
        if child == 0:
            continue
        previous = target
        target = automaton_move(P, block, state, V[child] & 255)
        if target < 0:
            continue
        if target != previous:
            following = _readable_bytes(P, block, target)
        ways += min(following, child_count(V, child))
    return ways > FEW_VISITS


@jit
def _readable_bytes(P: Words, block: int, state: int) -> int:
    """How many bytes an automaton can read in a state."""
    row = automaton_row(P, block, state)
    sizes = block + P[block + AUTOMATON_CLASS_START]
    count = 0
    for column in range(P[block + AUTOMATON_CLASSES]):
        if P[row + column] >= 0:
            count += P[sizes + column + 1] - P[sizes + column]
    return count


@jit
def _room(P: Words, pc: int, data: int) -> int:
    """How many characters every text that the automaton can read may have after `data` of them, within the bounds.

    ANY_TEXT for any number, NO_TEXT where some text is too much or leaves too little to the minimum.
    """
    lengths = P[pc + STRING_LENGTHS]
    if lengths == 0:
        return ANY_TEXT
    if P[lengths + LENGTHS_ARE_ENDLESS] == 0 and data < P[pc + 1]:
        return NO_TEXT
    return ANY_TEXT if P[pc + 2] < 0 else max(NO_TEXT, P[pc + 2] - data - P[lengths + LENGTHS_LONGEST])


@jit
def _clear_too_long(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, home: int, room: int) -> None:
    """Of the row under construction, all tokens of which the automaton can read, clear those too long for the bounds.

    It is known of those that begin at most `room` characters that they are not.
    """
    row = M[ROWS] + M[ROW_COUNT] * V[ROW_WORDS]
    known = length_row(V, home, room)
    for word in range(V[ROW_WORDS]):
        left = M[row + word] & ~V[known + word]
        token = 32 * word
        while left:
            if left & 1 and not _stays_inside(P, V, pc, data, lexeme, home, token):
                clear_token(M, row, token)
            left = left >> 1 & 0x7FFFFFFF
            token += 1


@jit
def _stays_inside(P: Words, V: Words, pc: int, data: int, lexeme: int, state: int, token: int) -> bool:
    """Whether a token of text stays inside a string, within its bounds."""
    home = P[pc + STRING_HOME]
    at = V[TEXT] + V[V[TEXT_START] + token]
    end = V[TEXT] + V[V[TEXT_START] + token + 1]
    while at < end:
        if state == home:
            data = count_begun(P, pc, data)
            if data < 0:
                return False
        if V[at] == BACKSLASH:
            escape, at = read_escape(V, at, end, home)
            if escape & 255 != COMPLETE:
                return string_can_escape(P, pc, data, lexeme, escape)
            lexeme = string_read(P, pc, data, lexeme, escape >> 8)
        else:
            lexeme = string_move(P, pc, data, lexeme, V[at])
            state = int(BODY[state, V[at]])
            at += 1
        if lexeme < 0:
            return False
    return True


@jit
def walk_inside(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, state: int) -> int:
    """Take the tokens that stay inside of a string, outside of escapes."""
    nodes = V[NODES]
    room = _room(P, pc, data)
    if not starts_character(state) or room < 1:
        return _walk(P, M, V, nodes, V[TOKENS], 0, pc, data, lexeme, state, 0, ANY_VISITS)
    if not _has_many_ways(P, M, V, P[pc + 3], lexeme):
        has_row = _walk(P, M, V, nodes, V[TOKENS], 0, pc, data, lexeme, state, 0, FEW_VISITS)
        if has_row != TOO_FAR:
            return has_row
        M[FOUND_COUNT] = 0
    exceptions = write_safe_tokens(P, M, V, P[pc + 3], lexeme, state)
    if exceptions == PLAIN_WALK:
        begin_subtrees(M, V)
        return _walk(P, M, V, nodes, V[TOKENS], SUBTREE_WORDS, pc, data, lexeme, state, 0, ANY_VISITS)
    if room != ANY_TEXT:
        _clear_too_long(P, M, V, pc, data, lexeme, state, room)
    has_row = 1
    for i in range(exceptions):
        unit = exception(M, i)
        nodes = V[unit + UNIT_NODES]
        has_row = _walk(P, M, V, nodes, V[unit + UNIT_TOKENS], 0, pc, data, lexeme, state, has_row, ANY_VISITS)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _walk(
    P: Words,
    M: Words,
    V: Words,
    nodes: int,
    tokens: int,
    base: int,
    pc: int,
    data: int,
    lexeme: int,
    state: int,
    has_row: int,
    most_visits: int,
) -> int:
    """The walk of a thread through one trie of V, outside of escapes and as far as it stays inside.

    It carries the automaton's state and, for bounds on the length, the number of characters. `base` is where its stack
    begins: behind what `begin_subtrees` has begun, safe subtrees are taken whole; or 0. Returns as `walk` does, or
    TOO_FAR when it takes more than about `most_visits` visits.
    """
    last_visit = M[VISITS] + most_visits
    home = P[pc + STRING_HOME]
    block = P[pc + 3]
    candidates = candidate_buffer(M)
    limit = M[WALK_CAPACITY] * 3 // 4
    M[M[WALK] + base] = nodes
    M[M[WALK] + base + 1] = data
    M[M[WALK] + base + 2] = lexeme
    M[M[WALK] + base + 3] = state
    top = base + 4
    while top > base:
        top -= 4
        node = M[M[WALK] + top]
        data = M[M[WALK] + top + 1]
        lexeme = M[M[WALK] + top + 2]
        state = M[M[WALK] + top + 3]
        if not has_stack(M, top, limit, 4):
            return FULL
        if M[VISITS] > last_visit:
            return TOO_FAR
        begun = count_begun(P, pc, data) if state == home else data
        if begun < 0:
            continue
        if state == home and V[node + 3] & BACKSLASH_BELOW:
            child = find_child(V, nodes, node, BACKSLASH)
            if child:
                if not has_room(M):
                    return FULL
                inner = move(P, M, intern_single(P, M, pc, data, lexeme, home, 0, 0), BACKSLASH)
                if inner < 0:
                    return FULL
                if inner:
                    has_row = take(M, V, tokens, child, has_row)
                    has_row = walk(P, M, V, nodes, tokens, child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
        count = ANY_BYTE
        if child_count(V, node) > 16:
            count = list_automaton(P, candidates, 0, block, lexeme)
        for i in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, candidates, count, i)
            if child == 0:
                continue
            M[VISITS] += 1
            byte = V[child] & 255
            body = BODY[state, byte]
            if body < 0 or byte == BACKSLASH:
                continue
            target = string_move(P, pc, begun, lexeme, byte)
            if target < 0:
                continue
            if child_count(V, child) == 0:
                has_row = take(M, V, tokens, child, has_row)
            elif base and body == home and is_safe_below(P, M, V, block, target, home, child, _room(P, pc, begun)):
                has_row = take_tokens(M, V, tokens + V[child + 2], V[child + 3] >> SIZE_SHIFT, has_row)
            else:
                has_row = take(M, V, tokens, child, has_row)
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = begun
                M[M[WALK] + top + 2] = target
                M[M[WALK] + top + 3] = body
                top += 4
    return has_row


@jit
def _closes(P: Words, V: Words, pc: int, data: int, lexeme: int, group: int) -> bool:
    """Whether a group's text may be the rest of a string with an automaton."""
    count = data + V[group + GROUP_CHARACTERS]
    if count < P[pc + 1] or 0 <= P[pc + 2] < count:
        return False
    block = P[pc + 3]
    at = V[group + GROUP_TEXT]
    end = at + V[group + GROUP_LENGTH]
    while at < end and lexeme >= 0:
        if V[at] == BACKSLASH:
            escape, at = read_escape(V, at, end, P[pc + STRING_HOME])
            lexeme = automaton_read(P, block, lexeme, escape >> 8)
        else:
            lexeme = automaton_move(P, block, lexeme, V[at])
            at += 1
    return lexeme >= 0 and automaton_flags(P, block, lexeme) & ACCEPTING != 0


@jit
def walk_behind(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int) -> int:
    """Take the tokens that close the string: the text before the quote must lead to an accepting state."""
    behind = closure(P, M, ret)
    if M[OVERFLOW]:
        return FULL
    first = first_group(V, escape)
    last = end_of_groups(V, escape)
    group = first
    while group < last and _closes(P, V, pc, data, lexeme, group):
        group += GROUP_WORDS
    if group == last:
        return walk_all_groups(P, M, V, escape, behind)
    has_row = 0
    for group in range(first, last, GROUP_WORDS):
        if _closes(P, V, pc, data, lexeme, group):
            has_row = walk_group(P, M, V, group, behind, has_row)
            if has_row < 0:
                return FULL
    return has_row
