"""What a schema asks of the values of one JSON type, and how two such demands become one.

A *demand* is a conjunction of assertions about one type in a closed form: bounds intersect, value sets intersect,
arrays merge position by position and objects name by name. The children of a demand are *nodes*: sets of obligations
that a value must all meet, so the child of two merged demands is simply the union of two sets.

Demands are judged later, when they become shapes; merging never fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.obligations import Obligation

T = TypeVar("T")

Node = frozenset["Obligation"]
ANYTHING: Node = frozenset()


class Exclusivity(NamedTuple):
    """The branches of a `oneOf` were joined as if by `anyOf`, which is right only if every one of `pairs` is empty."""

    pointer: str
    pairs: tuple[Node, ...]


# What has to be settled before a demand may be used.
Concern = Refusal | Exclusivity


class NullDemand(NamedTuple):
    concerns: tuple[Concern, ...] = ()


class BooleanDemand(NamedTuple):
    values: frozenset[bool] = frozenset((False, True))
    concerns: tuple[Concern, ...] = ()


class NumberDemand(NamedTuple):
    """Numbers within bounds (None: no bound; open: the bound itself is out), or one of finitely many `values`."""

    integral: bool = False
    lower: Fraction | None = None
    lower_open: bool = False
    upper: Fraction | None = None
    upper_open: bool = False
    multiple_of: Fraction | None = None
    values: frozenset[Fraction] | None = None
    concerns: tuple[Concern, ...] = ()


class StringDemand(NamedTuple):
    """Texts of `minimum` to `maximum` code points in all of `languages`, or one of finitely many `values`."""

    minimum: int = 0
    maximum: int | None = None
    languages: tuple[Language, ...] = ()
    values: frozenset[str] | None = None
    concerns: tuple[Concern, ...] = ()


class ArrayDemand(NamedTuple):
    prefix: tuple[Node, ...] = ()
    rest: Node = ANYTHING
    minimum: int = 0
    maximum: int | None = None
    concerns: tuple[Concern, ...] = ()

    def item(self, position: int) -> Node:
        return self.prefix[position] if position < len(self.prefix) else self.rest


class PropertyCount(NamedTuple):
    """A `minProperties` or `maxProperties` with its place."""

    pointer: str
    limit: int


class ObjectDemand(NamedTuple):
    """`required` may name a property twice, and one that `properties` does not list."""

    properties: Mapping[str, Node] = {}
    required: tuple[str, ...] = ()
    additional: Node = ANYTHING
    at_least: tuple[PropertyCount, ...] = ()
    at_most: tuple[PropertyCount, ...] = ()
    concerns: tuple[Concern, ...] = ()

    def value(self, name: str) -> Node:
        return self.properties.get(name, self.additional)


Demand = NullDemand | BooleanDemand | NumberDemand | StringDemand | ArrayDemand | ObjectDemand

# A disjunction: a value is described when one of the demands on its own type holds.
Alternatives = Mapping[Kind, tuple[Demand, ...]]

ANY_DEMAND: Mapping[Kind, Demand] = {
    Kind.NULL: NullDemand(),
    Kind.BOOLEAN: BooleanDemand(),
    Kind.NUMBER: NumberDemand(),
    Kind.STRING: StringDemand(),
    Kind.ARRAY: ArrayDemand(),
    Kind.OBJECT: ObjectDemand(),
}
ANY_INTEGER = NumberDemand(integral=True)
ANY_VALUE: Alternatives = {kind: (demand,) for kind, demand in ANY_DEMAND.items()}
NO_VALUE: Alternatives = {}

# One disjunction of more than this many demands on one type is a product gone wild, not a schema.
MAXIMUM_ALTERNATIVES = 20_000


def tighter_lower(
    first: Fraction | None, first_open: bool, second: Fraction | None, second_open: bool
) -> tuple[Fraction | None, bool]:
    if first is None or (second is not None and (second > first or (second == first and second_open))):
        return second, second_open
    return first, first_open


def tighter_upper(
    first: Fraction | None, first_open: bool, second: Fraction | None, second_open: bool
) -> tuple[Fraction | None, bool]:
    if first is None or (second is not None and (second < first or (second == first and second_open))):
        return second, second_open
    return first, first_open


def smaller(first: int | None, second: int | None) -> int | None:
    """The smaller of two upper ends, None being no end."""
    if first is None:
        return second
    return first if second is None else min(first, second)


def common_multiple(first: Fraction | None, second: Fraction | None) -> Fraction | None:
    """The number whose multiples are the common multiples of both, None being no condition."""
    if first is None or second is None or first == second:
        return second if first is None else first
    denominator = math.lcm(first.denominator, second.denominator)
    return Fraction(math.lcm(int(first * denominator), int(second * denominator)), denominator)


def common_values(first: frozenset[T] | None, second: frozenset[T] | None) -> frozenset[T] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _merge_nulls(first: NullDemand, second: NullDemand) -> NullDemand:
    return NullDemand(first.concerns + second.concerns)


def _merge_booleans(first: BooleanDemand, second: BooleanDemand) -> BooleanDemand:
    return BooleanDemand(first.values & second.values, first.concerns + second.concerns)


def _merge_numbers(first: NumberDemand, second: NumberDemand) -> NumberDemand:
    lower, lower_open = tighter_lower(first.lower, first.lower_open, second.lower, second.lower_open)
    upper, upper_open = tighter_upper(first.upper, first.upper_open, second.upper, second.upper_open)
    return NumberDemand(
        first.integral or second.integral,
        lower,
        lower_open,
        upper,
        upper_open,
        common_multiple(first.multiple_of, second.multiple_of),
        common_values(first.values, second.values),
        first.concerns + second.concerns,
    )


def _merge_strings(first: StringDemand, second: StringDemand) -> StringDemand:
    return StringDemand(
        max(first.minimum, second.minimum),
        smaller(first.maximum, second.maximum),
        first.languages + tuple(language for language in second.languages if language not in first.languages),
        common_values(first.values, second.values),
        first.concerns + second.concerns,
    )


def _merge_arrays(first: ArrayDemand, second: ArrayDemand) -> ArrayDemand:
    length = max(len(first.prefix), len(second.prefix))
    return ArrayDemand(
        tuple([first.item(position) | second.item(position) for position in range(length)]),
        first.rest | second.rest,
        max(first.minimum, second.minimum),
        smaller(first.maximum, second.maximum),
        first.concerns + second.concerns,
    )


def _merge_objects(first: ObjectDemand, second: ObjectDemand) -> ObjectDemand:
    properties = {name: node | second.value(name) for name, node in first.properties.items()}
    for name, node in second.properties.items():
        if name not in properties:
            properties[name] = first.additional | node
    return ObjectDemand(
        properties,
        first.required + second.required,
        first.additional | second.additional,
        first.at_least + second.at_least,
        first.at_most + second.at_most,
        first.concerns + second.concerns,
    )


_MERGE: Mapping[Kind, Callable[[Any, Any], Demand]] = {
    Kind.NULL: _merge_nulls,
    Kind.BOOLEAN: _merge_booleans,
    Kind.NUMBER: _merge_numbers,
    Kind.STRING: _merge_strings,
    Kind.ARRAY: _merge_arrays,
    Kind.OBJECT: _merge_objects,
}


def conjunction(first: Alternatives, second: Alternatives, pointer: str) -> Alternatives:
    """The values that both describe: the product of the alternatives, type by type.

    Raises CompileBudgetExceeded, at `pointer`, when the product is out of all proportion.
    """
    if first is ANY_VALUE or second is ANY_VALUE:
        return second if first is ANY_VALUE else first
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
                pointer=pointer,
            )
        else:
            merge = _MERGE[kind]
            result[kind] = tuple([merge(demand, other) for demand in demands for other in others])
    return result


def disjunction(branches: list[Alternatives]) -> Alternatives:
    """The values that at least one describes. An unconditional demand makes the others on its type superfluous."""
    if len(branches) == 1:
        return branches[0]
    result: dict[Kind, list[Demand]] = {}
    for branch in branches:
        for kind, demands in branch.items():
            present = result.setdefault(kind, [])
            if demands[0] is ANY_DEMAND[kind]:
                present[:] = demands
            elif not present or present[0] is not ANY_DEMAND[kind]:
                present += demands
    return {kind: tuple(demands) for kind, demands in result.items()}
