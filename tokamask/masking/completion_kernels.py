"""Kernels behind `shortest`: a cheap completion and its tokens, where single tokens lead, and how far that is."""

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
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, MARK
from tokamask.grammar.jit import carray, jit, pointer
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.name_table import OFF
from tokamask.grammar.program import OBJECT_KEY
from tokamask.grammar.string_body import NORMAL
from tokamask.masking.cost_kernels import NEVER, configuration_cost, thread_cost
from tokamask.masking.mask_kernels import child_count, find_child
from tokamask.masking.pieces import NODES, ROW_WORDS, TEXT, TEXT_START, TOKENS

Words = npt.NDArray[np.int32]

NO_DESCENT = -2  # no byte leads closer to the end
NO_SPELLING = -2  # the tokens cannot spell a text


@jit
def cheapest_text(P: Words, M: Words, K: Words, configuration: int, out: int, capacity: int) -> int:
    """Write the bytes of the cheapest completion to the uint8 array at `out`; returns their number.

    Each byte is the smallest one that lowers the cost most, so the completion of what a prefix of it leads to is the
    rest of it. Returns NO_DESCENT when there is none (or `capacity` is short), FULL when the arena must grow.
    """
    text = carray(pointer(out), (capacity,), np.uint8)
    buffer = candidate_buffer(M)
    length = 0
    current = configuration_cost(P, M, K, configuration)
    if current < 0:
        return FULL
    while current > 0:
        count = configuration_candidates(P, M, configuration, buffer)
        best = current
        best_byte = -1
        following = 0
        for i in range(256 if count == ANY_BYTE else count):
            byte = i if count == ANY_BYTE else buffer[i]
            target = move(P, M, configuration, byte)
            if target < 0:
                return FULL
            if target == 0:
                continue
            cost_there = configuration_cost(P, M, K, target)
            if cost_there < 0:
                return FULL
            if cost_there < best or (cost_there == best and best_byte > byte):
                best = cost_there
                best_byte = byte
                following = target
        if best_byte < 0 or length == capacity:
            return NO_DESCENT
        text[length] = best_byte
        length += 1
        configuration = following
        current = best
    return length


@jit
def spell(V: Words, text: int, length: int, out: int) -> int:
    """The fewest tokens that spell `length` bytes at `text`, written to the int32 array at `out`; or NO_SPELLING.

    Dynamic programming over positions, from the end; `out` has room for 2 * length + 1 words.
    """
    T = carray(pointer(text), (length,), np.uint8)
    # First half: the token at each position; second half: how many from there.
    best = carray(pointer(out), (2 * length + 1,), np.int32)
    nodes = V[NODES]
    best[2 * length] = 0
    for at in range(length - 1, -1, -1):
        fewest = NEVER
        chosen = -1
        node = nodes
        for end in range(at, length):
            node = find_child(V, nodes, node, int(T[end]))
            if node == 0:
                break
            if V[node] >> 17 and best[length + end + 1] + 1 <= fewest:
                fewest = best[length + end + 1] + 1
                chosen = V[V[TOKENS] + V[node + 2]]
        best[at] = chosen
        best[length + at] = fewest
    if length and best[length] >= NEVER:
        return NO_SPELLING
    count = 0
    at = 0
    while at < length:
        token = best[at]
        best[count] = token
        count += 1
        at += V[V[TEXT_START] + token + 1] - V[V[TEXT_START] + token]
    return count


@jit
def largest_cost(P: Words, M: Words, V: Words, K: Words, configuration: int) -> int:
    """A bound on the cost behind any single token that the configuration allows. Its mask must be known.

    Tokens that stay inside a plain string leave the cost as it is, up to the end of an unfinished character.
    """
    largest = configuration_cost(P, M, K, configuration)
    if largest < 0:
        return FULL
    largest += 12
    index = 0
    while True:
        # Moves may intern configurations, but a configuration's list of threads stays where it is.
        record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
        if index == M[record + LIST_LENGTH]:
            return largest
        thread = M[M[LISTS] + M[record + LIST_START] + index]
        index += 1
        operation = P[M[M[THREADS] + thread * THREAD_WORDS]]
        if operation == OBJECT_KEY:
            # Leaving the declared names may need a value of its own; without further properties this is NEVER.
            t = M[THREADS] + thread * THREAD_WORDS
            outside = thread_cost(P, M, K, M[t], M[t + 1], OFF, NORMAL)
            after = configuration_cost(P, M, K, M[t + 4])
            if after < 0:
                return FULL
            if outside < NEVER:
                largest = max(largest, outside + after + 12)
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + 5]
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
def targets(P: Words, M: Words, V: Words, configuration: int, row: int, out: int) -> int:
    """For every token of the mask at `row`, the configuration behind it, in the int32 array at `out` (0: not allowed).

    Returns 0, or FULL when the arena must grow.
    """
    words = V[ROW_WORDS]
    mask = carray(pointer(row), (words,), np.int32)
    behind = carray(pointer(out), (32 * words,), np.int32)
    for word in range(words):
        for bit in range(32):
            token = 32 * word + bit
            behind[token] = 0
            if mask[word] >> bit & 1:
                target = token_move(P, M, V, configuration, token)
                if target < 0:
                    return FULL
                behind[token] = target
    return 0


@jit
def successors(P: Words, M: Words, V: Words, configuration: int, out: int, capacity: int) -> int:
    """The distinct configurations that one token leads to, as pairs (configuration, token) at `out`; their number.

    Returns FULL when the arena must grow, NO_DESCENT when `capacity` pairs do not suffice.
    """
    pairs = carray(pointer(out), (2 * capacity,), np.int32)
    buffer = candidate_buffer(M)
    nodes = V[NODES]
    found = 0
    M[STAMP] += 1
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = configuration
    top = 2
    while top > 0:
        top -= 2
        node = M[M[WALK] + top]
        current = M[M[WALK] + top + 1]
        if top > M[WALK_CAPACITY] - 520:
            M[OVERFLOW] = WALK_FULL
            return FULL
        children = child_count(V, node)
        count = ANY_BYTE
        if children > 4:
            count = configuration_candidates(P, M, current, buffer)
        listed = count != ANY_BYTE and count < children
        first = nodes + 4 * V[node + 1]
        for i in range(count if listed else children):
            child = find_child(V, nodes, node, buffer[i]) if listed else first + 4 * i
            if child == 0:
                continue
            target = move(P, M, current, V[child] & 255)
            if target == 0:
                continue
            if target < 0:
                return FULL
            M[VISITS] += 1
            mark = M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + MARK
            if V[child] >> 17 and M[mark] != M[STAMP]:
                if found == capacity:
                    return NO_DESCENT
                M[mark] = M[STAMP]
                pairs[2 * found] = target
                pairs[2 * found + 1] = V[V[TOKENS] + V[child + 2]]
                found += 1
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    return found
