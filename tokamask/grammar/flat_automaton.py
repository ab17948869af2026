"""Automata as kernels have them: flat tables, their states and columns numbered anew."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit

__all__ = ["FlatAutomaton", "Words", "number_breadth_first", "unite_columns"]

Words = npt.NDArray[np.int32]


class FlatAutomaton(NamedTuple):
    """An automaton as kernels have it; state 0 is the start.

    Attributes:
        rows: int32 (at least states * width,): for each state the next one behind each column, -1 for none.
        accepting: int32 (at least states,): 1 or 0.
    """

    rows: Words
    accepting: Words
    states: int
    width: int


@jit
def number_breadth_first(
    rows: Words, accepting: Words, size: int, width: int, block_of: Words, blocks: int, result: Words, room: Words
) -> int:
    """One state for each block that the start leads to, numbered breadth first by column; returns how many.

    Args:
        accepting: overwritten with the flags of the result.
        block_of: the block of every state.
        result: room for size * width.
        room: 2 * size words.
    """
    number, order = room[:size], room[size : 2 * size]
    number[:blocks] = -1
    order[0] = 0
    number[block_of[0]] = 0
    known = 1
    at = 0
    while at < known:
        for column in range(width):
            target = rows[order[at] * width + column]
            if target >= 0:
                block = block_of[target]
                if number[block] < 0:
                    number[block] = known
                    order[known] = target
                    known += 1
                target = number[block]
            result[at * width + column] = target
        at += 1
    for state in range(known):
        number[state] = accepting[order[state]]
    accepting[:known] = number[:known]
    return known


@jit
def unite_columns(rows: Words, size: int, width: int, column_of: Words, room: Words) -> int:
    """Make columns of the same targets one, in place, in the order of their first members; returns how many are left.

    Args:
        column_of: what has become of each column.
        room: 2 * width words.
    """
    digest, kept = room[:width], room[width : 2 * width]
    digest[:] = 0
    for state in range(size):
        for column in range(width):
            digest[column] = (digest[column] * 31 + rows[state * width + column]) & 0x3FFFFFF
    left = 0
    for column in range(width):
        column_of[column] = left
        for other in range(left):
            if digest[kept[other]] == digest[column]:
                state = 0
                while state < size and rows[state * width + column] == rows[state * width + kept[other]]:
                    state += 1
                if state == size:
                    column_of[column] = other
                    break
        if column_of[column] == left:
            kept[left] = column
            left += 1
    for state in range(size):
        for column in range(left):
            rows[state * left + column] = rows[state * width + kept[column]]
    return left
