"""Obligations whose alternatives are known from the start: single values, parts of a schema."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

from tokamask.grammar.json_schema.demands import (
    Alternatives,
    BooleanDemand,
    Demand,
    Node,
    NullDemand,
    NumberDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.negation import negation
from tokamask.grammar.json_schema.obligations import Obligation
from tokamask.grammar.json_schema.places import Place
from tokamask.grammar.json_schema.values import Kind


class KnownObligation(Obligation):
    """An obligation with these alternatives."""

    __slots__ = ("_alternatives",)

    def __init__(self, rank: tuple[int, ...], place: Place, alternatives: Alternatives) -> None:
        super().__init__(rank, place)
        self._alternatives = alternatives

    def alternatives(self) -> Alternatives:
        return self._alternatives

    def denials(self) -> Alternatives:
        return negation(self._alternatives, self.place)


class ValueObligation(KnownObligation):
    """A value must be this one. `key` is shared by the values that JSON Schema calls equal."""

    __slots__ = ("_key",)

    def __init__(self, rank: tuple[int, ...], place: Place, alternatives: Alternatives, key: Hashable) -> None:
        super().__init__(rank, place, alternatives)
        self._key = key

    def listed_values(self) -> frozenset[Hashable]:
        return frozenset((self._key,))

    def all_values(self) -> frozenset[Hashable]:
        return frozenset((self._key,))


class ScalarObligation(ValueObligation):
    """A value must be this one scalar. Equal where the scalars are."""

    __slots__ = ()

    def __init__(self, kind: Kind, value: bool | Fraction | str | None, place: Place) -> None:
        rank = (-1, kind, *str(value).encode("utf-8", "surrogatepass"))
        super().__init__(rank, place, {kind: (_only(value),)}, (kind, value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScalarObligation) and other._key == self._key

    def __hash__(self) -> int:
        return hash((ScalarObligation, self._key))


def _only(value: bool | Fraction | str | None) -> Demand:
    match value:
        case None:
            return NullDemand()
        case bool():
            return BooleanDemand(frozenset((value,)))
        case Fraction():
            return NumberDemand(values=frozenset((value,)))
        case str():
            return StringDemand(values=frozenset((value,)))


def scalar(kind: Kind, value: bool | Fraction | str | None, place: Place) -> Node:
    """The node of one scalar."""
    return frozenset((ScalarObligation(kind, value, place),))
