"""When the branches of a `oneOf` exclude each other at a glance: listed values, or a property that tells them apart.

What cannot be seen here is proven (or not) by expanding the branches pair by pair; this is the linear short cut for
the two shapes that nearly every large `oneOf` has.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from tokamask.grammar.json_schema.demands import (
    BooleanDemand,
    Demand,
    Node,
    NumberDemand,
    ObjectDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.values import Kind

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.obligations import Obligation

# A tag is among the first required names, if there is one at all.
NAMES_TRIED = 8


def are_told_apart(kind: Kind, branches: list[tuple[Demand, ...]]) -> bool:
    """Whether no value of this kind can meet demands of two branches; False when it is not plain to see."""
    if kind is Kind.OBJECT:
        first = branches[0][0]
        names = dict.fromkeys(first.required if isinstance(first, ObjectDemand) else ())
        return any(_are_disjoint(_tags(name, branch) for branch in branches) for name in list(names)[:NAMES_TRIED])
    return _are_disjoint(_listed(branch) for branch in branches)


def _are_disjoint(sets: Iterable[set[Hashable] | None]) -> bool:
    seen: set[Hashable] = set()
    for values in sets:
        if values is None or not seen.isdisjoint(values):
            return False
        seen |= values
    return True


def _listed(branch: tuple[Demand, ...]) -> set[Hashable] | None:
    """The values a branch lists; None when it does not list them."""
    values: set[Hashable] = set()
    for demand in branch:
        if not isinstance(demand, BooleanDemand | NumberDemand | StringDemand) or demand.values is None:
            return None
        values |= demand.values
    return values


def _tags(name: str, branch: tuple[Demand, ...]) -> set[Hashable] | None:
    """The values that a property lists throughout a branch; None unless it is required and lists them."""
    tags: set[Hashable] = set()
    for demand in branch:
        if not isinstance(demand, ObjectDemand) or name not in demand.required:
            return None
        values = _listed_by(demand.value(name))
        if values is None:
            return None
        tags |= values
    return tags


def _listed_by(node: Node) -> frozenset[Hashable] | None:
    """The values one of the obligations lists."""
    return next((values for values in map(_listed_values, node) if values is not None), None)


def _listed_values(obligation: Obligation) -> frozenset[Hashable] | None:
    return obligation.listed_values()
