"""Items that must differ and names that may not come twice: masks and budgets against listed and judged documents."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.masking.laws import check_state, mask_of
from tests.reference import FiniteTexts, Recognised, allowed_tokens
from tests.strategies import byte_vocabulary, random_vocabulary
from tokamask.errors import TokenRejected
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary


def spelled(value: Any) -> Iterator[str]:
    """Every way of writing a value without blanks or escapes, with the properties in every order."""
    if isinstance(value, dict):
        for order in itertools.permutations(value):
            for members in itertools.product(*[list(spelled(value[name])) for name in order]):
                pairs = zip(order, members, strict=True)
                yield "{" + ",".join(f"{json.dumps(name)}:{member}" for name, member in pairs) + "}"
    elif isinstance(value, list):
        for items in itertools.product(*[list(spelled(item)) for item in value]):
            yield "[" + ",".join(items) + "]"
    else:
        yield json.dumps(value)


def arrays(values: list[Any], most: int) -> Iterator[list[Any]]:
    for length in range(most + 1):
        yield from (list(items) for items in itertools.product(values, repeat=length))


def objects(names: str, values: list[Any]) -> Iterator[dict[str, Any]]:
    for count in range(len(names) + 1):
        for some in itertools.combinations(names, count):
            for chosen in itertools.product(values, repeat=count):
                yield dict(zip(some, chosen, strict=True))


LETTERS = ["", "a", "b", "ab"]
FEW = {"enum": [*"abcdefgh", "ab", "abc", "b1", "b2"]}
PAIR = {
    "type": "object",
    "properties": {"a": {"type": "integer", "enum": [1, 2]}, "b": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}
# Schemas without end of values are cut to texts that can be listed; whatever is longer is not asked about.
FINITE: dict[str, tuple[dict[str, Any], Callable[[], Iterator[Any]]]] = {
    "listed values": (
        {"type": "array", "items": FEW, "minItems": 1, "maxItems": 2, "uniqueItems": True},
        lambda: arrays(FEW["enum"], 2),
    ),
    "more places than values": (
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 8, "maximum": 11},
            "uniqueItems": True,
            "minItems": 3,
        },
        lambda: arrays([8, 9, 10, 11], 4),
    ),
    "objects": (
        {"type": "array", "items": PAIR, "uniqueItems": True, "maxItems": 2},
        lambda: arrays(list(objects("ab", [1, 2, True, False])), 2),
    ),
    "arrays of arrays": (
        {
            "type": "array",
            "items": {"type": "array", "items": {"enum": [None, "a", True]}, "maxItems": 2},
            "uniqueItems": True,
            "maxItems": 2,
        },
        lambda: arrays(list(arrays([None, "a", True], 2)), 2),
    ),
    "differing inside and out": (
        {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": "integer", "minimum": 11, "maximum": 22},
                "maxItems": 2,
                "minItems": 1,
                "uniqueItems": True,
            },
            "uniqueItems": True,
            "maxItems": 2,
        },
        lambda: arrays([list(items) for items in arrays(list(range(11, 23)), 2)], 2),
    ),
    "places of their own": (
        {
            "type": "array",
            "prefixItems": [{"type": "boolean"}, {"type": "boolean"}, {"enum": [True, False, "x", "xy", None]}],
            "items": False,
            "minItems": 2,
            "uniqueItems": True,
        },
        lambda: arrays([True, False, "x", "xy", None], 3),
    ),
    "objects within objects": (
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"o": {**PAIR, "required": []}},
                "required": ["o"],
                "additionalProperties": False,
            },
            "uniqueItems": True,
            "minItems": 2,
            "maxItems": 2,
        },
        lambda: arrays([{"o": value} for value in objects("ab", [1, 2, True, False])], 2),
    ),
}


def listed(name: str) -> FiniteTexts:
    schema, values = FINITE[name]
    validator = Draft202012Validator(schema)
    return FiniteTexts(text.encode() for value in values() if validator.is_valid(value) for text in spelled(value))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FINITE)
def test_masks_of_listed_documents(name: str, seed: int, tmp_path: Path) -> None:
    schema = FINITE[name][0]
    generator = random.Random(f"{name} {seed}")
    language = listed(name)
    assert len(language.texts) > 5
    vocabulary = random_vocabulary(generator, generator.choices(sorted(language.texts), k=20), 60)
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none", escapes="minimal")
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    for prefix in [b"", *generator.choices(sorted(language.prefixes), k=60)]:
        matcher = compiled.matcher()
        matcher.accept_bytes(prefix)
        check_state(matcher, language, prefix)


ENDLESS: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "anything": ({"uniqueItems": True}, [b'[1,"a",{"a":[1]},true,[true,1.5]]', b'[{"a":1,"b":2},{"b":3,"a":1}]']),
    "strings": (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 3},
        [b'["a","b","ab",""]', '["é","e","\\\\"]'.encode()],
    ),
    "patterns": (
        {"type": "array", "items": {"type": "string", "pattern": "^(ab?)+$"}, "uniqueItems": True, "minItems": 2},
        [b'["ab","a","aba"]', b'["aab","aa"]'],
    ),
    "numbers": (
        {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "uniqueItems": True, "minItems": 4},
        [b"[1,0,0.5,0.25,0.125]", b"[1.0,0.0,0.10,0.01]"],
    ),
    "integers": (
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 12},
        [b"[1,2,3,4,5,6,7,8,9,10,11,12]", b"[0,-1,-2,11,12,13,14,15,16,17,18,19]"],
    ),
    "records": (
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"n": {"type": "string", "maxLength": 1}, "k": {"type": "boolean"}},
                "required": ["n"],
                "additionalProperties": False,
            },
            "uniqueItems": True,
            "minItems": 3,
        },
        [b'[{"n":"a"},{"n":"b","k":true},{"k":true,"n":"a"}]', b'[{"n":""},{"n":"x","k":true},{"k":false,"n":"x"}]'],
    ),
    "names": ({"type": "object", "minProperties": 3}, [b'{"a":1,"b":2,"ab":3}', b'{"":1,"aa":"x","\\\\":{}}']),
    "a witness": (
        {"type": "object", "properties": {"a": {}}, "not": {"additionalProperties": {"type": "string"}}},
        [b'{"a":1,"b":"x","c":2}', b'{"b":"x","aa":{}}'],
    ),
    "contained": (
        {"type": "array", "contains": {"minimum": 5}, "items": {"type": "integer"}, "uniqueItems": True, "minItems": 3},
        [b"[1,5,10]", b"[51,-1,0,2]"],
    ),
    "names within items": (
        {
            "type": "array",
            "items": {"type": "object", "minProperties": 2, "additionalProperties": {"type": "boolean"}},
            "uniqueItems": True,
            "minItems": 2,
        },
        [b'[{"a":true,"b":true},{"b":true,"c":false}]'],
    ),
}


def endless(name: str) -> Grammar:
    return Grammar.from_json_schema(ENDLESS[name][0], property_order="any", whitespace="none")


@pytest.mark.parametrize("name", ENDLESS)
def test_masks_along_documents(name: str, tmp_path: Path) -> None:
    """The byte-level recogniser says what may follow, the masks must say the same."""
    grammar = endless(name)
    generator = random.Random(name)
    samples = ENDLESS[name][1]
    for sample in samples:
        assert grammar.check(sample).ok, sample
    vocabulary = random_vocabulary(generator, samples, 60)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    for sample in samples:
        for end in range(0, len(sample) + 1, 2):
            matcher = compiled.matcher()
            matcher.accept_bytes(sample[:end])
            check_state(matcher, language, language.step(language.start(), sample[:end]))


# Texts that say things twice: valid up to some place, parts of them forbidden from there on.
REPEATING: dict[str, tuple[dict[str, Any], bytes]] = {
    "strings": (ENDLESS["strings"][0], b'["a", "b", "ab", "", "a", "b"]'),
    "anything": (ENDLESS["anything"][0], b'[["a"],"a",["a"],{"b":"a"},1,"a",1,{"b":"a"}, "a"]'),
    "patterns": (ENDLESS["patterns"][0], b'["ab","a","aab","a","ab"]'),
    "few values": (
        {"type": "array", "items": FEW, "uniqueItems": True, "minItems": 2},
        json.dumps([*FEW["enum"], "a"], separators=(",", ":")).encode(),
    ),
    "arrays": (
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}, "uniqueItems": True},
        b'[["a","b"],[],["a"],["a","b"],["b","a"],[],["a"]]',
    ),
    "names": (ENDLESS["names"][0], b'{"a":1,"b":{"a":1},"ab":"b","a":2,"b":"c"}'),
    "values used elsewhere": (
        {"type": "array", "prefixItems": [FEW, FEW], "items": {"enum": ["a", "b"]}, "uniqueItems": True},
        b'["a","b","a"]',
    ),
    "names of items": (ENDLESS["anything"][0], b'[{"a":1,"ab":"a","a":"b","ab":1}]'),
    "names within items": (ENDLESS["names within items"][0], b'[{"a":true,"b":true},{"b":true,"a":true},{"a":true}]'),
}


@pytest.mark.parametrize("longest", [3, 5, 12])
@pytest.mark.parametrize("name", REPEATING)
def test_tokens_that_end_a_text_and_go_on(name: str, longest: int, tmp_path: Path) -> None:
    """The parts of such a text are tokens: what is forbidden also comes behind the quote that ends something new."""
    schema, text = REPEATING[name]
    parts = {text[start : start + length] for start in range(len(text)) for length in range(1, longest + 1)}
    escaped = (b'\\"', b'\\"a", "a', b'\\u0061", "b"', b'c\\"","a"', b'"]x[1,1]')
    tokens = sorted(parts | {b"c" + part for part in parts} | {token for token in escaped if len(token) <= longest})
    grammar = Grammar.from_json_schema(schema, property_order="any")
    vocabulary = Vocabulary([*tokens, None], [len(tokens)])
    warm = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    for end in range(len(text)):
        for prefix in (text[:end], text[:end] + b"c", text[:end] + b'\\"'):
            state = language.step(language.start(), prefix)
            if state:
                expected = allowed_tokens(language, state, vocabulary, [len(tokens)])
                # What was read before another text is still known, and then less is passed over.
                for compiled in (warm, GrammarCompiler(vocabulary, tmp_path).compile(grammar)):
                    matcher = compiled.matcher()
                    matcher.accept_bytes(prefix)
                    assert mask_of(matcher) == expected, prefix


@pytest.mark.parametrize("name", ENDLESS)
def test_walks_within_budgets_are_valid(name: str, tmp_path: Path) -> None:
    """Every budgeted walk ends in time, with a document that jsonschema accepts and without a name twice."""
    schema, samples = ENDLESS[name]
    validator = Draft202012Validator(schema)
    generator = random.Random(name)
    for vocabulary in (byte_vocabulary(), random_vocabulary(generator, samples, 60)):
        compiled = GrammarCompiler(vocabulary, tmp_path).compile(endless(name))
        for _ in range(8):
            matcher = compiled.matcher()
            sample = generator.choice(samples)
            begun = sample[: generator.randrange(len(sample))]
            matcher.accept_bytes(begun)
            try:
                completion = matcher.shortest_completion()
            except TokenRejected:
                continue
            assert len(completion) == matcher.min_tokens_left()
            fork = matcher.fork()
            for token in completion:
                fork.accept_token(token)
            assert fork.is_accepting
            text = bytearray(begun)
            for tokens_left in range(len(completion) + generator.choice((0, 1, 3, 20)), 0, -1):
                allowed = sorted(mask_of(matcher, tokens_left))
                assert allowed, (text, tokens_left)
                token = generator.choice(allowed)
                matcher.accept_token(token)
                text += vocabulary.token_bytes[token] or b""
                if matcher.is_terminated or (not matcher.stop_token_ids and matcher.is_accepting):
                    break
            assert matcher.is_accepting
            value = json.loads(text, object_pairs_hook=without_repetition)
            assert validator.is_valid(value), text


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    assert len(value) == len(pairs)
    return value
