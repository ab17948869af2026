"""Numbers as they are remembered: one value for all spellings, and what a spelling so far may become.

The frame of a number lists

    NUMBER_VALUE signs count digits... exponent...

the signs of number and exponent, how many significant digits there are (none for zero), they, and those of the
exponent of the last one, most significant first: of any size, so that no two numbers are ever confused.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAME_USED, FRAMES
from tokamask.grammar.frames import has_room_for_frame, intern_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.memory_nodes import NUMBER_VALUE, below, content, is_numeral, text_length

Words = npt.NDArray[np.int32]

IS_NEGATIVE, HAS_NEGATIVE_EXPONENT = 1, 2  # signs of a number
VALUE_SIGNS, VALUE_COUNT, VALUE_DIGITS = 2, 3, 4  # words of a number's frame
SMALL_EXPONENT = 17  # digits of an exponent that machine integers add up
EXPONENT_DIGITS = 20  # at most so many more digits than are written has the exponent of the last digit
WHOLE_DIGITS = 3  # digits before the point that leave an exponent open, see `exponents`


@jit
def number_value(M: Words, letters: int) -> int:
    """The value that a text spells; 0 on overflow."""
    length = text_length(M, letters)
    if not has_room_for_frame(M, 2 * length + VALUE_DIGITS + EXPONENT_DIGITS):
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    text = at + length + VALUE_DIGITS + EXPONENT_DIGITS  # behind the frame under construction
    for i in range(length - 1, -1, -1):
        M[text + i] = content(M, letters)
        letters = below(M, letters)
    signs = 0
    i = 0
    if M[text] == 0x2D:
        signs = IS_NEGATIVE
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
            M[at + VALUE_DIGITS + digits] = byte
            digits += 1
    while digits > 0 and M[at + VALUE_DIGITS + digits - 1] == 0x30:
        digits -= 1
        exponent += 1
    M[at + 1] = NUMBER_VALUE
    M[at + VALUE_COUNT] = digits
    end = at + VALUE_DIGITS
    if digits == 0:
        signs = 0
    else:
        end = _with_exponent(M, end + digits, exponent, text + i, text + length)
        if M[end] == 0x2D:
            signs |= HAS_NEGATIVE_EXPONENT
    M[at + VALUE_SIGNS] = signs
    M[at] = end - at - 1
    return intern_frame(M)


@jit
def _with_exponent(M: Words, at: int, exponent: int, start: int, end: int) -> int:
    """Write at `at` the digits of an exponent and of what the text between `start` and `end` ("", "e-12") adds to it.

    Returns where they end; a minus is left there if the sum is negative.
    """
    is_negative = False
    while start < end and not 0x31 <= M[start] <= 0x39:  # the letter, the sign, zeros
        is_negative |= M[start] == 0x2D
        start += 1
    count = end - start
    if count <= SMALL_EXPONENT:
        power = 0
        for i in range(start, end):
            power = 10 * power + M[i] - 0x30
        exponent += -power if is_negative else power
        is_negative = exponent < 0
        exponent = abs(exponent)
        count = 0
        power = exponent
        while power:
            power //= 10
            count += 1
        for i in range(at + count - 1, at - 1, -1):
            M[i] = 0x30 + exponent % 10
            exponent //= 10
    else:
        # It has more digits than any text has bytes, so its sign stays.
        carry = -exponent if is_negative else exponent
        for i in range(end - 1, start - 1, -1):
            carry += M[i] - 0x30
            M[i] = 0x30 + carry % 10
            carry //= 10
        first = 0
        if carry:
            M[at] = 0x30 + carry
            first = 1
        elif M[start] == 0x30:  # 1000 less one
            start += 1
            count -= 1
        for i in range(count):
            M[at + first + i] = M[start + i]
        count += first
    M[at + count] = 0x2D if is_negative else 0x2B
    return at + count


@jit
def may_become_number(M: Words, letters: int, value: int) -> bool:
    """Whether the text of a number so far may go on to be `value`, judged by its digits and how many stand first."""
    byte = 0
    digits = 0  # of all that are written before an exponent
    significant = 0  # of them, from the first that is not 0
    whole = 0  # of the digits, those before the point
    has_point = False
    has_exponent = False
    letter = letters
    while letter:
        byte = content(M, letter)
        letter = below(M, letter)
        if byte == 0x65 or byte == 0x45:
            has_exponent = True
            digits = significant = 0  # those so far were the exponent's
        elif byte == 0x2E:
            has_point = True
            whole = digits
        elif 0x30 <= byte <= 0x39:
            digits += 1
            if byte != 0x30:
                significant = digits
    whole = digits - whole if has_point else digits
    if not is_numeral(byte):
        return False
    at = M[FRAMES] + value
    count = M[at + VALUE_COUNT]
    if count and (byte == 0x2D) != (M[at + VALUE_SIGNS] & IS_NEGATIVE != 0):
        return False
    if count == 0:
        return significant == 0
    if significant and not has_exponent and whole > WHOLE_DIGITS and whole > _whole_digits(M, value):
        return False
    letter = letters
    while has_exponent:
        byte = content(M, letter)
        letter = below(M, letter)
        has_exponent = byte != 0x65 and byte != 0x45
    place = significant
    while place > 0:  # digits behind those of the value are zeros
        byte = content(M, letter)
        letter = below(M, letter)
        if byte != 0x2E:
            place -= 1
            if byte != (M[at + VALUE_DIGITS + place] if place < count else 0x30):
                return False
    return True


@jit
def _whole_digits(M: Words, value: int) -> int:
    """The digits before the point of a number spelled without an exponent; many where they are too many to write."""
    at = M[FRAMES] + value
    end = at + M[at] + 1
    first = at + VALUE_DIGITS + M[at + VALUE_COUNT]
    if end - first > SMALL_EXPONENT:
        return 0 if M[at + VALUE_SIGNS] & HAS_NEGATIVE_EXPONENT else 1 << 30
    exponent = 0
    for i in range(first, end):
        exponent = 10 * exponent + M[i] - 0x30
    if M[at + VALUE_SIGNS] & HAS_NEGATIVE_EXPONENT:
        exponent = -exponent
    return M[at + VALUE_COUNT] + exponent
