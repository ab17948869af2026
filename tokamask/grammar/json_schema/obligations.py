"""Obligations: what a value must meet, as a thing that can be compared, collected in sets and expanded on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import TypeAlias

from tokamask.grammar.json_schema.demands import NO_VALUE, Alternatives, Node

# A place is a pointer, or the parent obligation with the path from there (most pointers are never spelled out).
Place: TypeAlias = "str | tuple[Obligation, tuple[str | int, ...]]"


def escaped(segment: str | int) -> str:
    """A segment of a JSON pointer (RFC 6901)."""
    return str(segment).replace("~", "~0").replace("/", "~1")


def pointer_at(place: Place) -> str:
    segments: list[str] = []
    while not isinstance(place, str):
        parent, path = place
        segments.extend(escaped(segment) for segment in reversed(path))
        place = parent.place
    return "/".join([place, *reversed(segments)])


class Obligation(ABC):
    """Something a value must meet.

    `serial` counts obligations in the order they came up; it makes every traversal of a node deterministic.
    """

    __slots__ = ("place", "serial")

    def __init__(self, serial: int, place: Place) -> None:
        self.serial = serial
        self.place = place

    @property
    def pointer(self) -> str:
        return pointer_at(self.place)

    @abstractmethod
    def alternatives(self) -> Alternatives:
        """The values that meet it, found when first asked for."""

    def aim(self) -> Node | None:
        """The node of the same values at the end of a chain of mere references; None if this is no such reference."""
        return None

    def has_keyword(self, keyword: str) -> bool:
        """Whether this is a schema object with that keyword."""
        return False

    def listed_values(self) -> frozenset[Hashable] | None:
        """Keys of values outside which none can meet this obligation, where that is plain to see."""
        return None


class KnownObligation(Obligation):
    """An obligation whose alternatives are known from the start: a single value, `false`, a part of a schema."""

    __slots__ = ("_alternatives",)

    def __init__(self, serial: int, place: Place, alternatives: Alternatives) -> None:
        super().__init__(serial, place)
        self._alternatives = alternatives

    def alternatives(self) -> Alternatives:
        return self._alternatives


FALSE = KnownObligation(0, "#", NO_VALUE)
NOTHING: Node = frozenset((FALSE,))
