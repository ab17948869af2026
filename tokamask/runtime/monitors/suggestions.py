"""What an engine answers: the names that may come next, and how sure it is that there are no others."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Suggestions", "unknown"]


@dataclass(frozen=True)
class Suggestions:
    """The names that may follow a trigger.

    Attributes:
        names: UTF-8; empty where the engine does not know.
        is_exhaustive: nothing else can be right. Only then may other names be forbidden.
        source: who says so.
        reason: why the answer is not exhaustive, or why there is none; empty where it is.
    """

    names: frozenset[bytes]
    is_exhaustive: bool
    source: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.is_exhaustive and not self.names:
            raise ValueError("an answer without names cannot be exhaustive: nothing could follow")

    @property
    def is_unknown(self) -> bool:
        return not self.names

    def begins_name(self, written: bytes) -> bool:
        """Whether a name begins with these bytes, or is them."""
        place = bisect_left(self._ordered, written)
        return place < len(self._ordered) and self._ordered[place].startswith(written)

    def beginning_with(self, written: bytes) -> Iterable[bytes]:
        """The names that begin with these bytes, in order."""
        for name in self._ordered[bisect_left(self._ordered, written) :]:
            if not name.startswith(written):
                return
            yield name

    @cached_property
    def _ordered(self) -> tuple[bytes, ...]:
        return tuple(sorted(self.names))


def unknown(source: str, reason: str) -> Suggestions:
    """No answer."""
    return Suggestions(frozenset(), False, source, reason)
