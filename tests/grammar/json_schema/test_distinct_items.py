"""`uniqueItems` over any values: equal is what JSON Schema says, whatever the spelling, and no place is a dead end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tokamask.errors import UnsupportedFeature
from tokamask.grammar.grammar import Grammar

ANYTHING: dict[str, Any] = {"uniqueItems": True}


def anything(**options: Any) -> Grammar:
    return Grammar.from_json_schema(ANYTHING, property_order="any", **options)


@pytest.mark.parametrize(
    ("text", "is_unique"),
    [
        ("[1, 1.0]", False),
        ("[1.0, 1.00]", False),
        ("[10, 1e1]", False),
        ("[0.5, 5e-1]", False),
        ("[0, -0]", False),
        ("[0e5, 0.0]", False),
        ("[12e1, 120]", False),
        ("[1e2, 1e3]", True),
        ("[1, true]", True),
        ("[0, false]", True),
        ('[1, "1"]', True),
        ('["a", "\\u0061"]', False),
        ('["\\ud83d\\ude00", "😀"]', False),
        ('["a", "\\ud83d\\ude00"]', True),
        ('["é", "e\\u0301"]', True),
        ('["\\/", "/"]', False),
        ('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', False),
        ('[{"a": 1, "b": 2}, {"a": 2, "b": 1}]', True),
        ('[{"a": 1}, {"a": 1, "b": 2}]', True),
        ("[[1, 2], [2, 1]]", True),
        ("[[1, [2]], [1.0, [2.0]]]", False),
        ('[{"a": [{"b": null}]}, {"a": [{"b": null}]}]', False),
        ("[[], {}, null, false, 0]", True),
        ("[[[[]]], [[]], []]", True),
        ("[[[[]]], [[[]]]]", False),
    ],
)
def test_equality(text: str, is_unique: bool) -> None:
    assert anything().check(text).ok == is_unique


def test_a_refusal_is_where_the_second_one_ends() -> None:
    result = anything().check('[{"a": 1}, {"a": 1}]')
    assert (result.ok, result.offset) == (False, 18)  # the second brace that closes


@pytest.mark.parametrize(
    "schema",
    [
        # A thread that has to go beside one that stays.
        {
            "prefixItems": [{"patternProperties": {"é": {"enum": [-0.5]}}}, {"enum": ["1"]}],
            "uniqueItems": True,
        },
        {"prefixItems": [{"type": "boolean"}, {"type": "boolean"}], "uniqueItems": True, "minItems": 2},
        {"items": {"enum": [1, 2, 3, None, "a", "b", "c", "d", "e", "f", "ab"]}, "uniqueItems": True, "minItems": 2},
        {"items": {"type": "number", "minimum": 0, "maximum": 1}, "uniqueItems": True},
        {"contains": {"type": "string"}, "items": {"type": ["string", "integer"]}, "uniqueItems": True, "minItems": 2},
    ],
    ids=["thread beside", "booleans", "listed", "between bounds", "contains"],
)
def test_values(schema: dict[str, Any]) -> None:
    grammar = Grammar.from_json_schema({"type": "array", **schema}, property_order="any", numbers="full")
    validator = Draft202012Validator({"type": "array", **schema})
    values: list[Any] = [
        *([], [1], [1, 1], [True, False], [True, True], [0, 1], [0, 0.5, 1, 0.5], [0.25, 1.0], ["a", "b"], ["a", "a"]),
        *(["a", 1], [1, 2, "x"], [{"é": -0.5}, "1"], [{"é": -0.5}], [{"é": 1}], [{}, "1"], ["1", "1"]),
        [True, False, 1],
    ]
    assert {validator.is_valid(value) for value in values} == {True, False}
    for value in values:
        assert grammar.check(json.dumps(value, ensure_ascii=False)).ok == validator.is_valid(value), value


def test_all_values_in_turn() -> None:
    """Of few values one more may follow until all are used."""
    names = [f"{letter}{digit}" for letter in "abcd" for digit in range(10)]
    grammar = Grammar.from_json_schema({"type": "array", "items": {"enum": names}, "uniqueItems": True})
    assert grammar.check(json.dumps(names)).ok
    result = grammar.check(json.dumps([*names, "a0"]))
    assert result.offset == len(json.dumps(names)) - 1  # no comma behind the last


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": False}, "minItems": 5},
        {"not": {"uniqueItems": True}, "items": {"type": "string"}},
    ],
)
def test_what_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature, match="uniqueItems"):
        Grammar.from_json_schema({"type": "array", "uniqueItems": "not" not in schema, **schema})
