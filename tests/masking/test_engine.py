"""Whose turn it is to ask an engine: threads wait for one another, and no turn is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.strategies import byte_vocabulary
from tokamask.grammar.arena import OVERFLOW, SCRATCH_FULL
from tokamask.grammar.grammar import Grammar
from tokamask.masking import requests
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
from tokamask.masking.engine import Engine
from tokamask.masking.matcher import Matcher

SCHEMA = {"type": "array", "items": {"enum": ["ab", "ac", 7]}}


@pytest.fixture
def compiled(tmp_path: Path) -> CompiledGrammar:
    return GrammarCompiler(byte_vocabulary(), tmp_path).compile(Grammar.from_json_schema(SCHEMA, whitespace="none"))


def mask_of(matcher: Matcher) -> bytes:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0)
    return bitmask.tobytes()


def is_anybodys_turn(engine: Engine) -> bool:
    return engine.ask(engine.book_address, requests.IS_ACCEPTING_AT, engine.start, 0, 0) != requests.BUSY


QUESTIONS: dict[str, Callable[[Matcher], Any]] = {
    "fill_bitmask": mask_of,
    "accept_token": lambda matcher: matcher.accept_token(ord("[")),
    "accept_bytes": lambda matcher: matcher.accept_bytes(b'["ab",7]'),
    "is_allowed": lambda matcher: [matcher.is_allowed(token) for token in range(256)],
    "forced_bytes": lambda matcher: matcher.forced_bytes(),
    "shortest_completion": lambda matcher: matcher.shortest_completion(),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_who_comes_while_another_has_the_turn_waits(name: str, compiled: CompiledGrammar, tmp_path: Path) -> None:
    alone = GrammarCompiler(byte_vocabulary(), tmp_path).compile(Grammar.from_json_schema(SCHEMA, whitespace="none"))
    expected, asking = alone.matcher(), compiled.matcher()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(QUESTIONS[name](asking)))
    with compiled.engine.held():
        thread.start()
        thread.join(0.05)
        assert answers == []
        assert thread.is_alive()
    thread.join()
    assert answers == [QUESTIONS[name](expected)]
    assert mask_of(asking) == mask_of(expected)


def test_the_turn_comes_back_from_what_fails(compiled: CompiledGrammar) -> None:
    def interrupted() -> None:
        with compiled.engine.held():
            assert not is_anybodys_turn(compiled.engine)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert is_anybodys_turn(compiled.engine)


def test_nobody_gives_back_the_turn_of_another(compiled: CompiledGrammar) -> None:
    engine = compiled.engine
    with engine.held():
        engine.ask(engine.book_address, requests.LET_GO, threading.get_ident() + 1, 0, 0)
        assert not is_anybodys_turn(engine)
    assert is_anybodys_turn(engine)


def test_why_there_was_no_room_for_one_is_no_answer_to_another(compiled: CompiledGrammar) -> None:
    """Who was told FULL comes back for it; who asks first does not find what he was told."""
    matcher = compiled.matcher()
    for question in QUESTIONS.values():
        compiled.engine.arena[OVERFLOW] = SCRATCH_FULL
        question(matcher.fork())
    matcher.accept_token(ord("["))
    assert compiled.engine.arena[OVERFLOW] == 0


def test_what_was_asked_is_in_use(compiled: CompiledGrammar) -> None:
    engine, matcher = compiled.engine, compiled.matcher()
    for ask in (mask_of, lambda each: each.accept_token(ord("[")), lambda each: each.is_accepting):
        engine.is_used = False
        ask(matcher)
        assert engine.is_used
    engine.is_used = False
    assert not engine.is_used
