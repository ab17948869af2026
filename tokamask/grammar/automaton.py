"""Deterministic automata while they are built: plain rows of successors, in Python lists.

A row holds the next state for each column of some alphabet (bytes, byte classes, classes of code points), -1 for none.
State 0 is the start. `language.Language` is the finished form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import TypeVar

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import check_time, present_budget

# Refining cyclic states costs states x rounds; beyond this many row comparisons they are left unmerged, which is
# still the same language.
REFINEMENT_BUDGET = 2_000_000

Rows = list[list[int]]
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
            raise CompileBudgetExceeded(
                f"the automaton needs more than {most} states; use smaller repetition counts or length bounds"
            )
    return rows, states


def minimal(rows: Sequence[Sequence[int]], accepting: Sequence[bool]) -> tuple[Rows, list[bool]]:
    """The same language without dead states and, within a budget, without equivalent ones, numbered breadth first.

    States from which only finitely many texts remain are merged bottom up (Revuz 1992); the others by partition
    refinement (Moore 1956) that starts from their distance to acceptance. The empty language has no rows.
    """
    predecessors, distance = _distances(rows, accepting)
    if not rows or distance[0] < 0:
        return [], []
    getter = _row_getter(len(rows[0]))
    block, cyclic = _merge_finite(rows, accepting, predecessors, distance, getter)
    _merge_cyclic(rows, block, cyclic, distance, getter)
    return _numbered(rows, accepting, block)


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


def _row_getter(width: int) -> Callable[[Sequence[int], list[int]], tuple[int, ...]]:
    """A function that maps a row through a table, as a tuple."""

    def mapped(row: Sequence[int], table: list[int]) -> tuple[int, ...]:
        return itemgetter(*row)(table)  # type: ignore[no-any-return]

    def mapped_single(row: Sequence[int], table: list[int]) -> tuple[int, ...]:
        return tuple([table[target] for target in row])

    return mapped if width > 1 else mapped_single


def _merge_finite(
    rows: Sequence[Sequence[int]],
    accepting: Sequence[bool],
    predecessors: list[list[int]],
    distance: list[int],
    getter: Callable[[Sequence[int], list[int]], tuple[int, ...]],
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
        block[state] = known.setdefault((accepting[state], getter(rows[state], block)), state)
        for previous in predecessors[state]:
            pending[previous] -= 1
            if pending[previous] == 0:
                ready.append(previous)
    return block, [state for state in range(size) if distance[state] >= 0 and pending[state] > 0]


def _merge_cyclic(
    rows: Sequence[Sequence[int]],
    block: list[int],
    cyclic: list[int],
    distance: list[int],
    getter: Callable[[Sequence[int], list[int]], tuple[int, ...]],
) -> None:
    """Refine `block` over the states `cyclic` until it is stable; other entries stay."""
    separate = {state: block[state] for state in cyclic}
    # Block numbers of these states start above every representative of the others.
    base = len(rows)
    for state in cyclic:
        block[state] = base + distance[state]
    count, work = 0, 0
    while cyclic:
        known: dict[tuple[int, tuple[int, ...]], int] = {}
        refined = [known.setdefault((block[state], getter(rows[state], block)), base + state) for state in cyclic]
        for state, number in zip(cyclic, refined, strict=True):
            block[state] = number
        if len(known) == count:
            return
        count = len(known)
        work += len(cyclic)
        if work > REFINEMENT_BUDGET:
            for state, number in separate.items():
                block[state] = number
            return


def _numbered(rows: Sequence[Sequence[int]], accepting: Sequence[bool], block: list[int]) -> tuple[Rows, list[bool]]:
    """One row for each block reachable from state 0, breadth first."""
    index = {-1: -1, block[0]: 0}
    members = [0]
    numbered: Rows = []
    for state in members:
        row = []
        for target in rows[state]:
            number = block[target]
            known = index.get(number)
            if known is None:
                known = index[number] = len(members)
                members.append(target)
            row.append(known)
        numbered.append(row)
    return numbered, [accepting[state] for state in members]
