"""The prefix tree of a vocabulary's token bytes, as flat arrays in breadth-first order.

A mask asks which tokens an automaton can follow. Tokens share prefixes, so the automaton walks the trie instead of
every token: a dead edge leaves out its whole subtree. The arrays serve two kinds of readers. A kernel follows `nodes`
from parent to children, one 16-byte record per node. A whole-vocabulary pass goes level by level with numpy: in
breadth-first order the nodes of one depth are one slice, and every parent comes before its children:

    for start, end in pairwise(trie.levels[1:]):
        state[start:end] = table[state[trie.parent[start:end]], trie.edge_bytes[start:end]]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.errors import VocabularyMismatch
from tokamask.grammar.body_states import BACKSLASH, BODY_STATES, DEAD, NORMAL
from tokamask.grammar.string_body import BODY
from tokamask.masking.alphabets import NO_TEXT_BELOW, scripts_of_edges
from tokamask.masking.vocabulary import Vocabulary

__all__ = [
    "BACKSLASH_BELOW",
    "HEIGHT_SHIFT",
    "MOST_HEIGHT",
    "MOST_RUN",
    "MOST_TOKENS",
    "QUOTE_BELOW",
    "RUN_SHIFT",
    "SIZE_SHIFT",
    "VALUE_BELOW",
    "TokenTrie",
    "build_trie",
    "trie_of",
    "vocabulary_trie",
]

QUOTE_BELOW = 1
"""Flag of a node: some edge strictly below it is the byte `"`."""
BACKSLASH_BELOW = 2
"""Flag of a node: some edge strictly below it is a backslash."""
VALUE_BELOW = 4
"""Flag of a node: strictly below it a quote may close a string, and punctuation, then something else follow."""
RUN_SHIFT, MOST_RUN = 3, 31
"""Above the flags, 5 bits: how many siblings from a node on are *text*, one after another; MOST_RUN for as many and
more. A node is text if between two characters of a JSON string its edge and all below stay inside, without a backslash.
"""
HEIGHT_SHIFT, MOST_HEIGHT = 8, 255
"""Above the run, 8 bits: how many edges the longest way below the node has; MOST_HEIGHT for as many and more."""
SIZE_SHIFT, MOST_TOKENS = 16, (1 << 15) - 1
"""Above the height: how many tokens the subtree has; no node of more than MOST_TOKENS counts as text."""

CHILD_COUNT_SHIFT = 8
TOKEN_COUNT_SHIFT = 17
CHILD_COUNT_MASK = 0x1FF  # 0..256 children
MAX_EQUAL_TOKENS = (1 << 14) - 1
"""Ids that may share one byte string: what fits above TOKEN_COUNT_SHIFT without touching the sign of an int32."""


@dataclass(frozen=True, eq=False)
class TokenTrie:
    """A trie over byte strings; node 0 is the root, the empty prefix.

    Attributes:
        nodes: int32 (n, 4), C-contiguous; the children of a node are neighbours, sorted by byte. The words of a record:
            0. edge byte (0 at the root) | child count << 8 | token count << 17; never negative
            1. index of the first child; 0 without children
            2. offset in `tokens` of the first token of the subtree; the node's own tokens begin there
            3. flags QUOTE_BELOW, BACKSLASH_BELOW and VALUE_BELOW | run << 3 | height << 8 | tokens of the subtree << 16
        tokens: int32 (m,), token ids in lexicographic order of their bytes, ids of equal bytes ascending. The tokens of
            a whole subtree are therefore neighbours, and those that end at its top come first.
        parent: int32 (n,); -1 at the root.
        levels: int32 (depth + 2,); the nodes of depth d are levels[d] .. levels[d + 1] - 1.
        alphabets: int64 (n,); the alphabet of all texts strictly below each node (see `alphabets`); NO_TEXT_BELOW
            where after the node, between two characters of a JSON string, not all of them stay inside without a
            backslash, or where they are more than MOST_TOKENS.
    """

    nodes: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    alphabets: npt.NDArray[np.int64]

    @property
    def depth(self) -> int:
        """The length of the longest token in bytes."""
        return len(self.levels) - 2

    @property
    def edge_bytes(self) -> npt.NDArray[np.int32]:
        """int32 (n,): the byte on the edge into each node; 0 at the root."""
        return self.nodes[:, 0] & 0xFF

    @property
    def child_counts(self) -> npt.NDArray[np.int32]:
        """int32 (n,): how many children each node has."""
        return (self.nodes[:, 0] >> CHILD_COUNT_SHIFT) & CHILD_COUNT_MASK

    @property
    def token_counts(self) -> npt.NDArray[np.int32]:
        """int32 (n,): how many tokens end at each node."""
        return self.nodes[:, 0] >> TOKEN_COUNT_SHIFT


def vocabulary_trie(vocabulary: Vocabulary) -> TokenTrie:
    """The trie of every token that can be text: stop, special, missing and empty tokens are left out."""
    return build_trie([(text, token) for token, text in enumerate(vocabulary.token_bytes) if text is not None])


def trie_of(vocabulary: Vocabulary, ids: Iterable[int]) -> TokenTrie:
    """The trie of some tokens of a vocabulary; ids that are never text are left out, repeated ids count once.

    Raises:
        VocabularyMismatch: an id is not in the vocabulary.
    """
    chosen = sorted(set(ids))
    for token in chosen[:1] + chosen[-1:]:
        if not 0 <= token < vocabulary.size:
            raise VocabularyMismatch(f"token id {token} is outside the vocabulary (ids 0 to {vocabulary.size - 1})")
    texts = vocabulary.token_bytes
    return build_trie([(text, token) for token in chosen if (text := texts[token]) is not None])


def build_trie(tokens: Sequence[tuple[bytes, int]]) -> TokenTrie:
    """The trie of (bytes, token id) pairs.

    The pairs are sorted once. Then each level is a few array operations: in sorted order, a node of depth d + 1 begins
    wherever the node of depth d, or the byte after it, differs from that of the token before.

    Raises:
        ValueError: a token has no bytes.
        VocabularyMismatch: more than MAX_EQUAL_TOKENS ids have the same bytes.
    """
    pairs = sorted(tokens)
    if pairs and not pairs[0][0]:
        raise ValueError(f"token id {pairs[0][1]} has no bytes, so no node of a trie can hold it")
    text = np.frombuffer(b"".join([data for data, _ in pairs]), dtype=np.uint8)
    lengths = np.fromiter((len(data) for data, _ in pairs), dtype=np.int64, count=len(pairs))
    starts = np.cumsum(lengths) - lengths

    node_of = np.zeros(len(pairs), dtype=np.int64)  # the node each token has reached
    edges, parents, first_tokens = [np.zeros(1, np.int64)], [np.full(1, -1, np.int64)], [np.zeros(1, np.int64)]
    levels = [0, 1]
    depth = 0
    reaching = np.arange(len(pairs))
    while reaching.size:
        at, byte = node_of[reaching], text[starts[reaching] + depth].astype(np.int64)
        opens = np.ones(reaching.size, dtype=np.bool_)
        opens[1:] = (at[1:] != at[:-1]) | (byte[1:] != byte[:-1])
        node_of[reaching] = levels[-1] + np.cumsum(opens) - 1
        edges.append(byte[opens])
        parents.append(at[opens])
        first_tokens.append(reaching[opens])
        levels.append(levels[-1] + int(np.count_nonzero(opens)))
        depth += 1
        reaching = reaching[lengths[reaching] > depth]

    edge, parent = np.concatenate(edges), np.concatenate(parents)
    child_count = np.bincount(parent[1:], minlength=levels[-1])
    token_count = np.bincount(node_of, minlength=levels[-1])
    if (largest := int(token_count.max())) > MAX_EQUAL_TOKENS:
        shared = pairs[int(np.argmax(node_of == token_count.argmax()))][0]
        raise VocabularyMismatch(
            f"{largest} token ids have the same bytes {shared[:40]!r}; at most {MAX_EQUAL_TOKENS} can. "
            "Give None instead of bytes to ids that are never text"
        )
    nodes = np.zeros((levels[-1], 4), dtype=np.int32)
    nodes[:, 0] = edge | child_count << CHILD_COUNT_SHIFT | token_count << TOKEN_COUNT_SHIFT
    nodes[:, 1] = np.where(child_count > 0, 1 + np.cumsum(child_count) - child_count, 0)
    nodes[:, 2] = np.concatenate(first_tokens)
    nodes[:, 3], alphabets = _below(edge, child_count, token_count, parent, levels)
    return TokenTrie(
        nodes=nodes,
        tokens=np.fromiter((token for _, token in pairs), dtype=np.int32, count=len(pairs)),
        parent=parent.astype(np.int32),
        levels=np.array(levels, dtype=np.int32),
        alphabets=alphabets,
    )


def _below(
    edge: npt.NDArray[np.int64],
    child_count: npt.NDArray[np.int64],
    token_count: npt.NDArray[np.int64],
    parent: npt.NDArray[np.int64],
    levels: Sequence[int],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What word 3 of every node says, and its alphabet, deepest level first: what its children and their edges say."""
    flags = np.zeros(len(edge), dtype=np.int64)
    alphabets = np.zeros(len(edge), dtype=np.int64)
    scripts = scripts_of_edges(edge, parent)
    height = np.zeros(len(edge), dtype=np.int64)
    size = token_count.copy()
    of_edge = np.where(edge == ord('"'), QUOTE_BELOW, 0) | np.where(edge == ord("\\"), BACKSLASH_BELOW, 0)
    # For each body state before an edge: where that leads, and whether everything below can then follow.
    text = np.where(np.arange(256) == BACKSLASH, DEAD, BODY).T[edge]
    goes_on = np.ones((len(edge), BODY_STATES), dtype=np.bool_)
    is_text = text >= 0
    # For each place of `_BEHIND_QUOTE` before an edge: where that leads, and whether some way below leads to a value.
    behind = _BEHIND_QUOTE.T[edge]
    has_value = np.zeros((len(edge), len(_BEHIND_QUOTE)), dtype=np.bool_)
    for start, middle, end in reversed(list(zip(levels, levels[1:], levels[2:], strict=False))):
        inner = start + np.flatnonzero(child_count[start:middle])
        first_child = np.cumsum(child_count[inner]) - child_count[inner]
        flags[inner] = np.bitwise_or.reduceat((of_edge | flags)[middle:end], first_child)
        alphabets[inner] = np.bitwise_or.reduceat((scripts | alphabets)[middle:end], first_child)
        height[inner] = 1 + np.maximum.reduceat(height[middle:end], first_child)
        size[inner] += np.add.reduceat(size[middle:end], first_child)
        goes_on[inner] = np.logical_and.reduceat(is_text[middle:end], first_child)
        is_text[inner] &= np.take_along_axis(goes_on[inner], text[inner].astype(np.int64), axis=1)
        below = np.take_along_axis(has_value[middle:end], behind[middle:end], axis=1)
        below[:, _INSIDE] |= has_value[middle:end, _INSIDE]  # the quote may be escaped
        has_value[inner] = np.logical_or.reduceat(below | (behind[middle:end] == _VALUE), first_child)
    flags |= np.where(has_value[:, _INSIDE], VALUE_BELOW, 0)
    flags |= _runs(is_text[:, NORMAL] & (size <= MOST_TOKENS), parent) << RUN_SHIFT
    flags |= np.minimum(height, MOST_HEIGHT) << HEIGHT_SHIFT | np.minimum(size, MOST_TOKENS) << SIZE_SHIFT
    alphabets[~goes_on[:, NORMAL] | (size > MOST_TOKENS)] = NO_TEXT_BELOW
    return flags, alphabets


def _runs(is_text: npt.NDArray[np.bool_], parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many siblings from each node on are text, up to MOST_RUN."""
    at = np.arange(len(parent))
    goes_on = np.zeros(len(parent), dtype=np.bool_)
    goes_on[:-1] = is_text[1:] & (parent[1:] == parent[:-1])
    last = np.minimum.accumulate(np.where(goes_on, len(parent), at)[::-1])[::-1]
    return np.where(is_text, np.minimum(last - at + 1, MOST_RUN), 0)


# Places behind what may be the closing quote of a string, from the inside of it on, and where a byte leads from each.
# Behind the quote, blanks may come before the first punctuation; anything else is no JSON.
_INSIDE, _CLOSED, _PUNCTUATION, _NO_JSON, _VALUE = range(5)


def _behind_quote() -> npt.NDArray[np.int64]:
    table = np.full((5, 256), _VALUE, dtype=np.int64)
    table[_INSIDE] = _INSIDE
    table[_INSIDE, ord('"')] = _CLOSED
    table[_CLOSED] = table[_NO_JSON] = _NO_JSON
    table[_CLOSED, list(b" \t\n\r")] = _CLOSED
    table[_CLOSED, list(b",:]}")] = _PUNCTUATION
    table[_PUNCTUATION, list(b" \t\n\r,:]}")] = _PUNCTUATION
    return table


_BEHIND_QUOTE = _behind_quote()
