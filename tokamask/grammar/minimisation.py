"""Minimal automata: kernels that merge states without difference.

Most automata are small, or their states differ within a few steps: a few rounds that compare digests of what follows
(Moore 1956) settle them, and whether they did is then looked at exactly. The others' states are told apart by partition
refinement (see `refinement`).
"""

from __future__ import annotations

import numpy as np

from tokamask.grammar.budget import check_time
from tokamask.grammar.flat_automaton import FlatAutomaton, Words, number_breadth_first
from tokamask.grammar.jit import jit
from tokamask.grammar.refinement import BEGUN, BLOCKS, MOST, PROGRESS_WORDS, TRANSITIONS, refine

__all__ = ["minimal"]

# Rounds in which most automata are settled; each looks at all rows.
ROUNDS = 12

# Elements that refinement marks before the clock is looked at, in a few tenths of a second; what is then returned.
MOST_MARKED = 2_000_000
UNFINISHED = -1


def minimal(automaton: FlatAutomaton) -> FlatAutomaton:
    """The minimal automaton of the same language, its states numbered breadth first by column.

    No state is without a way to acceptance, so the empty language has none. The arrays given are used up.
    """
    rows, accepting, states, width = automaton
    transitions = np.count_nonzero(rows[: states * width] >= 0)
    result = np.empty(states * width, dtype=np.int32)
    room = np.empty(12 * states + 8 * transitions + width + 1, dtype=np.int32)
    progress = np.zeros(PROGRESS_WORDS, dtype=np.int32)
    progress[MOST] = MOST_MARKED
    while (left := minimise(rows, accepting, states, width, result, room, progress)) == UNFINISHED:
        check_time()
    return FlatAutomaton(result, accepting, left, width)


@jit
def minimise(rows: Words, accepting: Words, size: int, width: int, result: Words, room: Words, progress: Words) -> int:
    """See `minimal`; returns the number of states, or UNFINISHED: call again with the same arrays.

    Args:
        rows: loses the transitions that do not lead to acceptance.
        accepting: overwritten with the flags of the result.
        result: room for size * width.
        room: 12 words for each state, 8 for each transition, one for each column, and one more.
        progress: PROGRESS_WORDS, all but MOST 0 at first.
    """
    if size == 0:
        return 0
    # Digests stand in front, where 64 bits are aligned.
    digests, room = room[: 4 * size], room[4 * size :]
    # The transitions to state s are sources[heads[s]:heads[s + 1]].
    heads, block_of, room = room[: size + 1], room[size + 1 : 2 * size + 1], room[2 * size + 1 :]
    if progress[BEGUN] == 0:
        total = 0
        for at in range(size * width):
            total += rows[at] >= 0
        sources, space = room[:total], room[total:]
        _gather_sources(rows, size, width, heads, sources)
        _find_distances(accepting, size, width, heads, sources, block_of, space)
        if block_of[0] == 0:
            return 0
        dropped = 0
        for at in range(size * width):
            if rows[at] >= 0 and block_of[rows[at]] == 0:
                rows[at] = -1
                dropped += 1
        progress[TRANSITIONS] = total
        progress[BLOCKS] = _compare(rows, accepting, size, width, block_of, digests, space)
        if progress[BLOCKS] == 0 and dropped:
            _gather_sources(rows, size, width, heads, sources)
    sources, space = room[: progress[TRANSITIONS]], room[progress[TRANSITIONS] :]
    is_settled = progress[BLOCKS] > 0 and progress[BEGUN] == 0
    if not is_settled and not refine(accepting, size, width, heads, sources, block_of, space, progress):
        return UNFINISHED
    return number_breadth_first(rows, accepting, size, width, block_of, progress[BLOCKS], result, space)


@jit
def _gather_sources(rows: Words, size: int, width: int, heads: Words, sources: Words) -> None:
    """Each transition by the place in `rows` where it stands (state * width + column), by target and then ascending."""
    heads[:] = 0
    for place in range(size * width):
        if rows[place] >= 0:
            heads[rows[place]] += 1
    total = 0
    for state in range(size + 1):
        total += heads[state]
        heads[state] = total
    for place in range(size * width - 1, -1, -1):
        target = rows[place]
        if target >= 0:
            heads[target] -= 1
            sources[heads[target]] = place


@jit
def _find_distances(
    accepting: Words, size: int, width: int, heads: Words, sources: Words, distance: Words, queue: Words
) -> None:
    """The transitions from each state to acceptance, at least, and 1 more; 0 where nothing leads there."""
    known = 0
    for state in range(size):
        distance[state] = accepting[state]
        if accepting[state]:
            queue[known] = state
            known += 1
    at = 0
    while at < known:
        for transition in range(heads[queue[at]], heads[queue[at] + 1]):
            source = sources[transition] // width
            if distance[source] == 0:
                distance[source] = distance[queue[at]] + 1
                queue[known] = source
                known += 1
        at += 1


@jit
def _compare(
    rows: Words, accepting: Words, size: int, width: int, block_of: Words, digests: Words, room: Words
) -> int:
    """Tell states apart by digests of what follows them within some steps; returns how many blocks there are.

    States of different digests are different. Those of equal ones are alike when their transitions lead to equal ones:
    if that is not reached soon, or a digest deceives, the answer is 0.

    Args:
        block_of: the distance of each state to acceptance; overwritten with its block.
        digests: room for two of 64 bits for each state: of 32 bits, two of 70,000 would be equal by chance.
        room: 5 words for each state.
    """
    digest, fresh = digests[: 2 * size].view(np.int64), digests[2 * size :].view(np.int64)
    first_of, slots = room[:size], room[size:]
    capacity = 1
    while capacity < 2 * size:
        capacity *= 2
    digest[:] = block_of
    blocks = 0
    for _ in range(ROUNDS):
        before = blocks
        blocks = 0
        slots[:capacity] = 0
        for state in range(size):
            mixed = digest[state]
            for column in range(width):
                target = rows[state * width + column]
                mixed = mixed * 0x41C64E6D + (digest[target] if target >= 0 else -1)
            mixed ^= mixed >> 31
            fresh[state] = mixed
            slot = mixed & (capacity - 1)
            while slots[slot] and fresh[first_of[slots[slot] - 1]] != mixed:
                slot = (slot + 1) & (capacity - 1)
            if slots[slot] == 0:
                first_of[blocks] = state
                blocks += 1
                slots[slot] = blocks
            block_of[state] = slots[slot] - 1
        if blocks == size:
            return blocks
        if blocks == before:
            break
        digest[:] = fresh
    return blocks if blocks == before and _are_alike(rows, accepting, size, width, block_of, first_of) else 0


@jit
def _are_alike(rows: Words, accepting: Words, size: int, width: int, block_of: Words, first_of: Words) -> bool:
    """Whether the states of each block accept alike, and lead to the same blocks as its first one."""
    for state in range(size):
        first = first_of[block_of[state]]
        if accepting[state] != accepting[first]:
            return False
        for column in range(width):
            target, other = rows[state * width + column], rows[first * width + column]
            if (target < 0) != (other < 0) or (target >= 0 and block_of[target] != block_of[other]):
                return False
    return True
