"""The minimal automaton of finitely many words: enumerations and literals, up to thousands of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokamask.grammar.automaton import Flags, Table, too_many_states
from tokamask.grammar.budget import check_time, present_budget

# A node of the automaton: whether a word ends there, and its edges (byte, node), the bytes ascending.
Node = tuple[bool, tuple[tuple[int, int], ...]]


def word_automaton(words: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], Table, Flags]:
    """The column of each byte, the transitions and the accepting states, as `language.Language` has them.

    Args:
        words: distinct, sorted, at least one.

    Raises:
        CompileBudgetExceeded: the words need too many states.
    """
    nodes = _nodes(words)
    # The start was frozen last; from there breadth first, which is by byte as edges are.
    order = [len(nodes) - 1]
    number = {order[0]: 0}
    targets_by_byte: dict[int, list[tuple[int, int]]] = {}
    most = present_budget().states
    for state, node in enumerate(order):  # grows meanwhile
        check_time()
        for byte, target in nodes[node][1]:
            if target not in number:
                number[target] = len(order)
                order.append(target)
            targets_by_byte.setdefault(byte, []).append((state, number[target]))
        if len(order) > most:
            raise too_many_states(most)
    byte_class, columns = _columns(targets_by_byte)
    transitions = np.full((len(order), len(columns)), -1, dtype=np.int32)
    for column, edges in enumerate(columns):
        for state, target in edges:
            transitions[state, column] = target
    return byte_class, transitions, np.array([nodes[node][0] for node in order], dtype=np.bool_)


def _nodes(words: Sequence[bytes]) -> list[Node]:
    """The nodes, each after those it leads to; the last one is the start.

    Grown word by word (Daciuk et al., "Incremental construction of minimal acyclic finite-state automata", 2000): all
    but the path of the current word is already minimal.
    """
    register: dict[Node, int] = {}
    # The path of the current word: whether a word ends at each of its nodes, and their edges but the one on the path.
    ends = [False]
    path: list[list[tuple[int, int]]] = [[]]
    previous = b""

    def freeze(depth: int) -> None:
        """Keep the first `depth` nodes of the path open."""
        while len(path) > depth:
            node = register.setdefault((ends.pop(), tuple(path.pop())), len(register))
            if path:
                path[-1].append((previous[len(path) - 1], node))

    for word in words:
        shared = next((i for i, (x, y) in enumerate(zip(previous, word, strict=False)) if x != y), len(previous))
        freeze(shared + 1)
        path.extend([] for _ in range(len(word) - shared))
        ends.extend([False] * (len(word) - shared))
        ends[-1] = True
        previous = word
    freeze(0)
    return list(register)


def _columns(
    targets_by_byte: dict[int, list[tuple[int, int]]],
) -> tuple[npt.NDArray[np.uint8], list[tuple[tuple[int, int], ...]]]:
    """The column of each byte, in the order of first bytes, and what (state, target) each column has."""
    unused = next((byte for byte in range(256) if byte not in targets_by_byte), 0)
    firsts = sorted({*targets_by_byte, unused})
    columns: dict[tuple[tuple[int, int], ...], int] = {}
    column = [columns.setdefault(tuple(targets_by_byte.get(byte, ())), len(columns)) for byte in firsts]
    byte_class = np.full(256, column[firsts.index(unused)], dtype=np.uint8)
    byte_class[firsts] = column
    return byte_class, list(columns)
