"""Tokens at a place where a value may begin: what stays within the value depends on its VALUE record alone.

So these tokens are found once for each record and each state of the whitespace before it, whatever stands around the
value. Tokens that go on behind a whole value are rare: V says at which nodes of the trie they do (see `pieces`), and
from these is walked where the value stands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import CONFIGURATION_WORDS, CONFIGURATIONS, FULL
from tokamask.grammar.configurations import IS_ACCEPTING, intern_single, intern_thread
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move, is_blank, whitespace_block
from tokamask.grammar.moves import candidate_buffer, move
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_SATURATION,
    END_PC,
    LEXEME,
    OBJECT_AFTER,
    OBJECT_OPEN,
    OBJECT_VALUE,
)
from tokamask.grammar.threads import item_value, property_value, value_starts
from tokamask.masking.blanks import after_blanks, end_of_blanks, place_behind_blanks, walk_candidates
from tokamask.masking.lexeme_walk import walk_automaton
from tokamask.masking.pieces import (
    BLANK_END_COUNT,
    BLANK_END_NODE,
    BLANK_END_WORDS,
    BLANK_ENDS,
    NODES,
    TOKENS,
    VALUE_END_COUNT,
    VALUE_END_LENGTH,
    VALUE_END_NODE,
    VALUE_END_TEXT,
    VALUE_END_WORDS,
    VALUE_ENDS,
)
from tokamask.masking.trie_walk import walk

Words = npt.NDArray[np.int32]

OPENING = b'"[{'
"""The bytes that strings, arrays and objects begin with."""


@jit
def begun_value(P: Words, pc: int, data: int, index: int) -> int:
    """The VALUE record of the value that may begin at a place of an array or object; 0: it is no such place."""
    if P[pc] == OBJECT_VALUE:
        return property_value(P, pc - (OBJECT_VALUE - OBJECT_OPEN), index)
    if P[pc] == ARRAY_OPEN or P[pc] == ARRAY_NEXT:
        return item_value(P, pc - (P[pc] - ARRAY_OPEN), data)
    return 0


@jit
def begun_thread(M: Words, value: int, block: int, state: int) -> int:
    """The pseudo-thread whose mask is the tokens that stay within a value and what blanks may stand before it.

    `value` is the VALUE record, `block` the automaton of these blanks, `state` where that stands. That it returns to
    nothing tells it from the threads of configurations.
    """
    return intern_thread(M, value, block, state, 0, 0, 0)


@jit
def _inside(P: Words, M: Words, value: int) -> int:
    """The configuration before a value, behind which nothing can be read and the text is complete."""
    return intern_single(P, M, value, 0, 0, 0, intern_single(P, M, END_PC, 0, 0, 0, 0, 0), 0)


@jit
def walk_begun(P: Words, M: Words, V: Words, value: int, block: int, state: int) -> int:
    """Take the tokens of a pseudo-thread that are not blanks alone. Returns as `take` does, or FULL."""
    # Lexemes are read by their automata, without configurations; those that begin like other values, in both ways.
    has_row = 0
    if _has_brackets_or_quotes(P, value) and end_of_blanks(P, V, block, state) >= 0:
        candidates = candidate_buffer(M)
        for i in range(len(OPENING)):
            candidates[i] = OPENING[i]
        has_row = walk_candidates(P, M, V, block, state, _inside(P, M, value), len(OPENING))
    for i in range(value + 2, value + 2 + P[value + 1]):
        if P[P[i]] == LEXEME and has_row >= 0:
            has_row = _walk_lexeme_behind_blanks(P, M, V, P[P[i] + 1], block, state, has_row)
    return has_row


@jit
def _has_brackets_or_quotes(P: Words, value: int) -> bool:
    """Whether some alternative of a VALUE record is no lexeme."""
    for i in range(value + 2, value + 2 + P[value + 1]):  # noqa: SIM110 - a kernel has no generators
        if P[P[i]] != LEXEME:
            return True
    return False


@jit
def _walk_lexeme_behind_blanks(
    P: Words, M: Words, V: Words, lexeme: int, block: int, state: int, has_row: int
) -> int:
    for end in range(V[BLANK_ENDS], V[BLANK_ENDS] + V[BLANK_END_COUNT] * BLANK_END_WORDS, BLANK_END_WORDS):
        if after_blanks(P, V, block, state, end) >= 0:
            has_row = walk_automaton(P, M, V, lexeme, V[end + BLANK_END_NODE], 0, 0, has_row)
            if has_row < 0:
                return FULL
    return has_row


@jit
def walk_behind_begun(
    P: Words, M: Words, V: Words, pc: int, data: int, state: int, index: int, ret: int
) -> int:
    """Take the tokens of a place where a value may begin that go on behind it, or close the array instead."""
    value = begun_value(P, pc, data, index)
    block = whitespace_block(P, pc)
    has_row = 0
    if P[pc] == ARRAY_OPEN and data >= P[pc + ARRAY_MINIMUM]:
        has_row = _walk_bracket(P, M, V, pc, data, state, ret)
    for end in range(V[VALUE_ENDS], V[VALUE_ENDS] + V[VALUE_END_COUNT] * VALUE_END_WORDS, VALUE_END_WORDS):
        if has_row < 0:
            return FULL
        is_whole = _is_whole(P, M, V, end, value, block, state)
        if is_whole < 0:
            return FULL
        if is_whole:
            after = _place_behind(P, M, pc, data, ret)
            has_row = walk(P, M, V, V[NODES], V[TOKENS], V[end + VALUE_END_NODE], after, 0, has_row)
    return has_row


@jit
def _place_behind(P: Words, M: Words, pc: int, data: int, ret: int) -> int:
    """The configuration behind a value that begins at a place."""
    if P[pc] == OBJECT_VALUE:
        return intern_single(P, M, pc + (OBJECT_AFTER - OBJECT_VALUE), data, 0, 0, ret, 0)
    record = pc - (P[pc] - ARRAY_OPEN)
    counted = min(data + 1, P[record + ARRAY_SATURATION])
    return intern_single(P, M, record + (ARRAY_AFTER - ARRAY_OPEN), counted, 0, 0, ret, 0)


@jit
def _walk_bracket(P: Words, M: Words, V: Words, pc: int, data: int, state: int, ret: int) -> int:
    """Take the tokens that close an empty array."""
    place = place_behind_blanks(P, M, V, pc, data, state, 0, ret)
    if place == 0:
        return 0
    candidate_buffer(M)[0] = 0x5D
    return walk_candidates(P, M, V, whitespace_block(P, pc), state, place, 1)


@jit
def _is_whole(P: Words, M: Words, V: Words, end: int, value: int, block: int, state: int) -> int:
    """Whether the text of an end of values is blanks and a whole one of `value`; FULL when the arena must grow."""
    at = V[end + VALUE_END_TEXT]
    last = at + V[end + VALUE_END_LENGTH]
    while is_blank(V[at]):
        state = automaton_move(P, block, state, V[at])
        if state < 0:
            return 0
        at += 1
    if automaton_flags(P, block, state) & ACCEPTING == 0 or not value_starts(P, value, V[at]):
        return 0
    configuration = _inside(P, M, value)
    while at < last and configuration > 0:
        configuration = move(P, M, configuration, V[at])
        at += 1
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    return FULL if configuration < 0 else M[record + IS_ACCEPTING]
