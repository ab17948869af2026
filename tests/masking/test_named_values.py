"""Masks inside keys, of vocabularies with tokens that close a key and go on, against the byte-level recogniser."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.masking.laws import mask_of
from tests.reference import Recognised, allowed_tokens
from tokamask.grammar.arena import CONFIGURATION_COUNT
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

BEFORE = [b"", b"a", b"b", b"ab", b"x", b"\\u0061", b"\\", b"\xc3\xa9", b"\xa9"]
COLONS = [b"", b" ", b":", b" :", b": ", b" : ", b":\n  ", b"\r:", b":\r", b"::", b": :"]
VALUES = [
    *(b"1", b"12", b"-", b"t", b"true", b"nul", b"null", b'"', b'""', b'"a', b'"a"', b'"\\"', b'"\\""', b'"}"'),
    *(b"{", b"{}", b'{"', b'{"a":', b'{"a":1}', b'{"a":[{}]}', b"[", b"[]", b"[1", b'["]"]', b"[[1],[]]", b"[ ]", b"]"),
]
BEHIND = [b",", b" ", b"}", b"]", b', "', b',"a', b',"b":', b"},", b"}}", b" , ", b"\n}"]

SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "closed": {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"]},
            "ab": {"type": "array", "items": {"type": "integer"}},
            "b": {"$ref": "#"},
            "é": {"type": "boolean"},
        },
        "required": ["ab"],
        "additionalProperties": False,
    },
    "open": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "ab": {"type": "object"}, "b": {"maxLength": 1, "type": "string"}},
        "required": ["a", "b"],
        "additionalProperties": {"type": ["array", "null", "string"]},
    },
    "counted": {
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"enum": ["", "a", None]}, "ab": {"type": "array", "maxItems": 0}},
        "minProperties": 2,
        "maxProperties": 3,
    },
    "names of two kinds": {
        "type": "object",
        "properties": {"a": {"type": "object"}},
        "patternProperties": {"^x": {"type": "null"}},
        "additionalProperties": {"type": ["array", "string"]},
    },
}
DOCUMENTS = [
    b'{"a": "", "b": {"ab": [1]}, "ab": []}',
    b'{"b":"a","x":[],"a":1,"ab":{"a":{}}}',
    b'{"\\u0061": 1, "\xc3\xa9": true, "b": null, "xa": null, "ab": []}',
    b'{"xx":null,"xa":"","b":"","a":12}',
]


@cache
def closing_keys() -> Vocabulary:
    """All kinds of tokens that close a key, with and without text before, a value and something behind it."""
    generator = random.Random(7)
    tokens = {bytes([byte]) for byte in b'"{}[]:, \n\\abxnutrule016c\xc3\xa9'}
    tokens |= {before + b'"' + colon for before in BEFORE for colon in COLONS}
    for colon in (b":", b": ", b" : ", b":\n ", b":\r"):
        for value in VALUES:
            tokens.add(b'"' + colon + value)
            tokens |= {b'"' + colon + value + behind for behind in generator.sample(BEHIND, 5)}
            before = generator.choice(BEFORE)
            tokens |= {before + b'"' + colon + value, before + b'"' + colon + value + generator.choice(BEHIND)}
    return Vocabulary([*sorted(tokens), None], [len(tokens)])


@cache
def staying_within() -> Vocabulary:
    """As most vocabularies are: no token goes on behind a value."""
    tokens = {bytes([byte]) for byte in b'"{}[]:, \n\\abxnutrule016c\xc3\xa9'}
    colons = [colon for colon in COLONS if colon.count(b":") == 1]
    tokens |= {before + b'"' + colon + value for before in (b"", b"b") for colon in colons for value in VALUES}
    return Vocabulary([*sorted(tokens), None], [len(tokens)])


@pytest.mark.parametrize("vocabulary", [closing_keys, staying_within], ids=lambda vocabulary: vocabulary.__name__)
@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_masks_at_every_byte(name: str, order: Any, vocabulary: Any, tmp_path: Path) -> None:
    grammar = Grammar.from_json_schema(SCHEMAS[name], property_order=order)
    language = Recognised(grammar)
    tokens = vocabulary()
    compiled = GrammarCompiler(tokens, tmp_path).compile(grammar)
    longest = 0
    for document in DOCUMENTS:
        matcher, state = compiled.matcher(), language.start()
        for at in range(len(document)):
            assert mask_of(matcher) == allowed_tokens(language, state, tokens, tokens.stop_token_ids), document[:at]
            longest = max(longest, at)
            following = language.step(state, document[at : at + 1])
            if following is None:
                break
            state = following
            matcher.accept_bytes(document[at : at + 1])
    assert longest >= 6


@pytest.mark.parametrize("policy", ["none", "one-space", 2, "any"])
def test_blanks_around_the_colon(policy: str | int, tmp_path: Path) -> None:
    vocabulary = closing_keys()
    compiler = GrammarCompiler(vocabulary, tmp_path)
    for schema in SCHEMAS.values():
        grammar = Grammar.from_json_schema(schema, whitespace=policy, property_order="any")
        language = Recognised(grammar)
        for text in (b'{"', b'{"a', b'{"b', b'{"x', b'{"xab', b'{"ab":[],"', b'{"ab":[],"b'):
            state = language.step(language.start(), text)
            if state is None:
                continue
            matcher = compiler.compile(grammar).matcher()
            matcher.accept_bytes(text)
            assert mask_of(matcher) == allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids), text


def test_what_an_object_has_costs_nothing(tmp_path: Path) -> None:
    """Masks inside later keys, wherever the object stands and whatever it has, are put together of what is known."""
    compiler = GrammarCompiler(staying_within(), tmp_path)
    names = [f"n{number}" for number in range(8)]
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {name: {"type": "array", "items": {"$ref": "#"}} for name in names}
    for additional, last in ((False, "n7"), (True, "n7"), (True, "n7x"), ({"type": "object"}, "xx")):
        schema["additionalProperties"] = additional
        compiled = compiler.compile(Grammar.from_json_schema(schema, property_order="any"))
        engine = compiled.engine
        learned = []
        for text in ('{"', *("{" + ",".join(f'"{name}":[]' for name in names[:count]) + ',"' for count in (1, 3, 7))):
            matcher = compiled.matcher()
            matcher.accept_bytes((text + last).encode())
            before = int(engine.arena[CONFIGURATION_COUNT])
            assert mask_of(matcher)
            learned.append(int(engine.arena[CONFIGURATION_COUNT]) - before)
        assert learned[0] > 0
        assert learned[1:] == [0, 0, 0]
