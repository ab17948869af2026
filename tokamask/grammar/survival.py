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
    FULL,
    LIST_USED,
    LISTS,
    OVERFLOW,
    SCRATCH,
    SCRATCH_COUNT,
    SEARCH,
    SEARCH_WORDS,
)
from tokamask.grammar.closure import close_scratch
from tokamask.grammar.configurations import (
    FORGETFUL,
    MEMORY,
    REMEMBERS,
    SURVIVING,
    address_of,
    has_room,
    intern_list,
    intern_single,
    push,
    thread_count,
    thread_of,
)
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move
from tokamask.grammar.memory import HOLE
from tokamask.grammar.memory_nodes import NO_ROOM, below, content, spelled_out, text_length
from tokamask.grammar.name_order import is_in_order
from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_DISTINCT,
    ARRAY_NEXT,
    ARRAY_OPEN,
    OBJECT_KEY,
    SCARCE,
    STRING,
    STRING_TEXTS,
)
from tokamask.grammar.repetition import has_fewer_items, is_outermost_item, may_repeat, next_beginning
from tokamask.grammar.search import NO_BYTE, PLACE, begin_search, deepen, next_byte
from tokamask.grammar.string_body import is_escape_state
from tokamask.grammar.string_index import newest_beginning, strings_beginning
from tokamask.grammar.threads import read_byte
from tokamask.grammar.values_left import has_value_left

Words = npt.NDArray[np.int32]

DEAD = -1  # of a set: nothing of it survives
UNKNOWN = -1


@jit
def step(P: Words, M: Words, configuration: int, byte: int) -> int:
    """The configuration after `byte`, whether all of it survives or not; 0: it cannot follow, FULL: no room."""
    if not has_room(M):
        return FULL
    M[SCRATCH_COUNT] = 0
    for i in range(thread_count(M, configuration)):
        t = address_of(M, thread_of(M, configuration, i))
        read_byte(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], M[t + MEMORY], byte)
    target = close_scratch(P, M)
    return FULL if M[OVERFLOW] else target


@jit
def is_free(P: Words, M: Words, thread: int) -> bool:
    """Whether nothing that is remembered can keep a thread from going on."""
    t = address_of(M, thread)
    memory = M[t + MEMORY]
    if memory <= 0:
        return True
    # Where an item has to come, all of its values may be used; before that there is another way, or one more value.
    if P[M[t]] == ARRAY_NEXT and P[M[t] - (ARRAY_NEXT - ARRAY_OPEN) + ARRAY_DISTINCT] == SCARCE:
        return False
    return not may_repeat(M, memory)


@jit
def _has_survivor(P: Words, M: Words, configuration: int) -> bool:
    for i in range(thread_count(M, configuration)):  # noqa: SIM110 - a kernel has no generators
        if _is_left(P, M, thread_of(M, configuration, i)) == 1:
            return True
    return False


@jit
def _is_left(P: Words, M: Words, thread: int) -> int:
    """Whether a thread can go on, 1 or 0, as far as that can be told without a search; else UNKNOWN."""
    if is_free(P, M, thread):
        return 1
    unused = _unused_texts(P, M, thread)
    if unused != UNKNOWN:
        return int(unused > 0)
    return 1 if has_value_left(P, M, thread) else UNKNOWN


@jit
def _unused_texts(P: Words, M: Words, thread: int) -> int:
    """At least how many texts are left to a string among listed ones, 0 if none is, which saves the search.

    UNKNOWN elsewhere.
    """
    t = address_of(M, thread)
    pc = M[t]
    if P[pc] != STRING or P[pc + STRING_TEXTS] == 0 or is_escape_state(M[t + 3] & 255):
        return UNKNOWN
    memory = M[t + MEMORY]
    if not is_outermost_item(M, memory):
        return UNKNOWN
    left = P[P[pc + STRING_TEXTS] + M[t + 2]]
    letters = content(M, memory)
    if has_fewer_items(M, below(M, memory), left):
        return 1
    used_strings = strings_beginning(M, below(M, memory), letters)
    if used_strings < left:
        return left - used_strings
    # Whether all of them are among the listed ones is looked at one by one.
    node = newest_beginning(M, below(M, memory), letters)
    while node:
        used = content(M, content(M, node))
        text = spelled_out(M, used)
        if text == NO_ROOM:
            return UNKNOWN
        state = M[t + 2]
        for i in range(text_length(M, letters), text_length(M, used)):
            if state >= 0:
                state = automaton_move(P, P[pc + 3], state, M[text + i])
        if state >= 0 and automaton_flags(P, P[pc + 3], state) & ACCEPTING:
            left -= 1
        used_strings -= 1
        node = next_beginning(M, below(M, node), letters) if used_strings else 0
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
    count = thread_count(M, configuration)
    lost = 0
    # Searches intern sets of their own, so the survivors are listed only once all verdicts are there.
    for i in range(count):
        verdict = _goes_on(P, M, thread_of(M, configuration, i))
        if verdict == FULL:
            return FULL
        lost += verdict == 0
    if lost == 0:
        return configuration
    if not has_room(M):
        return FULL
    kept = 0
    for i in range(count):
        thread = thread_of(M, configuration, i)
        if _goes_on(P, M, thread):
            M[M[SCRATCH] + kept] = thread  # not yet at the end of the lists, where `_goes_on` writes
            kept += 1
    for i in range(kept):
        M[M[LISTS] + M[LIST_USED] + i] = M[M[SCRATCH] + i]
    return intern_list(P, M, kept)


@jit
def _goes_on(P: Words, M: Words, thread: int) -> int:
    """1 or 0; remembered with the set of this thread alone."""
    if not has_room(M):
        return FULL
    known = _is_left(P, M, thread)
    if known != UNKNOWN:
        return known
    t = address_of(M, thread)
    alone = intern_single(P, M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], M[t + MEMORY])
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
    """Depth-first search for a successor with a free thread: 1 or 0, or FULL.

    It goes only along what may still become something forbidden, so it ends. On the way to what it finds, every thread
    that was alone is known to survive.
    """
    begin_search(P, M, configuration)
    depth = 0
    while depth >= 0:
        byte = next_byte(P, M, depth)
        if byte == NO_BYTE:
            depth -= 1
            continue
        target = step(P, M, M[M[SEARCH] + depth * SEARCH_WORDS + PLACE], byte)
        if target == FULL:
            return FULL
        if target == 0 or not is_in_order(P, M, target):
            if M[OVERFLOW]:
                return FULL
            continue
        if _has_survivor(P, M, target):
            for i in range(depth + 1):
                place = M[M[SEARCH] + i * SEARCH_WORDS + PLACE]
                if thread_count(M, place) == 1:
                    M[M[CONFIGURATIONS] + place * CONFIGURATION_WORDS + SURVIVING] = place
            return 1
        if not deepen(P, M, depth, target, 0):
            return FULL
        depth += 1
    return FULL if M[OVERFLOW] else 0


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
    for i in range(thread_count(M, configuration)):
        t = address_of(M, thread_of(M, configuration, i))
        push(M, M[t], M[t + 1], M[t + 2], M[t + 3], M[t + 4], memory)
    twin = close_scratch(P, M)
    return FULL if M[OVERFLOW] else twin


@jit
def is_free_text(P: Words, M: Words, configuration: int) -> bool:
    """Whether nothing is forbidden before a closing quote: all are free threads inside strings and names."""
    for i in range(thread_count(M, configuration)):
        thread = thread_of(M, configuration, i)
        operation = P[M[address_of(M, thread)]]
        if (operation != STRING and operation != OBJECT_KEY) or not is_free(P, M, thread):
            return False
    return True


@jit
def nodes_remembered(M: Words, configuration: int) -> int:
    """How much is remembered: no fewer nodes than values and names that may not come again."""
    most = 0
    for i in range(thread_count(M, configuration)):
        node = M[address_of(M, thread_of(M, configuration, i)) + MEMORY]
        count = 0
        while node > 0:
            count += 1
            node = below(M, node)
        most = max(most, count)
    return most
