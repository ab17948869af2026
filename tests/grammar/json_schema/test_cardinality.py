"""How many different items a schema has room for: against listing the values that it allows."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar

SCALARS: list[Any] = [None, True, False, *range(12), *("", "a", "b", "aa", "ab", "ba", "bb")]
# Every value that the schemas below allow.
POOL: list[Any] = [
    *SCALARS,
    *([item] for item in SCALARS),
    *(list(pair) for pair in itertools.product(SCALARS, repeat=2)),
    *({"x": value} for value in SCALARS),
    *([], {}),
]


def scalars(generator: random.Random) -> dict[str, Any]:
    """Scalars of one kind."""
    return generator.choice(
        [
            {"type": "null"},
            {"type": "boolean"},
            {"const": False},
            {"enum": generator.sample(range(12), 3)},
            {"type": "integer", "minimum": 0, "maximum": generator.randrange(12)},
            {"type": "string", "pattern": "^[ab]*$", "maxLength": generator.randint(0, 2)},
            {"enum": generator.sample(["", "a", "b", "ab"], 2)},
        ]
    )


def kinds(generator: random.Random) -> dict[str, Any]:
    """Alternatives of different kinds, one of each."""
    lists = {"type": "array", "items": scalars(generator), "maxItems": generator.randint(0, 2)}
    objects = {"type": "object", "properties": {"x": scalars(generator)}, "additionalProperties": False}
    if generator.random() < 0.5:
        objects["required"] = ["x"]
    some = [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "integer", "minimum": 1, "maximum": generator.randint(1, 11)},
        {"enum": generator.sample(["", "a", "b", "aa"], generator.randint(1, 4))},
        lists,
        objects,
    ]
    return {"anyOf": generator.sample(some, generator.randint(2, 6))}


@pytest.mark.parametrize("seed", range(40))
def test_as_many_items_as_there_are_values(seed: int) -> None:
    generator = random.Random(seed)
    items = kinds(generator)
    validator = Draft202012Validator(items)
    values = [value for value in POOL if validator.is_valid(value)]
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": len(values)}
    grammar = Grammar.from_json_schema(schema, property_order="any")
    generator.shuffle(values)
    text = json.dumps(values)
    assert grammar.check(text).ok
    assert grammar.check(text[:-1] + ",").offset == len(text) - 1
    assert len(values) < 2 or not grammar.check(json.dumps([*values[1:], values[1]])).ok
    with pytest.raises((UnsatisfiableSchema, UnsupportedFeature)):
        Grammar.from_json_schema({**schema, "minItems": len(values) + 1}, property_order="any")


def test_listed_values_of_several_alternatives_add_up() -> None:
    items = {"anyOf": [{"const": True}, {"enum": [1, "a"]}, {"const": False}, {"enum": ["b", 1, 2]}]}
    grammar = Grammar.from_json_schema({"type": "array", "items": items, "uniqueItems": True, "minItems": 6})
    assert grammar.check('[1, true, "b", 2, false, "a"]').ok


def test_kinds_add_up() -> None:
    items = {"anyOf": [{"enum": [1, 2]}, {"type": "boolean"}, {"type": "null"}]}
    schema = {"type": "array", "items": items, "uniqueItems": True}
    assert Grammar.from_json_schema({**schema, "minItems": 5}).check("[1, true, null, 2, false]").ok
    with pytest.raises(UnsatisfiableSchema):
        Grammar.from_json_schema({**schema, "minItems": 6})
