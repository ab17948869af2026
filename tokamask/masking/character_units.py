"""Which tokens contain which characters: what the masks of patterned strings are composed of (see `pattern_kernels`).

A *unit* is a set of characters that are told apart from others: each ASCII character, all characters that share the
first byte of a two- or four-byte UTF-8 sequence, all 64 that share the first two bytes of a three-byte sequence. Two
kinds of units are no characters: whatever is spelled with a backslash, and the first byte of a three-byte sequence
where a token ends with it. A unit's number is

    0 .. 0x7F      the ASCII character
    0x80           ESCAPES
    0xC2 .. 0xDF   two bytes, by the first one                      0xF0 .. 0xF4   four bytes, by the first one
    0xE0 .. 0xEF   the end of a token in a character of three bytes, of which only the first is there
    256 ..         three bytes: 256 + 64 * (first byte - 0xE0) + (second byte - 0x80)

Units are counted only in tokens that can stay inside a JSON string which they meet between two characters. For every
unit that occurs, V has an entry of the words below; rows for large ones, tries for all but the largest, so for each one
of the two at least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from tokamask.grammar.body_states import BACKSLASH
from tokamask.masking.alphabets import script_of
from tokamask.masking.layout import Layout, token_row

__all__ = [
    "ESCAPES",
    "KINDS",
    "SCRIPT_OF_UNIT",
    "THREE_BYTES",
    "UNIT_COUNT",
    "UNIT_KIND",
    "UNIT_NODES",
    "UNIT_NUMBER",
    "UNIT_NUMBERS",
    "UNIT_ROW",
    "UNIT_TOKENS",
    "UNIT_WORDS",
    "add_units",
    "units_of",
]

ESCAPES = 0x80
THREE_BYTES = 256
UNIT_NUMBERS = THREE_BYTES + 16 * 64

SCRIPT_OF_UNIT = np.array(
    [script_of(first) for first in range(THREE_BYTES)]
    + [script_of(first, second) for first in range(0xE0, 0xF0) for second in range(0x80, 0xC0)],
    dtype=np.int64,
)
"""The script of each unit's characters (see `alphabets`), as a bit; 0 for what is no text."""

# An entry: the unit's number, how many tokens contain it, their trie (nodes and tokens; 0: none), their row (0: none),
# and the unit's kind.
UNIT_WORDS = 6
UNIT_NUMBER, UNIT_COUNT, UNIT_NODES, UNIT_TOKENS, UNIT_ROW, UNIT_KIND = range(6)

# Kinds of units that patterns mostly allow or forbid together: there is a row of the tokens that contain any of a kind.
# The last two are the rest of ASCII, and what is not ASCII.
_KINDS = ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ", " ", "-._/:@")
KINDS = len(_KINDS) + 2
_KIND_OF = {ord(character): kind for kind, characters in enumerate(_KINDS) for character in characters}

# Taking fewer tokens than this out of a row one by one is quicker than by a row of their own.
_FEWEST_FOR_ROW = 512
# Walking the tokens of a larger unit would be no quicker than walking all tokens.
_MOST_FOR_TRIE = 4096


def units_of(text: bytes) -> set[int]:
    """The units of a token that stays inside a JSON string. What follows two bytes of an escape counts as itself."""
    units = set()
    at = 0
    while at < len(text):
        byte = text[at]
        if byte == BACKSLASH:
            units.add(ESCAPES)
            at += 2
        elif byte < 0x80:
            units.add(byte)
            at += 1
        elif 0xE0 <= byte < 0xF0:
            units.add(THREE_BYTES + 64 * (byte - 0xE0) + (text[at + 1] - 0x80) if at + 1 < len(text) else byte)
            at += 3
        else:
            units.add(byte)
            at += 2 if byte < 0xE0 else 4
    return units


def add_units(layout: Layout, tokens: Iterable[tuple[bytes, int]], words: int) -> tuple[int, int, int, int]:
    """Lay out what is known of the units of `tokens`, all of which stay inside a string.

    Returns:
        The offset of the entries, in the order of their units; their number; the number of those up to ESCAPES; the
        offset of the KINDS rows of `words`.
    """
    containing: defaultdict[int, list[tuple[bytes, int]]] = defaultdict(list)
    for text, token in tokens:
        for unit in units_of(text):
            containing[unit].append((text, token))
    entries: list[int] = []
    kinds: list[list[int]] = [[] for _ in range(KINDS)]
    for unit, pairs in sorted(containing.items()):
        kind = _KIND_OF.get(unit, KINDS - 2 if unit <= ESCAPES else KINDS - 1)
        ids = [token for _, token in pairs]
        kinds[kind] += ids
        nodes, trie_tokens = layout.add_trie(pairs) if len(pairs) <= _MOST_FOR_TRIE else (0, 0)
        row = layout.add(token_row(ids, words)) if len(pairs) >= _FEWEST_FOR_ROW else 0
        entries += (unit, len(pairs), nodes, trie_tokens, row, kind)
    rows = layout.add(np.concatenate([token_row(ids, words) for ids in kinds]))
    ascii_entries = sum(unit <= ESCAPES for unit in containing)
    return layout.add(np.array(entries, dtype=np.int32)), len(containing), ascii_entries, rows
