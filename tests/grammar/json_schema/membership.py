"""Whether a JSON value is described by shapes: the slow and plain reading of what shapes mean, values in any order."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tokamask.errors import UnsatisfiableSchema
from tokamask.grammar.json_schema.reading import read_json_schema
from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    ItemsShape,
    JsonShapes,
    ObjectShape,
    ScalarShape,
    Shape,
    StringShape,
)


def spelled(value: object) -> bytes:
    """The plain spelling of null, a boolean or a number: no exponent, no fraction where it is zero."""
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    assert isinstance(value, int | float | Decimal)
    text = format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-0", "0" if text == "-0" else "-0").encode()


def describes(shapes: JsonShapes, value: object, node: int | None = None) -> bool:
    alternatives = shapes.nodes[shapes.root if node is None else node]
    return any(_fits(shapes, shape, value) for shape in alternatives)


def _fits(shapes: JsonShapes, shape: Shape, value: object) -> bool:
    match shape, value:
        case ScalarShape(language), None | bool() | int() | float() | Decimal():
            return language.matches(spelled(value))
        case StringShape(minimum, maximum, language), str():
            if any("\ud800" <= character <= "\udfff" for character in value):
                return False
            if language is not None and not language.matches(value.encode()):
                return False
            return minimum <= len(value) and (maximum is None or len(value) <= maximum)
        case ArrayShape(prefix, rest, minimum, maximum, is_distinct), list():
            if len(value) < minimum or (maximum is not None and len(value) > maximum):
                return False
            if is_distinct and not differ(value):
                return False
            nodes = [*prefix[: len(value)], *[rest] * (len(value) - len(prefix))]
            return all(
                node is not None and describes(shapes, item, node) for node, item in zip(nodes, value, strict=True)
            )
        case ItemsShape(states, is_distinct), list():
            if is_distinct and not differ(value):
                return False
            reached = {0}
            for item in value:
                reached = {
                    target for state in reached for node, target in states[state].items if describes(shapes, item, node)
                }
            return any(states[state].may_end for state in reached)
        case ObjectShape(), dict():
            return _fits_object(shapes, shape, value)
    return False


def differ(items: list[object]) -> bool:
    """Whether no two items are equal as JSON values."""
    return len({identity(item) for item in items}) == len(items)


def identity(value: object) -> Hashable:
    """Equal for equal JSON values: 1 is 1.0 but not true."""
    if isinstance(value, dict):
        return "object", frozenset((name, identity(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(identity(item) for item in value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__, value
    assert isinstance(value, int | float | Decimal)
    return "number", Fraction(repr(value) if isinstance(value, float) else value)


def _fits_object(shapes: JsonShapes, shape: ObjectShape, value: dict[str, object]) -> bool:
    declared = {property.name.decode(): property for property in shape.properties}
    if any(property.required and name not in value for name, property in declared.items()):
        return False
    if len(value) < shape.minimum or (shape.maximum is not None and len(value) > shape.maximum):
        return False
    nodes = [names.node for names in shape.classes] + [shape.additional]
    # The classes of the names that are not declared.
    classes = {name: _class_of(shape, name) for name in value if name not in declared}
    for name, item in value.items():
        node = declared[name].node if name in declared else nodes[classes[name]]
        if node is None or not describes(shapes, item, node):
            return False
    return _has_witnesses(
        [
            {
                name
                for name, at in classes.items()
                if at == witness.name_class and describes(shapes, value[name], witness.node)
            }
            for witness in shape.witnesses
        ]
    )


def _class_of(shape: ObjectShape, name: str) -> int:
    """The index of a name's class, the number of classes for a name of none; asserts that there is one at most."""
    text = name.encode("utf-8", "surrogatepass")
    matching = [index for index, names in enumerate(shape.classes) if names.language.matches(text)]
    assert len(matching) < 2
    return matching[0] if matching else len(shape.classes)


def _has_witnesses(candidates: list[set[str]]) -> bool:
    """Whether each witness can be another property."""
    if not candidates:
        return True
    return any(_has_witnesses([others - {name} for others in candidates[1:]]) for name in candidates[0])


def accepts(schema: Any, value: object, **options: Any) -> bool:
    """Whether a schema as read describes the value; an unsatisfiable one describes none."""
    try:
        return describes(read_json_schema(schema, **options).shapes, value)
    except UnsatisfiableSchema:
        return False
