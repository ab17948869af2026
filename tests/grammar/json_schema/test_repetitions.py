"""Names that no schema declares: where they are counted or looked for, none may come twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tokamask.grammar.grammar import Grammar

SCHEMAS: list[Any] = [
    {"minProperties": 1},
    {"minProperties": 2},
    {"properties": {"a": True}, "minProperties": 3},
    {"propertyNames": {"pattern": "^x"}, "minProperties": 2},
    {"not": {"additionalProperties": {"type": "string"}}},
    {"not": {"patternProperties": {"^a": {"type": "string"}}}},
    {"required": ["a", "b"], "minProperties": 2},
    {"properties": {"a": True, "b": True}, "additionalProperties": False, "minProperties": 2},
    {"patternProperties": {"^[ab]$": True}, "additionalProperties": False, "minProperties": 2},
    {"maxProperties": 2},
    {"not": {"properties": {"a": {"type": "string"}}}},
]
VALUES: list[Any] = [
    {},
    {"a": 1},
    {"a": "x"},
    {"a": 1, "b": 2},
    {"b": "y", "a": "x"},
    {"x": 1, "xy": 2},
    {"ab": 1, "a": 1, "": 1},
    {"b": 1, "c": 2, "d": 3},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_values(schema: dict[str, Any]) -> None:
    grammar = Grammar.from_json_schema({"type": "object", **schema}, property_order="any")
    assert grammar.is_exact
    validator = Draft202012Validator({"type": "object", **schema})
    for value in VALUES:
        assert grammar.check(json.dumps(value)).ok == validator.is_valid(value), value


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"minProperties": 2}, '{"a": 1, "a": 2}'),
        ({"minProperties": 2}, '{"a": 1, "\\u0061": 2, "b": 3}'),
        ({"minProperties": 2, "properties": {"a": True}}, '{"b": 1, "a": 1, "b": 2}'),
        ({"not": {"additionalProperties": {"type": "string"}}}, '{"a": 1, "a": "x"}'),
    ],
)
def test_a_name_comes_once(schema: dict[str, Any], text: str) -> None:
    """The last value of a repeated name is the one that counts, so it may not be there to count or to be looked for."""
    result = Grammar.from_json_schema({"type": "object", **schema}).check(text)
    assert not result.ok
    assert result.offset is not None
    assert text[: result.offset + 1].endswith('"')


def test_at_most_counts_every_property_that_is_written() -> None:
    grammar = Grammar.from_json_schema({"type": "object", "maxProperties": 2})
    assert grammar.check('{"a": 1, "b": 2}').ok
    assert not grammar.check('{"a": 1, "b": 2, "c": 3}').ok
