"""Masks between JSON tokens, of vocabularies full of blanks, against what the whitespace policies say in words."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.masking.laws import mask_of
from tests.reference import Recognised, allowed_tokens
from tokamask.grammar.arena import CONFIGURATION_COUNT
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.program import ARRAY_OPEN, ITEMS_OPEN, OBJECT_OPEN
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

BLANKS = b" \t\n\r"
POLICIES: list[str | int] = ["flexible", "none", "one-space", 0, 2, 3, "any"]

RUNS = [
    *(bytes(run) for length in (1, 2, 3) for run in product(BLANKS, repeat=length)),
    *(newline + b" " * width for newline in (b"", b"\n", b"\r\n") for width in (4, 5, 6, 8, 12, 31, 62, 63, 64, 65)),
    *(newline + b"\t" * width for newline in (b"", b"\n", b"\r\n") for width in (4, 8, 15, 16, 17)),
]
OTHERS = [
    *(b'"', b'""', b'"a', b'"a"', b'"a":', b'"aaa', b'"b', b'"}', b'","', b'"\\', b'"\\u', b'"\\n"', b'"\n', b'"\xc3'),
    *(b"{", b"{}", b'{"', b"}", b"}}", b"}]", b"[", b"[]", b"[[", b"]", b"]}", b",", b':"', b":", b"::", b",,"),
    *(b"1", b"12", b"1,", b"-", b"t", b"tr", b"true", b"null", b"null]", b"x", b"\x01"),
]
CROSSING = [
    *(b'"\n    ', b'": ', b'":\n', b'" ', b",\n  ", b", ", b"{\n  ", b"[ ", b"}\n}", b"1 ", b"null\n", b"]\n ]"),
    *(
        b", true",
        b",\n  null",
        b"true, null",
        b"true, true",
        b"[ null , null",
        b', "a"',
        b'null, "a"',
        b'"a": null, "a"',
        b'{ "a',
    ),
]

SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "closed object": {
        "type": "object",
        "properties": {"a": {"type": ["boolean", "null"]}, "b": {"type": "array", "maxItems": 1}},
        "required": ["b"],
        "additionalProperties": False,
    },
    "counted names": {"propertyNames": {"pattern": "^[ab]+$"}, "minProperties": 2, "maxProperties": 3},
    "array": {"type": "array", "items": {"type": ["string", "null", "array"]}, "minItems": 1, "maxItems": 2},
    "short strings": {"type": "array", "items": {"type": "string", "maxLength": 2}},
    "contained items": {"type": "array", "contains": {"type": "null"}, "minContains": 2},
    "arrays of two kinds": {
        "anyOf": [
            {"type": "array", "items": {"type": ["null", "array"]}},
            {"type": "array", "prefixItems": [{}, {"type": "string"}], "minItems": 2, "items": {"type": "boolean"}},
        ]
    },
    "items that differ": {"type": "array", "items": {"type": ["string", "null", "array"]}, "uniqueItems": True},
}
# Without blanks, and never inside a number, which may go on where others end.
DOCUMENTS = [
    b'{"b":[true],"a":null}',
    b'{"a":true,"b":[{"a":""}]}',
    b'[null,"a",true,[]]',
    b'["a",null,"b",[]]',
    b"[null,null,false,true]",
    b"[true,null,false]",
]


@cache
def blanks_of(policy: str | int) -> frozenset[bytes] | None:
    """All that may stand between two JSON tokens; None: any blanks."""
    if policy == "any":
        return None
    if policy == "flexible":
        indents = [b" " * width for width in range(65)] + [b"\t" * width for width in range(17)]
        return frozenset([b"", b" ", *(newline + indent for newline in (b"\n", b"\r\n") for indent in indents)])
    if policy in ("none", "one-space"):
        return frozenset([b"", b" "] if policy == "one-space" else [b""])
    assert isinstance(policy, int)
    widths = range(0, 65, policy) if policy else [0]
    return frozenset([b"", b" ", *(b"\n" + b" " * width for width in widths)])


@cache
def beginnings_of(policy: str | int) -> frozenset[bytes] | None:
    blanks = blanks_of(policy)
    return None if blanks is None else frozenset(text[:end] for text in blanks for end in range(len(text) + 1))


def places(language: Recognised, document: bytes) -> Iterator[tuple[bytes, Any]]:
    """Beginnings of a document that end between two tokens inside of it, and where they lead; up to what is refused."""
    in_string = False
    for end in range(1, len(document)):
        in_string ^= document[end - 1] == ord('"')
        state = language.step(language.start(), document[:end])
        if state is None:
            return
        between_letters = document[end - 1 : end + 1].isalpha()
        if not in_string and not between_letters:
            yield document[:end], state


@cache
def full_of_blanks() -> Vocabulary:
    generator = random.Random(3)
    mixed = [run + other for run in generator.sample(RUNS, 25) for other in generator.sample(OTHERS, 4)]
    mixed += [run + other for run in (b" ", b"\r", b"\n  ", b"\n   ") for other in OTHERS]
    return Vocabulary([*RUNS, *OTHERS, *CROSSING, *mixed, b" ", b"\n  ", None], [len(RUNS)])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_blanks_come_first_and_change_nothing_else(name: str, policy: str | int, tmp_path: Path) -> None:
    """Behind some blanks: more of them while the policy has such a text, the rest where it has one as a whole."""
    grammar = Grammar.from_json_schema(SCHEMAS[name], whitespace=policy, property_order="any")
    language = Recognised(grammar)
    vocabulary = full_of_blanks()
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    whole, beginnings = blanks_of(policy), beginnings_of(policy)
    generator = random.Random(f"{name} {policy}")
    count = 0
    for document in DOCUMENTS:
        for text, state in places(language, document):
            rests: dict[bytes, bool] = {}
            befores = sorted(beginnings) if beginnings else [b"\n", b"\r", b"\n \t" * 30]
            often = {b"", b"\n", b"\r"} & set(befores)
            for before in sorted(often.union(generator.sample(befores, min(2, len(befores))))):
                matcher = compiled.matcher()
                matcher.accept_bytes(text + before)
                expected = set()
                for token, data in enumerate(vocabulary.token_bytes):
                    if data is None or token in vocabulary.stop_token_ids:
                        continue
                    rest = data.lstrip(BLANKS)
                    blanks = before + data[: len(data) - len(rest)]
                    if not rest:
                        is_allowed = beginnings is None or blanks in beginnings
                    else:
                        if rest not in rests:
                            rests[rest] = language.step(state, rest) is not None
                        is_allowed = rests[rest] and (whole is None or blanks in whole)
                    if is_allowed:
                        expected.add(token)
                assert mask_of(matcher) == expected, text + before
                count += 1
    assert count >= 4


@pytest.mark.parametrize("policy", ["flexible", 2])
@pytest.mark.parametrize("name", SCHEMAS)
def test_masks_amid_whole_documents(name: str, policy: str | int, tmp_path: Path) -> None:
    """At every byte of documents with blanks in them."""
    grammar = Grammar.from_json_schema(SCHEMAS[name], whitespace=policy)
    language = Recognised(grammar)
    vocabulary = full_of_blanks()
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    for document in (b'{\n  "b": [ null\n] ,"a":\n    true\n}', b'[\n    12,\n  "a", [ ]\n, null , null\n  ]'):
        matcher, state = compiled.matcher(), language.start()
        for at in range(len(document)):
            expected = allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
            assert mask_of(matcher) == expected, document[:at]
            following = language.step(state, document[at : at + 1])
            if following is None:
                break
            state = following
            matcher.accept_bytes(document[at : at + 1])


def test_all_kinds_of_records_are_among_the_schemas() -> None:
    kinds = set()
    for schema in SCHEMAS.values():
        program = Grammar.from_json_schema(schema).program
        kinds |= set(program.words[program.records].tolist())
    assert kinds >= {OBJECT_OPEN, ARRAY_OPEN, ITEMS_OPEN}


@pytest.mark.parametrize("policy", POLICIES)
def test_tokens_of_blanks_need_no_configurations(policy: str | int, tmp_path: Path) -> None:
    """As many are learned for masks between tokens with hundreds of tokens that are or begin with blanks as without."""
    counts = []
    for tokens in (OTHERS, [*OTHERS, *RUNS, *(run + other for run in RUNS for other in OTHERS)]):
        compiler = GrammarCompiler(Vocabulary([*tokens, None], [len(tokens)]), tmp_path)
        for schema in SCHEMAS.values():
            grammar = Grammar.from_json_schema(schema, whitespace=policy, property_order="any")
            compiled = compiler.compile(grammar)
            for document in DOCUMENTS:
                matcher = compiled.matcher()
                for text, _ in places(Recognised(grammar), document):
                    matcher.reset()
                    matcher.accept_bytes(text)
                    mask_of(matcher)
            engine = compiled.present_engine
            assert engine is not None
            counts.append(int(engine.arena[CONFIGURATION_COUNT]))
    assert counts[: len(SCHEMAS)] == counts[len(SCHEMAS) :]


def test_blanks_outside_of_json(tmp_path: Path) -> None:
    """Where a grammar has them in its own texts, they are read as those are."""
    vocabulary = full_of_blanks()
    compiler = GrammarCompiler(vocabulary, tmp_path)
    for grammar, text in [
        (Grammar.from_regex(r"(?:\n(?: {2}){0,9}[a-z]+[ \t]?)+"), b"\n    tr\t\nx"),
        (Grammar.from_lark('start: item+\nitem: "[" item* "]" | "true"\n%ignore /[ \\n]+/'), b" [\n  true[ ]\n]  "),
    ]:
        language = Recognised(grammar)
        matcher, state = compiler.compile(grammar).matcher(), language.start()
        for byte in text:
            assert mask_of(matcher) == allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
            matcher.accept_bytes(bytes([byte]))
            after = language.step(state, bytes([byte]))
            assert after is not None
            state = after
