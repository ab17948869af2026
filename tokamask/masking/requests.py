"""The calls of a matcher: kernels that take integers only.

A *book* is an int64 array (address and length of P, M, V and K); its own address is the first argument. Passing integers
costs 0.1 us a call, passing the arrays would cost three times that. The owner of the book keeps the arrays alive and
rewrites the book whenever the arena has moved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import carray

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    LISTS,
    OPERATIONS,
    ROWS,
    THREAD_WORDS,
    THREADS,
)
from tokamask.grammar.configurations import IS_ACCEPTING, LIST_LENGTH, LIST_START
from tokamask.grammar.jit import copy_words, jit, pointer
from tokamask.grammar.moves import (
    ANY_BYTE,
    candidate_buffer,
    configuration_candidates,
    move,
    start_configuration,
)
from tokamask.grammar.program import END
from tokamask.masking.mask_kernels import child_count, find_child, find_mask
from tokamask.masking.pieces import NODES, ROW_WORDS, TEXT, TEXT_START

Words = npt.NDArray[np.int32]

# What `forced_byte` answers when there is no single next byte.
NOT_FORCED = -2


BOOK_SLOTS = 8


@jit
def book_array(book: int, slot: int) -> Words:
    """The array in a slot of the book: 0 P, 1 M, 2 V, 3 K."""
    page = carray(pointer(book), (BOOK_SLOTS,), np.int64)
    return carray(pointer(page[2 * slot]), (page[2 * slot + 1],), np.int32)


@jit
def start(book: int, pc: int) -> int:
    """The configuration before the first byte of a text that begins at record `pc`."""
    return start_configuration(book_array(book, 0), book_array(book, 1), pc)


@jit
def is_accepting(book: int, configuration: int) -> int:
    M = book_array(book, 1)
    return M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + IS_ACCEPTING]


@jit
def read(book: int, configuration: int, text: int, length: int) -> int:
    """The configuration after `length` bytes at address `text`; 0: they cannot follow; FULL."""
    P = book_array(book, 0)
    M = book_array(book, 1)
    T = carray(pointer(text), (length,), np.uint8)
    for i in range(length):
        configuration = move(P, M, configuration, int(T[i]))
        if configuration <= 0:
            break
    return configuration


@jit
def accept(book: int, configuration: int, token: int) -> int:
    """The configuration after the text of a token; 0: it cannot follow (or is never text); FULL."""
    P = book_array(book, 0)
    M = book_array(book, 1)
    V = book_array(book, 2)
    begin = V[V[TEXT_START] + token]
    end = V[V[TEXT_START] + token + 1]
    if begin == end:
        return 0
    for i in range(V[TEXT] + begin, V[TEXT] + end):
        configuration = move(P, M, configuration, V[i])
        if configuration <= 0:
            break
    return configuration


@jit
def forced_byte(book: int, configuration: int) -> int:
    """The only byte that can follow; NOT_FORCED when there are several, or none, or the text may end; FULL."""
    P = book_array(book, 0)
    M = book_array(book, 1)
    if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + IS_ACCEPTING]:
        return NOT_FORCED
    buffer = candidate_buffer(M)
    count = configuration_candidates(P, M, configuration, buffer)
    forced = NOT_FORCED
    for i in range(256 if count == ANY_BYTE else count):
        byte = i if count == ANY_BYTE else buffer[i]
        target = move(P, M, configuration, byte)
        if target < 0:
            return target
        if target:
            if forced != NOT_FORCED:
                return NOT_FORCED
            forced = byte
    return forced


@jit
def is_final(book: int, configuration: int) -> int:
    """Whether the text is complete and nothing can follow."""
    P = book_array(book, 0)
    M = book_array(book, 1)
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    return M[record + LIST_LENGTH] == 1 and P[M[M[THREADS] + M[first] * THREAD_WORDS]] == END


@jit
def token_may_cross(book: int, configuration: int, tail: int, length: int) -> int:
    """Whether some token begins with the `length` bytes at `tail` and goes on with a byte that may follow them."""
    P = book_array(book, 0)
    M = book_array(book, 1)
    V = book_array(book, 2)
    T = carray(pointer(tail), (length,), np.uint8)
    nodes = V[NODES]
    node = nodes
    for i in range(length):
        node = find_child(V, nodes, node, int(T[i]))
        if node == 0:
            return 0
    first = nodes + 4 * V[node + 1]
    for child in range(first, first + 4 * child_count(V, node), 4):
        target = move(P, M, configuration, V[child] & 255)
        if target != 0:
            return 1 if target > 0 else target
    return 0


@jit
def fill(book: int, configuration: int, out: int, stops: int, stop_count: int) -> int:
    """Write the mask of a configuration to the row at address `out`. Returns 0, or FULL (the row is then untouched).

    `stops` is the address of `stop_count` int32 ids that are allowed exactly where the text may end.
    """
    P = book_array(book, 0)
    M = book_array(book, 1)
    V = book_array(book, 2)
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    last = first + M[record + LIST_LENGTH]
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[THREADS] + thread * THREAD_WORDS + 5
            if M[at] == 0 and find_mask(P, M, V, thread) < 0:
                return -1
            thread = M[M[OPERATIONS] + M[at] + 2]
    words = V[ROW_WORDS]
    row = carray(pointer(out), (words,), np.int32)
    page = carray(pointer(book), (BOOK_SLOTS,), np.int64)
    empty = True
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + 5]
            for k in range(at + 3, at + 3 + M[at]):
                source = M[k]
                if empty:
                    base = page[4] if source >= 0 else page[2]
                    offset = source if source >= 0 else M[ROWS] + (-1 - source) * words
                    copy_words(out, base + 4 * offset, words)
                    empty = False
                elif source >= 0:
                    for w in range(words):
                        row[w] |= V[source + w]
                else:
                    offset = M[ROWS] + (-1 - source) * words
                    for w in range(words):
                        row[w] |= M[offset + w]
            thread = M[at + 2]
    if empty:
        for w in range(words):
            row[w] = 0
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + 5]
            tokens = at + 3 + M[at]
            for k in range(tokens, tokens + M[at + 1]):
                row[M[k] >> 5] |= np.int32(1 << (M[k] & 31))
            thread = M[at + 2]
    ids = carray(pointer(stops), (stop_count,), np.int32)
    for k in range(stop_count):
        bit = np.int32(1 << (ids[k] & 31))
        if M[record + IS_ACCEPTING]:
            row[ids[k] >> 5] |= bit
        else:
            row[ids[k] >> 5] &= ~bit
    return 0
