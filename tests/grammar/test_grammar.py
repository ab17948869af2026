"""What `check` says about a text, and the ways to make a grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError
from tokamask.grammar.grammar import CheckResult, Grammar


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("ab", CheckResult(True, 2)),
        ("", CheckResult(False, 0, None, ("'a'", "other characters"))),
        ("ax", CheckResult(False, 1, None, ("'b' to 'd'",))),
        ("a", CheckResult(False, 1, None, ("'b' to 'd'",))),
        ("abc", CheckResult(False, 2, None, ("end of text",))),
        ("éé1x", CheckResult(False, 2, None, ("'x'", "'z'"))),
        ("éê", CheckResult(False, 1, None, ("other characters",))),
        ("éé", CheckResult(False, 2, None, ("'x'", "'z'"))),
        ("\ud800", CheckResult(False, 0, None, ("'a'", "other characters"))),
    ],
)
def test_check_text(text: str, result: CheckResult) -> None:
    assert Grammar.from_regex("a[b-d]|éé[xz]").check(text) == result


def test_check_bytes_counts_bytes() -> None:
    grammar = Grammar.from_regex("éa")
    assert grammar.check("éb".encode()) == CheckResult(False, 2, None, ("'a'",))
    assert grammar.check(b"\xc3\xff").offset == 1
    assert grammar.check("éa".encode()) == CheckResult(True, 3)


def test_check_names_the_value() -> None:
    grammar = Grammar.from_json_schema({"properties": {"é": {"items": {"maxLength": 2}}}})
    result = grammar.check('{"é": ["ab", "abc"]}')
    assert (result.ok, result.offset, result.pointer) == (False, 16, "#/é/1")
    assert result.expected == ("'\"'",)
    result = grammar.check('{"é": ["a')
    assert (result.ok, result.offset, result.pointer) == (False, 9, "#/é/0")


def test_choices() -> None:
    grammar = Grammar.from_choices(["a", "ab", "é", "a"])
    assert [grammar.check(text).ok for text in ("a", "ab", "é", "", "b", "abb")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(GrammarError, match="at least one"):
        Grammar.from_choices([])
    with pytest.raises(TypeError, match="not one str"):
        Grammar.from_choices("ab")
    with pytest.raises(GrammarError, match="lone surrogate"):
        Grammar.from_choices(["a", "\ud800"])


@pytest.mark.parametrize(
    ("make", "arguments", "says"),
    [
        (Grammar.from_choices, [["a", 1]], "a choice must be a str, not int"),
        (Grammar.from_choices, [7], "not one int"),
        (Grammar.from_regex, [re.compile("a")], "a pattern must be a str, not Pattern"),
        (Grammar.from_regex, [b"a"], "a pattern must be a str, not bytes"),
        (Grammar.from_lark, [None], "a Lark grammar must be a str, not NoneType"),
        (Grammar.from_lark, ['start: "a"', ["start"]], "start must be a str, not list"),
        (Grammar.from_gbnf, [b'root ::= "a"'], "a GBNF grammar must be a str, not bytes"),
    ],
)
def test_what_is_no_text_is_refused_by_name(make: Callable[..., Grammar], arguments: list[Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        make(*arguments)


@pytest.mark.parametrize("value", [{"a": 1}, 5, None, bytearray(b"5")])
def test_only_texts_are_checked(value: Any) -> None:
    with pytest.raises(TypeError, match=f"check takes a text, str or bytes, not {type(value).__name__}"):
        Grammar.from_json_schema({}).check(value)


def test_unknown_dialects_are_refused() -> None:
    with pytest.raises(GrammarError, match="dialect must be one of python, ecma, not 'perl'"):
        Grammar.from_regex("a", dialect="perl")  # type: ignore[arg-type]


def test_a_marker_before_a_grammar() -> None:
    inner = Grammar.from_lark('start: "x" after?\nafter: "y"')
    grammar = inner.after_marker(b"--")
    for text, expected in [
        ("--x", True),
        ("a-b--xy", True),
        ("---x", False),
        ("--", False),
        ("x", False),
        ("--x--x", False),
    ]:
        assert grammar.check(text).ok == expected, text
    twice = grammar.after_marker(b"#")
    assert twice.check("--#-- --x").ok is False
    assert twice.check("--#- --x").ok
    assert grammar.check(b"\xff--x").ok


def test_behind_a_marker_the_pointer_is_that_of_the_document() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    grammar = Grammar.from_json_schema(schema).after_marker(b"</think>")
    thoughts = '{"b": [1, {"c": 2}]} é '
    result = grammar.check(thoughts + '</think>{"a": "x"}')
    assert (result.offset, result.pointer) == (len(thoughts) + 14, "#/a")
    assert grammar.check(thoughts).pointer is None
    twice = grammar.after_marker(b"#")
    assert twice.check('#{"b": 1}</think>{"a": "x"}').pointer == "#/a"


def test_equal_grammars_are_different_objects_with_one_program_each() -> None:
    one, two = Grammar.from_regex("a"), Grammar.from_regex("a")
    assert one != two
    assert one.program is one.program
    assert (one.program.words == two.program.words).all()


def test_names_that_no_key_can_spell() -> None:
    """A lone surrogate has no UTF-8: such a property can never come."""
    grammar = Grammar.from_json_schema({"type": "object", "properties": {"\ud800": {"type": "integer"}, "a": True}})
    assert grammar.check('{"a": 1}').ok
    assert not grammar.check('{"\\ud800": 1}').ok


def test_long_names_are_refused() -> None:
    Grammar.from_json_schema({"type": "object", "properties": {"x" * 4095: True}}).check("{}")
    with pytest.raises(CompileBudgetExceeded, match="5000 bytes"):
        Grammar.from_json_schema({"type": "object", "properties": {"x" * 5000: True}}).check("{}")


def test_the_schema_of_a_grammar_is_what_was_given_whatever_stands_before_it() -> None:
    schema = {"type": "number", "minimum": 0.5, "title": "t"}
    grammars = [Grammar.from_json_schema(schema), Grammar.from_json_schema(json.dumps(schema))]
    for grammar in [*grammars, *(grammar.after_marker(b"</think>") for grammar in grammars)]:
        assert grammar.schema == schema
        assert type(grammar.schema["minimum"]) is float
        assert [(report.pointer, report.status.value) for report in grammar.explain()] == [
            ("#/type", "enforced"),
            ("#/minimum", "enforced"),
            ("#/title", "annotation"),
        ]
    assert Grammar.from_regex("a").schema is None
    assert Grammar.from_regex("a").explain() == []


def test_made_by_its_methods_only() -> None:
    with pytest.raises(TypeError, match="from_json_schema, not of a dict"):
        Grammar({"type": "string"})  # type: ignore[arg-type]
    with pytest.raises(GrammarSyntaxError, match="Invalid control character \\(line 1, column 9\\)"):
        Grammar.from_json_schema('{"a": "x\ny"}')
