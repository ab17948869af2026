"""Where tokens lead, told without a look at each: budgeted masks inside texts, against the distance behind every token.

The vocabulary has what text can be made of: words of characters of one to four bytes, cut anywhere; words that close a
text and go on, into another one even; the digits and letters of escapes with text behind them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tokamask.errors import TokenRejected
from tokamask.grammar.grammar import Grammar
from tokamask.masking import requests
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary

WORDS = [
    "ab",
    "ba",
    "aé",
    "éa",
    "€a",
    "a€€",
    "😀b",
    "abababab",
    "éé",
    "aaaaaaaaaaaaaaaaaaaaaaaaa",
    "\ud7ff",
    "\U0010fffd",
]
CUT = [word.encode()[begin:end] for word in WORDS for begin in range(3) for end in range(begin + 2, begin + 7)]
CLOSING = [
    b'"}',
    b'a"',
    b'ab"]',
    b'\xa9"',
    b'\x80"',
    b'", "',
    b'","ab',
    b'\xc3\xa9", "a',
    b'":',
    b'a": "',
    b'":"ab',
    b'b":"',
]
ESCAPES = [
    b"\\n",
    b"\\u",
    b"a\\",
    b"00",
    b"0e",
    b"00eab",
    b"e9a",
    b'9"',
    b"d83d",
    b"d83d\\",
    b"\\ude00",
    b"nab",
    b'\\"a',
    b'"a',
]
TOKENS = list(
    dict.fromkeys([*(bytes([byte]) for byte in range(256)), *CUT, *map(str.encode, WORDS), *CLOSING, *ESCAPES])
)
VOCABULARY = Vocabulary([*TOKENS, None, None], [len(TOKENS), len(TOKENS) + 1])

STRING: dict[str, Any] = {"type": "string"}
TEXTS: dict[str, Any] = {
    "plain": STRING,
    "at least": {**STRING, "minLength": 4},
    "at most": {**STRING, "maxLength": 6},
    "at most many": {**STRING, "maxLength": 40},
    "between": {**STRING, "minLength": 3, "maxLength": 12},
    "exactly": {**STRING, "minLength": 5, "maxLength": 5},
    "two of them": {"anyOf": [{**STRING, "maxLength": 2}, {**STRING, "minLength": 4}]},
    "in an array": {"type": "array", "items": STRING, "minItems": 2},
    "at most, in an array": {"type": "array", "items": {**STRING, "maxLength": 7}, "minItems": 2},
    "open object": {"type": "object", "properties": {"ab": STRING, "aé": {"const": 1}}},
    "dear names": {"type": "object", "properties": {"a": {"const": "b"}}, "additionalProperties": {"const": "bbbbbb"}},
    "closed object": {"type": "object", "properties": {"ab": STRING, "aé": STRING}, "additionalProperties": False},
    "other names": {"type": "object", "patternProperties": {"^a": {"const": 1}}, "additionalProperties": STRING},
    "pattern": {**STRING, "pattern": "^[ab]*é?$"},
}
OPENINGS = [b'"', b'"a', b'["', b'["a","', b'{"', b'{"a', b'{"ab', b'{"b', b'{"b":"a']
INSIDE = [
    b"",
    b"\\",
    b"\\u",
    b"\\u0",
    b"\\u00e",
    b"\\ud",
    b"\\ud83",
    b"\\ud83d",
    b"\\ud83d\\",
    b"\xc3",
    b"\xe2",
    b"\xf0\x9f",
]
BUDGETS = (*range(1, 9), 12, 16, 30, 60)


def allowed(matcher: Matcher, tokens_left: int | None = None) -> list[int]:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    tokens: list[int] = np.flatnonzero(unpack_row(bitmask[0], matcher.compiled.vocabulary.size)).tolist()
    return tokens


def needed(matcher: Matcher, token: int) -> int:
    """The tokens left that suffice to choose this one."""
    fork = matcher.fork()
    fork.accept_token(token)
    return 1 + fork.min_tokens_left()


@pytest.mark.parametrize("escapes", ["json", "minimal"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_place_inside_a_text(name: str, escapes: Any, tmp_path: Path) -> None:
    grammar = Grammar.from_json_schema(TEXTS[name], property_order="any", escapes=escapes)
    compiled = GrammarCompiler(VOCABULARY, tmp_path).compile(grammar)
    places = dropped = 0
    for opening in OPENINGS:
        for inside in INSIDE:
            matcher = compiled.matcher()
            try:
                matcher.accept_bytes(opening + inside)
            except TokenRejected:
                continue
            places += 1
            row = allowed(matcher)
            sufficient = {token: needed(matcher, token) for token in row}
            for budget in BUDGETS:
                expected = [token for token in row if sufficient[token] <= budget]
                assert allowed(matcher, budget) == expected, (opening + inside, budget)
                dropped += len(row) - len(expected)
    assert places >= 4
    assert dropped > 40


def test_a_stop_token_that_would_be_text(tmp_path: Path) -> None:
    """It is allowed where the text may end, and nowhere else, whatever place its text would lead to."""
    compiled = GrammarCompiler(VOCABULARY, tmp_path).compile(Grammar.from_json_schema({"type": ["string", "null"]}))
    for stop in (b"ab", b'a"', b"\xc3", b"a"):
        matcher = compiled.matcher(stop_token_ids=[TOKENS.index(stop)])
        matcher.accept_bytes(b'"a')
        for budget in BUDGETS:
            assert TOKENS.index(stop) not in allowed(matcher, budget)
            assert (TOKENS.index(b'"') in allowed(matcher, budget)) == (budget > 1)
        matcher.accept_bytes(b'"')
        for budget in BUDGETS:
            assert TOKENS.index(stop) in allowed(matcher, budget)


def test_a_stop_token_whose_text_would_lead_too_far(tmp_path: Path) -> None:
    compiled = GrammarCompiler(VOCABULARY, tmp_path).compile(Grammar.from_regex("a+(b{9})?"))
    stop = TOKENS.index(b"ab")
    matcher = compiled.matcher(stop_token_ids=[stop])
    matcher.accept_bytes(b"a")
    for budget in BUDGETS:
        assert stop in allowed(matcher, budget)


@cache
def tekken() -> Vocabulary:
    pytest.importorskip("mistral_common", reason="needs the tekken vocabulary inside mistral_common")
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    return Vocabulary.from_tokenizer(MistralTokenizer.v3(is_tekken=True))


REAL: dict[str, tuple[Any, bytes]] = {
    "plain": ({"properties": {"a": STRING}, "type": "object"}, b'{"a": "It'),
    "open key": ({"properties": {"name": STRING, "nap": {"const": 1}}, "type": "object"}, b'{"na'),
    "undeclared key": ({"properties": {"name": STRING}, "type": "object", "required": ["name"]}, b'{"x'),
    "at most": ({"type": "array", "items": {**STRING, "maxLength": 24}}, b'["b'),
    "at least": ({"type": "array", "items": {**STRING, "minLength": 6}}, b'["b'),
    "escape": ({"type": "array", "items": STRING}, b'["\\u00'),
    "amid a character": ({"type": "array", "items": STRING}, b'["\xf0\x9f'),
}


@pytest.mark.parametrize("name", REAL)
def test_the_tokens_of_a_real_vocabulary(name: str) -> None:
    """Each token on its own: where it leads, and how far from there the end is."""
    schema, text = REAL[name]
    compiled = GrammarCompiler(tekken()).compile(Grammar.from_json_schema(schema, property_order="any"))
    matcher = compiled.matcher()
    matcher.accept_bytes(text)
    engine = compiled.engine
    configuration = engine.read(engine.start, text)
    behind = {token: engine.call(requests.ACCEPT, configuration, token) for token in allowed(matcher)}
    lengths = {target: engine.shortest.length(target) for target in set(behind.values())}
    shortest = matcher.min_tokens_left()
    for budget in (shortest, shortest + 1, shortest + 2, shortest + 5, shortest + 20):
        # One token is the one to be chosen, one the stop token.
        expected = [token for token, target in behind.items() if lengths[target] + 2 <= budget]
        assert allowed(matcher, budget) == expected, budget
