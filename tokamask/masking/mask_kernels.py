"""Masks: which tokens a configuration allows.

The mask of a configuration is the union of the masks of its threads, and a thread's mask is kept as operations (see
`mask_operations`). A missing one is found by walking the token trie with the thread (`trie_walk`), except that

- inside a plain string, the tokens that stay inside are a precomputed row (see `pieces`), and only what the closing
  ones lead to is walked, once for all strings that return to the same configuration (`closing_tokens`);
- inside a lexeme the walk carries the automaton's state alone (`lexeme_walk`);
- between JSON tokens, those of blanks are found once for each state of the whitespace (`blanks`);
- what closes a key and goes on, and what begins a value, is found once for each kind of value (`named_values`,
  `begun_values`);
- inside patterned strings and keys there is a walk of their own: `patterned_strings`, `object_keys`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    FOUND_COUNT,
    FULL,
    MISSES,
    OVERFLOW,
    THREAD_WORDS,
    THREADS,
)
from tokamask.grammar.closure import closure
from tokamask.grammar.configurations import MASK, intern_single, intern_thread
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import whitespace_block
from tokamask.grammar.name_table import OFF
from tokamask.grammar.program import (
    BLANKS,
    END,
    EXITS,
    LEXEME,
    NAMED,
    OBJECT_KEY,
    STRING,
    STRING_LENGTHS,
    STRING_UNBOUNDED,
    VALUE,
)
from tokamask.grammar.string_body import is_escape_state, starts_character
from tokamask.masking.begun_values import begun_thread, begun_value, walk_begun, walk_behind_begun
from tokamask.masking.blanks import blanks_thread, walk_behind_blanks
from tokamask.masking.closing_tokens import closing_thread, most_characters, walk_all_groups, walk_groups
from tokamask.masking.lexeme_walk import walk_automaton, walk_lexeme
from tokamask.masking.mask_operations import NO_ROW, has_room_for_mask, length_row, record_operations
from tokamask.masking.named_values import named_thread, walk_beyond, walk_named
from tokamask.masking.object_keys import key_blanks, may_complete, other_value, walk_behind_name, walk_names
from tokamask.masking.patterned_strings import (
    is_free_of_bounds,
    stays_free_of_bounds,
    walk_behind,
    walk_inside,
)
from tokamask.masking.pieces import BODY_ROWS, LENGTH_COUNT, NODES, ROW_WORDS, TOKENS
from tokamask.masking.trie_walk import is_open_key, walk

Words = npt.NDArray[np.int32]


@jit
def _walk_thread(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int) -> int:
    """The walk of any thread, by configurations alone."""
    single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
    return walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)


@jit
def _find_plain(
    P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int
) -> tuple[int, int, int]:
    """Inside a string without an automaton: a row, a link and whether a row is under construction, or FULL."""
    state = escape & 255
    least = P[pc + 1] - data
    most = P[pc + 2] - data if P[pc + 2] >= 0 else -1
    after = closure(P, M, ret)
    if M[OVERFLOW]:
        return NO_ROW, 0, FULL
    if 0 <= most < V[LENGTH_COUNT] - 1 and not starts_character(state):
        return NO_ROW, 0, _walk_thread(P, M, V, pc, data, lexeme, escape, ret)
    row = length_row(V, state, most)
    if least <= 0 and (most < 0 or most >= most_characters(V, state)):
        return row, closing_thread(M, state, after), 0
    return row, 0, walk_groups(P, M, V, state, after, least, most)


@jit
def _find_patterned(
    P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int
) -> tuple[int, int]:
    """Inside a string with an automaton, outside of escapes: a link, and the same."""
    if ret:
        # What stays inside does not depend on where the string returns to.
        inside = intern_thread(M, pc, data, lexeme, escape, 0, 0)
        return inside, walk_behind(P, M, V, pc, data, lexeme, escape, ret)
    if P[pc + STRING_LENGTHS] != 0 and stays_free_of_bounds(P, V, pc, data):
        return intern_thread(M, P[pc + STRING_UNBOUNDED], 0, lexeme, escape, 0, 0), 0
    return 0, walk_inside(P, M, V, pc, data, lexeme, escape)


@jit
def _find_open_key(
    P: Words, M: Words, V: Words, pc: int, data: int, place: int, escape: int, ret: int
) -> tuple[int, int, int]:
    """Inside a key that need not be declared: as `_find_plain`."""
    state = escape & 255
    row = V[BODY_ROWS] + state * V[ROW_WORDS]
    link = 0
    has_row = 0
    if may_complete(P, V, pc, place):
        has_row = walk_behind_name(P, M, V, pc, data, place)
    else:
        link = named_thread(M, state, key_blanks(P, pc), other_value(P, pc))
    if has_row >= 0:
        has_row = walk_beyond(P, M, V, pc, data, place, escape, ret, has_row)
    return row, link, has_row


@jit
def find_mask(P: Words, M: Words, V: Words, thread: int) -> int:
    """Find the operations of a thread that remembers nothing. Returns 0, or FULL when the arena must grow."""
    if not has_room_for_mask(M):
        return FULL
    M[MISSES] += 1
    M[FOUND_COUNT] = 0
    at = M[THREADS] + thread * THREAD_WORDS
    pc = M[at]
    data = M[at + 1]
    lexeme = M[at + 2]
    escape = M[at + 3]
    ret = M[at + 4]
    operation = P[pc]
    state = escape & 255
    row = NO_ROW
    link = 0
    has_row = 0
    if operation == EXITS:
        has_row = walk_all_groups(P, M, V, escape, ret)
    elif operation == NAMED:
        has_row = walk_named(P, M, V, escape, lexeme, data)
    elif operation == BLANKS:
        has_row = walk_automaton(P, M, V, data, V[NODES], lexeme, 0, 0)
    elif operation == LEXEME:
        has_row = walk_lexeme(P, M, V, pc, data, lexeme, ret)
    elif operation == STRING and is_free_of_bounds(P, V, pc, data):
        link = intern_thread(M, P[pc + STRING_UNBOUNDED], 0, lexeme, escape, ret, 0)
    elif operation == STRING and P[pc + 3] == 0:
        row, link, has_row = _find_plain(P, M, V, pc, data, lexeme, escape, ret)
    elif operation == STRING and not is_escape_state(state):
        link, has_row = _find_patterned(P, M, V, pc, data, lexeme, escape, ret)
    elif operation == OBJECT_KEY and starts_character(state) and not is_open_key(P, M, pc, data):
        has_row = walk_names(P, M, V, pc, data, lexeme, ret)
        if has_row >= 0:
            has_row = walk_beyond(P, M, V, pc, data, lexeme, escape, ret, has_row)
    elif operation == OBJECT_KEY and (lexeme == OFF or starts_character(state)):
        row, link, has_row = _find_open_key(P, M, V, pc, data, lexeme, escape, ret)
    elif operation == VALUE and ret == 0:
        link = blanks_thread(P, M, data, lexeme)
        has_row = walk_begun(P, M, V, pc, data, lexeme)
    elif begun_value(P, pc, data, escape):
        link = begun_thread(M, begun_value(P, pc, data, escape), whitespace_block(P, pc), lexeme)
        has_row = walk_behind_begun(P, M, V, pc, data, lexeme, escape, ret)
    elif whitespace_block(P, pc):
        link = blanks_thread(P, M, whitespace_block(P, pc), lexeme)
        has_row = walk_behind_blanks(P, M, V, pc, data, lexeme, escape, ret)
    elif operation != END:
        has_row = _walk_thread(P, M, V, pc, data, lexeme, escape, ret)
    if has_row < 0:
        return FULL  # the row under construction is lost with the old arena
    M[M[THREADS] + thread * THREAD_WORDS + MASK] = record_operations(M, V, row, link, has_row)
    return 0
