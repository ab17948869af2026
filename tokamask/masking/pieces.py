"""What can be said about a vocabulary before any grammar is seen: the pieces that cold masks are composed of.

Most tokens are allowed because they stay inside a JSON string. Which ones depends on the string's body state alone, so
there is one precomputed row per body state, and one per number of characters still allowed. The few hundred tokens that
close the string are kept apart, as tries of what follows the quote: what they do depends on the grammar. For strings
with a pattern, the tokens are also kept by the characters that they contain (see `character_units`), for budgets by how
they end (see `text_rows`); and for the places between JSON tokens it is noted where in the trie something follows
blanks, or a whole value.

Everything is laid out in one int32 array, "V" in the kernels, that is saved to disk and memory-mapped.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import BODY_STATES, CLOSED, ESCAPE, MINIMAL, NORMAL, QUOTE
from tokamask.grammar.string_body import BODY
from tokamask.masking.alphabets import words_of_alphabets
from tokamask.masking.character_units import add_units
from tokamask.masking.layout import Layout, token_row
from tokamask.masking.text_rows import add_text_rows
from tokamask.masking.token_trie import TokenTrie, vocabulary_trie
from tokamask.masking.vocabulary import Vocabulary

PIECES_VERSION = 9
"""Changes whenever the layout below does; part of the key on disk."""

# Header slots of V.
(
    SIZE,
    ROW_WORDS,
    NODES,
    TOKENS,
    TEXT_START,
    TEXT,
    BODY_ROWS,
    LENGTH_ROWS,
    LENGTH_COUNT,
    EXITS,
    GROUPS,
    UNITS,
    UNIT_ENTRIES,
    ASCII_ENTRIES,
    KIND_ROWS,
    BLANK_ENDS,
    BLANK_END_COUNT,
    VALUE_ENDS,
    VALUE_END_COUNT,
    TEXT_ROWS,
    TEXT_CLASSES,
    TEXT_CLASS_COUNT,
    ALPHABETS,
) = range(23)
HEADER_WORDS = 32

# An entry of the exits table, per body state: the trie of all tokens that close the string (nodes, tokens; 0: none),
# then the groups of equal text before the quote in the order of these texts (first group, number of groups, most
# characters begun in any), then the trie of all tokens with some text before the quote, and that of all with a colon, a
# whole value and more behind it, from their first byte on.
EXIT_WORDS = 9
(
    EXIT_NODES,
    EXIT_TOKENS,
    EXIT_FIRST_GROUP,
    EXIT_GROUP_COUNT,
    EXIT_CHARACTERS,
    EXIT_LATER_NODES,
    EXIT_LATER_TOKENS,
    EXIT_BEYOND_NODES,
    EXIT_BEYOND_TOKENS,
) = range(EXIT_WORDS)
# A group: its trie, the number of characters begun before the quote, and those bytes.
GROUP_WORDS = 5
GROUP_NODES, GROUP_TOKENS, GROUP_CHARACTERS, GROUP_TEXT, GROUP_LENGTH = range(5)
# An end of blanks: a node of the trie of all tokens, behind nothing but blanks, that something else may follow; where
# its text begins, and how long that is. Then of the tokens that go on with a quote and more: those that stay inside a
# string, without escapes (offset, count), and the trie behind the quote of those with another or an escape (0: none).
BLANK_END_WORDS = 7
(
    BLANK_END_NODE,
    BLANK_END_TEXT,
    BLANK_END_LENGTH,
    BLANK_END_INSIDE,
    BLANK_END_INSIDE_COUNT,
    BLANK_END_LATER_NODES,
    BLANK_END_LATER_TOKENS,
) = range(BLANK_END_WORDS)
# An end of a value: a node of the trie of all tokens, behind blanks and a whole JSON value, that may go on behind it;
# where its text begins, and how long that is.
VALUE_END_WORDS = 3
VALUE_END_NODE, VALUE_END_TEXT, VALUE_END_LENGTH = range(VALUE_END_WORDS)

BLANKS = b" \t\n\r"
# A colon between blanks; what a JSON value consists of: blanks, brackets and the like, strings, numbers and words.
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_PART = re.compile(rb'[ \t\n\r]+|[][{}:,]|"(?:[^"\\]|\\.)*"|[^][{}:," \t\n\r]+', re.DOTALL)
# How one begins behind blanks, and what can follow it in an array or object.
_VALUE = re.compile(rb'[ \t\n\r]*(?=["[{]|-?[0-9]|true|false|null)')
_BEHIND_VALUE = BLANKS + b",]}"

Words = npt.NDArray[np.int32]


def build_pieces(vocabulary: Vocabulary) -> Words:
    """The array V of a vocabulary: int32, about 20 MB for 131,072 tokens."""
    trie = vocabulary_trie(vocabulary)
    layout = Layout(HEADER_WORDS)
    words = (vocabulary.size + 31) // 32
    header = {SIZE: vocabulary.size, ROW_WORDS: words}
    header[NODES], header[TOKENS] = layout.add(trie.nodes), layout.add(trie.tokens)
    header[ALPHABETS] = layout.add(words_of_alphabets(trie.alphabets))
    texts = [data or b"" for data in vocabulary.token_bytes]
    lengths = np.fromiter((len(data) for data in texts), dtype=np.int32, count=len(texts))
    header[TEXT_START] = layout.add(np.concatenate(([0], np.cumsum(lengths))))
    header[TEXT] = layout.add(np.frombuffer(b"".join(texts), dtype=np.uint8))

    states, characters = zip(*(_string_bodies(trie, state) for state in range(BODY_STATES)), strict=True)
    header[BODY_ROWS] = layout.add(np.concatenate([token_row(_tokens_at(trie, s >= 0), words) for s in states]))
    # From any state: a token may begin inside a character and go on for longer than any whole one.
    longest = max(int(begun[state >= 0].max(initial=0)) for state, begun in zip(states, characters, strict=True))
    header[LENGTH_COUNT] = longest + 1
    header[LENGTH_ROWS] = layout.add(
        np.concatenate(
            [
                token_row(_tokens_at(trie, (states[home] >= 0) & (characters[home] <= n)), words)
                for home in (NORMAL, MINIMAL)
                for n in range(longest + 1)
            ]
        )
    )
    header[EXITS], header[GROUPS] = _add_exits(layout, vocabulary)
    header[BLANK_ENDS], header[BLANK_END_COUNT] = _add_blank_ends(layout, trie, header[NODES], texts)
    header[VALUE_ENDS], header[VALUE_END_COUNT] = _add_value_ends(layout, trie, header[NODES], texts)
    inside = [(texts[token], token) for token in _tokens_at(trie, states[NORMAL] >= 0).tolist()]
    header[UNITS], header[UNIT_ENTRIES], header[ASCII_ENTRIES], header[KIND_ROWS] = add_units(layout, inside, words)
    header[TEXT_ROWS], header[TEXT_CLASSES], header[TEXT_CLASS_COUNT] = add_text_rows(layout, inside, words)
    V = layout.array()
    for slot, value in header.items():
        V[slot] = value
    return V


def _string_bodies(trie: TokenTrie, start: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """For every node, the body state after its bytes from `start` (negative: outside) and the characters begun."""
    state = np.full(len(trie.nodes), -1, dtype=np.int8)
    begun = np.zeros(len(trie.nodes), dtype=np.int32)
    state[0] = start
    edges = trie.edge_bytes
    for first, last in pairwise(trie.levels[1:]):
        parent = trie.parent[first:last]
        before = state[parent]
        state[first:last] = np.where(before >= 0, BODY[before, edges[first:last]], -1)
        begun[first:last] = begun[parent] + ((before == NORMAL) | (before == MINIMAL))
    return state, begun


def _tokens_at(trie: TokenTrie, chosen: npt.NDArray[np.bool_]) -> Words:
    """The tokens that end at the chosen nodes."""
    counts = np.where(chosen, trie.token_counts, 0)
    nodes = np.repeat(np.arange(len(chosen)), counts)
    within = np.arange(len(nodes)) - np.repeat(np.cumsum(counts) - counts, counts)
    tokens: Words = trie.tokens[trie.nodes[nodes, 2] + within]
    return tokens


def _add_exits(layout: Layout, vocabulary: Vocabulary) -> tuple[int, int]:
    """Lay out the exit tries of every body state; returns the offsets of the exits and the groups table."""
    closing = [(token, text) for token, text in enumerate(vocabulary.token_bytes) if text and QUOTE in text]
    exits: list[int] = []
    groups: list[int] = []
    for start in range(BODY_STATES):
        by_text: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
        begun: dict[bytes, int] = {}
        for token, text in closing:
            state, count = start, 0
            for at, byte in enumerate(text):
                count += state in (NORMAL, MINIMAL)
                state = int(BODY[state, byte])
                if state == CLOSED:
                    by_text[text[:at]].append((text[at:], token))
                    begun[text[:at]] = count - 1
                if state < 0:
                    break
        first = len(groups) // GROUP_WORDS
        # Side by side, for they are all looked at together.
        text_at = {before: layout.add(np.frombuffer(before, dtype=np.uint8)) for before in sorted(by_text)}
        for before, at in text_at.items():
            groups += (*layout.add_trie(by_text[before]), begun[before], at, len(before))
        everything = [pair for tokens in by_text.values() for pair in tokens]
        later = [pair for before, tokens in by_text.items() if before for pair in tokens]
        exits += (*(layout.add_trie(everything) if everything else (0, 0)), first, len(by_text))
        exits += (max(begun.values(), default=0), *(layout.add_trie(later) if later else (0, 0)))
        beyond = [
            (before + behind, token)
            for before, tokens in by_text.items()
            for behind, token in tokens
            if _goes_beyond_value(behind[1:])
        ]
        exits += layout.add_trie(beyond) if beyond else (0, 0)
    return layout.add(np.array(exits)), layout.add(np.array(groups, dtype=np.int32))


def _goes_beyond_value(text: bytes) -> bool:
    """Whether a text has a colon, a whole JSON value and more; also of some texts that cannot follow a name."""
    colon = _COLON.match(text)
    return colon is not None and _value_end(text, colon.end()) < len(text)


def _value_end(text: bytes, at: int) -> int:
    """Where the JSON value ends that begins at `at`, be it one or not; the length of the text where it goes on."""
    depth = 0
    while part := _PART.match(text, at):
        at = part.end()
        depth += (part[0] in b"[{") - (part[0] in b"]}")
        if depth == 0:
            return at
    return len(text)


def _add_blank_ends(layout: Layout, trie: TokenTrie, nodes: int, texts: Sequence[bytes]) -> tuple[int, int]:
    """Lay out where runs of blanks end in the trie whose nodes are at `nodes`; returns offset and number."""
    is_blank = np.isin(trie.edge_bytes, list(BLANKS))
    is_blank[0] = True
    for first, last in pairwise(trie.levels[1:]):
        is_blank[first:last] &= is_blank[trie.parent[first:last]]
    parents = np.unique(trie.parent[1:][~is_blank[1:]])
    inside, later = _opening_tokens(texts)
    ends: list[int] = []
    for node in parents[is_blank[parents]].tolist():
        depth = int(np.searchsorted(trie.levels, node, side="right")) - 1
        text = texts[trie.tokens[trie.nodes[node, 2]]][:depth]
        ends += (nodes + 4 * node, layout.add(np.frombuffer(text, dtype=np.uint8)), depth)
        ends += (layout.add(np.array(inside[text], dtype=np.int32)), len(inside[text]))
        ends += layout.add_trie(later[text]) if later[text] else (0, 0)
    return layout.add(np.array(ends, dtype=np.int32)), len(ends) // BLANK_END_WORDS


def _add_value_ends(layout: Layout, trie: TokenTrie, nodes: int, texts: Sequence[bytes]) -> tuple[int, int]:
    """Lay out where whole values end in the trie whose nodes are at `nodes`; returns offset and number."""
    first_place: dict[bytes, int] = {}  # where in `trie.tokens` those begin that go on behind a text
    for place, token in enumerate(trie.tokens.tolist()):
        text = texts[token]
        begin = _VALUE.match(text)
        end = _value_end(text, begin.end()) if begin else len(text)
        if end < len(text) and text[end] in _BEHIND_VALUE:
            first_place.setdefault(text[:end], place)
    ends: list[int] = []
    for text, place in first_place.items():
        first, last = trie.levels[len(text)], trie.levels[len(text) + 1]
        node = first + int(np.searchsorted(trie.nodes[first:last, 2], place, side="right")) - 1
        ends += (nodes + 4 * node, layout.add(np.frombuffer(text, dtype=np.uint8)), len(text))
    return layout.add(np.array(ends, dtype=np.int32)), len(ends) // VALUE_END_WORDS


def _opening_tokens(texts: Sequence[bytes]) -> tuple[dict[bytes, list[int]], dict[bytes, list[tuple[bytes, int]]]]:
    """Tokens that open a string and go on in it, by the blanks before: those inside of it, the others' text behind."""
    inside: dict[bytes, list[int]] = defaultdict(list)
    later: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
    for token, text in enumerate(texts):
        opening = text.lstrip(BLANKS)
        if len(opening) < 2 or opening[0] != QUOTE:
            continue
        blanks = text[: len(text) - len(opening)]
        state = NORMAL
        for byte in opening[1:]:
            state = int(BODY[state, byte])
            if state in (CLOSED, ESCAPE):
                later[blanks].append((opening[1:], token))
            if state < 0 or state == ESCAPE:
                break
        else:
            inside[blanks].append(token)
    return inside, later
