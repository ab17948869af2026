"""The walk of the token trie with the automaton of a lexeme: configurations come in only where the lexeme may end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FULL, OVERFLOW, VISITS, WALK, WALK_CAPACITY
from tokamask.grammar.closure import closure
from tokamask.grammar.configurations import intern_single
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, list_automaton
from tokamask.grammar.program import ACCEPTING
from tokamask.masking.mask_operations import take
from tokamask.masking.pieces import NODES, TOKENS
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count
from tokamask.masking.trie_walk import has_stack, walk

Words = npt.NDArray[np.int32]


@jit
def walk_lexeme(P: Words, M: Words, V: Words, pc: int, data: int, state: int, ret: int) -> int:
    """Take the tokens of a LEXEME thread. Returns as `take` does, or FULL."""
    after = closure(P, M, intern_single(P, M, P[pc + 2], data, 0, 0, ret, 0))
    return FULL if M[OVERFLOW] else walk_automaton(P, M, V, P[pc + 1], V[NODES], state, after, 0)


@jit
def walk_automaton(
    P: Words, M: Words, V: Words, block: int, start: int, state: int, after: int, has_row: int
) -> int:
    """Take the tokens below `start`, a node of the trie of all tokens, that an automaton can read from `state` on.

    Also those that go on in the configuration `after` where its text may end (0: none).
    """
    candidates = candidate_buffer(M)
    nodes = V[NODES]
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = start
    M[M[WALK] + 1] = state
    top = 2
    while top > 0:
        top -= 2
        node = M[M[WALK] + top]
        state = M[M[WALK] + top + 1]
        if not has_stack(M, top, limit, 2):
            return FULL
        count = ANY_BYTE
        if child_count(V, node) > 4:
            count = list_automaton(P, candidates, 0, block, state)
        exits = 0
        for i in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, candidates, count, i)
            if child == 0:
                continue
            M[VISITS] += 1
            target = automaton_move(P, block, state, V[child] & 255)
            if target < 0:
                continue
            has_row = take(M, V, V[TOKENS], child, has_row)
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
                if after != 0 and automaton_flags(P, block, target) & ACCEPTING:
                    # The candidates are about to be overwritten by the inner walk: note the place, go there below.
                    M[M[WALK] + limit + exits] = child
                    exits += 1
        for i in range(exits):
            has_row = walk(P, M, V, nodes, V[TOKENS], M[M[WALK] + limit + i], after, limit + 256, has_row)
            if has_row < 0:
                return FULL
    return has_row
