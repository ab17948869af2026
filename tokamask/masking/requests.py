"""What a matcher asks of the engine, all through one compiled function that takes integers only.

A *book* is an int64 array: whose turn it is, and address and length of P, M, V and K; its own address is the first
argument. Passing integers costs 0.1 us a call, passing the arrays would cost three times that. The owner of the book
keeps the arrays alive and rewrites the book whenever the arena has moved.

One question is answered at a time. The turn is a word that the entry takes and gives back by atomic swaps: a lock of
Python's would cost as much as all the rest of a call, and a signal can come between two instructions of Python's.

There is one entry, `request`, and not one per question, because numba compiles everything an entry reaches anew: ten
entries would take ten times as long to compile and load.
"""

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
    THREAD_WORDS,
    THREADS,
)
from tokamask.grammar.configurations import IS_ACCEPTING, LIST_LENGTH, LIST_START, MASK, REMEMBERS
from tokamask.grammar.jit import carray, compare_and_swap, copy_words, jit, pointer
from tokamask.grammar.moves import (
    ANY_BYTE,
    candidate_buffer,
    configuration_candidates,
    move,
    start_configuration,
)
from tokamask.grammar.program import END
from tokamask.grammar.survival import forgetful, nodes_remembered
from tokamask.masking.completion_kernels import largest_cost, successors
from tokamask.masking.configuration_costs import configuration_cost
from tokamask.masking.mask_kernels import find_mask
from tokamask.masking.pieces import NODES, ROW_WORDS
from tokamask.masking.remembering_masks import find_cleared
from tokamask.masking.target_kernels import drop, reach, targets, token_move
from tokamask.masking.trie_kernels import child_count, find_child

Words = npt.NDArray[np.int32]

# What `forced_byte` answers when there is no single next byte.
NOT_FORCED = -2

# Slots of a book; an array has two, its address and its length.
TURN, IS_USED, PROGRAM, ARENA, PIECES, COSTS = 0, 1, 2, 4, 6, 8
BOOK_SLOTS = 10

# Whose turn it is: nobody's, a kernel's, or else that of the thread with this identifier.
FREE, KERNELS = 0, -1
# How often a kernel tries to get it: a microsecond or two, longer than a known mask takes.
TRIALS = 64
# The answer where it could not.
BUSY = -4

# Questions.
(
    START,
    IS_ACCEPTING_AT,
    IS_FINAL_AT,
    READ,
    ACCEPT,
    FORCED_BYTE,
    MAY_CROSS,
    FILL,
    COST_OF,
    LARGEST_COST,
    TARGETS,
    REACH,
    DROP,
    SUCCESSORS,
    REMEMBERS_AT,
    FORGETFUL_OF,
    NODES_AT,
    HOLD,
    LET_GO,
) = range(19)


@jit
def request(book: int, question: int, a: int, b: int, c: int) -> int:
    """Answer a question about configuration `a` (see the functions it leads to).

    BUSY: another question is being answered, ask again. FULL: HOLD the turn, ask again, grow the arena if it is still
    FULL. HOLD keeps the turn for the thread with identifier `a`; it then asks by a book whose turn is nobody else's.
    LET_GO gives the turn back if that thread has it.
    """
    turn = book + 8 * TURN
    if question == LET_GO:
        return compare_and_swap(turn, a, FREE)
    if not _take(turn, a if question == HOLD else KERNELS):
        return BUSY
    if question == HOLD:
        return 0
    answer = _answer(book, question, a, b, c)
    compare_and_swap(turn, KERNELS, FREE)
    return answer


@jit
def _take(turn: int, owner: int) -> bool:
    for _ in range(TRIALS):  # noqa: SIM110 - a kernel has no generators
        if compare_and_swap(turn, FREE, owner):
            return True
    return False


@jit
def _answer(book: int, question: int, a: int, b: int, c: int) -> int:
    page = carray(pointer(book), (BOOK_SLOTS,), np.int64)
    P = carray(pointer(page[PROGRAM]), (page[PROGRAM + 1],), np.int32)
    M = carray(pointer(page[ARENA]), (page[ARENA + 1],), np.int32)
    V = carray(pointer(page[PIECES]), (page[PIECES + 1],), np.int32)
    K = carray(pointer(page[COSTS]), (page[COSTS + 1],), np.int32)
    page[IS_USED] = 1
    # What it says was the answer to another.
    M[OVERFLOW] = 0
    if question == FILL:
        return _fill(P, M, V, page[ARENA], page[PIECES], a, b, c)
    if question == ACCEPT:
        return token_move(P, M, V, a, b)
    if question == IS_ACCEPTING_AT:
        return M[M[CONFIGURATIONS] + a * CONFIGURATION_WORDS + IS_ACCEPTING]
    if question == READ:
        return _read(P, M, a, b, c)
    if question == FORCED_BYTE:
        return _forced_byte(P, M, a)
    if question == START:
        return start_configuration(P, M, a)
    if question == IS_FINAL_AT:
        return _is_final(P, M, a)
    if question == MAY_CROSS:
        return _token_may_cross(P, M, V, a, b, c)
    if question == COST_OF:
        return configuration_cost(P, M, K, a)
    if question == LARGEST_COST:
        return largest_cost(P, M, V, K, a)
    if question == REMEMBERS_AT:
        return M[M[CONFIGURATIONS] + a * CONFIGURATION_WORDS + REMEMBERS]
    if question == NODES_AT:
        return nodes_remembered(M, a)
    if question == FORGETFUL_OF:
        return forgetful(P, M, a)
    if question == REACH:
        return reach(P, M, V, K, a, b, c)
    # What is asked rarely may have more arguments, at an address.
    more = carray(pointer(c), (3,), np.int64)
    if question == TARGETS:
        return targets(P, M, V, a, b, more[0], more[1], more[2])
    if question == DROP:
        return drop(M, V, a, b, more[0], more[1], more[2])
    return successors(P, M, V, K, a, b, more[0], more[1], more[2])


@jit
def _read(P: Words, M: Words, configuration: int, text: int, length: int) -> int:
    """The configuration after `length` bytes at address `text`; 0: they cannot follow."""
    T = carray(pointer(text), (length,), np.uint8)
    for i in range(length):
        configuration = move(P, M, configuration, int(T[i]))
        if configuration <= 0:
            break
    return configuration


@jit
def _forced_byte(P: Words, M: Words, configuration: int) -> int:
    """The only byte that can follow; NOT_FORCED when there are several, or none, or the text may end."""
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
def _is_final(P: Words, M: Words, configuration: int) -> int:
    """Whether the text is complete and nothing can follow."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    return M[record + LIST_LENGTH] == 1 and P[M[M[THREADS] + M[first] * THREAD_WORDS]] == END


@jit
def _token_may_cross(P: Words, M: Words, V: Words, configuration: int, tail: int, length: int) -> int:
    """Whether some token begins with the `length` bytes at `tail` and goes on with a byte that may follow them."""
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
def _fill(
    P: Words,
    M: Words,
    V: Words,
    rows_base: int,
    vocabulary_base: int,
    configuration: int,
    out: int,
    stops: int,
) -> int:
    """Write the mask of a configuration to the row at address `out`. Returns 0, or FULL (the row is then untouched).

    `stops` is the address of the int32 ids that are allowed exactly where the text may end, their number before them;
    0: there are none.
    """
    cleared = 0
    source = configuration
    if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS]:
        # The mask with nothing remembered, less what that forbids.
        cleared = find_cleared(P, M, V, configuration)
        source = forgetful(P, M, configuration)
        if cleared < 0 or source < 0:
            return FULL
    record = M[CONFIGURATIONS] + source * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    last = first + M[record + LIST_LENGTH]
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[THREADS] + thread * THREAD_WORDS + MASK
            if M[at] == 0 and find_mask(P, M, V, thread) < 0:
                return -1
            thread = M[M[OPERATIONS] + M[at] + 2]
    words = V[ROW_WORDS]
    row = carray(pointer(out), (words,), np.int32)
    empty = True
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + MASK]
            for k in range(at + 3, at + 3 + M[at]):
                source = M[k]
                base = vocabulary_base if source >= 0 else rows_base
                offset = source if source >= 0 else M[ROWS] + (-1 - source) * words
                if empty:
                    copy_words(out, base + 4 * offset, words)
                    empty = False
                else:
                    # An array of its own: an index that may be negative would keep LLVM from using vectors.
                    more = carray(pointer(base + 4 * offset), (words,), np.int32)
                    for w in range(words):
                        row[w] |= more[w]
            thread = M[at + 2]
    if empty:
        for w in range(words):
            row[w] = 0
    for i in range(first, last):
        thread = M[i]
        while thread:
            at = M[OPERATIONS] + M[M[THREADS] + thread * THREAD_WORDS + MASK]
            tokens = at + 3 + M[at]
            for k in range(tokens, tokens + M[at + 1]):
                row[M[k] >> 5] |= np.int32(1 << (M[k] & 31))
            thread = M[at + 2]
    if cleared:
        _clear(M, out, words, cleared)
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if stops == 0:
        return 0
    ids = carray(pointer(stops + 4), (carray(pointer(stops), (1,), np.int32)[0],), np.int32)
    for k in range(len(ids)):
        bit = np.int32(1 << (ids[k] & 31))
        if M[record + IS_ACCEPTING]:
            row[ids[k] >> 5] |= bit
        else:
            row[ids[k] >> 5] &= ~bit
    return 0


@jit
def _clear(M: Words, out: int, words: int, cleared: int) -> None:
    """Clear what the operations at offset `cleared` would set in the row at address `out`."""
    row = carray(pointer(out), (words,), np.int32)
    at = M[OPERATIONS] + cleared
    tokens = at + 3 + M[at]
    for k in range(at + 3, tokens):
        offset = M[ROWS] + (-1 - M[k]) * words
        for w in range(words):
            row[w] &= ~M[offset + w]
    for k in range(tokens, tokens + M[at + 1]):
        row[M[k] >> 5] &= ~np.int32(1 << (M[k] & 31))
