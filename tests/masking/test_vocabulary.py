"""Vocabularies stated by hand. What is read from tokenizers is in test_tokenizers.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokamask.errors import VocabularyMismatch
from tokamask.masking.vocabulary import Vocabulary


def test_what_is_text() -> None:
    vocabulary = Vocabulary([b"a", None, b"", b"</s>", b"\xff", b"a"], stop_token_ids=[3])
    assert vocabulary.size == len(vocabulary) == 6
    assert vocabulary.token_bytes == (b"a", None, None, None, b"\xff", b"a")
    assert vocabulary.stop_token_ids == (3,)
    assert repr(vocabulary) == "Vocabulary(size=6, text_tokens=3, stop_token_ids=[3])"


def test_it_does_not_follow_its_arguments() -> None:
    tokens: list[bytes | None] = [b"a", b"b"]
    stops = {0}
    vocabulary = Vocabulary(tokens, stops)
    tokens[1] = b"c"
    stops.add(1)
    assert vocabulary.token_bytes == (None, b"b")
    assert vocabulary.stop_token_ids == (0,)
    with pytest.raises(AttributeError):
        vocabulary.token_bytes = ()  # type: ignore[misc]


def test_stop_tokens_are_sorted_distinct_and_optional() -> None:
    assert Vocabulary([b"a"] * 9, (token for token in [7, 2, 7])).stop_token_ids == (2, 7)
    assert Vocabulary([b"a"], ()).stop_token_ids == ()


def test_other_stop_tokens() -> None:
    vocabulary = Vocabulary([b"a", b"b", None], [1], encode=lambda data: [0] * len(data))
    other = vocabulary.with_stop_tokens([2, 0])
    assert other.stop_token_ids == (0, 2)
    assert other.token_bytes == (None, b"b", None)
    assert other.encode(b"a") == []
    assert other.with_stop_tokens([]).encode(b"a") == [0]
    assert vocabulary.token_bytes == (b"a", None, None)
    with pytest.raises(VocabularyMismatch, match="stop token id 3 is outside the vocabulary, whose ids are 0 to 2"):
        vocabulary.with_stop_tokens([3])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((b"abc", []), TypeError, "token_bytes is one bytes; give one bytes or None per id"),
        (("abc", []), TypeError, "token_bytes is one str"),
        (([b"a", "b"], []), TypeError, r"token_bytes\[1\] must be bytes or None, not str \('b'\)"),
        (([b"a", bytearray(b"b")], []), TypeError, r"token_bytes\[1\] must be bytes or None, not bytearray"),
        (([b"a"], 0), TypeError, r"stop_token_ids must be a collection of token ids, not int \(0\)"),
        (([b"a"], None), TypeError, "stop_token_ids must be a collection of token ids, not NoneType"),
        (([b"a"], "0"), TypeError, "stop_token_ids must be a collection of token ids, not str"),
        (([b"a"], [0.0]), TypeError, r"a stop token id must be an integer, not float \(0\.0\)"),
        (([b"a", b"b"], [True]), TypeError, "a stop token id must be an integer, not bool"),
        (([b"a"], [0], 3), TypeError, "encode must be a function from bytes to token ids, not int"),
        (([], []), VocabularyMismatch, "a vocabulary of 0 ids"),
        (([b"a"], [1]), VocabularyMismatch, "stop token id 1 is outside the vocabulary, whose ids are 0 to 0"),
        (([b"a"], [-1]), VocabularyMismatch, "stop token id -1 is outside"),
    ],
)
def test_wrong_arguments(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Vocabulary(*arguments)


VOCABULARIES = st.lists(st.none() | st.binary(max_size=3), min_size=1, max_size=5)


@given(VOCABULARIES, VOCABULARIES)
def test_fingerprints_differ_exactly_with_the_texts(one: list[bytes | None], other: list[bytes | None]) -> None:
    first, second = Vocabulary(one, []), Vocabulary(other, [])
    assert (first.fingerprint == second.fingerprint) == (first.token_bytes == second.token_bytes)


def test_fingerprint_sees_stop_tokens_and_the_cut_between_tokens() -> None:
    fingerprint = Vocabulary([b"ab", b"c", b"d"], []).fingerprint
    assert len(fingerprint) == 64
    assert fingerprint == Vocabulary([b"ab", b"c", b"d"], [], encode=list).fingerprint
    assert fingerprint != Vocabulary([b"a", b"bc", b"d"], []).fingerprint
    assert fingerprint != Vocabulary([b"ab", b"c", b"d"], [2]).fingerprint
    assert fingerprint != Vocabulary([b"ab", b"c", b"d", None], []).fingerprint
    assert Vocabulary([b"ab", b"x"], [1]).fingerprint == Vocabulary([b"ab", None], []).fingerprint


@pytest.mark.parametrize(
    "spelling",
    [[0], [1, 0], [0, 1, 2], [0, 3], [0, 9], [0, -4], [0, 1, 4]],
    ids=["too short", "other order", "special", "stop", "too large", "negative", "empty token"],
)
def test_a_wrong_spelling_is_not_passed_on(spelling: list[int]) -> None:
    tokens = [b"a", b"b", None, b"b", b""]
    assert Vocabulary(tokens, [3], encode=lambda data: [0, 1]).encode(b"ab") == [0, 1]
    assert Vocabulary(tokens, [3], encode=lambda data: spelling).encode(b"ab") == []


def test_without_spelling() -> None:
    assert Vocabulary([b"a"], []).encode(b"a") == []
    assert Vocabulary([b"a"], [], encode=lambda data: [0] * len(data.decode())).encode(b"\xff") == []
