"""Spellings of numbers against exact arithmetic over every short string."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.language import Language, equivalent, shortest
from tokamask.grammar.numbers import (
    integer_language,
    integer_spelling,
    number_language,
    number_spelling,
    number_values,
)

TEXTS = ["".join(characters) for length in range(6) for characters in product("-.0159", repeat=length)]
DECIMALS = {text: Fraction(text) for text in TEXTS if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text)}
INTEGERS = {text: int(text) for text in DECIMALS if "." not in text and text != "-0"}


def assert_spells(language: Language, belongs: Callable[[Fraction], bool], spellings: dict[str, Fraction]) -> None:
    for text in TEXTS:
        expected = text in spellings and belongs(spellings[text])
        assert language.matches(text.encode()) == expected, text


def as_fractions(spellings: dict[str, int]) -> dict[str, Fraction]:
    return {text: Fraction(value) for text, value in spellings.items()}


INTEGER_BOUNDS = st.one_of(st.none(), st.integers(-600, 600), st.sampled_from([-(10**5), -1, 0, 1, 10, 99, 100, 10**5]))
STEPS = st.sampled_from([None, None, 1, 2, 3, 5, 7, 10, 15, 50, 999])


@settings(max_examples=100)
@given(INTEGER_BOUNDS, INTEGER_BOUNDS, STEPS)
def test_integers(minimum: int | None, maximum: int | None, multiple_of: int | None) -> None:
    def belongs(value: Fraction) -> bool:
        return (
            (minimum is None or minimum <= value)
            and (maximum is None or value <= maximum)
            and (multiple_of is None or value % multiple_of == 0)
        )

    assert_spells(integer_language(minimum, maximum, multiple_of), belongs, as_fractions(INTEGERS))


BOUNDS = st.one_of(
    st.none(),
    st.builds(Fraction, st.integers(-600, 600), st.sampled_from([1, 10, 100, 3])),
    st.sampled_from([Fraction(0), Fraction(1, 10**6), Fraction(-1, 10**6), Fraction(10**6)]),
)
FRACTIONAL_STEPS = st.sampled_from(
    [None, None, *(Fraction(*step) for step in [(1, 1), (1, 2), (3, 10), (1, 100), (5, 3), (15, 1), (1, 4), (11, 1)])]
)


@settings(max_examples=120)
@given(BOUNDS, BOUNDS, st.booleans(), st.booleans(), FRACTIONAL_STEPS)
def test_numbers(
    minimum: Fraction | None, maximum: Fraction | None, above: bool, below: bool, multiple_of: Fraction | None
) -> None:
    def belongs(value: Fraction) -> bool:
        return (
            (minimum is None or minimum < value or (minimum == value and not above))
            and (maximum is None or value < maximum or (maximum == value and not below))
            and (multiple_of is None or (value / multiple_of).denominator == 1)
        )

    if minimum is None and maximum is None and multiple_of is None:
        return
    assert_spells(number_language(minimum, maximum, above, below, multiple_of), belongs, DECIMALS)


@pytest.mark.parametrize("text", ["0", "-0", "1e5", "-1.50E-07", "0.1e+1", "10.01", "9" * 50])
def test_unbounded_numbers_are_those_of_json(text: str) -> None:
    assert number_language(None, None).matches(text.encode())


@pytest.mark.parametrize("text", ["", "-", "01", ".5", "1.", "+1", "1e", "1e+", "0x1", "1 ", "NaN", "1.e5", "--1"])
def test_what_is_no_json_number(text: str) -> None:
    assert not number_language(None, None).matches(text.encode())


@pytest.mark.parametrize(
    ("minimum", "maximum"),
    [(-(2**63), 2**63 - 1), (0, 2**64 - 1), (10**40, 10**40 + 7), (-(10**30) - 3, -(10**29))],
)
def test_bounds_of_any_size_are_exact(minimum: int, maximum: int) -> None:
    language = integer_language(minimum, maximum)
    for value in (minimum, maximum, minimum + 1, maximum - 1, (minimum + maximum) // 2):
        assert language.matches(str(value).encode())
    for value in (minimum - 1, maximum + 1, minimum * 10 - 1, maximum * 10 + 1):
        assert not language.matches(str(value).encode()) or minimum <= value <= maximum
    decimals = number_language(Fraction(minimum), Fraction(maximum))
    assert decimals.matches(f"{maximum}.000".encode())
    for text in (f"{maximum}.{'0' * 30}1", f"{minimum}.{'0' * 30}1"):
        assert decimals.matches(text.encode()) == (minimum <= Fraction(text) <= maximum)


def test_a_tiny_difference_counts() -> None:
    bound = Fraction(1, 10**40)
    language = number_language(bound, None, exclusive_minimum=True)
    assert not language.matches(b"0." + b"0" * 39 + b"1")
    assert language.matches(b"0." + b"0" * 39 + b"10" + b"0" * 9 + b"1")
    assert not language.matches(b"0." + b"0" * 39 + b"09")


@pytest.mark.parametrize("multiple_of", [10**6, 86_400, 2**20, 5**9, 10**12])
def test_large_multiples_need_few_states(multiple_of: int) -> None:
    try:
        language = integer_language(0, None, multiple_of)
    except CompileBudgetExceeded:
        pytest.fail("the remainders that matter are few")
    for factor in (0, 1, 7, 12_345_678_901):
        assert language.matches(str(multiple_of * factor).encode())
        assert not language.matches(str(multiple_of * factor + 1).encode())


@pytest.mark.parametrize("multiple_of", [20_011, 3**10, 99_991])
def test_no_two_remainders_of_a_modulus_without_2_and_5_are_alike(multiple_of: int) -> None:
    language = integer_language(0, None, multiple_of)
    # Beside them the start, and the place behind a 0.
    assert len(language.accepting) == multiple_of + 2
    for factor in (0, 1, 7, 12_345_678_901):
        assert language.matches(str(multiple_of * factor).encode())
        assert not language.matches(str(multiple_of * factor + 1).encode())
    step = Fraction(7_001, 100)
    decimals = number_language(None, None, multiple_of=step)
    for text in ("0", "-70.01", "70.010", "140.02", "7001", "-7001.00", "490.07", "70.0", "700.1", "70.02", "7.001"):
        assert decimals.matches(text.encode()) == ((Fraction(text) / step).denominator == 1)


def test_multiples_between_bounds_are_found_by_counting_them() -> None:
    language = integer_language(10**9, 2 * 10**9, 999_999_937)
    found = [factor for factor in range(5) if language.matches(str(factor * 999_999_937).encode())]
    assert found == [2]
    assert integer_language(1, 999_999_936, 999_999_937).is_empty


def test_remainders_beyond_the_budget_are_refused() -> None:
    with pytest.raises(CompileBudgetExceeded):
        integer_language(0, None, 999_999_937)


@pytest.mark.parametrize("multiple_of", [0, -2])
def test_multiples_of_what_is_not_positive(multiple_of: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        integer_language(None, None, multiple_of)
    with pytest.raises(ValueError, match="positive"):
        number_language(None, None, multiple_of=Fraction(multiple_of))


def test_bounds_with_too_many_digits_are_refused_before_they_are_spelled() -> None:
    with pytest.raises(CompileBudgetExceeded, match="digits"):
        integer_language(0, 10**100_000)
    with pytest.raises(CompileBudgetExceeded, match="digits"):
        number_spelling(Fraction(1, 10**100_000))


def test_contradictory_bounds_are_empty() -> None:
    assert integer_language(3, 2).is_empty
    assert integer_language(1, 4, 5).is_empty
    assert number_language(Fraction(1), Fraction(1), True, False).is_empty
    assert number_language(Fraction(2), Fraction(1)).is_empty
    # Two thirds lie between, but have no finite spelling of their own: others do.
    assert not number_language(Fraction(66, 100), Fraction(67, 100)).is_empty


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([Fraction(0), Fraction(1), Fraction(3, 2), Fraction(1501, 1000), Fraction(-1, 10)]),
            st.sampled_from(sorted(set(DECIMALS.values()))),
        ),
        max_size=5,
    )
)
def test_values_in_all_their_spellings(values: list[Fraction]) -> None:
    assert_spells(number_values(values), lambda value: value in values, DECIMALS)


def test_spellings_of_one_value() -> None:
    assert number_spelling(1).matches(b"1.00")
    assert not number_spelling(1).matches(b"1.05")
    assert not integer_spelling(1).matches(b"1.0")
    assert integer_spelling(-12).matches(b"-12")
    assert number_spelling(Fraction(-5, 4)).matches(b"-1.250")
    assert number_spelling(0).matches(b"-0.0")
    assert not integer_spelling(0).matches(b"-0")
    assert shortest(number_spelling(Fraction(1, 8))) == b"0.125"
    assert equivalent(number_values((1, Fraction(2, 2))), number_language(Fraction(1), Fraction(1)))


def test_a_zero_is_told_from_digits_that_lead_to_the_same_places() -> None:
    language = number_values((1, Fraction(3, 2)))
    assert [text for text in DECIMALS if language.matches(text.encode())] == [
        "1", "1.0", "1.5", "1.00", "1.50", "1.000", "1.500"
    ]  # fmt: skip


def test_few_multiples_respect_excluded_bounds() -> None:
    for above, below in product([False, True], repeat=2):
        language = number_language(Fraction(15), Fraction(65), above, below, Fraction(25, 2) * 4)
        assert language.matches(b"50.0")
        language = number_language(Fraction(50), Fraction(150), above, below, Fraction(50))
        assert [value for value in (50, 100, 150) if language.matches(str(value).encode())] == [
            *([] if above else [50]), 100, *([] if below else [150])
        ]  # fmt: skip


def test_a_value_without_finite_spelling() -> None:
    with pytest.raises(ValueError, match="1/3 has no finite decimal spelling"):
        number_values((Fraction(1, 3),))
