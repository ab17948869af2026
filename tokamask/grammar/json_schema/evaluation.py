"""What `unevaluatedProperties` and `unevaluatedItems` ask of the values that nothing else has evaluated.

The alternatives of a schema carry what was evaluated of the value (`seen`). A value is valid if one of them holds and
the rest of the value meets the keyword: alternatives in which more subschemas hold are among them, so the one that
fits the value best is, and the others ask for more.
"""

from __future__ import annotations

from functools import reduce

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.complement import either
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    Alternatives,
    ArrayDemand,
    Demand,
    NameRule,
    Node,
    ObjectDemand,
    SeenItems,
    SeenNames,
)
from tokamask.grammar.json_schema.merging import merged
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import union


def marked(own: Alternatives, items: SeenItems, names: SeenNames) -> Alternatives:
    """The assertions of one schema (a demand for each type) with what its own keywords evaluate."""
    return {kind: tuple([_marked(demand, items, names) for demand in demands]) for kind, demands in own.items()}


def _marked(demand: Demand, items: SeenItems | None, names: SeenNames | None) -> Demand:
    match demand:
        case ArrayDemand():
            return demand._replace(seen=items)
        case ObjectDemand():
            return demand._replace(seen=names)
        case _:
            return demand


def unmarked(alternatives: Alternatives) -> Alternatives:
    """The same values, with nothing said about what was evaluated."""
    return {kind: tuple([_marked(demand, None, None) for demand in demands]) for kind, demands in alternatives.items()}


def unevaluated(evaluations: Alternatives, items: Node | None, properties: Node | None, place: Place) -> Alternatives:
    """The evaluations of a schema that has these two keywords (None: it has not), which evaluate what is left.

    Raises CompileBudgetExceeded, at `place`, when names take too many states to tell apart.
    """
    try:
        return {
            kind: tuple([_all_evaluated(demand, items, properties) for demand in demands])
            for kind, demands in evaluations.items()
        }
    except CompileBudgetExceeded as error:
        raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_at(place)) from None


def _all_evaluated(demand: Demand, items: Node | None, properties: Node | None) -> Demand:
    match demand:
        case ArrayDemand() if items is not None:
            return _marked(merged(Kind.ARRAY, demand, _other_items(demand, items)), SeenItems(None), None)
        case ObjectDemand() if properties is not None:
            return _marked(merged(Kind.OBJECT, demand, _other_names(demand, properties)), None, SeenNames(all=True))
        case _:
            return demand


def _other_items(demand: ArrayDemand, node: Node) -> ArrayDemand:
    """Arrays whose items are of a node where a demand has not evaluated them."""
    seen = demand.seen or SeenItems()
    if seen.length is None:
        return ArrayDemand()
    return ArrayDemand((ANYTHING,) * seen.length, either((*seen.nodes, node)))


def _other_names(demand: ObjectDemand, node: Node) -> ObjectDemand:
    """Objects whose properties are of a node where a demand has not evaluated them."""
    seen = demand.seen or SeenNames()
    if seen.all:
        return ObjectDemand()
    rules = (NameRule(reduce(union, seen.languages), ANYTHING),) if seen.languages else ()
    return ObjectDemand(dict.fromkeys(sorted(seen.names), ANYTHING), additional=node, rules=rules)
