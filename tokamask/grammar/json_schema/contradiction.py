"""Why a schema has no value, in words: only asked when it has none."""

from __future__ import annotations

from tokamask.grammar.json_schema.alternatives import joint_alternatives
from tokamask.grammar.json_schema.catalogue import SchemaObligation
from tokamask.grammar.json_schema.demands import (
    ArrayDemand,
    BooleanDemand,
    Demand,
    Node,
    NumberDemand,
    ObjectDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.expansion import Expansion
from tokamask.grammar.json_schema.keywords import keywords_of
from tokamask.grammar.json_schema.obligations import FALSE, pointer_of
from tokamask.grammar.json_schema.shapes import ScalarShape, StringShape

DEPTH_SHOWN = 8


def contradiction(expansion: Expansion, productive: bytearray, number: int) -> tuple[str, str]:
    """The pointer and the reason of an unproductive node, following what it needs down to where nothing is left."""
    seen: set[int] = set()
    while number not in seen:
        seen.add(number)
        alternatives = expansion.alternatives[number]
        if not alternatives:
            return pointer_of(expansion.nodes[number]), _why_empty(expansion.nodes[number], DEPTH_SHOWN)
        outline = alternatives[0].outline
        assert not isinstance(outline, ScalarShape | StringShape), "a scalar needs nothing, so it is productive"
        missing = next((child for child in outline.needs() if not productive[child]), None)
        if missing is None:
            return pointer_of(expansion.nodes[number]), "too few items or properties have values to choose from"
        number = missing
    return pointer_of(expansion.nodes[number]), "every value would have to contain another one, without end"


def _why_empty(node: Node, depth: int) -> str:
    if FALSE in node:
        return "the schema is false"
    reasons = [
        reason for demands in joint_alternatives(node).values() for demand in demands if (reason := _why(demand, depth))
    ]
    if reasons:
        return " and ".join(dict.fromkeys(reasons[:3]))
    keywords: dict[str, None] = {}
    for obligation in node:
        if isinstance(obligation, SchemaObligation):
            known = keywords_of(obligation.scope.dialect)
            keywords.update(dict.fromkeys(keyword for keyword in obligation.schema if keyword in known))
    return _ruled_out(sorted(keywords))


def _ruled_out(keywords: list[str]) -> str:
    """That nothing is left between these keywords, as a sentence."""
    if not keywords:
        return "what is asked here together rules out every value"
    *others, last = keywords
    if not others:
        return f"the keyword {last} rules out every value"
    return f"the keywords {', '.join(others)} and {last} together rule out every value"


def _why(demand: Demand, depth: int) -> str:
    match demand:
        case StringDemand(values=frozenset()) | NumberDemand(values=frozenset()) | BooleanDemand():
            return "no listed value satisfies the other keywords"
        case StringDemand(minimum=minimum, maximum=int(maximum)) if minimum > maximum:
            return f"minLength ({minimum}) is greater than maxLength ({maximum})"
        case StringDemand():
            return "no text satisfies pattern, format and length together"
        case NumberDemand():
            kind = "integer" if demand.integral else "number"
            return f"no {kind} satisfies the bounds and multipleOf together"
        case ArrayDemand(repeated=str(), maximum=int(maximum)) if maximum < 2:
            return f"two items that are equal are more than maxItems ({maximum})"
        case ArrayDemand(minimum=minimum, maximum=int(maximum)) if minimum > maximum:
            return f"minItems ({minimum}) is greater than maxItems ({maximum})"
        case ArrayDemand() if FALSE in demand.rest and demand.minimum > len(demand.prefix):
            return f"minItems ({demand.minimum}) is more than the {len(demand.prefix)} items that are allowed"
        case ObjectDemand():
            return _why_object(demand, depth)
        case _:
            return ""


def _why_object(demand: ObjectDemand, depth: int) -> str:
    for name in demand.required:
        value = demand.value(name)
        if FALSE in value:
            return f"the property {name!r} is required but not allowed"
        if depth and len(value) > 1 and not joint_alternatives(value):
            return f"the required property {name!r} has no value: {_why_empty(value, depth - 1)}"
    return (
        "required, minProperties and maxProperties contradict each other" if demand.at_least or demand.at_most else ""
    )
