"""Costs of records and of the threads that stand in them: to the end of their frame.

The array K (see `automaton_costs`) has for every record the cost from entering it to leaving its frame: K[pc]. It is
found once for a program, a least fixpoint (as in Knuth 1977, "A generalization of Dijkstra's algorithm").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit
from tokamask.grammar.program import (
    ARRAY_AFTER,
    ARRAY_DEARER,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_SATURATION,
    ARRAY_WHITESPACE,
    CALL,
    CHOICE,
    END,
    ITEMS_AFTER,
    ITEMS_DISTINCT,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    LOOP,
    OBJECT_AFTER,
    OBJECT_COLON,
    OBJECT_KEY,
    OBJECT_NEXT,
    OBJECT_OPEN,
    OBJECT_VALUE,
    OBJECT_WHITESPACE,
    RETURN,
    STRING,
    VALUE,
)
from tokamask.grammar.threads import item_value, property_value
from tokamask.masking.automaton_costs import NEVER, analyse_automaton, cost_sum, state_row
from tokamask.masking.object_costs import analyse_object, key_cost, next_key_cost, object_rest
from tokamask.masking.string_costs import inside_cost, string_cost

Words = npt.NDArray[np.int32]


@jit
def _items_begun(P: Words, K: Words, record: int, state: int, operation: int) -> int:
    """From where an item may come, or must (ITEMS_NEXT), to the end of an array that an automaton describes."""
    best = 1 if operation == ITEMS_OPEN and P[state] else NEVER
    at = state + 1
    while P[at]:
        dearer = K[record + ITEMS_DISTINCT] if P[record + ITEMS_DISTINCT] else 0
        best = min(best, cost_sum(K[P[at]] + dearer, K[P[record + ITEMS_STATES + P[at + 1]]]))
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
            best = 1 if P[state] else cost_sum(1, _items_begun(P, K, pc, state, ITEMS_NEXT))
            if best < K[state]:
                K[state] = best
                changed = True
    return _items_begun(P, K, pc, P[pc + ITEMS_STATES], ITEMS_OPEN)


@jit
def _items_cost(P: Words, K: Words, record: int, data: int) -> int:
    """From after an item, with `data` items counted, to the end of the array."""
    total = 1
    for index in range(data, P[record + ARRAY_MINIMUM]):
        total = cost_sum(total, 1 + _item_cost(P, K, record, index))
    return total


@jit
def _item_cost(P: Words, K: Words, record: int, index: int) -> int:
    """The cost of an item after `index` others; dearer where it must differ from them and they may be the cheapest."""
    cost = K[item_value(P, record, index)]
    if P[record + ARRAY_DEARER] and index < P[record + ARRAY_MINIMUM]:
        cost = cost_sum(cost, K[P[record + ARRAY_DEARER] + index])
    return cost


@jit
def _analyse_record(P: Words, K: Words, pc: int) -> int:
    operation = P[pc]
    if operation == END or operation == RETURN:
        return 0
    if operation == CALL:
        return cost_sum(K[P[pc + 1]], K[P[pc + 2]])
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
        return cost_sum(K[state_row(P, P[pc + 1], 0)], K[P[pc + 2]])
    if operation == VALUE:
        best = NEVER
        for i in range(P[pc + 1]):
            alternative = P[pc + 2 + i]
            best = min(best, cost_sum(K[alternative], 0 if P[alternative] == LEXEME else 1))
        return best
    if operation == STRING:
        if P[pc + 3] == 0:
            return P[pc + 1] + 1
        analyse_automaton(P, K, P[pc + 3])
        return cost_sum(inside_cost(P, K, pc, 0, 0), 1)
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
        return analyse_object(P, P, K, pc)
    return NEVER


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


# Threads: from where they stand to the end of their frame.


@jit
def _blank_cost(P: Words, K: Words, block: int, state: int) -> int:
    return K[state_row(P, block, state)]


@jit
def thread_cost(P: Words, M: Words, K: Words, pc: int, data: int, lexeme: int, escape: int) -> int:
    operation = P[pc]
    if operation == LEXEME:
        return cost_sum(K[state_row(P, P[pc + 1], lexeme)], K[P[pc + 2]])
    if operation == LOOP:
        missing = max(0, P[pc + 2] - data)
        return min(NEVER, missing * K[P[pc + 1]]) if missing else 0
    if operation < STRING:
        return K[pc]
    if operation == STRING:
        return string_cost(P, K, pc, data, lexeme, escape)
    if operation == OBJECT_KEY:
        return key_cost(P, M, K, pc - (OBJECT_KEY - OBJECT_OPEN), data, lexeme, escape)
    if operation >= OBJECT_OPEN:
        record = pc - (operation - OBJECT_OPEN)
        blank = _blank_cost(P, K, P[record + OBJECT_WHITESPACE], lexeme)
        if operation == OBJECT_COLON or operation == OBJECT_VALUE:
            rest = cost_sum(K[property_value(P, record, escape)], object_rest(P, M, K, record, data, -1, 0))
            return cost_sum(blank, cost_sum(rest, 1 if operation == OBJECT_COLON else 0))
        if operation == OBJECT_AFTER:
            return cost_sum(blank, object_rest(P, M, K, record, data, -1, 0))
        if operation == OBJECT_NEXT:
            return cost_sum(blank, next_key_cost(P, M, K, record, data))
        total = object_rest(P, M, K, record, data, -1, 0)
        return cost_sum(blank, total if total == 1 else total - 1)
    if operation >= ITEMS_OPEN:
        record = pc - (operation - ITEMS_OPEN)
        state = P[record + ITEMS_STATES + data]
        blank = _blank_cost(P, K, P[record + ITEMS_WHITESPACE], lexeme)
        return cost_sum(blank, K[state] if operation == ITEMS_AFTER else _items_begun(P, K, record, state, operation))
    record = pc - (operation - ARRAY_OPEN)
    blank = _blank_cost(P, K, P[record + ARRAY_WHITESPACE], lexeme)
    if operation == ARRAY_AFTER:
        return cost_sum(blank, _items_cost(P, K, record, data))
    if operation == ARRAY_NEXT:
        counted = min(data + 1, P[record + ARRAY_SATURATION])
        return cost_sum(blank, cost_sum(_item_cost(P, K, record, data), _items_cost(P, K, record, counted)))
    total = _items_cost(P, K, record, data)
    return cost_sum(blank, total if P[record + ARRAY_MINIMUM] == 0 else total - 1)
