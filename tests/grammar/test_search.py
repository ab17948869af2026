"""What must not be said again, at every place of every text: small languages listed whole, and ways that are left open.

The search for a way on leaves out whatever spells the same value otherwise; here nothing that it leaves out is missed.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tokamask.grammar.arena import CONFIGURATION_COUNT
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema import object_outlines
from tokamask.grammar.recogniser import Recogniser


def objects(*names: str, required: str = "") -> list[str]:
    """All spellings of objects whose values are true."""
    return [
        "{" + ",".join(f'"{name}":true' for name in order) + "}"
        for count in range(len(names) + 1)
        for order in itertools.permutations(names, count)
        if not required or required in order
    ]


def arrays(items: Iterable[str], most: int) -> Iterator[str]:
    """All texts of up to `most` items that differ."""
    spelled = list(items)
    for count in range(most + 1):
        for row in itertools.product(spelled, repeat=count):
            values = [json.dumps(json.loads(text), sort_keys=True) for text in row]
            if len(set(values)) == count:
                yield "[" + ",".join(row) + "]"


TRUE = {"const": True}
FLAG = {"type": "boolean"}
OPTIONAL = {"type": "object", "additionalProperties": False}
# Items and all of their texts, in every order of the properties.
LANGUAGES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "literals and arrays": (
        {"anyOf": [FLAG, {"type": "array", "items": FLAG, "maxItems": 1}]},
        ["true", "false", "[]", "[true]", "[false]"],
    ),
    "arrays of several lengths": (
        {"type": "array", "items": {"const": True}, "maxItems": 4},
        ["[" + ",".join(["true"] * count) + "]" for count in range(5)],
    ),
    "arrays of arrays": (
        {"type": "array", "items": {"type": "array", "items": FLAG, "maxItems": 1}, "maxItems": 1},
        ["[]", "[[]]", "[[true]]", "[[false]]"],
    ),
    "optional properties": ({**OPTIONAL, "properties": {"a": TRUE, "ab": TRUE}}, objects("a", "ab")),
    "a required property": (
        {**OPTIONAL, "properties": {"a": TRUE, "b": TRUE, "c": TRUE}, "required": ["b"]},
        objects("a", "b", "c", required="b"),
    ),
    "at least two properties": (
        {**OPTIONAL, "properties": {"b": TRUE, "ab": TRUE, "a": TRUE}, "minProperties": 2},
        [text for text in objects("b", "ab", "a") if text.count(":") >= 2],
    ),
    "names by a pattern": (
        {**OPTIONAL, "properties": {"m": TRUE}, "required": ["m"], "patternProperties": {"^[xy]$": TRUE}},
        objects("m", "x", "y", required="m"),
    ),
    "at least two names by a pattern": (
        {**OPTIONAL, "patternProperties": {"^(b|ab|a)$": TRUE}, "minProperties": 2},
        [text for text in objects("b", "ab", "a") if text.count(":") >= 2],
    ),
    "names of which one must fail a schema": (
        {
            **OPTIONAL,
            "patternProperties": {"^[xy]$": {"const": True}, "^z$": {"enum": [True, False]}},
            "not": {"additionalProperties": {"const": True}},
        },
        [
            text.replace('"z":true', '"z":false')
            for text in objects("x", "y", "z", required="z")
        ],
    ),
    "escaped characters": (
        {**OPTIONAL, "properties": {"t": {"enum": ['"', "\\", "\n", "x"]}}, "required": ["t"]},
        [json.dumps({"t": text}, separators=(",", ":")) for text in ('"', "\\", "\n", "x")],
    ),
}


@pytest.mark.parametrize("few_names", [0, 64])
@pytest.mark.parametrize("name", LANGUAGES)
def test_every_place_of_a_listed_language(name: str, few_names: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`few_names`: so many names of a pattern are treated like declared ones."""
    monkeypatch.setattr(object_outlines, "FEW_NAMES", few_names)
    items, spelled = LANGUAGES[name]
    texts = list(arrays(spelled, len({json.dumps(json.loads(text), sort_keys=True) for text in spelled})))
    following: dict[str, set[int]] = {}
    for text in texts:
        for place in range(len(text)):
            following.setdefault(text[:place], set()).add(ord(text[place]))
    schema = {"type": "array", "items": items, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none", escapes="minimal")
    recogniser = Recogniser(grammar.program)
    generator = random.Random(name)
    for text in [texts[-1], *generator.sample(texts, min(30, len(texts)))]:
        configuration = recogniser.start()
        for place, byte in enumerate(text):
            assert set(recogniser.next_bytes(configuration)) == following[text[:place]], text[:place]
            configuration = recogniser.move(configuration, ord(byte))
        assert recogniser.is_accepting(configuration), text


STATES = [*(f"a{digit}" for digit in range(10)), "b"]

# Items, what was used, and ways to spell the only value, or one of the few, that is left.
WAYS: dict[str, tuple[dict[str, Any], list[Any], list[str]]] = {
    "a digit behind zeros": (
        {"type": "number", "minimum": 0, "maximum": 0.09, "multipleOf": 0.09},
        [0],
        ["0.09", "0.0900", "0.090"],
    ),
    "the rest of an escape": (
        {**OPTIONAL, "properties": {"t": {"enum": ["a", "b"]}}, "required": ["t"]},
        [{"t": "a"}],
        ['{"t":"b"}', '{"t":"\\u0062"}', '{"\\u0074":"b"}'],
    ),
    "an escaped quote": (
        {**OPTIONAL, "properties": {"t": {"enum": ['"', "x"]}}, "required": ["t"]},
        [{"t": "x"}],
        ['{"t":"\\""}', '{"t":"\\u0022"}'],
    ),
    "an escape beyond U+FFFF": (
        {**OPTIONAL, "properties": {"t": {"enum": ["\U0001f600", "\U0001f601"]}}, "required": ["t"]},
        [{"t": "\U0001f600"}],
        ['{"t":"\U0001f601"}', '{"t":"\\ud83d\\ude01"}'],
    ),
    "an exponent begun": (
        {**OPTIONAL, "properties": {"n": {"enum": [1, 10, 0.5]}}, "required": ["n"]},
        [{"n": 1}, {"n": 0.5}],
        ['{"n":10}', '{"n":1e1}', '{"n":1.0e1}', '{"n":10.0}'],
    ),
    "the longer one of two names": (
        {**OPTIONAL, "properties": {"a": TRUE, "ab": TRUE}, "minProperties": 1, "maxProperties": 1},
        [{"a": True}],
        ['{"ab":true}', '{"\\u0061b":true}'],
    ),
    "one of the listed texts": (
        {"enum": STATES},
        [state for state in STATES if state != "a5"],
        ['"a5"', '"\\u0061\\u0035"'],
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_the_way_that_is_left(name: str) -> None:
    """What was used leaves a value open in each of its spellings, and no other; behind it comes no comma."""
    items, used, spellings = WAYS[name]
    grammar = Grammar.from_json_schema({"type": "array", "items": items, "uniqueItems": True}, numbers="full")
    begun = json.dumps(used, ensure_ascii=False)[:-1] + ", "
    for text in spellings:
        assert grammar.check(f"{begun}{text}]").ok, text
        assert grammar.check(f"{begun}{text},").offset == len(begun + text), text
    for value in used:
        assert not grammar.check(f"{begun}{json.dumps(value)}]").ok


def test_texts_of_another_place_use_none_up() -> None:
    schema = {"type": "array", "prefixItems": [{"type": "string"}], "items": {"enum": STATES}, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema)
    used = ["ax", *(state for state in STATES if state != "a5")]
    assert grammar.check(json.dumps([*used, "a5"])).ok
    assert not grammar.check(json.dumps(used)[:-1] + ', "a6').ok


@pytest.mark.parametrize("order", ["any", "schema"])
def test_names_that_leave_too_few_are_not_followed(order: Any) -> None:
    """Where all names but one must be there, sets of names are not searched, only what was used."""
    names = [f"{letter}{digit}" for letter in "hgfedcba" for digit in "98"]  # not in the order of the search
    used = [dict.fromkeys(names, True), *[{name: True for name in names if name != other} for other in names]]
    items = {**OPTIONAL, "properties": dict.fromkeys(names, TRUE), "minProperties": len(names) - 1}
    schema = {"type": "array", "items": items, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, property_order=order, whitespace="none", escapes="minimal")
    recogniser = Recogniser(grammar.program)
    text = json.dumps(used, separators=(",", ":"))[:-1].encode()
    configuration = recogniser.start()
    for byte in text:
        configuration = recogniser.move(configuration, byte)
    known = int(recogniser._arena[CONFIGURATION_COUNT])
    assert configuration
    assert not recogniser.move(configuration, ord(","))
    assert recogniser._arena[CONFIGURATION_COUNT] - known < 4 * len(text)
