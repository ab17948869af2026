"""What a document still needs where values must differ: the cheapest different ones, found by listing them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.strategies import byte_vocabulary
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.dearer import priced
from tokamask.masking.spreads import TOO_DEAR, Spread


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


FLAG = {"type": "boolean"}
ESCAPED = ["".join(letters) for length in range(4) for letters in itertools.product('"\\', repeat=length)]
# Items and the cheapest of their values, in whatever order.
ITEMS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "integers": ({"type": "integer", "minimum": 8, "maximum": 120}, list(range(8, 121))),
    "signed integers": ({"type": "integer"}, list(range(-9, 200))),
    "texts": ({"enum": ["", *(letter * length for letter in "abc" for length in (1, 3, 40, 400))]}, []),
    "any texts": ({"type": "string"}, ["", *(chr(code) for code in range(0x20, 0x80) if chr(code) not in '"\\')]),
    "lengths": (
        {"type": "string", "pattern": "^a*$", "minLength": 290, "maxLength": 320},
        ["a" * n for n in range(290, 321)],
    ),
    "long texts": ({"type": "string", "pattern": "^a{2500,}$"}, ["a" * n for n in range(2500, 2520)]),
    "triples": (
        {"type": "array", "items": FLAG, "minItems": 3, "maxItems": 3},
        [list(flags) for flags in itertools.product([True, False], repeat=3)],
    ),
    "up to three": (
        {"type": "array", "items": FLAG, "maxItems": 3},
        [list(flags) for n in range(4) for flags in itertools.product([True, False], repeat=n)],
    ),
    "pairs that differ": (
        {"type": "array", "items": closed(a={"enum": [1, 22, 333]}), "uniqueItems": True, "maxItems": 2},
        [[{"a": n} for n in some] for length in range(3) for some in itertools.permutations([1, 22, 333], length)],
    ),
    "objects": (closed(a=FLAG, b={"enum": [1, 22]}), [{"a": a, "b": b} for a in (True, False) for b in (1, 22)]),
    "properties that may be there": (
        {**closed(a=FLAG, b=FLAG), "required": ["b"]},
        [{**a, "b": b} for a in ({}, {"a": True}, {"a": False}) for b in (True, False)],
    ),
    "letters of two bytes": ({"type": "string", "pattern": "^é{0,30}$"}, ["é" * n for n in range(31)]),
    "letters with escapes": ({"type": "string", "pattern": '^["\\\\]{0,3}$'}, ESCAPED),
    "few integers, many texts": (
        {"anyOf": [{"type": "integer", "minimum": 8, "maximum": 9}, {"type": "string", "pattern": "^a{30,60}$"}]},
        [8, 9, *("a" * n for n in range(30, 50))],
    ),
    "one of every kind": (
        {
            "anyOf": [
                {"enum": [None, True, 7, 8, "", "abc"]},
                {"const": False},
                {"type": "array", "items": FLAG, "maxItems": 1},
                {"type": "array", "items": FLAG, "contains": {"const": True}, "maxItems": 1},
                closed(a=FLAG),
            ]
        },
        [None, True, False, 7, 8, "", "abc", [], [True], [False], {"a": True}, {"a": False}],
    ),
    "pairs that differ or texts": (
        {
            "anyOf": [
                {"type": "array", "items": {"enum": [*range(11)]}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
                {"type": "string", "pattern": "^a{8,9}$"},
            ]
        },
        [[0, 1], [1, 0], [0, 2]],
    ),
    "fractions": (
        {"type": "number", "minimum": 0, "maximum": 2, "multipleOf": 0.25},
        [0, 1, 2, 0.5, 1.5, *(n / 4 for n in (1, 3, 5, 7))],
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_the_cheapest_values_that_differ(name: str) -> None:
    """Arrays of 1 item, 2, ... up to all values cost what listing the cheapest values says."""
    items, values = ITEMS[name]
    values = values or items["enum"]
    lengths = sorted(len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) for value in values)
    for count in range(1, len(lengths) + 1):
        schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": count}
        program = Grammar.from_json_schema(schema, property_order="any", whitespace="none").program
        found = priced(program, np.ones(256, dtype=np.int32)).costs[program.start]
        truth = sum(lengths[:count]) + count + 1  # commas and brackets
        # Where the price of the last ones is only bounded, a document may be closed earlier than it would have to be.
        assert truth <= found <= truth + SLACK.get(name, 0) * count, count


@pytest.mark.parametrize("count", [1, 2, 3])
def test_values_of_overlapping_alternatives_count_once(count: int) -> None:
    """{"a":1}, {"a":22}, {"a":333}: of the second there are not two."""
    items = {"anyOf": [closed(a={"enum": [22, 333, 55555]}), closed(a={"enum": [22, 1]})]}
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": count}
    program = Grammar.from_json_schema(schema, property_order="any", whitespace="none").program
    found = priced(program, np.ones(256, dtype=np.int32)).costs[program.start]
    assert found >= sum([7, 8, 9][:count]) + count + 1


def test_overlapping_alternatives_may_hide_a_dear_value() -> None:
    """[true], [false] and a longer array: where two were used, what the third costs is not known from counts."""
    short = {"type": "array", "items": FLAG, "minItems": 1, "maxItems": 1}
    schema = {"type": "array", "items": {"anyOf": [short, {"const": [True] * 9}]}, "uniqueItems": True}
    program = Grammar.from_json_schema(schema).program
    assert priced(program, np.ones(256, dtype=np.int32)).dearest >= 8 * len(",true")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_arrays_that_must_contain_different_texts(count: int) -> None:
    """One price stands for every item of such an array: that of the dearest that may be needed."""
    schema = {
        "type": "array",
        "items": {"type": ["string", "integer"], "pattern": "^a*$"},
        "contains": {"type": "string"},
        "minContains": count,
        "uniqueItems": True,
    }
    program = Grammar.from_json_schema(schema, property_order="any", whitespace="none").program
    found = priced(program, np.ones(256, dtype=np.int32)).costs[program.start]
    truth = sum(2 + length for length in range(count)) + count + 1
    assert truth <= found <= truth + count * count


@pytest.mark.parametrize("name", ["integers", "triples", "pairs that differ", "objects"])
def test_shortest_documents(name: str, tmp_path: Path) -> None:
    items, values = ITEMS[name]
    lengths = sorted(len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) for value in values)
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": 4}
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    assert matcher.min_tokens_left() == sum(lengths[:4]) + 6  # commas, brackets, the stop token
    for token in matcher.shortest_completion():
        matcher.accept_token(token)
    assert matcher.is_terminated


@pytest.mark.parametrize("count", [1, 2, 3])
def test_properties_that_must_be_looked_for(count: int, tmp_path: Path) -> None:
    """The value of such a property is part of what an object still needs, wherever the text stands."""
    schema = {
        "type": "object",
        "additionalProperties": {"enum": [None, "long enough"]},
        "propertyNames": {"pattern": "^a*$"},
        "minProperties": count,
        "not": {"additionalProperties": {"type": "null"}},
    }
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    value = {"a" * index: "long enough" if index == count - 1 else None for index in range(count)}
    text = json.dumps(value, separators=(",", ":"))
    for place, byte in enumerate(text.encode()):
        assert matcher.min_tokens_left() <= 2 * len(text)
        if place < text.find(","):  # behind it another order of the names may have been the shorter one
            assert matcher.min_tokens_left() > len(text) - place
        matcher.accept_bytes(bytes([byte]))
    matcher.reset()
    program = grammar.program
    assert priced(program, np.ones(256, dtype=np.int32)).costs[program.start] >= len(text)
    for token in matcher.shortest_completion():
        matcher.accept_token(token)
    assert matcher.is_terminated


def test_a_name_to_be_looked_for_when_the_cheapest_are_used(tmp_path: Path) -> None:
    """Any number of names may be used before the last property is the one that must be there."""
    schema = {
        "type": "object",
        "additionalProperties": {"type": ["boolean", "null"]},
        "propertyNames": {"pattern": "^a*$"},
        "not": {"additionalProperties": {"type": "boolean"}},
    }
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    for count in range(8):
        matcher.reset()
        text = "{" + ",".join(f'"{"a" * index}":true' for index in range(count))
        matcher.accept_bytes(text.encode())
        left = f'{"," if count else ""}"{"a" * count}":null' + "}"
        assert matcher.min_tokens_left() == len(left) + 1
        for token in matcher.shortest_completion():
            matcher.accept_token(token)
        assert matcher.is_terminated


# Bytes for each item that bounds may be above the truth.
SLACK = {"pairs that differ": 2}


def test_prices_of_ranks() -> None:
    spread = Spread(((0, 2), (3, 1), (5, 4)), True)
    assert [spread.price(rank) for rank in range(1, 9)] == [0, 0, 3, 5, 5, 5, 5, 5]
    assert spread.without_cheapest(2).price(2) == 5
    assert spread.dearer(7).price(3) == 10
    assert Spread(spread.counts, False).price(8) == TOO_DEAR
