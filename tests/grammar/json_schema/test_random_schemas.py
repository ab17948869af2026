"""Random small schemas against the `jsonschema` package: the same values are valid, and nothing leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema
import jsonschema_rs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.grammar.json_schema.few_values import few_values, known_values
from tests.grammar.json_schema.membership import describes
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.json_schema.reading import read_json_schema

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
    """The same values are valid; every alternative of every node has a value, and those of the root are valid."""
    try:
        shapes = read_json_schema(schema, property_order="any").shapes
    except (UnsupportedFeature, CompileBudgetExceeded):
        return
    except UnsatisfiableSchema:
        assert [value for value in values if validity(schema, value)] == []
        return
    for value in values:
        assert validity(schema, value) in (describes(shapes, value), None), value
    known = known_values(shapes)
    for number, alternatives in enumerate(shapes.nodes):
        assert alternatives
        for shape in alternatives:
            found = few_values(shape, known)
            assert found, f"{shape} has no value"
            for value in found:
                assert describes(shapes, value, number)
                assert number != shapes.root or validity(schema, value) is not False, value


@settings(max_examples=400)
@given(schemas(), st.lists(VALUES, min_size=5, max_size=12))
@example({"type": "array", "minItems": 2, "minContains": 0, "uniqueItems": True}, [[None, None], [None, 1]])
@example({"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "boolean"}}, [[True, False]])
@example({"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "boolean"}}, [[True, False, True]])
@example(
    {"type": "array", "uniqueItems": True, "prefixItems": [{"enum": [1, 2]}, {"enum": [2, 3]}, {"const": 2}]},
    [[1, 3, 2], [2, 3, 2], [1, 2], [2, 2]],
)
@example({"type": "array", "minItems": 2, "uniqueItems": True, "items": {"maxProperties": 0, "type": "object"}}, [[{}]])
@example({"$defs": {}, "oneOf": [{"required": ["a"]}, {"type": "string"}]}, [{}, {"a": 1}, "a", 1])
def test_same_answers(schema: dict[str, Any], values: list[Any]) -> None:
    compare(schema, values, validity)


@settings(max_examples=150)
@given(schemas(unevaluated=True), st.lists(VALUES, min_size=5, max_size=12))
def test_same_answers_about_what_is_evaluated(schema: dict[str, Any], values: list[Any]) -> None:
    compare(schema, values, validity_elsewhere)
