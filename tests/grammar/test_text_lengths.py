"""Lengths of texts against counting them: what can remain from each state, and when the extremes tell it all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grammar.test_language import languages
from tokamask.grammar.json_schema.demands import StringDemand
from tokamask.grammar.json_schema.shaping import FEW_STATES, string_shape
from tokamask.grammar.language import Language, any_text, empty, equivalent, intersection
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.text_lengths import (
    UNBOUNDED,
    binding_bounds,
    fewest_texts,
    is_countable,
    lengths,
    remaining_lengths,
    with_length,
)

LONGEST = 24  # more than any of the automata below needs to go round all of its cycles twice


def possible_lengths(language: Language) -> list[set[int]]:
    """From each state, every number of code points up to LONGEST after which it can accept."""
    edges = [
        {(int(row[column]), byte & 0xC0 != 0x80) for byte, column in enumerate(language.byte_class) if row[column] >= 0}
        for row in language.transitions
    ]
    possible = [{0} if accepts else set() for accepts in language.accepting]
    while True:
        longer = [
            own | {n + starts for target, starts in targets for n in possible[target] if n + starts <= LONGEST}
            for own, targets in zip(possible, edges, strict=True)
        ]
        if longer == possible:
            return possible
        possible = longer


def pattern(text: str) -> Language:
    return pattern_language(text, "ecma", search=True)


@settings(max_examples=200)
@given(languages())
def test_remaining_lengths_are_the_extremes(language: Language) -> None:
    text_only = intersection(language, any_text())
    if text_only.is_empty:
        return
    for possible, (fewest, most) in zip(possible_lengths(text_only), remaining_lengths(text_only), strict=True):
        assert fewest == min(possible)
        # Without end there is a text between half of LONGEST and all of it.
        assert most == (UNBOUNDED if max(possible) > LONGEST // 2 else max(possible))


@settings(max_examples=400)
@given(languages(), st.integers(1, 6), st.integers(0, 4))
def test_countable_is_what_the_extremes_decide(language: Language, minimum: int, width: int) -> None:
    text_only = intersection(language, any_text())
    if text_only.is_empty:
        return
    decided = True
    for possible, (fewest, most) in zip(possible_lengths(text_only), remaining_lengths(text_only), strict=True):
        end = LONGEST // 2 if most == UNBOUNDED else int(most)
        for low in range(max(0, int(fewest) - width), end + 1):
            decided &= any(low <= n <= low + width for n in possible)
    assert is_countable(text_only, minimum, minimum + width) == decided


@pytest.mark.parametrize(
    ("text", "minimum", "maximum", "expected"),
    [
        ("^(ab)*$", 3, 3, False),
        ("^(ab)*$", 3, 4, True),
        ("^(ab)*$", 0, 1001, True),
        ("^(ab)*$", 1001, None, True),
        ("^(aaa|b{7})$", 4, 7, True),
        ("^(aaa|b{7})$", 4, 6, False),
        ("^(é{3}|b{7}|c{5})$", 4, 5, True),
        ("^[ab]*$", 900, 900, True),
    ],
)
def test_countable_patterns(text: str, minimum: int, maximum: int | None, expected: bool) -> None:
    assert is_countable(pattern(text), minimum, maximum) == expected


def test_bounds_that_bind() -> None:
    language = pattern("^a{2,5}$")
    assert binding_bounds(language, 2, 5) == (0, None)
    assert binding_bounds(language, 3, 4) == (3, 4)
    assert binding_bounds(language, 1, None) == (0, None)
    assert binding_bounds(pattern("^a"), 1, 9) == (0, 9)
    assert binding_bounds(empty(), 0, 0) == (0, None)


@pytest.mark.parametrize("text", ["^(ab)*c?$", "^a{3,7}(é|bb)*$", "a.b|^$", "^(a{300}|b{290})$"])
@pytest.mark.parametrize("bounds", [(0, 3), (3, None), (5, 5), (6, 9), (295, 300), (0, 0), (31, None), (0, 1)])
def test_shapes_of_patterns_with_bounds(text: str, bounds: tuple[int, int | None]) -> None:
    """Counted or not, a shape has the texts of pattern and bounds; None exactly where there are none."""
    minimum, maximum = bounds
    language = pattern(text)
    shape = string_shape(StringDemand(minimum, maximum, (language,)))
    if shape is None:
        assert with_length(language, minimum, maximum).is_empty
        return
    assert shape.language is not None
    assert equivalent(
        with_length(shape.language, shape.minimum, shape.maximum), with_length(language, minimum, maximum)
    )
    if (shape.minimum, shape.maximum) == (0, None):
        return
    assert shape.language is language
    assert len(language.accepting) * ((maximum or minimum) + 1) > FEW_STATES
    assert not with_length(language, minimum, maximum).is_empty


def test_large_bounds_are_counted_whatever_they_are() -> None:
    for maximum in (1000, 1_000_000, 1 << 40):
        shape = string_shape(StringDemand(0, maximum, (pattern("^[a-z]+( [a-z]+)*$"),)))
        assert shape is not None
        assert shape.maximum == maximum
    assert re.fullmatch("[a-z]+( [a-z]+)*", "a b")
    assert lengths(pattern("^[a-z]+( [a-z]+)*$")) == (1, None)


def test_no_texts_are_none() -> None:
    assert fewest_texts(empty(), 0, None) == 0
    assert fewest_texts(empty(), 2, 5) == 0


@pytest.mark.parametrize(("minimum", "maximum"), [(0, None), (0, 0), (1, 3), (2, 9), (4, None)])
def test_texts_of_some_lengths_are_counted(minimum: int, maximum: int | None) -> None:
    """Of letters of one, two and four bytes, up to five of them, as many to the power of the length."""
    language = pattern_language("[aé😀]{0,5}", "ecma", search=False)
    longest = 5 if maximum is None else min(maximum, 5)
    assert fewest_texts(language, minimum, maximum) == sum(3**length for length in range(minimum, longest + 1))
