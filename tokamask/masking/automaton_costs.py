"""What is left to the end of an automaton's text, as costs: the fewest one-byte tokens that spell it.

Costs are upper bounds of the tokens needed, exact for a vocabulary of single bytes. They stand in the array K, which
runs parallel to the program P: K[row] of an automaton's state row is the cost to acceptance, K[row + 1] the same inside
a JSON string, where some characters take an escape. After the program's words come 256 more: the cost of each byte, 1
where a token of that byte alone exists.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit
from tokamask.grammar.program import (
    ACCEPTING,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    AUTOMATON_STATES,
)
from tokamask.grammar.string_body import has_short_escape

Words = npt.NDArray[np.int32]

NEVER = 1 << 28
MISSING_BYTE = 1 << 16  # the cost of a byte that no token spells alone


@jit
def cost_sum(a: int, b: int) -> int:
    """NEVER is the most there is."""
    return min(NEVER, a + b)


@jit
def state_row(P: Words, block: int, state: int) -> int:
    return block + P[block + AUTOMATON_ROWS] + state * (P[block + AUTOMATON_CLASSES] + 1)


@jit
def byte_cost(P: Words, K: Words, byte: int) -> int:
    return K[len(P) + byte]


@jit
def string_byte_cost(P: Words, K: Words, byte: int) -> int:
    """The cost of one byte of decoded text inside a JSON string."""
    if has_short_escape(byte):
        return cost_sum(byte_cost(P, K, 0x5C), 1)
    if byte < 0x20:
        return 6
    return byte_cost(P, K, byte)


@jit
def analyse_automaton(P: Words, K: Words, block: int) -> None:
    """Relax the cost of every state until nothing changes; K[block] remembers that it was done."""
    if K[block] == 0:
        return
    K[block] = 0
    states = P[block + AUTOMATON_STATES]
    classes = P[block + AUTOMATON_CLASSES]
    starts = block + P[block + AUTOMATON_CLASS_START]
    members = block + P[block + AUTOMATON_CLASS_BYTES]
    for inside in range(2):
        # The cheapest byte of each class, kept beside the class table.
        for c in range(classes):
            cheapest = NEVER
            for i in range(P[starts + c], P[starts + c + 1]):
                byte = P[members + i]
                cheapest = min(cheapest, string_byte_cost(P, K, byte) if inside else byte_cost(P, K, byte))
            K[starts + c] = cheapest
        changed = True
        while changed:
            changed = False
            for state in range(states - 1, -1, -1):
                row = state_row(P, block, state)
                best = K[row + inside]
                if P[row] & ACCEPTING:
                    best = 0
                for c in range(classes):
                    target = P[row + 1 + c]
                    if target >= 0:
                        best = min(best, cost_sum(K[starts + c], K[state_row(P, block, target) + inside]))
                if best < K[row + inside]:
                    K[row + inside] = best
                    changed = True


@jit
def costs_before(P: Words, K: Words, block: int, behind: Words, out: Words, ending: int) -> None:
    """From the costs inside a string where one code point more has begun, those before, of the states of an automaton.

    `behind` and `out` have a cost for each state; `ending` is the cost of accepting here. The automaton is analysed.
    """
    states = P[block + AUTOMATON_STATES]
    classes = P[block + AUTOMATON_CLASSES]
    starts = block + P[block + AUTOMATON_CLASS_START]
    members = block + P[block + AUTOMATON_CLASS_BYTES]
    for state in range(states):
        out[state] = ending if P[state_row(P, block, state)] & ACCEPTING else NEVER
    # What continues a code point begins none: three such bytes at most, and the rows are settled.
    for _ in range(4):
        for state in range(states):
            row = state_row(P, block, state) + 1
            for c in range(classes):
                target = P[row + c]
                if target >= 0:
                    # All bytes of a class that leads anywhere are alike in this.
                    begins = P[members + P[starts + c]] & 0xC0 != 0x80
                    further = behind[target] if begins else out[target]
                    out[state] = min(out[state], cost_sum(K[starts + c], further))
