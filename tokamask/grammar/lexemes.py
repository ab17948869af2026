"""The automata of a program while they are run: lexemes, and the text inside JSON strings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit
from tokamask.grammar.program import AUTOMATON_CLASS_OF, AUTOMATON_CLASSES, AUTOMATON_ROWS, LIVE
from tokamask.grammar.string_body import (
    ESCAPE,
    HEX_1D,
    MINIMAL,
    MOST_ESCAPED,
    escape_high,
    escape_low,
    may_become,
    utf8_byte,
    utf8_length,
)

Words = npt.NDArray[np.int32]


@jit
def automaton_flags(P: Words, block: int, state: int) -> int:
    return P[block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1)]


@jit
def automaton_move(P: Words, block: int, state: int, byte: int) -> int:
    """The next state or -1."""
    column = P[block + AUTOMATON_CLASS_OF + byte]
    return P[block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1) + 1 + column]


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
def automaton_reads_any(P: Words, block: int, state: int, low: int, high: int) -> bool:
    """Whether the automaton can read some code point of low..high, surrogates excepted."""
    while low <= high:
        length = utf8_length(low)
        if length == 3 and 0xD800 <= low <= 0xDFFF:
            low = 0xE000
            continue
        # The last code point that shares the first byte with `low`: one look at the first byte may skip them all.
        span = low | ((1 << (6 * (length - 1))) - 1)
        if automaton_move(P, block, state, utf8_byte(low, length, 0)) < 0:
            low = span + 1
            continue
        if automaton_read(P, block, state, low) >= 0:
            return True
        if length > 2:
            # Likewise for the first two bytes.
            second = automaton_move(P, block, state, utf8_byte(low, length, 0))
            second = automaton_move(P, block, second, utf8_byte(low, length, 1))
            if second < 0:
                low = (low | ((1 << (6 * (length - 2))) - 1)) + 1
                continue
        low += 1
    return False


@jit
def automaton_can_escape(P: Words, block: int, state: int, packed: int) -> bool:
    """Whether an unfinished escape can become a character that the automaton reads."""
    if packed == ESCAPE:
        return automaton_flags(P, block, state) & LIVE != 0
    if packed & 255 >= MINIMAL:
        for code_point in range(MOST_ESCAPED + 1):
            if may_become(packed, code_point) and automaton_move(P, block, state, code_point) >= 0:
                return True
        return False
    if automaton_reads_any(P, block, state, escape_low(packed), escape_high(packed)):
        return True
    return packed & 255 == HEX_1D and automaton_reads_any(P, block, state, 0x10000, 0x10FFFF)
