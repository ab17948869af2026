"""Subtrees of the token trie that stay inside a patterned string as a whole, whatever texts are in them.

This serves where rows of characters that a pattern does not tell apart, and walks of a few others, do not suffice (see
`pattern_kernels`): some frequent character can be read, but not everywhere, so nearly all tokens had to be walked.

Of a state q of the automaton there are three alphabets (see `alphabets`), each with a number of characters. As many
characters of the alphabet are sure not to leave the automaton from q, between two characters:

- any number of the scripts in which every character leads back to q;
- those of the units that were chosen for the walk, where these lead to q, up to a bound;
- those of all scripts that q can read, up to the first that some text of them leads to and that cannot be read.

A subtree is *safe* below a node that is reached in q if its alphabet is part of one of these, and it is not too high.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import WALK
from tokamask.grammar.jit import jit
from tokamask.masking.alphabets import ALL_SCRIPTS, ALPHABET_WORDS, NO_TEXT_BELOW, read_alphabet, write_alphabet
from tokamask.masking.character_units import SCRIPT_OF_UNIT, UNIT_NUMBERS
from tokamask.masking.pattern_kernels import (
    CHOICE_WORDS,
    chosen_scripts,
    chosen_state,
    chosen_states,
    safe_length,
)
from tokamask.masking.pieces import ALPHABETS, NODES
from tokamask.masking.token_trie import HEIGHT_SHIFT, MOST_HEIGHT, SIZE_SHIFT
from tokamask.masking.trie_walk import ANY_TEXT
from tokamask.masking.unit_outcomes import NOWHERE, find_outcomes, is_safe

Words = npt.NDArray[np.int32]

# For subtrees of fewer tokens nothing is found out: walking them takes less time.
_FEWEST_FOR_SCRIPTS, _FEWEST_FOR_LENGTH = 32, 128
# No number of characters is counted further: few subtrees are as high.
_FURTHEST = 24
_UNKNOWN = -1

# The table in the scratch, by the state: the state itself (_UNKNOWN: the place is free); how many characters of the
# chosen units, and of all scripts that can be read; then the alphabets of both and of those that lead back. What is not
# found out yet is _UNKNOWN.
_STATE, _CHOSEN_LENGTH, _READABLE_LENGTH, _ALPHABETS = range(4)
_CHOSEN = _ALPHABETS
_READABLE = _CHOSEN + ALPHABET_WORDS
_LOOPING = _READABLE + ALPHABET_WORDS
_ENTRY_WORDS = _LOOPING + ALPHABET_WORDS
_PLACES = 256
_MOST_STATES, _MOST_CHOSEN = 192, 128
_TABLE = CHOICE_WORDS
_USED = _TABLE + _PLACES * _ENTRY_WORDS
SUBTREE_WORDS = _USED + 1


@jit
def _entry_of(M: Words, state: int) -> int:
    """The address of a state's entry, or of the free place for it."""
    table: int = M[WALK] + _TABLE
    place = state & (_PLACES - 1)
    while M[table + place * _ENTRY_WORDS] != state and M[table + place * _ENTRY_WORDS] != _UNKNOWN:
        place = (place + 1) & (_PLACES - 1)
    return table + place * _ENTRY_WORDS


@jit
def _add_entry(M: Words, entry: int, state: int) -> None:
    M[entry + _STATE] = state
    M[entry + _CHOSEN_LENGTH] = _UNKNOWN
    M[entry + _READABLE] = _UNKNOWN
    M[entry + _READABLE_LENGTH] = _UNKNOWN
    M[M[WALK] + _USED] += 1


@jit
def begin_subtrees(M: Words, V: Words) -> None:
    """Begin the scratch, SUBTREE_WORDS at M[WALK], with what `write_safe_tokens` has found out for this walk."""
    for place in range(_PLACES):
        M[M[WALK] + _TABLE + place * _ENTRY_WORDS] = _UNKNOWN
    M[M[WALK] + _USED] = 0
    scripts = chosen_scripts(M, V)
    for index in range(min(chosen_states(M), _MOST_CHOSEN)):
        state, length = chosen_state(M, index)
        entry = _entry_of(M, state)
        _add_entry(M, entry, state)
        write_alphabet(M, entry + _CHOSEN, scripts)
        M[entry + _CHOSEN_LENGTH] = length


@jit
def _find_scripts(M: Words, entry: int) -> None:
    """Find the scripts of the state of the scratch's outcomes, and write them to its entry."""
    looping = ALL_SCRIPTS
    readable = ALL_SCRIPTS
    for unit in range(UNIT_NUMBERS):
        outcome = M[M[WALK] + unit]
        if outcome == M[entry + _STATE] or outcome == NOWHERE:
            continue
        looping &= ~SCRIPT_OF_UNIT[unit]
        if not is_safe(outcome):
            readable &= ~SCRIPT_OF_UNIT[unit]
    write_alphabet(M, entry + _LOOPING, looping)
    write_alphabet(M, entry + _READABLE, readable)


@jit
def is_safe_below(P: Words, M: Words, V: Words, block: int, state: int, home: int, node: int, room: int) -> bool:
    """Whether all texts strictly below a node of the vocabulary's trie stay inside, from `state` between characters.

    `room` is how many characters they may have, ANY_TEXT for any number.
    """
    alphabet = read_alphabet(V, V[ALPHABETS] + ALPHABET_WORDS * ((node - V[NODES]) >> 2))
    height = V[node + 3] >> HEIGHT_SHIFT & MOST_HEIGHT
    if height == MOST_HEIGHT:
        height = ANY_TEXT
    if alphabet == NO_TEXT_BELOW or height > room:
        return False
    tokens = V[node + 3] >> SIZE_SHIFT
    entry = _entry_of(M, state)
    if M[entry + _STATE] == _UNKNOWN:
        if tokens < _FEWEST_FOR_SCRIPTS or M[M[WALK] + _USED] == _MOST_STATES:
            return False
        _add_entry(M, entry, state)
    if height <= M[entry + _CHOSEN_LENGTH] and alphabet & ~read_alphabet(M, entry + _CHOSEN) == 0:
        return True
    if M[entry + _READABLE] == _UNKNOWN:
        if tokens < _FEWEST_FOR_SCRIPTS:
            return False
        find_outcomes(P, M, block, state, home)
        _find_scripts(M, entry)
    if alphabet & ~read_alphabet(M, entry + _LOOPING) == 0:
        return True
    if alphabet & ~read_alphabet(M, entry + _READABLE):
        return False
    if M[entry + _READABLE_LENGTH] == _UNKNOWN:
        if tokens < _FEWEST_FOR_LENGTH:
            return False
        M[entry + _READABLE_LENGTH] = safe_length(P, M, V, block, state, home, _FURTHEST)
    return bool(height <= M[entry + _READABLE_LENGTH])
