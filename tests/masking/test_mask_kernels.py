"""Masks of a real vocabulary, and of vocabularies that strain the tables, against the byte-level recogniser."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.reference import Recognised, allowed_tokens
from tests.strategies import NASTY
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.recogniser import Recogniser
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary


@cache
def tekken() -> Vocabulary:
    pytest.importorskip("mistral_common", reason="needs the tekken vocabulary inside mistral_common")
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    return Vocabulary.from_tokenizer(MistralTokenizer.v3(is_tekken=True))


def mask_of(matcher: Matcher) -> npt.NDArray[np.bool_]:
    size = matcher.compiled.vocabulary.size
    bitmask = allocate_bitmask(1, size)
    matcher.fill_bitmask(bitmask, 0)
    return unpack_row(bitmask[0], size)


class SortedWalk:
    """Every token in byte order, each resuming the recogniser where it parts from the one before."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._size = vocabulary.size
        pairs = sorted((text, token) for token, text in enumerate(vocabulary.token_bytes) if text is not None)
        self._texts = []
        previous = b""
        for text, token in pairs:
            common = 0
            while common < min(len(previous), len(text)) and previous[common] == text[common]:
                common += 1
            self._texts.append((common, text, token))
            previous = text

    def allowed(self, recogniser: Recogniser, state: int) -> npt.NDArray[np.bool_]:
        row = np.zeros(self._size, dtype=np.bool_)
        states = [state]
        for common, text, token in self._texts:
            del states[common + 1 :]
            # Fewer states than bytes in common: the shared part was refused already.
            if len(states) == common + 1:
                for byte in text[common:]:
                    after = recogniser.move(states[-1], byte)
                    if not after:
                        break
                    states.append(after)
                row[token] = len(states) == len(text) + 1
        return row


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "first name": {"type": "string", "maxLength": 200},
        "id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,}$"},
        "e-mail": {"type": "string", "format": "email"},
        "bio": {"type": "string", "minLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["red", "green", 'a "b"', "naïve"]}, "maxItems": 3},
    },
    "required": ["name", "id"],
}
DOCUMENT = (
    '{"name": "Anne \\"A\\"", "first name": "\\u0041nn\\u00e9", "id": "AB-1234", '
    '"bio": "born in 1901, raised by wolves\\n",'
    " "
    '"age": 99, "tags": ["red", "a \\"b\\""], "x": {"name": [1, null]}}'
)
CASES: dict[str, tuple[Callable[[], Grammar], str]] = {
    "person": (lambda: Grammar.from_json_schema(PERSON), DOCUMENT),
    "person in any order": (lambda: Grammar.from_json_schema(PERSON, property_order="any"), DOCUMENT),
    "closed person": (
        lambda: Grammar.from_json_schema({**PERSON, "additionalProperties": False}, property_order="any"),
        DOCUMENT.split(', "x"')[0] + "}",
    ),
    "anything": (lambda: Grammar.from_json_schema(True), DOCUMENT),
    "short": (
        lambda: Grammar.from_json_schema({"items": {"type": "string", "maxLength": 6}}),
        '["", "abc\\u00e9", "naïve"]',
    ),
    "map of arrays": (
        lambda: Grammar.from_json_schema(
            {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}, "minItems": 2}}
        ),
        '{"a b": [1.5, -2e10], "": [0, 1, 2]}',
    ),
    "pattern": (
        lambda: Grammar.from_json_schema({"type": "string", "pattern": r'^(\w+["/ ]?)+é?$'}),
        '"abc\\"def ghi\\/x\\u00e9"',
    ),
    "regex": (lambda: Grammar.from_regex(r'(?:[a-z]+("[^"\n]*")?[ ,]){1,9}'), 'ab"c d, {" cd e,'),
    "lark": (
        lambda: Grammar.from_lark(
            'start: stmt+\nstmt: NAME "=" expr ";"\nexpr: expr "+" expr | NAME | STRING | "(" expr ")" | INT\n'
            'NAME: /[a-zA-Z_]\\w*/\nSTRING: /"[^"]*"/\nINT: /\\d+/\n%ignore /[ \\n]+/'
        ),
        'x1 = (a + "b c" + 12); yy=z;',
    ),
    "numbers by value": (
        lambda: Grammar.from_json_schema(
            {"items": {"type": "integer", "minimum": -7, "exclusiveMaximum": 1200}}, numbers="full"
        ),
        "[10e-1, 1.150e+03, -0.0, 1199.00, -7E0]",
    ),
    "dates": (
        lambda: Grammar.from_json_schema({"type": "array", "items": {"type": "string", "format": "date"}}),
        '["2024-02-29", "1999-12-31"]',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_all_tokens_of_a_real_vocabulary(name: str) -> None:
    """15 places of each document: every token by a walk of its own, `is_allowed` for a sample and all special ones."""
    generator = random.Random(name)
    vocabulary = tekken()
    make, document = CASES[name]
    grammar = make()
    compiled = GrammarCompiler(vocabulary).compile(grammar)
    recogniser = Recogniser(grammar.program)
    data = document.encode()
    special = [t for t, text in enumerate(vocabulary.token_bytes) if text and set(text) & set(b'"\\\n{}')]
    special = generator.sample(special, 1000) + generator.sample(range(vocabulary.size), 300)
    places = sorted(generator.sample(range(len(data)), min(15, len(data))))
    state, matcher, done = recogniser.start(), compiled.matcher(), 0
    for place in places:
        for byte in data[done:place]:
            state = recogniser.move(state, byte)
        matcher.accept_bytes(data[done:place])
        done = place
        row = mask_of(matcher)
        expected = WALKS().allowed(recogniser, state)
        if recogniser.is_accepting(state):
            expected[list(vocabulary.stop_token_ids)] = True
        assert (row == expected).all(), [vocabulary.token_bytes[t] for t in np.flatnonzero(row != expected)[:20]]
        assert all(matcher.is_allowed(token) == row[token] for token in special)


@cache
def WALKS() -> SortedWalk:
    return SortedWalk(tekken())


@pytest.mark.parametrize("copies", [1, 700, 3000])
def test_many_equal_and_many_found_tokens(copies: int, tmp_path: Path) -> None:
    """More tokens than a list of operations holds go to a row; equal bytes are allowed together."""
    tokens = [b'"}', b"aa", b"}"] * copies + [b"%d" % n for n in range(3000)] + [b'"', b"a", None]
    vocabulary = Vocabulary(tokens, [len(tokens) - 1])
    compiler = GrammarCompiler(vocabulary, tmp_path)
    for grammar, before in [
        (Grammar.from_regex("(a|[0-9])*"), b"1"),
        (
            Grammar.from_json_schema({"type": "object", "properties": {"k": {"type": "string", "maxLength": 3}}}),
            b'{"k": "a',
        ),
        (Grammar.from_json_schema({"type": "object", "additionalProperties": {"type": "integer"}}), b'{"a": 1'),
    ]:
        matcher = compiler.compile(grammar).matcher()
        matcher.accept_bytes(before)
        language = Recognised(grammar)
        expected = allowed_tokens(
            language, language.step(language.start(), before), vocabulary, vocabulary.stop_token_ids
        )
        assert set(np.flatnonzero(mask_of(matcher)).tolist()) == expected
        assert set(np.flatnonzero(mask_of(matcher)).tolist()) == expected


LENGTHS: list[dict[str, Any]] = [
    {"type": "string", "minLength": low, **({} if high is None else {"maxLength": high})}
    for low in (0, 1, 2, 5)
    for high in (None, 0, 1, 2, 3, 5, 8, 40)
    if high is None or low <= high
]


@pytest.mark.parametrize("schema", LENGTHS, ids=str)
def test_lengths_from_every_place_inside_a_character(schema: dict[str, Any], tmp_path: Path) -> None:
    tokens = [
        *NASTY,
        b"\xa9abcdefgh",
        b"\\udc00aaaa",
        b"\\udc00",
        b'\xa9a"',
        b"aaaaaaaaaaaa",
        b'abcdef"',
        b'\\udc00ab"',
        None,
    ]
    vocabulary = Vocabulary(tokens, [len(tokens) - 1])
    grammar = Grammar.from_json_schema(schema)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    for before in (b'"', b'"a', b'"ab', b'"abc', b'"abcd'):
        for inside in (b"", b"\\", b"\\u", b"\\ud", b"\\u00e", b"\\ud83d", b"\\ud83d\\u", b"\xc3", b"\xf0\x9f"):
            state = language.step(language.start(), before + inside)
            if state is None:
                continue
            matcher = compiled.matcher()
            matcher.accept_bytes(before + inside)
            expected = allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
            assert set(np.flatnonzero(mask_of(matcher)).tolist()) == expected, before + inside


def test_tokens_longer_than_whole_documents(tmp_path: Path) -> None:
    tokens: list[bytes | None] = [
        b"[" * 40 + b"]" * 40,
        b"[" * 300,
        b"]" * 300,
        b"a" * 5000,
        b'"' + b"a" * 4000 + b'"',
        b"[",
        b"]",
    ]
    vocabulary = Vocabulary([*tokens, None], [len(tokens)])
    grammar = Grammar.from_json_schema({"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "string"}]})
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    matcher = compiled.matcher()
    assert np.flatnonzero(mask_of(matcher)).tolist() == [0, 1, 4, 5]
    matcher.accept_token(1)
    assert np.flatnonzero(mask_of(matcher)).tolist() == [0, 1, 2, 4, 5, 6]
    matcher.accept_token(2)
    assert np.flatnonzero(mask_of(matcher)).tolist() == [7]


def test_deep_nesting(tmp_path: Path) -> None:
    vocabulary = Vocabulary([b"[", b"]", b"[[", b"]]", b",", None], [5])
    grammar = Grammar.from_json_schema({"type": "array", "items": {"$ref": "#"}}, whitespace="none")
    matcher = GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher()
    for _ in range(5000):
        matcher.accept_token(0)
    assert np.flatnonzero(mask_of(matcher)).tolist() == [0, 1, 2, 3]
    assert matcher.min_tokens_left() == 2500 + 1
    assert len(matcher.shortest_completion()) == 2501
    matcher.accept_bytes(b"]" * 5000)
    assert matcher.is_accepting
    matcher.rollback(1)
    matcher.rollback(4999)
    assert np.flatnonzero(mask_of(matcher)).tolist() == [0, 1, 2]
    matcher.rollback(1)
    assert np.flatnonzero(mask_of(matcher)).tolist() == [0, 2]
