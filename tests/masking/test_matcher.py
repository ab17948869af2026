"""The matcher as a state machine: rollback, fork, termination, refusals; against a list of what was accepted."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.reference import Recognised, allowed_tokens
from tests.strategies import GROWING, random_vocabulary
from tokamask.errors import CompileBudgetExceeded, MatcherTerminated, RollbackTooFar, TokenRejected, VocabularyMismatch
from tokamask.grammar.arena import FULL
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, fill_bitmasks
from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
from tokamask.masking.engine import Engine
from tokamask.masking.forced import MOST_FORCED
from tokamask.masking.history import text
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary

TOKENS = [b"a", b"b", b"ab", b'"', b'"a"', b"1", b"1", b"", None, b"</s>", b"ba", b"c", None]
STOPS = (9, 12)
ENDLESS = 'root ::= "a"{1000000000}'


@pytest.fixture
def matcher(tmp_path: Path) -> Matcher:
    """Over (a|ab|b){1,3}; ids 5 and 6 are equal, 7 and 8 never text, 9 and 12 stop tokens."""
    return GrammarCompiler(Vocabulary(TOKENS, STOPS), tmp_path).compile(Grammar.from_regex("(a|ab|b){1,3}")).matcher()


def row_of(matcher: Matcher) -> set[int]:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0)
    return set(np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")).tolist())


def face(matcher: Matcher) -> tuple[Any, ...]:
    """All that a matcher shows of its state."""
    return (
        row_of(matcher),
        matcher.is_accepting,
        matcher.is_terminated,
        matcher.forced_bytes(),
        matcher.min_tokens_left(),
        [matcher.is_allowed(token) for token in range(-1, matcher.compiled.vocabulary.size + 1)],
    )


def test_stop_tokens_are_allowed_exactly_where_the_text_may_end(matcher: Matcher) -> None:
    assert row_of(matcher) == {0, 1, 2, 10}
    with pytest.raises(TokenRejected, match="stop token 9 where the text is not complete"):
        matcher.accept_token(9)
    matcher.accept_token(0)
    assert row_of(matcher) == {0, 1, 2, 10, 9, 12}


def test_after_a_stop_token_only_stop_tokens_follow(matcher: Matcher) -> None:
    matcher.accept_token(0)
    before = face(matcher)
    matcher.accept_token(12)
    assert matcher.is_terminated
    assert matcher.is_accepting
    assert row_of(matcher) == {9, 12}
    assert matcher.forced_bytes() == b""
    assert (matcher.min_tokens_left(), matcher.shortest_completion()) == (0, [])
    for token in (0, 8, 99, -1):
        with pytest.raises(MatcherTerminated):
            matcher.accept_token(token)
    with pytest.raises(MatcherTerminated, match="roll it back"):
        matcher.accept_bytes(b"a")
    assert matcher.count_accepted([9, 12, 0, 9]) == 2
    matcher.accept_token(9)
    matcher.accept_token(9)
    matcher.rollback(2)
    assert matcher.is_terminated
    matcher.rollback(1)
    assert face(matcher) == before


def test_without_stop_tokens_the_end_is_where_nothing_follows(tmp_path: Path) -> None:
    compiled = GrammarCompiler(Vocabulary(TOKENS, []), tmp_path).compile(Grammar.from_regex("ab?"))
    matcher = compiled.matcher()
    matcher.accept_token(0)
    assert (matcher.is_accepting, matcher.is_terminated) == (True, False)
    matcher.accept_token(1)
    assert (matcher.is_accepting, matcher.is_terminated) == (True, True)
    assert row_of(matcher) == set()
    with pytest.raises(TokenRejected):
        matcher.accept_token(1)
    matcher.rollback(2)
    assert not matcher.is_terminated


def test_stop_tokens_of_one_request(matcher: Matcher) -> None:
    own = matcher.compiled.matcher(stop_token_ids=[1, 8])
    assert own.stop_token_ids == (1, 8)
    assert row_of(own) == {0, 2, 10}, "a stop token is never text"
    own.accept_token(0)
    assert row_of(own) == {0, 1, 2, 8, 10}, "the vocabulary's own stop tokens are not text either"
    own.accept_token(1)
    assert own.is_terminated
    with pytest.raises(VocabularyMismatch, match="99"):
        matcher.compiled.matcher(stop_token_ids=[99])
    with pytest.raises(VocabularyMismatch):
        matcher.compiled.matcher(stop_token_ids=[-1])


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (5, "token 5 \\(b'1'\\) cannot follow"),
        (8, "special or missing"),
        (7, "special or missing"),
        (13, "no id of the vocabulary"),
        (-1, "no id of the vocabulary"),
        (1 << 40, "no id of the vocabulary"),
    ],
)
def test_refused_tokens_change_nothing(matcher: Matcher, token: int, message: str) -> None:
    matcher.accept_token(0)
    before = face(matcher)
    with pytest.raises(TokenRejected, match=message):
        matcher.accept_token(token)
    assert not matcher.is_allowed(token)
    assert face(matcher) == before
    matcher.rollback(1)
    with pytest.raises(RollbackTooFar):
        matcher.rollback(1)


@pytest.mark.parametrize("integer", [np.int64, np.int32, torch.tensor, np.array], ids=lambda kind: kind.__name__)
def test_ids_are_integers_of_any_library(matcher: Matcher, integer: Callable[[int], Any]) -> None:
    own = matcher.fork()
    for token in (0, 1, 9, 9):
        own.accept_token(token)
        assert matcher.is_allowed(integer(token))
        matcher.accept_token(integer(token))
        assert face(matcher) == face(own)
    assert text(matcher._history, matcher.compiled.vocabulary) == b"ab"
    matcher.reset()
    assert matcher.count_accepted([integer(0), integer(2), integer(5)]) == 2


@pytest.mark.parametrize("token", [0.0, 0.7, "a", None, np.array([0, 1]), torch.tensor(0.0)], ids=repr)
def test_what_is_no_integer_is_no_id(matcher: Matcher, token: Any) -> None:
    matcher.accept_token(0)
    before = face(matcher)
    for ask in (matcher.accept_token, matcher.is_allowed, lambda token: matcher.count_accepted([token])):
        with pytest.raises(TypeError):
            ask(token)
    assert face(matcher) == before


def test_the_token_that_begins_the_constraint_does_not_end_the_text(matcher: Matcher) -> None:
    with pytest.raises(ValueError, match="token 9 stops the text"):
        matcher.compiled.matcher(think_until_token=9)
    with pytest.raises(VocabularyMismatch, match="think_until token 13 is outside the vocabulary"):
        matcher.compiled.matcher(think_until_token=13)
    free = matcher.compiled.matcher(stop_token_ids=[12], think_until_token=9)
    free.accept_token(9)
    assert row_of(free) == row_of(matcher)


def test_refused_bytes_change_nothing(matcher: Matcher) -> None:
    before = face(matcher)
    with pytest.raises(TokenRejected, match="b'abx' cannot follow"):
        matcher.accept_bytes(b"abx")
    assert face(matcher) == before
    matcher.accept_bytes(b"")
    assert face(matcher) == before
    matcher.accept_bytes(b"aba")
    matcher.rollback(2)
    assert face(matcher) == before


@pytest.mark.parametrize("data", ["a", 1])
def test_what_is_no_bytes_is_refused(matcher: Matcher, data: Any) -> None:
    before = face(matcher)
    with pytest.raises(TypeError, match=f"accept_bytes takes bytes, not {type(data).__name__}"):
        matcher.accept_bytes(data)
    assert face(matcher) == before


@pytest.mark.parametrize("count", [-1, 3, 1 << 40])
def test_rolling_back_too_far(matcher: Matcher, count: int) -> None:
    matcher.accept_token(0)
    matcher.accept_token(1)
    before = face(matcher)
    with pytest.raises(RollbackTooFar, match=f"cannot undo {count} steps, 2 were accepted"):
        matcher.rollback(count)
    assert face(matcher) == before
    matcher.rollback(0)
    assert face(matcher) == before


def test_reset_forgets_the_history(matcher: Matcher) -> None:
    fresh = face(matcher)
    matcher.accept_token(0)
    matcher.accept_token(9)
    fork = matcher.fork()
    matcher.reset()
    assert face(matcher) == fresh
    assert fork.is_terminated
    with pytest.raises(RollbackTooFar):
        matcher.rollback(1)


def test_counting_changes_nothing(matcher: Matcher) -> None:
    before = face(matcher)
    assert matcher.count_accepted([]) == 0
    assert matcher.count_accepted([0, 0, 0, 0]) == 3
    assert matcher.count_accepted([0, 9, 9, 0]) == 3
    assert matcher.count_accepted([5, 0]) == 0
    assert face(matcher) == before


def test_only_the_row_asked_for_is_written(matcher: Matcher) -> None:
    size = matcher.compiled.vocabulary.size
    wide = np.full((5, 4), 12345, dtype=np.int32)
    for bitmask in (allocate_bitmask(5, size), wide[:, 1:2], wide[::-1, 2:3], wide[::-1, :1]):
        before = wide.copy()
        first = bitmask.copy()
        matcher.fill_bitmask(bitmask, 3)
        assert bitmask[3, 0] == sum(1 << token for token in row_of(matcher))
        bitmask[3] = first[3]
        assert (bitmask == first).all()
        assert (wide == before).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((2, 2), dtype=np.int32),
        lambda: np.zeros((2, 1), dtype=np.uint32),
        lambda: np.zeros((2, 1), dtype=np.int64),
        lambda: np.zeros(1, dtype=np.int32),
        lambda: np.zeros((2, 1), dtype=np.dtype(np.int32).newbyteorder(">")),
        lambda: np.frombuffer(bytes(8), dtype=np.int32).reshape(2, 1),
    ],
    ids=["wide", "unsigned", "long", "flat", "other byte order", "read-only"],
)
def test_bitmasks_that_cannot_hold_the_mask(matcher: Matcher, make: Callable[[], Any]) -> None:
    bitmask = make()
    before = bitmask.copy()
    with pytest.raises(VocabularyMismatch):
        matcher.fill_bitmask(bitmask, 0)
    assert (bitmask == before).all()


@pytest.mark.parametrize("bitmask", [[[0]], torch.zeros((1, 1), dtype=torch.int32)], ids=["list", "tensor"])
def test_what_is_no_bitmask_says_what_is(matcher: Matcher, bitmask: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a numpy array, not (list|Tensor); allocate_bitmask makes one"):
        matcher.fill_bitmask(bitmask, 0)


@pytest.mark.parametrize("row", [-1, 2])
def test_rows_that_are_not_there(matcher: Matcher, row: int) -> None:
    bitmask = allocate_bitmask(2, matcher.compiled.vocabulary.size)
    with pytest.raises(IndexError, match=f"row {row} of a bitmask with 2 rows"):
        matcher.fill_bitmask(bitmask, row)
    assert (bitmask == -1).all()


def test_another_bitmask_between_two_fills(matcher: Matcher) -> None:
    bitmasks = [allocate_bitmask(2, matcher.compiled.vocabulary.size) for _ in range(3)]
    for bitmask in (*bitmasks, *bitmasks):
        matcher.fill_bitmask(bitmask, 1)
    fork = matcher.fork()
    for bitmask in bitmasks:
        assert (bitmask[1] == bitmasks[0][1]).all()
        assert (bitmask[0] == -1).all()
        fork.fill_bitmask(bitmask, 0)
        assert (bitmask[1] == bitmask[0]).all()


def test_a_batch_is_filled_as_one_by_one(tmp_path: Path) -> None:
    generator = random.Random(3)
    vocabulary = random_vocabulary(generator, [text for _, texts in GROWING.values() for text in texts])
    compiler = GrammarCompiler(vocabulary, tmp_path)
    matchers = []
    for make, texts in GROWING.values():
        matcher = compiler.compile(make()).matcher()
        matcher.accept_bytes(texts[0][: generator.randrange(len(texts[0]))])
        matchers.append(matcher)
    together, alone = allocate_bitmask(40, vocabulary.size), allocate_bitmask(40, vocabulary.size)
    rows = generator.sample(range(40), len(matchers))
    fill_bitmasks(matchers, together, rows)
    for matcher, row in zip(matchers, rows, strict=True):
        matcher.fill_bitmask(alone, row)
    assert (together == alone).all()
    fill_bitmasks(matchers, together)
    assert (together[: len(rows)] == alone[rows]).all()
    with pytest.raises(ValueError, match=f"{len(matchers)} matchers but 2 rows"):
        fill_bitmasks(matchers, together, [0, 1])


def test_a_batch_that_cannot_be_filled_is_left_alone(tmp_path: Path) -> None:
    one, other = Vocabulary([b"a", b"b", None], [2]), Vocabulary([b"b", b"a", None], [2])
    grammar = Grammar.from_regex("a")
    matchers = [GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher() for vocabulary in (one, other)]
    bitmask = allocate_bitmask(2, 3)
    with pytest.raises(VocabularyMismatch, match="different vocabularies"):
        fill_bitmasks(matchers, bitmask)
    with pytest.raises(IndexError, match="row 2 of a bitmask with 2 rows"):
        fill_bitmasks([matchers[0], matchers[0]], bitmask, [0, 2])
    assert (bitmask == -1).all()


def test_forced_tokens_stop_where_a_longer_token_could_cross(tmp_path: Path) -> None:
    tokens = [b"ab", b"a", b"b", b"bc", b"abcd", b"c", b"d", None]

    def encode(data: bytes) -> list[int]:
        greedy, rest = [], data
        while rest:
            text = max((t for t in tokens if t and rest.startswith(t)), key=len)
            greedy.append(tokens.index(text))
            rest = rest[len(text) :]
        return greedy

    compiler = GrammarCompiler(Vocabulary(tokens, [7], encode), tmp_path)
    crossing = compiler.compile(Grammar.from_regex("ab(cd|b)")).matcher()
    assert crossing.forced_bytes() == b"ab"
    assert crossing.forced_tokens() == [], "abcd could follow instead of ab"
    safe = compiler.compile(Grammar.from_regex("ab(aa|d)")).matcher()
    assert safe.forced_bytes() == b"ab"
    assert safe.forced_tokens() == [0]
    whole = compiler.compile(Grammar.from_regex("abcd")).matcher()
    assert (whole.forced_bytes(), whole.forced_tokens()) == (b"abcd", [4])
    whole.accept_bytes(b"abcd")
    assert (whole.forced_bytes(), whole.forced_tokens()) == (b"", [])
    assert (
        GrammarCompiler(Vocabulary(tokens, [7]), tmp_path).compile(Grammar.from_regex("ab")).matcher().forced_tokens()
        == []
    )


def test_forced_bytes_are_the_common_beginning(tmp_path: Path) -> None:
    compiler = GrammarCompiler(Vocabulary(TOKENS, STOPS), tmp_path)
    for texts, forced in [
        (["abc", "abd"], b"ab"),
        (["ab", "abd"], b"ab"),
        (["", "a"], b""),
        (["é", "ê"], b"\xc3"),
        (["x" * 300], b"x" * 300),
    ]:
        assert compiler.compile(Grammar.from_choices(texts)).matcher().forced_bytes() == forced


def test_no_more_is_forced_than_fits_into_memory(tmp_path: Path) -> None:
    matcher = GrammarCompiler(Vocabulary(TOKENS, STOPS), tmp_path).compile(Grammar.from_gbnf(ENDLESS)).matcher()
    assert matcher.forced_bytes() == b"a" * MOST_FORCED
    assert matcher.forced_bytes() == b"a" * MOST_FORCED, "nothing is accepted by asking"


class AgainstAList(RuleBasedStateMachine):
    """The matcher does what a list of accepted pieces and the byte-level recogniser do."""

    grammar: Grammar
    compiled: CompiledGrammar

    @initialize(name=st.sampled_from(sorted(GROWING)), seed=st.integers(0, 2))
    def begin(self, name: str, seed: int) -> None:
        make, samples = GROWING[name]
        self.grammar = make()
        self.language = Recognised(self.grammar)
        vocabulary = random_vocabulary(random.Random(seed), samples)
        self.compiled = GrammarCompiler(vocabulary, CACHE).compile(self.grammar)
        self.matcher = self.compiled.matcher()
        self.samples = samples
        # The states after each accepted piece; negative once a stop token came.
        self.states = [self.language.start()]
        self.forks: list[tuple[Matcher, list[int]]] = []

    def allowed(self) -> set[int]:
        state, stops = self.states[-1], self.matcher.stop_token_ids
        if state < 0:
            return set(stops)
        return allowed_tokens(self.language, state, self.compiled.vocabulary, stops)

    @rule(pick=st.integers(0, 10**6))
    def accept(self, pick: int) -> None:
        allowed = sorted(self.allowed())
        if not allowed:
            return
        token = allowed[pick % len(allowed)]
        self.matcher.accept_token(token)
        state = self.states[-1]
        if token in self.matcher.stop_token_ids:
            self.states.append(-abs(state))
        else:
            after = self.language.step(state, self.compiled.vocabulary.token_bytes[token] or b"")
            assert after is not None
            self.states.append(after)

    @rule(token=st.integers(-3, 90))
    def refuse(self, token: int) -> None:
        if token not in self.allowed():
            error = MatcherTerminated if self.states[-1] < 0 else TokenRejected
            with pytest.raises(error):
                self.matcher.accept_token(token)

    @rule(pick=st.integers(0, 99), length=st.integers(0, 5))
    def read(self, pick: int, length: int) -> None:
        sample = self.samples[pick % len(self.samples)]
        piece = sample[pick % len(sample) :][:length]
        state = self.states[-1]
        after = None if state < 0 else self.language.step(state, piece)
        if after is None:
            with pytest.raises(TokenRejected):
                self.matcher.accept_bytes(piece)
        else:
            self.matcher.accept_bytes(piece)
            self.states.append(after)

    @rule(count=st.integers(0, 4))
    def roll_back(self, count: int) -> None:
        if count < len(self.states):
            self.matcher.rollback(count)
            del self.states[len(self.states) - count :]
        else:
            with pytest.raises(RollbackTooFar):
                self.matcher.rollback(count)

    @rule()
    def fork(self) -> None:
        self.forks.append((self.matcher.fork(), list(self.states)))

    @precondition(lambda self: self.forks)
    @rule(pick=st.integers(0, 99))
    def change_to_a_fork(self, pick: int) -> None:
        here = (self.matcher, self.states)
        at = pick % len(self.forks)
        (self.matcher, self.states), self.forks[at] = self.forks[at], here

    @rule()
    def reset(self) -> None:
        self.matcher.reset()
        del self.states[1:]

    @rule()
    def forget(self) -> None:
        """As when memory is short: what all matchers stand in is gone."""
        self.compiled.give_up(self.compiled.engine)

    @invariant()
    def shows_its_state(self) -> None:
        if not hasattr(self, "matcher"):
            return
        state = self.states[-1]
        expected = self.allowed()
        assert row_of(self.matcher) == expected
        assert row_of(self.matcher) == expected, "filling is idempotent"
        assert self.matcher.is_accepting == self.language.is_complete(abs(state))
        assert [t for t in range(-1, 100) if self.matcher.is_allowed(t)] == sorted(expected)
        if self.matcher.stop_token_ids:
            assert self.matcher.is_terminated == (state < 0)
        following = [byte for byte in range(256) if state >= 0 and self.language.step(state, bytes([byte])) is not None]
        is_forced = len(following) == 1 and not self.language.is_complete(abs(state))
        assert self.matcher.forced_bytes()[:1] == bytes(following[:1] if is_forced else [])


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    global CACHE
    CACHE = tmp_path_factory.mktemp("pieces")


CACHE = Path()
AgainstAList.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestAgainstAList = AgainstAList.TestCase


QUESTIONS: dict[str, Callable[[Matcher], Any]] = {
    "accept_token": lambda matcher: matcher.accept_token(ord("2")),
    "accept_bytes": lambda matcher: matcher.accept_bytes(b"2]"),
    "is_allowed": lambda matcher: matcher.is_allowed(ord("2")),
    "count_accepted": lambda matcher: matcher.count_accepted([ord("2")]),
    "fill_bitmask": lambda matcher: matcher.fill_bitmask(allocate_bitmask(1, 257), 0, tokens_left=3),
    "forced_bytes": lambda matcher: matcher.forced_bytes(),
    "forced_tokens": lambda matcher: matcher.forced_tokens(),
    "min_tokens_left": lambda matcher: matcher.min_tokens_left(),
    "shortest_completion": lambda matcher: matcher.shortest_completion(),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_takes_too_many_steps_is_told_with_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the engine cannot decide changes nothing; the matcher goes on elsewhere, in a new engine if need be."""
    vocabulary = Vocabulary([*(bytes([byte]) for byte in range(256)), None], [256])
    schema = {"type": "array", "items": {"enum": [1, [2, {"a": 3}], *range(20)]}, "uniqueItems": True, "minItems": 2}
    grammar = Grammar.from_json_schema(schema, whitespace="none")
    matcher = GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher()
    matcher.accept_bytes(b"[0,")
    matcher.accept_token(ord("1"))
    matcher.accept_bytes(b",")
    before = allocate_bitmask(1, 257)
    matcher.fill_bitmask(before, 0)
    with monkeypatch.context() as undecided:

        def too_many_steps(self: Engine) -> None:
            raise CompileBudgetExceeded("it takes too many steps; ask for less")

        def full(*_: Any) -> int:
            return FULL

        undecided.setattr(Engine, "_grow", too_many_steps)
        engine = matcher.compiled.engine
        undecided.setattr(engine, "ask", full)
        with pytest.raises(CompileBudgetExceeded) as caught:
            QUESTIONS[name](matcher)
    assert str(caught.value) == (
        "it takes too many steps; ask for less (after 5 bytes of text, at '#/2' of the document)"
    )
    after = allocate_bitmask(1, 257)
    matcher.fill_bitmask(after, 0)
    assert (after == before).all()
    matcher.accept_bytes(b"2]")
    matcher.accept_token(256)
    matcher.rollback(4)
    assert not matcher.is_allowed(ord("0"))
