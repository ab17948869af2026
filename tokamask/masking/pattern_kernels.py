"""Which tokens stay inside a patterned string, found without a walk of the whole token trie.

Between two characters of a string, in state q of its automaton, *units* of characters (see `character_units`) are
chosen so that a text of chosen units alone either never leaves the automaton, or does not within its first `bound`
characters and always does at the next one (`[a-z]{8}` has the bound 8). The tokens of chosen units alone that begin at
most `bound` characters are then allowed, and are a row of the vocabulary without the tokens that contain other units.

Every other token that is allowed leaves the choice: at its first unit that was not chosen it is in a state which chosen
units lead to, and there that unit can be read. The few units of which this is true anywhere are the *exceptions*. Only
the tokens that contain one of them are walked.

The choice begins with all units that q can read. Where they lead to a state that cannot read some of them, either these
are given up or those that lead there, whichever fewer tokens contain; or, where that may be the bound, those that it
can read. This is exact at any choice; a poor one only leaves more to walk, or is not used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import FOUND, ROW_COUNT, ROWS, WALK
from tokamask.grammar.jit import jit
from tokamask.masking.alphabets import ALL_SCRIPTS
from tokamask.masking.character_units import (
    ESCAPES,
    KINDS,
    SCRIPT_OF_UNIT,
    UNIT_COUNT,
    UNIT_KIND,
    UNIT_NODES,
    UNIT_NUMBER,
    UNIT_NUMBERS,
    UNIT_ROW,
    UNIT_TOKENS,
    UNIT_WORDS,
)
from tokamask.masking.mask_operations import LONGEST_LIST, clear_token, length_row
from tokamask.masking.pieces import (
    ASCII_ENTRIES,
    KIND_ROWS,
    LENGTH_COUNT,
    ROW_WORDS,
    UNIT_ENTRIES,
    UNITS,
)
from tokamask.masking.unit_outcomes import (
    ANYWHERE,
    DEAD,
    OUTCOME_WORDS,
    begin_outcomes,
    find_outcomes,
    is_safe,
    leads_to,
)

Words = npt.NDArray[np.int32]

# What `write_safe_tokens` answers when all tokens had better be walked.
PLAIN_WALK = -1

# Flags of a unit: it is chosen; some state that was reached can read it, or some of it; while the choice is made
# smaller: it is chosen and the state in question refuses it, it leads there, the state can read it, or some of it.
CHOSEN, CAN_COME, REFUSED, LEADING, READ = 1, 2, 4, 8, 16

# How much is tried before all tokens are walked: states reached, and times that the choice is made smaller.
MOST_STATES = 256
MOST_CHOICES = 24

# Offsets in the scratch, behind the outcomes: the flags of each unit, the states reached, the depth of each; how many
# they are, the bound, whether each state is reached at one depth only; whether the choice is one as described above.
_CHOICE = OUTCOME_WORDS
_STATES = _CHOICE + UNIT_NUMBERS
_DEPTHS = _STATES + MOST_STATES
_REACHED = _DEPTHS + MOST_STATES
_BOUND = _REACHED + 1
_IS_GRADED = _REACHED + 2
_HOLDS = _REACHED + 3
CHOICE_WORDS = _REACHED + 4

# What `_follow` answers, if not the index of a state at which the choice fails.
HOLDS, TOO_MANY = -1, -2


@jit
def _choose_all(M: Words, V: Words) -> int:
    """Choose every unit that the state of the scratch's outcomes can read. Returns how many occurrences that are."""
    for unit in range(UNIT_NUMBERS):
        M[M[WALK] + _CHOICE + unit] = 0
    size = 0
    for i in range(V[UNIT_ENTRIES]):
        entry = V[UNITS] + i * UNIT_WORDS
        unit = V[entry + UNIT_NUMBER]
        if is_safe(M[M[WALK] + unit]):
            M[M[WALK] + _CHOICE + unit] = CHOSEN
            size += V[entry + UNIT_COUNT]
    return size


@jit
def _survey(M: Words, V: Words, first: int, last: int) -> tuple[int, int]:
    """Of the chosen units among some entries, how many can be read at all, and how many cannot be read safely.

    Notes which of all of them can come.
    """
    out = M[WALK]
    read = 0
    refused = 0
    for entry in range(V[UNITS] + first * UNIT_WORDS, V[UNITS] + last * UNIT_WORDS, UNIT_WORDS):
        unit = V[entry + UNIT_NUMBER]
        outcome = M[out + unit]
        if outcome != DEAD:
            M[out + _CHOICE + unit] |= CAN_COME
        if M[out + _CHOICE + unit] & CHOSEN:
            read += outcome != DEAD
            refused += not is_safe(outcome)
    return read, refused


@jit
def _add_targets(M: Words, V: Words, entries: int, depth: int) -> bool:
    """Add the states where the chosen units lead, of the first `entries`, to those reached, at `depth`.

    Returns whether there was room.
    """
    out = M[WALK]
    is_anywhere = M[out + _CHOICE + ESCAPES] & CHOSEN and M[out + ESCAPES] == ANYWHERE
    count = entries
    if is_anywhere:
        count = 0x80 if entries == V[ASCII_ENTRIES] else UNIT_NUMBERS
    last = DEAD
    for i in range(count):
        unit = i
        if not is_anywhere:
            unit = V[V[UNITS] + i * UNIT_WORDS + UNIT_NUMBER]
            if M[out + _CHOICE + unit] & CHOSEN == 0:
                continue
        target = M[out + unit]
        if target < 0 or target == last:
            continue
        last = target
        at = 0
        while at < M[out + _REACHED] and M[out + _STATES + at] != target:
            at += 1
        if at == MOST_STATES:
            return False
        if at == M[out + _REACHED]:
            M[out + _STATES + at] = target
            M[out + _DEPTHS + at] = depth
            M[out + _REACHED] += 1
        elif M[out + _DEPTHS + at] != depth:
            M[out + _IS_GRADED] = 0
    return True


@jit
def _follow(P: Words, M: Words, V: Words, block: int, state: int, home: int, longest: int) -> int:
    """Follow the chosen units from `state`, breadth first, as far as texts of `longest` characters reach.

    Returns HOLDS when no text of theirs leaves the automaton within the bound found, and all do behind it; the index of
    a reached state at which that fails; or TOO_MANY. Notes which units can come anywhere.
    """
    out = M[WALK]
    M[out + _STATES] = state
    M[out + _DEPTHS] = 0
    M[out + _REACHED] = 1
    M[out + _BOUND] = longest
    M[out + _IS_GRADED] = 1
    for i in range(V[UNIT_ENTRIES]):
        M[out + _CHOICE + V[V[UNITS] + i * UNIT_WORDS + UNIT_NUMBER]] &= CHOSEN
    first_at_bound = HOLDS
    deepest_read = -1
    wide_read = 0
    wide_refused = 0
    at = 0
    while at < M[out + _REACHED]:
        depth = M[out + _DEPTHS + at]
        if depth == longest or depth > M[out + _BOUND]:
            break
        is_changed = find_outcomes(P, M, block, M[out + _STATES + at], home) or at == 0
        if is_changed:
            wide_read, wide_refused = _survey(M, V, V[ASCII_ENTRIES], V[UNIT_ENTRIES])
        read, refused = _survey(M, V, 0, V[ASCII_ENTRIES])
        if refused + wide_refused == 0:
            if first_at_bound >= 0:
                return first_at_bound
            # The same targets at the same depth, or where depths do not matter any more, need not be added again.
            is_new = is_changed or (M[out + _IS_GRADED] and depth > deepest_read)
            deepest_read = depth
            if not _add_targets(M, V, V[UNIT_ENTRIES] if is_new else V[ASCII_ENTRIES], depth + 1):
                return TOO_MANY
        elif read + wide_read == 0 and M[out + _IS_GRADED] and deepest_read < depth:
            # Every text of chosen units that has come this far has `depth` characters.
            M[out + _BOUND] = depth
            if first_at_bound < 0:
                first_at_bound = at
        else:
            return at
        at += 1
    return HOLDS


@jit
def _choose_fewer(P: Words, M: Words, V: Words, block: int, home: int, at: int) -> None:
    """Give up the chosen units that a reached state refuses, leads there or can read: what fewest tokens contain."""
    out = M[WALK]
    state = M[out + _STATES + at]
    find_outcomes(P, M, block, state, home)
    refused = 0
    read = 0
    for i in range(V[UNIT_ENTRIES]):
        entry = V[UNITS] + i * UNIT_WORDS
        choice = out + _CHOICE + V[entry + UNIT_NUMBER]
        outcome = M[out + V[entry + UNIT_NUMBER]]
        M[choice] &= CHOSEN
        if M[choice] and not is_safe(outcome):
            M[choice] |= REFUSED
            refused += V[entry + UNIT_COUNT]
        if M[choice] and outcome != DEAD:
            M[choice] |= READ
            read += V[entry + UNIT_COUNT]
    leading = 0
    for source in range(at):
        is_changed = find_outcomes(P, M, block, M[out + _STATES + source], home) or source == 0
        is_anywhere = M[out + ESCAPES] == ANYWHERE and leads_to(M, state)
        for i in range(V[UNIT_ENTRIES] if is_changed else V[ASCII_ENTRIES]):
            entry = V[UNITS] + i * UNIT_WORDS
            unit = V[entry + UNIT_NUMBER]
            choice = out + _CHOICE + unit
            if M[choice] & CHOSEN and M[choice] & LEADING == 0:
                if M[out + unit] == state or (unit == ESCAPES and is_anywhere):
                    M[choice] |= LEADING
                    leading += V[entry + UNIT_COUNT]
    given_up = REFUSED if refused <= leading else LEADING
    if M[out + _IS_GRADED] and 0 < read < min(refused, leading):
        given_up = READ
    for i in range(V[UNIT_ENTRIES]):
        choice = out + _CHOICE + V[V[UNITS] + i * UNIT_WORDS + UNIT_NUMBER]
        M[choice] = CHOSEN if M[choice] & CHOSEN and M[choice] & given_up == 0 else 0


@jit
def _list_exceptions(M: Words, V: Words) -> int:
    """List the units that were not chosen and can come. Returns their number, PLAIN_WALK when they are too large."""
    out = M[WALK]
    chosen = 0
    excepted = 0
    count = 0
    for i in range(V[UNIT_ENTRIES]):
        entry = V[UNITS] + i * UNIT_WORDS
        choice = M[out + _CHOICE + V[entry + UNIT_NUMBER]]
        if choice & CHOSEN:
            chosen += V[entry + UNIT_COUNT]
        elif choice & CAN_COME:
            if V[entry + UNIT_NODES] == 0:
                return PLAIN_WALK
            excepted += V[entry + UNIT_COUNT]
            M[M[FOUND] + LONGEST_LIST + count] = entry
            count += 1
    return PLAIN_WALK if chosen <= excepted else count


@jit
def exception(M: Words, index: int) -> int:
    """The address of the entry of a unit that `write_safe_tokens` counted."""
    return M[M[FOUND] + LONGEST_LIST + index]


@jit
def _subtract_row(M: Words, V: Words, row: int, other: int) -> None:
    """Clear in the arena's row at `row` what is set in the vocabulary's row at `other`."""
    target = M[row : row + V[ROW_WORDS]]
    source = V[other : other + V[ROW_WORDS]]
    for word in range(len(target)):
        target[word] &= ~source[word]


@jit
def _write_row(M: Words, V: Words, home: int) -> None:
    """Write the row under construction: the tokens of chosen units alone that begin at most `bound` characters."""
    out = M[WALK]
    words = V[ROW_WORDS]
    row = M[ROWS] + M[ROW_COUNT] * words
    base = length_row(V, home, M[out + _BOUND])
    M[row : row + words] = V[base : base + words]
    absent = (1 << KINDS) - 1
    for i in range(V[UNIT_ENTRIES]):
        entry = V[UNITS] + i * UNIT_WORDS
        if M[out + _CHOICE + V[entry + UNIT_NUMBER]] & CHOSEN:
            absent &= ~(1 << V[entry + UNIT_KIND])
    for kind in range(KINDS):
        if absent >> kind & 1:
            _subtract_row(M, V, row, V[KIND_ROWS] + kind * words)
    for i in range(V[UNIT_ENTRIES]):
        entry = V[UNITS] + i * UNIT_WORDS
        if M[out + _CHOICE + V[entry + UNIT_NUMBER]] & CHOSEN or absent >> V[entry + UNIT_KIND] & 1:
            continue
        if V[entry + UNIT_ROW]:
            _subtract_row(M, V, row, V[entry + UNIT_ROW])
        else:
            # All that contain the unit: the tokens of its trie.
            for token in range(V[entry + UNIT_TOKENS], V[entry + UNIT_TOKENS] + V[entry + UNIT_COUNT]):
                clear_token(M, row, V[token])


@jit
def _choose_units(P: Words, M: Words, V: Words, block: int, state: int, home: int) -> bool:
    """Choose units for `state` in the scratch. Returns whether the choice is one as described above."""
    begin_outcomes(M)
    find_outcomes(P, M, block, state, home)
    if _choose_all(M, V) == 0:
        return False
    for _ in range(MOST_CHOICES):
        answer = _follow(P, M, V, block, state, home, V[LENGTH_COUNT] - 1)
        if answer < 0:
            return answer == HOLDS
        _choose_fewer(P, M, V, block, home, answer)
    return False


@jit
def write_safe_tokens(P: Words, M: Words, V: Words, block: int, state: int, home: int) -> int:
    """Begin the row of the tokens that stay inside a patterned string, between characters in `state` of its automaton.

    Returns the number of exceptions: what is still missing is found by walking the tries of these units. PLAIN_WALK:
    nothing was written, and all tokens had better be walked.
    """
    M[M[WALK] + _HOLDS] = _choose_units(P, M, V, block, state, home)
    if not M[M[WALK] + _HOLDS]:
        return PLAIN_WALK
    exceptions = _list_exceptions(M, V)
    if exceptions != PLAIN_WALK:
        _write_row(M, V, home)
    return exceptions


@jit
def chosen_states(M: Words) -> int:
    """How many states the units lead to that `write_safe_tokens` chose; 0: it has found no choice."""
    return M[M[WALK] + _REACHED] if M[M[WALK] + _HOLDS] else 0


@jit
def chosen_state(M: Words, index: int) -> tuple[int, int]:
    """One of these states, and how many characters of chosen units are sure not to leave the automaton from there."""
    out = M[WALK]
    return M[out + _STATES + index], M[out + _BOUND] - M[out + _DEPTHS + index]


@jit
def chosen_scripts(M: Words, V: Words) -> int:
    """The alphabet of the chosen units: the scripts of which all units are chosen that any token has."""
    scripts = ALL_SCRIPTS
    for i in range(V[UNIT_ENTRIES]):
        unit = V[V[UNITS] + i * UNIT_WORDS + UNIT_NUMBER]
        if M[M[WALK] + _CHOICE + unit] & CHOSEN == 0:
            scripts &= ~SCRIPT_OF_UNIT[unit]
    return scripts


@jit
def safe_length(P: Words, M: Words, V: Words, block: int, state: int, home: int, longest: int) -> int:
    """How many characters are sure not to leave the automaton, whichever they are of those that `state` can read.

    `longest` for as many and more.
    """
    find_outcomes(P, M, block, state, home)
    if _choose_all(M, V) == 0:
        return 0
    answer = _follow(P, M, V, block, state, home, longest)
    depths = M[WALK] + _DEPTHS
    if answer == HOLDS:
        return M[M[WALK] + _BOUND]
    # Too many states: those of the last depth but one were all looked at, so were their targets found.
    return M[depths + M[M[WALK] + _REACHED] - 1] - 1 if answer == TOO_MANY else M[depths + answer]
