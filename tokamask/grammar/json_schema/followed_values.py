"""Few values of which an array may hold each once only: whether they were used is followed by an automaton.

Where the items of an array must differ, or two of them must be equal, only values matter that two items can have. If
those are few, sets of them are states, and nothing else needs to be remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import combinations
from math import ceil, floor
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.json_schema.alternatives import joint_alternatives
from tokamask.grammar.json_schema.complement import complement
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    ArrayDemand,
    BooleanDemand,
    Node,
    NullDemand,
    NumberDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.known import scalar
from tokamask.grammar.json_schema.obligations import FALSE, NOTHING, is_plainly_empty, pointer_of
from tokamask.grammar.json_schema.shaping import allows, string_shape
from tokamask.grammar.language import texts_of
from tokamask.grammar.text_lengths import with_length

# Values whose use is followed; 2 ** MOST_VALUES sets of them are.
MOST_VALUES = 10
# Places of items that are compared two by two for values in common.
MOST_PLACES = 32


class Followed(NamedTuple):
    """Values whose use is followed, and the node of all others."""

    values: tuple[Node, ...] = ()
    others: Node = ANYTHING


def _followed(values: Iterable[Node]) -> Followed | None:
    """These values beside all others; None where they are too many."""
    followed = tuple(dict.fromkeys(values))
    if len(followed) > MOST_VALUES:
        return None
    return Followed(followed, ANYTHING.union(*[complement(value) for value in followed]))


def followed_values(demand: ArrayDemand) -> Iterator[Followed]:
    """Few values by which alone items can be equal: all that items can have, or those that two of them can."""
    listed = _listed_items(demand)
    if listed is not None:
        yield Followed(tuple(listed), NOTHING)
    if demand.prefix:  # else two items can have whatever one can
        shared = _shared_values(demand)
        if shared is not None:
            yield shared


def _listed_items(demand: ArrayDemand) -> list[Node] | None:
    """The nodes of all values that items can have; None where those are not a few scalars."""
    items = demand.prefix if FALSE in demand.rest else (*demand.prefix, demand.rest)
    values: dict[Node, None] = {}
    for node in dict.fromkeys(items):
        listed = _listed(node)
        if listed is None:
            return None
        values.update(dict.fromkeys(listed))
        if len(values) > MOST_VALUES:
            return None
    return list(values)


def _shared_values(demand: ArrayDemand) -> Followed | None:
    """The values that items at two places can have; None where those are not a few scalars."""
    items = list(demand.prefix)
    if FALSE not in demand.rest:
        items += [demand.rest] * (2 if demand.maximum is None else min(2, demand.maximum - len(items)))
    if len(items) > MOST_PLACES:
        return None
    values: list[Node] = []
    for pair in dict.fromkeys(first | second for first, second in combinations(items, 2)):
        listed = [] if is_plainly_empty(pair) else _listed(pair)
        if listed is None:
            return None
        values += listed
    return _followed(values)


def scarce_values(demand: ArrayDemand) -> Followed:
    """The values of what is counted, and of items, where those are few: remembering alone would not keep one of them.

    Where they are too many to be followed, nothing is: then it shows whether there are enough.
    """
    items = dict.fromkeys((*demand.prefix, demand.rest))
    values: list[Node] = []
    for item in items:
        for node in (item, *[item | count.node for count in demand.counts]):
            values += (None if is_plainly_empty(node) else _listed(node)) or ()
    return _followed(values) or Followed()


def _listed(node: Node) -> list[Node] | None:
    """The nodes of all values of a node; None where those are not a few scalars."""
    place = pointer_of(node)
    values: list[Node] = []
    for kind, demands in joint_alternatives(node).items():
        for demand in demands:
            if demand.concerns:
                return None
            match demand:
                case NullDemand():
                    values.append(scalar(kind, None, place))
                case BooleanDemand():
                    values += [scalar(kind, value, place) for value in sorted(demand.values)]
                case NumberDemand():
                    numbers = _few_numbers(demand)
                    if numbers is None:
                        return None
                    values += [scalar(kind, number, place) for number in numbers]
                case StringDemand():
                    texts = _few_texts(demand)
                    if texts is None:
                        return None
                    values += [scalar(kind, text, place) for text in texts]
                case _:
                    return None
    return values


def _few_numbers(demand: NumberDemand) -> list[Fraction] | None:
    if demand.values is not None:
        numbers = sorted(demand.values)
    elif demand.integral and demand.lower is not None and demand.upper is not None:
        if demand.upper - demand.lower > MOST_VALUES:
            return None
        numbers = [Fraction(number) for number in range(floor(demand.lower), ceil(demand.upper) + 1)]
    else:
        return None
    allowed = [number for number in numbers if allows(demand, number)]
    return allowed if len(allowed) <= MOST_VALUES else None


def _few_texts(demand: StringDemand) -> list[str] | None:
    try:
        shape = string_shape(demand)
        if shape is None:
            return []
        if shape.language is None:
            return [""] if shape.maximum == 0 else None
        language = with_length(shape.language, shape.minimum, shape.maximum)
    except (UnsupportedFeature, CompileBudgetExceeded):
        return None
    texts = texts_of(language, MOST_VALUES)
    return None if texts is None else [text.decode() for text in texts]
