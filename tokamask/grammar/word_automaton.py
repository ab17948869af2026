"""The minimal automaton of finitely many words: enumerations and literals, up to thousands of them."""

from __future__ import annotations

from collections.abc import Sequence

from tokamask.grammar.automaton import Rows, explore


def word_automaton(words: Sequence[bytes]) -> tuple[bytes, Rows, list[bool]]:
    """The column of each byte, the rows and the accepting states, all in the order of `language.finished`.

    Grown word by word (Daciuk et al., "Incremental construction of minimal acyclic finite-state automata", 2000): all
    but the path of the current word is already minimal.

    Args:
        words: distinct, and sorted.

    Raises:
        CompileBudgetExceeded: the words need too many states.
    """
    letters = set(b"".join(words))
    groups = [byte if byte in letters else -1 for byte in range(256)]
    column = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    # Frozen nodes: whether a word ends there, and the edges (column, node).
    register: dict[tuple[bool, tuple[tuple[int, int], ...]], int] = {}
    path: list[list[tuple[int, int]]] = [[]]
    final = [False]
    previous = b""

    def freeze(depth: int) -> int:
        """Keep `depth` nodes of the current path; the last node frozen."""
        node = -1
        while len(path) > depth:
            node = register.setdefault((final.pop(), tuple(path.pop())), len(register))
            if path:
                path[-1].append((column[previous[len(path) - 1]], node))
        return node

    for word in words:
        shared = next((i for i, (x, y) in enumerate(zip(previous, word, strict=False)) if x != y), len(previous))
        freeze(shared + 1)
        path.extend([] for _ in range(len(word) - shared))
        final.extend([False] * (len(word) - shared))
        final[-1] = True
        previous = word
    start = freeze(0)
    ends, rows = [], []
    for accepts, edges in register:
        ends.append(accepts)
        row: list[int | None] = [None] * len(column)
        for place, target in edges:
            row[place] = target
        rows.append(row)
    byte_class = bytes([column[group] for group in groups])
    if not words:
        return byte_class, [], []
    numbered, nodes = explore(start, rows.__getitem__)
    return byte_class, numbered, [ends[node] for node in nodes]
