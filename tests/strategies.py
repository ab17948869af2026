"""Grammars, texts and small vocabularies that the tests of the engine share."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import lark

from tests.reference import character_spellings, minimal_spellings, spellings
from tokamask.grammar.grammar import Grammar
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["FINITE", "GROWING", "NASTY", "FiniteCase", "byte_vocabulary", "random_vocabulary"]

# Tokens that end, begin or cross what the engine treats specially: quotes, escapes, characters, structure.
NASTY: tuple[bytes, ...] = (
    *(
        b'"',
        b'""',
        b'"}',
        b'":',
        b'",',
        b'"]',
        b'", "',
        b'":"',
        b'{"',
        b'["',
        b'"a',
        b'a"',
        b'"a"',
        b'":1',
        b"}",
        b"]}",
    ),
    *(b"\\", b"\\\\", b'\\"', b'"\\', b"\\u", b"\\u00", b"u00", b"00", b"61", b"6", b"1", b"\\u0061", b"\\u006", b"1a"),
    *(b"\\n", b"\\/", b"/", b"\\ud8", b"\\uD83D", b"3d", b"\\ude", b"\\uDE00", b"DE00", b"\\ud83d\\u", b"00\\"),
    *("é".encode(), b"\xc3", b"\xa9", b"\xa9a", "😀".encode(), b"\xf0\x9f", b"\x98\x80", b"\x80", b'\xa9"', b"a\xc3"),
    *(b" ", b"  ", b"\n", b"\n  ", b": ", b", ", b"{ ", b"[", b"{", b",", b":", b"[[", b"0", b"10", b"-", b"-1", b".5"),
    *(b"a", b"b", b"ab", b"ba", b"aab", b"true", b"tr", b"ue", b"null", b"null,", b"x", b"\x01", b"\xff", b"e1"),
)


def byte_vocabulary() -> Vocabulary:
    """One token per byte, and a stop token."""
    return Vocabulary([*(bytes([byte]) for byte in range(256)), None], [256])


def random_vocabulary(generator: random.Random, texts: Iterable[bytes], size: int = 45) -> Vocabulary:
    """Pieces of the texts, nasty tokens, equal tokens, empty and missing ones, and none to two stop tokens.

    Now and then a single byte that the texts need is missing.
    """
    sources = [text for text in texts if text] or [b"a"]
    tokens: list[bytes | None] = []
    for _ in range(size // 2):
        source = generator.choice(sources)
        begin = generator.randrange(len(source))
        tokens.append(source[begin : begin + generator.choice((1, 2, 2, 3, 4, 6, 9))])
    tokens += generator.sample(NASTY, size // 3)
    needed = sorted(set(b"".join(sources)))
    if generator.random() < 0.3:
        needed.remove(generator.choice(needed))
    tokens += [bytes([byte]) for byte in needed]
    tokens += generator.choices(tokens, k=3)
    tokens += [b"", None]
    generator.shuffle(tokens)
    stops = generator.sample(range(len(tokens)), generator.choice((0, 1, 1, 2)))
    return Vocabulary(tokens, stops)


@dataclass(frozen=True)
class FiniteCase:
    """A grammar and, written down by other means, every text of its language."""

    name: str
    make: Callable[[], Grammar]
    find: Callable[[], Iterable[bytes]]


def _of_pattern(pattern: str, alphabet: str, longest: int) -> FiniteCase:
    def texts() -> list[bytes]:
        compiled = re.compile(pattern)
        every = ("".join(each) for length in range(longest + 1) for each in itertools.product(alphabet, repeat=length))
        return [text.encode() for text in every if compiled.fullmatch(text)]

    return FiniteCase(f"regex {pattern}", lambda: Grammar.from_regex(pattern), texts)


def _of_lark(text: str, alphabet: str, longest: int) -> FiniteCase:
    def texts() -> list[bytes]:
        parser = lark.Lark(text, parser="earley", lexer="dynamic_complete")
        found = []
        for length in range(longest + 1):
            for each in itertools.product(alphabet, repeat=length):
                try:
                    parser.parse("".join(each))
                except lark.exceptions.LarkError:
                    continue
                found.append("".join(each).encode())
        return found

    return FiniteCase(f"lark {text.splitlines()[0]}", lambda: Grammar.from_lark(text), texts)


def _of_schema(
    schema: Any,
    universe: Sequence[Any],
    whitespace: str = "none",
    blanks: Sequence[str] = ("",),
    order: Any = "schema",
    escapes: str = "json",
) -> FiniteCase:
    """The values of `universe` that jsonschema finds valid, spelled in every way; it must hold all valid ones."""
    spell = {"json": character_spellings, "minimal": minimal_spellings}[escapes]

    def texts() -> list[bytes]:
        validator = jsonschema.Draft202012Validator(schema)
        valid = [value for value in universe if validator.is_valid(value)]
        assert len(valid) > 0, "a universe without a valid value"
        return [text.encode() for value in valid for text in spellings(value, blanks, order == "schema", spell)]

    def make() -> Grammar:
        return Grammar.from_json_schema(schema, whitespace=whitespace, property_order=order, escapes=escapes)

    return FiniteCase(f"{order} {whitespace} {escapes} {json.dumps(schema)[:70]}", make, texts)


def _objects(**values: Sequence[Any]) -> list[dict[str, Any]]:
    """Every object with some of the names, in their order, and these values."""
    names = list(values)
    found = []
    for present in itertools.product((False, True), repeat=len(names)):
        chosen = [name for name, is_there in zip(names, present, strict=True) if is_there]
        found += [dict(zip(chosen, each, strict=True)) for each in itertools.product(*(values[n] for n in chosen))]
    return found


_AB = {"type": "string", "pattern": "^[ab]{1,2}$"}
_AB_TEXTS = [*"ab", "aa", "ab", "ba", "bb", ""]
_CLOSED = {
    "type": "object",
    "properties": {"a": {"const": 1}, "ab": {"enum": ["", "b"]}, 'é"': {"type": "null"}},
    "required": ["ab"],
    "additionalProperties": False,
}
_CHOICES = ("", "a", "ab", 'a"b', "é", "ê", "😀x", "aba", "ab" * 6)

FINITE: tuple[FiniteCase, ...] = (
    FiniteCase("choices", lambda: Grammar.from_choices(_CHOICES), lambda: [text.encode() for text in _CHOICES]),
    FiniteCase("only the empty text", lambda: Grammar.from_choices([""]), lambda: [b""]),
    _of_pattern('(ab|a)?(b"|é)?[a-c]{1,2}', 'abcé"', 6),
    _of_pattern("(a|aa|aaa){2,4}b?", "ab", 13),
    _of_pattern("(?:a|b(?=a)|ba){0,4}", "ab", 8),
    _of_lark('start: "a"? x x?\nx: "b" | "(" y\ny: "a" | "ab" | "b" "a"?', "ab(", 7),
    _of_lark('start: x x x\nx: | "a" | "a" "a" | "b"', "ab", 6),
    _of_lark("start: A B?\nA: /a{1,2}b?/\nB: /[ab]{1,2}/", "ab", 5),
    _of_schema({"enum": ["a/", 'q"', "\n\x01", "é", 10, 1, None, True, [1, []], {"a": {}}]},
               ["a/", 'q"', "\n\x01", "é", 10, 1, None, True, [1, []], {"a": {}}, False, "a"]),
    _of_schema({"enum": ["😀", "\x7f", "aa"]}, ["😀", "\x7f", "aa"]),
    _of_schema(_AB, _AB_TEXTS),
    _of_schema({"enum": ["a/", 'q"', "\n\x01\x1f", "é\\", {"/\x7f": ["\b\x0b"], "\0": None}]},
               ["a/", 'q"', "\n\x01\x1f", "é\\", {"/\x7f": ["\b\x0b"], "\0": None}, "a"], escapes="minimal"),
    _of_schema({"type": "string", "pattern": '^[a"\\x02\\x1e\\f]{1,2}$'},
               [a + b for a in ["", *'a"\x02\x1e\f'] for b in 'a"\x02\x1e\f'], escapes="minimal"),
    _of_schema({"type": "string", "pattern": "^(/|é|b/?)$", "minLength": 2}, ["/", "é", "b", "b/"]),
    _of_schema({"anyOf": [{"const": "a"}, {**_AB, "minLength": 2}, {"type": "null"}]}, [*_AB_TEXTS, None]),
    _of_schema(_CLOSED, _objects(a=[1], ab=["", "b"], **{'é"': [None]})[:8]),
    _of_schema({**_CLOSED, "properties": {"a": {"const": 1}, "ab": {"enum": ["", "b"]}, "b": {"type": "null"}}},
               _objects(a=[1, 2], ab=["", "b", "c"], b=[None, 0]), order="any"),
    _of_schema({"type": "object", "properties": {"a": {"enum": [1, 10]}, "b": {"const": []}}, "required": ["a"],
                "additionalProperties": False}, _objects(a=[1, 10], b=[[], [1]]), "one-space", ("", " ")),
    _of_schema({"type": "array", "prefixItems": [{"const": 1}, {"enum": ["a", None]}], "items": {"enum": [2, 22]},
                "minItems": 1, "maxItems": 4},
               [
                   list(items[:n])
                   for n in range(6)
                   for items in itertools.product([1, 2], ["a", None, 2], [2, 22, 1], [2, 22], [2])
               ]),
    _of_schema({"type": "array", "items": {"type": "array", "items": {"enum": [3, [3]]}, "minItems": 1, "maxItems": 2},
                "minItems": 1, "maxItems": 2},
               [list(outer) for n in range(3) for outer in itertools.product(
                   [list(inner) for m in range(3) for inner in itertools.product([3, [3]], repeat=m)], repeat=n)]),
    *(
        _of_schema({"type": "object", "properties": {"a": {"const": 1}, "b": {"enum": [1, ""]}, "c": {"const": 2}},
                    "additionalProperties": False, "minProperties": 1, "maxProperties": 2},
                   _objects(a=[1, 2], b=[1, ""], c=[2]), order=order)
        for order in ("schema", "any")
    ),
    _of_schema({"type": "object", "patternProperties": {"^[ab]{1,2}$": {"enum": [1, 12]}, "^b[ab]?$": {"const": 12}},
                "additionalProperties": False, "maxProperties": 1},
               [{}, *({name: value} for name in ["a", "b", "ab", "ba", "aa", "bb", "c", ""] for value in (1, 12))]),
    _of_schema({"type": "object", "properties": {"t": {"enum": [1, 2]}, "x": {"const": ""}, "y": {"const": 0}},
                "additionalProperties": False, "if": {"properties": {"t": {"const": 1}}, "required": ["t"]},
                "then": {"required": ["x"]}, "else": {"not": {"required": ["x"]}}},
               _objects(t=[1, 2], x=[""], y=[0])),
    _of_schema({"type": "array", "items": {"enum": [1, 12]}, "contains": {"const": 1}, "maxContains": 1, "maxItems": 3},
               [list(items) for n in range(5) for items in itertools.product([1, 12], repeat=n)]),
    _of_schema({"type": "array", "items": {"enum": [1, "a", None]}, "uniqueItems": True, "minItems": 1},
               [list(items) for n in range(5) for items in itertools.product([1, "a", None], repeat=n)]),
    _of_schema({"oneOf": [{"enum": [1, 2, "ab", [3]]}, {"enum": [2, "ab", None, "a"]}, {"enum": [[3], "a", "", 2]}]},
               [1, 2, "ab", [3], None, "a", ""]),
    _of_schema({"type": "string", "pattern": "^[ab]{0,2}$", "not": {"enum": ["a", "ba"]}}, _AB_TEXTS),
    _of_schema({"anyOf": [{"type": "object", "properties": {"a": {"const": i}, "b": {"const": i}},
                           "required": ["a", "b"][: i], "additionalProperties": False} for i in (1, 2)]},
               _objects(a=[1, 2], b=[1, 2])),
)  # fmt: skip


def _schema(schema: Any, **options: Any) -> Callable[[], Grammar]:
    return lambda: Grammar.from_json_schema(schema, **options)


_STRINGS = {
    "type": "object",
    "properties": {
        "short": {"type": "string", "maxLength": 3},
        "long": {"type": "string", "minLength": 4, "maxLength": 300},
        "a": {"type": "string", "pattern": "^[a-z/é]+$"},
        "any": {"type": "string", "minLength": 2},
    },
    "required": ["a"],
}
_TREE = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}},
    "required": ["a"],
    "additionalProperties": False,
}

# Languages without end: how to make them, and some of their texts.
GROWING: dict[str, tuple[Callable[[], Grammar], list[bytes]]] = {
    "anything": (
        _schema({}),
        [b'{"a": [1, -2.5e3, null, {"b\\u0061": "\\ud83d\\ude00"}], "\xc3\xa9": true}', b'["a"]'],
    ),
    "strings": (
        _schema(_STRINGS),
        [b'{"short": "ab", "long": "aabb\\u0061", "a": "\\u0061\xc3\xa9/", "any": "\\"\\\\", "x": {}}', b'{"a":"a"}'],
    ),
    "strings in any order": (
        _schema(_STRINGS, property_order="any"),
        ['{"any": "a😀", "a": "\\/z", "é": "1", "long": "aa\\ud83d\\ude00b", "short":""}'.encode(), b'{"x":1,"a":"a"}'],
    ),
    "strings with minimal escapes": (
        _schema(_STRINGS, property_order="any", escapes="minimal"),
        ['{"any": "a😀\\n\\u0001", "a": "/z", "é": "1", "long": "aaéb", "short":""}'.encode(), b'{"x\\"":1,"a":"a"}'],
    ),
    "open object with names in names": (
        _schema(
            {
                "properties": {name: {"type": "integer"} for name in ("a", "ab", "aba", "é", "a/", '"', "")},
                "additionalProperties": {"type": "string"},
                "type": "object",
            },
            property_order="any",
            whitespace="none",
        ),
        ['{"a":1,"\\u0061b":2,"abab":"a","\\u00E9":10,"ê":"","a\\/":0,"\\"":1,"":1}'.encode(), b'{"":0,"b":"b"}'],
    ),
    "open object in order": (
        _schema(
            {
                "properties": {name: {"type": "integer"} for name in ("b", "ab", "a", "aba")},
                "required": ["ab"],
                "additionalProperties": {"type": "null"},
                "type": "object",
            }
        ),
        [b'{"b":1, "ab": 2, "aba": 1, "ba": null}', b'{"ab":0,"\\u0061":1,"x":null,"x":null}'],
    ),
    "forbidden name": (
        _schema({"type": "object", "properties": {"a": False, "b": {"type": "integer"}}}, property_order="any"),
        [b'{"aa": 1, "b": 0, "\\u0061\\u0061": "a"}', b'{"":1}'],
    ),
    "short string": (_schema({"type": "string", "maxLength": 4}), ['"é\\ud83d\\ude00a"'.encode(), b'"abab"', b'""']),
    "exact length": (
        _schema({"type": "string", "minLength": 3, "maxLength": 3}),
        ['"😀éa"'.encode(), b'"\\ud83d\\uDE00a\\u0001"', b'"a\\nb"'],
    ),
    "two strings": (
        _schema(
            {"anyOf": [{"type": "string", "minLength": 9}, {"enum": ["a", "b"]}, {"type": "string", "maxLength": 1}]}
        ),
        [b'"aaaaaaaaaa"', b'"a"', '"é"'.encode()],
    ),
    "astral pattern": (
        _schema({"type": "string", "pattern": "^(😀|\U0001f601b?|é)+$"}),
        ['"😀"'.encode(), b'"\\ud83d\\ude00\\uD83D\\uDE01b\\u00e9"', '"é\U0001f601"'.encode()],
    ),
    "controls": (
        _schema({"type": "string", "pattern": '^[\\x00-\\x1f"]{2}a*$'}),
        [b'"\\n\\u0001aa"', b'"\\"\\t"', b'"\\u000a\\u001F"'],
    ),
    "unanchored pattern": (_schema({"type": "string", "pattern": "ab.b"}), [b'"ab\\u0061bb"', b'"xxabab"']),
    "tree": (_schema(_TREE), [b'{"a":1,"b":[{"a":-1},{"a":0,"b":[]}]}', b'{"a": 10}']),
    "at least four items": (
        _schema({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "integer"}, "minItems": 4}),
        [b"[null,1,2,3]", b"[null, 10,-2,3,0,1,1]"],
    ),
    "numbers": (
        _schema({"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": -1}, {"type": "number"}]}}),
        [b"[1,-1, 0.5,-10e1]", b"[0]"],
    ),
    "tagged": (
        _schema(
            {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"t": {"const": kind}, kind: {"type": "string", "minLength": n}},
                        "required": ["t", kind],
                    }
                    for n, kind in enumerate(("a", "b", "ab"))
                ]
            },
            property_order="any",
        ),
        [b'{"t":"a","a":"","x":1}', b'{"ab":"ab","t":"ab"}', b'{"b": "b", "t": "b"}'],
    ),
    "ambiguous": (lambda: Grammar.from_lark('start: s\ns: s s | "a" | "ab"'), [b"aaba", b"aab"]),
    "brackets": (
        lambda: Grammar.from_lark(
            'start: e\ne: e "+" e | "(" e ")" | "[" [e ("," e)*] "]" | /[a-b]+/ | "10"\n%ignore " "'
        ),
        [b"(a+b) + [10,ab,[]]", b"[[a]]"],
    ),
    "lexemes": (
        lambda: Grammar.from_lark('start: (NAME | STRING | INT)+\nNAME: /[a-b_]+/\nSTRING: /"[^"\\\\]*"/\nINT: /1?0+/'),
        [b'ab"x"10', b"a100", b'"""a"'],
    ),
    "counted": (
        lambda: Grammar.from_lark('start: x ~ 3..5 y?\nx: "a" | "ab" | "[" x ~ 2 "]"\ny: "b"+'),
        [b"aabab", b"[aa]aa", b"aaaabb"],
    ),
    "free text first": (
        lambda: Grammar.from_json_schema({"type": "string", "maxLength": 2}).after_marker(b"aab"),
        [b'x\xffaaab"a"', b'aab"\\u0061"'],
    ),
}
