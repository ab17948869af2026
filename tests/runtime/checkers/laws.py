"""The laws of checkers (see tokamask/runtime/checkers/checker.py), for any checker and any texts to try them on."""

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from tokamask.masking.bitmask import bitmask_words, unpack_row
from tokamask.runtime.checkers.checker import Checker

__all__ = ["check_laws", "read"]


def check_laws(
    checker: Checker[Any],
    texts: Iterable[bytes],
    *,
    prompt: bytes = b"",
    token_bytes: Sequence[bytes | None] | None = None,
) -> None:
    """Assert every law on every beginning of some texts.

    Args:
        checker: any.
        texts: outputs to walk through; some that the checker accepts, some that it refuses, some that end inside a
            character.
        prompt: what the model reads before them.
        token_bytes: of the vocabulary that the checker was made with, when it has one.
    """
    assert isinstance(checker, Checker)
    assert isinstance(checker.is_exhaustive, bool)
    start = checker.start(prompt)
    assert start is not None, "start() has no way to refuse"
    assert checker.start(prompt) == start
    for text in texts:
        states = [start, *(read(checker, start, text[: place + 1]) for place in range(len(text)))]
        for place, state in enumerate(states):
            if state is not None:
                _check_state(checker, state, token_bytes)
            for end in range(place, len(text) + 1):
                _check_chunk(checker, states, text, place, end)


def read(checker: Checker[Any], state: Any, data: bytes) -> Any:
    """The state after bytes read one by one; None where they died."""
    for place in range(len(data)):
        if state is None:
            return None
        state = checker.advance(state, data[place : place + 1])
    return state


def _check_chunk(checker: Checker[Any], states: Sequence[Any], text: bytes, place: int, end: int) -> None:
    """Chunks do not matter, and a dead state stays dead."""
    if states[place] is None:
        assert states[end] is None
        return
    chunk = text[place:end]
    after = checker.advance(states[place], chunk)
    assert after == states[end], f"{text[:place]!r} + {chunk!r} at once differs from byte by byte"
    if after is not None:
        assert hash(after) == hash(states[end])
        if checker.log_weight(states[place]) == -math.inf:
            assert checker.log_weight(after) == -math.inf, "a factor of 0 is certain"


def _check_state(checker: Checker[Any], state: Hashable, token_bytes: Sequence[bytes | None] | None) -> None:
    before = hash(state)
    assert isinstance(checker.may_end(state), bool)
    log_weight = checker.log_weight(state)
    assert not math.isnan(log_weight)
    assert log_weight < math.inf
    allowed = checker.allowed(state)
    if allowed is not None:
        assert token_bytes is not None, "give the vocabulary of a checker that has one"
        assert allowed.shape == (bitmask_words(len(token_bytes)),)
        assert allowed.dtype == np.int32
        bits = unpack_row(allowed, len(token_bytes))
        for token, data in enumerate(token_bytes):
            if data is not None:
                lives = checker.advance(state, data) is not None
                assert bits[token] == lives, f"token {token} ({data!r}) after {state!r}"
    assert hash(state) == before, "asking changed the state"
