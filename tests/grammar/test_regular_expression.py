"""Regular expressions against `re`: all short texts for chosen and for generated patterns."""

from __future__ import annotations

import csv
import random
import re
import warnings
from itertools import product
from typing import Literal

import interegular
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grammar.json_schema.archives import DATA
from tokamask.errors import CompileBudgetExceeded, GrammarSyntaxError, TokamaskError, UnsupportedFeature
from tokamask.grammar.language import any_text, complement_in_text, equivalent, intersection, union
from tokamask.grammar.regular_expression import pattern_language, read_pattern
from tokamask.grammar.regular_expression.syntax import (
    TEXT_START,
    Alternation,
    Characters,
    Concatenation,
    Repetition,
)
from tokamask.grammar.text_lengths import lengths

TEXTS = ["".join(letters) for count in range(5) for letters in product("ab\n é", repeat=count)]


def assert_like_re(pattern: str, search: bool) -> None:
    language = pattern_language(pattern, "python", search=search)
    compiled = re.compile(pattern)
    match = compiled.search if search else compiled.fullmatch
    for text in TEXTS:
        assert language.matches(text.encode()) == bool(match(text)), (pattern, text)


PYTHON_PATTERNS = [
    "", "()", "ab", "a|b", "a|", "|a", "a*b|c", "(a|b)*abb", "a+?b", "a??", "a{2,4}", "a{,2}b{1,}", "a{2}{", "{a",
    "a{,}", "a{}", "a{1", "}", "]", "[]a]", "[^]a]", "[a-]", "[-a]", "[a^]", r"[\]a]", r"[\n-b]", "[^a]b", "é+",
    "[é-ü]", r"\x61", r"\u00e9", r"\U000000e9", r"\N{LATIN SMALL LETTER E WITH ACUTE}", r"\141", r"\0|a", r"[\141]",
    r"\.|a", "^a$", "a$", "a$\n", "a$\n?", "$a", "^", "$", r"\Aa\Z", r"a\Z", "(^a|b$)", "(?:^|a)b", "(a|^)*b",
    "(?:a$|b)*", "(?m)^a$", "(?m)(a$\\s*)+", "(?m:^)a", "(?s)a.b", "a.b", "(?s:.)b", "(?i)aB", "(?i:A)b", "(?i)É",
    "(?i)[^A]", "(?ai)É|a", "(?i)[A-É]", r"(?a)\w", r"\w+", r"\W", r"\s", r"\S\s", r"\d|a", r"\D", r"[\w ]",
    r"[^\W a]", "(?x) a b # comment", "(?x)a +", r"(?x)a\ b", "(?x)[ a]", "a(?#comment)*b", "(?P<name>a)b", r"\ba",
    r"a\b", r"\bab\b", r"\Ba", r"\B", r"\b", r"(?:\ba|b)*", r"é\b", "(?=ab)a[bc]", "(?=a)", "(?!a)", "(?!ab)[ab]+",
    "(?=.*a)(?=.*b)(?!.*é).*", "(?:(?!ab).)*", "(?:(?=a.?b)..)*", "a(?=b|$)", "(?!^a)[ab]", r"a(?!\bb)b",
    "^(?!ab)(?=.b)[ab]*", "(?:^(?!a))[ab]+$", "^(?=a)a|b", "^^(?!$)(?!.*é$)", "(?:(?!a)(?=b)|a)b", r"^(?!a\b)(?=\b.)",
    "^(?=a(?<!ba).)(?:(?!b.a).)*", "a(?=(?!b).)", "(?=a(?=b))..", "(?!(?!a))a", "(?<=a)b", "(?<!a)b", "(?<=ab)a|b",
    "(?<!ab)a", "(?<=^a)b",
    "a(?<!ba)b", "(?:a(?<=ba))+", "(?<=a(?<=a)b)a", "(?:a|b(?=a))*", "(?=(?:ab)*$)[ab]*",
    r"(a|b)\1", r"(a|b|)é\1", r"((a|b)a)\2\1", r"(?P<n>a|b)(?:(a|)\2(?P=n))*", r"(?:([ab])\1)*", r"(a|é)(?=.*\1)",
    r"([ab]{1,2})(?!\1).", r"(?<=(a)b)a(b)\2", r"([ab])(b)\1\2", r"(a)\1*$",
    r"a(?#\)a)b", r"(?#b)(?i)A(?#\\)", "(?x)a # \\\n b\n b", "(?x)a # b",
]  # fmt: skip


@pytest.mark.parametrize("search", [False, True])
@pytest.mark.parametrize("pattern", PYTHON_PATTERNS)
def test_python_patterns_match_what_re_matches(pattern: str, search: bool) -> None:
    assert_like_re(pattern, search)


COUNTED_PATTERNS = [
    "(?:a|b)*abb", "(?:a{1,3}b){2,3}", "(?:ab?){4}|b{4,}", "[^a]{3,6}(?:ab|é)+", "(?:(?:a|bb){2}é?){2,4}",
    ".{5}a.{2,3}", "(?=.*ab.*é).{6,9}", "(?!.*aa).{4,12}", "(?:a+b+){2,}", "(?:a|é){3}(?:b|éa)*",
]  # fmt: skip


@pytest.mark.parametrize("pattern", COUNTED_PATTERNS)
def test_long_texts_are_judged_as_by_another_library(pattern: str) -> None:
    """interegular builds automata of its own; texts too long to try all of are drawn at random."""
    language = pattern_language(pattern, "python", search=False)
    automaton = interegular.parse_pattern(pattern).to_fsm()
    generator = random.Random(pattern)
    verdicts = set()
    for _ in range(3000):
        text = "".join(generator.choices("abé", (5, 5, 2), k=generator.randrange(4, 11)))
        verdicts.add(expected := automaton.accepts(text))
        assert language.matches(text.encode()) == expected, text
    assert verdicts == {True, False}


ATOMS = st.sampled_from(
    ["a", "b", "é", ".", "", r"\w", r"\W", r"\s", "[ab]", "[^a]", r"[^\n]", r"\n", " ", "^", "$", r"\b", r"\B", r"\A",
     r"\Z", "(?m:^)", "(?m:$)", "(?s:.)", "(?i:A)", "(?i:[^É])"]
)  # fmt: skip
LOOKBEHINDS = st.tuples(
    st.sampled_from(["(?<=", "(?<!"]),
    st.sampled_from(["", "^"]),
    st.lists(st.sampled_from(["a", "b", ".", r"\w", "[^a]", "é"]), min_size=1, max_size=2).map("".join),
).map(lambda parts: "".join(parts) + ")")


def larger(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(patterns, min_size=2, max_size=3)
    quantifiers = st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,2}", "{,2}", "{2,}"])
    return st.one_of(
        several.map("".join),
        several.map(lambda alternatives: f"(?:{'|'.join(alternatives)})"),
        st.tuples(patterns, quantifiers).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
        patterns.map(lambda pattern: f"(?={pattern})"),
        patterns.map(lambda pattern: f"(?!{pattern})"),
    )


@settings(max_examples=400)
@given(st.recursive(ATOMS | LOOKBEHINDS, larger, max_leaves=8), st.booleans())
def test_generated_patterns_match_what_re_matches(pattern: str, search: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            assert_like_re(pattern, search)
        except UnsupportedFeature:
            # Lookbehinds inside lookaheads, and the reverse, are refused.
            assert "(?<" in pattern


PIECES = ["a", "b", "(a|b)", "([ab]?)", "(a|ab)", r"\1", r"\2", r"\3", r"(?:\1|b)*", r"(?!\2)", r"(?:(b|é)\1)?",
          "((a)b?)"]  # fmt: skip


def test_back_references_match_what_re_matches() -> None:
    """Sequences of pieces, nested or not; what is refused is refused by all."""
    generator = random.Random(5)
    compared = 0
    for _ in range(600):
        pattern = "".join(generator.choices(PIECES, k=generator.randrange(2, 6)))
        if generator.random() < 0.3:
            pattern = f"(?:{pattern})*b" if generator.random() < 0.5 else f"(?={pattern})."
        try:
            compiled = re.compile(pattern)
            language = pattern_language(pattern, "python", search=False)
        except (re.error, UnsupportedFeature):
            continue
        compared += "\\" in pattern
        for text in TEXTS:
            assert language.matches(text.encode()) == bool(compiled.fullmatch(text)), (pattern, text)
    assert compared > 100


# Each with texts that match somewhere and texts that do not.
ECMA_PATTERNS = [
    (r"^\d$", ["0", "9"], ["٣", "a", ""]),
    (r"^\w$", ["a", "Z", "_", "0"], ["é", "-"]),
    (r"^\W$", ["é", "-"], ["a"]),
    (r"^\s$", [" ", "\t", "\v", "\f", "\ufeff", "\u00a0", "\u2003", "\u2028", "\n"], ["\x1c", "\x85", "\u180e", "a"]),
    (r"^\S$", ["\x1c", "a"], ["\ufeff"]),
    ("^.$", ["a", "\x85", "😀"], ["\n", "\r", "\u2028", "\u2029", "ab"]),
    ("a$", ["a", "ba"], ["a\n"]),
    ("^a", ["ab"], ["\na"]),
    ("(^a|b$)", ["ax", "xb"], ["xa", "bx"]),
    ("a", ["xay"], ["b"]),
    ("^$|^a$", ["", "a"], ["b"]),
    (r"^\cJ\t\v\f\r\0$", ["\n\t\v\f\r\0"], ["J\t\v\f\r\0"]),
    (r"^\x41\u0042\u{43}\u{1F600}$", ["ABC😀"], ["ABC"]),
    (r"^\ud83d\ude00$", ["😀"], ["", "\u3d00"]),
    (r"^[\ud83c\udf00-\ud83d\ude4f]$", ["😀", "🌀"], ["\ud7ff", "a"]),
    (r"^[\ud800-\udbff]$", [], ["a", "😀"]),
    (r"^\p{Lu}\p{Nd}\P{L}$", ["É٣-"], ["é٣-", "É٣é"]),
    (r"^\p{Letter}\p{gc=Nd}\p{General_Category=Zs}$", ["é3 "], ["33 "]),
    (r"^[\p{Sc}\p{ASCII_Hex_Digit}]+$", ["€fF$9"], ["g"]),
    (r"^\p{LC}\p{L}\p{White_Space}\p{Upper}\p{Lower}$", ["ǅª\x85Aa"], ["ªª\x85Aa", "aª\x1cAa"]),
    (r"^(?<name>a)(?:b)$", ["ab"], ["a"]),
    ("^[^]$", ["\n", "a"], ["", "ab"]),
    ("[]", [], ["", "a"]),
    ("^[[]$", ["["], ["]"]),
    (r"^\-\_\@\/\#\ \&$", ["-_@/# &"], ["-_@/#&"]),
    ("^a{$", ["a{"], ["a"]),
    ("^a{,2}$", ["a{,2}"], ["aa"]),
    ("^{a}]$", ["{a}]"], ["a"]),
    (r"^[\w-.]$", ["a", "-", "."], [",", "/"]),
    (r"^[a\-z]$", ["a", "-", "z"], ["b"]),
    (r"^[+--]$", ["+", ",", "-"], ["."]),
    (r"^[\b]$", ["\b"], ["b"]),
    ("^a{2,3}?$", ["aa", "aaa"], ["a", "aaaa"]),
    (r"\bfoo\b", ["a foo!", "éfoo"], ["xfoo", "foo_"]),
    (r"^\B$", [""], ["a"]),
    ("^(?=.*[0-9])(?!.*--)[a-z0-9-]{3,}$", ["a-1", "1--".replace("--", "-a")], ["abc", "1--", "a1"]),
    ("^(?!@@)[@a-z]+$", ["@a", "a@@"], ["@@a"]),
    ("^@([a-z](?:(?!.*--)[a-z-]*[a-z])?)/x$", ["@a/x", "@a-b/x"], ["@a--b/x", "@a-/x"]),
    ("(?=a)*b", ["b"], ["a"]),
    ("(?<=a+)b", ["aab"], ["b", "ba"]),
    ("(?<!a{2,3})b$", ["ab", "b"], ["aab"]),
    ("^(?s:.)(?m:$)", ["\n", "a", "a\nb"], ["ab", ""]),
    ("(?m-s:^b.)", ["a\nbc"], ["ab", "a\nb\n"]),
    (r"^(?<quote>['\"]?)[a-z]+\k<quote>$", ["a", "'a'", '"a"'], ["'a", "'a\"", "a'"]),
    (r"^\d{4}([-/.])\d\d\1\d\d$", ["2024-01-31", "2024/01/31"], ["2024-01/31", "20240131"]),
    ("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\10", ["abcdefghijj"], ["abcdefghija0"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "matching", "others"), ECMA_PATTERNS)
def test_ecma_patterns(pattern: str, matching: list[str], others: list[str]) -> None:
    language = pattern_language(pattern, "ecma", search=True)
    assert [text for text in matching if not language.matches(text.encode())] == []
    assert [text for text in others if language.matches(text.encode("utf-8", "surrogatepass"))] == []


@pytest.mark.parametrize(
    ("dialect", "pattern", "column", "message"),
    [
        ("python", "a(b", 2, r"missing \)"),
        ("python", "ab)", 3, r"unbalanced \)"),
        ("python", "[a", 1, "never closed"),
        ("python", "[b-a]", 2, "runs backwards"),
        ("python", r"[\w-a]", 2, "end of a range"),
        ("python", "*a", 1, "nothing to repeat"),
        ("python", "^*", 1, "nothing to repeat"),
        ("python", "a**", 3, "multiple repeat"),
        ("python", "a{3,2}", 7, "less than the least"),
        ("python", "\\", 1, "at the end"),
        ("python", r"a\q", 2, r"\\q has no meaning in Python"),
        ("python", r"\x4", 4, "needs 2 hexadecimal digits"),
        ("python", "a(?i)", 2, "must stand at its beginning"),
        ("python", "(?L:a)", 1, "bytes"),
        ("python", "(?au:a)", 1, "exclude each other"),
        ("python", "(?<name>a)", 1, r"\(\? must go on"),
        ("python", "(?P<1>a)", 1, "not the name of a group"),
        ("python", r"\N{NO SUCH}", 1, "no character of this name"),
        ("python", "b(?#a", 2, "this comment never ends"),
        ("python", r"(?#a\)", 1, "this comment never ends"),
        ("python", "(?P<n>a)(?P<n>b)", 9, "there is a group 'n' already"),
        ("ecma", "(?i)a", 1, r"\(\? must go on"),
        ("ecma", "(?P<n>a)", 1, r"\(\? must go on"),
        ("ecma", r"\a", 1, "no meaning in ECMA-262"),
        ("ecma", r"\Aa\Z", 1, "no meaning in ECMA-262"),
        ("ecma", r"\p{Nope=x}", 1, "no property"),
        ("ecma", r"\pL", 1, "in braces"),
        ("ecma", r"(a)\k1", 4, "angle brackets"),
        ("ecma", r"\c1", 1, "needs a letter"),
        ("ecma", r"\u{110000}", 1, "code point"),
        ("ecma", r"\u12", 5, "needs 4"),
        ("ecma", r"\01", 1, "octal"),
        ("ecma", "a*+", 3, "multiple repeat"),
        ("ecma", "x\ny(", 2, r"missing \)"),
    ],
)
def test_malformed_patterns_show_the_place(
    dialect: Literal["python", "ecma"], pattern: str, column: int, message: str
) -> None:
    with pytest.raises(GrammarSyntaxError, match=message) as raised:
        pattern_language(pattern, dialect, search=True)
    assert raised.value.column == column
    assert str(raised.value).endswith("^")


@pytest.mark.parametrize(
    ("dialect", "pattern", "message"),
    [
        ("python", r"(a+)\1", "a back-reference"),
        ("python", r"(a)?\1", "a group that may be unset"),
        ("python", r"(a|b)*\1", "match again"),
        ("python", r"(?:(a)|b)\1", "may be unset"),
        ("python", r"(.)\1", "more than 200 texts"),
        ("python", r"(\bé)\1", "a back-reference"),
        ("python", r"(?=(a|ab)).\1", "a back-reference"),
        ("python", r"(a\1)", "one group that ends before it"),
        ("python", "(?P=n)", "one group that ends before it"),
        ("python", r"(?i)(a)\1", "ignores case"),
        ("python", "(?>a+)b", "an atomic group"),
        ("python", "a++b", "a possessive quantifier"),
        ("python", "(a)?(?(1)b|c)", "a conditional"),
        ("python", "(?=a(?<=ba)b)", "lookbehind of several characters inside a lookahead"),
        ("python", r"(?<=a\b) b", "condition on what follows"),
        ("python", "(?<=(?=ab)a)b", "lookahead of several characters inside a lookbehind"),
        ("ecma", r"(a+)\1", "a back-reference"),
        ("ecma", r"\k<n>(?<n>a)", "a back-reference"),
        ("ecma", r"(?<n>a)|(?<n>b)\k<n>", "a back-reference"),
        ("ecma", r"(?<=(a|b)\1)", "a back-reference"),
        ("ecma", r"\p{Script=Greek}", "the property Script=Greek"),
        ("ecma", r"\p{Emoji}", "the property Emoji"),
        ("ecma", "(?i:a)", r"\(\?i:...\)"),
        ("ecma", r"[\w--\d]", "a difference of classes"),
        ("ecma", r"[\p{L}&&[^\p{Lu}]]", "an intersection of classes"),
    ],
)
def test_what_cannot_be_exact_is_refused(dialect: Literal["python", "ecma"], pattern: str, message: str) -> None:
    with pytest.raises(UnsupportedFeature, match=message):
        pattern_language(pattern, dialect, search=True)


def test_flags_from_outside() -> None:
    assert pattern_language("a.", "python", search=False, flags="is").matches(b"A\n")
    assert not pattern_language("a.", "python", search=False, flags="i").matches(b"A\n")
    assert pattern_language("^b$", "ecma", search=True, flags="m").matches(b"a\nb\nc")
    with pytest.raises(UnsupportedFeature, match="flags 'i'"):
        read_pattern("a", "ecma", "i")


@pytest.mark.parametrize(
    "pattern",
    [
        "(((a{100}){100}){100}){100}",
        "((((){1000}){1000}){1000}){1000}",
        "(a|b)*a(a|b){40}",
        "(?:x?){20000}x{20000}",
        "(?:(?=.{0,60}a).{0,60}b)*",
        "(" * 5_000 + ")" * 5_000,
        "[a-z]{100000000}",
        "[a-z]{" + "9" * 10_000 + "}",
        r"\w{2000}",
        "(?:" * 99 + "a" + "|b)*c" * 99 + "d{100000}",
        "|".join(chr(code_point) + "{1,90}" for code_point in range(0x4E00, 0x5200)),
        "".join(f"(?:(?={letter}a)|(?={letter}b))" for letter in "abcdefghijkl"),
        r"([a-z])\1" + "(?:a|b)" * 3_000,
    ],
)
def test_what_is_too_large_is_refused_in_time(pattern: str) -> None:
    with pytest.raises(CompileBudgetExceeded):
        pattern_language(pattern, "python", search=True)


def test_the_tree_has_no_trace_of_groups_and_laziness() -> None:
    a = Characters(((0x61, 0x61),))
    assert read_pattern("(?P<n>(?:a))", "python") == a
    assert read_pattern("a*?", "python") == read_pattern("a*", "ecma") == Repetition(a, 0, None)
    assert read_pattern("^a|a", "ecma") == Alternation((Concatenation((TEXT_START, a)), a))


ALL_CHARACTERS = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


# Letters with relatives beyond their own two cases, by number: many look like others.
CASED = [0x73, 0x53, 0x17F, 0x6B, 0x4B, 0x212A, 0xB5, 0x39C, 0x3BC, 0x69, 0x49, 0x131, 0x130, 0xDF, 0x1E9E,
         0x3C2, 0x3C3, 0x3A3, 0x345, 0x3B9, 0x1FB3, 0x1FBC, 0xFB05, 0xFB06, 0x390, 0x1FD3, 0x1C5, 0x1C4,
         0xE5, 0x212B, 0x2177,
         0x24D0, 0x10428]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [r"\w", r"\W", r"\d", r"\s", r"[^\w\s]", "(?i)[^k]", "(?i)[j-t]", "(?ai)[j-t]", r"(?i)\W", r"(?i)[\W]",
     r"(?i)[^\Wk]",
     r"(?i)[\u0100-\u017f\u0370-\u03ff\u1e00-\u1fff\ufb00-\ufb06]", r"(?i)[\U00010400-\U00010427]",
     *(rf"(?i)\U{letter:08x}" for letter in CASED)],
)  # fmt: skip
def test_characters_are_those_of_re_in_all_of_unicode(pattern: str) -> None:
    node = read_pattern(pattern, "python")
    assert isinstance(node, Characters)
    found = {character for low, high in node.code_points for character in map(chr, range(low, high + 1))}
    assert found == set(re.findall(pattern, ALL_CHARACTERS))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF]
            ),
            st.sampled_from([0, 1, 0x3F, 0x40, 0x7FF, 0x1000, 0x10000, 0x50000]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_sets_are_spelled_in_utf8(ranges: list[tuple[int, int]]) -> None:
    members = {code_point for low, count in ranges for code_point in (low, low + count)}
    pattern = "".join(f"\\U{low:08x}-\\U{low + count:08x}" for low, count in ranges)
    language = pattern_language(f"[{pattern}]", "python", search=False)
    for code_point in sorted(
        {near for each in members for near in (each - 1, each, each + 1, each ^ 0x40, each ^ 0x1000)}
    ):
        if 0 <= code_point < 0x110000 and not 0xD800 <= code_point < 0xE000:
            expected = any(low <= code_point <= low + count for low, count in ranges)
            assert language.matches(chr(code_point).encode()) == expected, hex(code_point)
    assert equivalent(intersection(language, any_text()), language)


def test_one_language_for_equal_arguments() -> None:
    assert pattern_language("[0-9]+x", "ecma", search=True) is pattern_language("[0-9]+x", "ecma", search=True)


def test_spellings_of_one_language_are_equivalent() -> None:
    assert equivalent(
        pattern_language("(ab|ac)*d?", "ecma", search=False),
        pattern_language("(?:a[bc])*|(?:a[bc])*d", "python", search=False),
    )
    odd = pattern_language("^(?:..)*.$", "ecma", search=True)
    even = pattern_language("^(?:..)*$", "ecma", search=True)
    breaking = pattern_language("[\\n\\r\\u2028\\u2029]", "ecma", search=True)
    assert equivalent(complement_in_text(odd), union(even, breaking))


@pytest.mark.parametrize("dialect", ["python", "ecma"])
def test_zeros_before_a_count_do_not_matter(dialect: Literal["python", "ecma"]) -> None:
    """Python itself reads no integers of so many digits."""
    counted = pattern_language("a{" + "0" * 5000 + "2,3}", dialect, search=False)
    assert equivalent(counted, pattern_language("aaa?", dialect, search=False))


def test_a_thousand_repetitions() -> None:
    assert lengths(pattern_language("^[^x]{3,1000}$", "ecma", search=True)) == (3, 1000)


def compiled_by_re(pattern: str) -> re.Pattern[str] | None:
    """None where a lookbehind has no fixed width."""
    try:
        return re.compile(pattern)
    except re.error as error:
        if "look-behind requires fixed-width" in str(error):
            return None
        raise


def test_patterns_in_the_wild_are_right_or_refused() -> None:
    """Half of these are written for another engine: what both read must mean the same, nothing may hang."""
    path = DATA / "regex-patterns.csv"
    if not path.exists():
        pytest.skip("regex-patterns.csv is not beside the repository in shared/data")
    texts = ["", "a", "abc", "ABC", "aab", "foo", "foobar", "12", "2024-01-31", "a@b.co", "é", "aaa bbb", "()", "AbD1"]
    compared = 0
    with path.open(encoding="utf-8", newline="") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in csv.DictReader(file):
            pattern = row["regex"]
            try:
                language = pattern_language(pattern, "python", search=True)
            except TokamaskError:
                continue
            compiled = compiled_by_re(pattern)
            if compiled is None:
                # The one thing read beyond `re`.
                continue
            for text in texts:
                compared += 1
                assert language.matches(text.encode()) == bool(compiled.search(text)), (pattern, text)
    assert compared > 40 * len(texts)
