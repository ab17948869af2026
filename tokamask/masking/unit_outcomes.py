"""Where each unit of characters (see `character_units`) leads from a state of an automaton.

An outcome is the state that all characters of a unit lead to, or one of the values below. They stand at M[WALK], one
word for each number of a unit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import WALK
from tokamask.grammar.body_states import BACKSLASH, ESCAPE, MOST_ESCAPED, NORMAL, TAIL_1
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move, automaton_row
from tokamask.grammar.program import AUTOMATON_CLASS_OF, LIVE
from tokamask.grammar.string_body import BODY, may_become
from tokamask.masking.character_units import ESCAPES, THREE_BYTES, UNIT_NUMBERS

Words = npt.NDArray[np.int32]

# The characters cannot be read; they lead to different states, or only some of them can be read; they can, but no more
# of a token comes after them; they lead wherever any character leads.
DEAD, MIXED, NOWHERE, ANYWHERE = -1, -2, -3, -4
_UNKNOWN = -5

# The bytes that begin a character beyond ASCII.
FIRST_LEAD, LEADS = 0xC2, 0xF5 - 0xC2

# Behind the outcomes: where each of these bytes leads, and whether all characters beyond ASCII can be read.
_INNER = UNIT_NUMBERS
_READS_ALL_WIDE = _INNER + LEADS
OUTCOME_WORDS = _READS_ALL_WIDE + 1


@jit
def is_safe(outcome: int) -> bool:
    return outcome >= 0 or outcome <= NOWHERE


@jit
def _end_of_character(P: Words, block: int, state: int, body: int) -> int:
    """Where all texts lead that finish a character which is under way in a body state."""
    while state >= 0 and body != NORMAL:
        common = MIXED
        following = body
        for byte in range(0x80, 0xC0):
            if BODY[body, byte] < 0:
                continue
            target = automaton_move(P, block, state, byte)
            if common == MIXED:
                common = target
                following = int(BODY[body, byte])
            elif target != common:
                return MIXED
        state = common
        body = following
    return state


@jit
def begin_outcomes(M: Words) -> None:
    """Clear the scratch: no outcomes are known, and numbers of no unit lead nowhere."""
    out = M[WALK]
    for unit in range(UNIT_NUMBERS):
        M[out + unit] = NOWHERE
    for lead in range(LEADS):
        M[out + _INNER + lead] = _UNKNOWN


@jit
def find_outcomes(P: Words, M: Words, block: int, state: int, home: int) -> bool:
    """Write where each unit leads from `state` to the scratch.

    Returns whether that changed for any unit beyond ASCII. Mostly it has not: they lead to the same states from
    wherever a pattern has no use for them.
    """
    out = M[WALK]
    row = automaton_row(P, block, state)
    column = block + AUTOMATON_CLASS_OF
    for byte in range(0x80):
        M[out + byte] = P[row + P[column + byte]]
    is_changed = False
    for lead in range(FIRST_LEAD, FIRST_LEAD + LEADS):
        inner = P[row + P[column + lead]]
        if inner != M[out + _INNER + lead - FIRST_LEAD]:
            M[out + _INNER + lead - FIRST_LEAD] = inner
            _find_outcomes_of_lead(P, M, block, lead, inner)
            is_changed = True
    if is_changed:
        M[out + _READS_ALL_WIDE] = _reads_all(M, FIRST_LEAD, UNIT_NUMBERS)
    if M[out + _READS_ALL_WIDE] and _reads_all(M, 0, 0x80):
        M[out + ESCAPES] = ANYWHERE
    else:
        can_come = _can_escape(P, block, state, int(BODY[home, BACKSLASH]))
        M[out + ESCAPES] = MIXED if can_come else DEAD
    return is_changed


@jit
def _can_escape(P: Words, block: int, state: int, escape: int) -> bool:
    """Whether a backslash can become some character that the automaton reads."""
    if escape == ESCAPE:
        return automaton_flags(P, block, state) & LIVE != 0
    for code_point in range(MOST_ESCAPED + 1):
        if may_become(escape, code_point) and automaton_move(P, block, state, code_point) >= 0:
            return True
    return False


@jit
def _find_outcomes_of_lead(P: Words, M: Words, block: int, lead: int, inner: int) -> None:
    """The same of the units whose first byte is `lead`, which leads to `inner`, inside a character."""
    out = M[WALK]
    body = int(BODY[NORMAL, lead])
    is_like_previous = BODY[NORMAL, lead - 1] == body and M[out + _INNER + lead - 1 - FIRST_LEAD] == inner
    if not 0xE0 <= lead < 0xF0:
        M[out + lead] = M[out + lead - 1] if is_like_previous else _end_of_character(P, block, inner, body)
        return
    M[out + lead] = NOWHERE if inner >= 0 else DEAD
    page = out + THREE_BYTES + 64 * (lead - 0xE0)
    target = _UNKNOWN
    for second in range(64):
        if BODY[body, 0x80 + second] < 0:
            continue
        if is_like_previous:
            M[page + second] = M[page - 64 + second]
            continue
        previous = target
        target = automaton_move(P, block, inner, 0x80 + second) if inner >= 0 else DEAD
        same = target == previous
        M[page + second] = M[page + second - 1] if same else _end_of_character(P, block, target, TAIL_1)


@jit
def _reads_all(M: Words, first: int, last: int) -> bool:
    """Whether all units of these numbers can be read."""
    unit = first
    while unit < last and is_safe(M[M[WALK] + unit]):
        unit += 1
    return unit == last


@jit
def leads_to(M: Words, state: int) -> bool:
    """Whether any character leads to `state`."""
    unit = 0
    while unit < UNIT_NUMBERS and M[M[WALK] + unit] != state:
        unit += 1
    return unit < UNIT_NUMBERS
