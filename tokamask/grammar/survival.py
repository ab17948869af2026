"""Threads that remember, and which of them can still reach the end of a text.

What may not be said again can leave a thread without a way to go on: `tru` where true was used, `{"a": 1` where only a
brace may follow and the object was used. A thread is *free* where nothing being read may still become something
forbidden; then it can go on, for every thread can where nothing is remembered. Otherwise a free successor is searched,
by the bytes that matter: other spellings of the same values lead nowhere else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FRAME_USED,
    FRAMES,
    FULL,
    LIST_USED,
    LISTS,
    OVERFLOW,
    SCRATCH,
    SCRATCH_COUNT,
    SEARCH,
    SEARCH_CAPACITY,
    SEARCH_WORDS,
    THREAD_WORDS,
    THREADS,
)
from tokamask.grammar.configurations import (
    FORGETFUL,
    LIST_LENGTH,
    LIST_START,
    REMEMBERS,
    SURVIVING,
    close_scratch,
    has_room,
    intern_list,
    intern_single,
    push,
)
from tokamask.grammar.frames import has_room_for_frame
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move
from tokamask.grammar.memory import (
    HOLE,
    below,
    content,
    first_byte,
    is_numeral,
    is_outermost_item,
    may_repeat,
    next_beginning,
    text_length,
)
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_AFTER,
    ARRAY_DISTINCT,
    ARRAY_MINIMUM,
    ARRAY_NEXT,
    ARRAY_OPEN,
    ARRAY_WHITESPACE,
    ITEMS_AFTER,
    ITEMS_DISTINCT,
    ITEMS_NEXT,
    ITEMS_OPEN,
    ITEMS_STATES,
    ITEMS_WHITESPACE,
    LEXEME,
    OBJECT_KEY,
    OBJECT_OPEN,
    OBJECT_WHITESPACE,
    SCARCE,
    STRING,
    STRING_TEXTS,
    WARY,
)
from tokamask.grammar.string_body import (
    BACKSLASH,
    BODY,
    ESCAPE,
    HEX_0,
    HEX_1,
    HEX_2,
    HEX_3,
    HIGH_2,
    QUOTE,
    is_escape_state,
)
from tokamask.grammar.threads import read_byte

Words = npt.NDArray[np.int32]

DEAD = -1  # of a set: nothing of it survives
UNKNOWN = -1
TRIES = 259  # bytes to try at one place, see `byte_to_try`
MOST_STEPS = 20_000  # of one search; what takes more is taken to survive


@jit
def step(P: Words, M: Words, configuration: int, byte: int) -> int:
    """The configuration after `byte`, whether all of it survives or not; 0: it cannot follow, FULL: no room."""
    if not has_room(M):
        return FULL
    M[SCRATCH_COUNT] = 0
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    for i in range(start, start + M[record + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        read_byte(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], M[t + 5], byte)
    target = close_scratch(P, M)
    return FULL if M[OVERFLOW] else target


@jit
def is_free(P: Words, M: Words, thread: int) -> bool:
    """Whether nothing that is remembered can keep a thread from going on."""
    t = M[THREADS] + thread * THREAD_WORDS
    memory = M[t + 5]
    if memory <= 0:
        return True
    pc = M[t]
    operation = P[pc]
    if operation in (ARRAY_NEXT, ARRAY_AFTER):
        record = pc - (operation - ARRAY_OPEN)
        distinct = P[record + ARRAY_DISTINCT]
        may_end = M[t + 1] >= P[record + ARRAY_MINIMUM]
        if distinct >= SCARCE and (operation == ARRAY_NEXT or (distinct == WARY and not may_end)):
            return False
    elif operation in (ITEMS_NEXT, ITEMS_AFTER):
        record = pc - (operation - ITEMS_OPEN)
        distinct = P[record + ITEMS_DISTINCT]
        may_end = P[P[record + ITEMS_STATES + M[t + 1]]] != 0
        if distinct >= SCARCE and (operation == ITEMS_NEXT or (distinct == WARY and not may_end)):
            return False
    return not may_repeat(M, memory)


@jit
def _has_survivor(P: Words, M: Words, configuration: int) -> bool:
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    for i in range(start, start + M[record + LIST_LENGTH]):
        if is_free(P, M, M[i]) or _unused_texts(P, M, M[i]) > 0:
            return True
    return False


@jit
def _unused_texts(P: Words, M: Words, thread: int) -> int:
    """How many texts are left to a string among listed ones, which saves the search; UNKNOWN elsewhere."""
    t = M[THREADS] + thread * THREAD_WORDS
    pc = M[t]
    if P[pc] != STRING or P[pc + STRING_TEXTS] == 0 or is_escape_state(M[t + 3] & 255):
        return UNKNOWN
    memory = M[t + 5]
    if not is_outermost_item(M, memory):
        return UNKNOWN
    left = P[P[pc + STRING_TEXTS] + M[t + 2]]
    letters = content(M, memory)
    node = next_beginning(M, below(M, memory), letters)
    while node:
        used = content(M, content(M, node))
        length = text_length(M, used) - text_length(M, letters)
        if not has_room_for_frame(M, length):
            return UNKNOWN
        rest = M[FRAMES] + M[FRAME_USED]  # what is free behind all frames, to turn the letters around
        for i in range(length - 1, -1, -1):
            M[rest + i] = content(M, used)
            used = below(M, used)
        state = M[t + 2]
        for i in range(length):
            if state >= 0:
                state = automaton_move(P, P[pc + 3], state, M[rest + i])
        if state >= 0 and automaton_flags(P, P[pc + 3], state) & ACCEPTING:
            left -= 1
        node = next_beginning(M, below(M, node), letters)
    return left


@jit
def surviving(P: Words, M: Words, configuration: int) -> int:
    """The threads of a set that can go on, as a set; 0 for none, FULL when the arena must grow."""
    if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + SURVIVING] == 0:
        verdict = _survivors(P, M, configuration)
        if verdict == FULL:
            return FULL
        M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + SURVIVING] = verdict if verdict else DEAD
    return max(0, M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + SURVIVING])


@jit
def _survivors(P: Words, M: Words, configuration: int) -> int:
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    count = M[record + LIST_LENGTH]
    lost = 0
    # Searches intern sets of their own, so the survivors are listed only once all verdicts are there.
    for i in range(count):
        verdict = _goes_on(P, M, M[M[LISTS] + M[record + LIST_START] + i])
        if verdict == FULL:
            return FULL
        lost += verdict == 0
    if lost == 0:
        return configuration
    if not has_room(M):
        return FULL
    kept = 0
    for i in range(count):
        thread = M[M[LISTS] + M[record + LIST_START] + i]
        if _goes_on(P, M, thread):
            M[M[SCRATCH] + kept] = thread  # not yet at the end of the lists, where `_goes_on` writes
            kept += 1
    for i in range(kept):
        M[M[LISTS] + M[LIST_USED] + i] = M[M[SCRATCH] + i]
    return intern_list(P, M, kept)


@jit
def _goes_on(P: Words, M: Words, thread: int) -> int:
    """1 or 0; remembered with the set of this thread alone."""
    if is_free(P, M, thread):
        return 1
    if not has_room(M):
        return FULL
    unused = _unused_texts(P, M, thread)
    if unused != UNKNOWN:
        return unused > 0
    t = M[THREADS] + thread * THREAD_WORDS
    alone = intern_single(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], M[t + 5])
    known = M[M[CONFIGURATIONS] + alone * CONFIGURATION_WORDS + SURVIVING]
    if known == 0:
        found = _reaches_free(P, M, alone)
        if found == FULL:
            return FULL
        known = alone if found else DEAD
        M[M[CONFIGURATIONS] + alone * CONFIGURATION_WORDS + SURVIVING] = known
    return known > 0


@jit
def _reaches_free(P: Words, M: Words, configuration: int) -> int:
    """Depth-first search for a successor with a free thread: 1 or 0, or FULL."""
    M[M[SEARCH]] = configuration
    M[M[SEARCH] + 1] = 0
    M[M[SEARCH] + 2] = 1
    depth = 0
    steps = 0
    while depth >= 0:
        at = M[SEARCH] + depth * SEARCH_WORDS
        if M[at + 1] == TRIES:
            depth -= 1
            continue
        byte = byte_to_try(M[at + 1])
        M[at + 1] += 1
        if not is_worth_trying(P, M, M[at], byte, M[at + 2]):
            continue
        target = step(P, M, M[at], byte)
        if target == 0:
            continue
        if target == FULL:
            return FULL
        steps += 1
        if steps > MOST_STEPS or depth + 1 == M[SEARCH_CAPACITY] or _has_survivor(P, M, target):
            return 1
        depth += 1
        M[at + SEARCH_WORDS] = target
        M[at + SEARCH_WORDS + 1] = 0
        M[at + SEARCH_WORDS + 2] = still_begun(P, M, M[at + 2], target)
    return 0


@jit
def byte_to_try(number: int) -> int:
    """All bytes, those that close something first: texts could go on for ever."""
    if number == 0:
        return 0x22
    if number == 1:
        return 0x5D
    return 0x7D if number == 2 else number - 3


@jit
def still_begun(P: Words, M: Words, has_begun: int, configuration: int) -> int:
    """Whether a search is still inside the escape that it began in, which has to be finished as it is."""
    if has_begun:
        record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
        start = M[LISTS] + M[record + LIST_START]
        for i in range(start, start + M[record + LIST_LENGTH]):
            t = M[THREADS] + M[i] * THREAD_WORDS
            if P[M[t]] in (STRING, OBJECT_KEY) and is_escape_state(M[t + 3] & 255):
                return 1
    return 0


@jit
def is_worth_trying(P: Words, M: Words, configuration: int, byte: int, has_begun: int) -> bool:
    """Whether `byte` may lead to values that no other byte leads to, see `still_begun`."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    for i in range(start, start + M[record + LIST_LENGTH]):  # noqa: SIM110 - a kernel has no generators
        if _is_worth_trying(P, M, M[i], byte, has_begun):
            return True
    return False


@jit
def _is_worth_trying(P: Words, M: Words, thread: int, byte: int, has_begun: int) -> bool:
    t = M[THREADS] + thread * THREAD_WORDS
    pc = M[t]
    operation = P[pc]
    if operation == LEXEME:
        return _is_new_digit(P, M, P[pc + 1], M[t + 2], M[t + 5], byte)
    if operation in (STRING, OBJECT_KEY):
        state = M[t + 3] & 255
        if is_escape_state(state) or byte in (QUOTE, BACKSLASH):
            return has_begun != 0 or _is_new_character(state, byte)
        # What cannot follow anyway, nearly everything where values are listed, is found faster here.
        if operation == STRING and P[pc + 3] and automaton_move(P, P[pc + 3], M[t + 2], byte) < 0:
            return False
        return BODY[state, byte] >= 0
    if byte != 0x20 and byte != 0x0A and byte != 0x0D and byte != 0x09:
        return True
    if operation >= OBJECT_OPEN:
        blank = P[pc - (operation - OBJECT_OPEN) + OBJECT_WHITESPACE]
    elif operation >= ITEMS_OPEN:
        blank = P[pc - (operation - ITEMS_OPEN) + ITEMS_WHITESPACE]
    elif operation >= ARRAY_OPEN:
        blank = P[pc - (operation - ARRAY_OPEN) + ARRAY_WHITESPACE]
    else:
        return True
    return automaton_flags(P, blank, M[t + 2]) & ACCEPTING == 0


@jit
def _is_new_character(state: int, byte: int) -> bool:
    """In a string: escapes only of control characters, the quote and the backslash."""
    if not is_escape_state(state) or state > HIGH_2:
        return True
    if state == ESCAPE:
        return byte != 0x2F
    if state in (HEX_0, HEX_1):
        return byte == 0x30
    if state == HEX_2:
        return byte == 0x30 or byte == 0x31
    return state == HEX_3 and not 0x41 <= byte <= 0x46


@jit
def _is_new_digit(P: Words, M: Words, block: int, state: int, memory: int, byte: int) -> bool:
    """In a number: no zeros without end, one sign and one letter of the exponent, and no powers of zero."""
    if memory <= 0 or content(M, memory) == 0 or not is_numeral(first_byte(M, content(M, memory))):
        return True
    if byte == 0x2B or byte == 0x45:
        return False
    is_exponent = byte == 0x65
    if not (is_exponent or automaton_move(P, block, state, byte) == state):
        return True
    if byte == 0x30:
        return False
    letters = content(M, memory)
    is_zero = True
    has_exponent = is_exponent
    while letters:
        letter = content(M, letters)
        if letter == 0x65 or letter == 0x45:
            has_exponent = True
            is_zero = True  # the digits so far were those of the exponent
        elif is_numeral(letter) and letter != 0x2D and letter != 0x30:
            is_zero = False
        letters = below(M, letters)
    return not (has_exponent and is_zero)


@jit
def forgetful(P: Words, M: Words, configuration: int) -> int:
    """The same set with nothing remembered; FULL when the arena must grow. It can go on wherever the set can."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + REMEMBERS] == 0:
        return configuration
    if M[record + FORGETFUL] == 0:
        twin = _with_memory(P, M, configuration, 0)
        if twin < 0:
            return FULL
        M[record + FORGETFUL] = twin
    return M[record + FORGETFUL]


@jit
def with_holes(P: Words, M: Words, configuration: int) -> int:
    """A set inside of strings and names, for all texts of which nothing can be forbidden: of the same costs."""
    return _with_memory(P, M, configuration, HOLE)


@jit
def _with_memory(P: Words, M: Words, configuration: int, memory: int) -> int:
    if not has_room(M):
        return FULL
    M[SCRATCH_COUNT] = 0
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    for i in range(start, start + M[record + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        push(M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], memory)
    twin = close_scratch(P, M)
    return FULL if M[OVERFLOW] else twin


@jit
def is_free_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether nothing is forbidden before a closing quote: all are free threads inside strings and names."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    start = M[LISTS] + M[record + LIST_START]
    for i in range(start, start + M[record + LIST_LENGTH]):
        operation = P[M[M[THREADS] + M[i] * THREAD_WORDS]]
        if (operation != STRING and operation != OBJECT_KEY) or not is_free(P, M, M[i]):
            return False
    return True
