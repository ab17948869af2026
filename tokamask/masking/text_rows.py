"""Tokens that are plain text, by how they end and by how many characters they begin.

Met between two characters of a JSON string, such a token stays inside it, and it has no backslash. All of a class lead
to the same place in a string that takes any characters, so what holds behind one holds behind them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokamask.grammar.body_states import (
    AFTER_E0,
    AFTER_ED,
    AFTER_F0,
    AFTER_F4,
    BACKSLASH,
    NORMAL,
    TAIL_1,
    TAIL_2,
    TAIL_3,
)
from tokamask.grammar.string_body import BODY
from tokamask.masking.layout import Layout, token_row

__all__ = ["ENDING_BYTES", "WHOLE", "add_text_rows"]

_ENDINGS = (NORMAL, TAIL_1, TAIL_2, TAIL_3, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4)
"""The body states in which text can end."""
WHOLE = 0
"""The ending of text whose last character is complete."""
ENDING_BYTES = np.array([0x61, 0xC3, 0xE1, 0xF1, 0xE0, 0xED, 0xF0, 0xF4], dtype=np.int32)
"""For each ending a byte that leads there from between two characters, as the last one of every such text would."""


def add_text_rows(layout: Layout, inside: Sequence[tuple[bytes, int]], words: int) -> tuple[int, int, int]:
    """Lay out a row of `words` per ending, and the classes: (ending, characters) of all that occur, in order.

    Args:
        inside: (text, id) of the tokens that stay inside a string which they meet between two characters.

    Returns:
        The offsets of the rows and of the classes, and the number of classes.
    """
    tokens: list[list[int]] = [[] for _ in _ENDINGS]
    classes = set()
    for text, token in inside:
        if BACKSLASH not in text:
            ending = _ENDINGS.index(_last_state(text))
            tokens[ending].append(token)
            classes.add((ending, sum(byte & 0xC0 != 0x80 for byte in text)))
    rows = layout.add(np.concatenate([token_row(members, words) for members in tokens]))
    return rows, layout.add(np.array(sorted(classes), dtype=np.int32)), len(classes)


def _last_state(text: bytes) -> int:
    """The body state behind some text, told by its last character."""
    first = len(text) - 1
    while text[first] & 0xC0 == 0x80:
        first -= 1
    state = NORMAL
    for byte in text[first:]:
        state = int(BODY[state, byte])
    return state
