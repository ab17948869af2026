"""The automata of a program while they are run: lexemes, whitespace, and the text inside JSON strings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import ESCAPE, HEX_1D, MINIMAL, MOST_ESCAPED
from tokamask.grammar.jit import jit
from tokamask.grammar.program import (
    ARRAY_OPEN,
    ARRAY_WHITESPACE,
    AUTOMATON_CLASS_OF,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    ITEMS_OPEN,
    ITEMS_WHITESPACE,
    LENGTHS_OF,
    OBJECT_KEY,
    OBJECT_NEXT,
    OBJECT_OPEN,
    OBJECT_WHITESPACE,
    STRING_LENGTHS,
)
from tokamask.grammar.string_body import escape_high, escape_low, may_become, utf8_byte, utf8_length

Words = npt.NDArray[np.int32]


@jit
def automaton_flags(P: Words, block: int, state: int) -> int:
    return P[block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1)]


@jit
def automaton_row(P: Words, block: int, state: int) -> int:
    """Where the next states of `state` begin; for a byte, the one at the class in word AUTOMATON_CLASS_OF + byte."""
    return block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1) + 1


@jit
def automaton_move(P: Words, block: int, state: int, byte: int) -> int:
    """The next state or -1."""
    return P[automaton_row(P, block, state) + P[block + AUTOMATON_CLASS_OF + byte]]


@jit
def automaton_read(P: Words, block: int, state: int, code_point: int) -> int:
    """The state after the UTF-8 bytes of a code point, or -1."""
    length = utf8_length(code_point)
    for i in range(length):
        state = automaton_move(P, block, state, utf8_byte(code_point, length, i))
        if state < 0:
            return -1
    return state


@jit
def is_blank(byte: int) -> bool:
    """Whether a byte is one of JSON's whitespace."""
    return byte == 0x20 or byte == 0x0A or byte == 0x0D or byte == 0x09


@jit
def whitespace_block(P: Words, pc: int) -> int:
    """The automaton of the blanks that may stand at a place of an array or object; 0: at `pc` none may."""
    operation = P[pc]
    if operation < ARRAY_OPEN or operation == OBJECT_KEY or operation > OBJECT_NEXT:
        return 0
    if operation >= OBJECT_OPEN:
        return P[pc - (operation - OBJECT_OPEN) + OBJECT_WHITESPACE]
    if operation >= ITEMS_OPEN:
        return P[pc - (operation - ITEMS_OPEN) + ITEMS_WHITESPACE]
    return P[pc - (operation - ARRAY_OPEN) + ARRAY_WHITESPACE]


# Strings whose automaton has bounds beside it: `count` code points have begun (up to the largest number that matters),
# and a state is *live* if a text within the bounds leads from it to acceptance (see `text_lengths.is_countable`).


@jit
def count_begun(P: Words, pc: int, count: int) -> int:
    """The count when one more code point begins in the STRING record at `pc`; -1: one too many."""
    maximum = P[pc + 2]
    if maximum < 0:
        return min(count + 1, P[pc + 1])
    return count + 1 if count < maximum else -1


@jit
def string_is_live(P: Words, pc: int, count: int, state: int) -> bool:
    lengths = P[pc + STRING_LENGTHS]
    if lengths == 0:
        return True
    fewest = P[lengths + LENGTHS_OF + 2 * state]
    most = P[lengths + LENGTHS_OF + 2 * state + 1]
    if P[pc + 2] >= 0 and count + fewest > P[pc + 2]:
        return False
    return most < 0 or count + most >= P[pc + 1]


@jit
def string_move(P: Words, pc: int, count: int, state: int, byte: int) -> int:
    """The next state, or -1 when there is none or it is not live. `count` includes the code point of the byte."""
    state = automaton_move(P, P[pc + 3], state, byte)
    return state if state >= 0 and string_is_live(P, pc, count, state) else -1


@jit
def string_read(P: Words, pc: int, count: int, state: int, code_point: int) -> int:
    """The same for the UTF-8 bytes of a code point."""
    state = automaton_read(P, P[pc + 3], state, code_point)
    return state if state >= 0 and string_is_live(P, pc, count, state) else -1


@jit
def string_reads_any(P: Words, pc: int, count: int, state: int, low: int, high: int) -> bool:
    """Whether the string can read some code point of low..high, surrogates excepted."""
    while low <= high:
        length = utf8_length(low)
        if length == 3 and 0xD800 <= low <= 0xDFFF:
            low = 0xE000
            continue
        # The last code point that shares the first byte with `low`: one look at the first byte may skip them all.
        span = low | ((1 << (6 * (length - 1))) - 1)
        second = string_move(P, pc, count, state, utf8_byte(low, length, 0))
        if second < 0:
            low = span + 1
            continue
        if string_read(P, pc, count, state, low) >= 0:
            return True
        # Likewise for the first two bytes.
        if length > 2 and string_move(P, pc, count, second, utf8_byte(low, length, 1)) < 0:
            low = (low | ((1 << (6 * (length - 2))) - 1)) + 1
            continue
        low += 1
    return False


@jit
def string_can_escape(P: Words, pc: int, count: int, state: int, packed: int) -> bool:
    """Whether an unfinished escape can become a character that the string can read; it is counted already."""
    if packed == ESCAPE:
        block = P[pc + 3]
        row = block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1) + 1
        for column in range(P[block + AUTOMATON_CLASSES]):
            if P[row + column] >= 0 and string_is_live(P, pc, count, P[row + column]):
                return True
        return False
    if packed & 255 >= MINIMAL:
        for code_point in range(MOST_ESCAPED + 1):
            if may_become(packed, code_point) and string_move(P, pc, count, state, code_point) >= 0:
                return True
        return False
    if string_reads_any(P, pc, count, state, escape_low(packed), escape_high(packed)):
        return True
    return packed & 255 == HEX_1D and string_reads_any(P, pc, count, state, 0x10000, 0x10FFFF)
