"""Random small schemas against the `jsonschema` package: the same values are valid, and nothing leads nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import jsonschema
import jsonschema_rs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.grammar.json_schema.membership import describes
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
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
from tokamask.grammar.language import Language, complement_in_text, empty, union
from tokamask.grammar.text_lengths import with_length

NAMES = st.sampled_from(["a", "b", "c", ""])
SCALARS = st.sampled_from([None, False, True, 0, 1, 2, -1, 1.5, 3.0, "", "a", "ab", "b", "abc", "é", "😀"])
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES, values, max_size=3),
    max_leaves=6,
)
COUNTS = st.integers(0, 3)
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 1.5, 2, 3])
PATTERNS = st.sampled_from(["^a", "b$", "^.b?$", "[^a]", "^[ab]$"])
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def schemas(unevaluated: bool = False) -> st.SearchStrategy[Any]:
    """Schemas of all keywords but `unevaluated*`, unless asked for, with references to a definition."""

    def extended(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(children, min_size=1, max_size=3)
        properties = st.dictionaries(NAMES, children, min_size=1, max_size=3)
        scalar = {
            "minimum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": PATTERNS,
        }
        array = {
            "prefixItems": some,
            "items": children,
            "maxItems": COUNTS,
            "contains": children,
            "minContains": COUNTS,
            "maxContains": COUNTS,
            "uniqueItems": st.booleans(),
        }
        names = {
            "required": st.lists(NAMES, max_size=2, unique=True),
            "additionalProperties": children,
            "patternProperties": st.dictionaries(PATTERNS, children, min_size=1, max_size=2),
            "propertyNames": children,
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=1),
            "dependentSchemas": st.dictionaries(NAMES, children, max_size=1),
        }
        if unevaluated:
            array["unevaluatedItems"] = names["unevaluatedProperties"] = children
        kinds = TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True)
        combined = {"anyOf": some, "oneOf": some, "not": children, "if": children, "then": children, "else": children}
        return st.one_of(
            st.fixed_dictionaries({"type": st.just("object"), "properties": properties}, optional=names),
            st.fixed_dictionaries({"type": st.just("array"), "minItems": COUNTS}, optional=array),
            st.fixed_dictionaries(
                {}, optional={**scalar, "type": kinds, "enum": st.lists(VALUES, min_size=1, max_size=4, unique_by=repr)}
            ),
            st.fixed_dictionaries(
                {"anyOf": some}, optional={"type": kinds, "properties": properties, **names, **array}
            ),
            st.fixed_dictionaries({"properties": properties}, optional={"allOf": some, **combined, **names}),
            st.fixed_dictionaries({"allOf": some}, optional={**combined, **scalar, "const": VALUES}),
            st.fixed_dictionaries({"type": kinds}, optional={**combined}),
            st.fixed_dictionaries({"properties": properties, "oneOf": some}, optional={"type": kinds, **names}),
        )

    leaves = st.booleans() | TYPES.map(lambda name: {"type": name}) | st.just({"$ref": "#/$defs/d"})
    definition = st.fixed_dictionaries(
        {"type": st.just("object") | st.just(["object", "null"])},
        optional={"properties": st.dictionaries(NAMES, leaves, min_size=1), "required": st.lists(NAMES, max_size=1)},
    )
    schema = st.recursive(leaves, extended, max_leaves=8)
    return st.tuples(extended(schema), definition).map(lambda pair: {**pair[0], "$defs": {"d": pair[1]}})


def some_texts(language: Language, count: int) -> list[bytes]:
    """Up to `count` short texts of a language: three bytes stand for their column, none for a control character.

    Not for control characters because the oracle's `$` matches before a newline at the end, too.
    """
    columns = language.byte_class.tolist()
    rows = language.transitions.tolist()
    spelled = [[byte for byte in range(32, 256) if columns[byte] == column] for column in range(max(columns) + 1)]
    edges = [
        [(byte, target) for bytes_, target in zip(spelled, row, strict=True) if target >= 0 for byte in bytes_[-3:]]
        for row in rows
    ]
    texts: list[bytes] = []
    layer = [(b"", 0)] if rows else []
    while layer and len(texts) < count:
        texts += [text for text, state in layer if language.accepting[state]]
        layer = [(text + bytes([byte]), target) for text, state in layer for byte, target in edges[state]][: 4 * count]
    assert texts
    return texts[:count]


def read_back(text: bytes) -> Any:
    return {b"null": None, b"true": True, b"false": False}.get(text) if text[:1] in b"ntf" else float(text)


def variants(shape: Shape, witness: dict[int, Any]) -> list[Any]:
    """A few values of a shape, as small as possible and a bit larger; none while a child they need has none."""
    match shape:
        case ScalarShape(language):
            return [read_back(text) for text in some_texts(language, 3)]
        case StringShape(minimum, maximum, language):
            if language:
                return [text.decode() for text in some_texts(with_length(language, minimum, maximum), 3)]
            return ["x" * minimum, "x" * (maximum or minimum)]
        case ArrayShape(prefix, rest, minimum, maximum):
            longest = len(prefix) + (rest is not None)
            lengths = {minimum, longest if maximum is None else min(maximum, longest)}
            nodes = [
                [*prefix[:length], *[rest or 0] * (length - len(prefix))] for length in lengths if length >= minimum
            ]
            return [[witness[node] for node in row] for row in nodes if all(node in witness for node in row)]
        case ItemsShape():
            return arrays(shape, witness)
        case ObjectShape():
            return objects(shape, witness)


def arrays(shape: ItemsShape, witness: dict[int, Any]) -> list[Any]:
    """A shortest array for each state in which it may end; asserts that each state leads to an end."""
    found: dict[int, list[Any]] = {0: []}
    for state in found_meanwhile(found):
        for node, target in shape.states[state].items:
            if node in witness:
                found.setdefault(target, [*found[state], witness[node]])
    return [items for state, items in found.items() if shape.states[state].may_end]


def found_meanwhile(found: dict[int, Any]) -> Iterator[int]:
    seen: set[int] = set()
    while fresh := [state for state in found if state not in seen]:
        seen.update(fresh)
        yield from fresh


def objects(shape: ObjectShape, witness: dict[int, Any]) -> list[Any]:
    declared = {property.name.decode(): property for property in shape.properties}
    allowed = {name: property.node for name, property in declared.items() if property.node in witness}
    chosen = {name: allowed.get(name) for name, property in declared.items() if property.required}
    classes = [(names.language, names.node) for names in shape.classes]
    rest = complement_in_text(reduce(union, [language for language, _ in classes], empty()))
    fresh: list[list[str]] = []
    for language, node in [*classes, (rest, shape.additional)]:
        names = [] if node is None or language.is_empty else some_texts(language, 8 + len(declared))
        fresh.append([name.decode() for name in names if name.decode() not in declared])
    for asked in shape.witnesses:
        chosen[fresh[asked.name_class].pop(0)] = asked.node
    if not all(node in witness for node in chosen.values()):
        return []
    nodes = [*[node for _, node in classes], shape.additional]
    further = {name: node for name, node in allowed.items() if name not in chosen}
    further |= {name: node for names, node in zip(fresh, nodes, strict=True) for name in names if node in witness}
    most = len(chosen) + len(further) if shape.maximum is None else shape.maximum
    values = []
    for count in {shape.minimum, len(chosen) + 1, most}:
        properties = {**chosen, **dict(list(further.items())[: max(0, count - len(chosen))])}
        if shape.minimum <= len(properties) <= most:
            values.append({name: witness[node] for name, node in properties.items() if node is not None})
    return values


def witnesses(shapes: JsonShapes) -> dict[int, Any]:
    """One value of each node; asserts that each alternative has one."""
    witness: dict[int, Any] = {}
    for _ in shapes.nodes:
        for number, alternatives in enumerate(shapes.nodes):
            if number not in witness:
                found = [value for shape in alternatives for value in variants(shape, witness)]
                witness.update({number: found[0]} if found else {})
    for alternatives in shapes.nodes:
        assert alternatives
        for shape in alternatives:
            assert variants(shape, witness), f"{shape} has no value"
    return witness


def validity(schema: Any, value: Any) -> bool | None:
    """The answer of `jsonschema`; None where it runs in circles (the specification leaves such schemas undefined)."""
    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))
    except RecursionError:
        return None


def validity_elsewhere(schema: Any, value: Any) -> bool:
    """The answer of `jsonschema_rs`, which knows better what is evaluated."""
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


def compare(schema: Any, values: list[Any], validity: Callable[[Any, Any], bool | None]) -> None:
    """The same values are valid; every alternative has a value, and those of the root are valid."""
    try:
        shapes = read_json_schema(schema, property_order="any").shapes
    except (UnsupportedFeature, CompileBudgetExceeded):
        return
    except UnsatisfiableSchema:
        assert [value for value in values if validity(schema, value)] == []
        return
    for value in values:
        assert validity(schema, value) in (describes(shapes, value), None), value
    witness = witnesses(shapes)
    for shape in shapes.nodes[shapes.root]:
        for value in variants(shape, witness):
            assert describes(shapes, value)
            assert validity(schema, value) is not False, value


@settings(max_examples=400, deadline=None)
@given(schemas(), st.lists(VALUES, min_size=5, max_size=12))
@example({"$defs": {}, "oneOf": [{"required": ["a"]}, {"type": "string"}]}, [{}, {"a": 1}, "a", 1])
def test_same_answers(schema: dict[str, Any], values: list[Any]) -> None:
    compare(schema, values, validity)


@settings(max_examples=150, deadline=None)
@given(schemas(unevaluated=True), st.lists(VALUES, min_size=5, max_size=12))
def test_same_answers_about_what_is_evaluated(schema: dict[str, Any], values: list[Any]) -> None:
    compare(schema, values, validity_elsewhere)
