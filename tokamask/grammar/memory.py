"""What is remembered of the text so far: the values that may not come again in an array, the names used in an object.

A thread's *memory* is 0 where nothing is remembered. Else it is a node of a persistent stack, the newest first, that
holds what was read of every remembered array or object around the thread's place. Nodes are frames (kind, below, and
two more words), so equal memories are equal integers:

    OPEN below is_object distinct     an array or object has begun; whether its items must differ, and how
    NAME below letters purpose        a name was read; its value follows
    HELD below value                  a value was read: an item, or that of the name below
    TEXT below letters purpose        a name, string or number is being read

`letters` are a list of bytes, LETTER (before, byte, length), 0 being the empty text: the decoded text of names and
strings, the spelling of numbers. Values are frames too, one for all spellings of equal values in the sense of JSON
Schema (2020-12 core, section 4.2.2): numbers by their significant digits and exponent, objects as sorted pairs.

A return place that takes over whatever its value leaves behind has HOLE for a memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAME_COUNT, FRAME_HASH_SIZE, FRAME_USED, FRAMES, FRAMES_FULL, OVERFLOW
from tokamask.grammar.frames import has_room_for_frame, intern_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.program import NOT_DISTINCT, WARY
from tokamask.grammar.string_body import utf8_byte, utf8_length

Words = npt.NDArray[np.int32]

HOLE = -1
FORBIDDEN = -2  # what the text says may not be said again

OPEN, NAME, HELD, TEXT, LETTER = range(1, 6)
STRING_VALUE, NUMBER_VALUE, LITERAL_VALUE, ARRAY_VALUE, OBJECT_VALUE = range(6, 11)

# Purposes of a text: a string, the spelling of a number or literal, a name whose value is remembered too, or is not.
A_STRING, A_SPELLING, A_NAME_WITH_VALUE, A_NAME_ALONE = range(4)

MOST_EXPONENT = 100_000_000  # beyond it two spellings of a number may count as different


@jit
def _node(M: Words, kind: int, below: int, first: int, second: int) -> int:
    """The node of these words; 0 on overflow."""
    if not has_room_for_frame(M, 4) or 2 * M[FRAME_COUNT] >= M[FRAME_HASH_SIZE]:
        M[OVERFLOW] = FRAMES_FULL
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    M[at] = 4
    M[at + 1] = kind
    M[at + 2] = below
    M[at + 3] = first
    M[at + 4] = second
    return intern_frame(M)


@jit
def kind_of(M: Words, node: int) -> int:
    return M[M[FRAMES] + node + 1]


@jit
def below(M: Words, node: int) -> int:
    return M[M[FRAMES] + node + 2]


@jit
def content(M: Words, node: int) -> int:
    """Letters of a name or text, the value held, whether an opened value is an object."""
    return M[M[FRAMES] + node + 3]


@jit
def detail(M: Words, node: int) -> int:
    """Of a name or text; of an opened array how its items must differ; of a letter the length of the text."""
    return M[M[FRAMES] + node + 4]


@jit
def opening(M: Words, node: int) -> int:
    """The node where the array or object began whose newest node this is."""
    while kind_of(M, node) != OPEN:
        node = below(M, node)
    return node


# Texts.


@jit
def begun_text(M: Words, memory: int, purpose: int) -> int:
    return _node(M, TEXT, memory, 0, purpose)


@jit
def begun_name(M: Words, memory: int) -> int:
    """Behind the quote of a name in a remembered object."""
    kind = kind_of(M, memory)
    if kind == NAME or (kind == OPEN and below(M, memory) == 0):
        return begun_text(M, memory, A_NAME_ALONE)
    return begun_text(M, memory, A_NAME_WITH_VALUE)


@jit
def text_length(M: Words, letters: int) -> int:
    return detail(M, letters) if letters else 0


@jit
def with_byte(M: Words, memory: int, byte: int) -> int:
    """The memory after one more byte of the text being read."""
    if memory == 0:
        return 0
    letters = content(M, memory)
    longer = _node(M, LETTER, letters, byte, text_length(M, letters) + 1)
    return _node(M, TEXT, below(M, memory), longer, detail(M, memory))


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
    return _node(M, NAME, below(M, memory), letters, detail(M, memory))


@jit
def remembers_value(M: Words, memory: int) -> bool:
    """Of a memory whose newest node is a name: whether its value is remembered too."""
    return memory != 0 and detail(M, memory) == A_NAME_WITH_VALUE


# Values.


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
    return _node(M, HELD, memory, value, 0)


@jit
def ended_text(M: Words, memory: int) -> int:
    """Behind a string's closing quote, or where a number or literal may end; FORBIDDEN: it may not be this one."""
    if memory == 0:
        return 0
    letters = content(M, memory)
    value = _node(M, STRING_VALUE, 0, letters, 0) if detail(M, memory) == A_STRING else _spelled(M, letters)
    return 0 if M[OVERFLOW] else _held(M, below(M, memory), value)


@jit
def first_byte(M: Words, letters: int) -> int:
    while below(M, letters):
        letters = below(M, letters)
    return content(M, letters)


@jit
def is_numeral(byte: int) -> bool:
    return byte == 0x2D or 0x30 <= byte <= 0x39


@jit
def _spelled(M: Words, letters: int) -> int:
    """The value of a literal (by its first letter) or of a number: sign, exponent and significant digits."""
    if not is_numeral(first_byte(M, letters)):
        return _node(M, LITERAL_VALUE, 0, first_byte(M, letters), 0)
    length = text_length(M, letters)
    if not has_room_for_frame(M, length + 8):
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    text = at + 8  # behind the frame under construction, which never catches up with it
    for i in range(length - 1, -1, -1):
        M[text + i] = content(M, letters)
        letters = below(M, letters)
    i = 0
    is_negative = 0
    if M[text] == 0x2D:
        is_negative = 1
        i = 1
    digits = 0
    exponent = 0
    has_point = False
    while i < length and (M[text + i] == 0x2E or is_numeral(M[text + i])):
        byte = M[text + i]
        i += 1
        if byte == 0x2E:
            has_point = True
            continue
        if has_point:
            exponent -= 1
        if digits > 0 or byte != 0x30:
            M[at + 4 + digits] = byte
            digits += 1
    while digits > 0 and M[at + 4 + digits - 1] == 0x30:
        digits -= 1
        exponent += 1
    sign = 1
    power = 0
    while i < length:
        byte = M[text + i]
        i += 1
        if byte == 0x2D and power == 0:
            sign = -1
        elif 0x30 <= byte <= 0x39:
            power = min(MOST_EXPONENT, 10 * power + byte - 0x30)
    if digits == 0:
        is_negative = exponent = power = 0
    M[at] = 3 + digits
    M[at + 1] = NUMBER_VALUE
    M[at + 2] = is_negative
    M[at + 3] = exponent + sign * power
    return intern_frame(M)


@jit
def opened(M: Words, memory: int, is_object: int, distinct: int) -> int:
    """Behind the bracket of an array or object; 0 where nothing around it and nothing in it is remembered."""
    if memory == 0 and distinct == NOT_DISTINCT:
        return 0
    return _node(M, OPEN, memory, is_object, distinct)


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


# Whether what is being read may still become something forbidden. Answering yes too often costs time, never answers.


@jit
def _begins_with(M: Words, letters: int, prefix: int) -> bool:
    length = text_length(M, prefix)
    if text_length(M, letters) < length:
        return False
    while text_length(M, letters) > length:
        letters = below(M, letters)
    return letters == prefix


@jit
def _may_become(M: Words, text: int, value: int) -> bool:
    """Whether a string, number or literal being read may become `value`."""
    letters = content(M, text)
    kind = kind_of(M, value)
    if detail(M, text) == A_STRING:
        return kind == STRING_VALUE and _begins_with(M, content(M, value), letters)
    if kind == NUMBER_VALUE:
        return is_numeral(first_byte(M, letters))
    return kind == LITERAL_VALUE and content(M, value) == first_byte(M, letters)


@jit
def _member_value(M: Words, value: int, name: int) -> int:
    """The value of a name in an object value; 0 for none."""
    at = M[FRAMES] + value
    for i in range(at + 2, at + 1 + M[at], 2):
        if M[i] == name:
            return M[i + 1]
    return 0


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
        if _begins_with(M, M[i], letters):
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
            if detail(M, begin) == WARY:
                return True
            node = around
            while node != begin:
                if _may_repeat_item(M, content(M, node), newest, levels, text, name):
                    return True
                node = below(M, node)
        levels += 1
        around = below(M, begin)
    return False


@jit
def is_outermost_item(M: Words, memory: int) -> bool:
    """Whether a string is being read that is itself an item of the outermost array, whose items are alike."""
    if kind_of(M, memory) != TEXT or detail(M, memory) != A_STRING:
        return False
    begin = opening(M, below(M, memory))
    return content(M, begin) == 0 and below(M, begin) == 0 and detail(M, begin) != WARY


@jit
def next_beginning(M: Words, node: int, letters: int) -> int:
    """The next node from `node` on that holds a string which begins with `letters`; 0 for none."""
    while kind_of(M, node) != OPEN:
        value = content(M, node)
        if kind_of(M, value) == STRING_VALUE and _begins_with(M, content(M, value), letters):
            return node
        node = below(M, node)
    return 0


@jit
def _may_repeat_name(M: Words, node: int, letters: int) -> bool:
    while kind_of(M, node) != OPEN:
        if kind_of(M, node) == NAME and _begins_with(M, content(M, node), letters):
            return True
        node = below(M, node)
    return False
