"""Masks inside a string with an automaton: what stays inside of it, and what closes it.

A walk carries the automaton's state alone. What stays inside is found once for all places that the string may return
to, most of it without a walk (see `pattern_kernels`). Where a pattern has bounds on the length beside it, tokens that
cannot come near them are those of the pattern alone; only near a bound does the walk count characters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FOUND_COUNT, FULL, OVERFLOW, VISITS, WALK, WALK_CAPACITY
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
    string_move,
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
from tokamask.grammar.string_body import BODY, advance_escape, starts_character
from tokamask.masking.character_units import UNIT_NODES, UNIT_TOKENS
from tokamask.masking.closing_tokens import NO_ESCAPE, end_of_groups, first_group, walk_all_groups, walk_group
from tokamask.masking.mask_operations import take
from tokamask.masking.pattern_kernels import PLAIN_WALK, exception, write_safe_tokens
from tokamask.masking.pieces import (
    GROUP_CHARACTERS,
    GROUP_LENGTH,
    GROUP_TEXT,
    GROUP_WORDS,
    LENGTH_COUNT,
    NODES,
    TOKENS,
)
from tokamask.masking.token_trie import BACKSLASH_BELOW
from tokamask.masking.trie_kernels import child_count, child_to_try, find_child, trial_count
from tokamask.masking.trie_walk import has_stack, walk

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
def walk_inside(P: Words, M: Words, V: Words, pc: int, lexeme: int, state: int) -> int:
    """Take the tokens that stay inside of a string without bounds, outside of escapes."""
    if not starts_character(state):
        return _walk(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, ANY_VISITS)
    if not _has_many_ways(P, M, V, P[pc + 3], lexeme):
        has_row = _walk(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, FEW_VISITS)
        if has_row != TOO_FAR:
            return has_row
        M[FOUND_COUNT] = 0
    exceptions = write_safe_tokens(P, M, V, P[pc + 3], lexeme, state)
    if exceptions == PLAIN_WALK:
        return _walk(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, ANY_VISITS)
    has_row = 1
    for i in range(exceptions):
        unit = exception(M, i)
        nodes = V[unit + UNIT_NODES]
        has_row = _walk(P, M, V, nodes, V[unit + UNIT_TOKENS], pc, 0, lexeme, state, has_row, ANY_VISITS)
        if has_row < 0:
            return FULL
    return has_row


@jit
def walk_inside_counting(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, state: int) -> int:
    """The same of a string with bounds."""
    return _walk(P, M, V, V[NODES], V[TOKENS], pc, data, lexeme, state, 0, ANY_VISITS)


@jit
def _walk(
    P: Words,
    M: Words,
    V: Words,
    nodes: int,
    tokens: int,
    pc: int,
    data: int,
    lexeme: int,
    state: int,
    has_row: int,
    most_visits: int,
) -> int:
    """The walk of a thread through one trie of V, outside of escapes and as far as it stays inside.

    It carries the automaton's state and, for bounds on the length, the number of characters. Returns as `walk` does, or
    TOO_FAR when it takes more than about `most_visits` visits.
    """
    last_visit = M[VISITS] + most_visits
    home = P[pc + STRING_HOME]
    candidates = candidate_buffer(M)
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = data
    M[M[WALK] + 2] = lexeme
    M[M[WALK] + 3] = state
    top = 4
    while top > 0:
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
            count = list_automaton(P, candidates, 0, P[pc + 3], lexeme)
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
            if target >= 0:
                has_row = take(M, V, tokens, child, has_row)
                if child_count(V, child):
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
    escape = NO_ESCAPE
    text = V[group + GROUP_TEXT]
    for i in range(text, text + V[group + GROUP_LENGTH]):
        if escape != NO_ESCAPE:
            escape = advance_escape(escape, V[i])
            if escape & 255 == COMPLETE:
                lexeme = automaton_read(P, block, lexeme, escape >> 8)
                escape = NO_ESCAPE
        elif V[i] == BACKSLASH:
            escape = int(BODY[P[pc + STRING_HOME], BACKSLASH])
        else:
            lexeme = automaton_move(P, block, lexeme, V[i])
        if lexeme < 0:
            return False
    return automaton_flags(P, block, lexeme) & ACCEPTING != 0


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
