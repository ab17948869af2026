"""Schemas that bring lengths and patterns of one string together from different places, against jsonschema."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema
import pytest

from tokamask.errors import UnsatisfiableSchema
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.program import STRING, STRING_LENGTHS

WORDS = {"type": "string", "pattern": "^[a-cé]+(-[a-cé]+)*$"}
TEXTS = [
    text * count + end
    for text, count, end in itertools.product(
        ("a", "é", "a-", "bé-", "-", "A"), (0, 1, 2, 149, 150, 151, 299, 300, 301), ("", "a", "-", "é-c")
    )
]


def is_counted(grammar: Grammar) -> bool:
    program = grammar.program
    strings = program.records[program.words[program.records] == STRING]
    return bool((program.words[strings + STRING_LENGTHS] > 0).any())


SCHEMAS: dict[str, Any] = {
    "both": {**WORDS, "minLength": 150, "maxLength": 300},
    "from branches": {"allOf": [WORDS, {"minLength": 150}, {"pattern": "a|é"}, {"maxLength": 450}]},
    "negated lengths": {**WORDS, "not": {"minLength": 3, "maxLength": 299}},
    "negated pattern": {"type": "string", "maxLength": 301, "not": {"pattern": "^(bé-)*$"}},
    "negated both": {"type": "string", "maxLength": 450, "not": {**WORDS, "maxLength": 300}},
    "one of": {"oneOf": [{**WORDS, "maxLength": 300}, {"type": "string", "minLength": 301}, {"const": "A"}]},
    "if": {**WORDS, "if": {"pattern": "é"}, "then": {"maxLength": 300}, "else": {"minLength": 300}},
    "one length": {**WORDS, "minLength": 300, "maxLength": 300},
    "format": {"type": "string", "format": "hostname", "maxLength": 200},
}


def is_hostname(text: object) -> bool:
    labels = str(text).split(".")
    return all(label.isascii() and label and label.strip("-") == label and len(label) < 64 for label in labels)


@pytest.mark.parametrize("name", SCHEMAS)
def test_texts_of(name: str) -> None:
    grammar = Grammar.from_json_schema(SCHEMAS[name])
    assert is_counted(grammar)
    checker = jsonschema.FormatChecker()
    checker.checks("hostname")(is_hostname)
    validator = jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=checker)
    for text in TEXTS:
        assert grammar.check(json.dumps(text)).ok == validator.is_valid(text), text
        assert grammar.check(json.dumps(text, ensure_ascii=False)).ok == validator.is_valid(text), text


def test_names_with_pattern_and_length() -> None:
    schema = {
        "type": "object",
        "propertyNames": {**WORDS, "minLength": 2, "maxLength": 150},
        "additionalProperties": {},
    }
    grammar = Grammar.from_json_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in TEXTS:
        assert grammar.check(json.dumps({text: 1})).ok == validator.is_valid({text: 1}), text


def test_few_texts_that_differ() -> None:
    schema = {
        "type": "array",
        "items": {"type": "string", "pattern": "^(a|é{2}|b{200,300})$", "maxLength": 2},
        "uniqueItems": True,
    }
    grammar = Grammar.from_json_schema(schema)
    for length in range(4):
        for items in itertools.product(["a", "éé", "b" * 200], repeat=length):
            expected = len(set(items)) == length and "b" * 200 not in items
            assert grammar.check(json.dumps(items)).ok == expected


@pytest.mark.parametrize("bounds", [{"maxLength": 2}, {"minLength": 1001, "maxLength": 1001}, {"minLength": 4000}])
def test_lengths_that_no_text_has(bounds: dict[str, int]) -> None:
    with pytest.raises(UnsatisfiableSchema):
        Grammar.from_json_schema({"type": "string", "pattern": "^aaa((bb){0,600}|c{300})aaa$", **bounds})
