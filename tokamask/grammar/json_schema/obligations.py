"""Obligations: what a value must meet, as a thing that can be compared, collected in sets and expanded on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from tokamask.grammar.json_schema.demands import ANY_VALUE, NO_VALUE, Alternatives, Node
from tokamask.grammar.json_schema.places import Place, pointer_at


class Obligation(ABC):
    """Something a value must meet.

    `rank` orders obligations as they came up; it makes every traversal of a node deterministic.
    """

    __slots__ = ("place", "rank")

    def __init__(self, rank: tuple[int, ...], place: Place) -> None:
        self.rank = rank
        self.place = place

    @property
    def pointer(self) -> str:
        return pointer_at(self.place)

    @abstractmethod
    def alternatives(self) -> Alternatives:
        """The values that meet it."""

    @abstractmethod
    def denials(self) -> Alternatives:
        """The values that do not meet it."""

    def evaluations(self) -> Alternatives:
        """The values that meet it, told apart by what it has evaluated of them (`seen`)."""
        return self.alternatives()

    def aim(self) -> Node | None:
        """The node of the same values at the end of a chain of mere references; None if this is no such reference."""
        return None

    def denies_all_of(self, node: Node) -> bool:
        """Whether this is the complement of obligations that a node contains."""
        return False

    def has_keyword(self, keyword: str) -> bool:
        """Whether this is a schema object with that keyword."""
        return False

    def listed_values(self) -> frozenset[Hashable] | None:
        """Keys of values outside which none can meet this obligation, where that is plain to see."""
        return None

    def all_values(self) -> frozenset[Hashable] | None:
        """Keys of exactly the values that meet this obligation, where that is plain to see."""
        return None

    def unlisted_values(self) -> frozenset[Hashable]:
        """Keys of values that cannot meet this obligation, where that is plain to see."""
        return frozenset()


class Impossibility(Obligation):
    """What no value meets: the schema `false`."""

    __slots__ = ()

    def alternatives(self) -> Alternatives:
        return NO_VALUE

    def denials(self) -> Alternatives:
        return ANY_VALUE


FALSE = Impossibility((0,), "#")
NOTHING: Node = frozenset((FALSE,))


def rank_of(obligation: Obligation) -> tuple[int, ...]:
    return obligation.rank


def pointer_of(node: Node) -> str:
    """The place of the first obligation of a node."""
    return min(node, key=rank_of).pointer if node else "#"


def is_listed(node: Node) -> bool:
    """Whether the values of a node are listed, as far as is plain to see."""
    return any(obligation.listed_values() is not None for obligation in node)


def is_plainly_empty(node: Node) -> bool:
    """Whether no value meets the node: it is false, or contradicts itself by name or by listed values."""
    if len(node) < 2:
        return FALSE in node
    if FALSE in node:
        return True
    listed: frozenset[Hashable] | None = None
    for obligation in node:
        if obligation.denies_all_of(node):
            return True
        values = obligation.listed_values()
        if values is not None:
            listed = values if listed is None else listed & values
    if listed is None:
        return False
    for obligation in node:
        listed = listed - obligation.unlisted_values()
    return not listed
