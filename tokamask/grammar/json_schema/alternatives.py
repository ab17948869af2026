"""What a value may be, type by type: the alternatives that meet all of several descriptions, or at least one.

The conjunction of two disjunctions of demands is their product, which is kept small by leaving out what plainly
contradicts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain
from typing import Any

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import charge
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_VALUE,
    NO_VALUE,
    Alternatives,
    ArrayDemand,
    Demand,
    Node,
    ObjectDemand,
    SeenItems,
    SeenNames,
)
from tokamask.grammar.json_schema.merging import MERGE, is_contradictory
from tokamask.grammar.json_schema.obligations import is_plainly_empty, rank_of
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.values import Kind

# One product of more than this many demands on one type has gone wild and is no schema, nor is a union of so many.
MAXIMUM_ALTERNATIVES = 20_000
MAXIMUM_UNITED = 200_000


def conjunction(parts: Sequence[Alternatives], place: Place) -> Alternatives:
    """The values that all describe: the product of the alternatives, type by type.

    Raises CompileBudgetExceeded, at `place`, when the product is out of all proportion.
    """
    telling = [part for part in parts if part is not ANY_VALUE]
    if len(telling) < 2:
        return telling[0] if telling else ANY_VALUE
    is_empty = _Emptiness().__getitem__
    return reduce(lambda first, second: _both(first, second, place, is_empty), telling)


class _Emptiness(dict[Node, bool]):
    """Which nodes are plainly empty: the same few children come again in nearly all that is merged."""

    def __missing__(self, node: Node) -> bool:
        self[node] = is_empty = is_plainly_empty(node)
        return is_empty


def _both(first: Alternatives, second: Alternatives, place: Place, is_empty: Callable[[Node], bool]) -> Alternatives:
    result: dict[Kind, tuple[Demand, ...]] = {}
    for kind, demands in first.items():
        others = second.get(kind)
        if others is None:
            continue
        any_demand = ANY_DEMAND[kind]
        if others[0] is any_demand:
            result[kind] = demands
        elif demands[0] is any_demand:
            result[kind] = others
        elif len(demands) * len(others) > MAXIMUM_ALTERNATIVES:
            raise CompileBudgetExceeded(
                f"combining alternatives gives {len(demands)} x {len(others)} of them for one type "
                f"(at most {MAXIMUM_ALTERNATIVES})",
                pointer=pointer_at(place),
            )
        else:
            product = _product(MERGE[kind], demands, others, place)
            if len(product) > 1:
                product = [demand for demand in product if not is_contradictory(demand, is_empty)]
            if product:
                result[kind] = tuple(product)
    return result


def _product(
    merge: Callable[[Any, Any], Demand], demands: Iterable[Demand], others: Iterable[Demand], place: Place
) -> list[Demand]:
    try:
        product = []
        for demand in demands:
            for other in others:
                both = merge(demand, other)
                charge(_parts(both))
                product.append(both)
        return product
    except CompileBudgetExceeded as error:
        raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_at(place)) from None


def _parts(demand: Demand) -> int:
    """How much of a demand is its own, as `charge` counts it."""
    match demand:
        case ObjectDemand():
            return len(demand.properties) + len(demand.required) + 4
        case ArrayDemand():
            return len(demand.prefix) + 4
        case _:
            return 4


def disjunction(branches: Iterable[Alternatives], place: Place) -> Alternatives:
    """The values that at least one describes. An unconditional demand makes the others on its type superfluous.

    Branches that refer to the same schemas have demands in common, and each is taken once.

    Raises CompileBudgetExceeded, at `place`, when there are too many.
    """
    rest = iter(branches)
    first, second = next(rest, NO_VALUE), next(rest, None)
    if second is None:
        return first
    result: dict[Kind, dict[int, Demand]] = {}
    for branch in chain((first, second), rest):
        for kind, demands in branch.items():
            present = result.setdefault(kind, {})
            any_demand = ANY_DEMAND[kind]
            if demands[0] is any_demand:
                result[kind] = {id(any_demand): any_demand}
            elif id(any_demand) not in present:
                unite(present, demands, place)
    return {kind: tuple(present.values()) for kind, present in result.items()}


def unite(present: dict[int, Demand], demands: Iterable[Demand], place: Place) -> None:
    """Add demands to a union of them, each of which it has once, by its identity."""
    present.update((id(demand), demand) for demand in demands)
    if len(present) > MAXIMUM_UNITED:
        raise CompileBudgetExceeded(
            f"its alternatives are more than {MAXIMUM_UNITED} for one type", pointer=pointer_at(place)
        )


def joint_alternatives(node: Node) -> Alternatives:
    """The values that meet every obligation of a node."""
    if len(node) == 1:
        for obligation in node:
            return obligation.alternatives()
    if not node:
        return ANY_VALUE
    obligations = sorted(node, key=rank_of)
    return conjunction([obligation.alternatives() for obligation in obligations], obligations[0].place)


def joint_denials(node: Node) -> Alternatives:
    """The values that fail at least one obligation of a node."""
    if not node:
        return NO_VALUE
    obligations = sorted(node, key=rank_of)
    return disjunction([obligation.denials() for obligation in obligations], obligations[0].place)


def joint_evaluations(node: Node) -> Alternatives:
    """The values of a node, told apart by what its obligations have evaluated of them."""
    obligations = sorted(node, key=rank_of)
    evaluations = conjunction(
        [obligation.evaluations() for obligation in obligations], obligations[0].place if node else "#"
    )
    return {
        kind: tuple([_UNSEEN.get(kind, demand) if demand is ANY_DEMAND[kind] else demand for demand in demands])
        for kind, demands in evaluations.items()
    }


# Any value of which nothing was evaluated: unlike `ANY_DEMAND`, it makes no other alternative superfluous.
_UNSEEN: Mapping[Kind, Demand] = {
    Kind.ARRAY: ArrayDemand(seen=SeenItems()),
    Kind.OBJECT: ObjectDemand(seen=SeenNames()),
}
