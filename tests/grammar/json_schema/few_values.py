"""A few values of every node of shapes, the smallest of them: found by nothing but what shapes mean.

Where a node has no more than a few values these are nearly always all of them, so an array whose items must differ has
a value here if it has one at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from itertools import combinations, islice
from typing import Any

from tests.grammar.json_schema.membership import differ, identity
from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    ItemsShape,
    JsonShapes,
    ObjectShape,
    ScalarShape,
    Shape,
    StringShape,
)
from tokamask.grammar.language import Language, complement_in_text, empty, union
from tokamask.grammar.text_lengths import with_length

FEW = 6
"""Of one node; as many items as that can differ."""

Known = dict[int, list[Any]]
Nodes = dict[str, int | None]


def known_values(shapes: JsonShapes) -> Known:
    """Up to `FEW` different values of each node; smaller ones first, as larger ones are made of them."""
    known: Known = {number: [] for number in range(len(shapes.nodes))}
    seen: dict[int, set[Hashable]] = {number: set() for number in known}
    grows = True
    while grows:
        grows = False
        for number, values in known.items():
            if len(values) == FEW:
                continue
            for value in _in_turn(few_values(shape, known) for shape in shapes.nodes[number]):
                if len(values) < FEW and identity(value) not in seen[number]:
                    seen[number].add(identity(value))
                    values.append(value)
                    grows = True
    return known


def few_values(shape: Shape, known: Known) -> list[Any]:
    """Up to `FEW` values of a shape, made of what is known of its children."""
    return list(islice(_values(shape, known), FEW))


def _values(shape: Shape, known: Known) -> Iterator[Any]:
    match shape:
        case ScalarShape(language):
            return (_read_back(text) for text in _few_texts(language, FEW))
        case StringShape(minimum, maximum, Language() as language):
            return (text.decode() for text in _few_texts(with_length(language, minimum, maximum), FEW))
        case StringShape(minimum, maximum):
            return _in_turn([character * length for length in _few_counts(minimum, maximum)] for character in "xé")
        case ArrayShape(prefix, rest, minimum, maximum, is_distinct):
            longest = len(prefix) + (rest is not None)
            lengths = _few_counts(minimum, longest if maximum is None else min(maximum, longest))
            nodes = [[*prefix[:length], *[rest] * (length - len(prefix))] for length in lengths]
            return _in_turn(_rows(row, known, is_distinct) for row in nodes)
        case ItemsShape():
            return _arrays(shape, known)
        case ObjectShape():
            return _objects(shape, known)


def _in_turn(sources: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """The first of each source, then the second ones, ..."""
    waiting = [iter(source) for source in sources]
    while waiting:
        left = []
        for source in waiting:
            for value in source:
                yield value
                left.append(source)
                break
        waiting = left


def _few_counts(minimum: int, maximum: int | None) -> Iterable[int]:
    """The least and the largest number, and those after the least."""
    if maximum is None:
        return range(minimum, minimum + FEW)
    return dict.fromkeys([minimum, max(minimum, maximum), *range(minimum, min(maximum + 1, minimum + FEW))])


def _rows(nodes: Sequence[int | None], known: Known, is_distinct: bool) -> Iterator[list[Any]]:
    """One value for each of the nodes, in all ways; different ones if asked for."""
    if not nodes:
        yield []
        return
    *before, last = nodes
    for row in _rows(before, known, is_distinct):
        for value in [] if last is None else known[last]:
            if not is_distinct or differ([*row, value]):
                yield [*row, value]


def _arrays(shape: ItemsShape, known: Known) -> Iterator[list[Any]]:
    """The shortest arrays that end somewhere; no way to a place needs more items than there are places."""
    reached: dict[int, list[list[Any]]] = {0: [[]]}
    for _ in range(len(shape.states) + 2):
        further: dict[int, list[list[Any]]] = {}
        for state, rows in reached.items():
            if shape.states[state].may_end:
                yield from rows
            for node, target in shape.states[state].items:
                extended = [[*row, value] for row in rows for value in known[node]]
                further.setdefault(target, []).extend(
                    items for items in extended if not shape.is_distinct or differ(items)
                )
        reached = {state: rows[: FEW * FEW] for state, rows in further.items()}


def _objects(shape: ObjectShape, known: Known) -> Iterator[dict[str, Any]]:
    """Objects with what is required, alone and with further properties, declared and of fresh names."""
    declared = {property.name.decode(): property for property in shape.properties}
    classes = [(names.language, names.node) for names in shape.classes]
    rest = complement_in_text(reduce(union, [language for language, _ in classes], empty()))
    optional = {name: property.node for name, property in declared.items() if not property.required}
    fresh: list[list[str]] = []
    for language, node in [*classes, (rest, shape.additional)]:
        texts = [] if node is None or language.is_empty else _few_texts(language, FEW + 2 + len(declared))
        fresh.append([name for text in texts if (name := text.decode()) not in declared])
        optional |= dict.fromkeys(fresh[-1], node)
    required = {name: property.node for name, property in declared.items() if property.required}
    return _in_turn(_with_others(shape, chosen, optional, known) for chosen in _with_witnesses(shape, required, fresh))


def _with_witnesses(shape: ObjectShape, required: Nodes, fresh: list[list[str]]) -> Iterator[Nodes]:
    """What is required, and a property of its own for each witness: the first of the names, or some later ones."""
    for first in range(FEW if shape.witnesses else 1):
        unused = [iter(names[first:]) for names in fresh]
        names = [next(unused[witness.name_class], None) for witness in shape.witnesses]
        if None not in names:
            yield required | {str(name): witness.node for name, witness in zip(names, shape.witnesses, strict=True)}


def _with_others(shape: ObjectShape, chosen: Nodes, optional: Nodes, known: Known) -> Iterator[dict[str, Any]]:
    """Objects with the chosen properties and none, one, or as many of the others as there may be."""
    others = {name: node for name, node in optional.items() if name not in chosen and node is not None and known[node]}
    most = len(chosen) + len(others) if shape.maximum is None else shape.maximum
    counts = {max(shape.minimum, len(chosen)), len(chosen) + 1, min(most, len(chosen) + len(others))}
    return _in_turn(
        _filled({**chosen, **dict(further)}, known)
        for count in sorted(counts)
        if shape.minimum <= count <= most
        for further in islice(combinations(others.items(), count - len(chosen)), FEW)
    )


def _filled(properties: Nodes, known: Known) -> Iterator[dict[str, Any]]:
    for values in _rows(list(properties.values()), known, is_distinct=False):
        yield dict(zip(properties, values, strict=True))


@lru_cache(maxsize=1_000)
def _few_texts(language: Language, count: int) -> list[bytes]:
    """Up to `count` short texts of a language: a few bytes stand for their column, none for a control character.

    Not for control characters because the oracle's `$` matches before a newline at the end, too.
    """
    columns = language.byte_class.tolist()
    rows = language.transitions.tolist()
    spelled = [[byte for byte in range(32, 256) if columns[byte] == column] for column in range(max(columns) + 1)]
    edges = [
        [(byte, target) for bytes_, target in zip(spelled, row, strict=True) if target >= 0 for byte in bytes_[-FEW:]]
        for row in rows
    ]
    texts: list[bytes] = []
    layer = [(b"", 0)] if rows else []
    while layer and len(texts) < count:
        texts += [text for text, state in layer if language.accepting[state]]
        layer = [(text + bytes([byte]), target) for text, state in layer for byte, target in edges[state]][: 4 * count]
    assert texts
    return texts[:count]


def _read_back(text: bytes) -> Any:
    return {b"null": None, b"true": True, b"false": False}.get(text) if text[:1] in b"ntf" else float(text)
