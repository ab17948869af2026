"""From an automaton over the cells of an alphabet to the language that spells them in UTF-8."""

from __future__ import annotations

import numpy as np

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.flat_automaton import FlatAutomaton, Words, number_breadth_first
from tokamask.grammar.jit import jit
from tokamask.grammar.language import Language, empty, frozen
from tokamask.grammar.regular_expression.alphabet import INNER, NOTHING
from tokamask.grammar.regular_expression.determinisation import CellAutomaton

__all__ = ["spelled_out"]


def spelled_out(automaton: CellAutomaton) -> Language:
    """The UTF-8 language of a minimal automaton over cells.

    The result is minimal too: texts end, and code points begin, only at the states of the automaton itself, and the
    states in between are shared whenever they lead to the same places.

    Raises:
        CompileBudgetExceeded: there are more states than the budget allows.
    """
    alphabet = automaton.alphabet
    cells, accepts, states, size = automaton.flat
    if not states:
        return empty()
    width = len(alphabet.lead)
    nodes = len(alphabet.inner) // width
    most = present_budget().states
    after = np.empty(states * nodes, dtype=np.int32)
    rows = np.empty((states + min(states * nodes, 4 * states + 64)) * width, dtype=np.int32)
    counts = np.array((0, states), dtype=np.int32)
    while True:
        slots = np.zeros(2 << (len(rows) // width).bit_length(), dtype=np.int32)
        spell_out(cells, states, size, alphabet.lead, alphabet.inner, after, rows, slots, counts)
        spelled, places = counts.tolist()
        if places > most:
            raise CompileBudgetExceeded(
                f"the expression needs more than {most} states in UTF-8; use smaller repetition counts"
            )
        if spelled == nodes:
            break
        check_time()
        rows.resize(2 * len(rows) + states * width, refcheck=False)
    accepting = np.zeros(places, dtype=np.int32)
    accepting[:states] = accepts[:states]
    result = np.empty(places * width, dtype=np.int32)
    room = np.empty(2 * places, dtype=np.int32)
    itself = np.arange(places, dtype=np.int32)
    reached = number_breadth_first(rows, accepting, places, width, itself, places, result, room)
    return frozen(np.frombuffer(alphabet.byte_class, dtype=np.uint8), FlatAutomaton(result, accepting, reached, width))


@jit
def spell_out(
    cells: Words,
    states: int,
    size: int,
    lead: Words,
    inner: Words,
    after: Words,
    rows: Words,
    slots: Words,
    counts: Words,
) -> None:
    """Write what follows each state, in front, and each place between code points; no more than there is room for.

    Args:
        cells: the automaton: `states` rows of `size` cells.
        lead, inner: see `Alphabet`.
        after: the place of each inner node behind each state, node by node.
        slots: a hash table of the places between by number + 1; 0 for none, a power of two, more than the rows.
        counts: how many inner nodes are spelled, and how many places there are with the states.
    """
    width = len(lead)
    nodes = len(inner) // width
    mask = len(slots) - 1
    spelled, places = counts[0], counts[1]
    for place in range(states, places):
        slots[_slot_of_row(rows, width, slots, mask, place)] = place + 1
    # Children stand before their parents.
    while spelled < nodes and (places + states) * width <= len(rows):
        for state in range(states):
            if _follow(cells, size, states, state, inner[spelled * width : (spelled + 1) * width], after, rows, places):
                slot = _slot_of_row(rows, width, slots, mask, places)
                if slots[slot] == 0:
                    places += 1
                    slots[slot] = places
                after[spelled * states + state] = slots[slot] - 1
            else:
                after[spelled * states + state] = -1
        spelled += 1
    if spelled == nodes:
        for state in range(states):
            _follow(cells, size, states, state, lead, after, rows, state)
    counts[0], counts[1] = spelled, places


@jit
def _follow(
    cells: Words, size: int, states: int, state: int, columns: Words, after: Words, rows: Words, row: int
) -> int:
    """Write the row of what follows each column behind a state; returns how much of it there is."""
    width = len(columns)
    present = 0
    for column in range(width):
        follows = columns[column]
        place = -1
        if follows >= 0:
            place = cells[state * size + follows]
        elif follows != NOTHING:
            place = after[(INNER - follows) * states + state]
        rows[row * width + column] = place
        present += place >= 0
    return present


@jit
def _slot_of_row(rows: Words, width: int, slots: Words, mask: int, row: int) -> int:
    """Where a row is, or would be, in the hash table of equal rows."""
    mixed = 0
    for column in range(width):
        mixed = (mixed * 0x01000193 + rows[row * width + column]) & 0xFFFFFFFFFFFF
    slot = (mixed ^ mixed >> 17) & mask
    while slots[slot]:
        other = slots[slot] - 1
        column = 0
        while column < width and rows[row * width + column] == rows[other * width + column]:
            column += 1
        if column == width:
            break
        slot = (slot + 1) & mask
    return slot
