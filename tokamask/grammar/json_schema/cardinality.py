"""How many different values a node has: enough of them where the items of an array must differ?

Counts are lower bounds, exact for scalars and strings: one that is too low refuses a schema or costs time, never an
answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from weakref import WeakKeyDictionary

import numpy as np

from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    ItemsShape,
    ObjectShape,
    ScalarShape,
    Shape,
    StringShape,
    children,
)
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language, intersection
from tokamask.grammar.other_names import choices_of
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.text_counts import MANY, number_of_texts
from tokamask.grammar.text_lengths import fewest_texts

_Nodes = Sequence[tuple[Shape, ...]]
_Counts = Mapping[int, int]

MOST_ROUNDS = 32  # of counting: as many times more can be found inside of itself

_known_scalars: WeakKeyDictionary[Language, int] = WeakKeyDictionary()
_known_texts: WeakKeyDictionary[Language, dict[tuple[int, int | None], int]] = WeakKeyDictionary()


def value_counts(nodes: _Nodes, wanted: Iterable[int]) -> dict[int, int]:
    """How many values each of these nodes has, and whatever they refer to; at most MANY.

    The least fixpoint, approached from one value each (every node has some): all that is counted so far is there.
    """
    order = _children_first(nodes, wanted)
    counts = dict.fromkeys(order, 1)
    growing = order
    for _ in range(MOST_ROUNDS):
        before = dict(counts)
        for node in growing:
            counts[node] = max(counts[node], _node_values(nodes[node], counts))
        if counts == before:
            break
        growing = [node for node in growing if counts[node] < MANY]
    return counts


def most_used(shape: ArrayShape) -> dict[int, int]:
    """Of each node that an array needs, how many of its values may be used before."""
    prefix, rest, minimum = shape[:3]
    used = {node: position for position, node in enumerate(prefix[:minimum])}
    if rest is not None and minimum > len(prefix):
        used[rest] = minimum - 1
    return used


def can_differ(counts: Mapping[int, int], used: Mapping[int, int]) -> bool:
    """Whether each of these nodes has more values than may be used."""
    return all(counts[node] >= min(MANY, most + 1) for node, most in used.items())


def _children_first(nodes: _Nodes, wanted: Iterable[int]) -> list[int]:
    """These nodes and all that they refer to, those that are referred to first, but for cycles."""
    order: dict[int, None] = {}
    seen: set[int] = set()
    pending = [(node, False) for node in wanted]
    while pending:
        node, is_done = pending.pop()
        if is_done:
            order[node] = None
        elif node not in seen:
            seen.add(node)
            pending.append((node, True))
            pending += [(child, False) for shape in nodes[node] for child in children(shape)]
    return list(order)


def _node_values(shapes: Sequence[Shape], counts: _Counts) -> int:
    """Kinds have no value in common; of the shapes of one kind, which may overlap, the one with the most counts."""
    if len(shapes) == 1:
        return min(MANY, _values(shapes[0], counts))
    most: dict[Kind, int] = {}
    for shape in shapes:
        kind = _kind(shape)
        most[kind] = max(most.get(kind, 0), _values(shape, counts))
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


def _values(shape: Shape, counts: _Counts) -> int:
    match shape:
        case ScalarShape(language):
            return _scalars(language)
        case StringShape(minimum, maximum, language):
            if language is not None:
                return _texts(language, minimum, maximum)
            return 1 if maximum == 0 else MANY
        case ArrayShape():
            return _arrays(shape, counts)
        case ItemsShape():
            return 1
        case ObjectShape():
            return _objects(shape, counts)


def _arrays(shape: ArrayShape, counts: _Counts) -> int:
    """Length by length: as many as there are ways to choose the items, each among those that are not used."""
    total, choices, length, each = 0, 1, 0, 0
    while choices:
        if length >= shape.minimum:
            total += choices
        if length == shape.maximum or total >= MANY:
            break
        if length < len(shape.prefix):
            each = counts[shape.prefix[length]]
        elif shape.rest is None:
            break
        elif length == len(shape.prefix):
            each = counts[shape.rest]
            if each == 1 and not shape.is_distinct:  # then one for each of the lengths to come
                longest = MANY if shape.maximum is None else shape.maximum
                return total + choices * (longest - max(length, shape.minimum - 1))
        elif choices == MANY:
            return MANY if not shape.is_distinct or shape.minimum <= each else total
        choices = min(MANY, choices * max(0, each - length if shape.is_distinct else each))
        length += 1
    return total


def _objects(shape: ObjectShape, counts: _Counts) -> int:
    """As many as there are sets of properties, each with its values. Other names may be there or not, one by one."""
    if shape.additional is not None and not shape.classes:
        others = [(MANY, shape.additional)]  # all names but finitely many
    else:
        others = [
            (MANY if choice.names is None else _texts(choice.names, 0, None), choice.node)
            for choice in choices_of(shape)
            if not choice.meets
        ]
    required = [node for _, node, is_required in shape.properties if is_required and node is not None]
    optional = [node for _, node, is_required in shape.properties if not is_required and node is not None]
    needed = len(required) + len(shape.witnesses)
    if max(others, default=(0, 0))[0] >= MANY and (shape.maximum is None or shape.maximum > needed):
        return MANY  # by the name of one property
    if shape.witnesses:
        return 1
    enough = max(20, shape.minimum)  # of names of one kind: twice as many objects with each, or enough for the minimum
    optional += [node for names, node in others for _ in range(min(names, enough))]
    total = _subsets(
        [counts[node] for node in optional],
        max(0, shape.minimum - len(required)),
        len(optional) if shape.maximum is None else min(len(optional), shape.maximum - len(required)),
    )
    for node in required:
        total = min(MANY, total * counts[node])
    return total


def _subsets(values: Sequence[int], fewest: int, most: int) -> int:
    """In how many ways `fewest` to `most` of some things can be chosen, each with one of its values; at most MANY."""
    if fewest == 0 and most == len(values):
        total = 1
        for each in values:
            total = min(MANY, total * (1 + each))
        return total
    ways = np.zeros(most + 1, dtype=np.int64)  # to choose as many of those so far
    ways[0] = 1
    for each in values:
        ways[1:] = np.minimum(MANY, ways[1:] + ways[:-1] * each)
    return min(MANY, int(ways[fewest:].sum()))


@cache
def _one_spelling() -> Language:
    """One spelling for every number without an exponent, and the literals."""
    return pattern_language(r"0|-?([1-9][0-9]*|(0|[1-9][0-9]*)\.[0-9]*[1-9])|true|false|null", "ecma", search=False)


def _scalars(language: Language) -> int:
    count = _known_scalars.get(language)
    if count is None:
        count = _known_scalars[language] = number_of_texts(intersection(language, _one_spelling()))
    return count


def _texts(language: Language, minimum: int, maximum: int | None) -> int:
    known = _known_texts.setdefault(language, {})
    count = known.get((minimum, maximum))
    if count is None:
        count = known[minimum, maximum] = fewest_texts(language, minimum, maximum)
    return count
