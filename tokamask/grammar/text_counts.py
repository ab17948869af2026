"""How many texts a language has: all of them, and left from each state of its automaton."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit

if TYPE_CHECKING:
    from tokamask.grammar.language import Language

__all__ = ["MANY", "number_of_texts", "texts_left"]

Words = npt.NDArray[np.int32]
Columns = npt.NDArray[np.uint8]
Table = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

MANY = 1_000_000
"""As many as this, or endlessly many: more than the items or names that one text will ever have."""


def number_of_texts(language: Language) -> int:
    """How many texts there are, at most MANY."""
    return 0 if language.is_empty else int(texts_left(language)[0])


def texts_left(language: Language) -> Words:
    """int32 (states,): the texts that lead from each state to acceptance, at most MANY."""
    states, width = language.transitions.shape
    counts, room = np.full(states, -1, dtype=np.int32), np.zeros(2 * states + width, dtype=np.int32)
    if states:
        count_texts(language.byte_class, language.transitions, language.accepting, MANY, counts, room)
    return counts


@jit
def count_texts(
    byte_class: Columns, transitions: Table, accepting: Flags, many: int, counts: Words, room: Words
) -> None:
    """Depth first, each state once all it leads to are counted.

    Every state leads to acceptance, so whatever leads back to a state on the way to it has endlessly many texts.

    Args:
        counts: -1 for each state.
        room: 2 words for each state and one for each column, all 0.
    """
    states, width = transitions.shape
    path, column_of, bytes_of = room[:states], room[states : 2 * states], room[2 * states :]
    for byte in range(256):
        bytes_of[byte_class[byte]] += 1
    on_path = -2
    counts[0] = on_path
    depth = 0
    while depth >= 0:
        state = path[depth]
        if column_of[depth] < width:
            target = transitions[state, column_of[depth]]
            column_of[depth] += 1
            if target >= 0 and counts[target] == -1:
                counts[target] = on_path
                depth += 1
                path[depth] = target
                column_of[depth] = 0
        else:
            count = int(accepting[state])
            for column in range(width):
                target = transitions[state, column]
                if target >= 0:
                    count += many if counts[target] == on_path else bytes_of[column] * counts[target]
            counts[state] = min(many, count)
            depth -= 1
