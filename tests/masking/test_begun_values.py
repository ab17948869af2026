"""Masks where a value may begin, of vocabularies with tokens that hold whole values and go on behind them."""

from __future__ import annotations

import itertools
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.masking.laws import mask_of
from tests.reference import Recognised, allowed_tokens
from tokamask.grammar.arena import STEPS
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

BLANKS = [b"", b" ", b"\n", b"\n  ", b"  ", b"\r\n"]
VALUES = [
    *(b"1", b"12", b"-3", b"0.5", b"true", b"null", b'""', b'"a"', b'"ab"', b'"\\""', b'"\\u0061"', b'","', b'"]"'),
    *(b"[]", b"[1]", b'["a"]', b"[[],1]", b"{}", b"{ }", b'{"a":1}', b'{"a":{"a":[]}}'),
]
BEGUN = [
    *(b"1", b"-", b"tr", b"nul", b'"', b'"a', b'"ab', b'"\\', b'"\xc3'),
    *(b"[", b"[ ", b"[1", b'["', b"{", b'{"', b'{"a'),
]
BEHIND = [b",", b"]", b"}", b" ", b"\n", b"]}", b"},", b", ", b',"', b', "b": ', b",1", b",\n  ", b", [", b":", b'"']

SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "texts and numbers": {
        "properties": {
            "a": {"type": ["integer", "string"], "maxLength": 1},
            "b": {"enum": [1, 12, "a", "ab", [1], None]},
            "c": {"type": "string", "pattern": "^a?b?$"},
            "d": {"type": ["string", "null"]},
        },
        "type": "object",
        "additionalProperties": {"type": "number"},
    },
    "arrays and objects": {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": ["integer", "string"]}, "maxItems": 2},
            "b": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "array"}], "minItems": 1},
            "c": {"anyOf": [{"type": "array", "items": {"type": "null"}}, {"type": "object", "required": ["a"]}]},
            "d": {"$ref": "#"},
        },
    },
    "items that differ": {
        "type": "object",
        "properties": {"a": {"type": "array", "uniqueItems": True, "items": {"enum": [1, 12, "a", None, True]}}},
        "additionalProperties": {"type": "array", "uniqueItems": True},
    },
    "counted": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "array", "maxItems": 1}},
}
DOCUMENTS = [
    b'{"a":1,"b":12,"c":"ab","d":null}',
    b'{ "d": {"a": [1, "a"], "b": [ 1, []]}, "a": [ ], "c": {"a": 1}, "x": [1, "a", null]}',
    b'{"a": [1, 12, "a",\n  null], "b":\n  [1, [], 2], "x": [[]]}',
    b'{"a": "a", "b": [1], "c": [null, null], "d": "ab", "y": 0.5}',
]


@cache
def going_on() -> Vocabulary:
    """Beginnings of values and whole ones, with blanks before, and with what may follow one."""
    generator = random.Random(11)
    tokens = {bytes([byte]) for byte in b'"{}[]:, \n\r\\abcdxnutrulesf0123.-\xc3\xa9'}
    tokens |= {blanks + begun for blanks in BLANKS for begun in BEGUN}
    for blanks, value in itertools.product(BLANKS, VALUES):
        tokens |= {blanks + value, *(blanks + value + behind for behind in generator.sample(BEHIND, 4))}
    return Vocabulary([*sorted(tokens), None], [len(tokens)])


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("policy", ["none", "one-space", 2, "any"])
def test_masks_where_values_may_begin(name: str, policy: str | int, tmp_path: Path) -> None:
    """And in blanks before them, at every such place of some documents."""
    vocabulary = going_on()
    grammar = Grammar.from_json_schema(SCHEMAS[name], whitespace=policy, property_order="any")
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    places = 0
    for document in DOCUMENTS:
        matcher, state = compiled.matcher(), language.start()
        text = document if policy != "none" else document.replace(b" ", b"").replace(b"\n", b"")
        for at in range(len(text)):
            if text[:at].rstrip(b" \n")[-1:] in (b":", b"[", b",", b"{"):
                expected = allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
                assert mask_of(matcher) == expected, text[:at]
                places += 1
            following = language.step(state, text[at : at + 1])
            if following is None:
                break
            state = following
            matcher.accept_bytes(text[at : at + 1])
    assert places >= 8


def test_values_are_read_once(tmp_path: Path) -> None:
    """Where values of a kind may begin later, nothing is read, wherever they stand and whatever comes behind."""
    tokens = [*(blanks + begun for blanks in (b"", b" ") for begun in BEGUN + VALUES), b":", b","]
    schema = {
        "type": "object",
        "properties": {name: {"$ref": "#/$defs/value"} for name in "abcd"},
        "additionalProperties": {"type": "array", "minItems": 4, "items": {"$ref": "#/$defs/value"}},
        "$defs": {"value": {"type": ["string", "array", "number"], "maxLength": 3, "items": {"type": "boolean"}}},
    }
    grammar = Grammar.from_json_schema(schema, property_order="any")
    compiled = GrammarCompiler(Vocabulary(tokens, []), tmp_path).compile(grammar)
    steps = []
    for text in (b'{"a":', b'{"d":1,"b":', b'{"a":1,"c":"","b":', b'{"x":[1,', b'{"x":[1,"",', b'{"y":['):
        matcher = compiled.matcher()
        matcher.accept_bytes(text)
        before = int(compiled.engine.arena[STEPS])
        assert mask_of(matcher)
        steps.append(int(compiled.engine.arena[STEPS]) - before)
    assert steps[0] > 0
    assert steps[1:] == [0] * 5
