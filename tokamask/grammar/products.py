"""Products of two automata: the pairs of states that are reached together, over the columns that either tells apart."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tokamask.grammar.automaton import too_many_states
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.flat_automaton import FlatAutomaton, Words
from tokamask.grammar.jit import jit

__all__ = ["Automaton", "Combination", "have_common_text", "product"]

# The arrays of a language: the column of each byte, the transitions, the accepting states.
Columns = npt.NDArray[np.uint8]
Table = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Automaton = tuple[Columns, Table, Flags]

# Room for pairs, and for the words of their rows, at first. It grows fourfold, but never by more than so many pairs:
# the time is looked at in between.
FIRST_PAIRS = 1 << 8
FIRST_ROWS = 1 << 13
MOST_MORE_PAIRS = 1 << 14


class Combination(IntEnum):
    """Which texts of two languages: bit 2 * (in the first) + (in the second)."""

    DIFFERENCE = 0b0100
    INTERSECTION = 0b1000
    UNION = 0b1110


def product(first: Automaton, second: Automaton, combination: Combination) -> tuple[Words, FlatAutomaton]:
    """The product of two automata of at least one state each: the column of each byte, and the pairs of states.

    The columns are in the order of their first bytes; all states are reachable.

    Raises:
        CompileBudgetExceeded: there are more states than the budget allows.
    """
    byte_class, pairs, _ = _pairs(first, second, combination, present_budget().states + 1)
    return byte_class, pairs


def have_common_text(first: Automaton, second: Automaton) -> bool:
    """Whether some text is accepted by both automata, of at least one state each: looked for breadth first.

    Raises:
        CompileBudgetExceeded: looking for it takes more states than the budget allows.
    """
    _, _, found = _pairs(first, second, Combination.INTERSECTION, 1)
    return found > 0


def _pairs(
    first: Automaton, second: Automaton, combination: Combination, enough: int
) -> tuple[Words, FlatAutomaton, int]:
    """As for `product`, but only until `enough` states accept; also how many do."""
    most = present_budget().states
    columns, counts = np.empty(3 * 256, dtype=np.int32), np.zeros(4, dtype=np.int32)
    accepting, pairs = np.empty(FIRST_PAIRS, dtype=np.int32), np.empty(2 * FIRST_PAIRS, dtype=np.int32)
    rows = np.empty(FIRST_ROWS, dtype=np.int32)
    while True:
        room = len(accepting)
        slots = np.zeros(2 << room.bit_length(), dtype=np.int32)
        follow_pairs(*first, *second, int(combination), enough, columns, pairs, rows, accepting, slots, counts)
        known, followed, found, width = counts.tolist()
        if known > most:
            raise too_many_states(most)
        if followed == known or found >= enough:
            return columns[:256], FlatAutomaton(rows, accepting, followed, width), found
        check_time()
        room += min(3 * room, MOST_MORE_PAIRS)
        accepting.resize(room, refcheck=False)
        pairs.resize(2 * room, refcheck=False)
        rows.resize(room * width, refcheck=False)


@jit
def follow_pairs(
    a_class: Columns,
    a_rows: Table,
    a_accepting: Flags,
    b_class: Columns,
    b_rows: Table,
    b_accepting: Flags,
    combination: int,
    enough: int,
    columns: Words,
    pairs: Words,
    rows: Words,
    accepting: Words,
    slots: Words,
    counts: Words,
) -> None:
    """Follow the pairs of states that are reached, breadth first: all of them, or while there is room.

    Args:
        enough: so many accepting pairs end the search.
        columns: three times 256 words: the column of each byte; each column's own one of the first automaton, and of
            the second.
        pairs: the two states of each pair, -1 for a dead one.
        slots: a hash table of pairs by number + 1; 0 for none, a power of two, at least twice as many as pairs.
        counts: the pairs known, those followed, those among them that accept, and the columns; at first all 0.
    """
    known, followed, found, width = counts[0], counts[1], counts[2], counts[3]
    if known == 0:
        width = _join_columns(a_class, b_class, columns)
        pairs[0] = pairs[1] = 0
        known = 1
    # Where one side is dead and no text is accepted any more, the pair is.
    a_may_die = combination & 0b0010 != 0
    b_may_die = combination & 0b0100 != 0
    mask = len(slots) - 1
    for number in range(known):
        slots[_slot(pairs, slots, mask, pairs[2 * number], pairs[2 * number + 1])] = number + 1
    while found < enough and followed < known:
        if known + width > len(accepting) or (followed + 1) * width > len(rows):
            break
        a, b = pairs[2 * followed], pairs[2 * followed + 1]
        kind = 2 * (a >= 0 and a_accepting[a]) + (b >= 0 and b_accepting[b])
        accepting[followed] = combination >> kind & 1
        found += accepting[followed]
        for column in range(width):
            to_a = a_rows[a, columns[256 + column]] if a >= 0 else -1
            to_b = b_rows[b, columns[512 + column]] if b >= 0 else -1
            target = -1
            if (to_a >= 0 or a_may_die) and (to_b >= 0 or b_may_die) and (to_a >= 0 or to_b >= 0):
                slot = _slot(pairs, slots, mask, to_a, to_b)
                if slots[slot] == 0:
                    pairs[2 * known], pairs[2 * known + 1] = to_a, to_b
                    known += 1
                    slots[slot] = known
                target = slots[slot] - 1
            rows[followed * width + column] = target
        followed += 1
    counts[0], counts[1], counts[2], counts[3] = known, followed, found, width


@jit
def _join_columns(a_class: Columns, b_class: Columns, columns: Words) -> int:
    """Number the pairs of columns that some byte uses, in the order of first bytes; returns how many there are."""
    count = 0
    for byte in range(256):
        a, b = a_class[byte], b_class[byte]
        number = 0
        while number < count and (columns[256 + number] != a or columns[512 + number] != b):
            number += 1
        if number == count:
            columns[256 + number], columns[512 + number] = a, b
            count += 1
        columns[byte] = number
    return count


@jit
def _slot(pairs: Words, slots: Words, mask: int, a: int, b: int) -> int:
    """Where a pair is, or would be, in the hash table."""
    mixed = (a + 1) * 0x9E3779B1 + (b + 1) * 0x85EBCA77
    slot = (mixed ^ mixed >> 15) & mask
    while slots[slot] and (pairs[2 * slots[slot] - 2] != a or pairs[2 * slots[slot] - 1] != b):
        slot = (slot + 1) & mask
    return slot
