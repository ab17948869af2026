"""How far a configuration is from the end: the fewest one-byte tokens that complete the text.

This is an upper bound on the tokens needed, exact for a vocabulary of single bytes, and it is cheap: the costs of
threads (see `record_costs`) summed along the stack. Where something is remembered, and the cheapest ways may be
forbidden, they are searched for.
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
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
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
from tokamask.grammar.jit import jit
from tokamask.grammar.name_order import is_in_order
from tokamask.grammar.program import ARRAY_NEXT, ITEMS_NEXT, OBJECT_NEXT
from tokamask.grammar.search import NO_BYTE, NOTE, PLACE, begin_search, deepen, next_byte
from tokamask.grammar.survival import is_free, step
from tokamask.masking.automaton_costs import NEVER, byte_cost, cost_sum
from tokamask.masking.record_costs import thread_cost

Words = npt.NDArray[np.int32]


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
    return FULL if rest < 0 else cost_sum(rest, thread_cost(P, M, K, M[t], M[t + 1], M[t + 2], M[t + 3]))


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
    passed = NEVER
    while depth >= 0:
        byte = next_byte(P, M, depth)
        if byte == NO_BYTE:
            depth -= 1
            continue
        at = M[SEARCH] + depth * SEARCH_WORDS
        spent = cost_sum(M[at + NOTE], byte_cost(P, K, byte))
        if spent > most:
            passed = min(passed, spent)
            continue
        target = step(P, M, M[at + PLACE], byte)
        if target == FULL:
            return FULL
        if target == 0 or not is_in_order(P, M, target):
            if M[OVERFLOW]:
                return FULL
            continue
        best = NEVER
        for i in range(thread_count(M, target)):
            thread = thread_of(M, target, i)
            cost = _thread_and_rest(P, M, K, thread)
            if cost < 0:
                return FULL
            if spent + cost <= most and _is_settled(P, M, thread):
                return most
            best = min(best, cost_sum(spent, cost))
        if best > most:
            passed = min(passed, best)
            continue
        if not deepen(P, M, depth, target, spent):
            return FULL
        depth += 1
    return FULL if M[OVERFLOW] else passed


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
            best = min(best, cost_sum(after, thread_cost(P, M, K, M[t], M[t + 1], M[t + 2], M[t + 3])))
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
