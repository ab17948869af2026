"""How many texts of a language are left from each state of its automaton."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.language import Language

MANY = 1 << 20
"""As many as this, or endlessly many."""


def texts_left(language: Language) -> npt.NDArray[np.int32]:
    """int32 (states,): the texts that lead from each state to acceptance, at most MANY.

    States are counted once all they lead to are (Kahn 1962), so those before a cycle are left over.
    """
    rows = language.transitions.tolist()
    columns = language.byte_class.tolist()
    edges = [[row[column] for column in columns if row[column] >= 0] for row in rows]
    sources: list[list[int]] = [[] for _ in rows]
    for state, targets in enumerate(edges):
        for target in targets:
            sources[target].append(state)
    waiting_for = list(map(len, edges))
    counts = language.accepting.astype(np.int64).tolist()
    ready = [state for state, number in enumerate(waiting_for) if number == 0]
    for state in ready:
        for source in sources[state]:
            counts[source] = min(MANY, counts[source] + counts[state])
            waiting_for[source] -= 1
            if waiting_for[source] == 0:
                ready.append(source)
    counts = [MANY if number else count for number, count in zip(waiting_for, counts, strict=True)]
    return np.array(counts, dtype=np.int32)
