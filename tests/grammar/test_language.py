"""The algebra of languages against plain sets of byte strings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import language as language_module
from tokamask.grammar.budget import Budget
from tokamask.grammar.language import (
    Language,
    any_text,
    assemble,
    complement_in_text,
    difference,
    empty,
    equivalent,
    intersection,
    overlap,
    shortest,
    texts_of,
    union,
    union_of,
    until,
)
from tokamask.grammar.text_counts import MANY, number_of_texts, texts_left
from tokamask.grammar.text_lengths import is_finite, leave_endless, lengths, with_length

# Short texts over two letters and a character of two bytes, one of which is also half of another.
ALPHABET = (b"a", b"b", b"\xc3\xa9", b"\xc3")
TEXTS = [b"".join(letters) for count in range(5) for letters in product(ALPHABET, repeat=count)]
WORDS = st.lists(st.sampled_from(TEXTS), max_size=12)
# First and last bytes of the ranges that RFC 3629 tells apart.
BORDERS = bytes.fromhex("24 7f 80 8f 90 9f a0 bf c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")
BYTE_CLASS = bytes({ord("a"): 0, ord("b"): 1, 0xC3: 2, 0xA9: 3}.get(byte, 4) for byte in range(256))


@st.composite
def languages(draw: st.DrawFn) -> Language:
    """Any automaton of up to six states over the bytes of the alphabet."""
    size = draw(st.integers(1, 6))
    targets = st.integers(-1, size - 1)
    rows = [[*(draw(targets) for _ in range(4)), -1] for _ in range(size)]
    return assemble(BYTE_CLASS, rows, [draw(st.booleans()) for _ in range(size)])


def members(language: Language) -> set[bytes]:
    return {text for text in TEXTS if language.matches(text)}


def assert_trimmed_and_canonical(language: Language) -> None:
    """No dead end, no state twice, columns distinct and in byte order, states numbered breadth first."""
    assert language.byte_class.dtype == np.uint8
    assert language.transitions.dtype == np.int32
    assert language.accepting.dtype == np.bool_
    if language.is_empty:
        return
    rows = language.transitions.tolist()
    found = [0]
    for state in found:
        found.extend(target for target in dict.fromkeys(rows[state]) if target >= 0 and target not in found)
    assert found == list(range(len(rows)))
    alive = {state for state, accepts in enumerate(language.accepting.tolist()) if accepts}
    for _ in rows:
        alive |= {state for state, row in enumerate(rows) if alive & set(row)}
    assert alive == set(found)
    assert list(dict.fromkeys(language.byte_class.tolist())) == list(range(len(rows[0])))
    assert len(set(zip(*rows, strict=True))) == len(rows[0])
    # Refine by what can follow, one symbol at a time: in a minimal automaton all states come apart.
    block = language.accepting.tolist()
    for _ in rows:
        block = [(block[state], *(block[t] if t >= 0 else -1 for t in row)) for state, row in enumerate(rows)]
        names = {signature: number for number, signature in enumerate(dict.fromkeys(block))}
        block = [names[signature] for signature in block]
    assert len(set(block)) == len(rows)


@settings(max_examples=80)
@given(WORDS)
def test_words_are_exactly_the_words(words: list[bytes]) -> None:
    language = Language.words(words)
    assert members(language) == set(words)
    assert_trimmed_and_canonical(language)
    assert Language.words(words[::-1] + words) is language


def test_equal_hashes_do_not_make_languages_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_module, "hash", lambda written: 0, raising=False)
    one, other = Language.words([b"the one"]), Language.words([b"the other"])
    assert one.matches(b"the one")
    assert other.matches(b"the other")
    assert union(other, other) is other


@pytest.mark.parametrize("words", [[b""], [b"", b"a"], [b"ab", b"abc", b"b"], [bytes(range(256))], [b"\x00", b"\xff"]])
def test_words_at_the_edges(words: list[bytes]) -> None:
    language = Language.words(words)
    assert all(language.matches(word) for word in words)
    assert language.matches(b"") == (b"" in words)
    assert not language.matches(words[0] + b"!")
    assert_trimmed_and_canonical(language)


def test_thousands_of_words() -> None:
    words = [f"{number * 7919 % 100_003:x}-{number % 13}".encode() for number in range(5_383)]
    language = Language.words(words)
    assert all(map(language.matches, words))
    assert not any(language.matches(word + b"0") for word in words)
    assert not any(language.matches(word[:-1]) for word in words)


@settings(max_examples=80)
@given(languages(), languages())
@pytest.mark.parametrize(
    ("of_languages", "of_sets"),
    [
        (intersection, set.intersection),
        (union, set.union),
        (difference, set.difference),
    ],
)
def test_set_algebra(
    of_languages: Callable[[Language, Language], Language],
    of_sets: Callable[[set[bytes], set[bytes]], set[bytes]],
    a: Language,
    b: Language,
) -> None:
    result = of_languages(a, b)
    assert members(result) == of_sets(members(a), members(b))
    assert_trimmed_and_canonical(result)


@settings(max_examples=100)
@given(languages(), languages())
def test_equal_languages_are_equal_arrays(a: Language, b: Language) -> None:
    one = union(difference(a, b), intersection(a, b))
    assert equivalent(one, a)
    assert np.array_equal(one.byte_class, a.byte_class)
    assert np.array_equal(one.transitions, a.transitions)
    # Six states against six: languages that agree on all texts of the product's size are equal, shorter ones often.
    assert equivalent(a, b) == (difference(a, b).is_empty and difference(b, a).is_empty)
    if members(a) != members(b):
        assert not equivalent(a, b)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(languages(), languages())
def test_languages_overlap_when_they_have_a_text_in_common(a: Language, b: Language) -> None:
    assert overlap(a, b) == overlap(b, a) == (not intersection(a, b).is_empty)
    # Two automata of six states have a common text of fewer than 36 bytes, or none; most that have one, a short one.
    if members(a) & members(b):
        assert overlap(a, b)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(languages(), languages())
def test_equal_languages_in_use_are_one(a: Language, b: Language) -> None:
    either = union(a, b)
    assert union(b, a) is either
    assert union(difference(a, b), b) is either
    assert difference(a, difference(a, b)) is intersection(a, b)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(languages(), languages())
def test_arrays_may_lie_in_memory_in_any_way(a: Language, b: Language) -> None:
    turned = Language(a.byte_class.astype(np.int64), np.asfortranarray(a.transitions), a.accepting.astype(np.int32))
    assert intersection(turned, b) is intersection(a, b)
    assert difference(b, turned) is difference(b, a)
    assert texts_left(turned).tolist() == texts_left(a).tolist()


def test_products_larger_than_their_first_room() -> None:
    """Beside a counter of a letter modulo 40 stands one modulo 41, in several steps of growth."""
    counters = [assemble(BYTE_CLASS, modulo(size), [True] + [False] * (size - 1)) for size in (40, 41)]
    both = intersection(*counters)
    assert len(both.accepting) == 40 * 41
    assert [count for count in range(5_000) if both.matches(b"a" * count)] == [0, 1640, 3280, 4920]
    either = union(*counters)
    assert all(either.matches(b"a" * count) == (count % 40 == 0 or count % 41 == 0) for count in range(2_000))
    with Budget(states=1_000).enforced(), pytest.raises(CompileBudgetExceeded, match="more than 1000 states"):
        difference(*counters)


def modulo(size: int) -> list[list[int]]:
    return [[(state + 1) % size, -1, -1, -1, -1] for state in range(size)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(languages(), st.integers(0, 40))
def test_texts_are_counted_and_listed(language: Language, most: int) -> None:
    counts = texts_left(language)
    for state in range(len(counts)):
        texts = texts_from(language, state)
        assert counts[state] == (MANY if texts is None else len(texts))
    texts = set() if language.is_empty else texts_from(language, 0)
    assert number_of_texts(language) == (MANY if texts is None else len(texts))
    expected = None if texts is None or len(texts) > most else tuple(sorted(texts))
    assert texts_of(language, most) == expected


def texts_from(language: Language, state: int) -> set[bytes] | None:
    """The texts left from a state; None if they do not end within as many bytes as there are states."""
    places, texts = [(state, b"")], set()
    for _ in range(len(language.accepting)):
        texts |= {text for place, text in places if language.accepting[place]}
        moves = [(language.transitions[place, language.byte_class], text) for place, text in places]
        places = [(row[byte], text + bytes((byte,))) for row, text in moves for byte in range(256) if row[byte] >= 0]
    return None if places else texts


def test_more_texts_than_anyone_counts_are_not_listed() -> None:
    bits = assemble(BYTE_CLASS, [[place + 1] * 2 + [-1] * 3 for place in range(30)] + [[-1] * 5], [False] * 30 + [True])
    assert texts_left(bits).tolist() == [min(MANY, 2 ** (30 - place)) for place in range(31)]
    assert number_of_texts(bits) == MANY
    assert texts_of(bits, 2 * MANY) is None


def test_arrays_that_differ_may_still_be_equivalent() -> None:
    twice = Language(np.zeros(256, np.uint8), np.array([[1], [0]], np.int32), np.array([True, True]))
    assert equivalent(twice, assemble(bytes(256), [[0]], [True]))


def decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("length", [1, 2])
def test_any_text_is_utf8_for_all_short_strings(length: int) -> None:
    accepted = any_text()
    for letters in product(range(256), repeat=length):
        assert accepted.matches(bytes(letters)) == decodes(bytes(letters))


@settings(max_examples=2_000)
@given(st.lists(st.sampled_from(BORDERS), max_size=5).map(bytes))
def test_any_text_is_utf8_at_the_borders_of_its_ranges(text: bytes) -> None:
    assert any_text().matches(text) == decodes(text)


def test_complement_stays_within_text() -> None:
    language = complement_in_text(Language.words([b"a", b"ab", b"\xc3\xa9"]))
    assert members(language) == {text for text in TEXTS if decodes(text)} - {b"a", b"ab", b"\xc3\xa9"}
    assert complement_in_text(any_text()).is_empty
    assert equivalent(complement_in_text(empty()), any_text())


@settings(max_examples=200, derandomize=True)
@given(st.lists(st.text("ab\x00é\u0800€\U0001f600", max_size=3), max_size=8))
def test_complement_of_few_texts_is_minimal(texts: list[str]) -> None:
    few = Language.words([text.encode() for text in texts])
    complement = complement_in_text(few)
    assert_trimmed_and_canonical(complement)
    assert complement is difference(any_text(), few)  # which merges what is alike


@settings(max_examples=200, derandomize=True)
@given(st.lists(languages(), max_size=6))
def test_union_of_several(several: list[Language]) -> None:
    together = union_of(several)
    assert members(together) == set().union(*map(members, several))
    assert together is functools.reduce(union, several, empty())


@settings(max_examples=300, derandomize=True)
@given(st.lists(languages(), max_size=3), st.booleans())
def test_languages_that_leave_endless(several: list[Language], has_others: bool) -> None:
    if has_others:  # all texts with another byte than the letters
        letters = bytes(0 if byte in b"ab" else 1 for byte in range(256))
        several = [*several, assemble(letters, [[0, 1], [1, 1]], [False, True])]
    expected = any(
        not any(language.matches(bytes((byte,)) * count) for language in several for count in range(10, 20))
        for byte in b"\x01~a0"
    )
    assert leave_endless(several) == expected
    if expected:
        assert texts_left(difference(any_text(), union_of(several)))[0] == MANY


@settings(max_examples=100)
@given(languages(), st.integers(0, 4), st.one_of(st.none(), st.integers(0, 4)))
def test_length_counts_code_points(language: Language, minimum: int, maximum: int | None) -> None:
    text_only = intersection(language, any_text())
    result = with_length(text_only, minimum, maximum)
    assert members(result) == {
        text
        for text in members(text_only)
        if minimum <= len(text.decode()) and (maximum is None or len(text.decode()) <= maximum)
    }
    assert_trimmed_and_canonical(result)


def test_length_bounds_that_hold_anyway_cost_nothing() -> None:
    language = Language.words([b"a", b"bcd"])
    assert with_length(language, 1, 1_000_000) is language
    assert with_length(any_text(), 0, None) is any_text()


def test_length_beyond_the_budget_is_refused() -> None:
    with pytest.raises(CompileBudgetExceeded, match="more than 100000 states"):
        with_length(any_text(), 0, 1_000_000)
    with pytest.raises(CompileBudgetExceeded, match="more than 100000 states"):
        with_length(any_text(), 10**12, None)
    assert with_length(Language.words([b"a", b"bcd"]), 10**12, None).is_empty


@settings(max_examples=100)
@given(languages())
def test_lengths_and_finiteness(language: Language) -> None:
    text_only = intersection(language, any_text())
    if text_only.is_empty:
        assert lengths(text_only) == (0, 0)
        return
    least, greatest = lengths(text_only)
    assert least == len(shortest(intersection(text_only, with_length(any_text(), least, least))).decode())
    assert with_length(text_only, 0, least - 1).is_empty
    assert is_finite(text_only) == (greatest is not None)
    if greatest is None:
        # A text with more characters than the automaton has states goes round a loop.
        assert not with_length(text_only, len(text_only.accepting) + 1, None).is_empty
    else:
        assert not with_length(text_only, greatest, greatest).is_empty
        assert with_length(text_only, greatest + 1, None).is_empty


@settings(max_examples=100)
@given(languages())
def test_shortest_is_first_of_the_shortest(language: Language) -> None:
    found = members(language)
    if language.is_empty:
        with pytest.raises(ValueError, match="empty"):
            shortest(language)
    elif found:
        assert shortest(language) == min(found, key=lambda text: (len(text), text))
    else:
        assert language.matches(shortest(language))


@pytest.mark.parametrize("length", range(6))
def test_until_ends_with_the_first_marker(length: int) -> None:
    texts = [bytes(letters) for count in range(9) for letters in product(b"a\xff", repeat=count)]
    for letters in product(b"a\xff", repeat=length):
        marker = bytes(letters)
        language = until(marker)
        assert_trimmed_and_canonical(language)
        for text in texts:
            # Found at the end and nowhere before; the empty marker is found before anything is read.
            assert language.matches(text) == (marker in text and text.find(marker) == len(text) - length), (
                marker,
                text,
            )


def test_until_takes_any_bytes() -> None:
    assert until(b"</think>").matches(bytes(range(256)) + b"<</think>")
    assert not until(b"</think>").matches(b"</think>.")


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        any_text().transitions[0, 0] = 1
