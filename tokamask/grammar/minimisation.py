"""Minimal automata: kernels that merge states without difference, and number what is left.

Most automata are small, or their states differ within a few steps: a few rounds that compare digests of what follows
(Moore 1956) settle them, and whether they did is then looked at exactly. The others' states are told apart by partition
refinement over the transitions that there are, in O(m log n) time for m of them (Valmari, "Fast brief practical DFA
minimization", Information Processing Letters 112, 2012): *blocks* of states and *cords* of transitions split each
other. The transitions of a cord have one column and lead into one block, so the members of a block that have one in it
part from those that have none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokamask.grammar.budget import check_time
from tokamask.grammar.jit import jit

__all__ = ["FlatAutomaton", "Words", "minimal", "number_breadth_first", "unite_columns"]

Words = npt.NDArray[np.int32]

# Rounds in which most automata are settled; each looks at all rows.
ROUNDS = 12

# Elements that refinement marks before the clock is looked at, in a few tenths of a second; what it then returns.
MOST_MARKED = 2_000_000
UNFINISHED = -1
# Of a refinement: elements to mark in one call; whether it has begun, over how many transitions; how many blocks and
# cords there are, and how many of them have split others.
MOST, BEGUN, TRANSITIONS, BLOCKS, CORDS, USED_BLOCKS, USED_CORDS, PROGRESS_WORDS = range(8)


class FlatAutomaton(NamedTuple):
    """An automaton as kernels have it; state 0 is the start.

    Attributes:
        rows: int32 (at least states * width,): for each state the next one behind each column, -1 for none.
        accepting: int32 (at least states,): 1 or 0.
    """

    rows: Words
    accepting: Words
    states: int
    width: int


def minimal(automaton: FlatAutomaton) -> FlatAutomaton:
    """The minimal automaton of the same language, its states numbered breadth first by column.

    No state is without a way to acceptance, so the empty language has none. The arrays given are used up.
    """
    rows, accepting, states, width = automaton
    transitions = np.count_nonzero(rows[: states * width] >= 0)
    result = np.empty(states * width, dtype=np.int32)
    room = np.empty(9 * states + 8 * transitions + width + 1, dtype=np.int32)
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
        room: 9 words for each state, 8 for each transition, one for each column, and one more.
        progress: PROGRESS_WORDS, all but MOST 0 at first.
    """
    if size == 0:
        return 0
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
        progress[BLOCKS] = _compare(rows, accepting, size, width, block_of, space)
        if progress[BLOCKS] == 0 and dropped:
            _gather_sources(rows, size, width, heads, sources)
    sources, space = room[: progress[TRANSITIONS]], room[progress[TRANSITIONS] :]
    is_settled = progress[BLOCKS] > 0 and progress[BEGUN] == 0
    if not is_settled and not _refine(accepting, size, width, heads, sources, block_of, space, progress):
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
def _compare(rows: Words, accepting: Words, size: int, width: int, block_of: Words, room: Words) -> int:
    """Tell states apart by digests of what follows them within some steps; returns how many blocks there are.

    States of different digests are different. Those of equal ones are alike when their transitions lead to equal ones:
    if that is not reached soon, or a digest deceives, the answer is 0.

    Args:
        block_of: the distance of each state to acceptance; overwritten with its block.
        room: 7 words for each state.
    """
    digest, fresh, first_of, slots = room[:size], room[size : 2 * size], room[2 * size : 3 * size], room[3 * size :]
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
            mixed = int(digest[state])
            for column in range(width):
                target = rows[state * width + column]
                mixed = (mixed * 0x41C64E6D + (digest[target] if target >= 0 else -1)) & 0x7FFFFFFF
            mixed ^= mixed >> 15
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


# A partition of numbered elements: `order` has them set by set, `place` says where each stands there, `set_of` in which
# set; a set begins at `first`, ends before `past`, and its `marked` members stand in front. `touched` lists the sets
# with marked members.


@jit
def _mark(
    element: int, order: Words, place: Words, set_of: Words, first: Words, marked: Words, touched: Words, count: int
) -> int:
    """Mark an element that is not marked; returns how many sets are touched, which were `count`."""
    group = set_of[element]
    at = place[element]
    front = first[group] + marked[group]
    other = order[front]
    order[at] = other
    place[other] = at
    order[front] = element
    place[element] = front
    if marked[group] == 0:
        touched[count] = group
        count += 1
    marked[group] += 1
    return count


@jit
def _split(
    order: Words, set_of: Words, first: Words, past: Words, marked: Words, touched: Words, count: int, sets: int
) -> int:
    """Part marked members of touched sets from the others; the smaller part becomes a new set.

    Returns how many sets there are, which were `sets`.
    """
    for index in range(count):
        group = touched[index]
        middle = first[group] + marked[group]
        marked[group] = 0
        if middle == past[group]:
            continue
        if middle - first[group] <= past[group] - middle:
            first[sets] = first[group]
            past[sets] = first[group] = middle
        else:
            first[sets] = middle
            past[sets] = past[group]
            past[group] = middle
        marked[sets] = 0
        for at in range(first[sets], past[sets]):
            set_of[order[at]] = sets
        sets += 1
    return sets


@jit
def _refine(
    accepting: Words, size: int, width: int, heads: Words, sources: Words, block_of: Words, room: Words, progress: Words
) -> bool:
    """Find the block of each state: those of one cannot be told apart. False: not done yet. `sources` loses columns."""
    order, place, room = room[:size], room[size : 2 * size], room[2 * size :]
    first, past, room = room[:size], room[size : 2 * size], room[2 * size :]
    marked, touched, room = room[:size], room[size : 2 * size], room[2 * size :]
    total = heads[size]
    cord_order, cord_place, room = room[:total], room[total : 2 * total], room[2 * total :]
    cord_first, cord_past, room = room[:total], room[total : 2 * total], room[2 * total :]
    cord_marked, cord_touched, cord_of = room[:total], room[total : 2 * total], room[2 * total : 3 * total]
    if progress[BEGUN] == 0:
        progress[BEGUN] = 1
        for state in range(size):
            order[state] = place[state] = state
            block_of[state] = 0
        first[0], past[0], marked[0] = 0, size, 0
        count = 0
        for state in range(size):
            if accepting[state]:
                count = _mark(state, order, place, block_of, first, marked, touched, count)
        progress[BLOCKS] = _split(order, block_of, first, past, marked, touched, count, 1)
        columns = room[3 * total : 3 * total + width]
        progress[CORDS] = _first_cords(sources, total, width, columns, cord_of, cord_first, cord_past, cord_marked)
        for transition in range(total):
            cord = cord_of[transition]
            cord_place[transition] = cord_past[cord]
            cord_order[cord_past[cord]] = transition
            cord_past[cord] += 1
        progress[USED_BLOCKS] = 1
    blocks, cords = int(progress[BLOCKS]), int(progress[CORDS])
    next_block, next_cord = int(progress[USED_BLOCKS]), int(progress[USED_CORDS])
    work = 0
    while next_cord < cords and work < progress[MOST]:
        count = 0
        for at in range(cord_first[next_cord], cord_past[next_cord]):
            count = _mark(sources[cord_order[at]], order, place, block_of, first, marked, touched, count)
            work += 1
        blocks = _split(order, block_of, first, past, marked, touched, count, blocks)
        next_cord += 1
        while next_block < blocks:
            count = 0
            for at in range(first[next_block], past[next_block]):
                for transition in range(heads[order[at]], heads[order[at] + 1]):
                    count = _mark(
                        transition, cord_order, cord_place, cord_of, cord_first, cord_marked, cord_touched, count
                    )
                    work += 1
            cords = _split(cord_order, cord_of, cord_first, cord_past, cord_marked, cord_touched, count, cords)
            next_block += 1
    progress[BLOCKS], progress[CORDS] = blocks, cords
    progress[USED_BLOCKS], progress[USED_CORDS] = next_block, next_cord
    return next_cord == cords


@jit
def _first_cords(
    sources: Words, total: int, width: int, columns: Words, cord_of: Words, first: Words, past: Words, marked: Words
) -> int:
    """At first the transitions of each column are a cord, still without members; returns how many there are."""
    columns[:] = 0
    for transition in range(total):
        columns[sources[transition] % width] += 1
    cords = filled = 0
    for column in range(width):
        members, columns[column] = columns[column], cords
        if members:
            first[cords] = past[cords] = filled
            marked[cords] = 0
            cords += 1
            filled += members
    for transition in range(total):
        cord_of[transition] = columns[sources[transition] % width]
        sources[transition] //= width
    return cords


@jit
def number_breadth_first(
    rows: Words, accepting: Words, size: int, width: int, block_of: Words, blocks: int, result: Words, room: Words
) -> int:
    """One state for each block that the start leads to, numbered breadth first by column; returns how many.

    Args:
        accepting: overwritten with the flags of the result.
        block_of: the block of every state.
        result: room for size * width.
        room: 2 * size words.
    """
    number, order = room[:size], room[size : 2 * size]
    number[:blocks] = -1
    order[0] = 0
    number[block_of[0]] = 0
    known = 1
    at = 0
    while at < known:
        for column in range(width):
            target = rows[order[at] * width + column]
            if target >= 0:
                block = block_of[target]
                if number[block] < 0:
                    number[block] = known
                    order[known] = target
                    known += 1
                target = number[block]
            result[at * width + column] = target
        at += 1
    for state in range(known):
        number[state] = accepting[order[state]]
    accepting[:known] = number[:known]
    return known


@jit
def unite_columns(rows: Words, size: int, width: int, column_of: Words, room: Words) -> int:
    """Make columns of the same targets one, in place, in the order of their first members; returns how many are left.

    Args:
        column_of: what has become of each column.
        room: 2 * width words.
    """
    digest, kept = room[:width], room[width : 2 * width]
    digest[:] = 0
    for state in range(size):
        for column in range(width):
            digest[column] = (digest[column] * 31 + rows[state * width + column]) & 0x3FFFFFF
    left = 0
    for column in range(width):
        column_of[column] = left
        for other in range(left):
            if digest[kept[other]] == digest[column]:
                state = 0
                while state < size and rows[state * width + column] == rows[state * width + kept[other]]:
                    state += 1
                if state == size:
                    column_of[column] = other
                    break
        if column_of[column] == left:
            kept[left] = column
            left += 1
    for state in range(size):
        for column in range(left):
            rows[state * left + column] = rows[state * width + kept[column]]
    return left
