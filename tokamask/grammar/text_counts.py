"""What a language has left from each state of its automaton: how many texts, and of how many code points.

Code points are counted where they begin, at bytes that do not continue a UTF-8 sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit

if TYPE_CHECKING:
    from tokamask.grammar.language import Language

__all__ = ["MANY", "measure_texts", "number_of_texts", "texts_left"]

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


@jit
def measure_texts(
    byte_class: Columns, transitions: Table, accepting: Flags, unbounded: int, lengths: Words, room: Words
) -> None:
    """The fewest and the most code points from each state to acceptance, found backwards from there.

    Every state leads to acceptance, and every cycle begins code points.

    Args:
        unbounded: stands for the most where there is a cycle.
        lengths: for each state the fewest and the most, all 0.
        room: a word for each transition that there may be, 4 for each state, 2 for each column, and one more.
    """
    states, width = transitions.shape
    # How many code points the bytes of a column begin: some may begin one and others not.
    least, greatest, room = room[:width], room[width : 2 * width], room[2 * width :]
    least[:] = 1
    greatest[:] = 0
    for byte in range(256):
        begins = 0 if byte & 0xC0 == 0x80 else 1
        least[byte_class[byte]] = min(least[byte_class[byte]], begins)
        greatest[byte_class[byte]] = max(greatest[byte_class[byte]], begins)
    # The transitions to a state s are sources[heads[s]:heads[s + 1]], as state * width + column.
    queue, later, pending, room = room[:states], room[states:], room[2 * states :], room[3 * states :]
    heads, sources = room[: states + 1], room[states + 1 :]
    heads[:] = 0
    for state in range(states):
        pending[state] = 0
        for column in range(width):
            if transitions[state, column] >= 0:
                heads[transitions[state, column]] += 1
                pending[state] += 1
    total = 0
    for state in range(states + 1):
        total += heads[state]
        heads[state] = total
    for state in range(states):
        for column in range(width):
            target = transitions[state, column]
            if target >= 0:
                heads[target] -= 1
                sources[heads[target]] = state * width + column
    _find_fewest(accepting, width, least, heads, sources, lengths, queue, later)
    _find_most(states, width, greatest, heads, sources, pending, unbounded, lengths, queue)


@jit
def _find_fewest(
    accepting: Flags,
    width: int,
    least: Words,
    heads: Words,
    sources: Words,
    lengths: Words,
    queue: Words,
    later: Words,
) -> None:
    """Breadth first from acceptance, over columns that begin no code point before the others."""
    unknown, awaited = -1, -2
    found = 0
    for state in range(len(accepting)):
        lengths[2 * state] = unknown
        if accepting[state]:
            lengths[2 * state] = awaited
            later[found] = state
            found += 1
    # States so far away: those not yet followed are queue[at:known]; those one further, or nearer, later[begun:found].
    at = known = begun = length = 0
    while begun < found:
        while begun < found:
            if lengths[2 * later[begun]] == awaited:
                lengths[2 * later[begun]] = length
                queue[known] = later[begun]
                known += 1
            begun += 1
        while at < known:
            for place in range(heads[queue[at]], heads[queue[at] + 1]):
                source = sources[place] // width
                if lengths[2 * source] < 0 and least[sources[place] % width] == 0:
                    lengths[2 * source] = length
                    queue[known] = source
                    known += 1
                elif lengths[2 * source] == unknown:
                    lengths[2 * source] = awaited
                    later[found] = source
                    found += 1
            at += 1
        length += 1


@jit
def _find_most(
    states: int,
    width: int,
    greatest: Words,
    heads: Words,
    sources: Words,
    pending: Words,
    unbounded: int,
    lengths: Words,
    queue: Words,
) -> None:
    """Bottom up, in reverse topological order (Kahn 1962): a state that comes to no turn leads to a cycle.

    Args:
        pending: how many transitions each state has; used up.
    """
    at = known = 0
    for state in range(states):
        if pending[state] == 0:
            queue[known] = state
            known += 1
    while at < known:
        most = lengths[2 * queue[at] + 1]
        for place in range(heads[queue[at]], heads[queue[at] + 1]):
            source = sources[place] // width
            lengths[2 * source + 1] = max(lengths[2 * source + 1], most + greatest[sources[place] % width])
            pending[source] -= 1
            if pending[source] == 0:
                queue[known] = source
                known += 1
        at += 1
    for state in range(states):
        if pending[state]:
            lengths[2 * state + 1] = unbounded
