"""What must come: bytes that every continuation begins with, and how the tokenizer would spell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokamask.masking import requests
from tokamask.masking.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokamask.masking.engine import Engine

__all__ = ["forced_bytes", "forced_spelling"]

MOST_FORCED = 1 << 16
"""Bytes; a grammar may force more of them than fit into memory, and none is written before those are."""


def forced_bytes(engine: Engine, configuration: int) -> tuple[bytes, int]:
    """The bytes that every continuation begins with, at most `MOST_FORCED`, and the configuration behind them."""
    forced = bytearray()
    while len(forced) < MOST_FORCED and (byte := engine.call(requests.FORCED_BYTE, configuration)) >= 0:
        forced.append(byte)
        configuration = engine.read(configuration, bytes([byte]))
    return bytes(forced), configuration


def forced_spelling(engine: Engine, vocabulary: Vocabulary, forced: bytes, configuration: int) -> list[int]:
    """The tokenizer's own spelling of forced bytes, as far as a longer token could not cross their end.

    Args:
        engine: the engine of the configuration.
        vocabulary: what spells.
        forced: the bytes.
        configuration: the one behind them.
    """
    tokens = vocabulary.encode(forced) if forced else []
    place = len(forced)
    kept = len(tokens)
    for count in range(len(tokens) - 1, -1, -1):
        place -= len(vocabulary.token_bytes[tokens[count]] or b"")
        tail = np.frombuffer(forced[place:], dtype=np.uint8)
        if engine.call(requests.MAY_CROSS, configuration, tail.ctypes.data, len(tail)):
            kept = count
    return tokens[:kept]
