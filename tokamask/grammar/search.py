"""Depth-first search through what may be written, for those who must find one way to go on among forbidden ones.

Only bytes that matter are tried: no blanks, no escapes but of characters that need one, neither exponents nor zeros at
the end of a fraction, and the properties of an object in one order. Whatever is left out spells a value that is spelled
otherwise as well. What was begun before the search has to be finished as it is.

The stack lies in the arena: of each place the configuration, how many bytes were tried, whether it is inside a number
or an escape that was begun before, and a number that belongs to whoever searches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import OVERFLOW, SEARCH, SEARCH_CAPACITY, SEARCH_FULL, SEARCH_WORDS
from tokamask.grammar.body_states import BACKSLASH, ESCAPE, HEX_0, HEX_1, HEX_2, HEX_3, HIGH_2, QUOTE
from tokamask.grammar.configurations import MEMORY, address_of, thread_count, thread_of
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move, is_blank, whitespace_block
from tokamask.grammar.memory_nodes import below, content, first_byte, is_numeral
from tokamask.grammar.name_table import OFF, name_move
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    AUTOMATON_STATES,
    ITEMS_AFTER,
    LEXEME,
    OBJECT_ADDITIONAL,
    OBJECT_AFTER,
    OBJECT_KEY,
    OBJECT_NAMES,
    OBJECT_OPEN,
    STRING,
)
from tokamask.grammar.string_body import BODY, advance_escape, is_escape_state

Words = npt.NDArray[np.int32]

PLACE, TRIED, IS_BEGUN, NOTE = range(SEARCH_WORDS)  # words of a place on the stack
NO_BYTE = -1


@jit
def begin_search(P: Words, M: Words, configuration: int) -> None:
    at = M[SEARCH]
    M[at + PLACE] = configuration
    M[at + TRIED] = 0
    M[at + IS_BEGUN] = _is_inside(P, M, configuration)
    M[at + NOTE] = 0


@jit
def deepen(P: Words, M: Words, depth: int, configuration: int, note: int) -> bool:
    """Go on from a configuration that follows the place at `depth`; False, with OVERFLOW set, when there is no room."""
    if depth + 1 == M[SEARCH_CAPACITY]:
        M[OVERFLOW] = SEARCH_FULL
        return False
    at = M[SEARCH] + depth * SEARCH_WORDS
    is_begun = M[at + IS_BEGUN]
    at += SEARCH_WORDS
    M[at + PLACE] = configuration
    M[at + TRIED] = 0
    M[at + IS_BEGUN] = _is_inside(P, M, configuration) if is_begun else 0
    M[at + NOTE] = note
    return True


@jit
def next_byte(P: Words, M: Words, depth: int) -> int:
    """The next byte to try at the place at `depth`; NO_BYTE when there are no more."""
    at = M[SEARCH] + depth * SEARCH_WORDS
    while M[at + TRIED] < 256:
        byte = _byte_to_try(M[at + TRIED])
        M[at + TRIED] += 1
        for i in range(thread_count(M, M[at + PLACE])):
            if _is_worth_trying(P, M, thread_of(M, M[at + PLACE], i), byte, M[at + IS_BEGUN]):
                return byte
    return NO_BYTE


@jit
def _byte_to_try(number: int) -> int:
    """All bytes, each once, those that close something first: texts could go on for ever."""
    if number == 0:
        return 0x22
    if number == 1:
        return 0x5D
    if number == 2:
        return 0x7D
    byte = number - 3
    for closing in (0x22, 0x5D, 0x7D):
        byte += byte >= closing
    return byte


@jit
def _is_inside(P: Words, M: Words, configuration: int) -> int:
    """Whether a thread is inside an escape or a number."""
    for i in range(thread_count(M, configuration)):
        t = address_of(M, thread_of(M, configuration, i))
        operation = P[M[t]]
        if operation == LEXEME or (operation in (STRING, OBJECT_KEY) and is_escape_state(M[t + 3] & 255)):
            return 1
    return 0


@jit
def _is_worth_trying(P: Words, M: Words, thread: int, byte: int, is_begun: int) -> bool:
    """Whether `byte` may lead to values that no other byte leads to."""
    t = address_of(M, thread)
    pc = M[t]
    operation = P[pc]
    if operation == LEXEME:
        return _is_new_digit(P, M, P[pc + 1], M[t + 2], M[t + MEMORY], byte, is_begun)
    if operation in (STRING, OBJECT_KEY):
        state = M[t + 3] & 255
        if is_escape_state(state) and advance_escape(M[t + 3], byte) < 0:
            return False
        if is_escape_state(state) or byte in (QUOTE, BACKSLASH):
            return is_begun != 0 or _is_new_character(state, byte)
        # What cannot follow anyway, nearly everything where values are listed, is found faster here.
        if operation == STRING and P[pc + 3] and automaton_move(P, P[pc + 3], M[t + 2], byte) < 0:
            return False
        if operation == OBJECT_KEY and not _may_be_name(P, pc - (OBJECT_KEY - OBJECT_OPEN), M[t + 2], byte):
            return False
        return bool(BODY[state, byte] >= 0)
    if not is_blank(byte):
        # What cannot follow an item must not lead on a number beside it either.
        return operation not in (ARRAY_AFTER, ITEMS_AFTER, OBJECT_AFTER) or byte in (0x2C, 0x5D, 0x7D)
    block = whitespace_block(P, pc)
    return block == 0 or automaton_flags(P, block, M[t + 2]) & ACCEPTING == 0


@jit
def _may_be_name(P: Words, record: int, place: int, byte: int) -> bool:
    return P[record + OBJECT_ADDITIONAL] != 0 or name_move(P, P[record + OBJECT_NAMES], place, byte) != OFF


@jit
def _is_new_character(state: int, byte: int) -> bool:
    """In a string: escapes only of control characters, the quote and the backslash."""
    if not is_escape_state(state) or state > HIGH_2:
        return True
    if state == ESCAPE:
        return byte != 0x2F
    if state in (HEX_0, HEX_1):
        return byte == 0x30
    if state == HEX_2:
        return byte == 0x30 or byte == 0x31
    return state == HEX_3 and not 0x41 <= byte <= 0x46


@jit
def _is_new_digit(P: Words, M: Words, block: int, state: int, memory: int, byte: int, is_begun: int) -> bool:
    """In a number: neither an exponent, unless it was begun before, nor zeros at the end of a fraction."""
    target = automaton_move(P, block, state, byte)
    if target < 0:
        return False
    if memory <= 0 or content(M, memory) == 0 or not is_numeral(first_byte(M, content(M, memory))):
        return True
    letters = content(M, memory)
    has_exponent = _has_letter(M, letters, 0x65) or _has_letter(M, letters, 0x45)
    if not has_exponent and (byte == 0x2E or (byte == 0x30 and _has_letter(M, letters, 0x2E))):
        if is_begun and content(M, letters) == 0x2E:
            return True  # some digit has to follow the point
        return target != state and _leads_past_zeros(P, block, target)
    if is_begun:
        return _is_new_in_begun(M, letters, byte, int(target == state))
    return byte != 0x65 and byte != 0x45


@jit
def _is_new_in_begun(M: Words, letters: int, byte: int, is_loop: int) -> bool:
    """In a number begun before: one sign and one letter of an exponent, none of zero, and no zeros without end."""
    if byte == 0x2B or byte == 0x45:
        return False
    is_exponent = byte == 0x65
    if not (is_exponent or is_loop):
        return True
    if byte == 0x30:
        return False
    is_zero = True
    has_exponent = is_exponent
    while letters:
        letter = content(M, letters)
        if letter == 0x65 or letter == 0x45:
            has_exponent = True
            is_zero = True  # the digits so far were those of the exponent
        elif is_numeral(letter) and letter != 0x2D and letter != 0x30:
            is_zero = False
        letters = below(M, letters)
    return not (has_exponent and is_zero)


@jit
def _has_letter(M: Words, letters: int, byte: int) -> bool:
    while letters and content(M, letters) != byte:
        letters = below(M, letters)
    return letters != 0


@jit
def _leads_past_zeros(P: Words, block: int, state: int) -> bool:
    """Whether some digit that is not 0 may follow, after zeros or none."""
    for _ in range(P[block + AUTOMATON_STATES]):
        for digit in range(0x31, 0x3A):
            if automaton_move(P, block, state, digit) >= 0:
                return True
        state = automaton_move(P, block, state, 0x30)
        if state < 0:
            return False
    return False
