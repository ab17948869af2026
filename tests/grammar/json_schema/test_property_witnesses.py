"""Objects in which several properties must fail something: which property may be which, by trying all small objects."""

from __future__ import annotations

import json
from itertools import combinations, product
from typing import Any

import jsonschema
import pytest

from tokamask.errors import UnsatisfiableSchema
from tokamask.grammar.grammar import Grammar

# What properties of names that are declared, matched, listed or none of these can fail.
ASSERTIONS: list[dict[str, Any]] = [
    {"additionalProperties": False},
    {"properties": {"e": {}}, "additionalProperties": False},
    {"properties": {"e": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
    {"patternProperties": {"^a": {}}, "additionalProperties": False},
    {"patternProperties": {"^a$": {"type": "integer"}}},
    {"patternProperties": {"^[^a]": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    {"propertyNames": {"not": {"enum": ["e"]}}},
    {"propertyNames": {"enum": ["a", "x"]}},
    {"propertyNames": {"maxLength": 1}},
]
# One declared, two matched by patterns, one for all others.
NAMES = ("a", "ab", "e", "x")
OBJECTS = [
    dict(zip(names, values, strict=True))
    for count in range(3)
    for names in combinations(NAMES, count)
    for values in product((1, "s"), repeat=count)
]


@pytest.mark.parametrize("first", range(len(ASSERTIONS)))
@pytest.mark.parametrize("around", [{}, {"properties": {"x": {"type": "string"}}, "maxProperties": 2}])
def test_every_one_of_several_assertions_fails(first: int, around: dict[str, Any]) -> None:
    for others in combinations(ASSERTIONS[first + 1 :], 2):
        schema = {"type": "object", **around, "not": {"anyOf": [ASSERTIONS[first], *others]}}
        validator = jsonschema.Draft202012Validator(schema)
        valid = [value for value in OBJECTS if validator.is_valid(value)]
        try:
            grammar = Grammar.from_json_schema(schema, property_order="any")
        except UnsatisfiableSchema:
            assert valid == []
            continue
        assert [value for value in OBJECTS if grammar.check(json.dumps(value)).ok] == valid, schema


def test_witnesses_with_many_places() -> None:
    """Two hundred alternatives with 15 classes of names each: more ways into one key than a step has room for at
    first."""
    schema = {"type": "object", "allOf": [{"not": {"propertyNames": {"pattern": f"^[^{c}]*$"}}} for c in "abcd"]}
    validator = jsonschema.Draft202012Validator(schema)
    grammar = Grammar.from_json_schema(schema, property_order="any")
    for names in (("abcd",), ("abc",), ()):
        value = dict.fromkeys(names, 1)
        assert grammar.check(json.dumps(value)).ok == validator.is_valid(value), names
