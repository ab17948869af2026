"""How many values an item that must differ may still become, at least: more than it repeats, and one of them is left.

That saves a search (see `survival`). What was read begins as many values as there are ways to finish what is being
read, times the ways to finish each array and object around it. Values are counted when a program is assembled
(`cardinality`), the ways that the data of an array or object leaves are counted here. Lower bounds are enough.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAME_USED, FRAMES
from tokamask.grammar.configurations import MEMORY, address_of, thread_of
from tokamask.grammar.frames import frame_word, has_room_for_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.memory_nodes import A_STRING, TEXT, below, content, detail, kind_of, opening
from tokamask.grammar.name_table import declared_index, next_candidate
from tokamask.grammar.program import (
    ARRAY_MAXIMUM,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    CHOICE_LEFT,
    CHOICE_MEETS,
    CHOICE_WORDS,
    DEPTH_BITS,
    FRAME_MISSING,
    FRAME_PENDING,
    FRAME_TOTAL,
    ITEMS_OPEN,
    LEXEME,
    NOT_DISTINCT,
    OBJECT_ADDITIONAL,
    OBJECT_AFTER,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_IS_COUNTED,
    OBJECT_IS_FREE,
    OBJECT_KEY,
    OBJECT_MAXIMUM,
    OBJECT_MINIMUM,
    OBJECT_NAMES,
    OBJECT_NEXT,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    OBJECT_VALUE,
    STRING,
    STRING_TEXTS,
)
from tokamask.grammar.properties import frame_has, position
from tokamask.grammar.repetition import values_repeated
from tokamask.grammar.string_body import is_escape_state
from tokamask.grammar.threads import item_value, property_value

Words = npt.NDArray[np.int32]

MANY = 1_000_000  # and more than any text has
FEW_NAMES = 20  # of a kind that is not declared are enough, but for a minimum: each doubles the ways

MAY_END = -1  # in place of the names of which one has to come
TOO_LATE = 2


@jit
def has_value_left(P: Words, M: Words, thread: int) -> bool:
    """Whether what is under way may become a value that was not used, as far as counting tells."""
    values = _values_left(P, M, thread)
    return values > 1 and values_repeated(M, M[address_of(M, thread) + MEMORY], values) < values


@jit
def _values_left(P: Words, M: Words, thread: int) -> int:
    t = address_of(M, thread)
    memory = M[t + MEMORY]
    is_text = kind_of(M, memory) == TEXT
    begin = opening(M, below(M, memory) if is_text else memory)
    is_inside = is_text and P[M[t]] != OBJECT_KEY  # of a value that goes on in the array or object at `begin`
    values = _ways_to_end(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], memory)
    ret = M[t + 4]
    while below(M, begin) and values > 0:
        if content(M, begin) == 0 and detail(M, begin) != NOT_DISTINCT:
            return 0  # its items must differ too
        if is_inside:
            around = address_of(M, thread_of(M, ret, 0))
            values = min(MANY, values * _ways_to_end(P, M, M[around], M[around + 1], 0, 0, 0))
            ret = M[around + 4]
        is_inside = True
        begin = opening(M, below(M, begin))
    return 0 if content(M, begin) else values


@jit
def _ways_to_end(P: Words, M: Words, pc: int, data: int, lexeme: int, escape: int, memory: int) -> int:
    """Of the one string, number, array or object that a thread is in; 0 where that is not counted."""
    operation = P[pc]
    if operation == LEXEME:
        return 1
    if operation == STRING:
        if detail(M, memory) != A_STRING:
            return 0
        is_listed = P[pc + STRING_TEXTS] != 0 and not is_escape_state(escape & 255)
        return int(P[P[pc + STRING_TEXTS] + lexeme]) if is_listed else 1
    if operation == OBJECT_KEY:
        record = pc - (OBJECT_KEY - OBJECT_OPEN)
        return 0 if is_escape_state(escape & 255) else _objects(P, M, record, data, lexeme)
    if operation in (OBJECT_COLON, OBJECT_VALUE):
        record = pc - (operation - OBJECT_OPEN)
        return _values_of(P, property_value(P, record, escape)) * _objects(P, M, record, data, MAY_END)
    if operation in (OBJECT_OPEN, OBJECT_AFTER, OBJECT_NEXT):
        return _objects(P, M, pc - (operation - OBJECT_OPEN), data, 0 if operation == OBJECT_NEXT else MAY_END)
    if ARRAY_OPEN <= operation < ITEMS_OPEN:
        record = pc - (operation - ARRAY_OPEN)
        if operation == ARRAY_NEXT and below(M, opening(M, memory)) == 0:  # the outermost one: an item has to come
            return _values_of(P, item_value(P, record, data))
        return _arrays(P, record, data, int(operation != ARRAY_NEXT))
    return 1


@jit
def _values_of(P: Words, value: int) -> int:
    return max(1, int(P[value + 2 + P[value + 1]]))


@jit
def _arrays(P: Words, record: int, data: int, may_end: int) -> int:
    """Length by length. Once the items are all alike, the lengths that may still come have as many ways each."""
    maximum = P[record + ARRAY_MAXIMUM]
    ways = 1
    total = int(may_end != 0 and data >= P[record + ARRAY_MINIMUM])
    while data < P[record + ARRAY_PREFIX_COUNT] and item_value(P, record, data):
        ways = min(MANY, ways * _values_of(P, item_value(P, record, data)))
        data += 1
        total += ways if data >= P[record + ARRAY_MINIMUM] else 0
    if data < P[record + ARRAY_PREFIX_COUNT] or P[record + ARRAY_REST] == 0 or data == maximum:
        return min(MANY, total)
    each = _values_of(P, P[record + ARRAY_REST])
    for _ in range(FEW_NAMES if each > 1 else 0):
        if data >= P[record + ARRAY_MINIMUM]:
            break
        ways = min(MANY, ways * each)
        data += 1
    ways = min(MANY, ways * each)
    lengths = MANY if maximum < 0 else maximum - max(data, P[record + ARRAY_MINIMUM] - 1)
    return min(MANY, total + min(MANY, lengths) * ways)


# Objects. A set of properties that may still come counts with all of their values.


@jit
def _objects(P: Words, M: Words, record: int, data: int, begun: int) -> int:
    """In how many ways an object can be finished: with one of the names at place `begun` of its table, or MAY_END."""
    is_counted = P[record + OBJECT_IS_COUNTED] != 0
    count = P[record + OBJECT_COUNT]
    if is_counted and frame_word(M, data, FRAME_PENDING):
        return 1
    wanted = 0
    room = MANY
    if is_counted:
        total = frame_word(M, data, FRAME_TOTAL)
        wanted = max(0, P[record + OBJECT_MINIMUM] - total)
        if P[record + OBJECT_MAXIMUM] >= 0:
            room = P[record + OBJECT_MAXIMUM] - total
    if _has_endless_names(P, record) and (room == MANY or room > 1 + frame_word(M, data, FRAME_MISSING)):
        return MANY  # by the name of one more
    most = wanted if room > count + FEW_NAMES + wanted else room
    is_open = int(most < room)  # more of them make no difference
    if not has_room_for_frame(M, count + 2 * most + 2):
        return 0
    is_begun = M[FRAMES] + M[FRAME_USED]
    # Where properties come in order, those before one that was begun can come no more.
    _mark_names(P, M, P[record + OBJECT_NAMES], begun, is_begun, count, 0 if P[record + OBJECT_IS_FREE] else TOO_LATE)
    # Ways to choose so many of those so far: without a name that was begun, and with one.
    without = is_begun + count
    within = without + most + 1
    for i in range(2 * most + 2):
        M[without + i] = 0
    M[without if begun != MAY_END else within] = 1
    place = 0 if P[record + OBJECT_IS_FREE] else position(P, M, record, data)
    for index in range(place, count):
        at = record + OBJECT_PROPERTIES + 2 * index
        if P[at] and not (P[record + OBJECT_IS_FREE] and frame_has(M, data, index)):
            _choose(M, without, within, most, is_open, _values_of(P, P[at]), 1 - P[at + 1], M[is_begun + index])
    for choice in range(P[record + OBJECT_CHOICE_COUNT] if is_counted else 0):
        at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
        if P[at + CHOICE_LEFT] and P[at + CHOICE_MEETS] == 0:
            for _ in range(min(FEW_NAMES + wanted, frame_word(M, data, P[at + CHOICE_LEFT]))):
                _choose(M, without, within, most, is_open, _values_of(P, P[at + 1]), 1, int(begun == 0))
    ways = 0
    for number in range(wanted, most + 1):
        ways += M[within + number]
    return min(MANY, max(1, ways))


@jit
def _has_endless_names(P: Words, record: int) -> bool:
    """Whether an object may have properties of so many names that one text cannot use them up."""
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
        if P[at + CHOICE_LEFT] == 0 and P[at + CHOICE_MEETS] == 0:
            return True
    return bool(P[record + OBJECT_ADDITIONAL] != 0)


@jit
def _mark_names(P: Words, M: Words, names: int, begun: int, marks: int, count: int, others: int) -> None:
    """Set the mark of each declared property to 1 if its name goes on like the one that was begun, else to `others`."""
    for index in range(count):
        M[marks + index] = others
    entry = P[names] if begun < 0 else begun >> DEPTH_BITS
    while entry < P[names]:
        M[marks + declared_index(P, names, entry)] = 1
        entry = next_candidate(P, names, entry, begun & ((1 << DEPTH_BITS) - 1))


@jit
def _choose(
    M: Words, without: int, within: int, most: int, is_open: int, values: int, is_optional: int, is_begun: int
) -> None:
    """One more property that may be there, or must; TOO_LATE: only behind one that was begun."""
    for number in range(most, -1, -1):
        plain = M[without + number] if is_optional else 0
        begun = M[within + number] if is_optional else 0
        for before in range(number - 1, number + 1 if is_open and number == most else number):
            if before >= 0:
                begun += M[within + before] * values
                if is_begun == 1:
                    begun += M[without + before] * values
                elif is_begun != TOO_LATE:
                    plain += M[without + before] * values
        M[without + number] = min(MANY, plain)
        M[within + number] = min(MANY, begun)
