"""Deterministic automata while they are built: plain rows of successors, in Python lists.

A row holds the next state for each column of some alphabet (bytes, byte classes, classes of code points), -1 for none.
State 0 is the start. `language.Language` is the finished form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import check_time, present_budget

# Refining cyclic states costs states x rounds; beyond this many row comparisons they are left unmerged, which is
# still the same language.
REFINEMENT_BUDGET = 2_000_000

Rows = list[list[int]]
# The same as one array, int32 (states, columns), and a flag for each state.
Table = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
State = TypeVar("State", bound=Hashable)


def explore(
    start: State, successors: Callable[[State], Sequence[State | None]], most: int | None = None
) -> tuple[Rows, list[State]]:
    """Number every state reachable from `start` breadth first; None among `successors` means no transition.

    Raises:
        CompileBudgetExceeded: there are more than `most` states (default: what the budget allows), or the time is up.
    """
    if most is None:
        most = present_budget().states
    index: dict[State | None, int] = {None: -1, start: 0}
    states = [start]
    rows: Rows = []
    for state in states:
        check_time()
        row = successors(state)
        for target in row:
            if target not in index:
                index[target] = len(states)
                states.append(target)  # type: ignore[arg-type]  # None is in the index from the beginning
        rows.append([index[target] for target in row])
        if len(states) > most:
            raise too_many_states(most)
    return rows, states


def too_many_states(budget: int) -> CompileBudgetExceeded:
    """The error for an automaton of more than `budget` states."""
    return CompileBudgetExceeded(
        f"the automaton needs more than {budget} states; use smaller repetition counts or length bounds"
    )


def minimal(rows: Rows, accepting: Sequence[bool]) -> tuple[Table, Flags]:
    """The same language without dead states and, within a budget, without equivalent ones, numbered breadth first.

    States from which only finitely many texts remain are merged bottom up (Revuz 1992); the others by partition
    refinement (Moore 1956) that starts from their distance to acceptance. The empty language has no rows.
    """
    predecessors, distance = _distances(rows, accepting)
    if not rows or distance[0] < 0:
        return np.empty((0, 0), dtype=np.int32), np.empty(0, dtype=np.bool_)
    table = np.array(rows, dtype=np.int32)
    block, cyclic = _merge_finite(rows, accepting, predecessors, distance)
    representative = _merge_cyclic(table, block, cyclic, distance)
    numbered, kept = numbered_breadth_first(representative[table], int(representative[0]))
    return numbered, np.array(accepting, dtype=np.bool_)[kept]


def numbered_breadth_first(table: Table, start: int = 0) -> tuple[Table, list[int]]:
    """The rows reachable from `start`, in that order, and which rows of `table` they are."""
    rows = table.tolist()
    known = {-1, start}
    order = [start]
    for state in order:
        for target in dict.fromkeys(rows[state]):
            if target not in known:
                known.add(target)
                order.append(target)
    number = np.full(len(rows) + 1, -1, dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return number[table[order]], order


def row_keys(table: Table) -> list[bytes]:
    """One key for each row, equal where rows are."""
    joined = np.ascontiguousarray(table)
    keys: list[bytes] = joined.view(f"V{joined.shape[1] * joined.itemsize}").ravel().tolist()
    return keys


def distances(rows: Sequence[Sequence[int]], accepting: Sequence[bool]) -> list[int]:
    """How many more symbols each state needs at least to accept; -1 where it never can."""
    return _distances(rows, accepting)[1]


def _distances(rows: Sequence[Sequence[int]], accepting: Sequence[bool]) -> tuple[list[list[int]], list[int]]:
    # One list more than states: targets of -1 gather there.
    predecessors: list[list[int]] = [[] for _ in range(len(rows) + 1)]
    for state, row in enumerate(rows):
        for target in set(row):
            predecessors[target].append(state)
    distance = [0 if accepts else -1 for accepts in accepting]
    queue = [state for state, accepts in enumerate(accepting) if accepts]
    for state in queue:
        further = distance[state] + 1
        for previous in predecessors[state]:
            if distance[previous] < 0:
                distance[previous] = further
                queue.append(previous)
    return predecessors, distance


def _merge_finite(
    rows: Rows, accepting: Sequence[bool], predecessors: list[list[int]], distance: list[int]
) -> tuple[list[int], list[int]]:
    """A representative for each state (-1 for dead ones, and for the dead target), and the states left to refine."""
    size = len(rows)
    block = [state if distance[state] >= 0 else -1 for state in range(size)]
    block.append(-1)
    pending = [0] * (size + 1)
    for target in range(size):
        if distance[target] >= 0:
            for previous in predecessors[target]:
                pending[previous] += 1
    known: dict[tuple[bool, tuple[int, ...]], int] = {}
    ready = [state for state in range(size) if distance[state] >= 0 and pending[state] == 0]
    for state in ready:
        targets = tuple([block[target] for target in rows[state]])
        block[state] = known.setdefault((accepting[state], targets), state)
        for previous in predecessors[state]:
            pending[previous] -= 1
            if pending[previous] == 0:
                ready.append(previous)
    return block, [state for state in range(size) if distance[state] >= 0 and pending[state] > 0]


def _merge_cyclic(table: Table, block: list[int], cyclic: list[int], distance: list[int]) -> npt.NDArray[np.int32]:
    """The representative of every state: as in `block`, but for the states `cyclic`, which are refined until stable.

    Each round looks only at states some target of which has changed its block; a block that splits keeps its number
    for the members that were not looked at or, failing those, for one part.
    """
    representative = np.array(block, dtype=np.int32)
    if not cyclic:
        return representative
    members = np.array(cyclic, dtype=np.int32)
    targets = table[members]
    # Block numbers of these states start above every representative of the others.
    base = len(table)
    blocks = representative.copy()
    blocks[members] = [base + distance[state] for state in cyclic]
    fresh = int(blocks.max()) + 1
    looked_at = np.arange(len(members))
    work = 0
    while len(looked_at):
        before = blocks[members[looked_at]]
        parts: dict[bytes, int] = {}
        keys = row_keys(np.concatenate((before[:, None], blocks[targets[looked_at]]), axis=1))
        part = np.array([parts.setdefault(key, len(parts)) for key in keys], dtype=np.int32)
        block_of_part = np.empty(len(parts), dtype=np.int32)
        block_of_part[part] = before
        is_whole = np.bincount(before, minlength=fresh) == np.bincount(blocks[members], minlength=fresh)
        number_of_part: list[int] = []
        kept: set[int] = set()
        split = fresh
        for number, is_free in zip(block_of_part.tolist(), is_whole[block_of_part].tolist(), strict=True):
            if is_free and number not in kept:
                kept.add(number)
                number_of_part.append(number)
            else:
                number_of_part.append(fresh)
                fresh += 1
        if fresh == split:
            break
        work += len(members)
        if work > REFINEMENT_BUDGET:
            return representative
        after = np.array(number_of_part, dtype=np.int32)[part]
        blocks[members[looked_at]] = after
        is_changed = np.zeros(len(blocks), dtype=np.bool_)
        is_changed[members[looked_at]] = after != before
        looked_at = np.flatnonzero(is_changed[targets].any(axis=1))
    _, first, which = np.unique(blocks[members], return_index=True, return_inverse=True)
    representative[members] = members[first][which]
    return representative
