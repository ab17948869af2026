"""Masks of the places between JSON tokens, where blanks may stand.

Blanks change nothing but the state of the whitespace automaton. So the tokens that are blanks alone are found once for
each of its states, whatever the place; and what follows blanks, wherever the whitespace may end, is what may follow
none. A vocabulary with a token for every indent thus needs no more configurations than one without.

Where a quote opens a plain string or any key, V says which tokens stay inside.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FULL, VISITS, WALK, WALK_CAPACITY
from tokamask.grammar.body_states import QUOTE
from tokamask.grammar.configurations import intern_single, intern_thread, thread_count
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move, is_blank, whitespace_block
from tokamask.grammar.moves import candidate_buffer, configuration_candidates, move
from tokamask.grammar.program import ACCEPTING, BLANKS_PC, LIVE
from tokamask.masking.mask_operations import take, take_tokens
from tokamask.masking.pieces import (
    BLANK_END_COUNT,
    BLANK_END_INSIDE,
    BLANK_END_INSIDE_COUNT,
    BLANK_END_LATER_NODES,
    BLANK_END_LATER_TOKENS,
    BLANK_END_LENGTH,
    BLANK_END_NODE,
    BLANK_END_TEXT,
    BLANK_END_WORDS,
    BLANK_ENDS,
    NODES,
    TOKENS,
)
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count
from tokamask.masking.trie_walk import ANY_TEXT, has_stack, text_room, walk, walk_on

Words = npt.NDArray[np.int32]


@jit
def blanks_thread(P: Words, M: Words, block: int, state: int) -> int:
    """The pseudo-thread whose mask is the tokens of blanks that a whitespace automaton reads in `state`; 0: none."""
    return intern_thread(M, BLANKS_PC, block, state, 0, 0, 0) if automaton_flags(P, block, state) & LIVE else 0


@jit
def after_blanks(P: Words, V: Words, block: int, state: int, end: int) -> int:
    """The state of a whitespace automaton after the text of an end of blanks; -1: that is none, or must go on."""
    text = V[end + BLANK_END_TEXT]
    for i in range(text, text + V[end + BLANK_END_LENGTH]):
        state = automaton_move(P, block, state, V[i])
        if state < 0:
            return -1
    return state if automaton_flags(P, block, state) & ACCEPTING else -1


@jit
def end_of_blanks(P: Words, V: Words, block: int, state: int) -> int:
    """Some state in which a whitespace automaton may end behind the blanks of a token; -1: there is none."""
    for end in range(V[BLANK_ENDS], V[BLANK_ENDS] + V[BLANK_END_COUNT] * BLANK_END_WORDS, BLANK_END_WORDS):
        after = after_blanks(P, V, block, state, end)
        if after >= 0:
            return after
    return -1


@jit
def place_behind_blanks(P: Words, M: Words, V: Words, pc: int, data: int, state: int, escape: int, ret: int) -> int:
    """One place for all blanks: where the whitespace may end, what comes next does not depend on it. 0: it may not."""
    after = end_of_blanks(P, V, whitespace_block(P, pc), state)
    return intern_single(P, M, pc, data, after, escape, ret, 0) if after >= 0 else 0


@jit
def walk_behind_blanks(P: Words, M: Words, V: Words, pc: int, data: int, state: int, escape: int, ret: int) -> int:
    """Take the tokens with something else than blanks, which may come first. Returns as `take` does, or FULL."""
    place = place_behind_blanks(P, M, V, pc, data, state, escape, ret)
    if place == 0:
        return 0
    count = configuration_candidates(P, M, place, candidate_buffer(M))
    return walk_candidates(P, M, V, whitespace_block(P, pc), state, place, count)


@jit
def walk_candidates(P: Words, M: Words, V: Words, block: int, state: int, place: int, count: int) -> int:
    """Take the tokens that `place` reads behind blanks and that begin with one of `count` candidates there."""
    nodes = V[NODES]
    candidates = candidate_buffer(M)
    opened = 0
    top = 0
    has_row = 0
    for end in range(V[BLANK_ENDS], V[BLANK_ENDS] + V[BLANK_END_COUNT] * BLANK_END_WORDS, BLANK_END_WORDS):
        if after_blanks(P, V, block, state, end) < 0:
            continue
        node = V[end + BLANK_END_NODE]
        if not has_stack(M, top, M[WALK_CAPACITY], 2):
            return FULL
        for i in range(trial_count(V, node, count)):
            child = child_to_try(V, nodes, node, candidates, count, i)
            if child == 0 or is_blank(V[child] & 255):
                continue
            M[VISITS] += 1
            target = move(P, M, place, V[child] & 255)
            if target < 0:
                return FULL
            if target == 0:
                continue
            has_row = take(M, V, V[TOKENS], child, has_row)
            if V[child] & 255 == QUOTE and _is_any_text(P, M, target):
                opened = target
            elif child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    has_row = walk_on(P, M, V, nodes, V[TOKENS], 0, top, has_row)
    return has_row if has_row < 0 or opened == 0 else _walk_opened(P, M, V, block, state, opened, has_row)


@jit
def _is_any_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether it is the inside of a plain string without an end, or of a key that may be any, and nothing else."""
    return thread_count(M, configuration) == 1 and text_room(P, M, configuration) == ANY_TEXT


@jit
def _walk_opened(P: Words, M: Words, V: Words, block: int, state: int, opened: int, has_row: int) -> int:
    """Take the tokens that go on behind an opening quote, where any text leads to `opened`."""
    for end in range(V[BLANK_ENDS], V[BLANK_ENDS] + V[BLANK_END_COUNT] * BLANK_END_WORDS, BLANK_END_WORDS):
        if after_blanks(P, V, block, state, end) < 0:
            continue
        has_row = take_tokens(M, V, V[end + BLANK_END_INSIDE], V[end + BLANK_END_INSIDE_COUNT], has_row)
        later = V[end + BLANK_END_LATER_NODES]
        if later:
            has_row = walk(P, M, V, later, V[end + BLANK_END_LATER_TOKENS], later, opened, 0, has_row)
            if has_row < 0:
                return FULL
    return has_row
