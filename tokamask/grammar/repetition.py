"""Whether what is read may still become something forbidden. Answering yes too often costs time, never answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAMES
from tokamask.grammar.jit import jit
from tokamask.grammar.memory import FORBIDDEN
from tokamask.grammar.memory_nodes import (
    A_NAME_WITH_VALUE,
    A_STRING,
    ARRAY_VALUE,
    HELD,
    LITERAL_VALUE,
    NAME,
    NUMBER_VALUE,
    OBJECT_VALUE,
    OPEN,
    STRING_VALUE,
    TEXT,
    below,
    content,
    detail,
    first_byte,
    kind_of,
    opening,
)
from tokamask.grammar.number_values import may_become_number
from tokamask.grammar.program import NOT_DISTINCT
from tokamask.grammar.string_index import begins_with, is_string_beginning, strings_beginning

Words = npt.NDArray[np.int32]


@jit
def _may_become(M: Words, text: int, value: int) -> bool:
    """Whether a string, number or literal being read may become `value`."""
    letters = content(M, text)
    kind = kind_of(M, value)
    if detail(M, text) == A_STRING:
        return kind == STRING_VALUE and begins_with(M, content(M, value), letters)
    if kind == NUMBER_VALUE:
        return may_become_number(M, letters, value)
    return kind == LITERAL_VALUE and content(M, value) == first_byte(M, letters)


@jit
def _member_value(M: Words, value: int, name: int) -> int:
    """The value of a name in an object value; 0 for none. Members are sorted by their names."""
    members = M[FRAMES] + value + 2
    low = 0
    high = (M[members - 2] - 1) // 2
    while low < high:
        middle = (low + high) // 2
        if M[members + 2 * middle] < name:
            low = middle + 1
        else:
            high = middle
    is_there = low < (M[members - 2] - 1) // 2 and M[members + 2 * low] == name
    return M[members + 2 * low + 1] if is_there else 0


@jit
def _agrees(M: Words, value: int, newest: int, is_going_on: int) -> int:
    """Whether an array or object under way whose newest whole node is `newest` may become `value`.

    Returns FORBIDDEN if not; else, where a value inside it `is_going_on`, what that must become; else 0.
    """
    begin = opening(M, newest)
    at = M[FRAMES] + value
    node = newest
    expected = 0
    if content(M, begin):
        if kind_of(M, value) != OBJECT_VALUE:
            return FORBIDDEN
        if kind_of(M, node) == NAME:
            expected = _member_value(M, value, content(M, node))
            if expected == 0:
                return FORBIDDEN
            node = below(M, node)
        while node != begin:
            if _member_value(M, value, content(M, below(M, node))) != content(M, node):
                return FORBIDDEN
            node = below(M, below(M, node))
        return expected if is_going_on else 0
    if kind_of(M, value) != ARRAY_VALUE:
        return FORBIDDEN
    count = 0
    while node != begin:
        count += 1
        node = below(M, node)
    if M[at] - 1 < count + is_going_on:
        return FORBIDDEN
    if is_going_on:
        expected = M[at + 2 + count]
    node = newest
    while node != begin:
        count -= 1
        if M[at + 2 + count] != content(M, node):
            return FORBIDDEN
        node = below(M, node)
    return expected


@jit
def _has_name_beginning(M: Words, value: int, letters: int) -> bool:
    at = M[FRAMES] + value
    for i in range(at + 2, at + 1 + M[at], 2):  # noqa: SIM110 - a kernel has no generators
        if begins_with(M, M[i], letters):
            return True
    return False


@jit
def _newest_around(M: Words, newest: int, levels: int) -> int:
    """The newest whole node of the array or object that many levels around the one with node `newest`."""
    for _ in range(levels):
        newest = below(M, opening(M, newest))
    return newest


@jit
def _may_repeat_item(M: Words, value: int, newest: int, levels: int, text: int, name: int) -> bool:
    """Whether what is under way may become `value`.

    That is `levels` arrays and objects, and a scalar `text` or a `name` (of an object) that is being read; 0: none.
    """
    for level in range(levels - 1, -1, -1):
        is_going_on = 1 if level > 0 or text else 0
        whole = value
        value = _agrees(M, value, _newest_around(M, newest, level), is_going_on)
        if value == FORBIDDEN:
            return False
        if level == 0 and name:
            return _has_name_beginning(M, whole, content(M, name))
        if value == 0:
            return True  # nothing goes on inside
    return _may_become(M, text, value)


@jit
def may_repeat(M: Words, memory: int) -> bool:
    """Whether something being read may become a name or an item that is forbidden."""
    newest = memory
    text = 0
    name = 0
    if kind_of(M, memory) == TEXT:
        newest = below(M, memory)
        if detail(M, memory) < A_NAME_WITH_VALUE:
            text = memory
        elif _may_repeat_name(M, newest, content(M, memory)):
            return True
        else:
            name = memory
    levels = 0
    around = newest
    if text == 0:
        levels = 1
        around = below(M, opening(M, newest))
    while around:
        begin = opening(M, around)
        if content(M, begin) == 0 and detail(M, begin) != NOT_DISTINCT:
            if levels == 0 and detail(M, text) == A_STRING:
                letters = content(M, text)
                if newest != begin and (letters == 0 or strings_beginning(M, newest, letters)):
                    return True
            else:
                node = around
                while node != begin:
                    if _may_repeat_item(M, content(M, node), newest, levels, text, name):
                        return True
                    node = below(M, node)
        levels += 1
        around = below(M, begin)
    return False


@jit
def values_repeated(M: Words, memory: int, most: int) -> int:
    """How many items of the outermost array may come again as what is under way, at most `most`."""
    newest = memory
    text = 0
    name = 0
    if kind_of(M, memory) == TEXT:
        newest = below(M, memory)
        if detail(M, memory) < A_NAME_WITH_VALUE:
            text = memory
        else:
            name = memory
    around = newest
    levels = 0
    is_begun = text != 0
    while below(M, opening(M, around)):
        around = below(M, opening(M, around))
        levels += 1
        is_begun = True
    count = 0
    while kind_of(M, around) != OPEN and count < most:
        if not is_begun or _may_repeat_item(M, content(M, around), newest, levels, text, name):
            count += 1
        around = below(M, around)
    return count


@jit
def is_outermost_item(M: Words, memory: int) -> bool:
    """Whether a string is being read that is itself an item of the outermost array."""
    if kind_of(M, memory) != TEXT or detail(M, memory) != A_STRING:
        return False
    begin = opening(M, below(M, memory))
    return content(M, begin) == 0 and below(M, begin) == 0


@jit
def has_fewer_items(M: Words, newest: int, count: int) -> bool:
    """Whether an array whose newest whole node is `newest` has fewer than `count` items."""
    while count > 0 and kind_of(M, newest) != OPEN:
        count -= 1
        newest = below(M, newest)
    return count > 0


@jit
def next_beginning(M: Words, node: int, letters: int) -> int:
    """The next node from `node` on that holds a string which begins with `letters`; 0 for none."""
    while kind_of(M, node) != OPEN:
        if is_string_beginning(M, node, letters):
            return node
        node = below(M, node)
    return 0


@jit
def _may_repeat_name(M: Words, node: int, letters: int) -> bool:
    while kind_of(M, node) != OPEN:
        if kind_of(M, node) == NAME and begins_with(M, content(M, node), letters):
            return True
        node = below(M, node)
    return False


@jit
def is_remembered_in(M: Words, node: int, memory: int) -> bool:
    """Whether a node is part of a memory."""
    while memory and memory != node:
        memory = below(M, memory)
    return memory == node


@jit
def name_before(M: Words, name: int) -> int:
    """The name before the newest one in the same object; 0 for none."""
    node = below(M, name)
    while kind_of(M, node) == HELD:
        node = below(M, node)
    return node if kind_of(M, node) == NAME else 0
