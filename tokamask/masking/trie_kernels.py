"""Kernels that read the tries of V (see `token_trie` for the words of a node)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit
from tokamask.grammar.moves import ANY_BYTE, is_listed

Words = npt.NDArray[np.int32]


@jit
def child_count(V: Words, node: int) -> int:
    return V[node] >> 8 & 0x1FF


@jit
def find_child(V: Words, nodes: int, node: int, byte: int) -> int:
    """The child of `node` (addresses into V) whose edge is `byte`; 0 when there is none."""
    low = nodes + 4 * V[node + 1]
    count = child_count(V, node)
    while count > 0:
        half = count >> 1
        middle = low + 4 * half
        if (V[middle] & 255) < byte:
            low = middle + 4
            count -= half + 1
        else:
            count = half
    # `low` is the first child not below `byte`, possibly one past the last.
    if low < nodes + 4 * (V[node + 1] + child_count(V, node)) and (V[low] & 255) == byte:
        return low
    return 0


# Where `count` bytes are candidates (ANY_BYTE: all are), a walk goes through them or through the children of a node,
# whichever are fewer.


@jit
def trial_count(V: Words, node: int, count: int) -> int:
    """How many children `child_to_try` has to be asked for."""
    children = child_count(V, node)
    return count if count != ANY_BYTE and count < children else children


@jit
def child_to_try(V: Words, nodes: int, node: int, candidates: Words, count: int, index: int) -> int:
    """A child of `node` whose edge is a candidate, for an index below `trial_count`; 0: there is none at this index."""
    if count != ANY_BYTE and count < child_count(V, node):
        return find_child(V, nodes, node, candidates[index])
    child = nodes + 4 * (V[node + 1] + index)
    return child if count == ANY_BYTE or is_listed(candidates, count, V[child] & 255) else 0
