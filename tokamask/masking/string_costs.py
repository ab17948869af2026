"""Costs inside the strings whose automaton has bounds on the length beside it: a supplement to the array K.

Far from both bounds the cheapest way on is that of the automaton alone (see `cost_kernels`). Near them tables tell it:
one row for each number of code points that may still begin, up to where more of them make nothing cheaper, then one
for each count below the minimum. A row has the cost from each state to acceptance, int32.

K[pc + STRING_LENGTHS] is where in K the table of a record begins, K[pc + STRING_UNBOUNDED] how many rows of the first
kind there are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.program import (
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    AUTOMATON_STATES,
    STRING,
    STRING_LENGTHS,
    STRING_UNBOUNDED,
    Program,
)
from tokamask.masking.cost_kernels import NEVER, analyse_automaton, costs_before

Words = npt.NDArray[np.int32]


def with_string_costs(program: Program, costs: Words) -> Words:
    """K with the tables of all counted strings at its end. Its byte costs must be there, everything else NEVER."""
    words = program.words
    strings = program.records[words[program.records] == STRING]
    parts = [costs]
    size = len(costs)
    for pc in strings[words[strings + STRING_LENGTHS] > 0].tolist():
        minimum, maximum, block = words[pc + 1 : pc + 4].tolist()
        analyse_automaton(words, costs, block)
        tight = [] if maximum < 0 else _rows_within(words, costs, block, maximum - minimum)
        at_minimum = tight[-1] if maximum >= 0 and len(tight) > maximum - minimum else _unbounded(words, costs, block)
        parts += [*tight, _rows_below(words, costs, block, at_minimum, minimum).ravel()]
        costs[pc + STRING_LENGTHS] = size
        costs[pc + STRING_UNBOUNDED] = len(tight)
        size += (len(tight) + minimum) * len(at_minimum)
    return np.concatenate(parts)


def _unbounded(words: Words, costs: Words, block: int) -> Words:
    """int32 (states,): the cost from each state to acceptance, whatever the length."""
    states, width = int(words[block + AUTOMATON_STATES]), int(words[block + AUTOMATON_CLASSES]) + 1
    first = block + int(words[block + AUTOMATON_ROWS])
    return costs[first + 1 : first + states * width : width].copy()


def _rows_within(words: Words, costs: Words, block: int, most: int) -> list[Words]:
    """The costs where 0, 1, ... up to `most` code points may begin, as far as that makes a difference."""
    unbounded = _unbounded(words, costs, block)
    rows: list[Words] = []
    behind = np.full_like(unbounded, NEVER)
    while len(rows) <= most:
        row = np.empty_like(unbounded)
        costs_before(words, costs, block, behind, row, 0)
        if np.array_equal(row, unbounded):
            break
        rows.append(row)
        behind = row
    return rows


def _rows_below(words: Words, costs: Words, block: int, at_minimum: Words, minimum: int) -> Words:
    """int32 (minimum, states): the costs where 0, 1, ... code points have begun, too few of them to end."""
    rows = np.empty((minimum, len(at_minimum)), dtype=np.int32)
    behind = at_minimum
    for count in range(minimum - 1, -1, -1):
        costs_before(words, costs, block, behind, rows[count], NEVER)
        behind = rows[count]
    return rows
