"""Forgetting what was learned, and learning it again: bounded memory that is never seen in an answer."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.masking.test_compiler import transcript
from tests.strategies import GROWING, byte_vocabulary, random_vocabulary
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import Budget, CompiledGrammar, GrammarCompiler
from tokamask.masking.infilling_graph import shared_graph
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.checkers.grammar_checker import GrammarChecker

NESTED = {"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return random_vocabulary(random.Random(8), [text for _, samples in GROWING.values() for text in samples], 150)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Python does not look for circles, so what is freed is freed because nobody refers to it."""
    gc.disable()
    yield
    gc.enable()


def mask_of(matcher: Matcher, tokens_left: int | None = None) -> bytes:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    return bitmask.tobytes()


def view(matcher: Matcher) -> list[Any]:
    """All that can be asked of a matcher."""
    left = matcher.min_tokens_left()
    return [
        mask_of(matcher),
        mask_of(matcher, left),
        mask_of(matcher, left + 1),
        matcher.is_accepting,
        matcher.is_terminated,
        matcher.forced_bytes(),
        matcher.shortest_completion(),
        [matcher.is_allowed(token) for token in range(matcher.compiled.vocabulary.size)],
        matcher.count_accepted(matcher.shortest_completion()),
    ]


@pytest.mark.parametrize("cache_bytes", [0, 1 << 21, 1 << 50])
def test_the_limit_is_never_seen_in_an_answer(cache_bytes: int, vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Several grammars at a time, their walks interleaved, against a compiler of its own for each."""
    grammars = [(make(), samples) for make, samples in list(GROWING.values())[:: 2 if cache_bytes else 5]]
    bounded = GrammarCompiler(vocabulary, tmp_path, Budget(cache_bytes=cache_bytes))
    for seed in range(2):
        for grammar, samples in grammars:
            alone = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
            assert transcript(bounded.compile(grammar), seed, samples) == transcript(alone, seed, samples)
    if cache_bytes < 1 << 50:
        present = [bounded.compile(grammar).present_engine is not None for grammar, _ in grammars]
        assert sum(present) < len(grammars), "something was given up"


def test_matchers_go_on_where_they_stood(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Forks, stop tokens, bytes and rollbacks, each with the engine taken away in between."""
    for make, samples in GROWING.values():
        grammar = make()
        steady = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
        shaken = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
        generator = random.Random(5)
        pair = steady.matcher(stop_token_ids=[3]), shaken.matcher(stop_token_ids=[3])
        for matcher in pair:
            matcher.accept_bytes(samples[0][: len(samples[0]) // 2])
        for _ in range(5):
            shaken.give_up(shaken.engine)
            allowed = [token for token in range(vocabulary.size) if pair[0].is_allowed(token)]
            token = generator.choice(allowed)
            for matcher in pair:
                matcher.accept_token(token)
            assert view(pair[1]) == view(pair[0])
        forks = pair[0].fork(), pair[1].fork()
        shaken.give_up(shaken.engine)
        for matcher in pair:
            matcher.rollback(4)
        shaken.give_up(shaken.engine)
        assert view(pair[1]) == view(pair[0])
        assert view(forks[1]) == view(forks[0])


def test_a_matcher_that_thinks(tmp_path: Path) -> None:
    vocabulary = Vocabulary([b"a", b"b", None, None], [3])
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_regex("ab"))
    matcher = compiled.matcher(think_until_token=2)
    seen = []
    for token in (1, 0, 2, 0, 1, 3, 3):
        compiled.give_up(compiled.engine)
        seen.append(mask_of(matcher)[0])
        compiled.give_up(compiled.engine)
        matcher.accept_token(token)
    assert seen == [0b0111, 0b0111, 0b0111, 0b0001, 0b0010, 0b1000, 0b1000]
    matcher.rollback(4)
    assert matcher.forced_bytes() == b"ab"


@pytest.mark.usefixtures("no_collector")
def test_what_is_given_up_is_freed(tmp_path: Path) -> None:
    compiled = GrammarCompiler(byte_vocabulary(), tmp_path).compile(Grammar.from_json_schema(NESTED))
    matchers = [compiled.matcher() for _ in range(3)]
    expected = []
    for matcher in matchers:
        matcher.accept_bytes(b"[[")
        expected = view(matcher)
    engine = weakref.ref(compiled.engine)
    compiled.give_up(compiled.engine)
    assert engine() is None
    assert [view(matcher) for matcher in matchers] == [expected] * 3


def test_memory_stays_within_the_limit(tmp_path: Path) -> None:
    """Ever more grammars, then ever more texts of one."""
    limit = 4 << 20
    compiler = GrammarCompiler(byte_vocabulary(), tmp_path, Budget(cache_bytes=limit))
    kept = [compiler.compile(Grammar.from_regex(f"x{{{count}}}")) for count in range(30)]
    assert compiler.cached_bytes <= limit
    assert 1 < sum(compiled.present_engine is not None for compiled in kept) < 30
    nested = compiler.compile(Grammar.from_json_schema(NESTED))
    engines = weakref.WeakSet([nested.engine])  # all that anybody still holds
    generator = random.Random(3)
    for _ in range(60):
        matcher = nested.matcher()
        matcher.accept_bytes(bytes(generator.choices(b"[", k=generator.randrange(2000))))
        engines.add(nested.engine)
        assert compiler.cached_bytes <= limit
        assert len(engines) == 1
    # A text that alone needs more than the limit is followed nevertheless, without learning it anew at each step.
    begun = set()
    for _ in range(100):
        matcher.accept_bytes(b"[" * 500)
        mask_of(matcher)
        begun.add(id(nested.present_engine))
    assert compiler.cached_bytes > limit
    assert len(begun) < 10
    matcher.accept_bytes(b"]" * 50_000)
    assert not matcher.is_accepting


def test_what_was_used_lately_stays(tmp_path: Path) -> None:
    vocabulary = byte_vocabulary()
    one = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_regex("0")).engine.nbytes
    compiler = GrammarCompiler(vocabulary, tmp_path, Budget(cache_bytes=9 * one))
    compiled = [compiler.compile(Grammar.from_regex(f"x{{{count}}}")) for count in range(1, 10)]
    matchers = [each.matcher() for each in compiled]
    compiled.append(compiler.compile(Grammar.from_regex("y")))  # the first count: all have been used, some must go
    here = [each for each in compiled if each.present_engine is not None]
    assert 1 < len(here) < 9
    asked = [matcher for matcher in matchers if matcher.compiled in here][::2]
    used = [matcher.compiled for matcher in asked]
    for each in here:
        assert each.present_engine is not None
        each.present_engine.is_used = False
    for matcher in asked:
        mask_of(matcher)
    while all(each.present_engine is not None for each in here):
        compiled.append(compiler.compile(Grammar.from_regex(f"z{{{len(compiled)}}}")))
    assert all(each.present_engine is not None for each in used)


def test_who_keeps_configurations_keeps_their_engine(tmp_path: Path) -> None:
    """Graphs and checkers hand configurations out; they stay good when the compiled grammar begins anew."""
    vocabulary = byte_vocabulary()
    compiled: CompiledGrammar = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_json_schema(NESTED))
    graph = shared_graph(compiled)
    checker = GrammarChecker(compiled)
    place = graph.after_bytes(graph.engine.start, b'["a"')
    state = checker.advance(checker.start(b""), b'["a"')
    assert state is not None
    row = checker.allowed(state)
    compiled.give_up(compiled.engine)
    other = compiled.matcher()
    other.accept_bytes(b"[[[[")
    assert graph.is_accepting(graph.after_bytes(place, b"]"))
    assert np.array_equal(checker.allowed(state), row)
    behind = checker.advance(state, b"]")
    assert behind is not None
    assert checker.may_end(behind)
    assert shared_graph(compiled) is not graph
    assert shared_graph(compiled) is shared_graph(compiled)
