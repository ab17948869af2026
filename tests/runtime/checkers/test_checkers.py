"""The checkers that come with the package: their laws, and what they accept."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.checkers.laws import check_laws, read
from tokamask.errors import CheckerError
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.checkers.checker import Checker
from tokamask.runtime.checkers.grammar_checker import GrammarChecker
from tokamask.runtime.checkers.panel import Panel, checker_name, read_checkers
from tokamask.runtime.checkers.predicates import DocumentPredicate, PrefixPredicate
from tokamask.runtime.checkers.substring import SubstringOf

TOKENS = [b"a", b"b", b"ab", b"aab", b"ba", b"\xc3", b"\xa9", "é".encode(), None, b"c"]
VOCABULARY = Vocabulary(TOKENS, stop_token_ids=[8])
PATTERN = "(ab|a)*(é|b)"
SOURCE = "aab é abba cé"


def few_a(text: bytes) -> bool:
    return text.count(b"a") < 4


def even(text: str) -> bool:
    return len(text) % 2 == 0


def no_b_first(text: bytes) -> bool:
    """Not closed under beginnings: true again for longer texts."""
    return text != b"b"


CHECKERS: dict[str, Checker[Any]] = {
    "prefix": PrefixPredicate(few_a),
    "prefix not closed": PrefixPredicate(no_b_first),
    "document": DocumentPredicate(even),
    "substring": SubstringOf(SOURCE),
    "substring of nothing": SubstringOf(""),
    "grammar": GrammarChecker(GrammarCompiler(VOCABULARY).compile(Grammar.from_regex(PATTERN))),
}

texts = st.lists(st.sampled_from([text for text in TOKENS if text]), max_size=8).map(b"".join)


@pytest.mark.parametrize("name", CHECKERS)
@settings(max_examples=60)
@given(examples=st.lists(texts, max_size=3))
def test_laws(name: str, examples: list[bytes]) -> None:
    check_laws(CHECKERS[name], [*examples, SOURCE.encode(), "ababé".encode()], token_bytes=VOCABULARY.token_bytes)


def ends(checker: Checker[Any], text: bytes) -> bool:
    state = read(checker, checker.start(b""), text)
    return state is not None and checker.may_end(state)


@settings(max_examples=300)
@given(text=texts)
def test_what_is_accepted_is_what_python_says(text: bytes) -> None:
    try:
        decoded: str | None = text.decode()
    except UnicodeDecodeError:
        decoded = None
    assert ends(CHECKERS["document"], text) == (decoded is not None and even(decoded))
    assert ends(CHECKERS["prefix"], text) == few_a(text)
    assert ends(CHECKERS["prefix not closed"], text) == (text[:1] != b"b")
    assert ends(CHECKERS["substring"], text) == (decoded is not None and decoded in SOURCE)
    assert ends(CHECKERS["grammar"], text) == (decoded is not None and bool(re.fullmatch(PATTERN, decoded)))


@settings(max_examples=200)
@given(source=st.text("abé🐋", max_size=12), text=st.text("abé🐋", max_size=5), cut=st.integers(0, 3))
def test_a_quotation_lives_while_the_source_goes_on_with_it(source: str, text: str, cut: int) -> None:
    checker = SubstringOf(source)
    data = text.encode()[: len(text.encode()) - cut] if cut else text.encode()
    occurs = any(source.encode()[place:].startswith(data) for place in starts(source))
    assert (read(checker, checker.start(b""), data) is not None) == occurs
    assert ends(checker, text.encode()) == (text in source)


def starts(source: str) -> list[int]:
    """Where characters begin, and the end."""
    return [len(source[:place].encode()) for place in range(len(source) + 1)]


def test_a_panel_accepts_what_all_accept() -> None:
    panel = Panel([CHECKERS["prefix"], CHECKERS["grammar"], CHECKERS["document"]])
    states = panel.start(b"")
    assert panel.may_end(states) is False
    after = panel.advance(states, b"ab")
    assert after is not None
    assert (panel.may_end(after), panel.log_weight(after)) == (True, 0.0)
    assert panel.advance(after, b"c") is None
    assert panel.refuser(after, b"c", ends=False) == "GrammarChecker"
    assert panel.refuser(after, b"ab" * 3, ends=False) == "PrefixPredicate(few_a)"
    assert panel.refuser(after, b"b", ends=True) == "DocumentPredicate(even)"
    assert panel.refuser(after, b"ab", ends=True) is None


def test_a_panel_says_what_those_allow_that_can() -> None:
    one, two = CHECKERS["grammar"], GrammarChecker(GrammarCompiler(VOCABULARY).compile(Grammar.from_regex("a+b")))
    row, is_complete = Panel([one, two]).allowed((one.start(b""), two.start(b"")), 1)
    expected = one.allowed(one.start(b"")), two.allowed(two.start(b""))
    assert row is not None
    assert expected[0] is not None
    assert (row == expected[0] & expected[1]).all()
    assert is_complete
    with_predicate = Panel([one, CHECKERS["prefix"]])
    row, is_complete = with_predicate.allowed(with_predicate.start(b""), 1)
    assert row is not None
    assert not is_complete
    assert Panel([CHECKERS["prefix"]]).allowed((b"",), 1) == (None, False)


class Broken:
    """A checker that goes wrong where it is told to."""

    is_exhaustive = False

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def _answer(self, question: str, default: Any) -> Any:
        answer = self.answers.get(question, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self, prompt: bytes) -> Any:
        return self._answer("start", b"")

    def advance(self, state: Any, data: bytes) -> Any:
        return self._answer("advance", state + data)

    def may_end(self, state: Any) -> Any:
        return self._answer("may_end", True)

    def allowed(self, state: Any) -> Any:
        return self._answer("allowed", None)

    def log_weight(self, state: Any) -> Any:
        return self._answer("log_weight", 0.0)


def ask_everything(panel: Panel) -> None:
    states = panel.advance(panel.start(b"prompt"), b"xyz")
    assert states is not None
    panel.may_end(states)
    panel.allowed(states, 1)
    panel.log_weight(states)


@pytest.mark.parametrize("question", ["start", "advance", "may_end", "allowed", "log_weight"])
def test_an_error_names_the_checker_and_the_question(question: str) -> None:
    panel = Panel([CHECKERS["prefix"], Broken(**{question: ZeroDivisionError("by nothing")})])
    with pytest.raises(CheckerError, match=f"Broken raised ZeroDivisionError in {question}.*by nothing") as caught:
        ask_everything(panel)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"log_weight": float("nan")}, "nan"),
        ({"log_weight": float("inf")}, "inf"),
        ({"allowed": np.zeros(2, dtype=np.int32)}, r"\(2,\).*\(1,\)"),
        ({"allowed": np.zeros(1, dtype=np.int64)}, "int64"),
    ],
)
def test_impossible_answers_are_refused(answers: dict[str, Any], says: str) -> None:
    with pytest.raises(CheckerError, match=f"Broken.*{says}"):
        ask_everything(Panel([Broken(**answers)]))


def test_functions_stand_for_document_predicates() -> None:
    panel = read_checkers([even, CHECKERS["substring"]])
    assert bool(panel)
    assert not read_checkers([])
    assert panel.start(b"") == (b"", (0, 0))
    states = panel.advance(panel.start(b""), b"aab")
    assert states is not None
    assert panel.refuser(states, b"", ends=True) == "DocumentPredicate(even)"
    assert checker_name(CHECKERS["substring of nothing"]) == "SubstringOf"


@pytest.mark.parametrize(
    ("checkers", "says"),
    [([3], "a int"), ([SubstringOf], "the class SubstringOf"), (even, "list"), (CHECKERS["substring"], "list")],
)
def test_what_is_no_checker_is_refused(checkers: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        read_checkers(checkers)
