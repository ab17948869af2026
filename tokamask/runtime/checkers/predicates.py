"""Python functions as checkers: one that judges every beginning of a text, and one that judges the complete text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["DocumentPredicate", "PrefixPredicate", "function_name"]


@dataclass(frozen=True)
class PrefixPredicate:
    """Texts of which every beginning, one byte or longer, satisfies a function. The state is the text so far.

    The function is asked about every new byte's text, so whatever it answers there is no way back from a False; text
    may end inside a character. The earlier it says False, the better the samples.
    """

    accepts: Callable[[bytes], bool]

    @property
    def name(self) -> str:
        return f"PrefixPredicate({function_name(self.accepts)})"

    @property
    def is_exhaustive(self) -> bool:
        return False

    def start(self, prompt: bytes) -> bytes:
        return b""

    def advance(self, state: bytes, data: bytes) -> bytes | None:
        for length in range(1, len(data) + 1):
            if not self.accepts(state + data[:length]):
                return None
        return state + data

    def may_end(self, state: bytes) -> bool:
        return True

    def allowed(self, state: bytes) -> None:
        return None

    def log_weight(self, state: bytes) -> float:
        return 0.0


@dataclass(frozen=True)
class DocumentPredicate:
    """Texts that satisfy a function as a whole. The state is the text so far.

    The function sees complete texts alone, so it can only refuse to let a text end: where nothing else can follow, the
    sample is lost. Where half a text can be judged, `PrefixPredicate` loses less.
    """

    accepts: Callable[[str], bool]

    @property
    def name(self) -> str:
        return f"DocumentPredicate({function_name(self.accepts)})"

    @property
    def is_exhaustive(self) -> bool:
        return False

    def start(self, prompt: bytes) -> bytes:
        return b""

    def advance(self, state: bytes, data: bytes) -> bytes:
        return state + data

    def may_end(self, state: bytes) -> bool:
        """False also for a text that ends inside a character: it is no text yet."""
        try:
            text = state.decode()
        except UnicodeDecodeError:
            return False
        return bool(self.accepts(text))

    def allowed(self, state: bytes) -> None:
        return None

    def log_weight(self, state: bytes) -> float:
        return 0.0


def function_name(function: Callable[..., object]) -> str:
    """What to call a function in a message."""
    return getattr(function, "__qualname__", None) or type(function).__name__
