"""How far a configuration is from the end: the fewest one-byte tokens that complete the text.

This is an upper bound on the tokens needed, exact for a vocabulary of single bytes, and it is cheap: it is found once
for every record of a program and every state of its automata (a least fixpoint, as in Knuth 1977, "A generalization of
Dijkstra's algorithm"), and summed along the stack. Strings that count characters have tables of their own, see
`string_costs`.

The array K runs parallel to the program P: K[pc] is the cost from entering a record to leaving its frame, K[row] of an
automaton's state row the cost to acceptance, K[row + 1] the same inside a JSON string, where some characters take
an escape. After the program's words come 256 more: the cost of each byte, 1 where a token of that byte alone exists.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    OVERFLOW,
    SEARCH,
    SEARCH_WORDS,
    THREAD_WORDS,
    THREADS,
    UNDECIDED,
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
)
from tokamask.grammar.body_states import (
    BODY_STATES,
    COMPLETE,
    ESCAPE,
    HEX_0,
    HEX_1D,
    MINIMAL,
    MINIMAL_ESCAPE,
    MOST_ESCAPED,
    NORMAL,
)
from tokamask.grammar.configurations import (
    COST,
    LIST_LENGTH,
    LIST_START,
    MEMORY,
    REMEMBERS,
    address_of,
    has_room,
    intern_single,
    thread_count,
    thread_of,
)
from tokamask.grammar.frames import frame_word
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_move, automaton_read
from tokamask.grammar.name_table import OFF, code_point_at, complete_name, declared_index, name_byte, next_candidate
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    ARRAY_DEARER,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_SATURATION,
    ARRAY_WHITESPACE,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    AUTOMATON_STATES,
    CALL,
    CHOICE,
    CHOICE_COST,
    CHOICE_LEFT,
    CHOICE_MEETS,
    CHOICE_NAMES,
    CHOICE_WORDS,
    DEPTH_BITS,
    END,
    FRAME_MISSING,
    FRAME_PENDING,
    FRAME_TOTAL,
    ITEMS_AFTER,
    ITEMS_DISTINCT,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    LOOP,
    NAME_WORDS,
    OBJECT_AFTER,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_COVERS,
    OBJECT_FRAME_WORDS,
    OBJECT_HOME,
    OBJECT_IS_COUNTED,
    OBJECT_IS_FREE,
    OBJECT_KEY,
    OBJECT_MAXIMUM,
    OBJECT_MINIMUM,
    OBJECT_NAMES,
    OBJECT_NEXT,
    OBJECT_NEXT_REQUIRED,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    OBJECT_REMEMBERS,
    OBJECT_REQUIRED,
    OBJECT_VALUE,
    OBJECT_WHITESPACE,
    OBJECT_WITNESSES,
    RETURN,
    STRING,
    STRING_LENGTHS,
    STRING_UNBOUNDED,
    VALUE,
)
from tokamask.grammar.properties import frame_has, may_add, may_choose, may_declare, position
from tokamask.grammar.search import MOST_STEPS, NO_BYTE, NOTE, PLACE, begin_search, deepen, is_in_order, next_byte
from tokamask.grammar.string_body import (
    advance_escape,
    escape_high,
    escape_low,
    has_short_escape,
    is_escape_state,
    may_become,
    starts_character,
    utf8_length,
)
from tokamask.grammar.survival import is_free, step
from tokamask.grammar.threads import item_value, property_value

Words = npt.NDArray[np.int32]

NEVER = 1 << 28
NO_DATA = -1  # of an object: no property is there yet
MISSING_BYTE = 1 << 16  # the cost of a byte that no token spells alone


def _distances_to_normal() -> npt.NDArray[np.int32]:
    """Bytes from each body state to the end of its character."""
    from tokamask.grammar.string_body import BODY

    distance = np.full(BODY_STATES, 99, dtype=np.int32)
    distance[[NORMAL, MINIMAL]] = 0
    for _ in range(BODY_STATES):
        for state in [*range(NORMAL + 1, MINIMAL), *range(MINIMAL + 1, BODY_STATES)]:
            targets = BODY[state][BODY[state] >= 0]
            distance[state] = min(distance[state], 1 + distance[targets].min())
    return distance


TO_NORMAL = _distances_to_normal()


@jit
def _sum(a: int, b: int) -> int:
    return min(NEVER, a + b)


@jit
def state_row(P: Words, block: int, state: int) -> int:
    return block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1)


@jit
def _byte_cost(P: Words, K: Words, byte: int) -> int:
    return K[len(P) + byte]


@jit
def _string_byte_cost(P: Words, K: Words, byte: int) -> int:
    """The cost of one byte of decoded text inside a JSON string."""
    if has_short_escape(byte):
        return _sum(_byte_cost(P, K, 0x5C), 1)
    if byte < 0x20:
        return 6
    return _byte_cost(P, K, byte)


@jit
def analyse_automaton(P: Words, K: Words, block: int) -> None:
    """Relax the cost of every state until nothing changes; K[block] remembers that it was done."""
    if K[block] == 0:
        return
    K[block] = 0
    states = P[block + AUTOMATON_STATES]
    classes = P[block + AUTOMATON_CLASSES]
    starts = block + P[block + AUTOMATON_CLASS_START]
    members = block + P[block + AUTOMATON_CLASS_BYTES]
    for inside in range(2):
        # The cheapest byte of each class, kept beside the class table.
        for c in range(classes):
            cheapest = NEVER
            for i in range(P[starts + c], P[starts + c + 1]):
                byte = P[members + i]
                cheapest = min(cheapest, _string_byte_cost(P, K, byte) if inside else _byte_cost(P, K, byte))
            K[starts + c] = cheapest
        changed = True
        while changed:
            changed = False
            for state in range(states - 1, -1, -1):
                row = state_row(P, block, state)
                best = K[row + inside]
                if P[row] & ACCEPTING:
                    best = 0
                for c in range(classes):
                    target = P[row + 1 + c]
                    if target >= 0:
                        best = min(best, _sum(K[starts + c], K[state_row(P, block, target) + inside]))
                if best < K[row + inside]:
                    K[row + inside] = best
                    changed = True


@jit
def costs_before(P: Words, K: Words, block: int, behind: Words, out: Words, ending: int) -> None:
    """From the costs inside a string where one code point more has begun, those before, of the states of an automaton.

    `behind` and `out` have a cost for each state; `ending` is the cost of accepting here. The automaton is analysed.
    """
    states = P[block + AUTOMATON_STATES]
    classes = P[block + AUTOMATON_CLASSES]
    starts = block + P[block + AUTOMATON_CLASS_START]
    members = block + P[block + AUTOMATON_CLASS_BYTES]
    for state in range(states):
        out[state] = ending if P[state_row(P, block, state)] & ACCEPTING else NEVER
    # What continues a code point begins none: three such bytes at most, and the rows are settled.
    for _ in range(4):
        for state in range(states):
            row = state_row(P, block, state) + 1
            for c in range(classes):
                target = P[row + c]
                if target >= 0:
                    # All bytes of a class that leads anywhere are alike in this.
                    begins = P[members + P[starts + c]] & 0xC0 != 0x80
                    further = behind[target] if begins else out[target]
                    out[state] = min(out[state], _sum(K[starts + c], further))


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
            raw += _string_byte_cost(P, K, name_byte(P, names, entry, depth + i))
        total = _sum(total, min(raw, 6 if code_point < 0x10000 else 12))
        depth += size
    return total


@jit
def _analyse_object(P: Words, M: Words, K: Words, pc: int) -> int:
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
            total = _sum(total, _property_cost(P, K, at))
        K[column + index] = total
    _analyse_choices(P, K, pc)
    if P[pc + OBJECT_IS_COUNTED]:
        pending = (1 << P[pc + OBJECT_WITNESSES]) - 1
        total = _sum(total, _counted_cost(P, M, K, pc, NO_DATA, -1, 0, P[pc + OBJECT_REQUIRED], pending))
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
        K[at] = _sum(2 + dearer, K[P[at]])
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
                    best = min(best, _sum(_property_cost(P, K, at), K[left + number]))
            K[covers + pending * (witnesses + 2) + 1 + number] = best


@jit
def _property_cost(P: Words, K: Words, at: int) -> int:
    """A comma, the name and the value of the declared property written at `at`."""
    return _sum(1 + K[at], K[P[at]])


@jit
def _choice_cost(P: Words, K: Words, at: int) -> int:
    """A comma, the cheapest name and value of the choice written at `at`."""
    return _sum(1 + K[at], K[P[at + 1]])


@jit
def _is_present(P: Words, M: Words, record: int, data: int, index: int) -> bool:
    """Whether declared property `index` is there or, where they come in order, can come no more."""
    if data == NO_DATA:
        return False
    if P[record + OBJECT_IS_FREE]:
        return frame_has(M, data, index)
    return index < position(P, M, record, data)


@jit
def _filling_cost(P: Words, M: Words, K: Words, record: int, data: int, adding: int, wanted: int) -> int:
    """The cheapest `wanted` properties that are not required, `adding` excepted."""
    other, others = _other_properties(P, M, K, record, data, wanted)
    total = 0
    cost = -1
    last = -1
    taken = 0
    while taken < wanted:
        # The next one in the order of (cost, index).
        best = other if others > 0 else NEVER
        found = -1
        for index in range(P[record + OBJECT_COUNT]):
            at = record + OBJECT_PROPERTIES + 2 * index
            if P[at] == 0 or P[at + 1] or _is_present(P, M, record, data, index):
                continue
            if index == adding or (P[record + OBJECT_IS_FREE] == 0 and index < adding):
                continue
            each = _property_cost(P, K, at)
            if each < best and (each > cost or (each == cost and index > last)):
                best = each
                found = index
        if best == NEVER:
            return NEVER
        if found < 0:
            number = min(others, wanted - taken)
            total = min(NEVER, total + number * best)
            taken += number
            others = 0
        else:
            total = _sum(total, best)
            taken += 1
            cost = best
            last = found
    return total


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
            wanted = P[record + OBJECT_MINIMUM] - total - missing - number
            best = min(best, _sum(cover, _filling_cost(P, M, K, record, data, adding, wanted)))
    return best


@jit
def _analyse_record(P: Words, K: Words, pc: int) -> int:
    operation = P[pc]
    if operation == END or operation == RETURN:
        return 0
    if operation == CALL:
        return _sum(K[P[pc + 1]], K[P[pc + 2]])
    if operation == CHOICE:
        best = NEVER
        for i in range(P[pc + 1]):
            best = min(best, K[P[pc + 2 + i]])
        return best
    if operation == LOOP:
        if P[pc + 2] == 0:
            return 0
        return min(NEVER, P[pc + 2] * K[P[pc + 1]])
    if operation == LEXEME:
        analyse_automaton(P, K, P[pc + 1])
        return _sum(K[state_row(P, P[pc + 1], 0)], K[P[pc + 2]])
    if operation == VALUE:
        best = NEVER
        for i in range(P[pc + 1]):
            alternative = P[pc + 2 + i]
            best = min(best, _sum(K[alternative], 0 if P[alternative] == LEXEME else 1))
        return best
    if operation == STRING:
        if P[pc + 3] == 0:
            return P[pc + 1] + 1
        analyse_automaton(P, K, P[pc + 3])
        return _sum(_inside_cost(P, K, pc, 0, 0), 1)
    if operation == ARRAY_OPEN:
        analyse_automaton(P, K, P[pc + ARRAY_WHITESPACE])
        total = _items_cost(P, K, pc, 0)
        return total if P[pc + ARRAY_MINIMUM] == 0 or total == NEVER else total - 1
    if operation == ITEMS_OPEN:
        analyse_automaton(P, K, P[pc + ITEMS_WHITESPACE])
        return _analyse_items(P, K, pc)
    if operation == OBJECT_OPEN:
        analyse_automaton(P, K, P[pc + OBJECT_WHITESPACE])
        # There is no arena yet; without data nobody looks into it.
        return _analyse_object(P, P, K, pc)
    return NEVER


@jit
def _items_begun(P: Words, K: Words, record: int, state: int, operation: int) -> int:
    """From where an item may come, or must (ITEMS_NEXT), to the end of an array that an automaton describes."""
    best = 1 if operation == ITEMS_OPEN and P[state] else NEVER
    at = state + 1
    while P[at]:
        dearer = K[record + ITEMS_DISTINCT] if P[record + ITEMS_DISTINCT] else 0
        best = min(best, _sum(K[P[at]] + dearer, K[P[record + ITEMS_STATES + P[at + 1]]]))
        at += 2
    return best


@jit
def _analyse_items(P: Words, K: Words, pc: int) -> int:
    """K[state]: from after an item to the end of the array."""
    changed = True
    while changed:
        changed = False
        # The states' addresses end where the first state begins.
        for at in range(pc + ITEMS_STATES, P[pc + ITEMS_STATES]):
            state = P[at]
            best = 1 if P[state] else _sum(1, _items_begun(P, K, pc, state, ITEMS_NEXT))
            if best < K[state]:
                K[state] = best
                changed = True
    return _items_begun(P, K, pc, P[pc + ITEMS_STATES], ITEMS_OPEN)


@jit
def _items_cost(P: Words, K: Words, record: int, data: int) -> int:
    """From after an item, with `data` items counted, to the end of the array."""
    total = 1
    for index in range(data, P[record + ARRAY_MINIMUM]):
        total = _sum(total, 1 + _item_cost(P, K, record, index))
    return total


@jit
def _item_cost(P: Words, K: Words, record: int, index: int) -> int:
    """The cost of an item after `index` others; dearer where it must differ from them and they may be the cheapest."""
    cost = K[item_value(P, record, index)]
    if P[record + ARRAY_DEARER] and index < P[record + ARRAY_MINIMUM]:
        cost = _sum(cost, K[P[record + ARRAY_DEARER] + index])
    return cost


@jit
def analyse(P: Words, K: Words, records: Words) -> None:
    """Fill K; its last 256 words must hold the byte costs, everything else NEVER."""
    changed = True
    while changed:
        changed = False
        # Children mostly come after their parents, so backwards is nearly bottom up.
        for i in range(len(records) - 1, -1, -1):
            pc = records[i]
            cost = _analyse_record(P, K, pc)
            if cost < K[pc]:
                K[pc] = cost
                changed = True


# Costs of threads: from where they stand to the end of their frame.


@jit
def _blank_cost(P: Words, K: Words, block: int, state: int) -> int:
    return K[state_row(P, block, state)]


@jit
def _object_rest(P: Words, M: Words, K: Words, record: int, data: int, adding: int, meets: int) -> int:
    """Cost of an object from after a value.

    `adding` is a property that counts as present though `data` does not say so yet: declared, or their number for
    another one, which provides the witnesses `meets`; -1 for none.
    """
    count = P[record + OBJECT_COUNT]
    if P[record + OBJECT_FRAME_WORDS] == 0:
        return K[P[record + OBJECT_NEXT_REQUIRED] + (data if adding < 0 else min(adding, count) + 1)]
    total = 1
    missing = frame_word(M, data, FRAME_MISSING)
    if missing > 0:
        for index in range(count):
            at = record + OBJECT_PROPERTIES + 2 * index
            if P[at + 1] and index != adding and not _is_present(P, M, record, data, index):
                total = _sum(total, _property_cost(P, K, at))
    if P[record + OBJECT_IS_COUNTED]:
        present = frame_word(M, data, FRAME_TOTAL)
        if adding >= 0:
            present += 1
            if adding < count:
                missing -= P[record + OBJECT_PROPERTIES + 2 * adding + 1]
        pending = frame_word(M, data, FRAME_PENDING) & ~meets
        total = _sum(total, _counted_cost(P, M, K, record, data, adding, present, missing, pending))
    return total


@jit
def _rest_after_name(P: Words, M: Words, K: Words, record: int, data: int, index: int) -> int:
    """Cost of the value of property `index` and what the object needs after it, while at `data`."""
    return _sum(K[property_value(P, record, index)], _object_rest(P, M, K, record, data, index, 0))


@jit
def _key_cost(P: Words, M: Words, K: Words, record: int, data: int, place: int, packed: int) -> int:
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
            best = min(best, _sum(rest, _rest_after_name(P, M, K, record, data, index)))
        entry = next_candidate(P, names, entry, depth)
    return best


@jit
def _tail_cost(P: Words, K: Words, names: int, entry: int, depth: int, tail: int) -> int:
    total = 0
    for i in range(tail):
        total = _sum(total, _byte_cost(P, K, name_byte(P, names, entry, depth + i)))
    return _sum(total, _name_cost(P, K, names, entry, depth + tail))


@jit
def _next_key_cost(P: Words, M: Words, K: Words, record: int, data: int) -> int:
    """From where a key must come (after a comma) to the end of the object."""
    best = _sum(1, _key_cost(P, M, K, record, data, 0, P[record + OBJECT_HOME]))
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        if may_choose(P, M, record, data, choice):
            at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
            rest = _object_rest(P, M, K, record, data, P[record + OBJECT_COUNT], P[at + 2])
            best = min(best, _sum(_choice_cost(P, K, at) - 1, rest))
    return best


@jit
def _inside_cost(P: Words, K: Words, pc: int, count: int, state: int) -> int:
    """From a state of a string's automaton, after `count` code points begun, to acceptance within the bounds."""
    if P[pc + STRING_LENGTHS]:
        row = -1
        if count < P[pc + 1]:
            row = K[pc + STRING_UNBOUNDED] + count
        elif 0 <= P[pc + 2] < count + K[pc + STRING_UNBOUNDED]:
            row = P[pc + 2] - count
        if row >= 0:
            return K[K[pc + STRING_LENGTHS] + row * P[P[pc + 3] + AUTOMATON_STATES] + state]
    return K[state_row(P, P[pc + 3], state) + 1]


# The least cost behind the code points low..high among the 64, 4096 or 262144 that begin at `first`. `state` is where
# their leading bytes led. Neighbours that lead to the same place cost the same, and ranges of characters make almost
# all of them do so. (Three functions, for kernels do not recurse.)


@jit
def _least_in_64(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int, first: int) -> int:
    best = NEVER
    for code_point in range(max(low, first), min(high, first + 63) + 1):
        target = automaton_move(P, P[pc + 3], state, 0x80 | (code_point & 63))
        if target >= 0:
            best = min(best, _inside_cost(P, K, pc, count, target))
    return best


@jit
def _least_in_4096(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int, first: int) -> int:
    best = NEVER
    known = -1
    for begin in range(first, first + 4096, 64):
        target = automaton_move(P, P[pc + 3], state, 0x80 | (begin >> 6 & 63))
        if target >= 0 and target != known and begin <= high and begin + 63 >= low:
            best = min(best, _least_in_64(P, K, pc, count, target, low, high, begin))
            known = target if low <= begin and begin + 63 <= high else -1
    return best


@jit
def _least_in_262144(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int, first: int) -> int:
    best = NEVER
    known = -1
    for begin in range(first, first + 262144, 4096):
        target = automaton_move(P, P[pc + 3], state, 0x80 | (begin >> 12 & 63))
        if target >= 0 and target != known and begin <= high and begin + 4095 >= low:
            best = min(best, _least_in_4096(P, K, pc, count, target, low, high, begin))
            known = target if low <= begin and begin + 4095 <= high else -1
    return best


@jit
def _least_escaped(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int) -> int:
    """The least cost inside a string behind any code point of low..high that the automaton can read."""
    best = NEVER
    for code_point in range(low, min(high, 0x7F) + 1):
        target = automaton_move(P, P[pc + 3], state, code_point)
        if target >= 0:
            best = min(best, _inside_cost(P, K, pc, count, target))
    for lead in range(0xC2, 0xF5):
        target = automaton_move(P, P[pc + 3], state, lead)
        if target < 0:
            continue
        if lead < 0xE0:
            best = min(best, _least_in_64(P, K, pc, count, target, low, high, (lead & 0x1F) << 6))
        elif lead < 0xF0:
            best = min(best, _least_in_4096(P, K, pc, count, target, low, high, (lead & 0x0F) << 12))
        else:
            best = min(best, _least_in_262144(P, K, pc, count, target, low, high, (lead & 0x07) << 18))
    return best


@jit
def _string_cost(P: Words, K: Words, pc: int, count: int, lexeme: int, packed: int) -> int:
    block = P[pc + 3]
    state = packed & 255
    if block == 0:
        return TO_NORMAL[state] + max(0, P[pc + 1] - count) + 1
    if not is_escape_state(state):
        # Inside a raw character the automaton's own path counts its remaining bytes.
        return _sum(_inside_cost(P, K, pc, count, lexeme), 1)
    if state >= MINIMAL:
        best = NEVER
        for code_point in range(MOST_ESCAPED + 1):
            target = automaton_move(P, block, lexeme, code_point)
            if target >= 0 and may_become(packed, code_point):
                bytes_left = TO_NORMAL[state]
                if state == MINIMAL_ESCAPE and not has_short_escape(code_point):
                    bytes_left = 5
                best = min(best, _sum(bytes_left, _inside_cost(P, K, pc, count, target)))
        return _sum(best, 1)
    low = escape_low(packed)
    high = escape_high(packed)
    if state == ESCAPE or state == HEX_0:
        high = 0xFFFF
    best = _sum(TO_NORMAL[state], _least_escaped(P, K, pc, count, lexeme, low, high))
    if state == ESCAPE or state == HEX_0:
        # Beyond U+FFFF it takes a second escape.
        best = min(best, _sum(TO_NORMAL[state] + 6, _least_escaped(P, K, pc, count, lexeme, 0x10000, 0x10FFFF)))
    if state == ESCAPE:
        best = _sum(best, 4)  # \uXXXX, unless a short escape does
        for byte in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
            after = advance_escape(packed, byte)
            if after & 255 == COMPLETE:
                target = automaton_read(P, block, lexeme, after >> 8)
                if target >= 0:
                    best = min(best, _sum(1, _inside_cost(P, K, pc, count, target)))
    elif state == HEX_1D:
        best = min(best, _sum(9, _least_escaped(P, K, pc, count, lexeme, 0x10000, 0x10FFFF)))
    return _sum(best, 1)


@jit
def thread_cost(P: Words, M: Words, K: Words, pc: int, data: int, lexeme: int, escape: int) -> int:
    operation = P[pc]
    if operation == LEXEME:
        return _sum(K[state_row(P, P[pc + 1], lexeme)], K[P[pc + 2]])
    if operation == LOOP:
        missing = max(0, P[pc + 2] - data)
        return min(NEVER, missing * K[P[pc + 1]]) if missing else 0
    if operation < STRING:
        return K[pc]
    if operation == STRING:
        return _string_cost(P, K, pc, data, lexeme, escape)
    if operation == OBJECT_KEY:
        return _key_cost(P, M, K, pc - (OBJECT_KEY - OBJECT_OPEN), data, lexeme, escape)
    if operation >= OBJECT_OPEN:
        record = pc - (operation - OBJECT_OPEN)
        blank = _blank_cost(P, K, P[record + OBJECT_WHITESPACE], lexeme)
        if operation == OBJECT_COLON or operation == OBJECT_VALUE:
            rest = _sum(K[property_value(P, record, escape)], _object_rest(P, M, K, record, data, -1, 0))
            return _sum(blank, _sum(rest, 1 if operation == OBJECT_COLON else 0))
        if operation == OBJECT_AFTER:
            return _sum(blank, _object_rest(P, M, K, record, data, -1, 0))
        if operation == OBJECT_NEXT:
            return _sum(blank, _next_key_cost(P, M, K, record, data))
        total = _object_rest(P, M, K, record, data, -1, 0)
        return _sum(blank, total if total == 1 else total - 1)
    if operation >= ITEMS_OPEN:
        record = pc - (operation - ITEMS_OPEN)
        state = P[record + ITEMS_STATES + data]
        blank = _blank_cost(P, K, P[record + ITEMS_WHITESPACE], lexeme)
        return _sum(blank, K[state] if operation == ITEMS_AFTER else _items_begun(P, K, record, state, operation))
    record = pc - (operation - ARRAY_OPEN)
    blank = _blank_cost(P, K, P[record + ARRAY_WHITESPACE], lexeme)
    if operation == ARRAY_AFTER:
        return _sum(blank, _items_cost(P, K, record, data))
    if operation == ARRAY_NEXT:
        counted = min(data + 1, P[record + ARRAY_SATURATION])
        return _sum(blank, _sum(_item_cost(P, K, record, data), _items_cost(P, K, record, counted)))
    total = _items_cost(P, K, record, data)
    return _sum(blank, total if P[record + ARRAY_MINIMUM] == 0 else total - 1)


@jit
def configuration_cost(P: Words, M: Words, K: Words, configuration: int) -> int:
    """The least cost over its threads, each with what its return place needs; FULL when the arena must grow.

    Remembered with the configuration.
    """
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + REMEMBERS] == 0:
        return _place_cost(P, M, K, configuration)
    if M[record + COST] < 0:
        best = NEVER
        for i in range(thread_count(M, configuration)):
            thread = thread_of(M, configuration, i)
            if _is_settled(P, M, thread):
                cost = _thread_and_rest(P, M, K, thread)
            else:
                cost = _searched_cost(P, M, K, thread)
            if cost < 0:
                return FULL
            best = min(best, cost)
        M[record + COST] = best
    return M[record + COST]


@jit
def _thread_and_rest(P: Words, M: Words, K: Words, thread: int) -> int:
    t = address_of(M, thread)
    rest = _place_cost(P, M, K, M[t + 4])
    return FULL if rest < 0 else _sum(rest, thread_cost(P, M, K, M[t], M[t + 1], M[t + 2], M[t + 3]))


@jit
def _is_settled(P: Words, M: Words, thread: int) -> bool:
    """Whether the cheapest way on is open to a thread that remembers. (Behind a comma it may have been used.)"""
    t = address_of(M, thread)
    operation = P[M[t]]
    is_behind_comma = operation == ARRAY_NEXT or operation == ITEMS_NEXT or operation == OBJECT_NEXT
    return (M[t + MEMORY] <= 0 or not is_behind_comma) and is_free(P, M, thread)


@jit
def _searched_cost(P: Words, M: Words, K: Words, thread: int) -> int:
    """The cost where the cheapest ways may be forbidden: iterative deepening (Korf 1985) over the bytes that matter."""
    if not has_room(M):
        return FULL
    wanted = _thread_and_rest(P, M, K, thread)
    t = address_of(M, thread)
    alone = intern_single(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], M[t + MEMORY])
    most = -1
    while most < wanted < NEVER:
        most = wanted
        wanted = _least_beyond(P, M, K, alone, most)
    return wanted


@jit
def _least_beyond(P: Words, M: Words, K: Words, configuration: int, most: int) -> int:
    """`most`, if some settled thread is reached from which the end costs no more in all; FULL: no room.

    Else the least cost of what was passed over, a larger one: with less than that nothing new would be found.
    """
    begin_search(P, M, configuration)
    depth = 0
    steps = 0
    passed = NEVER
    while depth >= 0:
        byte = next_byte(P, M, depth)
        if byte == NO_BYTE:
            depth -= 1
            continue
        at = M[SEARCH] + depth * SEARCH_WORDS
        spent = _sum(M[at + NOTE], _byte_cost(P, K, byte))
        if spent > most:
            passed = min(passed, spent)
            continue
        target = step(P, M, M[at + PLACE], byte)
        if target == FULL:
            return FULL
        if target == 0 or not is_in_order(P, M, target):
            continue
        best = NEVER
        for i in range(thread_count(M, target)):
            thread = thread_of(M, target, i)
            cost = _thread_and_rest(P, M, K, thread)
            if cost < 0:
                return FULL
            if spent + cost <= most and _is_settled(P, M, thread):
                return most
            best = min(best, _sum(spent, cost))
        if best > most:
            passed = min(passed, best)
            continue
        steps += 1
        if steps > MOST_STEPS:
            M[OVERFLOW] = UNDECIDED
            return FULL
        if not deepen(P, M, depth, target, spent):
            return FULL
        depth += 1
    return passed


@jit
def _place_cost(P: Words, M: Words, K: Words, configuration: int) -> int:
    """The same for places to return to, and wherever nothing is remembered."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + COST] >= 0:
        return M[record + COST]
    # Return places are older than what returns to them, so this ends; an explicit stack, for the nesting may be deep.
    # The first half of the walk's memory may belong to a caller.
    base = M[WALK_CAPACITY] // 2
    top = base
    M[M[WALK] + top] = configuration
    while top >= base:
        current = M[M[WALK] + top]
        record = M[CONFIGURATIONS] + current * CONFIGURATION_WORDS
        start = M[LISTS] + M[record + LIST_START]
        best = NEVER
        missing = 0
        for i in range(start, start + M[record + LIST_LENGTH]):
            t = M[THREADS] + M[i] * THREAD_WORDS
            ret = M[t + 4]
            after = 0
            if ret:
                after = M[M[CONFIGURATIONS] + ret * CONFIGURATION_WORDS + COST]
                if after < 0:
                    missing = ret
                    break
            best = min(best, _sum(after, thread_cost(P, M, K, M[t], M[t + 1], M[t + 2], M[t + 3])))
        if missing:
            top += 1
            if top == M[WALK_CAPACITY]:
                M[OVERFLOW] = WALK_FULL
                return FULL
            M[M[WALK] + top] = missing
        else:
            M[record + COST] = best
            top -= 1
    return M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + COST]
