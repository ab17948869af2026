"""Where tokens lead: the configuration behind a token is its *target*.

The *reach* of a configuration tells the targets of all tokens that it allows, in records: of single tokens as a walk of
the trie finds them, and before those, inside a plain string or an open object's key, of all that are nothing but text.
These are not looked at: the rows of `text_rows` say which they are, by how they end and by the characters that they
begin, and that alone decides where they lead.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FULL,
    LISTS,
    ROW_CAPACITY,
    ROW_COUNT,
    ROWS,
    STAMP,
    THREAD_WORDS,
    THREADS,
    VISITS,
    WALK,
    WALK_CAPACITY,
)
from tokamask.grammar.body_states import BACKSLASH, QUOTE
from tokamask.grammar.configurations import LIST_LENGTH, LIST_START, MARK, REMEMBERS, has_room, intern_single
from tokamask.grammar.jit import carray, jit, pointer
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, move
from tokamask.grammar.name_table import OFF
from tokamask.grammar.program import OBJECT_KEY, STRING
from tokamask.grammar.string_body import home_of, is_escape_state, starts_character
from tokamask.grammar.survival import forgetful, is_free_text, with_holes
from tokamask.masking.closing_tokens import most_characters
from tokamask.masking.configuration_costs import configuration_cost
from tokamask.masking.mask_operations import clear_token, set_token
from tokamask.masking.pieces import (
    LENGTH_COUNT,
    LENGTH_ROWS,
    NODES,
    ROW_WORDS,
    TEXT,
    TEXT_CLASS_COUNT,
    TEXT_CLASSES,
    TEXT_ROWS,
    TEXT_START,
    TOKENS,
)
from tokamask.masking.text_rows import ENDING_BYTES, WHOLE
from tokamask.masking.token_trie import BACKSLASH_BELOW, QUOTE_BELOW
from tokamask.masking.trie_kernels import child_count, child_to_try, trial_count
from tokamask.masking.trie_walk import has_stack, is_open_key

Words = npt.NDArray[np.int32]

TOO_MANY = -2  # more results than there is room for

# A record of a reach: where its tokens lead, how these texts end, the fewest and the most characters that they begin.
# For single tokens NO_TEXT, the address of the first one in V and the one behind the last. Rows may tell of tokens that
# lead elsewhere, or nowhere: what the last record says of a token is so.
REACH_WORDS = 4
TARGET, ENDING, FIRST, LAST = range(REACH_WORDS)
NO_TEXT = -1
# A place that is reached: a configuration, its cost, and whether it remembers anything.
PLACE_WORDS = 3

ANY_NUMBER = 1 << 30  # of characters
LETTER = 0x61


@jit
def token_move(P: Words, M: Words, V: Words, configuration: int, token: int) -> int:
    """The configuration after the text of a token; 0: it cannot follow, or is never text."""
    if V[V[TEXT_START] + token] == V[V[TEXT_START] + token + 1]:
        return 0
    for i in range(V[TEXT] + V[V[TEXT_START] + token], V[TEXT] + V[V[TEXT_START] + token + 1]):
        configuration = move(P, M, configuration, V[i])
        if configuration <= 0:
            break
    return configuration


@jit
def is_first_time(M: Words, configuration: int) -> bool:
    """Whether a configuration is met for the first time since the stamp changed; it is marked."""
    mark = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + MARK
    if M[mark] == M[STAMP]:
        return False
    M[mark] = M[STAMP]
    return True


@jit
def targets(P: Words, M: Words, V: Words, configuration: int, row: int, out: int, reached: int, capacity: int) -> int:
    """For every token of the mask at `row`, the configuration behind it, in the int32 array at `out`.

    Each distinct one is also written to the int32 array at `reached`; returns their number, TOO_MANY when they are
    more than `capacity`, FULL when the arena must grow.
    """
    words = V[ROW_WORDS]
    mask = carray(pointer(row), (words,), np.int32)
    behind = carray(pointer(out), (32 * words,), np.int32)
    distinct = carray(pointer(reached), (capacity,), np.int32)
    M[STAMP] += 1
    count = 0
    for word in range(words):
        if mask[word] == 0:
            continue
        for bit in range(32):
            if mask[word] >> bit & 1:
                target = _place_behind(P, M, V, configuration, 32 * word + bit)
                if target < 0:
                    return FULL
                behind[32 * word + bit] = target
                if is_first_time(M, target):
                    if count == capacity:
                        return TOO_MANY
                    distinct[count] = target
                    count += 1
    return count


@jit
def _place_behind(P: Words, M: Words, V: Words, configuration: int, token: int) -> int:
    """The configuration behind a token; one for all longer tokens that stay inside a remembered text."""
    start = V[TEXT] + V[V[TEXT_START] + token]
    end = V[TEXT] + V[V[TEXT_START] + token + 1]
    quote = end - 1
    while quote >= start and V[quote] != QUOTE:
        quote -= 1
    for i in range(start, end):
        configuration = move(P, M, configuration, V[i])
        if configuration <= 0:
            return configuration
        if M[M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS + REMEMBERS] and end - start > 1 and i >= quote:
            if is_free_text(P, M, configuration):
                # Without memory, whatever follows up to the end of the token stays inside the text.
                configuration = forgetful(P, M, configuration)
                for k in range(i + 1, end):
                    if configuration > 0:
                        configuration = move(P, M, configuration, V[k])
                return with_holes(P, M, configuration) if configuration > 0 else configuration
    return configuration


@jit
def reach(P: Words, M: Words, V: Words, K: Words, configuration: int, out: int, places: int) -> int:
    """Where all tokens lead that can follow a configuration which remembers nothing; FULL when the arena must grow.

    The records are written to the int32 array at `out`, and their number is returned: at most one for each token and
    each class of text. The int32 array at `places` gets the number of distinct targets, then PLACE_WORDS for each.
    """
    most = 32 * V[ROW_WORDS] + V[TEXT_CLASS_COUNT]
    records = carray(pointer(out), (REACH_WORDS * most,), np.int32)
    reached = carray(pointer(places), (1 + PLACE_WORDS * most,), np.int32)
    text = _any_text(P, M, configuration)
    if text < 0:
        return FULL
    count = _reach_of_text(P, M, V, text, records) if text else 0
    if count >= 0:
        count = _walk_other_tokens(P, M, V, configuration, text, records, count)
    if count < 0:
        return FULL
    M[STAMP] += 1
    found = 0
    for at in range(0, REACH_WORDS * count, REACH_WORDS):
        target = records[at + TARGET]
        if is_first_time(M, target):
            cost = configuration_cost(P, M, K, target)
            if cost < 0:
                return FULL
            place = 1 + PLACE_WORDS * found
            reached[place] = target
            reached[place + 1] = cost
            reached[place + 2] = M[M[CONFIGURATIONS] + target * CONFIGURATION_WORDS + REMEMBERS]
            found += 1
    reached[0] = found
    return count


@jit
def only_thread(M: Words, configuration: int) -> int:
    """The address of a configuration's thread; 0 where it has several."""
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    return M[THREADS] + M[M[LISTS] + M[record + LIST_START]] * THREAD_WORDS if M[record + LIST_LENGTH] == 1 else 0


@jit
def _any_text(P: Words, M: Words, configuration: int) -> int:
    """The configuration between two characters from which text leads where the rows say; 0: it does not, FULL: no room.

    In a plain string it is the same one, if that is between two characters. Amid an escape it is the one behind, if
    there characters are no longer counted: text from here ends as if it began there. In an open object's key text
    leads off the declared names, but for what the walk still finds among them.
    """
    t = only_thread(M, configuration)
    if t == 0:
        return 0
    pc = M[t]
    state = M[t + 3] & 255
    if P[pc] == STRING and P[pc + 3] == 0:
        if starts_character(state):
            return configuration
        if not is_escape_state(state) or P[pc + 2] >= 0 or M[t + 1] < P[pc + 1]:
            return 0
    else:
        is_placed = starts_character(state) or is_escape_state(state)
        if P[pc] != OBJECT_KEY or not is_placed or not is_open_key(P, M, pc, M[t + 1]):
            return 0
    if not has_room(M):
        return FULL
    return intern_single(P, M, pc, M[t + 1], OFF if P[pc] == OBJECT_KEY else 0, home_of(state), M[t + 4], 0)


@jit
def _reach_of_text(P: Words, M: Words, V: Words, text: int, records: Words) -> int:
    """The records of the tokens that are nothing but text, from `text` on. Returns their number, or FULL.

    Classes that lead to the same place share a record, and so do all of whole characters behind which a string may be
    closed by any token that closes strings: none of these places is nearer to the end than the others.
    """
    t = only_thread(M, text)
    pc = M[t]
    room = ANY_NUMBER
    missing = 0
    if P[pc] == STRING:
        missing = P[pc + 1] - M[t + 1]
        if P[pc + 2] >= 0:
            room = P[pc + 2] - M[t + 1]
    closing = most_characters(V, M[t + 3] & 255)
    count = 0
    at = text
    begun = 0
    for index in range(V[TEXT_CLASS_COUNT]):
        ending = V[V[TEXT_CLASSES] + 2 * index]
        characters = V[V[TEXT_CLASSES] + 2 * index + 1]
        if characters > room:
            continue
        if characters <= begun:
            at = text  # the next ending
            begun = 0
        while begun < characters - 1 and at > 0:
            at = move(P, M, at, LETTER)
            begun += 1
        target = move(P, M, at, ENDING_BYTES[ending]) if at > 0 else FULL
        if target < 0:
            return FULL
        last = REACH_WORDS * (count - 1)
        if count and records[last + ENDING] == ending:
            is_settled = ending == WHOLE and records[last + FIRST] >= missing and room - characters >= closing
            if is_settled or records[last + TARGET] == target:
                records[last + LAST] = characters
                continue
        _record(records, count, target, ending, characters, characters)
        count += 1
    return count


@jit
def _record(records: Words, count: int, target: int, ending: int, first: int, last: int) -> None:
    at = REACH_WORDS * count
    records[at + TARGET] = target
    records[at + ENDING] = ending
    records[at + FIRST] = first
    records[at + LAST] = last


@jit
def _walk_other_tokens(P: Words, M: Words, V: Words, configuration: int, text: int, records: Words, count: int) -> int:
    """Add the records of all tokens but the text that `_reach_of_text` has told of (`text` is 0: of none).

    That is text from the start on: behind a quote or a backslash a token is none. Returns the number of records, or
    FULL.
    """
    candidates = candidate_buffer(M)
    nodes = V[NODES]
    limit = M[WALK_CAPACITY] // 2  # the other half is for `configuration_cost`
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = configuration
    M[M[WALK] + 2] = text
    top = 3
    while top > 0:
        top -= 3
        node = M[M[WALK] + top]
        current = M[M[WALK] + top + 1]
        text = M[M[WALK] + top + 2]
        if not has_stack(M, top, limit, 3):
            return FULL
        takes_any_text = text != 0 and _is_told(P, M, current)
        tried = ANY_BYTE
        if child_count(V, node) > 4 and not takes_any_text:
            tried = configuration_candidates(P, M, current, candidates)
        for index in range(trial_count(V, node, tried)):
            child = child_to_try(V, nodes, node, candidates, tried, index)
            if child == 0:
                continue
            byte = V[child] & 255
            text_there = text if byte != QUOTE and byte != BACKSLASH else 0
            # Below, what can follow is nothing but text.
            is_text = text_there != 0 and V[child + 3] & (QUOTE_BELOW | BACKSLASH_BELOW) == 0
            if is_text and takes_any_text:
                continue
            target = move(P, M, current, byte)
            if target == 0:
                continue
            if target < 0:
                return FULL
            M[VISITS] += 1
            is_told = text_there != 0 and _is_told(P, M, target)
            if is_text and is_told:
                continue
            first = V[TOKENS] + V[child + 2]
            last = first + (V[child] >> 17)
            if last > first and not is_told:
                _record(records, count, target, NO_TEXT, first, last)
                count += 1
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                M[M[WALK] + top + 2] = text_there
                top += 3
    return count


@jit
def _is_told(P: Words, M: Words, configuration: int) -> bool:
    """Whether a place inside a string or key that text leads to is one of those that the rows tell of.

    Others are inside of escapes, and among declared names.
    """
    t = only_thread(M, configuration)
    return bool((P[M[t]] == STRING or M[t + 2] == OFF) and not is_escape_state(M[t + 3] & 255))


@jit
def drop(M: Words, V: Words, row: int, out: int, count: int, far: int, far_count: int) -> int:
    """Clear the tokens of the mask at `row` that by the `count` records at `out` lead to a place at `far`.

    Returns 0, or FULL when the arena must grow.
    """
    if M[ROW_COUNT] >= M[ROW_CAPACITY]:
        return FULL
    words = V[ROW_WORDS]
    mask = carray(pointer(row), (words,), np.int32)
    records = carray(pointer(out), (REACH_WORDS * count,), np.int32)
    unwanted = carray(pointer(far), (far_count,), np.int32)
    M[STAMP] += 1
    for i in range(far_count):
        M[M[CONFIGURATIONS] + unwanted[i] * CONFIGURATION_WORDS + MARK] = M[STAMP]
    dropped = M[ROWS] + M[ROW_COUNT] * words  # no mask is under construction
    for word in range(dropped, dropped + words):
        M[word] = 0
    for at in range(0, REACH_WORDS * count, REACH_WORDS):
        is_far = M[M[CONFIGURATIONS] + records[at + TARGET] * CONFIGURATION_WORDS + MARK] == M[STAMP]
        first = records[at + FIRST]
        last = records[at + LAST]
        if records[at + ENDING] == NO_TEXT:
            for k in range(first, last):
                if is_far:
                    set_token(M, dropped, V[k])
                else:
                    clear_token(M, dropped, V[k])
        elif is_far:
            _add_texts(M, V, dropped, records[at + ENDING], first, last)
    clear = M[dropped : dropped + words]
    for word in range(words):
        mask[word] &= ~clear[word]
    return 0


@jit
def _add_texts(M: Words, V: Words, row: int, ending: int, fewest: int, most: int) -> None:
    """Set in the row at M[row] the tokens of text that end so and begin between `fewest` and `most` characters."""
    words = V[ROW_WORDS]
    # Slices: an index that may be negative would keep LLVM from using vectors.
    texts = M[row : row + words]
    at = V[TEXT_ROWS] + ending * words
    ended = V[at : at + words]
    at = V[LENGTH_ROWS] + min(most, V[LENGTH_COUNT] - 1) * words
    short = V[at : at + words]
    at = V[LENGTH_ROWS] + (fewest - 1) * words
    shorter = V[at : at + words]
    for word in range(words):
        texts[word] |= ended[word] & short[word] & ~shorter[word]
