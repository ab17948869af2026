"""Kernels behind `shortest`: where single tokens lead, and how far from the end that is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    OPERATIONS,
    OVERFLOW,
    ROWS,
    STAMP,
    THREAD_WORDS,
    THREADS,
    VISITS,
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
)
from tokamask.grammar.body_states import QUOTE
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, MARK, MASK, REMEMBERS
from tokamask.grammar.jit import carray, jit, pointer
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.name_table import OFF
from tokamask.grammar.program import OBJECT_KEY, STRING
from tokamask.grammar.string_body import home_of, starts_character
from tokamask.grammar.survival import forgetful, is_free_text, with_holes
from tokamask.masking.automaton_costs import NEVER
from tokamask.masking.configuration_costs import configuration_cost
from tokamask.masking.pieces import NODES, ROW_WORDS, TEXT, TEXT_START, TOKENS
from tokamask.masking.record_costs import thread_cost
from tokamask.masking.token_trie import MOST_RUN, QUOTE_BELOW, RUN_SHIFT
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count

Words = npt.NDArray[np.int32]

TOO_MANY = -2  # more results than there is room for
IN_TEXT = -3  # there is text from which the end may be too far
UNFINISHED_CHARACTER = 3  # bytes that a code point may still need after its first one


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
def token_move(P: Words, M: Words, V: Words, configuration: int, token: int) -> int:
    """The configuration after the text of a token; 0: it cannot follow, or is never text."""
    if V[V[TEXT_START] + token] == V[V[TEXT_START] + token + 1]:
        return 0
    for i in range(V[TEXT] + V[V[TEXT_START] + token], V[TEXT] + V[V[TEXT_START] + token + 1]):
        configuration = move(P, M, configuration, V[i])
        if configuration <= 0:
            break
    return configuration


@jit
def targets(P: Words, M: Words, V: Words, configuration: int, row: int, out: int, reached: int, capacity: int) -> int:
    """For every token of the mask at `row`, the configuration behind it, in the int32 array at `out`.

    Each distinct one is also written to the int32 array at `reached`; returns their number, TOO_MANY when they are
    more than `capacity`, FULL when the arena must grow.
    """
    words = V[ROW_WORDS]
    mask = carray(pointer(row), (words,), np.int32)
    behind = carray(pointer(out), (32 * words,), np.int32)
    distinct = carray(pointer(reached), (capacity,), np.int32)
    M[STAMP] += 1
    count = 0
    for word in range(words):
        if mask[word] == 0:
            continue
        for bit in range(32):
            if mask[word] >> bit & 1:
                target = _place_behind(P, M, V, configuration, 32 * word + bit)
                if target < 0:
                    return FULL
                behind[32 * word + bit] = target
                mark = M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + MARK
                if M[mark] != M[STAMP]:
                    if count == capacity:
                        return TOO_MANY
                    M[mark] = M[STAMP]
                    distinct[count] = target
                    count += 1
    return count


@jit
def _place_behind(P: Words, M: Words, V: Words, configuration: int, token: int) -> int:
    """The configuration behind a token; one for all longer tokens that stay inside a remembered text."""
    start = V[TEXT] + V[V[TEXT_START] + token]
    end = V[TEXT] + V[V[TEXT_START] + token + 1]
    quote = end - 1
    while quote >= start and V[quote] != QUOTE:
        quote -= 1
    for i in range(start, end):
        configuration = move(P, M, configuration, V[i])
        if configuration <= 0:
            return configuration
        if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS] and end - start > 1 and i >= quote:
            if is_free_text(P, M, configuration):
                # Without memory, whatever follows up to the end of the token stays inside the text.
                configuration = forgetful(P, M, configuration)
                for k in range(i + 1, end):
                    if configuration > 0:
                        configuration = move(P, M, configuration, V[k])
                return with_holes(P, M, configuration) if configuration > 0 else configuration
    return configuration


@jit
def far_targets(
    P: Words, M: Words, V: Words, K: Words, configuration: int, row: int, out: int, reached: int, sure: int
) -> int:
    """As `targets`, but only those from which the end may be further than `sure` bytes are written to `reached`.

    There is room for one of every token. What is written to `out` for tokens that lead nearer is another such target,
    or nothing.
    """
    count = IN_TEXT
    if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS] == 0:
        count = _targets_in_trie(P, M, V, K, configuration, out, reached, sure)
    if count == IN_TEXT:
        count = targets(P, M, V, configuration, row, out, reached, 32 * V[ROW_WORDS])
    distinct = carray(pointer(reached), (32 * V[ROW_WORDS],), np.int32)
    far = 0
    for i in range(count):
        cost = configuration_cost(P, M, K, distinct[i])
        if cost < 0:
            return FULL
        if cost > sure:
            distinct[far] = distinct[i]
            far += 1
    return FULL if count < 0 else far


@jit
def _targets_in_trie(
    P: Words, M: Words, V: Words, K: Words, configuration: int, out: int, reached: int, sure: int
) -> int:
    """The targets of all tokens but those that stay inside settled text: see `_is_settled_text`.

    Text leads no further from the end than the rest of a character. IN_TEXT where that may be more than `sure`.
    """
    behind = carray(pointer(out), (32 * V[ROW_WORDS],), np.int32)
    distinct = carray(pointer(reached), (32 * V[ROW_WORDS],), np.int32)
    buffer = candidate_buffer(M)
    nodes = V[NODES]
    M[STAMP] += 1
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = configuration
    top = 2
    found = 0
    while top > 0:
        top -= 2
        node = M[M[WALK] + top]
        current = M[M[WALK] + top + 1]
        if top > M[WALK_CAPACITY] // 2 - 520:  # the other half is for `configuration_cost`
            M[OVERFLOW] = WALK_FULL
            return FULL
        is_settled = _is_settled_text(P, M, current)
        count = ANY_BYTE
        if is_settled:
            cost = configuration_cost(P, M, K, current)
            if cost < 0:
                return FULL
            if cost + UNFINISHED_CHARACTER > sure:
                return IN_TEXT
        elif child_count(V, node) > 4:
            count = configuration_candidates(P, M, current, buffer)
        for index in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, buffer, count, index)
            if child == 0 or (is_settled and V[child + 3] >> RUN_SHIFT & MOST_RUN):
                continue
            target = move(P, M, current, V[child] & 255)
            if target == 0:
                continue
            if target < 0:
                return FULL
            M[VISITS] += 1
            mark = M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + MARK
            own = V[TOKENS] + V[child + 2]
            count_here = V[child] >> 17
            if count_here and M[mark] != M[STAMP]:
                M[mark] = M[STAMP]
                distinct[found] = target
                found += 1
            for k in range(own, own + count_here):
                behind[V[k]] = target
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    return found


@jit
def drop(M: Words, V: Words, row: int, out: int, far: int, count: int) -> int:
    """Clear the tokens of the mask at `row` that lead (by `out`, see `targets`) to one of `count` places at `far`."""
    words = V[ROW_WORDS]
    mask = carray(pointer(row), (words,), np.int32)
    behind = carray(pointer(out), (32 * words,), np.int32)
    unwanted = carray(pointer(far), (count,), np.int32)
    M[STAMP] += 1
    for i in range(count):
        M[M[CONFIGURATIONS] + unwanted[i] * CONFIGURATION_WORDS + MARK] = M[STAMP]
    for word in range(words):
        if mask[word] == 0:
            continue
        for bit in range(32):
            if mask[word] >> bit & 1:
                mark = M[CONFIGURATIONS] + behind[32 * word + bit] * CONFIGURATION_WORDS + MARK
                if M[mark] == M[STAMP]:
                    mask[word] ^= np.int32(1 << bit)
    return 0


@jit
def _is_settled_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether only a closing quote lowers the cost: inside a plain string that is long enough, or an undeclared key."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + LIST_LENGTH] != 1:
        return False
    t = M[THREADS] + M[M[LISTS] + M[record + LIST_START]] * THREAD_WORDS
    if not starts_character(M[t + 3]):
        return False
    pc = M[t]
    if M[record + REMEMBERS] and not is_free_text(P, M, configuration):
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
        if top > M[WALK_CAPACITY] // 2 - 520:  # the other half is for `configuration_cost`
            M[OVERFLOW] = WALK_FULL
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
            mark = M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + MARK
            if V[child] >> 17 and M[mark] != M[STAMP]:
                M[mark] = M[STAMP]
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
