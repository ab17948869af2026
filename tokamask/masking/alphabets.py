"""Alphabets: which characters the texts below a node of a token trie are made of, as far as patterns tell them apart.

A *script* is a set of units of characters (see `character_units`): each small letter of ASCII, for these are in most
tokens, and others that patterns mostly treat alike. An *alphabet* is a set of scripts, a bit each; in arrays of int32
it takes two words of 31 bits, the lower one first.
"""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
import numpy.typing as npt

from tokamask.grammar.body_states import BACKSLASH, QUOTE
from tokamask.grammar.jit import jit

__all__ = [
    "ALL_SCRIPTS",
    "ALPHABET_WORDS",
    "NO_TEXT_BELOW",
    "read_alphabet",
    "script_of",
    "scripts_of_edges",
    "words_of_alphabets",
    "write_alphabet",
]

Words = npt.NDArray[np.int32]
Alphabets = npt.NDArray[np.int64]

ALPHABET_WORDS = 2
_WORD_BITS = 31

# Of ASCII: the characters of each script; what is left is one more.
_ASCII = (*ascii_lowercase, "0123456789", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ", *" -_./:@'", ",;", "()")
# Beyond ASCII: the last of the first bytes of each script's characters.
_LAST_LEADS = (
    *(0xC2, 0xC3, 0xCD, 0xCF, 0xD1, 0xD4, 0xD7, 0xD8, 0xD9, 0xDF),
    *(0xE0, 0xE1, 0xE2, 0xE3, 0xE8, 0xE9, 0xEA, 0xEC, 0xED, 0xEF, 0xFF),
)
# One page has the line ends and most of the blanks of Unicode, which few patterns have use for: U+2000 to U+203F.
_PAGE_LEAD, _PAGE_SECOND = 0xE2, 0x80
_PAGE = 1 << (len(_ASCII) + 1 + len(_LAST_LEADS))

ALL_SCRIPTS = (_PAGE << 1) - 1
NO_TEXT_BELOW = -1
"""In place of an alphabet: not all below a node is text, so it is part of no alphabet."""


def _scripts_of_bytes() -> Alphabets:
    """The script of the characters that begin with a byte; 0 for those that begin none."""
    scripts = np.zeros(256, dtype=np.int64)
    scripts[0x20:0x80] = 1 << len(_ASCII)
    for number, characters in enumerate(_ASCII):
        scripts[list(characters.encode())] = 1 << number
    scripts[[QUOTE, BACKSLASH]] = 0
    first = 0xC2
    for number, last in enumerate(_LAST_LEADS, len(_ASCII) + 1):
        scripts[first : last + 1] = 1 << number
        first = last + 1
    return scripts


_SCRIPTS_OF_BYTE = _scripts_of_bytes()


def script_of(first: int, second: int = 0) -> int:
    """The script, as a bit, of the characters that begin with these bytes; 0 for what is no text."""
    return _PAGE if (first, second) == (_PAGE_LEAD, _PAGE_SECOND) else int(_SCRIPTS_OF_BYTE[first])


def scripts_of_edges(edge: npt.NDArray[np.int64], parent: npt.NDArray[np.int64]) -> Alphabets:
    """The scripts of which the edge into each node of a trie may begin a character, or tell which one has begun.

    Args:
        edge: the byte on the edge into each node.
        parent: the parent of each node, -1 for the root.
    """
    scripts = _SCRIPTS_OF_BYTE[edge]
    scripts[(edge == _PAGE_SECOND) & (edge[parent] == _PAGE_LEAD)] = _PAGE
    return scripts


def words_of_alphabets(alphabets: Alphabets) -> Words:
    """int32 (n, ALPHABET_WORDS) of int64 (n,)."""
    low = alphabets & ((1 << _WORD_BITS) - 1)
    return np.stack((low, alphabets >> _WORD_BITS), axis=1).astype(np.int32)


@jit
def read_alphabet(words: Words, at: int) -> int:
    return int(words[at]) | int(words[at + 1]) << _WORD_BITS


@jit
def write_alphabet(words: Words, at: int, alphabet: int) -> None:
    words[at] = alphabet & ((1 << _WORD_BITS) - 1)
    words[at + 1] = alphabet >> _WORD_BITS
