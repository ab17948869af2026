"""How a thread inside a property name reads one byte, and which declared names go on like what was read.

A place in the name table says which names those are; which of them may still come, `properties` tells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import BACKSLASH, COMPLETE, QUOTE
from tokamask.grammar.configurations import push
from tokamask.grammar.jit import jit
from tokamask.grammar.memory import FORBIDDEN, ended_name, with_byte, with_code_point
from tokamask.grammar.name_table import OFF, code_point_at, complete_name, declared_index, name_move, next_candidate
from tokamask.grammar.program import (
    DEPTH_BITS,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_HOME,
    OBJECT_KEY,
    OBJECT_NAMES,
    OBJECT_OPEN,
)
from tokamask.grammar.properties import data_after_name, may_add, may_declare
from tokamask.grammar.string_body import BODY, advance_escape, is_escape_state, may_become, utf8_byte, utf8_length

Words = npt.NDArray[np.int32]

# Of names that begin alike: there is none; none of them may come now; one may.
NO_NAME, SOME_NAME, LIVE_NAME = range(3)


@jit
def name_is_live(P: Words, M: Words, record: int, data: int, place: int) -> bool:
    """Whether a declared name that may come now starts with what was read."""
    if place == OFF:
        return False
    names = P[record + OBJECT_NAMES]
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    while entry < P[names]:
        if may_declare(P, M, record, data, declared_index(P, names, entry)):
            return True
        entry = next_candidate(P, names, entry, depth)
    return False


@jit
def names_behind_escape(P: Words, M: Words, record: int, data: int, place: int, packed: int) -> int:
    """Which declared names may go on with what an unfinished escape can become: NO_NAME, SOME_NAME or LIVE_NAME."""
    if place == OFF:
        return NO_NAME
    names = P[record + OBJECT_NAMES]
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    behind = NO_NAME
    while entry < P[names]:
        if may_become(packed, code_point_at(P, names, entry, depth)):
            if may_declare(P, M, record, data, declared_index(P, names, entry)):
                return LIVE_NAME
            behind = SOME_NAME
        entry = next_candidate(P, names, entry, depth)
    return behind


@jit
def name_read(P: Words, names: int, place: int, code_point: int) -> int:
    """The place after a decoded code point."""
    length = utf8_length(code_point)
    for i in range(length):
        place = name_move(P, names, place, utf8_byte(code_point, length, i))
    return place


@jit
def read_in_key(
    P: Words, M: Words, pc: int, data: int, place: int, packed: int, ret: int, memory: int, byte: int
) -> None:
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    is_open = may_add(P, M, record, data)
    state = packed & 255
    home = P[record + OBJECT_HOME]
    if state == home and byte == QUOTE:
        index = complete_name(P, names, place)
        if index < 0:
            if not is_open:
                return
            index = P[record + OBJECT_COUNT]
        elif not may_declare(P, M, record, data, index):
            return
        after = ended_name(M, memory)
        if after != FORBIDDEN:
            colon = record + (OBJECT_COLON - OBJECT_OPEN)
            push(M, colon, data_after_name(P, M, record, data, index), 0, index, ret, after)
        return
    if state == home and byte == BACKSLASH:
        escape = BODY[home, BACKSLASH]
        if is_open or names_behind_escape(P, M, record, data, place, escape) == LIVE_NAME:
            push(M, pc, data, place, escape, ret, memory)
        return
    if is_escape_state(state):
        packed = advance_escape(packed, byte)
        if packed < 0:
            return
        if packed & 255 == COMPLETE:
            place = name_read(P, names, place, packed >> 8)
            if is_open or name_is_live(P, M, record, data, place):
                push(M, pc, data, place, home, ret, with_code_point(M, memory, packed >> 8))
            return
        behind = names_behind_escape(P, M, record, data, place, packed)
        if behind == LIVE_NAME or (is_open and behind == SOME_NAME):
            push(M, pc, data, place, packed, ret, memory)
        elif is_open:
            # No declared name goes on like this: states with different digits are the same state, unless remembered.
            push(M, pc, data, OFF, packed if memory else packed & 255, ret, memory)
        return
    target = BODY[state, byte]
    if target >= 0:
        place = name_move(P, names, place, byte)
        if is_open or name_is_live(P, M, record, data, place):
            push(M, pc, data, place, target, ret, with_byte(M, memory, byte))
