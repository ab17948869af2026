"""How one thread reads one byte: lexemes, JSON strings, arrays and objects (inside their property names: `keys`).

Every function here pushes the threads that the byte leads to into the scratch (not yet closed) and never pushes one
that cannot reach the end of the text: whoever wrote the program has removed what cannot be satisfied, and the places
where data decides (names still free, counts, escapes) look ahead before they let a byte pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import OVERFLOW
from tokamask.grammar.body_states import BACKSLASH, COMPLETE, QUOTE
from tokamask.grammar.configurations import intern_single, push, push_threads
from tokamask.grammar.jit import jit
from tokamask.grammar.keys import name_is_live, read_in_key
from tokamask.grammar.lexemes import (
    automaton_flags,
    automaton_move,
    count_begun,
    string_can_escape,
    string_move,
    string_read,
)
from tokamask.grammar.memory import (
    FORBIDDEN,
    HOLE,
    begun_name,
    begun_text,
    closed,
    ended_name,
    ended_text,
    opened,
    remembers_value,
    with_byte,
    with_code_point,
)
from tokamask.grammar.memory_nodes import A_SPELLING, A_STRING, detail
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    ARRAY_DISTINCT,
    ARRAY_MAXIMUM,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_PREFIX,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    ARRAY_SATURATION,
    ARRAY_WHITESPACE,
    CHOICE_WORDS,
    ITEMS_AFTER,
    ITEMS_DISTINCT,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    OBJECT_ADDITIONAL,
    OBJECT_AFTER,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_HOME,
    OBJECT_KEY,
    OBJECT_NEXT,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    OBJECT_REMEMBERS,
    OBJECT_VALUE,
    OBJECT_WHITESPACE,
    STRING,
    STRING_HOME,
    VALUE,
)
from tokamask.grammar.properties import data_after_name, may_choose, may_close, may_continue, start_data
from tokamask.grammar.string_body import BODY, advance_escape, is_escape_state

Words = npt.NDArray[np.int32]


# Strings.


@jit
def _string(
    P: Words, M: Words, pc: int, data: int, lexeme: int, packed: int, ret: int, memory: int, byte: int
) -> None:
    block = P[pc + 3]
    state = packed & 255
    home = P[pc + STRING_HOME]
    if state == home:
        if byte == QUOTE:
            if data >= P[pc + 1] and (block == 0 or automaton_flags(P, block, lexeme) & ACCEPTING):
                after = _ended(M, memory)
                if after != FORBIDDEN:
                    push_threads(M, ret, after)
            return
        data = count_begun(P, pc, data)
        if data < 0:
            return
        if byte == BACKSLASH:
            escape = BODY[home, BACKSLASH]
            if block == 0 or string_can_escape(P, pc, data, lexeme, escape):
                push(M, pc, data, lexeme, escape, ret, memory)
            return
    if is_escape_state(state):
        packed = advance_escape(packed, byte)
        if packed < 0:
            return
        if packed & 255 == COMPLETE:
            if block != 0:
                lexeme = string_read(P, pc, data, lexeme, packed >> 8)
            if lexeme >= 0:
                push(M, pc, data, lexeme, home, ret, with_code_point(M, memory, packed >> 8))
        elif block == 0 and memory == 0:
            # The decoded character does not matter, so states with different digits are the same state.
            push(M, pc, data, 0, packed & 255, ret, 0)
        elif block == 0 or string_can_escape(P, pc, data, lexeme, packed):
            push(M, pc, data, lexeme, packed, ret, memory)
        return
    target = BODY[state, byte]
    if target < 0:
        return
    if block != 0:
        lexeme = string_move(P, pc, data, lexeme, byte)
        if lexeme < 0:
            return
    push(M, pc, data, lexeme, target, ret, with_byte(M, memory, byte))


@jit
def _ended(M: Words, memory: int) -> int:
    """The memory behind the closing quote of a string, which may be a name."""
    if memory != 0 and detail(M, memory) != A_STRING:
        return ended_name(M, memory)
    return ended_text(M, memory)


# Objects: see `properties` for what their `data` is.


@jit
def value_starts(P: Words, pc: int, byte: int) -> bool:
    """Whether the VALUE record at `pc` can begin with `byte`."""
    for i in range(P[pc + 1]):
        alternative = P[pc + 2 + i]
        operation = P[alternative]
        if operation == LEXEME:
            if automaton_move(P, P[alternative + 1], 0, byte) >= 0:
                return True
        elif operation == STRING:
            if byte == QUOTE:
                return True
        elif operation == OBJECT_OPEN:
            if byte == 0x7B:
                return True
        elif byte == 0x5B:
            return True
    return False


@jit
def enter_value(P: Words, M: Words, pc: int, ret: int, memory: int, byte: int) -> None:
    """Read the first byte of a JSON value that will return to `ret`; `memory` is 0 where it need not be remembered."""
    for i in range(P[pc + 1]):
        alternative = P[pc + 2 + i]
        operation = P[alternative]
        if operation == LEXEME:
            state = automaton_move(P, P[alternative + 1], 0, byte)
            if state >= 0:
                push(M, alternative, 0, state, 0, ret, with_byte(M, _begun(M, memory, A_SPELLING), byte))
        elif operation == STRING:
            if byte == QUOTE:
                push(M, alternative, 0, 0, P[alternative + STRING_HOME], ret, _begun(M, memory, A_STRING))
        elif operation == OBJECT_OPEN:
            if byte == 0x7B:
                inside = opened(M, memory, 1, P[alternative + OBJECT_REMEMBERS])
                push(M, alternative, start_data(P, M, alternative), 0, 0, ret, inside)
        elif byte == 0x5B:
            push(M, alternative, 0, 0, 0, ret, opened(M, memory, 0, array_distinct(P, alternative)))


@jit
def array_distinct(P: Words, record: int) -> int:
    """How the items of an array must differ, of either kind of record."""
    return P[record + ARRAY_DISTINCT] if P[record] == ARRAY_OPEN else P[record + ITEMS_DISTINCT]


@jit
def _begun(M: Words, memory: int, purpose: int) -> int:
    return begun_text(M, memory, purpose) if memory else 0


@jit
def _enter_item(
    P: Words, M: Words, value: int, after: int, data: int, ret: int, memory: int, byte: int
) -> None:
    """Read the first byte of an item, after which the array is at place `after` with `data`."""
    if value_starts(P, value, byte):
        back = intern_single(P, M, after, data, 0, 0, ret, HOLE if memory else 0)
        enter_value(P, M, value, back, memory, byte)


@jit
def property_value(P: Words, record: int, index: int) -> int:
    """The VALUE record of a property: its declared index, or their number and the choice (0 without choices)."""
    other = index - P[record + OBJECT_COUNT]
    if other < 0:
        return P[record + OBJECT_PROPERTIES + 2 * index]
    if P[record + OBJECT_CHOICE_COUNT]:
        return P[P[record + OBJECT_CHOICES] + CHOICE_WORDS * other + 1]
    return P[record + OBJECT_ADDITIONAL]


@jit
def _open_key(P: Words, M: Words, record: int, data: int, ret: int, memory: int) -> None:
    """Behind the quote that begins a key."""
    choices = P[record + OBJECT_CHOICE_COUNT]
    name = begun_name(M, memory) if memory else 0
    if choices == 0 or name_is_live(P, M, record, data, 0):
        push(M, record + (OBJECT_KEY - OBJECT_OPEN), data, 0, P[record + OBJECT_HOME], ret, name)
    colon = record + (OBJECT_COLON - OBJECT_OPEN)
    for choice in range(choices):
        if M[OVERFLOW]:
            # Only as much is interned in a step as is pushed: that is what there is room for.
            return
        if may_choose(P, M, record, data, choice):
            index = P[record + OBJECT_COUNT] + choice
            after = data_after_name(P, M, record, data, index)
            back = intern_single(P, M, colon, after, 0, index, ret, HOLE if memory else 0)
            push(M, P[P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice], 0, 0, P[record + OBJECT_HOME], back, name)


@jit
def _object(
    P: Words, M: Words, pc: int, data: int, lexeme: int, index: int, ret: int, memory: int, byte: int
) -> None:
    """All places of an object but the inside of a key; `lexeme`: the state of the whitespace before the next token."""
    operation = P[pc]
    record = pc - (operation - OBJECT_OPEN)
    blank = P[record + OBJECT_WHITESPACE]
    state = automaton_move(P, blank, lexeme, byte)
    if state >= 0:
        push(M, pc, data, state, index, ret, memory)
        return
    if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
        return
    if operation == OBJECT_COLON:
        if byte == 0x3A:
            push(M, record + (OBJECT_VALUE - OBJECT_OPEN), data, 0, index, ret, memory)
    elif operation == OBJECT_VALUE:
        value = property_value(P, record, index)
        if value_starts(P, value, byte):
            after = record + (OBJECT_AFTER - OBJECT_OPEN)
            if remembers_value(M, memory):
                enter_value(P, M, value, intern_single(P, M, after, data, 0, 0, ret, HOLE), memory, byte)
            else:
                enter_value(P, M, value, intern_single(P, M, after, data, 0, 0, ret, memory), 0, byte)
    elif byte == QUOTE:
        # A comma is read only where a property may follow.
        if operation == OBJECT_NEXT or (operation == OBJECT_OPEN and may_continue(P, M, record, data)):
            _open_key(P, M, record, data, ret, memory)
    elif byte == 0x2C:
        if operation == OBJECT_AFTER and may_continue(P, M, record, data):
            push(M, record + (OBJECT_NEXT - OBJECT_OPEN), data, 0, 0, ret, memory)
    elif byte == 0x7D and operation != OBJECT_NEXT and may_close(P, M, record, data):
        _close(M, ret, memory)


@jit
def _close(M: Words, ret: int, memory: int) -> None:
    """Behind the closing bracket of an array or object."""
    after = closed(M, memory)
    if after != FORBIDDEN:
        push_threads(M, ret, after)


# Arrays. `data` counts items, saturated where more make no difference.


@jit
def item_value(P: Words, record: int, data: int) -> int:
    """The VALUE record of the item after `data` others; 0 when none may come."""
    maximum = P[record + ARRAY_MAXIMUM]
    if 0 <= maximum <= data:
        return 0
    if data < P[record + ARRAY_PREFIX_COUNT]:
        return P[record + ARRAY_PREFIX + data]
    return P[record + ARRAY_REST]


@jit
def _array(P: Words, M: Words, pc: int, data: int, lexeme: int, ret: int, memory: int, byte: int) -> None:
    operation = P[pc]
    record = pc - (operation - ARRAY_OPEN)
    blank = P[record + ARRAY_WHITESPACE]
    state = automaton_move(P, blank, lexeme, byte)
    if state >= 0:
        push(M, pc, data, state, 0, ret, memory)
        return
    if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
        return
    if byte == 0x5D and operation != ARRAY_NEXT:
        if data >= P[record + ARRAY_MINIMUM]:
            _close(M, ret, memory)
        return
    value = item_value(P, record, data)
    if value == 0:
        return
    if operation == ARRAY_AFTER:
        if byte == 0x2C:
            push(M, record + (ARRAY_NEXT - ARRAY_OPEN), data, 0, 0, ret, memory)
    else:
        counted = min(data + 1, P[record + ARRAY_SATURATION])
        _enter_item(P, M, value, record + (ARRAY_AFTER - ARRAY_OPEN), counted, ret, memory, byte)


# Arrays by an automaton over their items. `data` is its state.


@jit
def _items(P: Words, M: Words, pc: int, data: int, lexeme: int, ret: int, memory: int, byte: int) -> None:
    operation = P[pc]
    record = pc - (operation - ITEMS_OPEN)
    blank = P[record + ITEMS_WHITESPACE]
    state = automaton_move(P, blank, lexeme, byte)
    if state >= 0:
        push(M, pc, data, state, 0, ret, memory)
        return
    if automaton_flags(P, blank, lexeme) & ACCEPTING == 0:
        return
    at = P[record + ITEMS_STATES + data]
    if byte == 0x5D and operation != ITEMS_NEXT:
        if P[at]:
            _close(M, ret, memory)
        return
    if operation == ITEMS_AFTER:
        if byte == 0x2C and P[at + 1]:
            push(M, record + (ITEMS_NEXT - ITEMS_OPEN), data, 0, 0, ret, memory)
        return
    after = record + (ITEMS_AFTER - ITEMS_OPEN)
    at += 1
    while P[at]:
        _enter_item(P, M, P[at], after, P[at + 1], ret, memory, byte)
        at += 2


@jit
def read_byte(
    P: Words, M: Words, pc: int, data: int, lexeme: int, escape: int, ret: int, memory: int, byte: int
) -> None:
    """Push what thread (pc, data, lexeme, escape, ret, memory) becomes after `byte`."""
    operation = P[pc]
    if operation == STRING:
        _string(P, M, pc, data, lexeme, escape, ret, memory, byte)
    elif operation == OBJECT_KEY:
        read_in_key(P, M, pc, data, lexeme, escape, ret, memory, byte)
    elif operation >= OBJECT_OPEN:
        _object(P, M, pc, data, lexeme, escape, ret, memory, byte)
    elif operation >= ITEMS_OPEN:
        _items(P, M, pc, data, lexeme, ret, memory, byte)
    elif operation >= ARRAY_OPEN:
        _array(P, M, pc, data, lexeme, ret, memory, byte)
    elif operation == LEXEME:
        state = automaton_move(P, P[pc + 1], lexeme, byte)
        if state >= 0:
            push(M, pc, data, state, 0, ret, with_byte(M, memory, byte))
    elif operation == VALUE:
        enter_value(P, M, pc, ret, 0, byte)
