"""The laws of DESIGN section 5, with languages whose texts are known by other means and vocabularies full of traps."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.masking.laws import check_budget, check_state, mask_of
from tests.reference import AfterMarker, FiniteTexts, Recognised, token_distances
from tests.strategies import FINITE, GROWING, FiniteCase, byte_vocabulary, random_vocabulary
from tokamask.errors import TokenRejected
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler


@cache
def texts_of(case: FiniteCase) -> FiniteTexts:
    return FiniteTexts(case.find())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", FINITE, ids=lambda case: case.name)
def test_masks_and_budgets_of_known_languages(case: FiniteCase, seed: int, tmp_path: Path) -> None:
    generator = random.Random(f"{case.name} {seed}")
    language = texts_of(case)
    vocabulary = random_vocabulary(generator, generator.sample(sorted(language.texts), min(20, len(language.texts))))
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(case.make())
    prefixes = sorted(language.prefixes)
    if len(prefixes) > 60:
        prefixes = [b"", *generator.sample(prefixes, 60)]
    distances = token_distances(language, vocabulary, prefixes)
    generator.shuffle(prefixes)
    for prefix in prefixes:
        matcher = compiled.matcher()
        matcher.accept_bytes(prefix)
        check_state(matcher, language, prefix)
        check_budget(matcher, language, prefix, distances, {0, 1, 4, 30})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("marker", [b"</think>", b"aab", b"\xff", b"\n\n"])
def test_free_text_before_a_marker(marker: bytes, seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    texts = [b"", b"a", b"ab", b'{"a":1}', "é".encode()]
    language = AfterMarker(marker, texts)
    samples = [marker + text for text in texts] + [b"x" + marker, marker[:-1] + marker]
    vocabulary = random_vocabulary(generator, samples)
    grammar = Grammar.from_choices([text.decode() for text in texts]).after_marker(marker)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    states = [
        b"",
        b"x",
        marker[:1],
        marker[:-1],
        marker,
        marker + b"a",
        marker + b'{"a',
        marker[:-1] * 2,
        b"\x80" + marker,
    ]
    places = [(state, language.step(language.start(), state)) for state in states]
    assert all(place is not None for _, place in places if state_is_free(_, marker))
    distances = token_distances(language, vocabulary, [place for _, place in places if place is not None])
    for state, place in places:
        if place is None:
            continue
        matcher = compiled.matcher()
        matcher.accept_bytes(state)
        check_state(matcher, language, place)
        check_budget(matcher, language, place, distances, {0, 2, 5})


def state_is_free(state: bytes, marker: bytes) -> bool:
    return marker not in state


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", GROWING)
def test_masks_along_random_walks(name: str, seed: int, tmp_path: Path) -> None:
    """Languages without end: the byte-level recogniser says what may follow, the masks must say the same."""
    generator = random.Random(f"{name} {seed}")
    make, samples = GROWING[name]
    grammar = make()
    for sample in samples:
        assert grammar.check(sample).ok, sample
    vocabulary = random_vocabulary(generator, samples, 60)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    language = Recognised(grammar)
    for _ in range(6):
        matcher = compiled.matcher()
        state: int | None = language.start()
        if generator.random() < 0.6:
            sample = generator.choice(samples)
            begun = sample[: generator.randrange(len(sample) + 1)]
            matcher.accept_bytes(begun)
            state = language.step(language.start(), begun)
        for _ in range(12):
            assert state is not None, "only allowed tokens are taken"
            allowed = check_state(matcher, language, state)
            following = sorted(allowed - set(matcher.stop_token_ids))
            if not following:
                break
            token = generator.choice(following)
            matcher.accept_token(token)
            state = language.step(state, vocabulary.token_bytes[token] or b"")


@pytest.mark.parametrize("name", GROWING)
def test_budgets_of_endless_languages(name: str, tmp_path: Path) -> None:
    """A walk under budgeted masks ends within its budget; completions are complete and as long as they say."""
    generator = random.Random(name)
    make, samples = GROWING[name]
    grammar = make()
    for vocabulary in (byte_vocabulary(), *(random_vocabulary(generator, samples, 60) for _ in range(3))):
        compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
        for _ in range(4):
            matcher = compiled.matcher()
            sample = generator.choice(samples)
            matcher.accept_bytes(sample[: generator.randrange(len(sample))])
            try:
                tokens_left = matcher.min_tokens_left() + generator.choice((0, 0, 1, 3, 9))
            except TokenRejected:
                continue
            completed = matcher.fork()
            completion = matcher.shortest_completion()
            assert len(completion) == matcher.min_tokens_left()
            for token in completion:
                completed.accept_token(token)
            assert completed.is_accepting
            while not matcher.is_terminated and tokens_left:
                allowed = mask_of(matcher, tokens_left)
                assert allowed, "a budget that sufficed no longer does"
                assert allowed <= mask_of(matcher)
                # Whatever does not move towards the end is the harder test.
                slow = [token for token in allowed if token not in matcher.stop_token_ids] or list(allowed)
                matcher.accept_token(generator.choice(sorted(slow)))
                tokens_left -= 1
            assert matcher.is_accepting
            assert matcher.is_terminated or not matcher.stop_token_ids


@pytest.mark.parametrize("case", FINITE[::3], ids=lambda case: case.name)
def test_unpacked_rows_are_masks(case: FiniteCase, tmp_path: Path) -> None:
    vocabulary = random_vocabulary(random.Random(1), sorted(texts_of(case).texts))
    matcher = GrammarCompiler(vocabulary, tmp_path).compile(case.make()).matcher()
    bitmask = allocate_bitmask(1, vocabulary.size)
    matcher.fill_bitmask(bitmask, 0)
    assert set(np.flatnonzero(unpack_row(bitmask[0], vocabulary.size)).tolist()) == mask_of(matcher)
