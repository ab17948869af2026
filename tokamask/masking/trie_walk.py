"""The walk of a token trie with a configuration: which tokens can follow it.

Where the walk comes inside a plain string or an open object's key, subtrees of text are taken whole (see
`token_trie`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    OVERFLOW,
    THREAD_WORDS,
    THREADS,
    VISITS,
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
)
from tokamask.grammar.body_states import BACKSLASH, NORMAL
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, MEMORY, has_room, intern_single
from tokamask.grammar.jit import jit
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.name_table import OFF, name_move
from tokamask.grammar.program import OBJECT_KEY, OBJECT_NAMES, OBJECT_OPEN, STRING
from tokamask.grammar.properties import may_add
from tokamask.grammar.string_body import BODY, starts_character
from tokamask.masking.mask_operations import take, take_tokens
from tokamask.masking.token_trie import HEIGHT_SHIFT, MOST_HEIGHT, MOST_RUN, RUN_SHIFT, SIZE_SHIFT
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count

Words = npt.NDArray[np.int32]

# Of `text_room`: no text stays inside as a whole; any does.
NO_TEXT, ANY_TEXT = -1, 1 << 30
MOST_CHILDREN = 256


@jit
def has_stack(M: Words, top: int, limit: int, words: int) -> bool:
    """Whether a node's children, `words` each, fit between `top` and `limit` of the stack; sets OVERFLOW if not."""
    if top + MOST_CHILDREN * words > limit:
        M[OVERFLOW] = WALK_FULL
        return False
    return True


@jit
def is_open_key(P: Words, M: Words, pc: int, data: int) -> bool:
    """Whether the key under way may be one that is not declared."""
    return may_add(P, M, pc - (OBJECT_KEY - OBJECT_OPEN), data)


@jit
def text_room(P: Words, M: Words, configuration: int) -> int:
    """How many characters a text may have that stays inside a plain string or an open object's key, whatever they are.

    NO_TEXT where no thread stands in one, between two characters and with nothing to remember.
    """
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    room = NO_TEXT
    for i in range(first, first + M[record + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        pc = M[t]
        if not starts_character(M[t + 3]) or M[t + MEMORY] != 0:
            continue
        if P[pc] == STRING and P[pc + 3] == 0:
            room = max(room, ANY_TEXT if P[pc + 2] < 0 else P[pc + 2] - M[t + 1])
        elif P[pc] == OBJECT_KEY and is_open_key(P, M, pc, M[t + 1]):
            return ANY_TEXT
    return room


@jit
def _after_character(P: Words, M: Words, configuration: int, byte: int) -> int:
    """The configuration after an ASCII character that stays inside, mostly without a move; FULL: no room.

    Where there is room for all the text that may come and all that must come is there, a plain string's configuration
    stands for that after any character; a key's does once no declared name begins like it.
    """
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + LIST_LENGTH] == 1:
        t = M[THREADS] + M[M[LISTS] + M[record + LIST_START]] * THREAD_WORDS
        pc = M[t]
        if (P[pc] == STRING and M[t + 1] >= P[pc + 1]) or (P[pc] == OBJECT_KEY and M[t + 2] == OFF):
            return configuration
        if P[pc] == OBJECT_KEY and has_room(M):
            place = name_move(P, P[pc - (OBJECT_KEY - OBJECT_OPEN) + OBJECT_NAMES], M[t + 2], byte)
            if place == OFF:
                return intern_single(P, M, pc, M[t + 1], OFF, M[t + 3], M[t + 4], 0)
    return move(P, M, configuration, byte)


@jit
def walk(
    P: Words, M: Words, V: Words, nodes: int, tokens: int, start: int, configuration: int, base: int, has_row: int
) -> int:
    """Take every token strictly below `start` whose remaining bytes `configuration` can read.

    `nodes` and `tokens` say which trie of V, `start` is a node's address, the stack begins at `base` (entries of two
    words). Returns `has_row` as `take` does, or FULL.
    """
    M[M[WALK] + base] = start
    M[M[WALK] + base + 1] = configuration
    return walk_on(P, M, V, nodes, tokens, base, base + 2, has_row)


@jit
def walk_on(P: Words, M: Words, V: Words, nodes: int, tokens: int, base: int, top: int, has_row: int) -> int:
    """The same below all nodes, each with a configuration of its own, that lie on the stack from `base` to `top`."""
    candidates = candidate_buffer(M)
    limit = M[WALK_CAPACITY]
    while top > base:
        top -= 2
        node = M[M[WALK] + top]
        configuration = M[M[WALK] + top + 1]
        if not has_stack(M, top, limit, 2):
            return FULL
        room = text_room(P, M, configuration)
        count = ANY_BYTE
        if room == NO_TEXT and child_count(V, node) > 2:
            count = configuration_candidates(P, M, configuration, candidates)
        trials = trial_count(V, node, count)
        index = 0
        while index < trials:
            child = child_to_try(V, nodes, node, candidates, count, index)
            index += 1
            if child == 0:
                continue
            M[VISITS] += 1
            height = V[child + 3] >> HEIGHT_SHIFT & MOST_HEIGHT
            has_room_below = height < room and (height < MOST_HEIGHT or room == ANY_TEXT)
            run = V[child + 3] >> RUN_SHIFT & MOST_RUN
            if run and has_room_below:
                # All of it is text. The tokens of siblings that are, too, whatever their height, come right behind.
                last = child + 4 * (run - 1) if room == ANY_TEXT else child
                below = V[last + 2] + (V[last + 3] >> SIZE_SHIFT) - V[child + 2]
                has_row = take_tokens(M, V, tokens + V[child + 2], below, has_row)
                index += (last - child) >> 2
                continue
            byte = V[child] & 255
            if has_room_below and byte != BACKSLASH and BODY[NORMAL, byte] == NORMAL:
                target = _after_character(P, M, configuration, byte)
            else:
                target = move(P, M, configuration, byte)
            if target == 0:
                continue
            if target < 0:
                return FULL
            has_row = take(M, V, tokens, child, has_row)
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    return has_row
