"""Kernels behind `shortest`: which places are one token on, and how far from the end they can be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    OPERATIONS,
    ROWS,
    STAMP,
    THREAD_WORDS,
    THREADS,
    VISITS,
    WALK,
    WALK_CAPACITY,
)
from tokamask.grammar.body_states import QUOTE
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, MASK, REMEMBERS
from tokamask.grammar.jit import carray, jit, pointer
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.name_table import OFF
from tokamask.grammar.program import OBJECT_KEY, STRING
from tokamask.grammar.string_body import home_of, starts_character
from tokamask.grammar.survival import is_free_text
from tokamask.masking.automaton_costs import NEVER
from tokamask.masking.configuration_costs import configuration_cost
from tokamask.masking.pieces import NODES, ROW_WORDS, TOKENS
from tokamask.masking.record_costs import thread_cost
from tokamask.masking.target_kernels import TOO_MANY, is_first_time, only_thread, token_move
from tokamask.masking.token_trie import QUOTE_BELOW
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count
from tokamask.masking.trie_walk import has_stack

Words = npt.NDArray[np.int32]


@jit
def largest_cost(P: Words, M: Words, V: Words, K: Words, configuration: int) -> int:
    """A bound on the cost behind any single token that the configuration allows. Its mask must be known.

    Tokens that stay inside a plain string leave the cost as it is, up to the end of an unfinished character.
    """
    largest = 0
    index = 0
    while True:
        # Moves may intern configurations, but a configuration's list of threads stays where it is.
        record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
        if index == M[record + LIST_LENGTH]:
            return largest
        thread = M[M[LISTS] + M[record + LIST_START] + index]
        index += 1
        t = M[THREADS] + thread * THREAD_WORDS
        after = configuration_cost(P, M, K, M[t + 4])
        if after < 0:
            return FULL
        # A token may leave only this thread, however dear.
        largest = max(largest, thread_cost(P, M, K, M[t], M[t + 1], M[t + 2], M[t + 3]) + after + 12)
        if P[M[t]] == OBJECT_KEY:
            # Leaving the declared names may need a value of its own; without further properties this is NEVER.
            outside = thread_cost(P, M, K, M[t], M[t + 1], OFF, home_of(M[t + 3] & 255))
            if outside < NEVER:
                largest = max(largest, outside + after + 12)
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + MASK]
            rows = M[at]
            for k in range(at + 3, at + 3 + rows):
                if M[k] < 0:
                    offset = M[ROWS] + (-1 - M[k]) * V[ROW_WORDS]
                    for word in range(V[ROW_WORDS]):
                        if M[offset + word] == 0:
                            continue
                        for bit in range(32):
                            if M[offset + word] >> bit & 1:
                                behind = _cost_behind(P, M, V, K, configuration, 32 * word + bit)
                                if behind < 0:
                                    return FULL
                                largest = max(largest, behind)
            tokens = at + 3 + rows
            for k in range(tokens, tokens + M[at + 1]):
                behind = _cost_behind(P, M, V, K, configuration, M[k])
                if behind < 0:
                    return FULL
                largest = max(largest, behind)
            thread = M[at + 2]


@jit
def _cost_behind(P: Words, M: Words, V: Words, K: Words, configuration: int, token: int) -> int:
    target = token_move(P, M, V, configuration, token)
    return configuration_cost(P, M, K, target) if target > 0 else target


@jit
def _is_settled_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether only a closing quote lowers the cost: inside a plain string that is long enough, or an undeclared key."""
    t = only_thread(M, configuration)
    if t == 0 or not starts_character(M[t + 3]):
        return False
    pc = M[t]
    if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS] and not is_free_text(P, M, configuration):
        return False
    if P[pc] == STRING:
        return P[pc + 3] == 0 and M[t + 1] >= P[pc + 1]
    return P[pc] == OBJECT_KEY and M[t + 2] == OFF


@jit
def successors(
    P: Words, M: Words, V: Words, K: Words, configuration: int, out: int, capacity: int, below: int, visits: int
) -> int:
    """Distinct configurations one token on whose cost is under `below`, as pairs (configuration, token) at `out`.

    After room for `capacity` pairs, one more word takes the trie nodes that were visited; the walk stops when they are
    more than `visits`. Where something may be forbidden, only tokens of one byte are tried: others are too many to
    remember what follows each. Returns the number of pairs; TOO_MANY when more than fit, FULL when the arena must grow.
    """
    pairs = carray(pointer(out), (2 * capacity + 1,), np.int32)
    buffer = candidate_buffer(M)
    nodes = V[NODES]
    limit = M[WALK_CAPACITY] // 2  # the other half is for `configuration_cost`
    found = 0
    M[STAMP] += 1
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = configuration
    top = 2
    visited = 0
    remembers = M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS] != 0
    is_shallow = remembers and not is_free_text(P, M, configuration)
    while top > 0 and visited <= visits:
        top -= 2
        node = M[M[WALK] + top]
        current = M[M[WALK] + top + 1]
        if not has_stack(M, top, limit, 2):
            return FULL
        count = ANY_BYTE
        if child_count(V, node) > 4:
            count = configuration_candidates(P, M, current, buffer)
        needs_quote = below < NEVER and _is_settled_text(P, M, current)
        for index in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, buffer, count, index)
            if child == 0:
                continue
            if needs_quote and V[child] & 255 != QUOTE and V[child + 3] & QUOTE_BELOW == 0:
                continue
            target = move(P, M, current, V[child] & 255)
            if target == 0:
                continue
            if target < 0:
                return FULL
            visited += 1
            if V[child] >> 17 and is_first_time(M, target):
                there = configuration_cost(P, M, K, target) if below < NEVER else 0
                if there < 0:
                    return FULL
                if there < below:
                    if found == capacity:
                        return TOO_MANY
                    pairs[2 * found] = target
                    pairs[2 * found + 1] = V[V[TOKENS] + V[child + 2]]
                    found += 1
            if child_count(V, child) and not is_shallow:
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    M[VISITS] += visited
    pairs[2 * capacity] = visited
    return found
