"""GBNF against the same grammars in Lark's notation, against `re`, and its errors."""

from __future__ import annotations

import random
import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark
from lark.exceptions import UnexpectedInput

from tests.reference_rules import accepts
from tests.sample_rules import mutated, sampled
from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.expression_algebra import expression_size
from tokamask.grammar.gbnf import read_gbnf
from tokamask.grammar.rules import Terminal

JSON = r"""
# JSON, in the manner of llama.cpp
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})   # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [1-9] [0-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""

JSON_LARK = r"""
start: object
value: object | array | string | number | ("true" | "false" | "null") ws
object: "{" ws [ string ":" ws value ("," ws string ":" ws value)* ] "}" ws
array: "[" ws [ value ("," ws value)* ] "]" ws
string: "\"" (/[^"\\\x7F\x00-\x1F]/ | "\\" (/["\\bfnrt]/ | "u" /[0-9a-fA-F]{4}/))* "\"" ws
number: "-"? (/[0-9]/ | /[1-9]/ /[0-9]/~0..15) ("." /[0-9]/+)? (/[eE]/ /[-+]/? /[1-9]/ /[0-9]/~0..15)? ws
ws: | " " | "\n" /[ \t]/~0..20
"""

ARITHMETIC = """
root  ::= (expr "=" ws term "\\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \\t\\n]*
"""

ARITHMETIC_LARK = r"""
start: (expr "=" ws term "\n")+
expr: term (/[-+*\/]/ term)*
term: ident | num | "(" ws expr ")" ws
ident: /[a-z]/ /[a-z0-9_]/* ws
num: /[0-9]/+ ws
ws: /[ \t\n]/*
"""

CHESS = """
root ::= ("1. " move " " move "\\n") ([1-9] [0-9]? ". " move " " move "\\n")+
move ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
"""

CHESS_LARK = r"""
start: ("1. " move " " move "\n") (/[1-9]/ /[0-9]/? ". " move " " move "\n")+
move: (pawn | nonpawn | castle) /[+#]/?
nonpawn: /[NBKQR]/ /[a-h]/? /[1-8]/? "x"? /[a-h]/ /[1-8]/
pawn: (/[a-h]/ "x")? /[a-h]/ /[1-8]/ ("=" /[NBKQR]/)?
castle: "O-O" "-O"?
"""

LIST = """root ::= item+

item ::= "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"
"""

LIST_LARK = r"""
start: item+
item: "- " /[^\r\n\x0b\x0c\x85\u2028\u2029]/+ "\n"
"""

LEFT_RECURSIVE = """root ::= root "+" root | root "*" root
  | "-" root | "(" root ")"
  | [0-9]
"""

LEFT_RECURSIVE_LARK = r"""
start: start "+" start | start "*" start | "-" start | "(" start ")" | /[0-9]/
"""


def parses(parser: Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except UnexpectedInput:
        return False
    return True


@pytest.mark.parametrize(
    ("grammar", "twin"),
    [
        pytest.param(JSON, JSON_LARK, id="JSON"),
        pytest.param(ARITHMETIC, ARITHMETIC_LARK, id="arithmetic"),
        pytest.param(CHESS, CHESS_LARK, id="chess"),
        pytest.param(LIST, LIST_LARK, id="list"),
        pytest.param(LEFT_RECURSIVE, LEFT_RECURSIVE_LARK, id="left recursion"),
    ],
)
def test_agrees_with_lark(grammar: str, twin: str) -> None:
    rules = read_gbnf(grammar)
    parser = Lark(twin, parser="earley", lexer="dynamic_complete")
    generator = random.Random(1)
    samples = [sampled(rules, generator, 10) for _ in range(40)]
    alphabet = "".join(sorted(set("".join(samples))))
    compared = 0
    for text in [*samples, *(mutated(sample, alphabet, generator) for sample in samples for _ in range(3))]:
        if len(text) <= 30:
            compared += 1
            assert accepts(rules, text.encode()) == parses(parser, text), text
    assert compared > 30


def test_regular_grammars_are_one_terminal() -> None:
    for grammar in (CHESS, LIST, 'root ::= "a" root | rest\nrest ::= [b-d]+ root | ""'):
        rules = read_gbnf(grammar)
        assert sum(map(expression_size, rules.rules.values())) <= 2


def words(alphabet: str, longest: int) -> list[str]:
    return ["".join(letters) for length in range(longest + 1) for letters in product(alphabet, repeat=length)]


@pytest.mark.parametrize(
    ("grammar", "pattern", "alphabet"),
    [
        ('root ::= "a" "b"', "ab", "ab"),
        ('root::=[ab]"c"?', "[ab]c?", "abc"),
        ('root ::= "a"{2} "b"{1,} "c"{0,2}', "a{2}b+c{0,2}", "abc"),
        ('root ::= ("a" | "b" "c")* | [^a-b]', "(?:a|bc)*|[^a-b]", "abc"),
        ('root ::= "a" | | "b"', "a||b", "ab"),
        ('root ::= . "\\n"', "(?s:.)\n", "a\né"),
        ("root ::= [a-] [-b] [\\]^]", r"[a\-][\-b][\]^]", "ab-]^"),
        ('root ::= "\\x41\\u00e9\\U0001F600" | "\\t\\r\\\\\\""', 'Aé😀|\t\r\\\\"', 'Aé😀\t\r\\"'),
        ("root ::= [à-ü]+ [^\\u0000-\\u00ff]", "[à-ü]+[^\u0000-\u00ff]", "aéñ日"),
        ('root ::=\n  # first\n  a |\n  b\na ::= "a"\n  "b"\nb ::= "b" # last', "ab|b", "ab"),
        ('root ::= a\n\n  | "b"\na ::= "a"*? "c"', "a*c|b", "abc"),
        ('root ::= ws_1 "a"\nws_1 ::= ([ \\t] ws_1)?', "[ \t]*a", " \ta"),
        ('root ::= "a\nb"', "a\nb", "ab\n"),
    ],
)
def test_notation(grammar: str, pattern: str, alphabet: str) -> None:
    rules = read_gbnf(grammar)
    for text in words(alphabet, 5 if len(alphabet) < 5 else 4):
        assert accepts(rules, text.encode()) == bool(re.fullmatch(pattern, text)), text


def test_other_start() -> None:
    assert accepts(read_gbnf('root ::= "a"\nother ::= "b"', start="other"), b"b")


ELEMENTS = st.sampled_from(['"a"', '"b"', '"ab"', "[a-b]", "[^a]", "."])
BODIES = st.recursive(
    ELEMENTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(" ".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({' | '.join(parts)})"),
        st.builds(
            lambda part, suffix: f"({part}){suffix}", inner, st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "{2,}"])
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(BODIES)
def test_regular_bodies_match_as_re_does(body: str) -> None:
    """Without rules the notation is a regular expression with blanks and quotes; `re` decides."""
    pattern = body.replace('"', "").replace(" ", "").replace("(", "(?:").replace(".", "(?s:.)")
    rules = read_gbnf(f"root ::= {body}")
    for text in words("abc", 4):
        assert accepts(rules, text.encode()) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize(
    ("grammar", "error", "message", "place"),
    [
        ('root ::= "a', GrammarSyntaxError, "this literal is not closed", (1, 10)),
        ("root ::= [a", GrammarSyntaxError, "this character class is not closed", (1, 10)),
        ('root ::= ("a" |\n "b"', GrammarSyntaxError, "this group is not closed", (1, 10)),
        ('root ::= "a")', GrammarSyntaxError, "expected a rule", (1, 13)),
        ('root ::= "a"\nroot ::= "b"', GrammarSyntaxError, "'root' is defined twice", (2, 1)),
        ('root ::= "a"\n  other', GrammarSyntaxError, "rule 'other' is used but not defined", (2, 3)),
        ("root ::= []", GrammarSyntaxError, "this character class is empty", (1, 10)),
        ("root ::= [b-a]", GrammarSyntaxError, "the end of this range", (1, 11)),
        ('root ::= "\\q"', GrammarSyntaxError, "unknown escape \\q", (1, 11)),
        ('root ::= "\\x4"', GrammarSyntaxError, "\\x needs 2 hexadecimal digits", (1, 11)),
        ('root ::= "\\ud800"', GrammarSyntaxError, "a lone surrogate", (1, 11)),
        ('root ::= "a"{2,1}', GrammarSyntaxError, "counts go up", (1, 13)),
        ('root ::= "a"{' + "9" * 5000 + "}", GrammarSyntaxError, "counts go up", (1, 13)),
        ('root ::= "a"{x}', GrammarSyntaxError, "expected a count", (1, 13)),
        ('root ::= * "a"', GrammarSyntaxError, "unexpected '*'", (1, 10)),
        ("root = 'a'", GrammarSyntaxError, "expected a rule", (1, 1)),
        ("root ::= 'a'", GrammarSyntaxError, 'unexpected "\'"', (1, 10)),
    ],
)
def test_syntax_errors_point_at_the_place(
    grammar: str, error: type[GrammarSyntaxError], message: str, place: tuple[int, int]
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        read_gbnf(grammar)
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    ("grammar", "error", "message"),
    [
        ("", GrammarError, "there is no rule 'root' to start from; the grammar has no rules"),
        ('a ::= "b"', GrammarError, "the grammar has a"),
        ('root ::= "a" root', GrammarError, "cannot produce any text"),
        ("root ::= <think>", UnsupportedFeature, "a token of the vocabulary"),
        ("root ::= !<[100]>", UnsupportedFeature, "a token of the vocabulary"),
        ("root ::= " + "(" * 5_000, CompileBudgetExceeded, "nest deeper"),
    ],
)
def test_refused(grammar: str, error: type[GrammarError], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        read_gbnf(grammar)


def test_large_counts_are_not_written_out() -> None:
    rules = read_gbnf('root ::= [a-z]{1,1000000} "."')
    assert sum(map(expression_size, rules.rules.values())) < 10
    assert accepts(rules, b"abc.")


def test_terminals_are_named_for_messages() -> None:
    rules = read_gbnf('root ::= "(" root ")" | digits\ndigits ::= [0-9]+')
    names = {part.name for part in subterminals(rules.rules[rules.start])}
    assert names == {'"("', '")"', "digits"}


def subterminals(expression: object) -> list[Terminal]:
    if isinstance(expression, Terminal):
        return [expression]
    parts = getattr(expression, "parts", ()) or getattr(expression, "alternatives", ())
    return [terminal for part in parts for terminal in subterminals(part)]
