"""Moves between configurations: the lazily determinised recogniser, one byte at a time.

Also which bytes are worth trying at all: a thread inside punctuation or a literal reads one or two bytes, and asking it
about the other 254 would cost more than the answer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CANDIDATES,
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    MAXIMUM_CANDIDATES,
    MOVE_COUNT,
    MOVE_SIZE,
    MOVE_WORDS,
    MOVES,
    OVERFLOW,
    SCRATCH_COUNT,
    STEPS,
    THREAD_WORDS,
    THREADS,
    mix,
)
from tokamask.grammar.body_states import BACKSLASH, COMPLETE, QUOTE
from tokamask.grammar.closure import close_scratch
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, REMEMBERS, has_room, push
from tokamask.grammar.jit import jit
from tokamask.grammar.keys import LIVE_NAME, name_is_live, name_read, names_behind_escape
from tokamask.grammar.lexemes import automaton_flags, string_can_escape, string_read
from tokamask.grammar.name_table import name_byte, next_branch
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_WHITESPACE,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    DEPTH_BITS,
    END,
    ITEMS_AFTER,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    OBJECT_AFTER,
    OBJECT_COLON,
    OBJECT_HOME,
    OBJECT_KEY,
    OBJECT_NAMES,
    OBJECT_NEXT,
    OBJECT_OPEN,
    OBJECT_VALUE,
    OBJECT_WHITESPACE,
    STRING,
    VALUE,
)
from tokamask.grammar.properties import may_add
from tokamask.grammar.string_body import ESCAPE_BYTES, advance_escape, is_escape_state, starts_character
from tokamask.grammar.survival import step, surviving
from tokamask.grammar.threads import item_value, property_value

Words = npt.NDArray[np.int32]

ANY_BYTE = -1  # candidates: too many to list


@jit
def start_configuration(P: Words, M: Words, pc: int) -> int:
    """The configuration before the first byte of a text; FULL when the arena must grow."""
    if not has_room(M):
        return FULL
    M[SCRATCH_COUNT] = 0
    push(M, pc, 0, 0, 0, 0, 0)
    start = close_scratch(P, M)
    return FULL if M[OVERFLOW] else start


@jit
def move(P: Words, M: Words, configuration: int, byte: int) -> int:
    """The configuration after `byte`: 0 when it cannot follow, FULL when the arena must grow."""
    if configuration == 0:
        return 0
    size = M[MOVE_SIZE] - 1
    key = configuration << 8 | byte
    slot = mix(3, key) & size
    while True:
        at = M[MOVES] + slot * MOVE_WORDS
        if M[at] == key:
            return M[at + 1]
        if M[at] == 0:
            break
        slot = (slot + 1) & size
    M[STEPS] += 1
    target = step(P, M, configuration, byte)
    if target > 0 and M[M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + REMEMBERS]:
        target = surviving(P, M, target)
    if target < 0:
        return FULL
    M[at] = key
    M[at + 1] = target
    M[MOVE_COUNT] += 1
    return target


@jit
def candidate_buffer(M: Words) -> Words:
    """Where the header keeps room for MAXIMUM_CANDIDATES bytes; the next enumeration overwrites it."""
    return M[CANDIDATES : CANDIDATES + MAXIMUM_CANDIDATES]


@jit
def _list_byte(out: Words, count: int, byte: int) -> int:
    """Add a byte to the candidates (ascending order is not needed, repetition is avoided)."""
    if count == ANY_BYTE:
        return ANY_BYTE
    for i in range(count):
        if out[i] == byte:
            return count
    if count == MAXIMUM_CANDIDATES:
        return ANY_BYTE
    out[count] = byte
    return count + 1


@jit
def list_automaton(P: Words, out: Words, count: int, block: int, state: int) -> int:
    classes = P[block + AUTOMATON_CLASSES]
    row = block + P[block + AUTOMATON_ROWS] + state * (classes + 1) + 1
    starts = block + P[block + AUTOMATON_CLASS_START]
    members = block + P[block + AUTOMATON_CLASS_BYTES]
    for column in range(classes):
        if P[row + column] >= 0:
            if P[starts + column + 1] - P[starts + column] > MAXIMUM_CANDIDATES:
                return ANY_BYTE
            for i in range(P[starts + column], P[starts + column + 1]):
                count = _list_byte(out, count, P[members + i])
                if count == ANY_BYTE:
                    return ANY_BYTE
    return count


@jit
def _list_value(P: Words, out: Words, count: int, pc: int) -> int:
    for i in range(P[pc + 1]):
        alternative = P[pc + 2 + i]
        operation = P[alternative]
        if operation == LEXEME:
            count = list_automaton(P, out, count, P[alternative + 1], 0)
        elif operation == STRING:
            count = _list_byte(out, count, QUOTE)
        elif operation == OBJECT_OPEN:
            count = _list_byte(out, count, 0x7B)
        else:
            count = _list_byte(out, count, 0x5B)
    return count


@jit
def _list_escape(out: Words, count: int, state: int) -> int:
    """The bytes that can follow inside an escape."""
    i = 0
    while ESCAPE_BYTES[state, i] >= 0 and count != ANY_BYTE:
        count = _list_byte(out, count, ESCAPE_BYTES[state, i])
        i += 1
    return count


@jit
def _list_string(P: Words, pc: int, data: int, lexeme: int, escape: int, out: Words, count: int) -> int:
    state = escape & 255
    if P[pc + 3] == 0:
        return _list_escape(out, count, state) if is_escape_state(state) else ANY_BYTE
    if not is_escape_state(state):
        count = list_automaton(P, out, count, P[pc + 3], lexeme)
        if starts_character(state):
            count = _list_byte(out, count, QUOTE)
            count = _list_byte(out, count, BACKSLASH)
        return count
    i = 0
    while ESCAPE_BYTES[state, i] >= 0:
        packed = advance_escape(escape, ESCAPE_BYTES[state, i])
        if packed & 255 == COMPLETE:
            goes_on = string_read(P, pc, data, lexeme, packed >> 8) >= 0
        else:
            goes_on = string_can_escape(P, pc, data, lexeme, packed)
        if goes_on:
            count = _list_byte(out, count, ESCAPE_BYTES[state, i])
        i += 1
    return count


@jit
def _list_key(P: Words, M: Words, pc: int, data: int, place: int, escape: int, out: Words, count: int) -> int:
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    is_open = may_add(P, M, record, data)
    names = P[record + OBJECT_NAMES]
    if is_escape_state(escape & 255):
        if is_open:
            return _list_escape(out, count, escape & 255)
        i = 0
        while ESCAPE_BYTES[escape & 255, i] >= 0:
            packed = advance_escape(escape, ESCAPE_BYTES[escape & 255, i])
            if packed & 255 == COMPLETE:
                goes_on = name_is_live(P, M, record, data, name_read(P, names, place, packed >> 8))
            else:
                goes_on = names_behind_escape(P, M, record, data, place, packed) == LIVE_NAME
            if goes_on:
                count = _list_byte(out, count, ESCAPE_BYTES[escape & 255, i])
            i += 1
        return count
    if is_open or escape != P[record + OBJECT_HOME]:
        return ANY_BYTE
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    while entry < P[names]:
        byte = name_byte(P, names, entry, depth)
        count = _list_byte(out, count, QUOTE if byte < 0 else byte)
        entry = next_branch(P, names, entry, depth)
    return _list_byte(out, count, BACKSLASH)


@jit
def _list_items(P: Words, pc: int, data: int, lexeme: int, out: Words, count: int) -> int:
    record = pc - (P[pc] - ITEMS_OPEN)
    blank = P[record + ITEMS_WHITESPACE]
    count = list_automaton(P, out, count, blank, lexeme)
    if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
        return count
    if P[pc] != ITEMS_NEXT:
        count = _list_byte(out, count, 0x5D)
    if P[pc] == ITEMS_AFTER:
        return _list_byte(out, count, 0x2C)
    at = P[record + ITEMS_STATES + data] + 1
    while P[at] and count != ANY_BYTE:
        count = _list_value(P, out, count, P[at])
        at += 2
    return count


@jit
def list_candidates(P: Words, M: Words, pc: int, data: int, lexeme: int, escape: int, out: Words, count: int) -> int:
    """Add to `out` a superset of the bytes that the thread can read; returns their number or ANY_BYTE."""
    if count == ANY_BYTE:
        return ANY_BYTE
    operation = P[pc]
    if operation == LEXEME:
        return list_automaton(P, out, count, P[pc + 1], lexeme)
    if operation == VALUE:
        return _list_value(P, out, count, pc)
    if operation == STRING:
        return _list_string(P, pc, data, lexeme, escape, out, count)
    if operation == OBJECT_KEY:
        return _list_key(P, M, pc, data, lexeme, escape, out, count)
    if operation == END:
        return count
    if operation >= OBJECT_OPEN:
        record = pc - (operation - OBJECT_OPEN)
        blank = P[record + OBJECT_WHITESPACE]
        count = list_automaton(P, out, count, blank, lexeme)
        if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
            return count
        if operation == OBJECT_COLON:
            return _list_byte(out, count, 0x3A)
        if operation == OBJECT_VALUE:
            return _list_value(P, out, count, property_value(P, record, escape))
        if operation != OBJECT_AFTER:
            count = _list_byte(out, count, QUOTE)
        else:
            count = _list_byte(out, count, 0x2C)
        if operation != OBJECT_NEXT:
            count = _list_byte(out, count, 0x7D)
        return count
    if operation >= ITEMS_OPEN:
        return _list_items(P, pc, data, lexeme, out, count)
    record = pc - (operation - ARRAY_OPEN)
    blank = P[record + ARRAY_WHITESPACE]
    count = list_automaton(P, out, count, blank, lexeme)
    if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
        return count
    if operation != ARRAY_NEXT:
        count = _list_byte(out, count, 0x5D)
    if operation == ARRAY_AFTER:
        return _list_byte(out, count, 0x2C)
    value = item_value(P, record, data)
    return count if value == 0 else _list_value(P, out, count, value)


@jit
def is_listed(candidates: Words, count: int, byte: int) -> bool:
    """Whether a byte is among candidates."""
    for i in range(count):  # noqa: SIM110 - a kernel has no generators
        if candidates[i] == byte:
            return True
    return False


@jit
def configuration_candidates(P: Words, M: Words, configuration: int, out: Words) -> int:
    """The same for all threads of a configuration."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    count = 0
    for i in range(start, start + M[record + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        count = list_candidates(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], out, count)
        if count == ANY_BYTE:
            return ANY_BYTE
    return count
