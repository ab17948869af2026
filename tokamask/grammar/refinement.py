"""Partition refinement: states told apart over the transitions that there are, in O(m log n) time for m of them.

As in Valmari, "Fast brief practical DFA minimization" (Information Processing Letters 112, 2012): *blocks* of states
and *cords* of transitions split each other. The transitions of a cord have one column and lead into one block, so the
members of a block that have one in it part from those that have none.
"""

from __future__ import annotations

from tokamask.grammar.flat_automaton import Words
from tokamask.grammar.jit import jit

__all__ = ["BEGUN", "BLOCKS", "MOST", "PROGRESS_WORDS", "TRANSITIONS", "refine"]

# Of a refinement: elements to mark in one call; whether it has begun, over how many transitions; how many blocks and
# cords there are, and how many of them have split others.
MOST, BEGUN, TRANSITIONS, BLOCKS, CORDS, USED_BLOCKS, USED_CORDS, PROGRESS_WORDS = range(8)

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
def refine(
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
