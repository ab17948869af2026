"""The inside of a JSON string (RFC 8259 section 7) as a byte automaton, and the decoding of its escapes.

The automaton reads what stands between the quotes: valid UTF-8 without raw control characters, and escapes. There are
two policies, each with states of its own: from NORMAL the eight short escapes and \\uXXXX with surrogates only in
pairs; from MINIMAL no escape but of the characters that cannot stand for themselves, short where there is a short one.
Where the decoded text matters (patterns, property names) the state, one of `body_states`, is *packed* with the hex
digits read so far: state | value << 8.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import (
    AFTER_E0,
    AFTER_ED,
    AFTER_F0,
    AFTER_F4,
    BODY_STATES,
    CLOSED,
    COMPLETE,
    DEAD,
    ESCAPE,
    HEX_0,
    HEX_1,
    HEX_1D,
    HEX_2,
    HEX_3,
    HIGH_2,
    HIGH_3,
    HIGH_END,
    HIGH_SLASH,
    LOW_0,
    LOW_1,
    LOW_2,
    LOW_3,
    MINIMAL,
    MINIMAL_ESCAPE,
    MINIMAL_HEX_0,
    MINIMAL_HEX_1,
    MINIMAL_HEX_2,
    MINIMAL_HEX_3,
    MINIMAL_HEX_4,
    NORMAL,
    TAIL_1,
    TAIL_2,
    TAIL_3,
)
from tokamask.grammar.jit import jit

Words = npt.NDArray[np.int32]


def _table() -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    table = np.full((BODY_STATES, 256), DEAD, dtype=np.int8)

    def go(state: int, characters: bytes | range, target: int) -> None:
        table[state, list(characters)] = target

    go(NORMAL, range(0x20, 0x80), NORMAL)
    go(NORMAL, b'"', CLOSED)
    go(NORMAL, b"\\", ESCAPE)
    go(ESCAPE, b'"\\/bfnrt', NORMAL)
    go(ESCAPE, b"u", HEX_0)
    digits = b"0123456789abcdefABCDEF"
    go(HEX_0, digits, HEX_1)
    go(HEX_0, b"dD", HEX_1D)
    go(HEX_1, digits, HEX_2)
    go(HEX_1D, b"01234567", HEX_2)
    go(HEX_1D, b"89abAB", HIGH_2)
    go(HEX_2, digits, HEX_3)
    go(HEX_3, digits, NORMAL)
    go(HIGH_2, digits, HIGH_3)
    go(HIGH_3, digits, HIGH_END)
    go(HIGH_END, b"\\", HIGH_SLASH)
    go(HIGH_SLASH, b"u", LOW_0)
    go(LOW_0, b"dD", LOW_1)
    go(LOW_1, b"cdefCDEF", LOW_2)
    go(LOW_2, digits, LOW_3)
    go(LOW_3, digits, NORMAL)

    go(MINIMAL, range(0x20, 0x80), MINIMAL)
    go(MINIMAL, b'"', CLOSED)
    go(MINIMAL, b"\\", MINIMAL_ESCAPE)
    go(MINIMAL_ESCAPE, b'"\\bfnrt', MINIMAL)
    go(MINIMAL_ESCAPE, b"u", MINIMAL_HEX_0)
    go(MINIMAL_HEX_0, b"0", MINIMAL_HEX_1)
    go(MINIMAL_HEX_1, b"0", MINIMAL_HEX_2)
    go(MINIMAL_HEX_2, b"0", MINIMAL_HEX_3)
    go(MINIMAL_HEX_2, b"1", MINIMAL_HEX_4)
    go(MINIMAL_HEX_3, b"01234567bBeEfF", MINIMAL)
    go(MINIMAL_HEX_4, digits, MINIMAL)

    for home, tail in ((NORMAL, 0), (MINIMAL, MINIMAL_HEX_4 + 1 - TAIL_1)):
        # Well-formed UTF-8: Unicode 16, table 3-7.
        go(home, range(0xC2, 0xE0), tail + TAIL_1)
        go(home, range(0xE0, 0xF0), tail + TAIL_2)
        go(home, b"\xe0", tail + AFTER_E0)
        go(home, b"\xed", tail + AFTER_ED)
        go(home, b"\xf0", tail + AFTER_F0)
        go(home, b"\xf1\xf2\xf3", tail + TAIL_3)
        go(home, b"\xf4", tail + AFTER_F4)
        go(tail + TAIL_1, range(0x80, 0xC0), home)
        go(tail + TAIL_2, range(0x80, 0xC0), tail + TAIL_1)
        go(tail + TAIL_3, range(0x80, 0xC0), tail + TAIL_2)
        go(tail + AFTER_E0, range(0xA0, 0xC0), tail + TAIL_1)
        go(tail + AFTER_ED, range(0x80, 0xA0), tail + TAIL_1)
        go(tail + AFTER_F0, range(0x90, 0xC0), tail + TAIL_2)
        go(tail + AFTER_F4, range(0x80, 0x90), tail + TAIL_2)
    return table


BODY = _table()


def _escape_bytes() -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    """What can follow inside an escape: for each of its states the bytes, then -1."""
    table = np.full((MINIMAL_HEX_4 + 1, 24), -1, dtype=np.int16)
    for state in [*range(ESCAPE, LOW_3 + 1), *range(MINIMAL_ESCAPE, MINIMAL_HEX_4 + 1)]:
        following = np.flatnonzero(BODY[state] >= 0)
        table[state, : len(following)] = following
    return table


ESCAPE_BYTES = _escape_bytes()


@jit
def is_escape_state(state: int) -> bool:
    """Whether the body state is inside an escape (as opposed to between characters or inside raw UTF-8)."""
    return ESCAPE <= state <= LOW_3 or MINIMAL_ESCAPE <= state <= MINIMAL_HEX_4


@jit
def starts_character(state: int) -> bool:
    """Whether the next body byte begins a code point, which is when lengths count; also called a *home* state."""
    return state == NORMAL or state == MINIMAL


@jit
def home_of(state: int) -> int:
    """The state between characters of the same policy."""
    return NORMAL if state < MINIMAL else MINIMAL


@jit
def has_short_escape(code_point: int) -> bool:
    """Whether a character that cannot stand for itself has an escape of two characters."""
    return code_point == 0x22 or code_point == 0x5C or (8 <= code_point <= 13 and code_point != 11)


@jit
def hex_digit(byte: int) -> int:
    if byte <= 0x39:
        return byte - 0x30
    return (byte | 0x20) - 0x61 + 10


@jit
def short_escape(byte: int) -> int:
    """The code point of a backslash followed by `byte`."""
    if byte == 0x62:
        return 8
    if byte == 0x66:
        return 12
    if byte == 0x6E:
        return 10
    if byte == 0x72:
        return 13
    if byte == 0x74:
        return 9
    return byte


@jit
def advance_escape(packed: int, byte: int) -> int:
    """Next packed state inside an escape; `COMPLETE | code_point << 8` when it ends; DEAD when byte cannot follow."""
    state = packed & 255
    value = packed >> 8
    target = BODY[state, byte]
    if target < 0:
        return DEAD
    if state == ESCAPE or state == MINIMAL_ESCAPE:
        if starts_character(target):
            return COMPLETE | short_escape(byte) << 8
        return target
    if state == HIGH_END or state == HIGH_SLASH or state == LOW_0:
        return target | value << 8
    if state == LOW_1:
        return target | (value << 2 | (hex_digit(byte) & 3)) << 8
    value = value << 4 | hex_digit(byte)
    if target == HIGH_END:
        return target | (value & 0x3FF) << 8
    if starts_character(target):
        if state == LOW_3:
            value += 0x10000
        return COMPLETE | value << 8
    return target | value << 8


@jit
def read_escape(text: Words, at: int, end: int, home: int) -> tuple[int, int]:
    """Read the escape that begins at text[at], as far as text[end]: its packed state, and where reading has stopped."""
    packed = int(BODY[home, text[at]])
    at += 1
    while at < end and packed & 255 != COMPLETE:
        packed = advance_escape(packed, text[at])
        at += 1
    return packed, at


@jit
def escape_low(packed: int) -> int:
    """The smallest code point that an escape of the full policy can still become (but see HEX_1D in `escape_high`)."""
    state = packed & 255
    value = packed >> 8
    if state == ESCAPE or state == HEX_0:
        return 0
    if state == HEX_1 or state == HEX_1D:
        return value << 12
    if state == HEX_2:
        return value << 8
    if state == HEX_3:
        return value << 4
    if state == HIGH_2:
        return 0x10000 + ((value & 3) << 18)
    if state == HIGH_3:
        return 0x10000 + ((value & 0x3F) << 14)
    if state == LOW_2:
        return 0x10000 + (value << 8)
    if state == LOW_3:
        return 0x10000 + (value << 4)
    return 0x10000 + (value << 10)


@jit
def escape_high(packed: int) -> int:
    """The largest such code point. After \\ud the range is split: up to U+D7FF, and again all above U+FFFF."""
    state = packed & 255
    low = escape_low(packed)
    if state == ESCAPE or state == HEX_0:
        return 0x10FFFF
    if state == HEX_1:
        return low + 0xFFF
    if state == HEX_1D:
        return 0xD7FF
    if state == HEX_2:
        return low + 0xFF
    if state == HEX_3:
        return low + 0xF
    if state == HIGH_2:
        return low + 0x3FFFF
    if state == HIGH_3:
        return low + 0x3FFF
    if state == LOW_2:
        return low + 0xFF
    if state == LOW_3:
        return low + 0xF
    return low + 0x3FF


@jit
def may_become(packed: int, code_point: int) -> bool:
    """Whether an unfinished escape can become the code point; never a negative one, the end of a name."""
    state = packed & 255
    if state < MINIMAL:
        if state == HEX_1D and code_point >= 0x10000:
            return True
        return escape_low(packed) <= code_point <= escape_high(packed)
    if state == MINIMAL_ESCAPE and has_short_escape(code_point):
        return True
    if not 0 <= code_point < 0x20 or has_short_escape(code_point):
        return False
    if state == MINIMAL_HEX_3:
        return code_point < 0x10
    return state != MINIMAL_HEX_4 or code_point >= 0x10


@jit
def utf8_length(code_point: int) -> int:
    if code_point < 0x80:
        return 1
    if code_point < 0x800:
        return 2
    if code_point < 0x10000:
        return 3
    return 4


@jit
def utf8_byte(code_point: int, length: int, index: int) -> int:
    """Byte `index` of the UTF-8 encoding, which has `length` bytes (RFC 3629)."""
    shift = 6 * (length - 1 - index)
    if index > 0:
        return 0x80 | (code_point >> shift & 0x3F)
    if length == 1:
        return code_point
    return (0xF00 >> length & 0xFF) | code_point >> shift
