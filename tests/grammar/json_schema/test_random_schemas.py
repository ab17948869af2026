"""Random small schemas against the `jsonschema` package: the same values are valid, and nothing leads nowhere."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.grammar.json_schema.membership import describes
from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
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
from tokamask.grammar.language import Language

NAMES = st.sampled_from(["a", "b", "c", ""])
SCALARS = st.sampled_from([None, False, True, 0, 1, 2, -1, 1.5, 3.0, "", "a", "ab", "b", "abc", "é", "😀"])
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES, values, max_size=3),
    max_leaves=6,
)
COUNTS = st.integers(0, 3)
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 1.5, 2, 3])
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def schemas() -> st.SearchStrategy[Any]:
    """Schemas of the supported keywords, with references to a definition and to the root."""

    def extended(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(children, min_size=1, max_size=3)
        properties = st.dictionaries(NAMES, children, min_size=1, max_size=3)
        scalar = {
            "minimum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.sampled_from(["^a", "b$", "^.b?$", "[^a]"]),
        }
        array = {"prefixItems": some, "items": children, "maxItems": COUNTS}
        names = {
            "required": st.lists(NAMES, max_size=2),
            "additionalProperties": children,
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2), max_size=1),
            "dependentSchemas": st.dictionaries(NAMES, children, max_size=1),
        }
        kinds = TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True)
        combined = {"anyOf": some, "oneOf": some}
        return st.one_of(
            st.fixed_dictionaries({"type": st.just("object"), "properties": properties}, optional=names),
            st.fixed_dictionaries({"type": st.just("array"), "minItems": COUNTS}, optional=array),
            st.fixed_dictionaries({}, optional={**scalar, "type": kinds, "enum": st.lists(VALUES, min_size=1)}),
            st.fixed_dictionaries(
                {"anyOf": some}, optional={"type": kinds, "properties": properties, **names, **array}
            ),
            st.fixed_dictionaries({"properties": properties}, optional={"allOf": some, **combined, **names}),
            st.fixed_dictionaries({"allOf": some}, optional={**combined, **scalar, "const": VALUES}),
        )

    leaves = st.booleans() | TYPES.map(lambda name: {"type": name}) | st.just({"$ref": "#/$defs/d"})
    definition = st.fixed_dictionaries(
        {"type": st.just("object") | st.just(["object", "null"])},
        optional={"properties": st.dictionaries(NAMES, leaves, min_size=1), "required": st.lists(NAMES, max_size=1)},
    )
    schema = st.recursive(leaves, extended, max_leaves=8)
    return st.tuples(extended(schema), definition).map(lambda pair: {**pair[0], "$defs": {"d": pair[1]}})


def shortest(language: Language) -> bytes:
    """A shortest text of a language."""
    texts = {0: b""}
    while True:
        for state, text in texts.items():
            if language.accepting[state]:
                return text
        longer: dict[int, bytes] = {}
        for state, text in texts.items():
            for byte in range(256):
                target = int(language.transitions[state, language.byte_class[byte]])
                if target >= 0:
                    longer.setdefault(target, text + bytes([byte]))
        assert longer, "a language without any text"
        texts = longer


def read_back(text: bytes) -> Any:
    return {b"null": None, b"true": True, b"false": False}.get(text) if text[:1] in b"ntf" else float(text)


def variants(shape: Shape, witness: dict[int, Any]) -> list[Any]:
    """A few values of a shape, as small as possible and a bit larger; none while a child they need has none."""
    match shape:
        case ScalarShape(language):
            return [read_back(shortest(language))]
        case StringShape(minimum, maximum, language):
            return [shortest(language).decode()] if language else ["x" * minimum, "x" * (maximum or minimum)]
        case ArrayShape(prefix, rest, minimum, maximum):
            longest = len(prefix) + (rest is not None)
            lengths = {minimum, longest if maximum is None else min(maximum, longest)}
            nodes = [
                [*prefix[:length], *[rest or 0] * (length - len(prefix))] for length in lengths if length >= minimum
            ]
            return [[witness[node] for node in row] for row in nodes if all(node in witness for node in row)]
        case ItemsShape():
            return []
        case ObjectShape(properties, additional):
            required = {p.name.decode(): p.node for p in properties if p.required and p.node is not None}
            optional = {p.name.decode(): p.node for p in properties if not p.required and p.node is not None}
            extra = {} if additional is None else {"extra": additional}
            choices = [required, {**required, **optional}, {**required, **extra}]
            return [
                {name: witness[node] for name, node in choice.items()}
                for choice in choices
                if all(node in witness for node in choice.values())
            ]


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


@settings(max_examples=400, deadline=None)
@given(schemas(), st.lists(VALUES, min_size=5, max_size=12))
@example({"$defs": {}, "oneOf": [{"required": ["a"]}, {"type": "string"}]}, [{}, {"a": 1}, "a", 1])
def test_same_answers(schema: dict[str, Any], values: list[Any]) -> None:
    try:
        shapes = read_json_schema(schema, property_order="any").shapes
    except UnsupportedFeature:
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
