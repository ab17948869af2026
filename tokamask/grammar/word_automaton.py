"""The minimal automaton of finitely many words: enumerations and literals, up to thousands of them.

The trie of the words, whose nodes are then merged bottom up: those are alike that accept alike and have edges of the
same letters to the same nodes (Revuz, "Minimisation of acyclic deterministic automata in linear time", 1992).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokamask.grammar.automaton import too_many_states
from tokamask.grammar.budget import present_budget
from tokamask.grammar.flat_automaton import FlatAutomaton, Words
from tokamask.grammar.jit import jit

__all__ = ["word_automaton"]

Columns = npt.NDArray[np.uint8]

# What is known of a trie's node, one array after another: the letter of the edge to it, its first child and next
# sibling (-1: none), by letter; whether a word ends there; the node that it is merged into; the state that it becomes;
# and, for each state, a node of it.
_LETTER, _CHILD, _SIBLING, _ENDS, _SAME, _STATE, _NODE, _ARRAYS = range(8)


def word_automaton(words: Sequence[bytes]) -> tuple[Words, FlatAutomaton]:
    """The column of each byte, and the automaton, its states numbered breadth first by byte.

    Args:
        words: distinct, sorted, at least one.

    Raises:
        CompileBudgetExceeded: the words need too many states.
    """
    # One letter more, for an array of none cannot be made.
    letters = np.frombuffer(b"".join(words) + b"\0", dtype=np.uint8)
    lengths = np.fromiter(map(len, words), dtype=np.int32, count=len(words))
    trie = np.empty(_ARRAYS * len(letters), dtype=np.int32)
    nodes = grow_trie(letters, lengths, trie, len(letters))
    slots = np.zeros(2 << nodes.bit_length(), dtype=np.int32)
    states = merge_nodes(trie, len(letters), nodes, slots)
    most = present_budget().states
    if states > most:
        raise too_many_states(most)
    byte_class, accepting = np.empty(256, dtype=np.int32), np.empty(states, dtype=np.int32)
    width = number_letters(letters, byte_class)
    rows = np.full(states * width, -1, dtype=np.int32)
    fill_rows(trie, len(letters), byte_class, rows, accepting, states, width)
    return byte_class, FlatAutomaton(rows, accepting, states, width)


@jit
def grow_trie(letters: Columns, lengths: Words, trie: Words, room: int) -> int:
    """The trie of the words, its parents before their children; returns the number of its nodes.

    Args:
        letters: those of all words, one word after the other, and a further one.
        trie: `room` words for each of its arrays.
    """
    letter, child, sibling = trie[_LETTER * room :], trie[_CHILD * room :], trie[_SIBLING * room :]
    ends, path = trie[_ENDS * room :], trie[_STATE * room :]
    child[0] = sibling[0] = -1
    letter[0] = ends[0] = path[0] = 0
    nodes = 1
    # From the last word to the first: so each node's first child is the latest one.
    end = len(letters) - 1
    following = end
    following_length = 0
    for word in range(len(lengths) - 1, -1, -1):
        length = lengths[word]
        begin = end - length
        depth = 0
        while depth < length and depth < following_length and letters[begin + depth] == letters[following + depth]:
            depth += 1
        while depth < length:
            node = path[depth]
            letter[nodes], child[nodes], sibling[nodes], ends[nodes] = letters[begin + depth], -1, child[node], 0
            child[node] = nodes
            depth += 1
            path[depth] = nodes
            nodes += 1
        ends[path[length]] = 1
        following, following_length, end = begin, length, begin
    return nodes


@jit
def merge_nodes(trie: Words, room: int, nodes: int, slots: Words) -> int:
    """Merge what is alike, and number the rest breadth first by letter; returns the number of states.

    Args:
        slots: a hash table of nodes by number + 1, 0 for none; a power of two, more than the nodes.
    """
    letter, child, sibling = trie[_LETTER * room :], trie[_CHILD * room :], trie[_SIBLING * room :]
    ends, same = trie[_ENDS * room :], trie[_SAME * room :]
    state, node_of = trie[_STATE * room :], trie[_NODE * room :]
    mask = len(slots) - 1
    for node in range(nodes - 1, -1, -1):
        mixed = int(ends[node])
        below = child[node]
        while below >= 0:
            mixed = (mixed * 0x01000193 + letter[below] * 0x9E3779B1 + same[below] * 0x85EBCA77) & 0xFFFFFFFFFFFF
            below = sibling[below]
        slot = (mixed ^ mixed >> 17) & mask
        while slots[slot]:
            other = slots[slot] - 1
            if ends[other] == ends[node]:
                below, aside = child[node], child[other]
                while below >= 0 and aside >= 0 and letter[below] == letter[aside] and same[below] == same[aside]:
                    below, aside = sibling[below], sibling[aside]
                if below == aside:
                    break
            slot = (slot + 1) & mask
        if slots[slot] == 0:
            slots[slot] = node + 1
        same[node] = slots[slot] - 1
        state[node] = -1
    node_of[0] = state[0] = 0
    states = 1
    at = 0
    while at < states:
        below = child[node_of[at]]
        while below >= 0:
            if state[same[below]] < 0:
                state[same[below]] = states
                node_of[states] = same[below]
                states += 1
            below = sibling[below]
        at += 1
    return states


@jit
def number_letters(letters: Columns, byte_class: Words) -> int:
    """One column for each byte among the letters but the last, and one for all others; returns their number."""
    byte_class[:] = 0
    for place in range(len(letters) - 1):
        byte_class[letters[place]] = 1
    width = 0
    others = -1
    for byte in range(256):
        if byte_class[byte] == 1 or others < 0:
            if byte_class[byte] == 0:
                others = width
            byte_class[byte] = width
            width += 1
        else:
            byte_class[byte] = others
    return width


@jit
def fill_rows(
    trie: Words, room: int, byte_class: Words, rows: Words, accepting: Words, states: int, width: int
) -> None:
    """Write the edges of the states into rows of -1, and whether each accepts."""
    letter, child, sibling = trie[_LETTER * room :], trie[_CHILD * room :], trie[_SIBLING * room :]
    ends, same = trie[_ENDS * room :], trie[_SAME * room :]
    state, node_of = trie[_STATE * room :], trie[_NODE * room :]
    for number in range(states):
        accepting[number] = ends[node_of[number]]
        below = child[node_of[number]]
        while below >= 0:
            rows[number * width + byte_class[letter[below]]] = state[same[below]]
            below = sibling[below]
