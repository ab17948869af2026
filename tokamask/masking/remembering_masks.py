"""What a configuration that remembers forbids of the tokens that it would allow if it remembered nothing.

Both are followed side by side through the token trie, and only along what may still become something forbidden:
elsewhere they allow the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FOUND_COUNT,
    FULL,
    OVERFLOW,
    VISITS,
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
)
from tokamask.grammar.configurations import CLEARED
from tokamask.grammar.jit import jit
from tokamask.grammar.moves import move
from tokamask.grammar.survival import forgetful, is_free_text
from tokamask.masking.mask_kernels import (
    NO_ROW,
    has_room_for_mask,
    record_operations,
    walk,
)
from tokamask.masking.pieces import NODES, TOKENS
from tokamask.masking.token_trie import QUOTE_BELOW
from tokamask.masking.trie_kernels import child_count, take

Words = npt.NDArray[np.int32]


@jit
def find_cleared(P: Words, M: Words, V: Words, configuration: int) -> int:
    """The offset of the operations that set what is forbidden; FULL when the arena must grow."""
    known = M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + CLEARED]
    if known:
        return known
    if not has_room_for_mask(M):
        return FULL
    M[FOUND_COUNT] = 0
    has_row = _walk_apart(P, M, V, configuration)
    if has_row < 0:
        return FULL
    offset = record_operations(M, V, NO_ROW, 0, has_row)
    M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + CLEARED] = offset
    return offset


@jit
def _walk_apart(P: Words, M: Words, V: Words, configuration: int) -> int:
    """Take every token that the set would read if it remembered nothing, and does not. Returns as `take` does."""
    twin = forgetful(P, M, configuration)
    if twin < 0:
        return FULL
    nodes = V[NODES]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = configuration
    M[M[WALK] + 2] = twin
    top = 3
    while top > 0:
        top -= 3
        node = M[M[WALK] + top]
        configuration = M[M[WALK] + top + 1]
        twin = M[M[WALK] + top + 2]
        if top > limit - 800:
            M[OVERFLOW] = WALK_FULL
            return FULL
        image = forgetful(P, M, configuration)
        if image < 0:
            return FULL
        # Where they are not the same, some thread of the twin is forbidden already.
        is_text = image == twin and is_free_text(P, M, configuration)
        first = nodes + 4 * V[node + 1]
        for child in range(first, first + 4 * child_count(V, node), 4):
            byte = V[child] & 255
            if is_text and byte != 0x22 and V[child + 3] & QUOTE_BELOW == 0:
                continue
            M[VISITS] += 1
            without = move(P, M, twin, byte)
            if without == 0:
                continue
            target = move(P, M, configuration, byte)
            if without < 0 or target < 0:
                return FULL
            if target == 0:
                has_row = take(M, V, V[TOKENS], child, has_row)
                if child_count(V, child):
                    has_row = walk(P, M, V, nodes, V[TOKENS], child, without, limit, has_row)
                    if has_row < 0:
                        return FULL
            elif target != without and child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                M[M[WALK] + top + 2] = without
                top += 3
    return has_row
