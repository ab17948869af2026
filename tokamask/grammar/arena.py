"""The arena: one flat int32 array that holds everything learned about one grammar, append-only.

A header of offsets and counters is followed by tables:

    threads          (pc, data, lexeme, escape, return, memory, mask operations), interned
    configurations   sets of threads, interned; a set is a slice of the lists table
    moves            (configuration, byte) -> configuration
    frames           what objects have so far, what is remembered of the text: lists of words, interned
    scratch          threads of the set under construction
    operations, rows the masks of threads
    walk, found      the stack and the tokens found by the walk under way
    search           the stack of a search for a way to go on, which may be needed amid a walk

Indices never change: a table grows by moving all tables to a larger array. Kernels make sure of head room before they
change anything, so a full table means "grow and call again", never a half-made entry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.jit import jit

THREAD_WORDS = 7
CONFIGURATION_WORDS = 10
MOVE_WORDS = 2
SCRATCH_WORDS = 7
SEARCH_WORDS = 4

# Header slots: offset, capacity (entries), used (entries) of each table.
(
    THREADS, THREAD_CAPACITY, THREAD_COUNT,
    THREAD_HASH, THREAD_HASH_SIZE,
    CONFIGURATIONS, CONFIGURATION_CAPACITY, CONFIGURATION_COUNT,
    CONFIGURATION_HASH, CONFIGURATION_HASH_SIZE,
    LISTS, LIST_CAPACITY, LIST_USED,
    MOVES, MOVE_SIZE, MOVE_COUNT,
    FRAMES, FRAME_CAPACITY, FRAME_USED,
    FRAME_HASH, FRAME_HASH_SIZE, FRAME_COUNT,
    SCRATCH, SCRATCH_CAPACITY, SCRATCH_COUNT,
    OPERATIONS, OPERATION_CAPACITY, OPERATION_USED,
    ROWS, ROW_CAPACITY, ROW_COUNT,
    WALK, WALK_CAPACITY,
    FOUND, FOUND_CAPACITY, FOUND_COUNT,
    SEARCH, SEARCH_CAPACITY,
    OVERFLOW,
    VISITS, STEPS, MISSES, STAMP,
) = range(43)  # fmt: skip
# The header ends with room for the bytes that a walk is about to try.
CANDIDATES = 64
MAXIMUM_CANDIDATES = 48
HEADER_WORDS = CANDIDATES + MAXIMUM_CANDIDATES

# Values of the OVERFLOW slot.
SCRATCH_FULL, WALK_FULL, FRAMES_FULL = 1, 2, 3

# Return code of every kernel that may need room: grow, then call again.
FULL = -1
# The scratch of one step may grow only this far: beyond it the grammar is hopelessly ambiguous.
MAXIMUM_SCRATCH = 1 << 16
# A move's key is a configuration and a byte in one int32.
MAXIMUM_CONFIGURATIONS = 1 << 23
MOST_BYTES = 1 << 30
"""How large an arena may become."""


@dataclass(frozen=True)
class _Table:
    offset: int
    capacity: int
    words: int
    is_rebuilt: bool = False  # not copied when the arena grows: hash tables, and what only one call uses


# Order in memory: what is touched by every call first.
_TABLES: tuple[_Table, ...] = (
    _Table(THREADS, THREAD_CAPACITY, THREAD_WORDS),
    _Table(THREAD_HASH, THREAD_HASH_SIZE, 1, is_rebuilt=True),
    _Table(CONFIGURATIONS, CONFIGURATION_CAPACITY, CONFIGURATION_WORDS),
    _Table(CONFIGURATION_HASH, CONFIGURATION_HASH_SIZE, 1, is_rebuilt=True),
    _Table(LISTS, LIST_CAPACITY, 1),
    _Table(MOVES, MOVE_SIZE, MOVE_WORDS, is_rebuilt=True),
    _Table(FRAMES, FRAME_CAPACITY, 1),
    _Table(FRAME_HASH, FRAME_HASH_SIZE, 1, is_rebuilt=True),
    _Table(SCRATCH, SCRATCH_CAPACITY, SCRATCH_WORDS, is_rebuilt=True),
    _Table(OPERATIONS, OPERATION_CAPACITY, 1),
    _Table(WALK, WALK_CAPACITY, 1, is_rebuilt=True),
    _Table(FOUND, FOUND_CAPACITY, 1, is_rebuilt=True),
    _Table(SEARCH, SEARCH_CAPACITY, SEARCH_WORDS, is_rebuilt=True),
)


def new_arena() -> npt.NDArray[np.int32]:
    """An empty arena. It has no room for rows yet: their length depends on a vocabulary, see `grown`."""
    capacities = {
        THREADS: 2048,
        THREAD_HASH: 4096,
        CONFIGURATIONS: 2048,
        CONFIGURATION_HASH: 4096,
        LISTS: 8192,
        MOVES: 8192,
        FRAMES: 2048,
        FRAME_HASH: 2048,
        SCRATCH: 256,
        OPERATIONS: 32768,
        WALK: 8192,
        FOUND: 4096,
        SEARCH: 1024,
    }
    arena = _lay_out(capacities, row_words=0, rows=0)
    arena[CONFIGURATION_COUNT] = 1  # configuration 0 is the empty set: dead
    arena[THREAD_COUNT] = 1  # thread 0 is never used, so that hash tables can mark free slots by 0
    arena[FRAME_USED] = 1
    arena[OPERATION_USED] = 1
    return arena


def _lay_out(capacities: dict[int, int], row_words: int, rows: int) -> npt.NDArray[np.int32]:
    size = HEADER_WORDS
    offsets = {}
    for table in _TABLES:
        offsets[table.offset] = size
        size += capacities[table.offset] * table.words
    arena = np.zeros(size + rows * row_words, dtype=np.int32)
    for table in _TABLES:
        arena[table.offset] = offsets[table.offset]
        arena[table.capacity] = capacities[table.offset]
    arena[ROWS] = size
    arena[ROW_CAPACITY] = rows
    return arena


def grown(arena: npt.NDArray[np.int32], row_words: int, most_bytes: int = MOST_BYTES) -> npt.NDArray[np.int32]:
    """A larger arena with the same contents and rows of `row_words`.

    Raises:
        CompileBudgetExceeded: it would have more than `most_bytes`, or one step has too many threads. What was under
            way is then forgotten; everything else can still be asked.
    """
    if arena[OVERFLOW] == SCRATCH_FULL and arena[SCRATCH_CAPACITY] >= MAXIMUM_SCRATCH:
        abandon(arena, row_words)
        raise CompileBudgetExceeded("the grammar is too ambiguous: one byte leads to more threads than fit")
    rows = int(arena[ROW_CAPACITY])
    if arena[ROW_COUNT] + 2 > rows:
        rows = max(8, 2 * rows)
    capacities = _grown_capacities(arena)
    words = sum(capacities[table.offset] * table.words for table in _TABLES) + rows * row_words
    if 4 * words > most_bytes or capacities[CONFIGURATIONS] > MAXIMUM_CONFIGURATIONS:
        abandon(arena, row_words)
        raise CompileBudgetExceeded(
            f"what is learned from following one text takes more than {most_bytes} bytes; simplify the grammar or "
            "write shorter texts"
        )
    fresh = _lay_out(capacities, row_words, rows)
    places = {ROWS, ROW_CAPACITY, OVERFLOW}
    for table in _TABLES:
        places |= {table.offset, table.capacity}
    for counter in range(HEADER_WORDS):
        if counter not in places:
            fresh[counter] = arena[counter]
    for table in _TABLES:
        if not table.is_rebuilt:
            start, length = int(arena[table.offset]), int(arena[table.capacity]) * table.words
            fresh[fresh[table.offset] : fresh[table.offset] + length] = arena[start : start + length]
    length = int(arena[ROW_COUNT]) * row_words
    fresh[fresh[ROWS] : fresh[ROWS] + length] = arena[arena[ROWS] : arena[ROWS] + length]
    _rehash(fresh, arena)
    return fresh


def _grown_capacities(arena: npt.NDArray[np.int32]) -> dict[int, int]:
    """Every table that is more than half used, or without head room for one step, doubles; so growth is rare."""
    capacities = {table.offset: int(arena[table.capacity]) for table in _TABLES}
    if arena[OVERFLOW] == WALK_FULL:
        capacities[WALK] *= 2
    elif arena[OVERFLOW] == FRAMES_FULL:
        capacities[FRAMES] *= 2
    elif arena[OVERFLOW] == SCRATCH_FULL:
        capacities[SCRATCH] *= 4
    slack = 2 * capacities[SCRATCH]
    wanted = {
        THREADS: 2 * int(arena[THREAD_COUNT]) + 4 * slack,
        CONFIGURATIONS: 2 * int(arena[CONFIGURATION_COUNT]) + 4 * slack,
        LISTS: 2 * int(arena[LIST_USED]) + 4 * slack,
        MOVES: 4 * int(arena[MOVE_COUNT]) + 64,
        FRAMES: 2 * int(arena[FRAME_USED]) + 4 * slack,
        FRAME_HASH: 4 * int(arena[FRAME_COUNT]) + 4 * slack,
        OPERATIONS: 2 * int(arena[OPERATION_USED]) + 16384,
    }
    for table, entries in wanted.items():
        while capacities[table] < entries:
            capacities[table] *= 2
    capacities[THREAD_HASH] = 2 * capacities[THREADS]
    capacities[CONFIGURATION_HASH] = 2 * capacities[CONFIGURATIONS]
    return capacities


def abandon(arena: npt.NDArray[np.int32], row_words: int) -> None:
    """Forget the step under way when there is no larger arena to finish it in: others may still fit."""
    arena[OVERFLOW] = 0
    if arena[ROW_COUNT] < arena[ROW_CAPACITY]:
        row = int(arena[ROWS] + arena[ROW_COUNT] * row_words)
        arena[row : row + row_words] = 0


@jit
def mix(value: int, more: int) -> int:
    """One round of a multiplicative hash on 64 bits."""
    value = (value ^ more) * 0x9E3779B97F4A7C1
    return value ^ (value >> 29)


@jit
def thread_hash(pc: int, data: int, lexeme: int, escape: int, ret: int, memory: int) -> int:
    return mix(mix(mix(mix(mix(mix(17, pc), data), lexeme), escape), ret), memory)


@jit
def list_hash(M: npt.NDArray[np.int32], start: int, count: int) -> int:
    value = mix(29, count)
    for i in range(start, start + count):
        value = mix(value, M[i])
    return value


@jit
def _rehash(M: npt.NDArray[np.int32], old: npt.NDArray[np.int32]) -> None:
    """Fill the hash tables of a grown arena: threads, configurations and frames from their tables, moves from `old`."""
    size = M[THREAD_HASH_SIZE] - 1
    for t in range(1, M[THREAD_COUNT]):
        at = M[THREADS] + t * THREAD_WORDS
        slot = thread_hash(M[at], M[at + 1], M[at + 2], M[at + 3], M[at + 4], M[at + 5]) & size
        while M[M[THREAD_HASH] + slot] != 0:
            slot = (slot + 1) & size
        M[M[THREAD_HASH] + slot] = t
    size = M[CONFIGURATION_HASH_SIZE] - 1
    for c in range(1, M[CONFIGURATION_COUNT]):
        at = M[CONFIGURATIONS] + c * CONFIGURATION_WORDS
        slot = list_hash(M, M[LISTS] + M[at], M[at + 1]) & size
        while M[M[CONFIGURATION_HASH] + slot] != 0:
            slot = (slot + 1) & size
        M[M[CONFIGURATION_HASH] + slot] = c
    size = M[FRAME_HASH_SIZE] - 1
    f = 1
    while f < M[FRAME_USED]:
        at = M[FRAMES] + f
        slot = list_hash(M, at, M[at] + 1) & size
        while M[M[FRAME_HASH] + slot] != 0:
            slot = (slot + 1) & size
        M[M[FRAME_HASH] + slot] = f
        f += M[at] + 1
    size = M[MOVE_SIZE] - 1
    for i in range(old[MOVE_SIZE]):
        key = old[old[MOVES] + i * MOVE_WORDS]
        if key != 0:
            slot = mix(3, key) & size
            while M[M[MOVES] + slot * MOVE_WORDS] != 0:
                slot = (slot + 1) & size
            M[M[MOVES] + slot * MOVE_WORDS] = key
            M[M[MOVES] + slot * MOVE_WORDS + 1] = old[old[MOVES] + i * MOVE_WORDS + 1]
