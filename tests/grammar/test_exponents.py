"""Numbers with an exponent against exact arithmetic over every short string."""

from __future__ import annotations

import json
import random
import re
import struct
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.exponents import MOST_PLACES, exponent_language, exponent_values, has_exponents
from tokamask.grammar.language import equivalent

# What the module promises to spell.
SPELLING = re.compile(r"-?(?:0(?:\.0{1,16})?|[1-9][0-9]{0,2}(?:\.[0-9]{1,16})?)[eE][+-]?[0-9]+")
TEXTS = ["".join(characters) for length in range(3, 7) for characters in product("-+.e0159", repeat=length)]
SPELLINGS = {
    text: Fraction(text) for text in TEXTS if SPELLING.fullmatch(text) and abs(int(re.split("e", text)[1])) < 100
}
OTHERS = [text for text in TEXTS if not SPELLING.fullmatch(text)][::90]

BOUNDS = st.one_of(
    st.none(),
    st.builds(Fraction, st.integers(-1200, 1200), st.sampled_from([1, 10, 100, 3])),
    st.sampled_from([Fraction(0), Fraction(1, 10**6), Fraction(10**6), Fraction(-(10**9)), Fraction(15, 10**7)]),
)
STEPS = st.sampled_from(
    [
        None,
        None,
        None,
        *(Fraction(*step) for step in [(1, 1), (1, 1), (1, 2), (1, 100), (7, 10), (50, 1), (3, 1), (5, 3)]),
    ]
)


@settings(max_examples=60)
@given(BOUNDS, BOUNDS, st.booleans(), st.booleans(), STEPS)
def test_numbers(
    minimum: Fraction | None, maximum: Fraction | None, above: bool, below: bool, multiple_of: Fraction | None
) -> None:
    language = exponent_language(minimum, maximum, above, below, multiple_of)
    for text, value in SPELLINGS.items():
        belongs = (
            (minimum is None or minimum < value or (minimum == value and not above))
            and (maximum is None or value < maximum or (maximum == value and not below))
            and (multiple_of is None or (value / multiple_of).denominator == 1)
        )
        assert language.matches(text.encode()) == belongs, text
    assert [text for text in OTHERS if language.matches(text.encode())] == []


@settings(max_examples=60)
@given(st.frozensets(st.sampled_from([*sorted(set(SPELLINGS.values()))[::5], Fraction(0), Fraction(1)]), max_size=4))
def test_values(values: frozenset[Fraction]) -> None:
    language = exponent_values(values)
    for text, value in SPELLINGS.items():
        assert language.matches(text.encode()) == (value in values), text
    assert [text for text in OTHERS if language.matches(text.encode())] == []


@pytest.mark.parametrize("value", ["0", "1", "255", "-0.375", "1e15", "1.2345678901234567e20", "99.9999e-30", "120"])
def test_a_value_is_what_lies_between_it_and_itself(value: str) -> None:
    number = Fraction(value)
    assert equivalent(exponent_values(frozenset((number,))), exponent_language(number, number))


def test_every_double_is_spelled_as_programs_write_it() -> None:
    generator = random.Random(4)
    everything = exponent_language(None, None)
    integers = exponent_language(None, None, multiple_of=Fraction(1))
    within = exponent_language(Fraction(-1), Fraction("1e100"), True, False)
    written = 0
    for _ in range(3000):
        number = struct.unpack("<d", generator.randbytes(8))[0]
        for text in (json.dumps(number), f"{number:.16e}", f"{number:.3E}"):
            if "e" in text.lower():
                written += 1
                value = Fraction(text)
                assert everything.matches(text.encode()), text
                assert integers.matches(text.encode()) == (value.denominator == 1), text
                assert within.matches(text.encode()) == (-1 < value <= 10**100), text
    assert written > 8000


@pytest.mark.parametrize(
    ("text", "is_integer"),
    [
        ("1e999999999999", True),
        ("1e-999999999999", False),
        ("0e-999999999999", True),
        ("100e-2", True),
        ("100e-3", False),
        ("1.50e+0001", True),
        ("1.50e+0000", False),
        (f"1.{'0' * 15}1e16", True),
        (f"1.{'0' * 15}1e15", False),
        (f"1.{'0' * 17}e2", False),
        ("1000e-3", False),
        ("0.1e1", False),
        ("-0.0e0", True),
    ],
)
def test_integers(text: str, is_integer: bool) -> None:
    assert exponent_language(None, None, multiple_of=Fraction(1)).matches(text.encode()) == is_integer


def test_exponents_of_any_size_are_compared() -> None:
    language = exponent_language(Fraction("1e-300"), Fraction("2.5e300"))
    assert language.matches(b"1e-300")
    assert not language.matches(b"9.99e-301")
    assert not language.matches(b"9e-9999999999")
    assert language.matches(b"250e298")
    assert not language.matches(b"250.1e298")
    assert not language.matches(b"1e3000")


def test_multiples_with_many_remainders_are_left_to_decimals() -> None:
    assert all(map(has_exponents, [None, Fraction(1), Fraction(1, 1000), Fraction(5), Fraction(700)]))
    assert not has_exponents(Fraction(11))
    assert not has_exponents(Fraction(1, 16))
    with pytest.raises(ValueError, match="not written with an exponent"):
        exponent_language(None, None, multiple_of=Fraction(11))


def test_bounds_with_too_many_digits_are_refused() -> None:
    with pytest.raises(CompileBudgetExceeded, match="digits"):
        exponent_language(Fraction(10**100_000), None)


def test_values_that_no_short_mantissa_spells() -> None:
    assert exponent_values(frozenset((Fraction(f"1.{'1' * (MOST_PLACES + 3)}"),))).is_empty
    assert exponent_values(frozenset()).is_empty
