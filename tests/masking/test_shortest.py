"""Shortest completions and budgets where they are hard: escapes, missing bytes, nesting, large vocabularies."""

from __future__ import annotations

import itertools
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.reference import Recognised, token_distances
from tests.strategies import GROWING, NASTY, byte_vocabulary
from tokamask.errors import CompileBudgetExceeded, TokenRejected
from tokamask.grammar.grammar import Grammar
from tokamask.masking import requests
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary


def printable(extra: tuple[bytes, ...] = (), missing: bytes = b"") -> Vocabulary:
    """Every byte but `missing` as a token, some more, and two stop tokens at the end."""
    tokens = [bytes([byte]) for byte in range(256) if byte not in missing] + list(extra)
    return Vocabulary([*tokens, None, None], [len(tokens), len(tokens) + 1])


def allowed(matcher: Matcher, tokens_left: int | None = None) -> list[int]:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    tokens: list[int] = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")).tolist()
    return tokens


def text_of(compiled: CompiledGrammar, tokens: list[int]) -> bytes:
    return b"".join(compiled.vocabulary.token_bytes[token] or b"" for token in tokens)


def walk(matcher: Matcher, tokens_left: int, generator: random.Random) -> bytes:
    """A walk under budgeted masks that puts off the end; asserts that it ends in time. Returns its text."""
    written: list[int] = []
    stops = set(matcher.stop_token_ids)
    while not matcher.is_terminated:
        assert len(written) < tokens_left
        row = allowed(matcher, tokens_left - len(written))
        assert row, "a budget that sufficed no longer does"
        written.append(generator.choice([token for token in row if token not in stops] or row))
        matcher.accept_token(written[-1])
    return text_of(matcher.compiled, written)


SCHEMAS: dict[str, Any] = {
    "const with controls": {"const": "a\nb\x01"},
    "astral pattern": {"type": "string", "pattern": "^\U0001f600+$"},
    "pattern of any character": {"type": "string", "pattern": "^.{3}x$"},
    "required slash": {"type": "string", "pattern": '^(/|\\\\|"){2}$'},
    "many required": {
        "type": "object",
        "properties": {f"p{i}": {"enum": ["x" * i, i]} for i in range(1, 9)},
        "required": [f"p{i}" for i in range(1, 9, 2)],
    },
    "awkward names": {
        "type": "object",
        "properties": {'"': {"type": "null"}, "\n": {"type": "null"}, "\U0001f600": {"type": "null"}, "\x01": True},
        "required": ['"', "\n", "\U0001f600", "\x01"],
        "additionalProperties": False,
    },
    "nested minItems": {
        "type": "array",
        "minItems": 3,
        "items": {"type": "array", "minItems": 2, "items": {"type": "string", "minLength": 2}},
    },
    "prefix": {
        "type": "array",
        "prefixItems": [{"const": [1, 2]}, {"type": "object", "required": ["k"]}],
        "minItems": 4,
    },
    "recursion": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "v": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["v", "next"],
                "additionalProperties": False,
            }
        },
    },
    "short or long": {"anyOf": [{"type": "string", "minLength": 40}, {"enum": ["a", "bc"]}]},
    "short or long value": {
        "anyOf": [
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 30}}, "required": ["a"]},
            {"type": "object", "properties": {"a": {"enum": ["x", 1]}}, "required": ["a"]},
        ]
    },
    "dear extras": {
        "type": "object",
        "properties": {"cheap": {"type": "null"}, "c": {"type": "null"}},
        "additionalProperties": {"type": "array", "minItems": 15},
    },
}


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("vocabulary", ["bytes", "words", "no quote", "no hex"])
def test_completions_validate_and_budgets_hold(name: str, order: Any, vocabulary: str, tmp_path: Path) -> None:
    generator = random.Random(f"{name} {order} {vocabulary}")
    schema = SCHEMAS[name]
    validator = jsonschema.Draft202012Validator(schema)
    words = {
        "bytes": printable(),
        "words": printable((*NASTY, b'","', b'": "', b'"]', b"]]", b"aaaaaaaa", b"\\u0001", b'"p0":', b"    ")),
        "no quote": printable(
            (b'{"', b'"}', b'":', b'"', b',"', b'["', b'"]', b'a"', b'"a', b"\\n")[:3] + NASTY[6:30], b'"'
        ),
        "no hex": printable((b"00", b"\\u00", b'" '), b"0{"),
    }[vocabulary]
    compiled = GrammarCompiler(words, tmp_path).compile(Grammar.from_json_schema(schema, property_order=order))
    for _ in range(5):
        matcher = compiled.matcher()
        prefix = b""
        for _ in range(generator.randrange(25)):
            row = [token for token in allowed(matcher) if token not in matcher.stop_token_ids]
            if not row:
                break
            token = generator.choice(row)
            matcher.accept_token(token)
            prefix += words.token_bytes[token] or b""
        try:
            needed = matcher.min_tokens_left()
        except TokenRejected:
            continue  # without some bytes a prefix can be a dead end for tokens
        completion = matcher.shortest_completion()
        assert len(completion) == needed
        document = prefix + text_of(compiled, completion)
        assert validator.is_valid(json.loads(document)), document
        fork = matcher.fork()
        for left, token in zip(range(needed, 0, -1), completion, strict=True):
            assert fork.min_tokens_left() <= left
            assert token in allowed(fork, left)
            fork.accept_token(token)
        assert fork.is_terminated
        budget = needed + generator.choice((0, 0, 1, 2, 5, 14))
        document = prefix + walk(matcher, budget, generator)
        assert validator.is_valid(json.loads(document)), document


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["a/b", 10, None, {"k": ["\n"]}]},
        {"type": "string", "pattern": "^[ab]{2}\U0001f600?$"},
        {"type": "object", "properties": {"ab": {"type": "boolean"}, "b": {"enum": [1, 12]}}, "required": ["b"],
         "additionalProperties": False},
        {"type": "array", "items": {"enum": ["", "ab"]}, "minItems": 2, "maxItems": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("missing", [b"", b'"', b":", b"u", b"]}"])
def test_the_fewest_tokens_of_finite_languages(schema: Any, missing: bytes, tmp_path: Path) -> None:
    """Every state that tokens reach, against a search over all of them."""
    tokens = sorted({*NASTY, *(bytes([b]) for b in range(32, 127)), b"\xf0", b"\x9f\x98", b"\x80"})
    tokens = [token for token in tokens if token not in {bytes([byte]) for byte in missing}]
    vocabulary = Vocabulary([*tokens, None], [len(tokens)])
    grammar = Grammar.from_json_schema(schema, whitespace="none", property_order="any")
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    distances = token_distances(language, vocabulary)
    places: list[tuple[Any, bytes]] = [(language.start(), b"")]
    seen = {language.start()}
    for state, text in places:
        matcher = compiled.matcher()
        matcher.accept_bytes(text)
        if state in distances:
            assert matcher.min_tokens_left() == distances[state] + 1
            assert len(matcher.shortest_completion()) == distances[state] + 1
        else:
            with pytest.raises(TokenRejected, match="cannot spell"):
                matcher.min_tokens_left()
        for token in tokens:
            after = language.step(state, token)
            if after is not None and after not in seen and len(seen) < 150:
                seen.add(after)
                places.append((after, text + token))


INSIDE = [b"", b"\\", b"\\u", b"\\u00", b"\\u00e", b"\\ud", b"\\ud83", b"\xc3", b"\xf0\x9f", b"a", b"ab", b'"']


@pytest.mark.parametrize("name", GROWING)
def test_a_budget_of_the_distance_keeps_the_way_open(name: str, tmp_path: Path) -> None:
    """From every place inside a character or an escape, also of a key that may become a declared one."""
    make, samples = GROWING[name]
    compiled = GrammarCompiler(byte_vocabulary(), tmp_path).compile(make())
    for sample in samples:
        for end in range(0, len(sample) + 1, 2):
            for inside in INSIDE:
                matcher = compiled.matcher()
                try:
                    matcher.accept_bytes(sample[:end] + inside)
                except TokenRejected:
                    continue
                completion = matcher.shortest_completion()
                assert len(completion) == matcher.min_tokens_left()
                for left, token in zip(range(len(completion), 0, -1), completion[:6], strict=False):
                    assert token in allowed(matcher, left), (sample[:end] + inside, left)
                    matcher.accept_token(token)


def test_a_vocabulary_that_cannot_spell_the_end(tmp_path: Path) -> None:
    compiled = GrammarCompiler(Vocabulary([b"a", b"b", None], [2]), tmp_path).compile(Grammar.from_regex("a(b|c)|bcc"))
    matcher = compiled.matcher()
    assert matcher.min_tokens_left() == 3
    assert allowed(matcher) == [0, 1]
    assert allowed(matcher, 100) == [0], "bcc has no spelling"
    matcher.accept_token(1)
    for _ in range(2):
        with pytest.raises(TokenRejected, match="cannot spell any completion"):
            matcher.min_tokens_left()
        with pytest.raises(TokenRejected, match="cannot spell any completion"):
            matcher.shortest_completion()


@pytest.mark.parametrize("tokens_left", [0, -1, -(1 << 40)])
def test_no_tokens_left(tokens_left: int, tmp_path: Path) -> None:
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(Grammar.from_regex("a*")).matcher()
    assert allowed(matcher, tokens_left) == []
    assert allowed(matcher, 1) == [256]
    assert allowed(matcher, 2) == [97, 256]
    assert allowed(matcher, 1 << 60) == [97, 256]


def test_endless_text_before_a_marker_is_cut_short(tmp_path: Path) -> None:
    grammar = Grammar.from_json_schema({"type": "array", "items": {"type": "integer"}, "minItems": 1}).after_marker(
        b"</t>"
    )
    compiled = GrammarCompiler(printable((b"</", b"t>", b"</t>[", b"1]")), tmp_path).compile(grammar)
    matcher = compiled.matcher()
    assert matcher.min_tokens_left() == 3
    for seed in range(10):
        matcher = compiled.matcher()
        text = walk(matcher, 3 + seed, random.Random(seed))
        _, marker, document = text.partition(b"</t>")
        assert marker
        assert json.loads(document)


@pytest.mark.parametrize("minimum", [0, 1, 7, 300, 3000])
def test_long_strings(minimum: int, tmp_path: Path) -> None:
    vocabulary = printable((b"    ", b"aaaaaaaa"))
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(
        Grammar.from_json_schema({"type": "string", "minLength": minimum})
    )
    matcher = compiled.matcher()
    assert 1 + -(-minimum // 8) + 1 + 1 <= matcher.min_tokens_left() <= 1 + minimum + 1 + 1
    document = text_of(compiled, matcher.shortest_completion())
    assert minimum <= len(json.loads(document)) < minimum + 8


LONG_STRING = {"type": "string", "minLength": 10_000}


def test_a_document_of_many_bytes_has_a_shortest_completion(tmp_path: Path) -> None:
    """Beyond any realistic budget: the answer matters (BudgetTooSmall names it), its exactness does not."""
    schema = {"type": "array", "minItems": 33_000, "items": {"const": 1}}
    compiled = GrammarCompiler(byte_vocabulary(), tmp_path).compile(Grammar.from_json_schema(schema, whitespace="none"))
    assert compiled.matcher().min_tokens_left() == 66_001 + 1


def test_a_long_string_is_completed_by_long_tokens(tmp_path: Path) -> None:
    """Of the thousands of places on the way, few are looked at with all tokens, so little is learned."""
    words = [b"the", b"of", b"and", b"abcdefgh", b"12345678", b"1234567", b"        ", b"=========="]
    vocabulary = Vocabulary([*(bytes([byte]) for byte in range(256)), *words, None], [256 + len(words)])
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_json_schema(LONG_STRING))
    matcher = compiled.matcher()
    completion = matcher.shortest_completion()
    assert len(completion) == matcher.min_tokens_left() <= 10_000 / 10 + 60
    assert len(json.loads(text_of(compiled, completion))) >= 10_000
    assert compiled.engine.nbytes < 60_000_000
    for taken in (1, 500, 950, 1_000):
        fresh = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_json_schema(LONG_STRING)).matcher()
        for token in completion[:taken]:
            fresh.accept_token(token)
        assert fresh.min_tokens_left() == len(completion) - taken, "whatever was asked before"


def test_a_text_too_long_to_be_searched_for_is_refused(tmp_path: Path) -> None:
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path)
    for keyword in ({"type": "string", "minLength": 10**6}, {"type": "array", "minItems": 10**6}):
        matcher = compiler.compile(Grammar.from_json_schema(keyword)).matcher()
        with pytest.raises(CompileBudgetExceeded, match="100000 bytes"):
            matcher.min_tokens_left()
        assert matcher.is_allowed(ord('"' if "minLength" in keyword else "["))


@cache
def tekken() -> Vocabulary:
    pytest.importorskip("mistral_common", reason="needs the tekken vocabulary inside mistral_common")
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    return Vocabulary.from_tokenizer(MistralTokenizer.v3(is_tekken=True))


@pytest.mark.parametrize(
    "name", ["many required", "awkward names", "short or long value", "recursion", "nested minItems"]
)
def test_budgets_of_a_real_vocabulary(name: str) -> None:
    generator = random.Random(name)
    schema = SCHEMAS[name]
    validator = jsonschema.Draft202012Validator(schema)
    compiled = GrammarCompiler(tekken()).compile(Grammar.from_json_schema(schema, property_order="any"))
    matcher = compiled.matcher()
    needed = matcher.min_tokens_left()
    document = text_of(compiled, matcher.shortest_completion())
    assert validator.is_valid(json.loads(document)), document
    for slack in (0, 3):
        document = walk(compiled.matcher(), needed + slack, generator)
        assert validator.is_valid(json.loads(document)), document


@pytest.mark.parametrize("name", ['"', "\\", "\n", "\x01", "/", "é", "\U0001f600", 'a"b', "\\/\n\t\b"])
def test_names_are_finished_by_their_cheapest_spelling(name: str, tmp_path: Path) -> None:
    """In any order and with three names more than can be explored: behind a backslash the short escape is as near."""
    document = dict.fromkeys([name, "x", "y"])
    schema = {"properties": {key: {"type": "null"} for key in document}, "required": list(document), "type": "object"}
    grammar = Grammar.from_json_schema(schema, property_order="any")
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    shortest = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    for byte in shortest[:4]:
        assert matcher.min_tokens_left() == len(shortest) + 1
        matcher.accept_bytes(bytes([byte]))
        shortest = shortest[1:]


@pytest.mark.parametrize("keywords", [("required",), ("minProperties",), ("required", "minProperties")], ids=str)
def test_properties_in_any_order_are_not_tried_in_every_order(keywords: tuple[str, ...], tmp_path: Path) -> None:
    names = [f"property {number}" for number in range(40)]
    schema: dict[str, Any] = {"type": "object", "properties": {name: {"type": "integer"} for name in names}}
    if "required" in keywords:
        schema["required"] = names[: 40 // len(keywords)]
    if "minProperties" in keywords:
        schema = {**schema, "minProperties": 40, "additionalProperties": False}
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    matcher = GrammarCompiler(byte_vocabulary(), tmp_path).compile(grammar).matcher()
    text = json.dumps(dict.fromkeys(names, 0), separators=(",", ":"))
    assert matcher.min_tokens_left() == len(text) + 1
    assert matcher.compiled.visits < 1_000_000


TEXTS: dict[str, Any] = {
    "plain": {"type": "string"},
    "at least": {"type": "string", "minLength": 3},
    "at most": {"type": "string", "maxLength": 5},
    "two of them": {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 4}]},
    "open object": {"type": "object", "properties": {"ab": {"type": "string"}}, "additionalProperties": {"const": 1}},
    "in an array": {"type": "array", "items": {"type": "string"}, "minItems": 2},
}
# Words, of characters of one to four bytes, some of them cut anywhere; some that close a string and go on.
WORDS = [word.encode() for word in ("ab", "abc", "aé", "é", "éa", "€", "a€€", "😀", "😀b", "ba")]
PARTS = [word[begin:end] for word in WORDS for begin in range(3) for end in range(begin + 2, len(word) + 1)]
CLOSING = [b'"}', b'a"', b'ab"]', b'\xa9"', b'\x80"', b'", "', b'\xc3\xa9", "a', b'":', b'a": "']


@pytest.mark.parametrize("name", TEXTS)
def test_a_budget_drops_exactly_the_tokens_behind_which_the_end_is_too_far(name: str, tmp_path: Path) -> None:
    """Told by the distance behind every token, asked of a matcher that took it."""
    generator = random.Random(name)
    vocabulary = printable(tuple(dict.fromkeys([*PARTS, *CLOSING])))
    grammar = Grammar.from_json_schema(TEXTS[name], property_order="any")
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    dropped = kept = 0
    for _ in range(6):
        matcher = compiled.matcher()
        for _ in range(12):
            row = allowed(matcher)
            needed = {token: 1 + tokens_behind(matcher, token) for token in row}
            for budget in (*range(1, 9), 12, 16, 30):
                expected = [token for token in row if needed[token] <= budget]
                assert allowed(matcher, budget) == expected
                kept += len(expected)
                dropped += len(row) - len(expected)
            texts = [token for token in row if token not in matcher.stop_token_ids]
            if not texts:
                break
            matcher.accept_token(generator.choice(texts))
    assert dropped > 1_000
    assert kept > 1_000


def tokens_behind(matcher: Matcher, token: int) -> int:
    fork = matcher.fork()
    fork.accept_token(token)
    return fork.min_tokens_left()


def counted_objects(generator: random.Random) -> tuple[dict[str, Any], list[list[str]]]:
    """A schema of objects with few names and bounds on their number, and the sets of names that it allows."""
    values = [{"const": 1}, {"const": True}, {"const": "abc"}, {"enum": [12345, 1]}]
    names = generator.sample(["a", "b", "ab", "abc", "c", "cd", "x1", "x22", "é"], generator.randint(2, 5))
    required = [name for name in names if generator.random() < 0.25]
    fewest = generator.randint(0, len(names))
    most = generator.randint(max(fewest, len(required)), len(names))
    sets = [chosen for size in range(fewest, most + 1) for chosen in itertools.combinations(names, size)]
    schema = {
        "type": "object",
        "properties": {name: generator.choice(values) for name in names},
        "required": required,
        "additionalProperties": False,
        "minProperties": fewest,
        "maxProperties": most,
    }
    return schema, [list(chosen) for chosen in sets if set(required) <= set(chosen)]


@pytest.mark.parametrize("order", ["any", "schema"])
def test_counted_objects_are_finished_in_the_cheapest_way(order: Any, tmp_path: Path) -> None:
    """Behind every beginning the cost is what the shortest text has left, in bytes, of all texts written out."""
    generator = random.Random(31)
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path)
    for _ in range(40):
        schema, sets = counted_objects(generator)
        cheapest = {name: json.dumps(part.get("const", 1)) for name, part in schema["properties"].items()}
        texts = [
            "{" + ",".join(f'"{name}":{cheapest[name]}' for name in names) + "}"
            for chosen in sets
            for names in (itertools.permutations(chosen) if order == "any" else [chosen])
        ]
        grammar = Grammar.from_json_schema(schema, property_order=order, whitespace="none", escapes="minimal")
        compiled = compiler.compile(grammar)
        _ = compiled.engine.shortest  # makes the costs
        for text in generator.sample(texts, min(4, len(texts))):
            for place in range(len(text)):
                left = [len(other[place:].encode()) for other in texts if other.startswith(text[:place])]
                configuration = compiled.engine.read(compiled.engine.start, text[:place].encode())
                assert compiled.engine.call(requests.COST_OF, configuration) == min(left), text[:place]
