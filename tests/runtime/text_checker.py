"""A checker that accepts every text and weighs none; tests change what they are about."""

from __future__ import annotations

__all__ = ["TextChecker"]


class TextChecker:
    """Its states are the texts so far."""

    is_exhaustive = True

    def start(self, prompt: bytes) -> bytes:
        return b""

    def advance(self, state: bytes, data: bytes) -> bytes | None:
        return state + data

    def may_end(self, state: bytes) -> bool:
        return True

    def allowed(self, state: bytes) -> None:
        return None

    def log_weight(self, state: bytes) -> float:
        return 0.0
