"""Quotations: the output is a piece of a given text."""

from __future__ import annotations

__all__ = ["SubstringOf"]

_State = tuple[int, int]


class SubstringOf:
    """Texts that occur in a source, word for word; the empty text does too.

    The state is (start, length) of the first occurrence of the text so far. A longer text cannot occur earlier, so the
    search goes on from there.
    """

    def __init__(self, source: str) -> None:
        self._source = source.encode()

    @property
    def name(self) -> str:
        return "SubstringOf"

    @property
    def is_exhaustive(self) -> bool:
        return True

    def start(self, prompt: bytes) -> _State:
        return (0, 0)

    def advance(self, state: _State, data: bytes) -> _State | None:
        start, length = state
        text = self._source[start : start + length] + data
        # The second half of a character occurs in the source, but no text begins with it.
        if text and text[0] & 0xC0 == 0x80:
            return None
        found = self._source.find(text, start)
        return None if found < 0 else (found, len(text))

    def may_end(self, state: _State) -> bool:
        """Wherever a character ends: the next byte of the source, if there is one, begins another."""
        end = sum(state)
        return end == len(self._source) or self._source[end] & 0xC0 != 0x80

    def allowed(self, state: _State) -> None:
        return None

    def log_weight(self, state: _State) -> float:
        return 0.0
