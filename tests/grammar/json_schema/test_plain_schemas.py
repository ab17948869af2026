"""Plain schemas are read to the shapes, and refused with the words, that the general way has for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokamask.errors import GrammarError, UnsatisfiableSchema
from tokamask.grammar.budget import Budget
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema import reading
from tokamask.grammar.json_schema.reading import JsonSchemaReading, explain_json_schema, read_json_schema

DRAFTS = ["4", "openapi-3.0", "6", "7", "2019-09", "2020-12"]


class AskedGenerally(Exception):
    pass


def is_plain(schema: Any, **options: Any) -> bool:
    with patch.object(reading, "_Examination", side_effect=AskedGenerally):
        try:
            read_json_schema(schema, **options)
        except AskedGenerally:
            return False
    return True


def read_generally(schema: Any, **options: Any) -> JsonSchemaReading:
    with patch.object(reading, "plain_nodes", return_value=None):
        return read_json_schema(schema, **options)


def compare(schema: Any, **options: Any) -> None:
    """Both ways come to the same shapes and reports, or to the same error."""
    found, expected = outcome(read_json_schema, schema, options), outcome(read_generally, schema, options)
    assert found == expected


def outcome(read: Callable[..., JsonSchemaReading], schema: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    try:
        result = read(schema, **options)
    except GrammarError as error:
        return type(error), str(error), error.pointer
    return result.shapes, result.is_exact, result.reports


# What `a` needs without end.
ENDLESS = {"$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}}
LIST = {"type": "array", "items": {"type": "string"}}
# What `b` needs has a number before it, but needs nothing itself.
SHARED = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}},
    "required": ["a", "b"],
    "$defs": {"a": {"type": "object", "properties": {"c": {"$ref": "#/$defs/a"}}}},
}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"title": "anything"},
        {"$id": "urn:root", "type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"b": {}, "a": LIST}, "required": ["z", "a"], "description": "ordered"},
        {"type": "object", "properties": {"a": True}, "required": ["a"], "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": ["string", "null", "array"]}, "required": ["é"]},
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 3},
        {"type": "string", "pattern": "^2", "format": "date", "minLength": 2, "maxLength": 12},
        {"type": "string", "enum": ["é", "a", "bb", "a"], "maxLength": 1},
        {"enum": [1, None, "a", True, 1.5]},
        {"const": 3},
        {"type": ["string", "string"]},
        {"properties": {"a": {"type": "string"}}, "minLength": 2},
        {"type": ["object", "string"], "properties": {"a": {"type": "boolean"}}, "maxLength": 3},
        {"anyOf": [LIST, {"type": "null"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}},
        {"oneOf": [{"type": "object", "required": ["a"]}, {"enum": ["a", "b"]}], "default": 1},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "number"}}},
        SHARED,
    ],
)
def test_plain_schemas(schema: Any) -> None:
    assert is_plain(schema)
    compare(schema)
    compare(schema, numbers="full", property_order="any")


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "object", "properties": {"a": False}},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"$ref": "#/$defs/a", **ENDLESS},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
        {"$ref": "#"},
        {"type": "string", "enum": []},
        {"type": "string", "enum": ["a"], "minLength": 2},
        {"type": "string", "minLength": 2, "maxLength": 1},
        {"type": "integer", "minimum": 0.5, "maximum": 0.7},
        {"type": "string", "enum": ["\ud800", "a"]},
        {"type": "object", "properties": {"\ud800": {}, "a": {}}},
        {"type": "object", "properties": {1: {}}},
        {"type": None},
        {"type": "text"},
        {"type": "string", "minLength": True},
        {"type": "string", "maxLength": None},
        {"type": "string", "pattern": "("},
        {"type": "array", "items": [{}]},
        {"type": "array", "uniqueItems": True},
        {"type": "array", "items": {"type": "object", "required": ["a"]}, "maxItems": 0},
        {"type": "array", "items": 5, "maxItems": 0},
        {"$ref": "#/$defs/0", "$defs": {**{str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(9)}, "9": LIST}},
        {"type": "object", "properties": LIST | {"items": 3}},
        {"type": "object", "minLength": "1"},
        {"type": "object", "properties": {"a": {"$id": "urn:a", "type": "string"}}},
        {"anyOf": [{"type": "string", "maxLength": 1}, {"type": ["string", "null"]}]},
        {"anyOf": [{"type": "number"}, {"type": "integer"}]},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"anyOf": []},
        {"enum": [[1], "a"]},
        {"type": "object", "enum": [{}, {"a": 1}]},
        {"type": "string", "$ref": "#/$defs/a", "$defs": {"a": {"maxLength": 5}}},
        {"type": "string", "pattern": r"(a*)\1"},
        {"type": "string", "format": "regex"},
    ],
)
def test_others_are_read_the_general_way(schema: Any) -> None:
    with patch.object(reading, "_Examination", side_effect=AskedGenerally), pytest.raises(AskedGenerally):
        read_json_schema(schema)
    compare(schema)


@pytest.mark.parametrize("draft", DRAFTS)
def test_drafts(draft: str) -> None:
    """What is a keyword in some drafts alone, and what means something else."""
    for schema in (
        {"const": 1},
        {"type": "integer"},
        {"type": ["integer", "null"]},
        {"type": "number", "minimum": 1, "exclusiveMinimum": True},
        {"type": "number", "exclusiveMinimum": 1},
        {"type": "string", "nullable": True},
        {"type": "string", "format": "byte"},
        {"type": "array", "items": {"type": "null"}, "additionalItems": False},
        {"type": "array", "items": [{"type": "null"}], "additionalItems": False},
        {"properties": {"a": {"id": "urn:a", "type": "null"}, "b": {"$id": "urn:b", "type": "null"}}},
        {"definitions": {"a": {"minLength": 1}}, "type": "string", "$ref": "#/definitions/a"},
        {"type": "object", "dependentRequired": {"a": ["b"]}, "properties": {"a": {}}},
    ):
        for numbers in ("plain", "full"):
            compare(schema, draft=draft, numbers=numbers)


def test_a_vocabulary_left_out() -> None:
    metaschema = {"$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/applicator": True}}
    schema = {"$schema": "urn:m", "type": "object", "properties": {"a": {"type": "string", "maxLength": 1}}}
    compare(schema, registry={"urn:m": {**metaschema, "$schema": "https://json-schema.org/draft/2020-12/schema"}})


def test_formats_by_choice() -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "date"}}
    assert is_plain(schema, formats="annotate")
    compare(schema, formats="annotate")


def test_counts_that_are_written_with_a_point() -> None:
    for schema in ('{"type": "string", "minLength": 2.0}', '{"type": "array", "maxItems": 1e0}'):
        compare(schema)


def test_many_objects_are_left_to_the_general_way() -> None:
    schema = {"type": "object", "properties": {f"a{n}": {"type": "string", "maxLength": n} for n in range(1, 12)}}
    assert is_plain(schema)
    with Budget(nodes=10).enforced():
        compare(schema)
        assert not is_plain(schema)


def test_deep_plain_schemas_need_no_stack() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(5_000):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    assert is_plain(schema)
    assert len(read_json_schema(schema).shapes.nodes) == 5_002  # and anything


def test_reports_are_found_when_they_are_asked_for() -> None:
    inside = {"a": {"type": "string", "title": "A"}}
    schema = {"type": "object", "properties": inside, "$defs": {"b": {"maxLength": 1}}}
    assert is_plain(schema)
    reports = Grammar.from_json_schema(schema).explain()
    assert reports == list(explain_json_schema(schema))
    assert {report.pointer: report.status.value for report in reports} == {
        "#/type": "enforced",
        "#/properties": "enforced",
        "#/properties/a/type": "enforced",
        "#/properties/a/title": "annotation",
        "#/$defs": "annotation",
        "#/$defs/b/maxLength": "annotation",
    }


NAMES = st.sampled_from(["a", "b", "c", "é"])
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
COUNTS = st.sampled_from([0, 1, 2, 3, True, -1, 1.5, None])
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 2, "1"])
SCALARS = st.sampled_from([None, False, 1, 1.5, "", "a", "bb"])


def schemas() -> st.SearchStrategy[Any]:
    """Nearly plain schemas: some say things twice, some are malformed, some have no value."""
    references = st.sampled_from(["#", "#/$defs/a", "#/$defs/b"]).map(lambda pointer: {"$ref": pointer})
    types = TYPES | st.lists(TYPES, max_size=3)
    strings = {
        "minLength": COUNTS,
        "maxLength": COUNTS,
        "pattern": st.sampled_from(["^a", "b$", "(", 1]),
        "format": st.sampled_from(["date", "ipv4", "unknown"]),
        "enum": st.lists(SCALARS, max_size=3),
    }
    scalars = {**strings, "minimum": NUMBERS, "exclusiveMaximum": NUMBERS, "const": SCALARS, "title": st.just("t")}

    def extended(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        objects = {
            "properties": st.dictionaries(NAMES, children, max_size=3),
            "required": st.lists(NAMES, max_size=2),
            "additionalProperties": children,
        }
        arrays = {"items": children, "minItems": COUNTS, "maxItems": COUNTS, "additionalItems": children}
        some = st.lists(children, max_size=3)
        return st.one_of(
            st.fixed_dictionaries({"type": st.just("object")}, optional=objects),
            st.fixed_dictionaries({"type": st.just("array")}, optional=arrays),
            st.fixed_dictionaries({}, optional={"type": types, **objects, **arrays, **scalars}),
            st.tuples(st.sampled_from(["anyOf", "oneOf", "allOf"]), some).map(lambda pair: {pair[0]: pair[1]}),
        )

    leaves = st.one_of(
        st.sampled_from([True, True, {}, False, 3]),
        references,
        types.map(lambda names: {"type": names}),
        st.fixed_dictionaries({"type": st.just("string")}, optional=strings),
        st.fixed_dictionaries({}, optional=scalars),
    )
    schema = st.recursive(leaves, extended, max_leaves=10)
    three = st.tuples(extended(schema), schema, schema)
    return three.map(lambda one: {**one[0], "$defs": {"a": one[1], "b": one[2]}})


@settings(max_examples=400)
@given(schemas(), st.sampled_from(DRAFTS), st.booleans())
@example({"$ref": "#/$defs/a", **ENDLESS}, "2020-12", False)
def test_both_ways_come_to_the_same(schema: Any, draft: str, as_text: bool) -> None:
    compare(json.dumps(schema) if as_text else schema, draft=draft)


def test_a_schema_without_a_value_keeps_its_reason() -> None:
    with pytest.raises(UnsatisfiableSchema, match="every value would have to contain another one"):
        read_json_schema({"$ref": "#/$defs/a", **ENDLESS})
