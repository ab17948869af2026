"""Costs of objects: of their properties, of those that must still come, and from inside a key."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import ESCAPE, HEX_0, HEX_1D, MINIMAL_ESCAPE
from tokamask.grammar.frames import frame_word
from tokamask.grammar.jit import jit
from tokamask.grammar.name_table import OFF, code_point_at, complete_name, declared_index, name_byte, next_candidate
from tokamask.grammar.program import (
    CHOICE_COST,
    CHOICE_LEFT,
    CHOICE_MEETS,
    CHOICE_NAMES,
    CHOICE_WORDS,
    DEPTH_BITS,
    FRAME_MISSING,
    FRAME_PENDING,
    FRAME_TOTAL,
    NAME_WORDS,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COUNT,
    OBJECT_COVERS,
    OBJECT_FRAME_WORDS,
    OBJECT_HOME,
    OBJECT_IS_COUNTED,
    OBJECT_IS_FREE,
    OBJECT_MAXIMUM,
    OBJECT_MINIMUM,
    OBJECT_NAMES,
    OBJECT_NEXT_REQUIRED,
    OBJECT_PROPERTIES,
    OBJECT_REMEMBERS,
    OBJECT_REQUIRED,
    OBJECT_WITNESSES,
)
from tokamask.grammar.properties import frame_has, may_add, may_choose, may_declare, position
from tokamask.grammar.string_body import has_short_escape, is_escape_state, may_become, starts_character, utf8_length
from tokamask.grammar.threads import property_value
from tokamask.masking.automaton_costs import NEVER, byte_cost, cost_sum, string_byte_cost
from tokamask.masking.string_costs import TO_NORMAL

Words = npt.NDArray[np.int32]

NO_DATA = -1  # of an object: no property is there yet


@jit
def _name_cost(P: Words, K: Words, names: int, entry: int, depth: int) -> int:
    """The rest of a name from byte `depth` (a character boundary), its closing quote and the colon."""
    total = 2
    length = P[names + 2 + entry * NAME_WORDS + 1]
    while depth < length:
        code_point = code_point_at(P, names, entry, depth)
        size = utf8_length(code_point)
        raw = 0
        for i in range(size):
            raw += string_byte_cost(P, K, name_byte(P, names, entry, depth + i))
        total = cost_sum(total, min(raw, 6 if code_point < 0x10000 else 12))
        depth += size
    return total


@jit
def _tail_cost(P: Words, K: Words, names: int, entry: int, depth: int, tail: int) -> int:
    total = 0
    for i in range(tail):
        total = cost_sum(total, byte_cost(P, K, name_byte(P, names, entry, depth + i)))
    return cost_sum(total, _name_cost(P, K, names, entry, depth + tail))


@jit
def _property_cost(P: Words, K: Words, at: int) -> int:
    """A comma, the name and the value of the declared property written at `at`."""
    return cost_sum(1 + K[at], K[P[at]])


@jit
def _choice_cost(P: Words, K: Words, at: int) -> int:
    """A comma, the cheapest name and value of the choice written at `at`."""
    return cost_sum(1 + K[at], K[P[at + 1]])


@jit
def analyse_object(P: Words, M: Words, K: Words, pc: int) -> int:
    """Cost of an object after its `{`; for schema order also K[next required + p], from after a value at position p."""
    count = P[pc + OBJECT_COUNT]
    names = P[pc + OBJECT_NAMES]
    for entry in range(P[names]):
        at = pc + OBJECT_PROPERTIES + 2 * declared_index(P, names, entry)
        if K[at] == NEVER:
            K[at] = 1 + _name_cost(P, K, names, entry, 0)  # with the opening quote
    column = P[pc + OBJECT_NEXT_REQUIRED]
    total = 1
    K[column + count] = 1
    K[column + count + 1] = 1
    for index in range(count - 1, -1, -1):
        at = pc + OBJECT_PROPERTIES + 2 * index
        if P[at + 1]:
            total = cost_sum(total, _property_cost(P, K, at))
        K[column + index] = total
    _analyse_choices(P, K, pc)
    if P[pc + OBJECT_IS_COUNTED]:
        pending = (1 << P[pc + OBJECT_WITNESSES]) - 1
        total = cost_sum(total, _counted_cost(P, M, K, pc, NO_DATA, -1, 0, P[pc + OBJECT_REQUIRED], pending))
    return total if total == 1 or total == NEVER else total - 1


@jit
def _analyse_choices(P: Words, K: Words, pc: int) -> None:
    """K[choice]: its name, as for declared ones; K[cover + 1 + n]: n properties that provide a set of witnesses.

    K[choice + CHOICE_COST] is what a name may cost more because the cheapest are used, see `dearer`.
    """
    choices = P[pc + OBJECT_CHOICES]
    end = choices + CHOICE_WORDS * P[pc + OBJECT_CHOICE_COUNT]
    for at in range(choices, end, CHOICE_WORDS):
        dearer = K[at + CHOICE_COST] if P[pc + OBJECT_REMEMBERS] else 0
        K[at] = cost_sum(2 + dearer, K[P[at]])
    if choices == 0:
        return
    witnesses = P[pc + OBJECT_WITNESSES]
    covers = P[pc + OBJECT_COVERS]
    K[covers + 1] = 0
    for pending in range(1, 1 << witnesses):
        for number in range(1, witnesses + 1):
            best = NEVER
            for at in range(choices, end, CHOICE_WORDS):
                if P[at + 2] & pending:
                    left = covers + (pending & ~P[at + 2]) * (witnesses + 2)
                    best = min(best, cost_sum(_choice_cost(P, K, at), K[left + number]))
            K[covers + pending * (witnesses + 2) + 1 + number] = best


@jit
def _is_present(P: Words, M: Words, record: int, data: int, index: int) -> bool:
    """Whether declared property `index` is there or, where they come in order, can come no more."""
    if data == NO_DATA:
        return False
    if P[record + OBJECT_IS_FREE]:
        return frame_has(M, data, index)
    return index < position(P, M, record, data)


@jit
def _counted_cost(
    P: Words, M: Words, K: Words, record: int, data: int, adding: int, total: int, missing: int, pending: int
) -> int:
    """Witnesses and further properties up to the minimum, with `total` present and `missing` required ones to come."""
    witnesses = P[record + OBJECT_WITNESSES]
    covers = P[record + OBJECT_COVERS] + pending * (witnesses + 2) + 1
    most = witnesses
    if P[record + OBJECT_MAXIMUM] >= 0:
        most = min(most, P[record + OBJECT_MAXIMUM] - total - missing)
    best = NEVER
    for number in range(most + 1):
        cover = 0
        if witnesses:
            cover = K[covers + number]
        if cover < best:
            filling, _ = _filling(P, M, K, record, data, adding, P[record + OBJECT_MINIMUM] - total - missing - number)
            best = min(best, cost_sum(cover, filling))
    return best


@jit
def _filling(P: Words, M: Words, K: Words, record: int, data: int, adding: int, wanted: int) -> tuple[int, int]:
    """What the cheapest `wanted` properties cost that are not required, `adding` excepted; and the dearest of them."""
    if wanted <= 0:
        return 0, 0
    other, others = _other_properties(P, M, K, record, data, wanted)
    number, _, low, high = _cheaper(P, M, K, record, data, adding, NEVER)
    if others > 0 and other < NEVER:
        number += others
        low = min(low, other)
        high = max(high, other)
    if number < wanted:
        return NEVER, NEVER
    # What the dearest of them costs, by bisection: so many are not dearer.
    while low < high:
        middle = (low + high) // 2
        number, _, _, _ = _cheaper(P, M, K, record, data, adding, middle + 1)
        if number + (others if other <= middle else 0) < wanted:
            low = middle + 1
        else:
            high = middle
    number, total, _, _ = _cheaper(P, M, K, record, data, adding, low)
    if other < low:
        number += others
        total += others * other
    return min(NEVER, total + (wanted - number) * low), low


@jit
def _cheaper(
    P: Words, M: Words, K: Words, record: int, data: int, adding: int, limit: int
) -> tuple[int, int, int, int]:
    """Of the declared properties that may fill up an object, those cheaper than `limit`.

    Their number, the sum of their costs, the least and the greatest.
    """
    number = total = greatest = 0
    least = NEVER
    for index in range(P[record + OBJECT_COUNT]):
        at = record + OBJECT_PROPERTIES + 2 * index
        if P[at] == 0 or P[at + 1] or index == adding or (P[record + OBJECT_IS_FREE] == 0 and index < adding):
            continue
        each = _property_cost(P, K, at)
        if each < limit and not _is_present(P, M, record, data, index):
            number += 1
            total += each
            least = min(least, each)
            greatest = max(greatest, each)
    return number, total, least, greatest


@jit
def _other_properties(P: Words, M: Words, K: Words, record: int, data: int, wanted: int) -> tuple[int, int]:
    """What one of `wanted` properties that are not declared costs at most, and how many there may be."""
    cheapest = NEVER
    dearest = 0
    left = 0
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
        names = wanted
        if P[at + CHOICE_LEFT]:
            names = P[at + CHOICE_NAMES] if data == NO_DATA else frame_word(M, data, P[at + CHOICE_LEFT])
        if names >= wanted:
            cheapest = min(cheapest, _choice_cost(P, K, at))
        elif names > 0 and P[at + CHOICE_MEETS] == 0:
            dearest = max(dearest, _choice_cost(P, K, at))
            left += names
    if cheapest < NEVER or left == 0:
        return cheapest, wanted
    return dearest, left


# From places inside of an object to its end.


@jit
def object_rest(P: Words, M: Words, K: Words, record: int, data: int, adding: int, meets: int) -> int:
    """Cost of an object from after a value.

    `adding` is a property that counts as present though `data` does not say so yet: declared, or their number for
    another one, which provides the witnesses `meets`; -1 for none.
    """
    count = P[record + OBJECT_COUNT]
    if P[record + OBJECT_FRAME_WORDS] == 0:
        return K[P[record + OBJECT_NEXT_REQUIRED] + (data if adding < 0 else min(adding, count) + 1)]
    missing = frame_word(M, data, FRAME_MISSING)
    total = 1 + _missing_cost(P, M, K, record, data, adding)
    if P[record + OBJECT_IS_COUNTED]:
        present = frame_word(M, data, FRAME_TOTAL)
        if adding >= 0:
            present += 1
            if adding < count:
                missing -= P[record + OBJECT_PROPERTIES + 2 * adding + 1]
        pending = frame_word(M, data, FRAME_PENDING) & ~meets
        total = cost_sum(total, _counted_cost(P, M, K, record, data, adding, present, missing, pending))
    return total


@jit
def _missing_cost(P: Words, M: Words, K: Words, record: int, data: int, adding: int) -> int:
    """The required properties still to come, `adding` excepted, where an object has a frame."""
    total = 0
    for index in range(P[record + OBJECT_COUNT] if frame_word(M, data, FRAME_MISSING) else 0):
        at = record + OBJECT_PROPERTIES + 2 * index
        if P[at + 1] and index != adding and not _is_present(P, M, record, data, index):
            total = cost_sum(total, _property_cost(P, K, at))
    return total


@jit
def _rest_after_name(P: Words, M: Words, K: Words, record: int, data: int, index: int) -> int:
    """Cost of the value of property `index` and what the object needs after it, while at `data`."""
    return cost_sum(K[property_value(P, record, index)], object_rest(P, M, K, record, data, index, 0))


@jit
def key_cost(P: Words, M: Words, K: Words, record: int, data: int, place: int, packed: int) -> int:
    """From inside a key (after its opening quote) to the end of the object."""
    names = P[record + OBJECT_NAMES]
    state = packed & 255
    best = NEVER
    if may_add(P, M, record, data):
        extra = TO_NORMAL[state] + 2 + _rest_after_name(P, M, K, record, data, P[record + OBJECT_COUNT])
        if place != OFF and (not starts_character(state) or complete_name(P, names, place) >= 0):
            extra += 1  # the name may be a declared one: one more character tells it apart
        best = min(NEVER, extra)
    if place == OFF:
        return best
    # Where properties are counted, what an object needs is added up once for all names.
    is_counted = P[record + OBJECT_IS_COUNTED] != 0 and frame_word(M, data, FRAME_PENDING) == 0
    needed = filling = dearest = wanted = 0
    if is_counted:
        needed = 1 + _missing_cost(P, M, K, record, data, -1)
        wanted = P[record + OBJECT_MINIMUM] - frame_word(M, data, FRAME_TOTAL) - frame_word(M, data, FRAME_MISSING)
        filling, dearest = _filling(P, M, K, record, data, -1, wanted)
        is_counted = needed < NEVER
    depth = place & ((1 << DEPTH_BITS) - 1)
    entry = place >> DEPTH_BITS
    while entry < P[names]:
        index = declared_index(P, names, entry)
        if may_declare(P, M, record, data, index):
            rest = NEVER
            if not is_escape_state(state):
                # Inside a raw character the name's own bytes go on; a boundary is not needed to add them up.
                rest = _tail_cost(P, K, names, entry, depth, TO_NORMAL[state])
            else:
                code_point = code_point_at(P, names, entry, depth)
                if may_become(packed, code_point):
                    bytes_left = TO_NORMAL[state]
                    if state == ESCAPE or state == MINIMAL_ESCAPE:
                        bytes_left = 1 if has_short_escape(code_point) else 5 if code_point < 0x10000 else 11
                    elif state == HEX_1D and code_point >= 0x10000:
                        bytes_left = 9
                    elif HEX_0 <= state <= HEX_1D and code_point >= 0x10000:
                        bytes_left += 6
                    rest = bytes_left + _name_cost(P, K, names, entry, depth + utf8_length(code_point))
            if is_counted:
                at = record + OBJECT_PROPERTIES + 2 * index
                least = cost_sum(rest, _rest_in_any_order(P, K, at, needed, filling, dearest, wanted))
                # In the schema's order it may be more, as what comes before can come no more.
                if P[record + OBJECT_IS_FREE]:
                    best = min(best, least)
                if P[record + OBJECT_IS_FREE] or least >= best:
                    entry = next_candidate(P, names, entry, depth)
                    continue
            best = min(best, cost_sum(rest, _rest_after_name(P, M, K, record, data, index)))
        entry = next_candidate(P, names, entry, depth)
    return best


@jit
def _rest_in_any_order(
    P: Words, K: Words, at: int, needed: int, filling: int, dearest: int, wanted: int
) -> int:
    """Cost of the value of the declared property written at `at` and what the object needs after it.

    Without that property it needs what `needed` costs, and `wanted` more for `filling`, the dearest of them included.
    """
    own = _property_cost(P, K, at)
    if P[at + 1]:
        needed -= own
    elif wanted <= 1:
        filling = 0
    elif filling < NEVER:
        filling -= min(own, dearest)  # of as many cheapest ones it takes the place of the dearest, or its own
    return cost_sum(K[P[at]], cost_sum(needed, filling))


@jit
def next_key_cost(P: Words, M: Words, K: Words, record: int, data: int) -> int:
    """From where a key must come (after a comma) to the end of the object."""
    best = cost_sum(1, key_cost(P, M, K, record, data, 0, P[record + OBJECT_HOME]))
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        if may_choose(P, M, record, data, choice):
            at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
            rest = object_rest(P, M, K, record, data, P[record + OBJECT_COUNT], P[at + 2])
            best = min(best, cost_sum(_choice_cost(P, K, at) - 1, rest))
    return best
