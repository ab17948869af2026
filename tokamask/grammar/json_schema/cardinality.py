"""How many different values a node has: enough of them where the items of an array must differ?

Counts are lower bounds, exact for scalars and strings: one that is too low refuses a schema or costs time, never an
answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    ItemsShape,
    ObjectShape,
    ScalarShape,
    Shape,
    StringShape,
)
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language, intersection
from tokamask.grammar.other_names import choices_of
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.text_counts import MANY, number_of_texts
from tokamask.grammar.text_lengths import fewest_texts

_Nodes = Sequence[tuple[Shape, ...]]


def has_many_values(nodes: _Nodes, node: int) -> bool:
    """Whether a node has more values than any array has items."""
    return _node_values(nodes, node, frozenset()) >= MANY


def most_used(shape: ArrayShape) -> dict[int, int]:
    """Of each node that an array needs, how many of its values may be used before."""
    prefix, rest, minimum = shape[:3]
    used = {node: position for position, node in enumerate(prefix[:minimum])}
    if rest is not None and minimum > len(prefix):
        used[rest] = minimum - 1
    return used


def can_differ(nodes: _Nodes, used: Mapping[int, int]) -> bool:
    """Whether each of these nodes has more values than may be used."""
    return all(_node_values(nodes, node, frozenset()) >= min(MANY, most + 1) for node, most in used.items())


def _node_values(nodes: _Nodes, node: int, around: frozenset[int]) -> int:
    """Kinds have no value in common; of the shapes of one kind, which may overlap, the one with the most values counts.

    Inside of itself a node counts for nothing, so this ends.
    """
    if node in around:
        return 0
    most: dict[Kind, int] = {}
    for shape in nodes[node]:
        kind = _kind(shape)
        most[kind] = max(most.get(kind, 0), _values(nodes, shape, around | {node}))
    return min(MANY, sum(most.values()))


def _kind(shape: Shape) -> Kind:
    match shape:
        case ScalarShape(language):
            return _scalar_kind(language)
        case StringShape():
            return Kind.STRING
        case ArrayShape() | ItemsShape():
            return Kind.ARRAY
        case ObjectShape():
            return Kind.OBJECT


def _scalar_kind(language: Language) -> Kind:
    """By what its texts begin with: no shape is of scalars of two kinds."""
    firsts = {byte for byte in b"nft" if language.transitions[0, language.byte_class[byte]] >= 0}
    if firsts:
        return Kind.NULL if 0x6E in firsts else Kind.BOOLEAN
    return Kind.NUMBER


def _values(nodes: _Nodes, shape: Shape, around: frozenset[int]) -> int:
    match shape:
        case ScalarShape(language):
            return _number_of_scalars(language)
        case StringShape(minimum, maximum, language):
            if language is not None:
                return fewest_texts(language, minimum, maximum)
            return 1 if maximum == 0 else MANY
        case ArrayShape():
            return _arrays(nodes, shape, around)
        case ItemsShape():
            return 1
        case ObjectShape():
            return _objects(nodes, shape, around)


def _arrays(nodes: _Nodes, shape: ArrayShape, around: frozenset[int]) -> int:
    """Length by length: as many as there are ways to choose the items, each among those that are not used."""
    total, choices, length, each = 0, 1, 0, 0
    while choices:
        if length >= shape.minimum:
            total += choices
        if length == shape.maximum or total >= MANY:
            break
        if length < len(shape.prefix):
            each = _node_values(nodes, shape.prefix[length], around)
        elif shape.rest is None:
            break
        elif length == len(shape.prefix):
            each = _node_values(nodes, shape.rest, around)
            if each == 1 and not shape.is_distinct:  # then one for each of the lengths to come
                longest = MANY if shape.maximum is None else shape.maximum
                return total + choices * (longest - max(length, shape.minimum - 1))
        elif choices == MANY:
            return MANY if not shape.is_distinct or shape.minimum <= each else total
        choices = min(MANY, choices * max(0, each - length if shape.is_distinct else each))
        length += 1
    return total


def _objects(nodes: _Nodes, shape: ObjectShape, around: frozenset[int]) -> int:
    if shape.additional is not None and not shape.classes:
        others = [MANY]  # all names but finitely many
    else:
        others = [
            MANY if choice.names is None else fewest_texts(choice.names, 0, None)
            for choice in choices_of(shape)
            if not choice.meets
        ]
    needed = sum(declared.required for declared in shape.properties) + len(shape.witnesses)
    if max(others, default=0) >= MANY and (shape.maximum is None or shape.maximum > needed):
        return MANY  # by the name of one property
    if shape.maximum is not None or shape.minimum or shape.witnesses:
        return 1
    total = 1
    for declared in shape.properties:
        if declared.node is not None and total < MANY:
            total *= _node_values(nodes, declared.node, around) + (not declared.required)
    return max(1, min(MANY, total << min(20, sum(others))))  # every other name may be there or not


@cache
def _one_spelling() -> Language:
    """One spelling for every number without an exponent, and the literals."""
    return pattern_language(r"0|-?([1-9][0-9]*|(0|[1-9][0-9]*)\.[0-9]*[1-9])|true|false|null", "ecma", search=False)


def _number_of_scalars(language: Language) -> int:
    return number_of_texts(intersection(language, _one_spelling()))
