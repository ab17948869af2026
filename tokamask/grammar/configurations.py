"""Interned threads and configurations, and the scratch in which a set of threads is put together.

A configuration is a set of threads; a thread returns to a configuration, so the stack is a persistent structure of
interned sets (a graph-structured stack in the sense of Tomita 1985, kept canonical by interning). Equal sets have equal
integers, which is what makes every later question a table look-up.

A set under construction lies in the arena's scratch: entries (pc, data, lexeme, escape, return, memory, expanded).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_CAPACITY,
    CONFIGURATION_COUNT,
    CONFIGURATION_HASH,
    CONFIGURATION_HASH_SIZE,
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FRAME_CAPACITY,
    FRAME_COUNT,
    FRAME_HASH_SIZE,
    FRAME_USED,
    LIST_CAPACITY,
    LIST_USED,
    LISTS,
    LISTS_FULL,
    MOVE_COUNT,
    MOVE_SIZE,
    OVERFLOW,
    SCRATCH,
    SCRATCH_CAPACITY,
    SCRATCH_COUNT,
    SCRATCH_FULL,
    SCRATCH_WORDS,
    THREAD_CAPACITY,
    THREAD_COUNT,
    THREAD_HASH,
    THREAD_HASH_SIZE,
    THREAD_WORDS,
    THREADS,
    list_hash,
    thread_hash,
)
from tokamask.grammar.jit import jit
from tokamask.grammar.memory import HOLE
from tokamask.grammar.program import END

Words = npt.NDArray[np.int32]

MEMORY, MASK = 5, 6  # words of a thread: what it remembers, the operations of its mask
WITH_HOLES, WITH_MEMORY = 1, 2  # of a set: whether threads have a memory, or a place for one

# Words of a configuration: slice of the lists table, then what is known about the set. The last four are for sets with
# a thread that remembers: see `survival` and `remembering_masks`.
(
    LIST_START,
    LIST_LENGTH,
    CLOSURE,
    IS_ACCEPTING,
    COST,
    MARK,
    REMEMBERS,
    SURVIVING,
    FORGETFUL,
    CLEARED,
) = range(10)


@jit
def has_room(M: Words) -> bool:
    """Whether one step, whatever it does, fits into every table."""
    slack = 2 * M[SCRATCH_CAPACITY]
    return (
        M[THREAD_COUNT] + slack < M[THREAD_CAPACITY]
        and M[CONFIGURATION_COUNT] + slack < M[CONFIGURATION_CAPACITY]
        and M[LIST_USED] + 2 * slack < M[LIST_CAPACITY]
        and M[FRAME_USED] + 2 * slack < M[FRAME_CAPACITY]
        and 2 * (M[FRAME_COUNT] + slack) < M[FRAME_HASH_SIZE]
        and 2 * (M[MOVE_COUNT] + 1) < M[MOVE_SIZE]
    )


@jit
def push(M: Words, pc: int, data: int, lexeme: int, escape: int, ret: int, memory: int) -> None:
    """Add a thread to the scratch."""
    n = M[SCRATCH_COUNT]
    if n >= M[SCRATCH_CAPACITY]:
        M[OVERFLOW] = SCRATCH_FULL
        return
    at = M[SCRATCH] + n * SCRATCH_WORDS
    M[at] = pc
    M[at + 1] = data
    M[at + 2] = lexeme
    M[at + 3] = escape
    M[at + 4] = ret
    M[at + 5] = memory
    M[at + 6] = 0
    M[SCRATCH_COUNT] = n + 1


@jit
def push_threads(M: Words, configuration: int, memory: int) -> None:
    """Add every thread of a configuration to the scratch; those with a HOLE take over `memory`."""
    at = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[at + LIST_START]
    for i in range(start, start + M[at + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        own = M[t + MEMORY]
        push(M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], memory if own == HOLE else own)


@jit
def thread_count(M: Words, configuration: int) -> int:
    return M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + LIST_LENGTH]


@jit
def thread_of(M: Words, configuration: int, index: int) -> int:
    """The number of the thread at `index` of a set; threads may be interned meanwhile, a set's list stays."""
    return M[M[LISTS] + M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + LIST_START] + index]


@jit
def address_of(M: Words, thread: int) -> int:
    """Where in the arena the words of a thread begin, until it grows."""
    return M[THREADS] + thread * THREAD_WORDS


@jit
def intern_thread(M: Words, pc: int, data: int, lexeme: int, escape: int, ret: int, memory: int) -> int:
    size = M[THREAD_HASH_SIZE] - 1
    slot = thread_hash(pc, data, lexeme, escape, ret, memory) & size
    while True:
        t = M[M[THREAD_HASH] + slot]
        if t == 0:
            break
        at = M[THREADS] + t * THREAD_WORDS
        same = M[at] == pc and M[at + 1] == data and M[at + 2] == lexeme
        if same and M[at + 3] == escape and M[at + 4] == ret and M[at + 5] == memory:
            return t
        slot = (slot + 1) & size
    t = M[THREAD_COUNT]
    M[THREAD_COUNT] = t + 1
    M[M[THREAD_HASH] + slot] = t
    at = M[THREADS] + t * THREAD_WORDS
    M[at] = pc
    M[at + 1] = data
    M[at + 2] = lexeme
    M[at + 3] = escape
    M[at + 4] = ret
    M[at + 5] = memory
    M[at + MASK] = 0
    return t


@jit
def intern_list(P: Words, M: Words, count: int) -> int:
    """The configuration of the `count` thread indices written at the end of the lists table; 0 for none."""
    if count == 0:
        return 0
    start = M[LIST_USED]
    at = M[LISTS] + start
    size = M[CONFIGURATION_HASH_SIZE] - 1
    slot = list_hash(M, at, count) & size
    while True:
        c = M[M[CONFIGURATION_HASH] + slot]
        if c == 0:
            break
        record = M[CONFIGURATIONS] + c * CONFIGURATION_WORDS
        if M[record + LIST_LENGTH] == count:
            other = M[LISTS] + M[record + LIST_START]
            same = True
            for i in range(count):
                if M[other + i] != M[at + i]:
                    same = False
                    break
            if same:
                return c
        slot = (slot + 1) & size
    c = M[CONFIGURATION_COUNT]
    M[CONFIGURATION_COUNT] = c + 1
    M[M[CONFIGURATION_HASH] + slot] = c
    record = M[CONFIGURATIONS] + c * CONFIGURATION_WORDS
    for word in range(record, record + CONFIGURATION_WORDS):
        M[word] = 0
    M[record + LIST_START] = start
    M[record + LIST_LENGTH] = count
    M[record + CLOSURE] = -1
    M[record + COST] = -1
    accepting = 0
    remembers = 0
    for i in range(count):
        t = M[THREADS] + M[at + i] * THREAD_WORDS
        if P[M[t]] == END:
            accepting = 1
        if M[t + MEMORY] != 0:
            remembers = WITH_MEMORY if M[t + MEMORY] > 0 else max(remembers, WITH_HOLES)
    M[record + IS_ACCEPTING] = accepting
    M[record + REMEMBERS] = remembers
    M[LIST_USED] = start + count
    return c


@jit
def intern_single(
    P: Words, M: Words, pc: int, data: int, lexeme: int, escape: int, ret: int, memory: int
) -> int:
    """The configuration of one thread (not closed: a place to return to)."""
    M[M[LISTS] + M[LIST_USED]] = intern_thread(M, pc, data, lexeme, escape, ret, memory)
    return intern_list(P, M, 1)


@jit
def united(P: Words, M: Words, a: int, b: int) -> int:
    """The configuration of the threads of both (return places of equal threads are merged when they come up)."""
    if a == b:
        return a
    first = M[CONFIGURATIONS] + a * CONFIGURATION_WORDS
    second = M[CONFIGURATIONS] + b * CONFIGURATION_WORDS
    i = M[LISTS] + M[first + LIST_START]
    j = M[LISTS] + M[second + LIST_START]
    i_end = i + M[first + LIST_LENGTH]
    j_end = j + M[second + LIST_LENGTH]
    if M[LIST_USED] + i_end - i + j_end - j + M[SCRATCH_CAPACITY] >= M[LIST_CAPACITY]:
        M[OVERFLOW] = LISTS_FULL
        return a
    out = M[LISTS] + M[LIST_USED]
    count = 0
    while i < i_end or j < j_end:  # both lists ascend
        if j >= j_end or (i < i_end and M[i] <= M[j]):
            if j < j_end and M[i] == M[j]:
                j += 1
            M[out + count] = M[i]
            i += 1
        else:
            M[out + count] = M[j]
            j += 1
        count += 1
    return intern_list(P, M, count)


