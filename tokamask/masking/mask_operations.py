"""Masks as operations: how the tokens that a walk finds are gathered, and written as the mask of a thread.

Operations of a thread, at M[OPERATIONS] + offset: rows, tokens, link (thread or 0), then the rows, then the tokens.
Row r >= 0 begins at V[r]; row r < 0 is number -1 - r of the arena. The mask is the union of these rows, of these tokens
and of the mask of the linked thread.

While they are gathered, tokens are in a list at M[FOUND], and when they become too many in the row under construction,
the first unused row of the arena. `has_row` says whether there is one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    FOUND,
    FOUND_COUNT,
    OPERATION_CAPACITY,
    OPERATION_USED,
    OPERATIONS,
    ROW_CAPACITY,
    ROW_COUNT,
    ROWS,
)
from tokamask.grammar.body_states import MINIMAL
from tokamask.grammar.configurations import has_room
from tokamask.grammar.jit import jit
from tokamask.masking.pieces import BODY_ROWS, LENGTH_COUNT, LENGTH_ROWS, ROW_WORDS

Words = npt.NDArray[np.int32]

NO_ROW = -1
# Found tokens beyond this many are gathered in a row instead of a list.
LONGEST_LIST = 2048


@jit
def length_row(V: Words, state: int, most: int) -> int:
    """The row of the tokens that stay inside a plain string and begin at most so many characters (-1: any number)."""
    if most < 0 or most >= V[LENGTH_COUNT] - 1:
        return V[BODY_ROWS] + state * V[ROW_WORDS]
    row = V[LENGTH_ROWS] + most * V[ROW_WORDS]
    return row + V[LENGTH_COUNT] * V[ROW_WORDS] if state == MINIMAL else row


@jit
def set_token(M: Words, row: int, token: int) -> None:
    M[row + (token >> 5)] |= np.int32(1 << (token & 31))


@jit
def clear_token(M: Words, row: int, token: int) -> None:
    M[row + (token >> 5)] &= ~np.int32(1 << (token & 31))


@jit
def _flush(M: Words, V: Words, has_row: int) -> None:
    """Move the found tokens into the row under construction, begun if need be."""
    row = M[ROWS] + M[ROW_COUNT] * V[ROW_WORDS]
    if has_row == 0:
        for word in range(row, row + V[ROW_WORDS]):
            M[word] = 0
    for i in range(M[FOUND], M[FOUND] + M[FOUND_COUNT]):
        set_token(M, row, M[i])
    M[FOUND_COUNT] = 0


@jit
def take_tokens(M: Words, V: Words, first: int, count: int, has_row: int) -> int:
    """Add the `count` tokens at V[first]. Returns whether a row is under construction now."""
    if count == 0:
        return has_row
    if M[FOUND_COUNT] + count > LONGEST_LIST:
        _flush(M, V, has_row)
        has_row = 1
        if count > LONGEST_LIST:
            row = M[ROWS] + M[ROW_COUNT] * V[ROW_WORDS]
            for i in range(first, first + count):
                set_token(M, row, V[i])
            return has_row
    out = M[FOUND] + M[FOUND_COUNT]
    for i in range(count):
        M[out + i] = V[first + i]
    M[FOUND_COUNT] += count
    return has_row


@jit
def take(M: Words, V: Words, tokens: int, node: int, has_row: int) -> int:
    """Add the tokens that end at `node`. Returns as `take_tokens` does."""
    return take_tokens(M, V, tokens + V[node + 2], V[node] >> 17, has_row)


@jit
def has_room_for_mask(M: Words) -> bool:
    if M[OPERATION_USED] + LONGEST_LIST + 64 > M[OPERATION_CAPACITY] or M[ROW_COUNT] >= M[ROW_CAPACITY]:
        return False
    return has_room(M)


@jit
def record_operations(M: Words, V: Words, row: int, link: int, has_row: int) -> int:
    """Write operations: a vocabulary row (NO_ROW: none), a link (0: none) and what was found. Returns their offset."""
    if has_row > 0:
        _flush(M, V, has_row)
    at = M[OPERATIONS] + M[OPERATION_USED]
    start = at
    M[at] = (row != NO_ROW) + has_row
    M[at + 1] = M[FOUND_COUNT]
    M[at + 2] = link
    at += 3
    if row != NO_ROW:
        M[at] = row
        at += 1
    if has_row > 0:
        M[at] = -1 - M[ROW_COUNT]
        M[ROW_COUNT] += 1
        at += 1
    for i in range(M[FOUND_COUNT]):
        M[at + i] = M[M[FOUND] + i]
    at += M[FOUND_COUNT]
    M[OPERATION_USED] = at - M[OPERATIONS]
    return start - M[OPERATIONS]
