"""How the memory of a thread changes with what it reads (see `memory_nodes`), and what may not be said again.

A return place that takes over whatever its value leaves behind has HOLE for a memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAME_USED, FRAMES, OVERFLOW
from tokamask.grammar.frames import has_room_for_frame, intern_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.memory_nodes import (
    A_NAME_ALONE,
    A_NAME_WITH_VALUE,
    A_STRING,
    ARRAY_VALUE,
    HELD,
    LETTER,
    LITERAL_VALUE,
    NAME,
    OBJECT_VALUE,
    OPEN,
    STRING_VALUE,
    TEXT,
    below,
    content,
    detail,
    first_byte,
    is_numeral,
    kind_of,
    node_of,
    opening,
    text_length,
)
from tokamask.grammar.number_values import number_value
from tokamask.grammar.program import NOT_DISTINCT
from tokamask.grammar.string_body import utf8_byte, utf8_length

Words = npt.NDArray[np.int32]

HOLE = -1
FORBIDDEN = -2  # what the text says may not be said again


# Texts.


@jit
def begun_text(M: Words, memory: int, purpose: int) -> int:
    return node_of(M, TEXT, memory, 0, purpose)


@jit
def begun_name(M: Words, memory: int) -> int:
    """Behind the quote of a name in a remembered object."""
    kind = kind_of(M, memory)
    if kind == NAME or (kind == OPEN and below(M, memory) == 0):
        return begun_text(M, memory, A_NAME_ALONE)
    return begun_text(M, memory, A_NAME_WITH_VALUE)


@jit
def with_byte(M: Words, memory: int, byte: int) -> int:
    """The memory after one more byte of the text being read."""
    if memory == 0:
        return 0
    letters = content(M, memory)
    longer = node_of(M, LETTER, letters, byte, text_length(M, letters) + 1)
    return node_of(M, TEXT, below(M, memory), longer, detail(M, memory))


@jit
def with_code_point(M: Words, memory: int, code_point: int) -> int:
    """The memory after an escape was decoded."""
    if memory == 0:
        return 0
    length = utf8_length(code_point)
    for i in range(length):
        memory = with_byte(M, memory, utf8_byte(code_point, length, i))
    return memory


@jit
def ended_name(M: Words, memory: int) -> int:
    """Behind the closing quote of a name; FORBIDDEN where it was used before."""
    if memory == 0:
        return 0
    letters = content(M, memory)
    node = below(M, memory)
    while kind_of(M, node) != OPEN:
        if kind_of(M, node) == NAME and content(M, node) == letters:
            return FORBIDDEN
        node = below(M, node)
    return node_of(M, NAME, below(M, memory), letters, detail(M, memory))


@jit
def remembers_value(M: Words, memory: int) -> bool:
    """Of a memory whose newest node is a name: whether its value is remembered too."""
    return memory != 0 and detail(M, memory) == A_NAME_WITH_VALUE


@jit
def _held(M: Words, memory: int, value: int) -> int:
    """The memory after a whole value; FORBIDDEN where it is an item that must differ from those before."""
    if memory == 0:
        return 0
    if kind_of(M, memory) != NAME:
        begin = opening(M, memory)
        node = memory if detail(M, begin) != NOT_DISTINCT else begin
        while node != begin:
            if content(M, node) == value:
                return FORBIDDEN
            node = below(M, node)
    return node_of(M, HELD, memory, value, 0)


@jit
def ended_text(M: Words, memory: int) -> int:
    """Behind a string's closing quote, or where a number or literal may end; FORBIDDEN: it may not be this one."""
    if memory == 0:
        return 0
    letters = content(M, memory)
    value = node_of(M, STRING_VALUE, 0, letters, 0) if detail(M, memory) == A_STRING else _spelled(M, letters)
    return 0 if M[OVERFLOW] else _held(M, below(M, memory), value)


@jit
def _spelled(M: Words, letters: int) -> int:
    """The value of a literal (by its first letter) or of a number."""
    if is_numeral(first_byte(M, letters)):
        return number_value(M, letters)
    return node_of(M, LITERAL_VALUE, 0, first_byte(M, letters), 0)


@jit
def opened(M: Words, memory: int, is_object: int, distinct: int) -> int:
    """Behind the bracket of an array or object; 0 where nothing around it and nothing in it is remembered."""
    if memory == 0 and distinct == NOT_DISTINCT:
        return 0
    return node_of(M, OPEN, memory, is_object, distinct)


@jit
def closed(M: Words, memory: int) -> int:
    """Behind the closing bracket; FORBIDDEN where the whole is an item that must differ from those before."""
    if memory == 0:
        return 0
    begin = opening(M, memory)
    if below(M, begin) == 0:
        return 0
    count = 0
    node = memory
    while node != begin:
        count += 1
        node = below(M, node)
    if not has_room_for_frame(M, count + 1):
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    M[at] = count + 1
    M[at + 1] = OBJECT_VALUE if content(M, begin) else ARRAY_VALUE
    place = at + 2 + count
    node = memory
    while node != begin:
        place -= 1
        M[place] = content(M, node)  # items, or names and their values by turns
        node = below(M, node)
    if content(M, begin):
        _sort_members(M, at + 2, count)
    return _held(M, below(M, begin), intern_frame(M))


@jit
def _sort_members(M: Words, first: int, count: int) -> None:
    """Insertion sort of (name, value) pairs by name."""
    for i in range(first + 2, first + count, 2):
        name = M[i]
        value = M[i + 1]
        j = i
        while j > first and M[j - 2] > name:
            M[j] = M[j - 2]
            M[j + 1] = M[j - 1]
            j -= 2
        M[j] = name
        M[j + 1] = value
