"""Two demands on one value become one: bounds and value sets intersect, arrays merge by position, objects by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.demands import (
    ArrayDemand,
    BooleanDemand,
    Demand,
    NameRule,
    Node,
    NullDemand,
    NumberDemand,
    ObjectDemand,
    SeenItems,
    SeenNames,
    StringDemand,
)
from tokamask.grammar.json_schema.obligations import is_plainly_empty
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language, difference, intersection, union

T = TypeVar("T")

# Names told apart by more patterns than this are no schema either.
MAXIMUM_RULES = 64


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


def all_of(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    """The members of both, each once."""
    if not first or not second or first is second:
        return first or second
    return first + tuple([member for member in second if member not in first])


def all_names(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The same for names, of which there may be thousands."""
    return tuple(dict.fromkeys(first + second)) if first and second else first or second


def joint(first: Node, second: Node) -> Node:
    """What both nodes ask for; one of them itself where the other asks for nothing, as most names do."""
    return first | second if first and second else first or second


def _merge_nulls(first: NullDemand, second: NullDemand) -> NullDemand:
    return NullDemand(all_of(first.concerns, second.concerns))


def _merge_booleans(first: BooleanDemand, second: BooleanDemand) -> BooleanDemand:
    return BooleanDemand(first.values & second.values, all_of(first.concerns, second.concerns))


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
        all_of(first.excluded, second.excluded),
        all_of(first.concerns, second.concerns),
        first.plain or second.plain,
    )


def _merge_strings(first: StringDemand, second: StringDemand) -> StringDemand:
    return StringDemand(
        max(first.minimum, second.minimum),
        smaller(first.maximum, second.maximum),
        all_of(first.languages, second.languages),
        common_values(first.values, second.values),
        all_of(first.concerns, second.concerns),
    )


def _merge_arrays(first: ArrayDemand, second: ArrayDemand) -> ArrayDemand:
    length = max(len(first.prefix), len(second.prefix))
    return ArrayDemand(
        tuple([first.item(position) | second.item(position) for position in range(length)]),
        first.rest | second.rest,
        max(first.minimum, second.minimum),
        smaller(first.maximum, second.maximum),
        all_of(first.counts, second.counts),
        first.distinct or second.distinct,
        first.repeated or second.repeated,
        _seen_items(first.seen, second.seen),
        all_of(first.concerns, second.concerns),
    )


def _seen_items(first: SeenItems | None, second: SeenItems | None) -> SeenItems | None:
    if first is None or second is None:
        return second if first is None else first
    length = None if first.length is None or second.length is None else max(first.length, second.length)
    return SeenItems(length, all_of(first.nodes, second.nodes))


def _merge_objects(first: ObjectDemand, second: ObjectDemand) -> ObjectDemand:
    if second.rules:
        properties = {name: joint(node, second.value(name)) for name, node in first.properties.items()}
    elif second.additional:
        value, others = second.properties.get, second.additional
        properties = {name: joint(node, value(name, others)) for name, node in first.properties.items()}
    else:
        properties = dict(first.properties)
    for name, node in second.properties.items():
        known = first.properties.get(name)
        properties[name] = joint(first.value(name) if known is None else known, node)
    additional = first.additional | second.additional
    return ObjectDemand(
        properties,
        all_names(first.required, second.required),
        additional,
        _merged_rules(first, second, additional) if first.rules or second.rules else (),
        first.names | second.names,
        all_of(first.at_least, second.at_least),
        all_of(first.at_most, second.at_most),
        all_of(first.witnesses, second.witnesses),
        _seen_names(first.seen, second.seen),
        all_of(first.concerns, second.concerns),
    )


def _seen_names(first: SeenNames | None, second: SeenNames | None) -> SeenNames | None:
    if first is None or second is None:
        return second if first is None else first
    return SeenNames(first.names | second.names, all_of(first.languages, second.languages), first.all or second.all)


def _merged_rules(first: ObjectDemand, second: ObjectDemand, additional: Node) -> tuple[NameRule, ...]:
    rules = crossed(first.rules, first.additional, second.rules, second.additional)
    return tuple([rule for rule in rules if rule.node != additional])


def crossed(
    first: Sequence[NameRule], first_else: Node, second: Sequence[NameRule], second_else: Node
) -> list[NameRule]:
    """The rules for all names that some rule covers, where those that none of a side covers have its other node.

    Raises CompileBudgetExceeded, without a pointer, when there are too many.
    """
    languages: dict[Node, Language] = {}

    def add(language: Language, node: Node) -> None:
        if not language.is_empty:
            known = languages.get(node)
            languages[node] = language if known is None else union(known, language)

    # Most patterns have no name in common, which is soon seen.
    meeting: list[list[NameRule]] = [[] for _ in second]
    for rule in first:
        met: list[NameRule] = []
        for place, other in enumerate(second):
            both = intersection(rule.language, other.language)
            if not both.is_empty:
                met.append(other)
                meeting[place].append(rule)
                add(both, rule.node | other.node)
        add(without(rule.language, met), rule.node | second_else)
    for other, met in zip(second, meeting, strict=True):
        add(without(other.language, met), first_else | other.node)
    if len(languages) > MAXIMUM_RULES:
        raise CompileBudgetExceeded(f"the patterns of names overlap in more than {MAXIMUM_RULES} ways")
    return [NameRule(language, node) for node, language in languages.items()]


def without(language: Language, rules: Iterable[NameRule]) -> Language:
    """The names of a language that no rule covers."""
    for rule in rules:
        language = difference(language, rule.language)
    return language


MERGE: Mapping[Kind, Callable[[Any, Any], Demand]] = {
    Kind.NULL: _merge_nulls,
    Kind.BOOLEAN: _merge_booleans,
    Kind.NUMBER: _merge_numbers,
    Kind.STRING: _merge_strings,
    Kind.ARRAY: _merge_arrays,
    Kind.OBJECT: _merge_objects,
}


def merged(kind: Kind, first: Demand, second: Demand) -> Demand:
    """What both demands on values of one kind ask for."""
    return MERGE[kind](first, second)


def is_contradictory(demand: Demand, is_empty: Callable[[Node], bool] = is_plainly_empty) -> bool:
    """Whether a demand plainly has no value, as `is_empty` tells of its children; False when that is not plain."""
    match demand:
        case ObjectDemand():  # nearly all that are merged
            if demand.at_most and _is_overfull(demand):
                return True
            properties = demand.properties
            for name in demand.required:
                node = properties.get(name)
                if is_empty(demand.value(name) if node is None else node):
                    return True
            return False
        case BooleanDemand():
            return not demand.values
        case NumberDemand():
            if demand.values is not None:
                return not demand.values
            if demand.lower is None or demand.upper is None:
                return False
            return demand.lower > demand.upper or (
                demand.lower == demand.upper and (demand.lower_open or demand.upper_open)
            )
        case StringDemand():
            if demand.values is not None:
                return not demand.values
            return demand.maximum is not None and demand.minimum > demand.maximum
        case ArrayDemand():
            if demand.maximum is not None and demand.minimum > demand.maximum:
                return True
            return any(is_empty(demand.item(position)) for position in range(_positions(demand)))
        case _:
            return False


def _positions(demand: ArrayDemand) -> int:
    """How many items to look at: those there must be, one of the later ones standing for all."""
    return min(demand.minimum, len(demand.prefix) + 1)


def _is_overfull(demand: ObjectDemand) -> bool:
    most = min(count.limit for count in demand.at_most)
    least = max((count.limit for count in demand.at_least), default=0)
    return most < max(least, len(set(demand.required)), bool(demand.witnesses))
