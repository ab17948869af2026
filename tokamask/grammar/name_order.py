"""The one order in which a search adds names to an object that is remembered: that of their bytes.

Any order of the names will do, and there are too many of them. Names that were begun before the search come first, as
they are; behind any other only greater ones may follow. A name behind which too few greater ones are left is not worth
a step: so whatever a search visits is the beginning of some value, and a search is no longer than what is remembered.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import SEARCH
from tokamask.grammar.configurations import MEMORY, address_of, thread_count, thread_of
from tokamask.grammar.frames import frame_word
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move
from tokamask.grammar.memory_nodes import (
    NAME,
    NO_ROOM,
    OPEN,
    TEXT,
    below,
    content,
    kind_of,
    spelled_out,
    text_length,
)
from tokamask.grammar.name_table import complete_name, declared_index, is_entry_greater, name_move
from tokamask.grammar.program import (
    ACCEPTING,
    CHOICE_MEETS,
    CHOICE_WORDS,
    FRAME_PENDING,
    FRAME_TOTAL,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_IS_COUNTED,
    OBJECT_IS_FREE,
    OBJECT_KEY,
    OBJECT_MINIMUM,
    OBJECT_NAMES,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    STRING_TEXTS,
)
from tokamask.grammar.properties import ENDLESS, frame_has
from tokamask.grammar.repetition import is_remembered_in, name_before
from tokamask.grammar.search import PLACE
from tokamask.grammar.string_index import begins_with

Words = npt.NDArray[np.int32]


@jit
def is_in_order(P: Words, M: Words, configuration: int) -> bool:
    """Whether a search need follow a set that came from the one where it began, for some object that may go on."""
    begin = address_of(M, thread_of(M, M[M[SEARCH] + PLACE], 0))
    for i in range(thread_count(M, configuration)):
        t = address_of(M, thread_of(M, configuration, i))
        operation = P[M[t]]
        if operation not in (OBJECT_KEY, OBJECT_COLON) or M[t + MEMORY] <= 0:
            return True
        record = M[t] - (operation - OBJECT_OPEN)
        if operation == OBJECT_KEY:
            if P[record + OBJECT_IS_FREE] == 0 or _may_become_next_name(M, M[t + MEMORY], M[begin + MEMORY]):
                return True
        elif _is_next_name(P, M, record, M[t + 1], M[t + 3], M[t + MEMORY], M[begin + MEMORY]):
            return True
    return False


@jit
def _is_next_name(P: Words, M: Words, record: int, data: int, index: int, name: int, begin: int) -> bool:
    if _was_begun(M, name, begin):
        return True
    if P[record + OBJECT_IS_FREE] == 0 and index < P[record + OBJECT_COUNT]:
        return True  # declared ones come in an order anyway, before all others
    before = name_before(M, name)
    if before and not _was_begun(M, before, begin) and not _is_greater(M, content(M, name), content(M, before)):
        # Where they come in order, all declared ones come before the others.
        return P[record + OBJECT_IS_FREE] == 0 and _is_declared(P, M, record, content(M, before))
    return _leaves_enough(P, M, record, data, name)


@jit
def _may_become_next_name(M: Words, text: int, begin: int) -> bool:
    """Whether a name that is being read is, or may become, greater than the one before."""
    before = name_before(M, text)
    if before == 0 or _was_begun(M, text, begin) or _was_begun(M, before, begin):
        return True
    letters = content(M, text)
    return begins_with(M, content(M, before), letters) or _is_greater(M, letters, content(M, before))


@jit
def _was_begun(M: Words, name: int, begin: int) -> bool:
    """Whether a name was begun where memory was `begin`: it stood there whole, or it is what was being read there."""
    if begin <= 0:
        return False
    return (kind_of(M, begin) == TEXT and below(M, begin) == below(M, name)) or is_remembered_in(M, name, begin)


@jit
def _is_greater(M: Words, letters: int, others: int) -> bool:
    """Whether a text comes behind another one, by their bytes."""
    first, second = letters, others
    while text_length(M, first) > text_length(M, second):
        first = below(M, first)
    while text_length(M, second) > text_length(M, first):
        second = below(M, second)
    if first == second:
        return text_length(M, letters) > text_length(M, others)
    while below(M, first) != below(M, second):
        first = below(M, first)
        second = below(M, second)
    return content(M, first) > content(M, second)


@jit
def _is_declared(P: Words, M: Words, record: int, letters: int) -> bool:
    text = spelled_out(M, letters)
    place = 0
    for i in range(0 if text == NO_ROOM else text_length(M, letters)):
        place = name_move(P, P[record + OBJECT_NAMES], place, M[text + i])
    return complete_name(P, P[record + OBJECT_NAMES], place) >= 0


@jit
def _leaves_enough(P: Words, M: Words, record: int, data: int, name: int) -> bool:
    """Whether what an object still needs may have names greater than the newest."""
    declared = 0
    if P[record + OBJECT_IS_FREE]:
        letters = content(M, name)
        text = spelled_out(M, letters)
        names = P[record + OBJECT_NAMES]
        is_behind = False
        for entry in range(0 if text == NO_ROOM else P[names]):
            is_behind = is_behind or is_entry_greater(P, M, names, entry, text, text_length(M, letters))
            index = declared_index(P, names, entry)
            at = record + OBJECT_PROPERTIES + 2 * index
            if P[at] and not frame_has(M, data, index):
                if not is_behind and P[at + 1]:
                    return False
                declared += is_behind
    if P[record + OBJECT_IS_COUNTED] == 0:
        return True
    wanted = P[record + OBJECT_MINIMUM] - frame_word(M, data, FRAME_TOTAL) - declared
    pending = frame_word(M, data, FRAME_PENDING)
    for choice in range(P[record + OBJECT_CHOICE_COUNT]):
        if wanted > 0 or pending:
            at = P[record + OBJECT_CHOICES] + CHOICE_WORDS * choice
            greater = _names_behind(P, M, P[at], name)
            if greater > 0:
                pending &= ~P[at + CHOICE_MEETS]
            if P[at + CHOICE_MEETS] == 0:  # others have the names of one that is no witness
                wanted -= greater
    return wanted <= 0 and pending == 0


@jit
def _names_behind(P: Words, M: Words, pc: int, name: int) -> int:
    """How many names of a STRING record are greater than the newest and not there yet."""
    texts = P[pc + STRING_TEXTS]
    if texts == 0:
        return ENDLESS
    block = P[pc + 3]
    letters = content(M, name)
    text = spelled_out(M, letters)
    if text == NO_ROOM:
        return ENDLESS
    count = 0
    state = 0
    for i in range(text_length(M, letters)):
        for byte in range(M[text + i] + 1, 256):
            target = automaton_move(P, block, state, byte)
            count += P[texts + target] if target >= 0 else 0
        state = automaton_move(P, block, state, M[text + i])
        if state < 0:
            break
    if state >= 0:
        count += P[texts + state] - int(automaton_flags(P, block, state) & ACCEPTING != 0)
    node = below(M, name)
    while kind_of(M, node) != OPEN:
        if kind_of(M, node) == NAME and _is_greater(M, content(M, node), letters):
            count -= _is_text_of(P, M, block, content(M, node))
        node = below(M, node)
    return count


@jit
def _is_text_of(P: Words, M: Words, block: int, letters: int) -> bool:
    text = spelled_out(M, letters)
    state = 0
    for i in range(0 if text == NO_ROOM else text_length(M, letters)):
        state = automaton_move(P, block, state, M[text + i])
        if state < 0:
            return False
    return automaton_flags(P, block, state) & ACCEPTING != 0
