"""Costs inside JSON strings: to the end of a character, of an automaton's text, of one whose length is counted.

Far from the bounds on its length the cheapest way on is that of the automaton alone (see `automaton_costs`). Near them
tables behind the words of K tell it: one row for each number of code points that may still begin, up to where more of
them make nothing cheaper, then one for each count below the minimum. A row has the cost from each state to acceptance,
int32.

K[pc + STRING_LENGTHS] is where in K the table of a record begins, K[pc + STRING_UNBOUNDED] how many rows of the first
kind there are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_move, automaton_read
from tokamask.grammar.program import (
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    AUTOMATON_STATES,
    STRING,
    STRING_LENGTHS,
    STRING_UNBOUNDED,
    Program,
)
from tokamask.grammar.string_body import (
    BODY,
    advance_escape,
    escape_high,
    escape_low,
    has_short_escape,
    is_escape_state,
    may_become,
)
from tokamask.masking.automaton_costs import NEVER, analyse_automaton, cost_sum, costs_before, state_row

Words = npt.NDArray[np.int32]


def _distances_to_normal() -> npt.NDArray[np.int32]:
    """Bytes from each body state to the end of its character."""
    distance = np.full(BODY_STATES, 99, dtype=np.int32)
    distance[[NORMAL, MINIMAL]] = 0
    for _ in range(BODY_STATES):
        for state in [*range(NORMAL + 1, MINIMAL), *range(MINIMAL + 1, BODY_STATES)]:
            targets = BODY[state][BODY[state] >= 0]
            distance[state] = min(distance[state], 1 + distance[targets].min())
    return distance


TO_NORMAL = _distances_to_normal()


@jit
def inside_cost(P: Words, K: Words, pc: int, count: int, state: int) -> int:
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


@jit
def _least_in_64(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int, first: int) -> int:
    """The least cost behind low..high among the 64 code points from `first` on, whose leading bytes led to `state`."""
    best = NEVER
    for code_point in range(max(low, first), min(high, first + 63) + 1):
        target = automaton_move(P, P[pc + 3], state, 0x80 | (code_point & 63))
        if target >= 0:
            best = min(best, inside_cost(P, K, pc, count, target))
    return best


@jit
def _least_behind_lead(
    P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int, first: int, size: int
) -> int:
    """The same among the 4096 or 262144 that begin at `first`, all with one first byte.

    Neighbours that lead to the same place cost the same, and ranges of characters make almost all of them do so.
    """
    best = NEVER
    known = -1
    for middle in range(first, first + size, 4096):
        outer = state if size == 4096 else automaton_move(P, P[pc + 3], state, 0x80 | (middle >> 12 & 63))
        if outer < 0 or outer == known or middle > high or middle + 4095 < low:
            continue
        known = outer if low <= middle and middle + 4095 <= high else -1
        inner = -1
        for begin in range(middle, middle + 4096, 64):
            target = automaton_move(P, P[pc + 3], outer, 0x80 | (begin >> 6 & 63))
            if target < 0 or target == inner or begin > high or begin + 63 < low:
                continue
            inner = target if low <= begin and begin + 63 <= high else -1
            best = min(best, _least_in_64(P, K, pc, count, target, low, high, begin))
    return best


@jit
def _least_escaped(P: Words, K: Words, pc: int, count: int, state: int, low: int, high: int) -> int:
    """The least cost inside a string behind any code point of low..high that the automaton can read."""
    best = NEVER
    for code_point in range(low, min(high, 0x7F) + 1):
        target = automaton_move(P, P[pc + 3], state, code_point)
        if target >= 0:
            best = min(best, inside_cost(P, K, pc, count, target))
    for lead in range(0xC2, 0xF5):
        target = automaton_move(P, P[pc + 3], state, lead)
        if target < 0:
            continue
        if lead < 0xE0:
            best = min(best, _least_in_64(P, K, pc, count, target, low, high, (lead & 0x1F) << 6))
        elif lead < 0xF0:
            best = min(best, _least_behind_lead(P, K, pc, count, target, low, high, (lead & 0x0F) << 12, 1 << 12))
        else:
            best = min(best, _least_behind_lead(P, K, pc, count, target, low, high, (lead & 0x07) << 18, 1 << 18))
    return best


@jit
def string_cost(P: Words, K: Words, pc: int, count: int, lexeme: int, packed: int) -> int:
    block = P[pc + 3]
    state = packed & 255
    if block == 0:
        return TO_NORMAL[state] + max(0, P[pc + 1] - count) + 1
    if not is_escape_state(state):
        # Inside a raw character the automaton's own path counts its remaining bytes.
        return cost_sum(inside_cost(P, K, pc, count, lexeme), 1)
    if state >= MINIMAL:
        best = NEVER
        for code_point in range(MOST_ESCAPED + 1):
            target = automaton_move(P, block, lexeme, code_point)
            if target >= 0 and may_become(packed, code_point):
                bytes_left = TO_NORMAL[state]
                if state == MINIMAL_ESCAPE and not has_short_escape(code_point):
                    bytes_left = 5
                best = min(best, cost_sum(bytes_left, inside_cost(P, K, pc, count, target)))
        return cost_sum(best, 1)
    low = escape_low(packed)
    high = escape_high(packed)
    if state == ESCAPE or state == HEX_0:
        high = 0xFFFF
    best = cost_sum(TO_NORMAL[state], _least_escaped(P, K, pc, count, lexeme, low, high))
    if state == ESCAPE or state == HEX_0:
        # Beyond U+FFFF it takes a second escape.
        best = min(best, cost_sum(TO_NORMAL[state] + 6, _least_escaped(P, K, pc, count, lexeme, 0x10000, 0x10FFFF)))
    if state == ESCAPE:
        best = cost_sum(best, 4)  # \uXXXX, unless a short escape does
        for byte in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
            after = advance_escape(packed, byte)
            if after & 255 == COMPLETE:
                target = automaton_read(P, block, lexeme, after >> 8)
                if target >= 0:
                    best = min(best, cost_sum(1, inside_cost(P, K, pc, count, target)))
    elif state == HEX_1D:
        best = min(best, cost_sum(9, _least_escaped(P, K, pc, count, lexeme, 0x10000, 0x10FFFF)))
    return cost_sum(best, 1)


def with_string_costs(program: Program, costs: Words) -> Words:
    """K with the tables of all counted strings at its end. Its byte costs must be there, everything else NEVER."""
    words = program.words
    strings = program.records[words[program.records] == STRING]
    parts = [costs]
    size = len(costs)
    for pc in strings[words[strings + STRING_LENGTHS] > 0].tolist():
        minimum, maximum, block = words[pc + 1 : pc + 4].tolist()
        analyse_automaton(words, costs, block)
        tight = [] if maximum < 0 else _rows_within(words, costs, block, maximum - minimum)
        at_minimum = tight[-1] if maximum >= 0 and len(tight) > maximum - minimum else _unbounded(words, costs, block)
        parts += [*tight, _rows_below(words, costs, block, at_minimum, minimum).ravel()]
        costs[pc + STRING_LENGTHS] = size
        costs[pc + STRING_UNBOUNDED] = len(tight)
        size += (len(tight) + minimum) * len(at_minimum)
    return np.concatenate(parts)


def _unbounded(words: Words, costs: Words, block: int) -> Words:
    """int32 (states,): the cost from each state to acceptance, whatever the length."""
    states, width = int(words[block + AUTOMATON_STATES]), int(words[block + AUTOMATON_CLASSES]) + 1
    first = block + int(words[block + AUTOMATON_ROWS])
    return costs[first + 1 : first + states * width : width].copy()


def _rows_within(words: Words, costs: Words, block: int, most: int) -> list[Words]:
    """The costs where 0, 1, ... up to `most` code points may begin, as far as that makes a difference."""
    unbounded = _unbounded(words, costs, block)
    rows: list[Words] = []
    behind = np.full_like(unbounded, NEVER)
    while len(rows) <= most:
        row = np.empty_like(unbounded)
        costs_before(words, costs, block, behind, row, 0)
        if np.array_equal(row, unbounded):
            break
        rows.append(row)
        behind = row
    return rows


def _rows_below(words: Words, costs: Words, block: int, at_minimum: Words, minimum: int) -> Words:
    """int32 (minimum, states): the costs where 0, 1, ... code points have begun, too few of them to end."""
    rows = np.empty((minimum, len(at_minimum)), dtype=np.int32)
    behind = at_minimum
    for count in range(minimum - 1, -1, -1):
        costs_before(words, costs, block, behind, rows[count], NEVER)
        behind = rows[count]
    return rows
