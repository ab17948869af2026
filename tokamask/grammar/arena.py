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
    index            the strings of the array that was asked about last, by their beginnings

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
INDEX_WORDS = 3

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
    INDEX_PLACES, INDEX_PLACE_CAPACITY,
    INDEX, INDEX_CAPACITY, INDEX_COUNT, INDEX_OWNER,
    OVERFLOW,
    VISITS, STEPS, MISSES, STAMP,
) = range(49)  # fmt: skip
# The header ends with room for the bytes that a walk is about to try.
CANDIDATES = 64
MAXIMUM_CANDIDATES = 48
HEADER_WORDS = CANDIDATES + MAXIMUM_CANDIDATES

# Values of the OVERFLOW slot.
SCRATCH_FULL, LISTS_FULL, WALK_FULL, FRAMES_FULL, SEARCH_FULL = range(1, 6)

# Return code of every kernel that may need room: grow, then call again.
FULL = -1
# The scratch of one step may grow only this far: beyond it the grammar is hopelessly ambiguous.
MAXIMUM_SCRATCH = 1 << 16
# A move's key is a configuration and a byte in one int32.
MAXIMUM_CONFIGURATIONS = 1 << 23
MOST_BYTES = 1 << 30
"""How large an arena may become."""
FEWEST_ROWS = 32


@dataclass(frozen=True)
class _Table:
    """The header slots and the entries of a table; `used` is the slot of how many entries are taken, in order.

    Hash tables have none: they are empty at first and filled anew when the arena grows. Nor has what lives only as long
    as a call.
    """

    offset: int
    capacity: int
    words: int
    used: int | None = None
    is_hashed: bool = False


# Order in memory: what is touched by every call first.
_TABLES: tuple[_Table, ...] = (
    _Table(THREADS, THREAD_CAPACITY, THREAD_WORDS, THREAD_COUNT),
    _Table(THREAD_HASH, THREAD_HASH_SIZE, 1, is_hashed=True),
    _Table(CONFIGURATIONS, CONFIGURATION_CAPACITY, CONFIGURATION_WORDS, CONFIGURATION_COUNT),
    _Table(CONFIGURATION_HASH, CONFIGURATION_HASH_SIZE, 1, is_hashed=True),
    _Table(LISTS, LIST_CAPACITY, 1, LIST_USED),
    _Table(MOVES, MOVE_SIZE, MOVE_WORDS, is_hashed=True),
    _Table(FRAMES, FRAME_CAPACITY, 1, FRAME_USED),
    _Table(FRAME_HASH, FRAME_HASH_SIZE, 1, is_hashed=True),
    _Table(SCRATCH, SCRATCH_CAPACITY, SCRATCH_WORDS),
    _Table(OPERATIONS, OPERATION_CAPACITY, 1, OPERATION_USED),
    _Table(WALK, WALK_CAPACITY, 1),
    _Table(FOUND, FOUND_CAPACITY, 1),
    _Table(SEARCH, SEARCH_CAPACITY, SEARCH_WORDS),
    _Table(INDEX_PLACES, INDEX_PLACE_CAPACITY, 1),
    _Table(INDEX, INDEX_CAPACITY, INDEX_WORDS),
)
# What a header tells beside where things are.
_COUNTERS = np.setdiff1d(
    np.arange(CANDIDATES), [ROWS, ROW_CAPACITY, OVERFLOW, *(s for t in _TABLES for s in (t.offset, t.capacity))]
)


def new_arena(row_words: int = 0) -> npt.NDArray[np.int32]:
    """An empty arena, with room for some rows of `row_words`; 0: for none, as there are without a vocabulary."""
    capacities = {
        THREADS: 4096,
        THREAD_HASH: 8192,
        CONFIGURATIONS: 4096,
        CONFIGURATION_HASH: 8192,
        LISTS: 8192,
        MOVES: 8192,
        FRAMES: 8192,
        FRAME_HASH: 4096,
        SCRATCH: 256,
        OPERATIONS: 32768,
        WALK: 16384,
        FOUND: 4096,
        SEARCH: 1024,
    }
    _fit_index(capacities)
    arena = _lay_out(capacities, row_words, rows=FEWEST_ROWS if row_words else 0)
    arena[CONFIGURATION_COUNT] = 1  # configuration 0 is the empty set: dead
    arena[THREAD_COUNT] = 1  # thread 0 is never used, so that hash tables can mark free slots by 0
    arena[FRAME_USED] = 1
    arena[OPERATION_USED] = 1
    at = int(arena[CONFIGURATIONS])
    arena[at : at + CONFIGURATION_WORDS] = 0
    return arena


def _lay_out(capacities: dict[int, int], row_words: int, rows: int) -> npt.NDArray[np.int32]:
    """An arena of these capacities; only its header and hash tables are cleared, since memory costs once touched."""
    header = [0] * HEADER_WORDS
    size = HEADER_WORDS
    for table in _TABLES:
        header[table.offset] = size
        header[table.capacity] = capacities[table.offset]
        size += capacities[table.offset] * table.words
    header[ROWS] = size
    header[ROW_CAPACITY] = rows
    arena = np.empty(size + rows * row_words, dtype=np.int32)
    arena[:HEADER_WORDS] = header
    for table in _TABLES:
        if table.is_hashed:
            arena[header[table.offset] : header[table.offset] + capacities[table.offset] * table.words] = 0
    return arena


def _used(arena: npt.NDArray[np.int32], row_words: int) -> dict[int, int]:
    """How many words of each table, and of the rows, are to be kept, by the slot of its offset."""
    words = {table.offset: int(arena[table.used]) * table.words for table in _TABLES if table.used is not None}
    words[ROWS] = int(arena[ROW_COUNT]) * row_words
    return words


def without_leftovers(arena: npt.NDArray[np.int32], row_words: int) -> npt.NDArray[np.int32]:
    """A copy with zeros where nothing is kept, so that nothing else's memory can be read from it."""
    copy = np.zeros_like(arena)
    copy[:HEADER_WORDS] = arena[:HEADER_WORDS]
    copy[[INDEX_COUNT, INDEX_OWNER]] = 0
    words = _used(arena, row_words)
    words |= {table.offset: int(arena[table.capacity]) * table.words for table in _TABLES if table.is_hashed}
    for table, length in words.items():
        start = int(arena[table])
        copy[start : start + length] = arena[start : start + length]
    return copy


def grown(arena: npt.NDArray[np.int32], row_words: int, most_bytes: int = MOST_BYTES) -> npt.NDArray[np.int32]:
    """A larger arena with the same contents and rows of `row_words`.

    Raises:
        CompileBudgetExceeded: it would have more than `most_bytes`, or one step has too many threads. What was under
            way is then forgotten; everything else can still be asked.
    """
    if arena[OVERFLOW] == SCRATCH_FULL and arena[SCRATCH_CAPACITY] >= MAXIMUM_SCRATCH:
        arena[OVERFLOW] = 0
        raise CompileBudgetExceeded("the grammar is too ambiguous: one byte leads to more threads than fit")
    rows = int(arena[ROW_CAPACITY])
    if arena[ROW_COUNT] + 2 > rows:
        rows = max(FEWEST_ROWS, 2 * rows)
    capacities = _grown_capacities(arena)
    words = sum(capacities[table.offset] * table.words for table in _TABLES) + rows * row_words
    if 4 * words > most_bytes or capacities[CONFIGURATIONS] > MAXIMUM_CONFIGURATIONS:
        arena[OVERFLOW] = 0
        raise CompileBudgetExceeded(
            f"what is learned from following one text takes more than {most_bytes} bytes; simplify the grammar or "
            "write shorter texts"
        )
    fresh = _lay_out(capacities, row_words, rows)
    fresh[_COUNTERS] = arena[_COUNTERS]
    fresh[[INDEX_COUNT, INDEX_OWNER]] = 0  # its tables are not kept: it is made anew when it is asked for
    for table, length in _used(arena, row_words).items():
        start, target = int(arena[table]), int(fresh[table])
        fresh[target : target + length] = arena[start : start + length]
    _rehash(fresh, arena)
    return fresh


def _grown_capacities(arena: npt.NDArray[np.int32]) -> dict[int, int]:
    """Every table that is more than half used, or without head room for one step, doubles; so growth is rare."""
    capacities = {table.offset: int(arena[table.capacity]) for table in _TABLES}
    if arena[OVERFLOW] == WALK_FULL:
        capacities[WALK] *= 2
    elif arena[OVERFLOW] == LISTS_FULL:
        capacities[LISTS] *= 2
    elif arena[OVERFLOW] == FRAMES_FULL:
        capacities[FRAMES] *= 2
    elif arena[OVERFLOW] == SEARCH_FULL:
        capacities[SEARCH] *= 2
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
    _fit_index(capacities)
    return capacities


def _fit_index(capacities: dict[int, int]) -> None:
    """As large as the frames: every letter is one of at least four words, and only letters have entries."""
    capacities[INDEX_PLACES] = capacities[FRAMES]
    capacities[INDEX] = capacities[FRAMES] // 4


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
