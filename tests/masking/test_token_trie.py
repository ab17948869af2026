"""The flat trie against a trie of nested dicts, built one byte at a time."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokamask.errors import VocabularyMismatch
from tokamask.masking.alphabets import NO_TEXT_BELOW, script_of
from tokamask.masking.token_trie import (
    BACKSLASH_BELOW,
    HEIGHT_SHIFT,
    MAX_EQUAL_TOKENS,
    MOST_HEIGHT,
    MOST_RUN,
    QUOTE_BELOW,
    RUN_SHIFT,
    SIZE_SHIFT,
    VALUE_BELOW,
    TokenTrie,
    build_trie,
    trie_of,
    vocabulary_trie,
)
from tokamask.masking.vocabulary import Vocabulary

# Few bytes, so that prefixes are shared; those with flags, both ends of the byte range, parts of characters among them.
TEXTS = st.lists(st.sampled_from(b'ab", ]\\\x00\xff\xe0\xa0\x80'), min_size=1, max_size=6).map(bytes)
TOKENS = st.lists(TEXTS, max_size=40).flatmap(
    lambda texts: st.permutations(range(len(texts))).map(lambda ids: list(zip(texts, ids, strict=True)))
)


# A quote, punctuation behind it, and something else.
VALUE_BEHIND_QUOTE = re.compile(rb'"[ \t\n\r]*[,:\]}][ \t\n\r,:\]}]*[^ \t\n\r,:\]}]')


class DictNode:
    """The slow twin: children by byte, and the ids of the tokens that end here."""

    def __init__(self) -> None:
        self.children: dict[int, DictNode] = {}
        self.tokens: list[int] = []

    def subtree(self) -> list[int]:
        """All tokens here and below, in the order of their bytes."""
        below = [token for byte in sorted(self.children) for token in self.children[byte].subtree()]
        return sorted(self.tokens) + below

    def has_below(self, byte: int) -> bool:
        return any(edge == byte or child.has_below(byte) for edge, child in self.children.items())

    def ways(self) -> list[bytes]:
        """The bytes on every way down to a leaf."""
        return [bytes([byte]) + way for byte, child in self.children.items() for way in child.ways()] or [b""]


def is_text(data: bytes) -> bool:
    """Whether a JSON string goes on after these bytes, without an escape among them."""
    try:
        text = getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return all(character >= " " and character not in '"\\' for character in text)


def run_of_text(parent: DictNode, first: int) -> int:
    """How many children from one on are text, one after another."""
    later = [(byte, child) for byte, child in sorted(parent.children.items()) if byte >= first]
    texts = [all(is_text(bytes([byte]) + way) for way in child.ways()) for byte, child in later]
    return [*texts, False].index(False)


def alphabet_of(node: DictNode) -> int:
    """The scripts of all that is below, also of a character under way; NO_TEXT_BELOW if not all of it is text."""
    if not all(map(is_text, node.ways())):
        return NO_TEXT_BELOW
    alphabet = 0
    for way in node.ways():
        for first, second in pairwise(way + b"\0"):
            alphabet |= script_of(first)
            alphabet |= script_of(first, second)
    return alphabet


def dict_trie(tokens: list[tuple[bytes, int]]) -> DictNode:
    root = DictNode()
    for text, token in tokens:
        node = root
        for byte in text:
            node = node.children.setdefault(byte, DictNode())
        node.tokens.append(token)
    return root


def check(trie: TokenTrie, root: DictNode) -> None:
    """Every array says what the dicts say; walks both tries together, level by level."""
    queue: list[tuple[DictNode, int, int]] = [(root, -1, 0)]  # node, parent, edge byte
    depth_of = [0]
    for index, (node, parent, byte) in enumerate(queue):
        word, first_child, first_token, flags = trie.nodes[index].tolist()
        assert word >= 0
        assert word & 0xFF == byte
        assert word >> 8 & 0x1FF == len(node.children) == trie.child_counts[index]
        assert word >> 17 == len(node.tokens) == trie.token_counts[index]
        assert trie.edge_bytes[index] == byte
        assert trie.parent[index] == parent
        assert first_child == (len(queue) if node.children else 0)
        subtree = node.subtree()
        assert trie.tokens[first_token : first_token + len(subtree)].tolist() == subtree
        assert bool(flags & QUOTE_BELOW) == node.has_below(ord('"'))
        assert bool(flags & BACKSLASH_BELOW) == node.has_below(ord("\\"))
        assert flags >= 0
        assert bool(flags & VALUE_BELOW) == any(map(VALUE_BEHIND_QUOTE.search, node.ways()))
        run = run_of_text(queue[parent][0], byte) if index else 0
        assert flags >> RUN_SHIFT & MOST_RUN == min(run, MOST_RUN)
        assert flags >> HEIGHT_SHIFT & MOST_HEIGHT == min(max(map(len, node.ways())), MOST_HEIGHT)
        assert flags >> SIZE_SHIFT == len(subtree)
        assert trie.alphabets[index] == alphabet_of(node)
        for edge in sorted(node.children):
            queue.append((node.children[edge], index, edge))
            depth_of.append(depth_of[index] + 1)
    assert len(queue) == len(trie.nodes) == len(trie.parent)
    assert trie.tokens.tolist() == root.subtree()
    assert trie.depth == max(depth_of)
    assert [end - start for start, end in pairwise(trie.levels.tolist())] == np.bincount(depth_of).tolist()
    assert trie.alphabets.dtype == np.int64
    for array in (trie.nodes, trie.tokens, trie.parent, trie.levels):
        assert array.dtype == np.int32
        assert array.flags.c_contiguous


@given(TOKENS)
@example([])
@example([(b"\x00", 0)])
@example([(b"a" * 300, 7), (b"a" * 299, 3)])
@example([(b'a"b", b', 0), (b'b" , ]a', 1), (b'a" , ]', 2)])
@example([(b"ab", 2), (b"ab", 0), (b"a", 1)])
@example([(bytes([byte]), byte) for byte in range(256)])
@example([(b"a\xe2\x80\xa8", 0), (b"a\xe2", 1), (b"b\xe2\x81", 2), (b"c\xe2\x80", 3), (b"c\xc2\x80d", 4)])
def test_trie_is_the_dict_trie(tokens: list[tuple[bytes, int]]) -> None:
    check(build_trie(tokens), dict_trie(tokens))


@given(TOKENS, st.integers(0, 5))
def test_pass_by_levels_follows_every_token(tokens: list[tuple[bytes, int]], seed: int) -> None:
    # A random complete automaton; the passes by level must reach the same states as each token by itself.
    table = np.random.default_rng(seed).integers(0, 7, size=(7, 256))
    trie = build_trie(tokens)
    state = np.zeros(len(trie.nodes), dtype=np.int64)
    for start, end in pairwise(trie.levels[1:].tolist()):
        state[start:end] = table[state[trie.parent[start:end]], trie.edge_bytes[start:end]]
    for text, token in tokens:
        expected = 0
        for byte in text:
            expected = table[expected, byte]
        place = int(np.flatnonzero(trie.tokens == token)[0])
        starts = trie.nodes[:, 2]
        (node,) = np.flatnonzero((starts <= place) & (place < starts + trie.token_counts))
        assert state[node] == expected


def test_a_token_without_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="token id 5 has no bytes"):
        build_trie([(b"a", 1), (b"", 5)])


def test_equal_tokens_up_to_what_a_node_can_count() -> None:
    tokens = [(b"x", token) for token in range(MAX_EQUAL_TOKENS)]
    assert build_trie(tokens).token_counts.tolist() == [0, MAX_EQUAL_TOKENS]
    with pytest.raises(VocabularyMismatch, match=r"16384 token ids have the same bytes b'x'; at most 16383 can"):
        build_trie([(b"w", 99_999), *tokens, (b"x", MAX_EQUAL_TOKENS)])


VOCABULARY = Vocabulary([b"b", None, b"", b"a", b"</s>", b"ab", b"a"], stop_token_ids=[4])


def test_vocabulary_trie_holds_what_can_be_text() -> None:
    check(vocabulary_trie(VOCABULARY), dict_trie([(b"b", 0), (b"a", 3), (b"ab", 5), (b"a", 6)]))


def test_trie_of_some_tokens() -> None:
    check(trie_of(VOCABULARY, [6, 5, 1, 4, 2, 5]), dict_trie([(b"a", 6), (b"ab", 5)]))
    check(trie_of(VOCABULARY, []), dict_trie([]))


@pytest.mark.parametrize("token", [-1, 7])
def test_trie_of_unknown_tokens_is_refused(token: int) -> None:
    with pytest.raises(VocabularyMismatch, match=rf"token id {token} is outside the vocabulary \(ids 0 to 6\)"):
        trie_of(VOCABULARY, [0, token, 3])
