"""Which items may or must be equal, beside what is asked of items at their places and of how many: by trying arrays."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.strategies import byte_vocabulary
from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler

VALUES: list[Any] = [1, 2, 3, True, None, "a", "b", [], [1]]
ARRAYS = [list(items) for length in range(5) for items in itertools.product(VALUES, repeat=length)]
DIGITS = list(range(20))
EQUAL: dict[str, Any] = {"not": {"uniqueItems": True}}

SCHEMAS: dict[str, dict[str, Any]] = {
    "one of few": {"contains": {"enum": ["a", "b"]}, "uniqueItems": True},
    "two of few": {"contains": {"enum": [1, True]}, "minContains": 2, "uniqueItems": True},
    "no more than one of few": {"contains": {"enum": [1, 2, "a"]}, "maxContains": 1, "uniqueItems": True},
    "few of few": {"contains": {"enum": [1, 2, 3]}, "minContains": 1, "maxContains": 2, "uniqueItems": True},
    "one of few beside many": {
        "items": {"type": ["integer", "string"]},
        "contains": {"enum": ["a", "b", None]},
        "uniqueItems": True,
        "minItems": 2,
    },
    "few places": {"items": {"enum": DIGITS}, "contains": {"enum": [1, 2]}, "uniqueItems": True, "maxItems": 3},
    "few places for many": {
        "items": {"enum": DIGITS},
        "contains": {"enum": DIGITS[:13]},
        "uniqueItems": True,
        "maxItems": 3,
    },
    "few after many": {"prefixItems": [True], "contains": {"enum": [1, 2]}, "minContains": 2, "uniqueItems": True},
    "places without values in common": {
        "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "array"}],
        "items": False,
        "uniqueItems": True,
        "minItems": 2,
    },
    "places with few values in common": {
        "prefixItems": [{"type": "string"}, {"enum": ["a", "b", 7]}, {"type": "integer"}],
        "items": False,
        "uniqueItems": True,
        "minItems": 2,
    },
    "places apart with few values in common": {
        "prefixItems": [{"type": "string"}, {"type": "integer"}, {"enum": ["a", "b"]}],
        "items": False,
        "uniqueItems": True,
    },
    "the only value of a later place": {
        "prefixItems": [{"enum": DIGITS}, {"enum": [1]}],
        "items": False,
        "uniqueItems": True,
        "minItems": 2,
    },
    "the only value of a later place, and more": {
        "prefixItems": [{"enum": DIGITS}, {"const": 1}],
        "minItems": 2,
        "uniqueItems": True,
    },
    "equal at two places": {"prefixItems": [{"type": "string"}, {"enum": ["a", "b"]}], "items": False, **EQUAL},
    "equal to the first": {"prefixItems": [{"type": "integer"}], "items": {"enum": [1, "a"]}, "maxItems": 3, **EQUAL},
    "equal among the others": {
        "prefixItems": [{"type": "array"}, {"enum": [2, 3]}],
        "items": {"enum": [1, "a", True]},
        **EQUAL,
    },
    "equal and counted": {"items": {"enum": [1, 2, 3]}, "contains": {"const": 1}, "maxContains": 1, **EQUAL},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_arrays_of_a_few_values(name: str) -> None:
    schema = {"type": "array", **SCHEMAS[name]}
    grammar = Grammar.from_json_schema(schema, whitespace="none")
    validator = Draft202012Validator(schema)
    valid = [items for items in ARRAYS if validator.is_valid(items)]
    assert valid
    for items in valid:
        assert grammar.check(json.dumps(items, separators=(",", ":"))).ok, items
    generator = random.Random(name)
    for items in generator.sample(ARRAYS, 1_000):
        assert grammar.check(json.dumps(items, separators=(",", ":"))).ok == validator.is_valid(items), items


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_way_has_an_end(name: str, tmp_path: Path) -> None:
    schema = {"type": "array", **SCHEMAS[name]}
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none", escapes="minimal")
    validator = Draft202012Validator(schema)
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    generator = random.Random(name)
    for length in range(1, 25):
        matcher.reset()
        text = bytearray()
        while len(text) < length:
            allowed = [byte for byte in b',]"ab[123tn0' if matcher.is_allowed(byte)]
            if not allowed:
                break
            text.append(generator.choice(allowed))
            matcher.accept_token(text[-1])
        end = matcher.shortest_completion()
        document = json.loads(bytes([*text, *end[:-1]]))
        assert validator.is_valid(document), document
        for token in end:
            matcher.accept_token(token)
        assert matcher.is_terminated


@pytest.mark.parametrize(
    "schema",
    [
        {"contains": {"enum": [1, True]}, "minContains": 3, "uniqueItems": True},
        {"prefixItems": [{"const": 1}, {"enum": [1.0]}], "minItems": 2, "uniqueItems": True},
        {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, **EQUAL},
        {"items": {"type": "integer"}, "maxItems": 1, **EQUAL},
        {"items": {"enum": [1, 2]}, "uniqueItems": True, **EQUAL},
    ],
    ids=json.dumps,
)
def test_what_no_array_can_be(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsatisfiableSchema):
        Grammar.from_json_schema({"type": "array", **schema})


@pytest.mark.parametrize(
    ("schema", "pointer", "reason"),
    [
        ({"items": {"type": "integer"}, **EQUAL}, "#/not/uniqueItems", "two items are equal"),
        (
            {"items": {"enum": DIGITS}, "contains": {"enum": DIGITS[:13]}, "uniqueItems": True},
            "#/uniqueItems",
            "too few different values",
        ),
    ],
    ids=["equal among many", "many of which some are counted"],
)
def test_what_is_refused(schema: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(UnsupportedFeature, match=reason) as caught:
        Grammar.from_json_schema({"type": "array", **schema})
    assert caught.value.pointer == pointer
