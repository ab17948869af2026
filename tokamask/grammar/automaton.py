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
from tokamask.grammar.flat_automaton import FlatAutomaton

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


def flat(rows: Rows | Table, accepting: Sequence[bool] | Flags | Table) -> FlatAutomaton:
    """The same automaton as kernels have it, in arrays of its own."""
    table = np.array(rows, dtype=np.int32)
    states, width = table.shape
    return FlatAutomaton(table.reshape(-1), np.array(accepting, dtype=np.int32), states, width)


def distances(rows: Sequence[Sequence[int]], accepting: Sequence[bool]) -> list[int]:
    """How many more symbols each state needs at least to accept; -1 where it never can."""
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
    return distance
