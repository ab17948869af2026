"""The closure of a set of threads: what they can do without reading a byte, and one spelling of the set that is left.

The set under construction lies in the arena's scratch, see `configurations`. Closed, it holds only threads that read a
byte (or stand at the end of the text), in canonical order, those that differ only in where they return to as one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    LIST_USED,
    LISTS,
    OVERFLOW,
    SCRATCH,
    SCRATCH_COUNT,
    SCRATCH_WORDS,
)
from tokamask.grammar.configurations import (
    CLOSURE,
    intern_list,
    intern_single,
    intern_thread,
    push,
    push_threads,
    united,
)
from tokamask.grammar.jit import jit
from tokamask.grammar.memory import FORBIDDEN, ended_text
from tokamask.grammar.program import (
    ACCEPTING,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    CALL,
    CHOICE,
    END,
    LAST_EPSILON,
    LEXEME,
    LIVE,
    LOOP,
    RETURN,
    RETURN_PC,
)

Words = npt.NDArray[np.int32]


@jit
def _seen_before(M: Words, entry: int) -> bool:
    """Whether an equal entry stands earlier in the scratch."""
    base = M[SCRATCH]
    at = base + entry * SCRATCH_WORDS
    for i in range(base, at, SCRATCH_WORDS):
        if (
            M[i] == M[at]
            and M[i + 4] == M[at + 4]
            and M[i + 1] == M[at + 1]
            and M[i + 2] == M[at + 2]
            and M[i + 3] == M[at + 3]
            and M[i + 5] == M[at + 5]
        ):
            return True
    return False


@jit
def _expand(P: Words, M: Words, entry: int) -> None:
    """Follow what a thread can do without reading a byte; marks it when nothing of its own remains."""
    at = M[SCRATCH] + entry * SCRATCH_WORDS
    pc = M[at]
    data = M[at + 1]
    ret = M[at + 4]
    memory = M[at + 5]
    operation = P[pc]
    if operation == LEXEME:
        block = P[pc + 1]
        row = block + P[block + AUTOMATON_ROWS] + M[at + 2] * (P[block + AUTOMATON_CLASSES] + 1)
        flags = P[row]
        if flags & LIVE == 0:
            M[at + 6] = 1
        if flags & ACCEPTING:
            after = ended_text(M, memory)
            if after != FORBIDDEN:
                push(M, P[pc + 2], data, 0, 0, ret, after)
        return
    M[at + 6] = 1
    if operation == RETURN:
        push_threads(M, ret, memory)
    elif operation == CHOICE:
        for i in range(P[pc + 1]):
            push(M, P[pc + 2 + i], data, 0, 0, ret, 0)
    elif operation == CALL:
        push(M, P[pc + 1], 0, 0, 0, intern_single(P, M, P[pc + 2], data, 0, 0, ret, 0), 0)
    elif operation == LOOP:
        minimum = P[pc + 2]
        maximum = P[pc + 3]
        if data >= minimum:
            push(M, RETURN_PC, 0, 0, 0, ret, 0)
        if maximum < 0 or data < maximum:
            counted = data + 1 if maximum >= 0 or data < minimum else data
            push(M, P[pc + 1], 0, 0, 0, intern_single(P, M, pc, counted, 0, 0, ret, 0), 0)


@jit
def _less(M: Words, a: int, b: int) -> bool:
    for k in range(4):
        if M[a + k] != M[b + k]:
            return M[a + k] < M[b + k]
    # Return places last: threads that differ in nothing else become neighbours.
    if M[a + 5] != M[b + 5]:
        return M[a + 5] < M[b + 5]
    return M[a + 4] < M[b + 4]


@jit
def _swap(M: Words, a: int, b: int) -> None:
    for k in range(SCRATCH_WORDS):
        M[a + k], M[b + k] = M[b + k], M[a + k]


@jit
def _sort(M: Words, count: int) -> None:
    """Heap sort of the first `count` scratch entries (insertion sort when there are few)."""
    base = M[SCRATCH]
    if count <= 16:
        for i in range(1, count):
            j = i
            while j > 0 and _less(M, base + j * SCRATCH_WORDS, base + (j - 1) * SCRATCH_WORDS):
                _swap(M, base + j * SCRATCH_WORDS, base + (j - 1) * SCRATCH_WORDS)
                j -= 1
        return
    end = count
    root = count // 2
    while end > 1:
        if root > 0:
            root -= 1
            i = root
        else:
            end -= 1
            _swap(M, base, base + end * SCRATCH_WORDS)
            i = 0
        while 2 * i + 1 < end:
            child = 2 * i + 1
            if child + 1 < end and _less(M, base + child * SCRATCH_WORDS, base + (child + 1) * SCRATCH_WORDS):
                child += 1
            if not _less(M, base + i * SCRATCH_WORDS, base + child * SCRATCH_WORDS):
                break
            _swap(M, base + i * SCRATCH_WORDS, base + child * SCRATCH_WORDS)
            i = child


@jit
def close_scratch(P: Words, M: Words) -> int:
    """Close the set in the scratch, intern it and empty the scratch. Returns the configuration; 0 on overflow."""
    i = 0
    while i < M[SCRATCH_COUNT]:
        at = M[SCRATCH] + i * SCRATCH_WORDS
        operation = P[M[at]]
        if operation <= LAST_EPSILON or operation == LEXEME:
            if operation != END:
                if _seen_before(M, i):
                    M[at + 6] = 1
                else:
                    _expand(P, M, i)
        if M[OVERFLOW]:
            M[SCRATCH_COUNT] = 0
            return 0
        i += 1
    # Keep what can read a byte (and END), in canonical order.
    base = M[SCRATCH]
    count = 0
    for i in range(M[SCRATCH_COUNT]):
        at = base + i * SCRATCH_WORDS
        if M[at + 6] == 0:
            if at != base + count * SCRATCH_WORDS:
                for k in range(SCRATCH_WORDS):
                    M[base + count * SCRATCH_WORDS + k] = M[at + k]
            count += 1
    M[SCRATCH_COUNT] = 0
    if count > 1:
        _sort(M, count)
        # Threads that differ only in where they return to are one thread that returns to both places: this keeps
        # sets polynomial for ambiguous grammars.
        kept = 0
        for i in range(1, count):
            at = base + kept * SCRATCH_WORDS
            other = base + i * SCRATCH_WORDS
            same = M[at] == M[other] and M[at + 1] == M[other + 1] and M[at + 5] == M[other + 5]
            if same and M[at + 2] == M[other + 2] and M[at + 3] == M[other + 3]:
                M[at + 4] = united(P, M, M[at + 4], M[other + 4])
                if M[OVERFLOW]:
                    return 0
            else:
                kept += 1
                for k in range(SCRATCH_WORDS):
                    M[base + kept * SCRATCH_WORDS + k] = M[other + k]
        count = kept + 1
    return _intern_scratch(P, M, count)


@jit
def _intern_scratch(P: Words, M: Words, count: int) -> int:
    base = M[SCRATCH]
    out = M[LISTS] + M[LIST_USED]
    for i in range(count):
        at = base + i * SCRATCH_WORDS
        M[out + i] = intern_thread(M, M[at], M[at + 1], M[at + 2], M[at + 3], M[at + 4], M[at + 5])
    # Lists ascend, so that a set has one spelling; thread numbers follow first sight, which is nearly sorted already.
    for i in range(1, count):
        value = M[out + i]
        j = i
        while j > 0 and M[out + j - 1] > value:
            M[out + j] = M[out + j - 1]
            j -= 1
        M[out + j] = value
    return intern_list(P, M, count)


@jit
def closure(P: Words, M: Words, configuration: int) -> int:
    """What a return place comes to when it is returned to: ready to read a byte. 0 on overflow."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + CLOSURE] < 0:
        M[SCRATCH_COUNT] = 0
        push_threads(M, configuration, 0)
        closed = close_scratch(P, M)
        if M[OVERFLOW]:
            return 0
        M[record + CLOSURE] = closed
    return M[record + CLOSURE]
