"""Masks where tokens begin, go on and end inside strings and keys, against the byte-level recogniser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference import Recognised, allowed_tokens
from tests.strategies import NASTY
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

LONG = 300  # more bytes than a node of the token trie can say are below it
TOKENS = [
    *NASTY,
    *(b'"aaa', b'"aaaa', b'"aaaaa"', b'": "aaaa', b', "a', b', "ab', b'{"ab', b'{"a_b":', b'["aaa', b'["a", "aaa"'),
    *(b'"a\\u0061', b'\\u0061"', b'b\\u0061":', b'\\u005f"', b'\\u00e9"', b'\\""', b'\\\\":', b'\\n"', b'_"', b'_":'),
    *('"é'.encode(), 'é"'.encode(), b'"\xc3', b'"\xff', b'"a\x01', b'"\xe2\x82', "a€".encode(), b'"\xed\xa0', b'"\\na'),
    *(b'_b"', b'_b": "', b'b": 1', b'"x": ', b'"-', b"2024", b"-0", b'1-"', b"4-2", b"aaaa", b"bbbb", b"_a_"),
    *(b'"' + b"a" * LONG, b"a" * LONG, b"a" * LONG + b'"', b'["' + b"a" * LONG + b'"]'),
]
NAMES = ["a", "ab", "a_", "a_b", 'a"', "é", "a\\", "_"]


def an_object(*required: str, **more: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "string"} for name in NAMES}
    properties["ab"] = {"type": "integer"}
    return {"type": "object", "properties": properties, "required": list(required), **more}


CASES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, 'aé"b\n'),
    ({"type": "array", "items": {"type": "string", "maxLength": 4}}, ["", "aaaa", "é_"]),
    ({"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 5}}, ["aé", "aaaaa"]),
    ({"type": "array", "items": {"type": "string", "maxLength": LONG - 1}}, ["a" * 3]),
    ({"type": "array", "items": {"type": "string", "maxLength": LONG}}, ["a" * 3]),
    ({"type": "string", "minLength": 3}, "aab"),
    (an_object(), {"a": "a", "ab": 1, "a_": "a", "x": [1]}),
    (an_object("a_b", additionalProperties={"type": "string", "maxLength": 4}), {"a_": "", "a_b": "aa", "x": "a"}),
    (an_object("ab", "é", additionalProperties=False), {'a"': "a", "a\\": "", "ab": 10, "é": "é", "_": "_"}),
    ({"anyOf": [an_object("a"), {"properties": {"a_": {"const": 1}}, "required": ["a_"]}]}, {"a_": 1, "a": "a"}),
    ({"items": {"pattern": "^(a+_?)+b?$", "type": "string"}}, ["aa_a", "a_b"]),
    ({"items": {"pattern": "^[a-c]{2,3}(_[0-9]+)?$", "type": "string"}}, ["aab", "ab_1"]),
    ({"items": {"pattern": "_", "type": "string", "maxLength": 6}}, ["a_aa", "é_"]),
    ({"items": {"type": "string", "format": "date"}}, ["2024-02-29"]),
]


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("escapes", ["json", "minimal"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_masks_behind_every_prefix(case: int, escapes: Any, order: Any, tmp_path: Path) -> None:
    schema, document = CASES[case]
    vocabulary = Vocabulary([*TOKENS, None], [len(TOKENS)])
    grammar = Grammar.from_json_schema(schema, property_order=order, escapes=escapes)
    matcher = GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher()
    language = Recognised(grammar)
    bitmask = allocate_bitmask(1, vocabulary.size)
    state = language.start()
    for byte in json.dumps(document, ensure_ascii=False).encode():
        expected = allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
        matcher.fill_bitmask(bitmask, 0)
        assert set(np.flatnonzero(unpack_row(bitmask[0], vocabulary.size)).tolist()) == expected
        after = language.step(state, bytes([byte]))
        if after is None:  # properties out of the declared order
            return
        state = after
        matcher.accept_bytes(bytes([byte]))
    assert matcher.is_accepting
