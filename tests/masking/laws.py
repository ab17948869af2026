"""The laws of DESIGN section 5, each as a check of one matcher at one place, and walks under budgeted masks."""

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

from tests.reference import Stepwise, allowed_tokens, allowed_within
from tokamask.errors import TokenRejected
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.matcher import Matcher

__all__ = ["check_budget", "check_state", "mask_of", "walk"]


def mask_of(matcher: Matcher, tokens_left: int | None = None) -> set[int]:
    """The ids of a filled row; also sees to it that no bit beyond the vocabulary is set."""
    size = matcher.compiled.vocabulary.size
    bitmask = allocate_bitmask(1, size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    bits = np.unpackbits(bitmask.view(np.uint8), bitorder="little")
    assert not bits[size:].any()
    return set(np.flatnonzero(bits).tolist())


def check_state(matcher: Matcher, language: Stepwise, state: Any) -> set[int]:
    """Law 1 at one place: mask, `is_allowed` and `accept_token` say what trying every token says."""
    vocabulary, stops = matcher.compiled.vocabulary, matcher.stop_token_ids
    expected = allowed_tokens(language, state, vocabulary, stops)
    assert mask_of(matcher) == expected
    assert matcher.is_accepting == language.is_complete(state)
    for token in range(vocabulary.size):
        fork = matcher.fork()
        assert matcher.is_allowed(token) == (token in expected)
        if token in expected:
            fork.accept_token(token)
        else:
            with pytest.raises(TokenRejected):
                fork.accept_token(token)
            assert mask_of(fork) == expected
    return expected


def check_budget(
    matcher: Matcher, language: Stepwise, state: Any, distances: dict[Hashable, int], budgets: set[int]
) -> None:
    """Distances and budgeted masks at one place of a language small enough to search through."""
    vocabulary, stops = matcher.compiled.vocabulary, matcher.stop_token_ids
    distance = distances.get(state)
    if distance is None:
        with pytest.raises(TokenRejected, match="cannot spell"):
            matcher.min_tokens_left()
    else:
        needed = distance + bool(stops)
        assert matcher.min_tokens_left() == needed
        completion = matcher.shortest_completion()
        assert len(completion) == needed
        walker = matcher.fork()
        for token in completion:
            walker.accept_token(token)
        assert walker.is_accepting
        budgets = budgets | {needed - 1, needed, needed + 1, needed + 2}
    for tokens_left in budgets:
        expected = allowed_within(language, state, vocabulary, stops, distances, tokens_left)
        assert mask_of(matcher, tokens_left) == expected, tokens_left


def walk(matcher: Matcher, budget: int, generator: random.Random) -> bytes:
    """A text of at most `budget` tokens, stop token included. It puts off its end as long as the masks allow."""
    vocabulary = matcher.compiled.vocabulary
    bitmask = allocate_bitmask(1, vocabulary.size)
    text = b""
    for tokens_left in range(budget, 0, -1):
        matcher.fill_bitmask(bitmask, 0, tokens_left)
        allowed = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little"))
        token = int(allowed[generator.randrange(len(allowed))])
        if token in matcher.stop_token_ids and len(allowed) > 1 and generator.random() < 0.9:
            token = int(allowed[allowed != token][generator.randrange(len(allowed) - 1)])
        matcher.accept_token(token)
        if matcher.is_terminated:
            return text
        text += vocabulary.token_bytes[token] or b""
    raise AssertionError(f"not closed within {budget} tokens: {text!r}")
