"""Lark grammars against Lark's own Earley parser with the lexer "dynamic_complete"."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from itertools import pairwise, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lark import Lark
from lark.exceptions import GrammarError as LarkGrammarError
from lark.exceptions import UnexpectedInput

from tests.reference_rules import accepts
from tests.sample_rules import mutated, sampled
from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.expression_algebra import expression_size
from tokamask.grammar.lark import read_lark


def oracle(grammar: str, start: str = "start") -> Lark:
    return Lark(grammar, parser="earley", lexer="dynamic_complete", start=start)


def parses(parser: Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except UnexpectedInput:
        return False
    except RuntimeError as error:
        # Lark found two parses that it cannot put into one forest, which is not the question here.
        assert "multiple start symbol items" in str(error)  # noqa: PT017
    return True


def check(grammar: str, texts: Iterable[str]) -> None:
    """Both sides agree on the texts, on texts sampled from the rules, and on mutations of these."""
    parser, rules = oracle(grammar), read_lark(grammar)
    generator = random.Random(0)
    samples = [sampled(rules, generator) for _ in range(25)]
    alphabet = "".join(sorted(set("".join(samples)))) or "a"
    mutations = [mutated(sample, alphabet, generator) for sample in samples for _ in range(3)]
    for sample in samples:
        assert accepts(rules, sample.encode()), sample
    for text in [*texts, *samples, *mutations]:
        if len(text) <= 60:
            assert accepts(rules, text.encode()) == parses(parser, text), text


def words(alphabet: str, longest: int) -> list[str]:
    return ["".join(letters) for length in range(longest + 1) for letters in product(alphabet, repeat=length)]


CALC = """
?start: sum | NAME "=" sum -> assign
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: atom | product "*" atom | product "/" atom
?atom: NUMBER | "-" atom -> neg | NAME | "(" sum ")"
%import common.CNAME -> NAME
%import common.NUMBER
%import common.WS_INLINE
%ignore WS_INLINE
"""

JSON = r"""
?start: value
?value: object | array | string | SIGNED_NUMBER -> number | "true" | "false" | "null"
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: string ":" value
string: ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
"""

LEVELS = ["or", "and", "not", "<", "|", "^", "&", "<<", "+", "*", "~", "**", ".", "@", "!"]
PYTHON_LIKE = (
    "start: level0\n"
    + "\n".join(f'?level{i}: level{i + 1} | level{i} "{op}" level{i + 1}' for i, op in enumerate(LEVELS))
    + '\n?level15: NAME | "(" start ")" | level15 "(" [start ("," start)*] ")" | level15 "[" start "]"\n'
    + "NAME: /[a-z]+/\n%ignore / +/\n"
)

CHAIN = "".join(f'T{number}: "a" T{number + 1}\n' for number in range(1_500))
COMMENTS = """
start: (NAME ";")*
NAME: /[a-c]+/
%ignore /--[^\\n]*/
%ignore /[ \\n]+/
%ignore "/*" /(.|\\n)*?/ "*/"
"""


@pytest.mark.parametrize(
    ("grammar", "texts"),
    [
        pytest.param(CALC, ["1+2", "x = 3 * (4 -5)", "x=", " 1", "1 ", "", "- - 1", "1.5e3", "x y"], id="calc"),
        pytest.param(
            JSON,
            [
                "{}",
                '{"a": [1, true, null]}',
                '"a"b"',
                '"a\\"b"',
                '"\\\\"',
                '{"a" 1}',
                " [ ] ",
                "[1,]",
                "-1.5e3",
                '"\n"',
            ],
            id="JSON",
        ),
        pytest.param(
            PYTHON_LIKE, ["a or b", "a.b(c, d)[e] ** f", "a < b < c", "a b", "not", "(a", "a()()"], id="levels"
        ),
        pytest.param(
            COMMENTS,
            [
                "a;",
                "--a;\nb;",
                "--",
                "a -- b;",
                "a -- b\n;",
                "a /* ; */ ;",
                "a /* */ b */;",
                "-a;",
                "a;--\n--b",
                "/*",
                "/**/",
            ],
            id="comments",
        ),
        pytest.param('start: start start | "a"', words("ab", 5), id="ambiguous"),
        pytest.param('start: "a" start "b" |', words("ab", 6), id="a^n b^n"),
        pytest.param('start: "a" start "a" | "b" start "b" | "a" | "b" |', words("ab", 6), id="palindromes"),
        pytest.param('start: ("(" start ")" | "[" start "]")*', words("()[]", 5), id="Dyck"),
        pytest.param('start: a "x" | "y"\na: start "y" | "x"', words("xy", 6), id="mutual"),
        pytest.param('start: n start "x" | "y"\nn: "z"?', words("xyz", 5), id="hidden"),
        pytest.param('start: a\na: b | "x"\nb: a | "y"', words("xy", 3), id="unit cycle"),
        pytest.param('start: a~2..3 "c"~2\na: "a" | "b"', words("abc", 5), id="counts"),
        pytest.param('start: "a"~0 "b"~0..1', words("ab", 3), id="zero counts"),
        pytest.param('start: ["a"] ["b" | "c"] [a]\na: "d"+', words("abcd", 4), id="maybe"),
        pytest.param('start: sep{A, ","}\nsep{x, s}: x (s x)*\nA: "a".."c"', words("abc,", 4), id="template"),
        pytest.param(
            'start: twice{pair, A}\ntwice{t, x}: t{x} t{x}\npair{x}: x x | B\nA: "a"\nB: "b"',
            words("ab", 5),
            id="templates passed",
        ),
        pytest.param('start: wrap{wrap{"a"}}\nwrap{x}: "<" x ">"', ["<<a>>", "<a>", "<<a>"], id="nested templates"),
        pytest.param('start: "if"i "x" | /i[fg]/i "y"', ["ifx", "IFx", "iFX", "Igy", "igy", "ix"], id="case"),
        pytest.param(
            '!start.2: A.3 B? -> alias\nA.5: "a" | "b"\nB: A "c"'.replace("A.3", "A"), words("abc", 4), id="priorities"
        ),
        pytest.param("start: _a ?b\n".replace("?b", "b") + '_a: "a"\n?b: "b" | _a _a', words("ab", 4), id="modifiers"),
        pytest.param(
            'start: "a" WS "b" | WS\n%import common.WS\n%ignore WS', words("ab \n", 4), id="ignored and needed"
        ),
        pytest.param('start: " a" | "b"\n%ignore / +/', words("ab ", 5), id="lexeme begins like a gap"),
        pytest.param('start: "xb" | "b"+\n%ignore /x(xx)?/', words("xb", 6), id="gap that may go on"),
        pytest.param('start: "b"+\n%ignore /a(ab)*/\n%ignore "c"', words("abc", 6), id="gap that goes on in two steps"),
        pytest.param('start: "ab"i | "b" | "ba"i', words("abB", 3), id="words with and without case"),
        pytest.param('start:\n%ignore " "', ["", " ", "  ", "a"], id="only gaps"),
        pytest.param(
            'start: "(" start ")" | "x" start | \n%ignore " "', words("(x) ", 5), id="recursive start and gaps"
        ),
        pytest.param(
            '%import common (INT, LETTER)\nstart: INT LETTER*\n%override INT: /[1-3]/\n%extend LETTER: "_"',
            words("13a_", 4),
            id="override",
        ),
        pytest.param('start: A "é" | "日本"\nA: /[à-ü]/', ["éé", "àé", "日本", "日", "aé"], id="unicode"),
        pytest.param(
            'start: A+\nA: "\\t" | "\\x41" | "\\u0042" | /\\x43\\n/ | "\\\\" | "\\""',
            ["\tAB", "C\n\\", '"', "x"],
            id="escapes",
        ),
        pytest.param('start: a+\na: /a|ab/ | /b+?/ "c"', words("abc", 6), id="preferences"),
    ],
)
def test_agrees_with_lark(grammar: str, texts: list[str]) -> None:
    check(grammar, texts)


@pytest.mark.parametrize(
    ("grammar", "twin"),
    [
        ('start: A "b"\nA: /a*/', 'start: A? "b"\nA: /a+/'),
        ('start: A "b"\nA: /a*?/', 'start: "b"'),
        ('start: A "b"\nA: /a??b*?|c/', 'start: "b"'),
        ('start: "a" S "b"\nS: "+" | "" | "-"', 'start: "a" S? "b"\nS: "+" | "-"'),
        ('start: "" | "a" | "b"', 'start: ("a" | "b")?'),
        ('start: ""i "b"+', 'start: "b"+'),
        ('start: (A | "b")*\nA: ""', 'start: "b"*'),
        ("start: a\na: a A B | B\nA: /a?/\nB: /b/", "start: a\na: a A? B | B\nA: /a/\nB: /b/"),
        ("start: a\na: A a B A\n | B\nA: /a?/\nB: /b/", "start: a\na: A? a B A?\n | B\nA: /a/\nB: /b/"),
        ('start: A "b" A\nA: /a*/\n%ignore /[+]*/', 'start: A? "b" A?\nA: /a+/\n%ignore /[+]+/'),
        ('start: t{""} | t{"a"}\nt{x}: "b" x "b"', 'start: "bb" | "bab"'),
    ],
)
def test_terminals_that_fit_the_empty_text(grammar: str, twin: str) -> None:
    """Lark refuses them; their twins say with ? what they mean."""
    parser, rules = oracle(twin), read_lark(grammar)
    for text in words("ab+-", 5):
        assert accepts(rules, text.encode()) == parses(parser, text), text


COMMON = (
    "DIGIT HEXDIGIT INT SIGNED_INT DECIMAL FLOAT SIGNED_FLOAT NUMBER SIGNED_NUMBER ESCAPED_STRING LCASE_LETTER "
    "UCASE_LETTER LETTER WORD CNAME WS_INLINE WS CR LF NEWLINE SH_COMMENT CPP_COMMENT C_COMMENT SQL_COMMENT"
)


@pytest.mark.parametrize("name", COMMON.split())
def test_common_terminals(name: str) -> None:
    check(f'start: {name} ("+" {name})?\n%import common.{name}', ["", '"', "1", "a", "é", "\n", "/**/", "/*/", "--"])


def test_other_start() -> None:
    assert accepts(read_lark('start: "a"\nother: "b"', start="other"), b"b")


def test_sizes_stay_small() -> None:
    """Every level of operators costs the same."""
    rules = read_lark(PYTHON_LIKE)
    assert len(rules.rules) <= 20
    assert sum(map(expression_size, rules.rules.values())) < 20 * len(LEVELS)


SYMBOLS = st.sampled_from(["a", "b", "A", "B", '"x"', '"y"', '"xy"'])
BODIES = st.recursive(
    SYMBOLS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(" ".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({' | '.join(parts)})"),
        st.builds(lambda part, suffix: f"({part}){suffix}", inner, st.sampled_from(["?", "*", "+", "~2", "~1..2"])),
        inner.map(lambda part: f"[{part}]"),
    ),
    max_leaves=6,
)
TERMINALS = st.sampled_from(["/x+/", "/y|yx/", '"x" "y"?', "/x+?y/", '"z"', "/z?x/"])
IGNORED = st.sampled_from(["", '%ignore "z"', "%ignore /z+/", "%ignore /z(y)?/", "%ignore /zx*/\n%ignore /y/"])


@st.composite
def grammars(draw: st.DrawFn) -> str:
    rules = [f"{name}: {draw(BODIES)} | {draw(SYMBOLS)}" for name in ("start", "a", "b")]
    terminals = [f"{name}: {draw(TERMINALS)}" for name in ("A", "B")]
    return "\n".join([*rules, *terminals, draw(IGNORED)])


TEXTS = words("xyz", 4)


@settings(max_examples=120)
@given(grammars())
def test_random_grammars(grammar: str) -> None:
    try:
        parser = oracle(grammar)
    except LarkGrammarError:
        # Lark refuses some repetitions of one and the same alternative, whose language is plain.
        assume(False)
    try:
        rules = read_lark(grammar)
    except UnsupportedFeature as error:
        assert "can depend on the text after it" in str(error)  # noqa: PT017
        return
    except GrammarError as error:
        assert "cannot produce any text" in str(error)  # noqa: PT017
        assert not any(parses(parser, text) for text in TEXTS)
        return
    for text in TEXTS:
        assert accepts(rules, text.encode()) == parses(parser, text), text


@pytest.mark.parametrize(
    ("grammar", "error", "words"),
    [
        ('start: "a" (', GrammarSyntaxError, "line 1"),
        ('start: "a"\nb: "b" "', GrammarSyntaxError, "line 2"),
        ('start: b "a"', GrammarSyntaxError, "'b'"),
        ('start: B "a"', GrammarSyntaxError, "'B'"),
        ("start: A\nA: B", GrammarSyntaxError, "B"),
        ('a: "a"', GrammarError, "there is no rule 'start' to start from; the grammar has a"),
        ('start: "a" start', GrammarError, "cannot produce any text"),
        ("start: A\n%declare A", UnsupportedFeature, "%declare A"),
        ("start: A\n%import .other.A", UnsupportedFeature, "%import .other"),
        ("start: A\n%import other.A", UnsupportedFeature, "%import other"),
        ("start: A\n%import common.NOWHERE -> A", GrammarSyntaxError, "'A' used but not defined"),
        ("start: /a(/", GrammarSyntaxError, "malformed regular expression"),
        ("start: A\nA: /if(?![a-z])/", UnsupportedFeature, "terminal A: the regular expression"),
        ('start: "a"~3..2', GrammarSyntaxError, "a repetition from 3 to 2"),
        ('start: "a"~99999999999', GrammarSyntaxError, "counts go up"),
        ('start: "a"~' + "9" * 5000, CompileBudgetExceeded, "a number in the grammar is too long"),
        ("start: /a{" + "9" * 5000 + "}/", CompileBudgetExceeded, "a number in the grammar is too long"),
        ('start: t{"a"}\nt{x}: "(" t{u{x}} ")"\nu{x}: x x', CompileBudgetExceeded, "ever new arguments"),
        ("start: T0\n" + CHAIN + 'T1500: "x"', CompileBudgetExceeded, "the terminals together are longer"),
        ("//" + "x" * 1_500_000 + '\nstart: "a"', CompileBudgetExceeded, "longer to load than compile_seconds=30.0"),
        ('start: t{"a", "b"}\nt{x}: x', GrammarSyntaxError, "template arguments used for t (expected 1, got 2)"),
        ("start: t\nt{x}: x", GrammarSyntaxError, "'t' takes 1 arguments, not 0"),
        ('start: "c".."a"', GrammarSyntaxError, "malformed regular expression"),
        ('start: "ab".."c"', GrammarSyntaxError, "malformed range of characters"),
        ('start: "\\xzz"', GrammarSyntaxError, "truncated \\xXX escape"),
        ("", GrammarError, "the grammar has no rules"),
        ('start: "b" "c"\n%ignore /a(bc)?/', UnsupportedFeature, 'how much is ignored before "b"'),
        (
            "start: A\nA: B B B B B B B B B B\n"
            + "".join(f"{x}: {y} {y} {y} {y} {y} {y} {y} {y} {y} {y}\n" for x, y in pairwise("BCDEFG"))
            + 'G: "a"',
            CompileBudgetExceeded,
            "terminal B is longer",
        ),
        ("start: " + "(" * 2000 + '"a"' + ")" * 2000, CompileBudgetExceeded, "nests too deeply"),
        ('start: a\na: "b"\na: "c"', GrammarSyntaxError, "'a' defined more than once"),
        ('start: A\nA: A "b" | "a"', GrammarSyntaxError, "ecursion in terminal 'A'"),
    ],
)
def test_refused(grammar: str, error: type[GrammarError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        read_lark(grammar)


def test_errors_point_at_the_place() -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        read_lark('start: "a"\nnext: "b" unknown "c"\n')
    assert (caught.value.line, caught.value.column) == (2, 11)
