"""Subtrees that are taken whole, against a reading of every text below them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.masking.test_pattern_masks import (
    WORDS,
    is_between_characters,
    random_pattern,
    reads,
    stays_inside,
    vocabulary_of,
)
from tokamask.grammar.arena import grown, new_arena
from tokamask.grammar.blocks import automaton_block
from tokamask.grammar.body_states import MINIMAL, NORMAL
from tokamask.grammar.regular_expression import pattern_language
from tokamask.masking.alphabets import (
    ALL_SCRIPTS,
    NO_TEXT_BELOW,
    read_alphabet,
    script_of,
    scripts_of_edges,
    words_of_alphabets,
    write_alphabet,
)
from tokamask.masking.character_units import ESCAPES, SCRIPT_OF_UNIT, UNIT_NUMBERS, units_of
from tokamask.masking.pattern_kernels import write_safe_tokens
from tokamask.masking.pieces import NODES, build_pieces
from tokamask.masking.safe_subtrees import begin_subtrees, is_safe_below
from tokamask.masking.token_trie import vocabulary_trie
from tokamask.masking.trie_walk import ANY_TEXT
from tokamask.masking.vocabulary import Vocabulary

# Frequent characters that can be read, but not everywhere; loops of some; equal lengths; what must not come about.
PATTERNS = (
    *(r"^(?:\S+\s+){0,3}\S+$", r"^(?:\S+\s+){0,1}\S+$", "^[a-z]+( [a-z]+)*$", "^.{3}-.{2}$", r"^.*\.ya?ml$"),
    *("^(?:[^a]|a[^b])*$", "^(?:[^a]|a[^b]|ab[^c])*$", "^[ж-яё ]+a*$", "^(?:[a-z]{2})*$", "^(?:a|b |é—)*$"),
)


def crowded_vocabulary(generator: random.Random) -> Vocabulary:
    """Thousands of tokens, so that many are below one node."""
    words = [word.encode() for word in WORDS]
    joined = {b"".join(generator.choices(words, k=generator.choice((2, 3, 3, 4)))) for _ in range(2500)}
    letters = {bytes(generator.choices(b"ab c-", k=generator.choice((2, 3, 4, 5)))) for _ in range(1200)}
    texts = [text for text in vocabulary_of(generator).token_bytes if text is not None]
    return Vocabulary([*joined, *letters, *texts, None], [len(joined) + len(letters) + len(texts)])


def ways_below(vocabulary: Vocabulary) -> dict[int, tuple[bytes, list[bytes]]]:
    """Of every node of the trie with something below it: the bytes down to it, and the rest of each token below."""
    trie = vocabulary_trie(vocabulary)
    paths = [b""]
    for edge, parent in zip(trie.edge_bytes[1:].tolist(), trie.parent[1:].tolist(), strict=True):
        paths.append(paths[parent] + bytes([edge]))
    found: dict[int, tuple[bytes, list[bytes]]] = {}
    texts = [vocabulary.token_bytes[token] or b"" for token in trie.tokens.tolist()]
    for node in np.flatnonzero(trie.child_counts).tolist():
        first, size = int(trie.nodes[node, 2]), int(trie.nodes[node, 3]) >> 16
        own = int(trie.token_counts[node])
        path = paths[node]
        found[node] = (path, [text[len(path) :] for text in texts[first + own : first + size]])
    return found


@pytest.mark.parametrize("seed", range(4))
def test_what_is_safe_can_be_read(seed: int) -> None:
    generator = random.Random(seed)
    vocabulary = crowded_vocabulary(generator)
    V = build_pieces(vocabulary)
    # A walk begins between two characters, so it comes to no others.
    below = {
        node: (path, ways)
        for node, (path, ways) in ways_below(vocabulary).items()
        if node and is_text(path, NORMAL) and is_whole(path) and len(ways) > 1
    }
    crowded = [node for node, (_, ways) in below.items() if len(ways) >= 32]
    safe = partly_safe = large = 0
    for pattern in [*PATTERNS, *(random_pattern(generator) for _ in range(8))]:
        language = pattern_language(pattern, "ecma", search=True)
        P = automaton_block(language)
        home = generator.choice((NORMAL, MINIMAL))
        states = [
            state
            for state in range(len(language.accepting))
            if is_between_characters(language.transitions, language.byte_class, state)
        ]
        for start in {states[0], generator.choice(states)}:
            M = grown(new_arena(), (vocabulary.size + 31) // 32)
            write_safe_tokens(P, M, V, 0, start, home)
            begin_subtrees(M, V)
            for node in [*crowded, *generator.sample(sorted(below), 120)]:
                path, ways = below[node]
                state = state_after(language, start, path)
                if state < 0:
                    continue
                answer = is_safe_below(P, M, V, 0, state, home, int(V[NODES]) + 4 * node, ANY_TEXT)
                readable = [is_text(way, home) and reads(language, state, way) for way in ways]
                assert all(readable) or not answer, (pattern, start, path)
                height = max(map(len, ways))
                assert not is_safe_below(P, M, V, 0, state, home, int(V[NODES]) + 4 * node, height - 1)
                assert is_safe_below(P, M, V, 0, state, home, int(V[NODES]) + 4 * node, height) == answer
                safe += answer
                large += answer and len(ways) >= 32
                partly_safe += any(readable) and not all(readable)
    assert safe > 150
    assert large > 10
    assert partly_safe > 100, (safe, large, partly_safe)


def is_text(data: bytes, home: int) -> bool:
    return stays_inside(data, home) and b"\\" not in data


def is_whole(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def state_after(language: Any, state: int, text: bytes) -> int:
    for byte in text:
        state = int(language.transitions[state, language.byte_class[byte]]) if state >= 0 else -1
    return state


# Scripts.


def test_every_character_is_of_one_script() -> None:
    """And the edges that spell it, in a trie, say so; so do those of the part that a token may end with."""
    points = [*range(0x20, 0x3100), *range(0x3100, 0xD800, 7), *range(0xE000, 0x110000, 61)]
    met = 0
    for character in (chr(point) for point in points if chr(point) not in '"\\'):
        data = character.encode()
        (unit,) = units_of(data)
        script = int(SCRIPT_OF_UNIT[unit])
        assert script.bit_count() == 1
        assert scripts_of(data) & script
        for end in range(1, len(data)):
            (unit,) = units_of(data[:end])
            assert scripts_of(data[:end]) & int(SCRIPT_OF_UNIT[unit])
        met |= script
    assert met == ALL_SCRIPTS


def scripts_of(data: bytes) -> int:
    chain = np.frombuffer(b"\0" + data, dtype=np.uint8).astype(np.int64)
    return int(np.bitwise_or.reduce(scripts_of_edges(chain, np.arange(len(chain)) - 1)[1:]))


def test_what_is_no_text_is_of_no_script() -> None:
    for byte in (*range(0x20), ord('"'), ord("\\"), *range(0x80, 0xC2)):
        assert script_of(byte) == 0
    assert SCRIPT_OF_UNIT[ESCAPES] == 0
    assert len(SCRIPT_OF_UNIT) == UNIT_NUMBERS


def test_alphabets_in_words() -> None:
    alphabets = np.array([0, 1, ALL_SCRIPTS, NO_TEXT_BELOW, 1 << 31, (1 << 61) | 5], dtype=np.int64)
    words = words_of_alphabets(alphabets).ravel()
    assert words.dtype == np.int32
    assert [read_alphabet(words, 2 * i) for i in range(len(alphabets))] == alphabets.tolist()
    again = np.zeros_like(words)
    for i, alphabet in enumerate(alphabets.tolist()):
        write_alphabet(again, 2 * i, alphabet)
    assert again.tolist() == words.tolist()
