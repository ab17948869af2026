"""What a configuration that remembers forbids of the tokens that it would allow if it remembered nothing.

Both are followed side by side through the token trie, and only along what may still become something forbidden:
elsewhere they allow the same. Inside a string or a name that is the text of few bytes: those with which some text that
was read before goes on. Any other text can be ended, and something forbidden come in the same token, only where that
goes on with a next value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FOUND_COUNT,
    FULL,
    VISITS,
    WALK,
    WALK_CAPACITY,
)
from tokamask.grammar.body_states import BACKSLASH, QUOTE
from tokamask.grammar.configurations import CLEARED, MEMORY, address_of, thread_count, thread_of
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, is_blank, whitespace_block
from tokamask.grammar.memory_nodes import OPEN, below, content, detail, is_new_text, kind_of
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.program import ACCEPTING, OBJECT_KEY, SCARCE, STRING
from tokamask.grammar.string_body import is_escape_state
from tokamask.grammar.survival import forgetful, is_free_text
from tokamask.masking.blanks import after_blanks
from tokamask.masking.mask_operations import NO_ROW, has_room_for_mask, record_operations, take
from tokamask.masking.pieces import BLANK_END_COUNT, BLANK_END_NODE, BLANK_END_WORDS, BLANK_ENDS, NODES, TOKENS
from tokamask.masking.token_trie import QUOTE_BELOW, VALUE_BELOW
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count
from tokamask.masking.trie_walk import has_stack, walk

Words = npt.NDArray[np.int32]


@jit
def find_cleared(P: Words, M: Words, V: Words, configuration: int) -> int:
    """The offset of the operations that set what is forbidden; FULL when the arena must grow."""
    known = M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + CLEARED]
    if known:
        return known
    if not has_room_for_mask(M):
        return FULL
    M[FOUND_COUNT] = 0
    has_row = _walk_apart(P, M, V, configuration)
    if has_row < 0:
        return FULL
    offset = record_operations(M, V, NO_ROW, 0, has_row)
    M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + CLEARED] = offset
    return offset


@jit
def _is_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether all threads are inside strings and names."""
    for i in range(thread_count(M, configuration)):
        operation = P[M[address_of(M, thread_of(M, configuration, i))]]
        if operation != STRING and operation != OBJECT_KEY:
            return False
    return True


@jit
def _becomes_free_text(P: Words, M: Words, configuration: int, byte: int) -> bool:
    """Whether no text that goes on with `byte` can become anything forbidden."""
    if byte == BACKSLASH:
        return False
    for i in range(thread_count(M, configuration)):
        t = address_of(M, thread_of(M, configuration, i))
        if is_escape_state(M[t + 3] & 255):
            return False
        if M[t + MEMORY] > 0 and not is_new_text(M, content(M, M[t + MEMORY]), byte):
            return False
    return True


@jit
def _has_scarce_items(M: Words, configuration: int) -> bool:
    """Whether a comma can be forbidden, since all values may be used that an item behind it could have."""
    for i in range(thread_count(M, configuration)):
        node = M[address_of(M, thread_of(M, configuration, i)) + MEMORY]
        while node > 0:
            if kind_of(M, node) == OPEN and detail(M, node) == SCARCE:
                return True
            node = below(M, node)
    return False


@jit
def _push_ends_of_blanks(P: Words, M: Words, V: Words, configuration: int, twin: int, limit: int) -> int:
    """Between JSON tokens, blanks are never forbidden, and change nothing: lay all their ends on the stack at once.

    Returns its top: 0 where it is no such place or the whitespace must go on; FULL when the arena must grow.
    """
    if thread_count(M, configuration) != 1:
        return 0
    t = address_of(M, thread_of(M, configuration, 0))
    block = whitespace_block(P, M[t])
    if block == 0 or automaton_flags(P, block, M[t + 2]) & ACCEPTING == 0:
        return 0
    top = 0
    for end in range(V[BLANK_ENDS], V[BLANK_ENDS] + V[BLANK_END_COUNT] * BLANK_END_WORDS, BLANK_END_WORDS):
        if after_blanks(P, V, block, M[t + 2], end) < 0:
            continue
        if not has_stack(M, top, limit, 3):
            return FULL
        M[M[WALK] + top] = V[end + BLANK_END_NODE]
        M[M[WALK] + top + 1] = configuration
        M[M[WALK] + top + 2] = twin
        top += 3
    return top


@jit
def _walk_apart(P: Words, M: Words, V: Words, configuration: int) -> int:
    """Take every token that the set would read if it remembered nothing, and does not. Returns as `take` does."""
    twin = forgetful(P, M, configuration)
    if twin < 0:
        return FULL
    candidates = candidate_buffer(M)
    nodes = V[NODES]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    top = _push_ends_of_blanks(P, M, V, configuration, twin, limit)
    if top < 0:
        return FULL
    ends = top
    if top == 0:
        M[M[WALK]] = nodes
        M[M[WALK] + 1] = configuration
        M[M[WALK] + 2] = twin
        top = 3
    while top > 0:
        top -= 3
        is_end = top < ends
        ends = min(ends, top)
        node = M[M[WALK] + top]
        configuration = M[M[WALK] + top + 1]
        twin = M[M[WALK] + top + 2]
        if not has_stack(M, top, limit, 3):
            return FULL
        if configuration == 0:
            has_row = walk(P, M, V, nodes, V[TOKENS], node, twin, limit, has_row)
            if has_row < 0:
                return FULL
            continue
        image = forgetful(P, M, configuration)
        if image < 0:
            return FULL
        # Where they are not the same, some thread of the twin is forbidden already.
        is_text = image == twin and _is_text(P, M, configuration)
        is_free = is_text and is_free_text(P, M, configuration)
        count = ANY_BYTE
        matters = VALUE_BELOW
        if not is_text:
            count = configuration_candidates(P, M, twin, candidates)
        elif _has_scarce_items(M, configuration):
            matters = QUOTE_BELOW
        for i in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, candidates, count, i)
            if child == 0:
                continue
            byte = V[child] & 255
            if is_end and is_blank(byte):
                continue
            is_harmless = is_text and byte != QUOTE and V[child + 3] & matters == 0
            if is_harmless and (is_free or _becomes_free_text(P, M, configuration, byte)):
                continue
            M[VISITS] += 1
            without = move(P, M, twin, byte)
            if without == 0:
                continue
            target = move(P, M, configuration, byte)
            if without < 0 or target < 0:
                return FULL
            if target == 0:
                has_row = take(M, V, V[TOKENS], child, has_row)
            if target != without and child_count(V, child):
                # To be walked later where the set cannot go on, with the twin alone: it needs the candidates too.
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                M[M[WALK] + top + 2] = without
                top += 3
    return has_row
