"""Lexemes of terminals, and ignored text, against Python's `re` and Lark's own parser."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokamask.errors import CompileBudgetExceeded, GrammarError, UnsupportedFeature
from tokamask.grammar.lark.terminals import lexeme_language

SHORT = ["".join(letters) for length in range(1, 6) for letters in product('ab"\\', repeat=length)]


def is_lexeme(pattern: str, text: str) -> bool:
    """Python alone decides: the preferred match is all of the text."""
    found = re.match(pattern, text)
    return found is not None and found.end() == len(text)


def check(pattern: str, texts: list[str]) -> None:
    language = lexeme_language(pattern)
    for text in ["", *texts]:
        assert language.matches(text.encode()) == is_lexeme(pattern, text), text


@pytest.mark.parametrize(
    "pattern",
    [
        r'".*?(?<!\\)(\\\\)*?"',
        r'"(?:[^"\\]|\\.)*"',
        r"a|ab|abb",
        r"(?:a|ab)(?:b|ba|a)",
        r"(?:ab|a)(?:b|ba|a)",
        r"a+?",
        r"a+?b*?a",
        r"(?:a??b)+?a",
        r"(?:a|b)*?ab",
        r"a(?:|a)*b",
        r"a(?:a?)*?b",
        r"a(?:|b)*",
        r"a{2,3}?b{0,2}",
        r"(?:a{0,2}?b){1,2}",
        r"(?:ab?){2}?",
        r"(?:a|b)b(?<!ab)a|a+",
        r"b[ab]a(?<=bba|aba)b*",
        r"(?i:A)b",
        r"(?i:[A-B]{2})",
        r"a[^b]|b\\",
        r"(?s:a.)|b\w?",
        r"[^\s\S]|a",
        r"a[^\w\W]*|[^\s\S]b",
        r"[^\s\S]",
        r"a*",
        r"a*?",
        r"a??b*",
        r"(?:a?|b)b*",
    ],
)
def test_lexemes_are_what_python_prefers(pattern: str) -> None:
    check(pattern, SHORT)


def test_lexemes_beyond_ascii() -> None:
    check(r"[^\W\d]\w*|é+?.", ["é", "éé", "éa", "ß1", "1", "日本", "x_", "😀", "é😀", "€"])


LETTERS = st.sampled_from(["a", "b", "[ab]", "."])


def quantified(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    suffixes = ["*", "+", "?", "*?", "+?", "??", "{1,2}", "{0,2}?", "{2}", "{1,}?"]
    return st.builds(lambda part, suffix: f"(?:{part}){suffix}", inner, st.sampled_from(suffixes))


PATTERNS = st.recursive(
    LETTERS,
    lambda inner: st.one_of(
        quantified(inner),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    ),
    max_leaves=7,
)
SHORTER = ["".join(letters) for length in range(1, 7) for letters in product("ab", repeat=length)]


@settings(max_examples=300)
@given(PATTERNS)
def test_random_patterns(pattern: str) -> None:
    check(pattern, SHORTER)


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [
        (r"a(?!b)", UnsupportedFeature, "a lookahead"),
        (r"a(?=b)", UnsupportedFeature, "a lookahead"),
        (r"if\b", UnsupportedFeature, "word boundary"),
        (r"^a", UnsupportedFeature, "an anchor"),
        (r"(a)\1", UnsupportedFeature, "a backreference"),
        (r"(?>a|ab)b", UnsupportedFeature, "atomic"),
        (r"a++b", UnsupportedFeature, "possessive"),
        (r"(?<!b)a", UnsupportedFeature, "looks 1 characters back"),
        (r"a?(?<!ab)b", UnsupportedFeature, "looks 2 characters back"),
        (r"a(", GrammarError, "malformed regular expression /a(/"),
        (r"(?:a{1,300}){1,300}", CompileBudgetExceeded, "more than 20000 nodes"),
        (r"(?:(?:a|b|ab){0,40}){0,40}?c", CompileBudgetExceeded, "ambiguous"),
    ],
)
def test_refused(pattern: str, error: type[GrammarError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        lexeme_language(pattern)
