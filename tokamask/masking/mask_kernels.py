"""Masks: which tokens a configuration allows.

The mask of a configuration is the union of the masks of its threads, and a thread's mask is kept as a short list of
operations: rows to OR (of the vocabulary, or of the arena), single tokens to set, and possibly a link to the mask of
another thread. A missing one is found by walking the token trie with the thread, except that

- inside a plain string, the tokens that stay inside are a precomputed row, and only what the closing ones lead to is
  walked (see `pieces`), once for all strings that return to the same configuration;
- where a walk comes inside a plain string or an open object's key, subtrees of text are taken whole (see `token_trie`);
- inside a key that must be declared the walk carries places in the name table alone;
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
    CONFIGURATION_WORDS,
    CONFIGURATIONS,
    FOUND,
    FOUND_COUNT,
    FULL,
    LISTS,
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
from tokamask.grammar.body_states import BACKSLASH, COMPLETE, MINIMAL, NORMAL, QUOTE
from tokamask.grammar.closure import closure
from tokamask.grammar.configurations import (
    LIST_LENGTH,
    LIST_START,
    MASK,
    has_room,
    intern_single,
    intern_thread,
)
from tokamask.grammar.jit import jit
from tokamask.grammar.keys import name_is_live, name_read
from tokamask.grammar.lexemes import automaton_flags, automaton_move, automaton_read, count_begun, string_move
from tokamask.grammar.moves import (
    ANY_BYTE,
    candidate_buffer,
    configuration_candidates,
    is_listed,
    list_automaton,
    move,
)
from tokamask.grammar.name_table import OFF, complete_name, name_byte, name_move, next_candidate
from tokamask.grammar.program import (
    ACCEPTING,
    DEPTH_BITS,
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
from tokamask.grammar.properties import data_after_name, may_add, may_declare
from tokamask.grammar.string_body import BODY, advance_escape, is_escape_state, starts_character
from tokamask.masking.character_units import UNIT_NODES, UNIT_TOKENS
from tokamask.masking.pattern_kernels import PLAIN_WALK, exception, write_safe_tokens
from tokamask.masking.pieces import (
    BODY_ROWS,
    EXIT_CHARACTERS,
    EXIT_FIRST_GROUP,
    EXIT_GROUP_COUNT,
    EXIT_LATER_NODES,
    EXIT_LATER_TOKENS,
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
from tokamask.masking.token_trie import (
    BACKSLASH_BELOW,
    HEIGHT_SHIFT,
    IS_TEXT,
    MOST_HEIGHT,
    QUOTE_BELOW,
    SIZE_SHIFT,
)
from tokamask.masking.trie_kernels import (
    LONGEST_LIST,
    child_count,
    find_child,
    flush,
    take,
    take_tokens,
)

Words = npt.NDArray[np.int32]

NO_ROW = -1
# Of `text_room`: no text stays inside as a whole; any does.
NO_TEXT, ANY_TEXT = -1, 1 << 30
# A walk of as few nodes takes less time than finding out how much of it is not needed.
FEW_VISITS, ANY_VISITS = 512, 1 << 30
# Of a walk: it was given up, for it takes more visits than that.
TOO_FAR = -2
# In place of an escape state while a text is read.
NO_ESCAPE = -1


@jit
def text_room(P: Words, M: Words, configuration: int) -> int:
    """How many characters a text may have that stays inside a plain string or an open object's key, whatever they are.

    NO_TEXT where no thread stands in one, between two characters and with nothing to remember.
    """
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    first = M[LISTS] + M[record + LIST_START]
    room = NO_TEXT
    for i in range(first, first + M[record + LIST_LENGTH]):
        t = M[THREADS] + M[i] * THREAD_WORDS
        pc = M[t]
        if P[pc] == STRING and P[pc + 3] == 0 and starts_character(M[t + 3]) and M[t + 5] == 0:
            room = max(room, ANY_TEXT if P[pc + 2] < 0 else P[pc + 2] - M[t + 1])
        elif P[pc] == OBJECT_KEY and starts_character(M[t + 3]) and M[t + 5] == 0:
            if _is_open(P, M, pc, M[t + 1]):
                return ANY_TEXT
    return room


@jit
def _after_character(P: Words, M: Words, configuration: int, byte: int) -> int:
    """The configuration after an ASCII character that stays inside, mostly without a move; FULL: no room.

    Where there is room for all the text that may come and all that must come is there, a plain string's configuration
    stands for that after any character.
    """
    record = M[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
    if M[record + LIST_LENGTH] == 1:
        t = M[THREADS] + M[M[LISTS] + M[record + LIST_START]] * THREAD_WORDS
        pc = M[t]
        if P[pc] == STRING and M[t + 1] >= P[pc + 1]:
            return configuration
        if P[pc] == OBJECT_KEY and has_room(M):
            place = name_move(P, P[pc - (OBJECT_KEY - OBJECT_OPEN) + OBJECT_NAMES], M[t + 2], byte)
            if place == OFF:
                return intern_single(P, M, pc, M[t + 1], OFF, M[t + 3], M[t + 4], 0)
    return move(P, M, configuration, byte)


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
        room = text_room(P, M, configuration)
        count = ANY_BYTE
        if children > 2 and room == NO_TEXT:
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
            byte = V[child] & 255
            if count != ANY_BYTE and not listed and not is_listed(bytes_to_try, count, byte):
                continue
            M[VISITS] += 1
            height = V[child + 3] >> HEIGHT_SHIFT & MOST_HEIGHT
            has_room_below = height < room and (height < MOST_HEIGHT or room == ANY_TEXT)
            if has_room_below and V[child + 3] & IS_TEXT:
                has_row = take_tokens(M, V, tokens + V[child + 2], V[child + 3] >> SIZE_SHIFT, has_row)
                continue
            if has_room_below and byte != BACKSLASH and BODY[NORMAL, byte] == NORMAL:
                target = _after_character(P, M, configuration, byte)
            else:
                target = move(P, M, configuration, byte)
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
    if not starts_character(state):
        return _walk_string(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, ANY_VISITS)
    has_row = _walk_string(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, FEW_VISITS)
    if has_row != TOO_FAR:
        return has_row
    M[FOUND_COUNT] = 0
    exceptions = write_safe_tokens(P, M, V, P[pc + 3], lexeme, state)
    if exceptions == PLAIN_WALK:
        return _walk_string(P, M, V, V[NODES], V[TOKENS], pc, 0, lexeme, state, 0, ANY_VISITS)
    has_row = 1
    for i in range(exceptions):
        unit = exception(M, i)
        nodes = V[unit + UNIT_NODES]
        has_row = _walk_string(P, M, V, nodes, V[unit + UNIT_TOKENS], pc, 0, lexeme, state, has_row, ANY_VISITS)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _walk_string(
    P: Words,
    M: Words,
    V: Words,
    nodes: int,
    tokens: int,
    pc: int,
    data: int,
    lexeme: int,
    state: int,
    has_row: int,
    most_visits: int,
) -> int:
    """The walk of a STRING thread with an automaton through one trie of V, as far as it stays inside.

    It carries the automaton's state and, for bounds on the length, the number of characters. Returns as `walk` does, or
    TOO_FAR when it takes more than about `most_visits` visits.
    """
    last_visit = M[VISITS] + most_visits
    home = P[pc + STRING_HOME]
    bytes_to_try = candidate_buffer(M)
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
        if M[VISITS] > last_visit:
            return TOO_FAR
        begun = count_begun(P, pc, data) if state == home else data
        if begun < 0:
            continue
        if state == home and V[node + 3] & BACKSLASH_BELOW:
            child = find_child(V, nodes, node, BACKSLASH)
            if child:
                if not has_room(M):
                    return FULL
                inner = move(P, M, intern_single(P, M, pc, data, lexeme, home, 0, 0), BACKSLASH)
                if inner < 0:
                    return FULL
                if inner:
                    has_row = take(M, V, tokens, child, has_row)
                    has_row = walk(P, M, V, nodes, tokens, child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
        children = child_count(V, node)
        count = ANY_BYTE
        if children > 16:
            count = list_automaton(P, bytes_to_try, 0, P[pc + 3], lexeme)
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
            byte = V[child] & 255
            body = BODY[state, byte]
            if body < 0 or byte == BACKSLASH:
                continue
            target = string_move(P, pc, begun, lexeme, byte)
            if target >= 0:
                has_row = take(M, V, tokens, child, has_row)
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
def _closes(P: Words, V: Words, pc: int, data: int, lexeme: int, group: int) -> bool:
    """Whether a group's text may be the rest of a string with an automaton."""
    count = data + V[group + GROUP_CHARACTERS]
    if count < P[pc + 1] or 0 <= P[pc + 2] < count:
        return False
    block = P[pc + 3]
    escape = NO_ESCAPE
    text = V[group + GROUP_TEXT]
    for i in range(text, text + V[group + GROUP_LENGTH]):
        if escape != NO_ESCAPE:
            escape = advance_escape(escape, V[i])
            if escape & 255 == COMPLETE:
                lexeme = automaton_read(P, block, lexeme, escape >> 8)
                escape = NO_ESCAPE
        elif V[i] == BACKSLASH:
            escape = int(BODY[P[pc + STRING_HOME], BACKSLASH])
        else:
            lexeme = automaton_move(P, block, lexeme, V[i])
        if lexeme < 0:
            return False
    return automaton_flags(P, block, lexeme) & ACCEPTING != 0


@jit
def _walk_string_exits(P: Words, M: Words, V: Words, pc: int, data: int, lexeme: int, escape: int, ret: int) -> int:
    """Exits of a string with an automaton: what the text before the quote must leave in an accepting state."""
    behind = closure(P, M, ret)
    if M[OVERFLOW]:
        return FULL
    entry = V[EXITS] + escape * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    last = first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS
    group = first
    while group < last and _closes(P, V, pc, data, lexeme, group):
        group += GROUP_WORDS
    if group == last:
        return _walk_every_exit(P, M, V, escape, behind)
    has_row = 0
    for group in range(first, last, GROUP_WORDS):
        if _closes(P, V, pc, data, lexeme, group):
            has_row = _walk_exit(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], behind, has_row)
            if has_row < 0:
                return FULL
    return has_row


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
    return walk(P, M, V, nodes, tokens, quote, after, 0, has_row) if child_count(V, quote) else has_row


@jit
def _walk_every_exit(P: Words, M: Words, V: Words, state: int, after: int) -> int:
    """Exits by any token that closes a string in body state `state`."""
    entry = V[EXITS] + state * EXIT_WORDS
    if V[entry + EXIT_NODES] == 0:
        return 0
    return _walk_exit(P, M, V, V[entry + EXIT_NODES], V[entry + EXIT_TOKENS], after, 0)


@jit
def _is_open(P: Words, M: Words, pc: int, data: int) -> bool:
    """Whether the key under way may be one that is not declared."""
    return may_add(P, M, pc - (OBJECT_KEY - OBJECT_OPEN), data)


@jit
def _completed_name(P: Words, V: Words, names: int, place: int, home: int, group: int) -> int:
    """The declared index of the name that a group's text completes from `place`, between two characters; or -1."""
    escape = NO_ESCAPE
    text = V[group + GROUP_TEXT]
    for i in range(text, text + V[group + GROUP_LENGTH]):
        if escape != NO_ESCAPE:
            escape = advance_escape(escape, V[i])
            if escape & 255 == COMPLETE:
                place = name_read(P, names, place, escape >> 8)
                escape = NO_ESCAPE
        elif V[i] == BACKSLASH:
            escape = int(BODY[home, BACKSLASH])
        else:
            place = name_move(P, names, place, V[i])
        if place == OFF:
            return -1
    return complete_name(P, names, place)


@jit
def _key_is_plain(P: Words, V: Words, names: int, place: int, home: int) -> bool:
    """Whether no closing token can complete a declared name from `place`."""
    entry = V[EXITS] + home * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    for group in range(first, first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS, GROUP_WORDS):
        if _completed_name(P, V, names, place, home, group) >= 0:
            return False
    return True


@jit
def _behind_name(P: Words, M: Words, record: int, data: int, index: int, ret: int) -> int:
    """The configuration behind the name of property `index`, their number for one that is not declared."""
    colon = record + (OBJECT_COLON - OBJECT_OPEN)
    return intern_single(P, M, colon, data_after_name(P, M, record, data, index), 0, index, ret, 0)


@jit
def _walk_key(P: Words, M: Words, V: Words, record: int, data: int, place: int, ret: int, extra: int) -> int:
    """Exits of an open object's key that may complete a declared name: groups of closing tokens on their own."""
    names = P[record + OBJECT_NAMES]
    home = P[record + OBJECT_HOME]
    entry = V[EXITS] + home * EXIT_WORDS
    first = V[GROUPS] + V[entry + EXIT_FIRST_GROUP] * GROUP_WORDS
    last = first + V[entry + EXIT_GROUP_COUNT] * GROUP_WORDS
    later = first if V[first + GROUP_LENGTH] else first + GROUP_WORDS
    has_row = 0
    group = later
    while group < last and _completed_name(P, V, names, place, home, group) < 0:
        group += GROUP_WORDS
    if group == last and V[entry + EXIT_LATER_NODES]:
        # Only a quote right here completes one: all others at once.
        has_row = _walk_exit(P, M, V, V[entry + EXIT_LATER_NODES], V[entry + EXIT_LATER_TOKENS], extra, has_row)
        if has_row < 0:
            return FULL
        last = later
    for group in range(first, last, GROUP_WORDS):
        after = extra
        index = _completed_name(P, V, names, place, home, group)
        if index >= 0:
            after = _behind_name(P, M, record, data, index, ret) if may_declare(P, M, record, data, index) else 0
            if M[OVERFLOW]:
                return FULL
        has_row = _walk_exit(P, M, V, V[group + GROUP_NODES], V[group + GROUP_TOKENS], after, has_row)
        if has_row < 0:
            return FULL
    return has_row


@jit
def _walk_names(P: Words, M: Words, V: Words, pc: int, data: int, place: int, ret: int) -> int:
    """The walk of a key that must be declared, from between two characters.

    It carries places in the name table; configurations come in only behind complete names and in escapes.
    """
    record = pc - (OBJECT_KEY - OBJECT_OPEN)
    names = P[record + OBJECT_NAMES]
    home = P[record + OBJECT_HOME]
    nodes = V[NODES]
    tokens = V[TOKENS]
    has_row = 0
    limit = M[WALK_CAPACITY] // 2
    M[M[WALK]] = nodes
    M[M[WALK] + 1] = place
    M[M[WALK] + 2] = home
    top = 3
    while top > 0:
        top -= 3
        node = M[M[WALK] + top]
        place = M[M[WALK] + top + 1]
        state = M[M[WALK] + top + 2]
        if top > limit - 800:
            M[OVERFLOW] = WALK_FULL
            return FULL
        if not has_room(M):
            return FULL
        if state == home and V[node + 3] & QUOTE_BELOW:
            child = find_child(V, nodes, node, QUOTE)
            index = complete_name(P, names, place)
            if child and index >= 0 and may_declare(P, M, record, data, index):
                after = _behind_name(P, M, record, data, index, ret)
                if M[OVERFLOW]:
                    return FULL
                M[VISITS] += 1
                has_row = take(M, V, tokens, child, has_row)
                has_row = walk(P, M, V, nodes, tokens, child, after, limit, has_row)
                if has_row < 0:
                    return FULL
        if state == home and V[node + 3] & BACKSLASH_BELOW:
            child = find_child(V, nodes, node, BACKSLASH)
            if child:
                inner = move(P, M, intern_single(P, M, pc, data, place, home, ret, 0), BACKSLASH)
                if inner < 0:
                    return FULL
                M[VISITS] += 1
                if inner:
                    has_row = take(M, V, tokens, child, has_row)
                    has_row = walk(P, M, V, nodes, tokens, child, inner, limit, has_row)
                    if has_row < 0:
                        return FULL
        depth = place & ((1 << DEPTH_BITS) - 1)
        entry = place >> DEPTH_BITS
        previous = -1
        while entry < P[names]:
            byte = name_byte(P, names, entry, depth)
            # Where one of the names that go on alike may come, the others need not be looked at.
            if byte >= 0 and byte != previous and byte != BACKSLASH and BODY[state, byte] >= 0:
                previous = byte
                child = find_child(V, nodes, node, byte)
                reached = entry << DEPTH_BITS | depth + 1
                if child and name_is_live(P, M, record, data, reached):
                    M[VISITS] += 1
                    has_row = take(M, V, tokens, child, has_row)
                    if child_count(V, child):
                        M[M[WALK] + top] = child
                        M[M[WALK] + top + 1] = reached
                        M[M[WALK] + top + 2] = BODY[state, byte]
                        top += 3
            entry = next_candidate(P, names, entry, depth)
    return has_row


@jit
def record_operations(M: Words, V: Words, row: int, link: int, has_row: int) -> int:
    """Write operations: a vocabulary row (NO_ROW: none), a link (0: none) and what was found. Returns their offset."""
    if has_row > 0:
        flush(M, V, has_row)
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
        has_row = _walk_every_exit(P, M, V, escape, ret)
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
            has_row = _walk_string(P, M, V, V[NODES], V[TOKENS], pc, data, lexeme, state, 0, ANY_VISITS)
    elif operation == STRING and P[pc + 3] == 0:
        least = P[pc + 1] - data
        most = -1
        if P[pc + 2] >= 0:
            most = P[pc + 2] - data
        after = closure(P, M, ret)
        if M[OVERFLOW]:
            return FULL
        is_roomy = most < 0 or most >= V[LENGTH_COUNT] - 1
        if is_roomy or starts_character(state):
            row = V[BODY_ROWS] + state * V[ROW_WORDS]
            if not is_roomy:
                row = V[LENGTH_ROWS] + most * V[ROW_WORDS]
                if state == MINIMAL:
                    row += V[LENGTH_COUNT] * V[ROW_WORDS]
            if least <= 0 and (most < 0 or most >= V[V[EXITS] + state * EXIT_WORDS + EXIT_CHARACTERS]):
                link = _exits_thread(M, state, after)
            else:
                has_row = _walk_groups(P, M, V, state, after, least, most)
        else:
            single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
            has_row = walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)
    elif operation == OBJECT_KEY and starts_character(state) and not _is_open(P, M, pc, data):
        has_row = _walk_names(P, M, V, pc, data, lexeme, ret)
    elif operation == OBJECT_KEY and (lexeme == OFF or starts_character(state)):
        record = pc - (OBJECT_KEY - OBJECT_OPEN)
        row = V[BODY_ROWS] + state * V[ROW_WORDS]
        extra = _behind_name(P, M, record, data, P[record + OBJECT_COUNT], ret)
        if M[OVERFLOW]:
            return FULL
        if lexeme == OFF or _key_is_plain(P, V, P[record + OBJECT_NAMES], lexeme, state):
            link = _exits_thread(M, state, extra)
        else:
            has_row = _walk_key(P, M, V, record, data, lexeme, ret, extra)
    else:
        single = intern_single(P, M, pc, data, lexeme, escape, ret, 0)
        has_row = walk(P, M, V, V[NODES], V[TOKENS], V[NODES], single, 0, 0)
    if has_row < 0:
        return FULL  # the row under construction is lost with the old arena
    M[M[THREADS] + thread * THREAD_WORDS + MASK] = record_operations(M, V, row, link, has_row)
    return 0
