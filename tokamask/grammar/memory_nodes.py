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
from tokamask.grammar.frames import has_room_for_frame, intern_frame, known_frame
from tokamask.grammar.jit import jit

Words = npt.NDArray[np.int32]

OPEN, NAME, HELD, TEXT, LETTER = range(1, 6)
STRING_VALUE, NUMBER_VALUE, LITERAL_VALUE, ARRAY_VALUE, OBJECT_VALUE = range(6, 11)

# Purposes of a text: a string, the spelling of a number or literal, a name whose value is remembered too, or is not.
A_STRING, A_SPELLING, A_NAME_WITH_VALUE, A_NAME_ALONE = range(4)

NO_ROOM = 0  # in place of an address


@jit
def node_of(M: Words, kind: int, below: int, first: int, second: int) -> int:
    """The node of these words; 0 on overflow."""
    if not has_room_for_frame(M, 4) or 2 * M[FRAME_COUNT] >= M[FRAME_HASH_SIZE]:
        M[OVERFLOW] = FRAMES_FULL
        return 0
    _write_node(M, kind, below, first, second)
    return intern_frame(M)


@jit
def _write_node(M: Words, kind: int, below: int, first: int, second: int) -> None:
    at = M[FRAMES] + M[FRAME_USED]
    M[at] = 4
    M[at + 1] = kind
    M[at + 2] = below
    M[at + 3] = first
    M[at + 4] = second


@jit
def is_new_text(M: Words, letters: int, byte: int) -> bool:
    """Whether no text was ever read that begins with `letters` and then `byte`; answering no is always safe."""
    if not has_room_for_frame(M, 4):
        return False
    _write_node(M, LETTER, letters, byte, text_length(M, letters) + 1)
    return known_frame(M) == 0


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


@jit
def text_length(M: Words, letters: int) -> int:
    return detail(M, letters) if letters else 0


@jit
def first_byte(M: Words, letters: int) -> int:
    while below(M, letters):
        letters = below(M, letters)
    return content(M, letters)


@jit
def is_numeral(byte: int) -> bool:
    return byte == 0x2D or 0x30 <= byte <= 0x39


@jit
def spelled_out(M: Words, letters: int) -> int:
    """Write the bytes of a text, a word each, where the next frame will be. Their address; NO_ROOM: it is full."""
    length = text_length(M, letters)
    if not has_room_for_frame(M, length):
        return NO_ROOM
    text = M[FRAMES] + M[FRAME_USED]
    for i in range(length - 1, -1, -1):
        M[text + i] = content(M, letters)
        letters = below(M, letters)
    return text
