"""Masks: which tokens a configuration allows.

The mask of a configuration is the union of the masks of its threads, and a thread's mask is kept as a short list of
operations: rows to OR (of the vocabulary, or of the arena), single tokens to set, and possibly a link to the mask of
another thread. A missing one is found by walking the token trie with the thread, except that

- inside a plain string, the tokens that stay inside are a precomputed row, and only what the closing ones lead to is
  walked (see `pieces`), once for all strings that return to the same configuration;
- inside a lexeme or a patterned string the walk carries the automaton's state alone; configurations come in only where
  the lexeme may end, and for a string its closing tokens are walked apart: those that stay inside are then found once
  for all places that it may return to, most of them without a walk (see `pattern_kernels`). Where a pattern has bounds
  on the length beside it, tokens that cannot come near them are those of the pattern alone; only near a bound does the
  walk count characters.

Operations of a thread, at M[OPERATIONS] + offset: rows, tokens, link (thread or 0), then the rows, then the tokens.
Row r >= 0 begins at V[r]; row r < 0 is number -1 - r of the arena.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    FOUND,
    FOUND_COUNT,
    FULL,
    MISSES,
    OPERATION_CAPACITY,
    OPERATION_USED,
    OPERATIONS,
    OVERFLOW,
    ROW_CAPACITY,
    ROW_COUNT,
    THREAD_WORDS,
    THREADS,
    VISITS,
    WALK,
    WALK_CAPACITY,
    WALK_FULL,
)
from tokamask.grammar.configurations import (
    MASK,
    closure,
    has_room,
    intern_single,
    intern_thread,
)
from tokamask.grammar.jit import jit
from tokamask.grammar.lexemes import automaton_flags, automaton_move, count_begun, string_move
from tokamask.grammar.moves import ANY_BYTE, candidate_buffer, configuration_candidates, list_automaton, move
from tokamask.grammar.name_table import OFF, complete_name, name_move
from tokamask.grammar.program import (
    ACCEPTING,
    END,
    EXITS_PC,
    LENGTHS_ARE_ENDLESS,
    LENGTHS_LONGEST,
    LEXEME,
    OBJECT_COLON,
    OBJECT_COUNT,
    OBJECT_HOME,
    OBJECT_KEY,
    OBJECT_NAMES,
    OBJECT_OPEN,
    STRING,
    STRING_HOME,
    STRING_LENGTHS,
    STRING_UNBOUNDED,
)
from tokamask.grammar.program import EXITS as EXITS_OPERATION
from tokamask.grammar.properties import data_after_name, may_add
from tokamask.grammar.string_body import (
    BACKSLASH,
    BODY,
    MINIMAL,
    QUOTE,
    is_escape_state,
    starts_character,
)
from tokamask.masking.character_units import UNIT_NODES, UNIT_TOKENS
from tokamask.masking.pattern_kernels import PLAIN_WALK, exception, write_safe_tokens
from tokamask.masking.pieces import (
    BODY_ROWS,
    EXIT_FIRST_GROUP,
    EXIT_GROUP_COUNT,
    EXIT_NODES,
    EXIT_TOKENS,
    EXIT_WORDS,
    EXITS,
    GROUP_CHARACTERS,
    GROUP_LENGTH,
    GROUP_NODES,
    GROUP_TEXT,
    GROUP_TOKENS,
    GROUP_WORDS,
    GROUPS,
    LENGTH_COUNT,
    LENGTH_ROWS,
    NODES,
    ROW_WORDS,
    TOKENS,
)
from tokamask.masking.trie_kernels import LONGEST_LIST, child_count, find_child, flush, take

Words = npt.NDArray[np.int32]

NO_ROW = -1
# Of a name or a pattern after the text of a group: that contains an escape, and must be read byte by byte.
UNSETTLED = -2


@jit
def walk(
    P: Words, M: Words, V: Words, nodes: int, tokens: int, start: int, configuration: int, base: int, has_row: int
) -> int:
    """Take every token strictly below `start` whose remaining bytes `configuration` can read.

    `nodes` and `tokens` say which trie of V, `start` is a node's address, the stack begins at `base` (entries of two
    words). Returns `has_row` as `take` does, or FULL.
    """
    bytes_to_try = candidate_buffer(M)
    limit = M[WALK_CAPACITY] - 520
    M[M[WALK] + base] = start
    M[M[WALK] + base + 1] = configuration
    top = base + 2
    while top > base:
        top -= 2
        node = M[M[WALK] + top]
        configuration = M[M[WALK] + top + 1]
        children = child_count(V, node)
        if top > limit:
            M[OVERFLOW] = WALK_FULL
            return FULL
        count = ANY_BYTE
        if children > 4:
            count = configuration_candidates(P, M, configuration, bytes_to_try)
        listed = count != ANY_BYTE and count < children
        first = nodes + 4 * V[node + 1]
        for i in range(count if listed else children):
            if listed:
                child = find_child(V, nodes, node, bytes_to_try[i])
                if child == 0:
                    continue
            else:
                child = first + 4 * i
            M[VISITS] += 1
            target = move(P, M, configuration, V[child] & 255)
            if target == 0:
                continue
            if target < 0:
                return FULL
            has_row = take(M, V, tokens, child, has_row)
            if child_count(V, child):
                M[M[WALK] + top] = child
                M[M[WALK] + top + 1] = target
                top += 2
    return has_row


@jit
def _walk_lexeme(P: Words, M: Words, V: Words, pc: int, data: int, state: int, ret: int) -> int:
    """The walk of a LEXEME thread: automaton states inside, configurations where the lexeme may end."""
    block = P[pc + 1]
    after = closure(P, M, intern_single(P, M, P[pc + 2], data, 0, 0, ret, 0))
    if M[OVERFLOW]:
        return FULL
    bytes_to_try = candidate_buffer(M)
    nodes = V[NODES]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = state
    top = 2
    while top > 0:
        top -= 2
        node = M[M[WALK] + top]
        state = M[M[WALK] + top + 1]
        if top > limit - 520:
            M[OVERFLOW] = WALK_FULL
            return FULL
        children = child_count(V, node)
        count = ANY_BYTE
        if children > 4:
            count = list_automaton(P, bytes_to_try, 0, block, state)
        listed = count != ANY_BYTE and count < children
        first = nodes + 4 * V[node + 1]
        exits = 0
        for i in range(count if listed else children):
            if listed:
                child = find_child(V, nodes, node, bytes_to_try[i])
                if child == 0:
                    continue
            else:
                child = first + 4 * i
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


@jit
def _walk_inside(P: Words, M: Words, V: Words, pc: int, lexeme: int, state: int) -> int:
    """What stays inside of a STRING thread with an automaton, outside of escapes, that returns nowhere."""
    exceptions = PLAIN_WALK
    if starts_character(state):
        exceptions = write_safe_tokens(P, M, V, P[pc + 3], lexeme, state)
    if exceptions == PLAIN_WALK:
        return _walk_string(P, M, V, V[NODES], V[TOKENS], pc, lexeme, state, 0)
    has_row = 1
    for i in range(exceptions):
        unit = exception(M, i)
        has_row = _walk_string(P, M, V, V[unit + UNIT_NODES], V[unit + UNIT_TOKENS], pc, lexeme, state, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _walk_string(
    P: Words, M: Words, V: Words, nodes: int, tokens: int, pc: int, lexeme: int, state: int, has_row: int
) -> int:
    """The walk of the same thread through one trie of V."""
    block = P[pc + 3]
    home = P[pc + STRING_HOME]
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = lexeme
    M[M[WALK] + 2] = state
    top = 3
    while top > 0:
        top -= 3
        node = M[M[WALK] + top]
        lexeme = M[M[WALK] + top + 1]
        state = M[M[WALK] + top + 2]
        if top > limit - 800:
            M[OVERFLOW] = WALK_FULL
            return FULL
        first = nodes + 4 * V[node + 1]
        for child in range(first, first + 4 * child_count(V, node), 4):
            M[VISITS] += 1
            byte = V[child] & 255
            if state == home and byte == BACKSLASH:
                if not has_room(M):
                    return FULL
                inner = move(P, M, intern_single(P, M, pc, 0, lexeme, home, 0, 0), byte)
                if inner < 0:
                    return FULL
                if inner == 0:
                    continue
                has_row = take(M, V, tokens, child, has_row)
                if child_count(V, child):
                    has_row = walk(P, M, V, nodes, tokens, child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
                continue
            body = BODY[state, byte]
            target = -1
            if body >= 0:
                target = automaton_move(P, block, lexeme, byte)
            if target >= 0:
                has_row = take(M, V, tokens, child, has_row)
                if child_count(V, child):
                    M[M[WALK] + top] = child
                    M[M[WALK] + top + 1] = target
                    M[M[WALK] + top + 2] = body
                    top += 3
    return has_row


@jit
def _walk_counted_string(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, state: int) -> int:
    """The same near a bound on the length: the walk counts characters too."""
    home = P[pc + STRING_HOME]
    nodes = V[NODES]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = data
    M[M[WALK] + 2] = lexeme
    M[M[WALK] + 3] = state
    top = 4
    while top > 0:
        top -= 4
        node = M[M[WALK] + top]
        data = M[M[WALK] + top + 1]
        lexeme = M[M[WALK] + top + 2]
        state = M[M[WALK] + top + 3]
        if top > limit - 1040:
            M[OVERFLOW] = WALK_FULL
            return FULL
        begun = count_begun(P, pc, data) if state == home else data
        if begun < 0:
            continue
        first = nodes + 4 * V[node + 1]
        for child in range(first, first + 4 * child_count(V, node), 4):
            M[VISITS] += 1
            byte = V[child] & 255
            if state == home and byte == BACKSLASH:
                if not has_room(M):
                    return FULL
                inner = move(P, M, intern_single(P, M, pc, data, lexeme, home, 0, 0), byte)
                if inner < 0:
                    return FULL
                if inner:
                    has_row = take(M, V, V[TOKENS], child, has_row)
                    has_row = walk(P, M, V, nodes, V[TOKENS], child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
                continue
            body = BODY[state, byte]
            target = -1
            if body >= 0:
                target = string_move(P, pc, begun, lexeme, byte)
            if target >= 0:
                has_row = take(M, V, V[TOKENS], child, has_row)
                if child_count(V, child):
                    M[M[WALK] + top] = child
                    M[M[WALK] + top + 1] = begun
                    M[M[WALK] + top + 2] = target
                    M[M[WALK] + top + 3] = body
                    top += 4
    return has_row


@jit
def _is_below_maximum(P: Words, V: Words, pc: int, data: int) -> bool:
    """Whether whatever one token adds to a counted string leaves room for a way to acceptance."""
    longest = P[P[pc + STRING_LENGTHS] + LENGTHS_LONGEST]
    return P[pc + 2] < 0 or data + V[LENGTH_COUNT] - 1 + longest <= P[pc + 2]


@jit
def _is_free_of_bounds(P: Words, V: Words, pc: int, data: int) -> bool:
    """Whether the tokens that may come in a string with bounds are those of the string without them."""
    return P[pc + STRING_LENGTHS] != 0 and data >= P[pc + 1] and _is_below_maximum(P, V, pc, data)


@jit
def _stays_free_of_bounds(P: Words, V: Words, pc: int, data: int) -> bool:
    """The same for tokens that stay inside: where every state has no end to its lengths, the minimum is in reach."""
    lengths = P[pc + STRING_LENGTHS]
    return P[lengths + LENGTHS_ARE_ENDLESS] != 0 and _is_below_maximum(P, V, pc, data)


@jit
def _walk_string_exits(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int) -> int:
    """Exits of a string with an automaton: what the text before the quote must leave in an accepting state."""
    block = P[pc + 3]
    maximum = P[pc + 2]
    behind = closure(P, M, ret)
    if M[OVERFLOW]:
        return FULL
    has_row = 0
    entry = V[EXITS] + escape * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    for group in range(first, first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS, GROUP_WORDS):
        count = data + V[group + GROUP_CHARACTERS]
        if count < P[pc + 1] or 0 <= maximum < count:
            continue
        reached = lexeme
        text = V[group + GROUP_TEXT]
        for i in range(text, text + V[group + GROUP_LENGTH]):
            if V[i] == BACKSLASH:
                reached = UNSETTLED
            else:
                reached = automaton_move(P, block, reached, V[i])
            if reached < 0:
                break
        after = 0
        if reached == UNSETTLED:
            after = _behind_group(P, M, V, intern_single(P, M, pc, data, lexeme, escape, ret, 0), group)
            if after < 0:
                return FULL
        elif reached >= 0 and automaton_flags(P, block, reached) & ACCEPTING:
            after = behind
        has_row = _walk_exit(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], after, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _behind_group(P: Words, M: Words, V: Words, configuration: int, group: int) -> int:
    """The configuration behind a group's text and the closing quote; 0: they cannot follow, FULL: no room."""
    text = V[group + GROUP_TEXT]
    for i in range(text, text + V[group + GROUP_LENGTH]):
        configuration = move(P, M, configuration, V[i])
        if configuration < 0:
            return FULL
    return move(P, M, configuration, QUOTE)


@jit
def _exits_thread(M: Words, state: int, after: int) -> int:
    """The pseudo-thread whose mask is the tokens that close a string in body state `state` and go on in `after`."""
    return intern_thread(M, EXITS_PC, 0, 0, state, after, 0)


@jit
def _walk_groups(P: Words, M: Words, V: Words, state: int, after: int, least: int, most: int) -> int:
    """Exits by closing tokens that begin between `least` and `most` characters (-1: any number) before the quote."""
    has_row = 0
    entry = V[EXITS] + state * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    for group in range(first, first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS, GROUP_WORDS):
        if V[group + GROUP_CHARACTERS] < least or 0 <= most < V[group + GROUP_CHARACTERS]:
            continue
        has_row = _walk_exit(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], after, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _walk_exit(P: Words, M: Words, V: Words, nodes: int, tokens: int, after: int, has_row: int) -> int:
    """Walk a trie whose only first byte is the closing quote; `after` is the configuration behind it."""
    if after == 0:
        return has_row
    quote = nodes + 4 * V[nodes + 1]
    has_row = take(M, V, tokens, quote, has_row)
    return walk(P, M, V, nodes, tokens, quote, after, 0, has_row)


@jit
def _name_after(P: Words, V: Words, names: int, place: int, group: int) -> int:
    """The place in a name table after a group's text, UNSETTLED when it contains an escape."""
    text = V[group + GROUP_TEXT]
    for i in range(text, text + V[group + GROUP_LENGTH]):
        if V[i] == BACKSLASH:
            return UNSETTLED
        place = name_move(P, names, place, V[i])
        if place == OFF:
            # An escape further on cannot bring back a declared name.
            return OFF
    return place


@jit
def _key_is_plain(P: Words, V: Words, names: int, place: int, home: int) -> bool:
    """Whether no closing token can complete a declared name from `place`, between two characters."""
    entry = V[EXITS] + home * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    for group in range(first, first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS, GROUP_WORDS):
        after = _name_after(P, V, names, place, group)
        if after == UNSETTLED or complete_name(P, names, after) >= 0:
            return False
    return True


@jit
def _walk_key(P: Words, M: Words, V: Words, pc: int, data: int, place: int, ret: int, extra: int) -> int:
    """Exits of an open object's key that may complete a declared name: each group of closing tokens on its own."""
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    home = P[record + OBJECT_HOME]
    has_row = 0
    entry = V[EXITS] + home * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    for group in range(first, first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS, GROUP_WORDS):
        after = extra
        reached = _name_after(P, V, names, place, group)
        if reached == UNSETTLED or complete_name(P, names, reached) >= 0:
            after = _behind_group(P, M, V, intern_single(P, M, pc, data, place, home, ret, 0), group)
            if after < 0:
                return FULL
        has_row = _walk_exit(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], after, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def record_operations(M: Words, V: Words, row: int, link: int, has_row: int) -> int:
    """Write operations: a vocabulary row (NO_ROW: none), a link (0: none) and what was found. Returns their offset."""
    if has_row > 0:
        flush(M, V)
    at = M[OPERATIONS] + M[OPERATION_USED]
    start = at
    M[at] = (row != NO_ROW) + has_row
    M[at + 1] = M[FOUND_COUNT]
    M[at + 2] = link
    at += 3
    if row != NO_ROW:
        M[at] = row
        at += 1
    if has_row > 0:
        M[at] = -1 - M[ROW_COUNT]
        M[ROW_COUNT] += 1
        at += 1
    for i in range(M[FOUND_COUNT]):
        M[at + i] = M[M[FOUND] + i]
    at += M[FOUND_COUNT]
    M[OPERATION_USED] = at - M[OPERATIONS]
    return start - M[OPERATIONS]


@jit
def has_room_for_mask(M: Words) -> bool:
    if M[OPERATION_USED] + LONGEST_LIST + 64 > M[OPERATION_CAPACITY] or M[ROW_COUNT] >= M[ROW_CAPACITY]:
        return False
    return has_room(M)


@jit
def find_mask(P: Words, M: Words, V: Words, thread: int) -> int:
    """Find the operations of a thread that remembers nothing. Returns 0, or FULL when the arena must grow."""
    if not has_room_for_mask(M):
        return FULL
    M[MISSES] += 1
    M[FOUND_COUNT] = 0
    at = M[THREADS] + thread * THREAD_WORDS
    pc = M[at]
    data = M[at + 1]
    lexeme = M[at + 2]
    escape = M[at + 3]
    ret = M[at + 4]
    operation = P[pc]
    row = NO_ROW
    link = 0
    has_row = 0
    state = escape & 255
    if operation == END:
        pass
    elif operation == EXITS_OPERATION:
        entry = V[EXITS] + escape * EXIT_WORDS
        if V[entry + EXIT_NODES]:
            has_row = _walk_exit(P, M, V, V[entry + EXIT_NODES], V[entry + EXIT_TOKENS], ret, has_row)
    elif operation == LEXEME:
        has_row = _walk_lexeme(P, M, V, pc, data, lexeme, ret)
    elif operation == STRING and _is_free_of_bounds(P, V, pc, data):
        link = intern_thread(M, P[pc + STRING_UNBOUNDED], 0, lexeme, escape, ret, 0)
    elif operation == STRING and P[pc + 3] != 0 and not is_escape_state(state):
        if ret:
            # What stays inside does not depend on where the string returns to.
            link = intern_thread(M, pc, data, lexeme, escape, 0, 0)
            has_row = _walk_string_exits(P, M, V, pc, data, lexeme, escape, ret)
        elif P[pc + STRING_LENGTHS] == 0:
            has_row = _walk_inside(P, M, V, pc, lexeme, state)
        elif _stays_free_of_bounds(P, V, pc, data):
            link = intern_thread(M, P[pc + STRING_UNBOUNDED], 0, lexeme, escape, 0, 0)
        else:
            has_row = _walk_counted_string(P, M, V, pc, data, lexeme, state)
    elif operation == STRING and P[pc + 3] == 0:
        least = P[pc + 1] - data
        most = -1
        if P[pc + 2] >= 0:
            most = P[pc + 2] - data
        after = closure(P, M, ret)
        if M[OVERFLOW]:
            return FULL
        if most < 0 or most >= V[LENGTH_COUNT] - 1:
            row = V[BODY_ROWS] + state * V[ROW_WORDS]
            if least <= 0:
                link = _exits_thread(M, state, after)
            else:
                has_row = _walk_groups(P, M, V, state, after, least, -1)
        elif starts_character(state):
            row = V[LENGTH_ROWS] + most * V[ROW_WORDS]
            if state == MINIMAL:
                row += V[LENGTH_COUNT] * V[ROW_WORDS]
            has_row = _walk_groups(P, M, V, state, after, least, most)
        else:
            single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
            has_row = walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)
    elif operation == OBJECT_KEY and may_add(P, M, pc - (OBJECT_KEY - OBJECT_OPEN), data):
        record = pc - (OBJECT_KEY - OBJECT_OPEN)
        if lexeme == OFF or starts_character(state):
            row = V[BODY_ROWS] + state * V[ROW_WORDS]
            colon = record + (OBJECT_COLON - OBJECT_OPEN)
            count = P[record + OBJECT_COUNT]
            extra = intern_single(P, M, colon, data_after_name(P, M, record, data, count), 0, count, ret, 0)
            if lexeme == OFF or _key_is_plain(P, V, P[record + OBJECT_NAMES], lexeme, state):
                link = _exits_thread(M, state, extra)
            else:
                has_row = _walk_key(P, M, V, pc, data, lexeme, ret, extra)
        else:
            single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
            has_row = walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)
    else:
        single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
        has_row = walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)
    if has_row < 0:
        return FULL  # the row under construction is lost with the old arena
    M[M[THREADS] + thread * THREAD_WORDS + MASK] = record_operations(M, V, row, link, has_row)
    return 0
