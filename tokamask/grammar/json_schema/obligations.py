"""Obligations: what a value must meet, as a thing that can be compared, collected in sets and expanded on demand."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeAlias

from tokamask.grammar.json_schema.demands import NO_VALUE, Alternatives, Node

# A place is a pointer, or the parent obligation with the path from there (most pointers are never spelled out).
Place: TypeAlias = "str | tuple[Obligation, tuple[str | int, ...]]"


def escaped(segment: str | int) -> str:
    """A segment of a JSON pointer (RFC 6901)."""
    return str(segment).replace("~", "~0").replace("/", "~1")


class Obligation:
    """Something a value must meet. Alternatives are found when first asked for.

    `serial` counts obligations in the order they came up; it makes every traversal of a node deterministic.
    """

    __slots__ = ("_alternatives", "_place", "serial")

    def __init__(self, serial: int, place: Place) -> None:
        self.serial = serial
        self._place = place
        self._alternatives: Alternatives | None = None

    @property
    def pointer(self) -> str:
        segments: list[str] = []
        place = self._place
        while not isinstance(place, str):
            parent, path = place
            segments.extend(escaped(segment) for segment in reversed(path))
            place = parent._place
        return "/".join([place, *reversed(segments)])

    def aim(self) -> Node | None:
        """The node of the same values at the end of a chain of mere references; None if this is no such reference."""
        return None

    def alternatives(self) -> Alternatives:
        if self._alternatives is None:
            self._alternatives = self._expanded()
        return self._alternatives

    def has_keyword(self, keyword: str) -> bool:
        """Whether this is a schema object with that keyword."""
        return False

    def listed_values(self) -> frozenset[Hashable] | None:
        """Keys of values outside which none can meet this obligation, where that is plain to see."""
        return None

    def _expanded(self) -> Alternatives:
        raise NotImplementedError


class KnownObligation(Obligation):
    """An obligation whose alternatives are known from the start: a single value, `false`, a part of a schema."""

    __slots__ = ()

    def __init__(self, serial: int, place: Place, alternatives: Alternatives) -> None:
        super().__init__(serial, place)
        self._alternatives = alternatives


FALSE = KnownObligation(0, "#", NO_VALUE)
NOTHING: Node = frozenset((FALSE,))
