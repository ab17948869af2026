"""What an object has so far, and which properties may still come.

The `data` of an object's threads is a position where properties come in their declared order and nothing is counted:
the first declared property that may still come, one past their number once another one has come. Elsewhere it is a
*frame*, an interned list of words:

    length | required ones still missing | declared ones present | all of them | witnesses still missing | ...

and then the declared ones present, a bit each, or the position; then the unused names of every class that one object
could use up. Properties are counted only up to the largest number that matters, so that there are finitely many frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FRAME_USED, FRAMES
from tokamask.grammar.frames import copied_frame, frame_word, has_room_for_frame, intern_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.program import (
    CHOICE_LEFT,
    CHOICE_MEETS,
    CHOICE_NAMES,
    CHOICE_WORDS,
    FRAME_HEADER,
    FRAME_MISSING,
    FRAME_PENDING,
    FRAME_PRESENT,
    FRAME_TOTAL,
    OBJECT_ADDITIONAL,
    OBJECT_AVAILABLE,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COUNT,
    OBJECT_COVERS,
    OBJECT_FRAME_WORDS,
    OBJECT_IS_COUNTED,
    OBJECT_IS_FREE,
    OBJECT_MAXIMUM,
    OBJECT_MINIMUM,
    OBJECT_NEXT_REQUIRED,
    OBJECT_PROPERTIES,
    OBJECT_REQUIRED,
    OBJECT_WITNESSES,
)

Words = npt.NDArray[np.int32]

ENDLESS = 1 << 20  # names, more than any object has


@jit
def frame_has(M: Words, frame: int, index: int) -> bool:
    """Whether declared property `index` is present, in a frame of bits."""
    return M[M[FRAMES] + frame + FRAME_HEADER + (index >> 5)] >> (index & 31) & 1 != 0


@jit
def start_data(P: Words, M: Words, record: int) -> int:
    """The data of an object with no property yet."""
    length = P[record + OBJECT_FRAME_WORDS]
    if length == 0 or not has_room_for_frame(M, length):
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    M[at] = length
    for i in range(1, length + 1):
        M[at + i] = 0
    M[at + FRAME_MISSING] = P[record + OBJECT_REQUIRED]
    M[at + FRAME_PENDING] = (1 << P[record + OBJECT_WITNESSES]) - 1
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        names = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
        if P[names + CHOICE_LEFT]:
            M[at + P[names + CHOICE_LEFT]] = P[names + CHOICE_NAMES]
    return intern_frame(M)


# What may come.


@jit
def position(P: Words, M: Words, record: int, data: int) -> int:
    """The first declared property that may still come, where they come in order."""
    return frame_word(M, data, FRAME_HEADER) if P[record + OBJECT_FRAME_WORDS] else data


@jit
def next_required(P: Words, record: int, place: int) -> int:
    return P[P[record + OBJECT_NEXT_REQUIRED] + place]


@jit
def _has_all_required(P: Words, M: Words, record: int, data: int) -> bool:
    if P[record + OBJECT_FRAME_WORDS]:
        return frame_word(M, data, FRAME_MISSING) == 0
    return next_required(P, record, data) == P[record + OBJECT_COUNT]


@jit
def fewest_for(P: Words, record: int, witnesses: int) -> int:
    """How many properties the set of witnesses takes at least."""
    if witnesses == 0:
        return 0
    return P[P[record + OBJECT_COVERS] + witnesses * (P[record + OBJECT_WITNESSES] + 2)]


@jit
def _fits(P: Words, M: Words, record: int, data: int, missing: int, pending: int) -> bool:
    """Whether one more property leaves room for so many required ones and for the witnesses."""
    if P[record + OBJECT_IS_COUNTED] == 0 or P[record + OBJECT_MAXIMUM] < 0:
        return True
    total = frame_word(M, data, FRAME_TOTAL) + 1 + missing
    return total + fewest_for(P, record, pending) <= P[record + OBJECT_MAXIMUM]


@jit
def names_left(P: Words, M: Words, record: int, data: int) -> int:
    """How many names of choices are unused; at least ENDLESS where they cannot be used up."""
    left = 0
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
        if P[at + CHOICE_LEFT] == 0:
            return ENDLESS
        if P[at + CHOICE_MEETS] == 0:  # others have the names of one that is no witness
            left += frame_word(M, data, P[at + CHOICE_LEFT])
    return left


@jit
def _leaves_names(P: Words, M: Words, record: int, data: int, choice: int, pending: int) -> bool:
    """Whether there is a name for the choice, and then one more for each of its witnesses that are pending."""
    word = P[P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice + CHOICE_LEFT]
    if word == 0:
        return True
    left = frame_word(M, data, word) - 1
    for other in range(P[record + OBJECT_CHOICE_COUNT]):
        at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * other
        if P[at + CHOICE_LEFT] == word and P[at + CHOICE_MEETS] & pending:
            left -= 1
    return left >= 0


@jit
def _reaches_minimum(P: Words, M: Words, record: int, data: int, index: int) -> bool:
    """Whether enough properties can follow declared property `index`, where they come in order."""
    if P[record + OBJECT_IS_COUNTED] == 0 or P[record + OBJECT_IS_FREE]:
        return True
    wanted = P[record + OBJECT_MINIMUM] - frame_word(M, data, FRAME_TOTAL) - 1 - names_left(P, M, record, data)
    later = index + 1
    while wanted > 0 and later < P[record + OBJECT_AVAILABLE]:
        wanted -= P[record + OBJECT_PROPERTIES + 2 * later] != 0
        later += 1
    return wanted <= 0


@jit
def may_close(P: Words, M: Words, record: int, data: int) -> bool:
    if not _has_all_required(P, M, record, data):
        return False
    if P[record + OBJECT_IS_COUNTED] == 0:
        return True
    return (
        frame_word(M, data, FRAME_PENDING) == 0
        and frame_word(M, data, FRAME_TOTAL) >= P[record + OBJECT_MINIMUM]
    )


@jit
def may_add(P: Words, M: Words, record: int, data: int) -> bool:
    """Whether a property that is not declared may come now, in an object without choices."""
    if P[record + OBJECT_ADDITIONAL] == 0:
        return False
    return P[record + OBJECT_IS_FREE] != 0 or _has_all_required(P, M, record, data)


@jit
def may_choose(P: Words, M: Words, record: int, data: int, choice: int) -> bool:
    """Whether a property of this choice may come now."""
    if P[record + OBJECT_IS_FREE] == 0 and not _has_all_required(P, M, record, data):
        return False
    if P[record + OBJECT_IS_COUNTED] == 0:
        return True
    meets = P[P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice + CHOICE_MEETS]
    pending = frame_word(M, data, FRAME_PENDING)
    if meets != 0 and meets & pending == 0:
        return False  # what it would provide is there: the choice that provides nothing has all its values
    if not _leaves_names(P, M, record, data, choice, pending & ~meets):
        return False
    if P[record + OBJECT_IS_FREE] == 0:  # declared ones can come no more
        if frame_word(M, data, FRAME_TOTAL) + names_left(P, M, record, data) < P[record + OBJECT_MINIMUM]:
            return False
    return _fits(P, M, record, data, frame_word(M, data, FRAME_MISSING), pending & ~meets)


@jit
def may_declare(P: Words, M: Words, record: int, data: int, index: int) -> bool:
    """Whether declared property `index` may come now."""
    at = record + OBJECT_PROPERTIES + 2 * index
    if P[at] == 0:
        return False
    if P[record + OBJECT_IS_FREE]:
        if frame_has(M, data, index):
            return False
    else:
        place = position(P, M, record, data)
        if not place <= index <= next_required(P, record, place):
            return False
    if P[record + OBJECT_IS_COUNTED] == 0:
        return True
    missing = frame_word(M, data, FRAME_MISSING) - P[at + 1]
    return _fits(P, M, record, data, missing, frame_word(M, data, FRAME_PENDING)) and _reaches_minimum(
        P, M, record, data, index
    )


@jit
def may_continue(P: Words, M: Words, record: int, data: int) -> bool:
    """Whether any property may come now."""
    if may_add(P, M, record, data):
        return True
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        if may_choose(P, M, record, data, choice):
            return True
    if P[record + OBJECT_IS_COUNTED]:
        for index in range(P[record + OBJECT_COUNT]):  # noqa: SIM110 - a kernel has no generators
            if may_declare(P, M, record, data, index):
                return True
        return False
    if P[record + OBJECT_IS_FREE]:
        return frame_word(M, data, FRAME_PRESENT) < P[record + OBJECT_AVAILABLE]
    return data < P[record + OBJECT_AVAILABLE]


@jit
def data_after_name(P: Words, M: Words, record: int, data: int, index: int) -> int:
    """The data once the name of property `index` is complete: a declared one, or their number and the choice."""
    count = P[record + OBJECT_COUNT]
    is_free = P[record + OBJECT_IS_FREE]
    is_counted = P[record + OBJECT_IS_COUNTED]
    if P[record + OBJECT_FRAME_WORDS] == 0:
        return min(index, count) + 1
    if index >= count and is_counted == 0:
        return data
    at = copied_frame(M, data)
    if at == 0:
        return 0
    if is_counted:
        M[at + FRAME_TOTAL] = min(
            M[at + FRAME_TOTAL] + 1, max(P[record + OBJECT_MINIMUM], P[record + OBJECT_MAXIMUM])
        )
    if index < count:
        M[at + FRAME_MISSING] -= P[record + OBJECT_PROPERTIES + 2 * index + 1]
        M[at + FRAME_PRESENT] += 1
        if is_free:
            M[at + FRAME_HEADER + (index >> 5)] |= np.int32(1 << (index & 31))
    elif P[record + OBJECT_CHOICE_COUNT]:
        choice = P[record + OBJECT_CHOICES] + CHOICE_WORDS * (index - count)
        M[at + FRAME_PENDING] &= ~P[choice + CHOICE_MEETS]
        if P[choice + CHOICE_LEFT]:
            M[at + P[choice + CHOICE_LEFT]] -= 1
    if is_free == 0:
        M[at + FRAME_HEADER] = min(index, count) + 1
    return intern_frame(M)
