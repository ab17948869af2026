"""`uniqueItems` over any values: equal is what JSON Schema says, whatever the spelling, and no place is a dead end."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
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
        ("[1e100000001, 10e100000000]", False),
        ("[1e99999999999999999999, 0.1e100000000000000000000, 2]", False),
        ("[1e-99999999999999999999, 0.1e-99999999999999999998]", False),
        ("[-1e-100000000000000000000, -100e-100000000000000000002]", False),
        ("[1e99999999999999999999, 1e99999999999999999998]", True),
        ("[1e99999999999999999999, 1e-99999999999999999999]", True),
        ("[1e99999999999999999999, -1e99999999999999999999]", True),
        ("[0e99999999999999999999, 0]", False),
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


def test_two_arrays_of_the_same_texts() -> None:
    """Their strings share a record, and how many texts are left is told once."""
    names = [f"{letter}{digit}" for letter in "abcd" for digit in range(3)]
    listed = {"enum": names}
    properties = {
        "some": {"type": "array", "uniqueItems": True, "items": listed},
        "others": {"type": "array", "uniqueItems": True, "items": {"anyOf": [listed, {"type": "null"}]}},
    }
    grammar = Grammar.from_json_schema({"type": "object", "properties": properties}, whitespace="none")
    for name, values in (("some", names), ("others", [*names, None])):
        text = json.dumps({name: values}, separators=(",", ":"))
        assert grammar.check(text).ok
        assert grammar.check(text[:-2] + ",").offset == len(text) - 2


def closed(**properties: Any) -> dict[str, Any]:
    """Objects of exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


LONG = ["x" * 1100 + letter for letter in "abc"]
QUARTERS = [number / 4 for number in range(20)]
NAMES = [f"{letter}{digit}" for letter in "abcdefghijklm" for digit in range(10)]
NAMED = {"type": "object", "patternProperties": {"^[a-m][0-9]$": {"type": "integer"}}, "additionalProperties": False}

# Items and all of their values, or a few of so many.
USED_UP: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "many orders": (closed(**{name: {"const": 1} for name in "abcdefgh"}), [dict.fromkeys("abcdefgh", 1)]),
    "flags": (
        closed(**{name: {"type": "boolean"} for name in "abcde"}),
        [dict(zip("abcde", flags, strict=True)) for flags in itertools.product([True, False], repeat=5)],
    ),
    "may be there": (
        {**closed(a={"const": 1}, b={"const": 2}, c={"const": 3}), "required": ["b"]},
        [{"b": 2}, {"a": 1, "b": 2}, {"b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}],
    ),
    "long texts in objects": (closed(text={"enum": LONG}), [{"text": text} for text in LONG]),
    "long texts in arrays": (
        {"type": "array", "items": {"enum": LONG}, "minItems": 1, "maxItems": 1},
        [[t] for t in LONG],
    ),
    "lengths of a pattern": (
        {"type": "string", "pattern": "^a*$", "minLength": 290, "maxLength": 300},
        ["a" * length for length in range(290, 301)],
    ),
    "arrays that differ inside": (
        {"type": "array", "uniqueItems": True, "items": closed(a={"const": 1})},
        [[], [{"a": 1}]],
    ),
    "numbers": ({"type": "array", "items": {"enum": QUARTERS}, "minItems": 1, "maxItems": 1}, [[n] for n in QUARTERS]),
    "pairs of numbers": (closed(a={"enum": [0, 1, 10]}, b={"const": 100}), [{"a": n, "b": 100} for n in (0, 1, 10)]),
    "integers": ({"type": "integer", "minimum": 1, "maximum": 400}, list(range(1, 401))),
}


@pytest.mark.parametrize("options", [{"property_order": "any"}, {"numbers": "full", "escapes": "minimal"}], ids=str)
@pytest.mark.parametrize("name", USED_UP)
def test_no_comma_behind_the_last_value(name: str, options: dict[str, Any]) -> None:
    """All values of the items but one leave room for that one, and all of them for none."""
    items, values = USED_UP[name]
    grammar = Grammar.from_json_schema({"type": "array", "items": items, "uniqueItems": True}, **options)
    for used in (values[:-1], values):
        text = json.dumps(used)[:-1]
        result = grammar.check(text + ", ")
        assert result.offset == len(text) + (2 if used is not values and used else 0)
    assert grammar.check(json.dumps(values)).ok


@pytest.mark.parametrize("order", ["any", "schema"])
@pytest.mark.parametrize("is_item", [True, False])
def test_names_are_used_up(is_item: bool, order: Any) -> None:
    """Objects that remember their names, or whose names are remembered as they are items, end with the last name."""
    schema: dict[str, Any] = {"type": "array", "items": NAMED, "uniqueItems": True}
    if not is_item:
        schema = {"type": "array", "items": {**NAMED, "minProperties": 2}}
    grammar = Grammar.from_json_schema(schema, property_order=order, whitespace="none")
    text = "[{" + ",".join(f'"{name}":1' for name in NAMES)
    assert grammar.check(text[:-7] + ",").offset == len(text) - 6
    assert grammar.check(text + ",").offset == len(text)
    assert grammar.check(text + "}]").ok


def test_the_last_name_is_kept_for_a_witness() -> None:
    """Some property must be a string: where one name is left, it is the name of that one."""
    anything = {**NAMED, "patternProperties": {"^[a-m][0-9]$": {"type": ["integer", "string"]}}}
    schema = {**anything, "not": {"patternProperties": {"^[a-m][0-9]$": {"type": "integer"}}}}
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    text = "{" + ",".join(f'"{name}":1' for name in NAMES[:-1])
    assert grammar.check(f'{text},"m9":"x"}}').ok
    assert grammar.check(f'{text},"m9":1').offset == len(text) + len(',"m9":')


def test_more_properties_than_names() -> None:
    Grammar.from_json_schema({**NAMED, "minProperties": 130})
    with pytest.raises(UnsatisfiableSchema):
        Grammar.from_json_schema({**NAMED, "minProperties": 131})


def test_what_is_left_out_with_a_warning_leads_nowhere_dead() -> None:
    schema = {"type": "array", "items": closed(a={"const": 1}), "minItems": 3, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, on_unsupported="warn")
    assert not grammar.is_exact
    assert grammar.check(json.dumps([{"a": 1}] * 3)).ok


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": False}, "minItems": 5},
        {"items": {"type": "string", "pattern": "^a*$", "minLength": 290, "maxLength": 300}, "minItems": 12},
        {"items": {"type": "array", "items": closed(a={"const": 1}), "uniqueItems": True}, "minItems": 3},
        {"not": {"uniqueItems": True}, "items": {"type": "string"}},
    ],
)
def test_what_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature, match="uniqueItems"):
        Grammar.from_json_schema({"type": "array", "uniqueItems": "not" not in schema, **schema})
