"""Kernels that read the tries of V, and gather the tokens that a walk finds: in a list, or many of them in a row.

The row under construction is the first unused row of the arena.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FOUND, FOUND_COUNT, ROW_COUNT, ROWS
from tokamask.grammar.jit import jit
from tokamask.masking.pieces import ROW_WORDS

Words = npt.NDArray[np.int32]

# Found tokens beyond this many are gathered in a row instead of a list.
LONGEST_LIST = 2048


@jit
def child_count(V: Words, node: int) -> int:
    return V[node] >> 8 & 0x1FF


@jit
def find_child(V: Words, nodes: int, node: int, byte: int) -> int:
    """The child of `node` (addresses into V) whose edge is `byte`; 0 when there is none."""
    low = nodes + 4 * V[node + 1]
    count = child_count(V, node)
    while count > 0:
        half = count >> 1
        middle = low + 4 * half
        if (V[middle] & 255) < byte:
            low = middle + 4
            count -= half + 1
        else:
            count = half
    # `low` is the first child not below `byte`, possibly one past the last.
    if low < nodes + 4 * (V[node + 1] + child_count(V, node)) and (V[low] & 255) == byte:
        return low
    return 0


@jit
def set_token(M: Words, row: int, token: int) -> None:
    M[row + (token >> 5)] |= np.int32(1 << (token & 31))


@jit
def clear_token(M: Words, row: int, token: int) -> None:
    M[row + (token >> 5)] &= ~np.int32(1 << (token & 31))


@jit
def flush(M: Words, V: Words, has_row: int) -> None:
    """Move the found tokens into the row under construction (the first unused row of the arena), begun if need be."""
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
        flush(M, V, has_row)
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
