"""Requests whose answers can be judged without tokamask: by jsonschema, re, and Lark's own parser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
from lark import Lark
from pydantic_core import from_json

__all__ = ["ANY_OBJECT", "CASES", "INVALID", "RECURSIVE", "Case", "Report"]


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        kind: "json", "regex", "choice" or "grammar", as vLLM names them.
        value: the schema, the pattern, the texts to choose from, the grammar's text.
        judge: raises an exception for a text that does not satisfy the constraint.
    """

    name: str
    kind: str
    value: Any
    prompt: str
    judge: Callable[[str], Any]


def _satisfies(schema: Any) -> Callable[[str], None]:
    def judge(text: str) -> None:
        jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)

    return judge


def _matches(pattern: str) -> Callable[[str], None]:
    def judge(text: str) -> None:
        assert re.fullmatch(pattern, text), f"{text!r} does not match {pattern}"

    return judge


def _is_one_of(texts: list[str]) -> Callable[[str], None]:
    def judge(text: str) -> None:
        assert text in texts, f"{text!r} is none of {texts}"

    return judge


def _begins_an_object(text: str) -> None:
    assert isinstance(from_json(text, allow_partial="trailing-strings"), dict), f"{text!r} begins no object"


def _json(name: str, schema: Any, prompt: str) -> Case:
    return Case(name, "json", schema, prompt, _satisfies(schema))


def _regex(name: str, pattern: str, prompt: str) -> Case:
    return Case(name, "regex", pattern, prompt, _matches(pattern))


def _lark(name: str, grammar: str, prompt: str) -> Case:
    return Case(name, "grammar", grammar, prompt, Lark(grammar, parser="earley", lexer="dynamic_complete").parse)


BOOK = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 30},
        "year": {"type": "integer", "minimum": 1400, "maximum": 2100},
        "genres": {"type": "array", "items": {"enum": ["fiction", "history", "science"]}, "maxItems": 2},
    },
    "required": ["title", "year", "genres"],
    "additionalProperties": False,
}
VISIT = {
    "$defs": {"place": {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}},
    "type": "object",
    "properties": {
        "date": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
        "place": {"allOf": [{"$ref": "#/$defs/place"}, {"maxProperties": 1}]},
        "parts": {"type": "integer", "multipleOf": 3, "minimum": 10, "maximum": 40},
    },
    "required": ["date", "code", "place", "parts"],
    "additionalProperties": False,
}
MOVES = """
start: move (", " move)~0..2
move: "go " DIRECTION " " STEPS
DIRECTION: "north" | "south" | "east" | "west"
STEPS: /[1-9][0-9]?/
"""
GBNF = """
root  ::= "(" digit ("+" digit){1,3} ")"
digit ::= [0-9]
"""
COLOURS = ["red", "green", "blue", "the colour of a cloudless sky, which is blue"]

CASES = [
    _json("a book", BOOK, "Describe a famous book as JSON with title, year and genres."),
    _json("formats, patterns, references", VISIT, "Write a visit as JSON: date, code, place, parts."),
    _regex("a regular expression", r"([0-9]{3}-){2}[0-9]{4}", "Give me a phone number."),
    Case("choices", "choice", COLOURS, "What is the colour of the sky?", _is_one_of(COLOURS)),
    _lark("a Lark grammar", MOVES, "How do I reach the house from here? Say it as: go north 3"),
    Case("a GBNF grammar", "grammar", GBNF, "Write a small sum.", _matches(r"\([0-9](\+[0-9]){1,3}\)")),
]

ANY_OBJECT = Case("any object", "json_object", True, "Write a short JSON object.", _begins_an_object)
"""A model may go on with it for as long as it likes, so it is judged as a beginning."""

RECURSIVE = _lark("a recursive grammar", 'start: "x" | "(" start "," start ")"', "Write pairs of pairs.")
"""Has texts of any length: only a budget makes sure that one is finished."""

INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("not a schema", {"json": {"type": "text"}}, "text"),
    ("nothing satisfies it", {"json": {"type": "integer", "minimum": 3, "maximum": 2}}, "#"),
    ("a reference to nowhere", {"json": {"properties": {"a": {"$ref": "#/$defs/b"}}}}, "#/$defs/b"),
    ("a malformed pattern", {"regex": "(ab"}, "("),
    ("a back-reference", {"regex": r"(a+)\1"}, "reference"),
    ("a malformed grammar", {"grammar": 'start: "a" ('}, "line"),
    ("a missing rule", {"grammar": "start: thing"}, "thing"),
    ("an unknown kind", {"structural_tag": '{"type": "structural_tag", "format": {"type": "any_text"}}'}, "tag"),
    ("an option that would be ignored", {"json": {}, "whitespace_pattern": " *"}, "whitespace_pattern"),
]
"""Structured outputs that must be refused, and a piece of the message."""


class Report:
    """Prints one line per request and remembers whether all were as they should be."""

    def __init__(self, title: str) -> None:
        print(f"== {title}")
        self.failures = 0

    def judge(self, case: Case, text: str) -> None:
        try:
            case.judge(text)
        except Exception as error:  # whatever an oracle raises is its verdict
            self.line(False, case.name, f"{text!r}: {type(error).__name__}: {str(error).splitlines()[0]}")
        else:
            self.line(True, case.name, repr(text))

    def line(self, is_right: bool, name: str, said: str) -> None:
        self.failures += not is_right
        print(f"   {'ok  ' if is_right else 'FAIL'} {name}: {said}", flush=True)
