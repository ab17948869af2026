"""The spellings of JSON numbers, as languages: within bounds, multiples of a step, single values.

Numbers are exact (`Fraction`, arbitrary precision) throughout. Exponents are spelled only where any number will do:
with them the numbers between two bounds are not a regular language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.automaton import explore
from tokamask.grammar.language import Language, assemble, difference, empty, intersection, remembered, union
from tokamask.grammar.magnitudes import Bound, at_least, multiples, signed
from tokamask.grammar.regular_expression import pattern_language

# Digits before and behind the point of a bound or value.
DIGIT_BUDGET = 2_000
# Multiples are spelled out one by one only where they are no more than this, and fewer than the remainders.
ENUMERATION_BUDGET = 10_000


@remembered
def integer_language(minimum: int | None, maximum: int | None, multiple_of: int | None = None) -> Language:
    """The integers from `minimum` to `maximum`, both included, without fraction, exponent or -0.

    Raises:
        ValueError: `multiple_of` is not positive.
        CompileBudgetExceeded: the bounds have too many digits, or there are too many remainders to tell apart.
    """
    limits = Limits.checked(minimum, maximum, False, False)
    modulus = 1 if multiple_of is None else _positive(multiple_of).numerator
    few = limits.few_multiples(Fraction(modulus), modulus)
    if few is not None:
        return Language.words([str(value).encode() for value in few])
    # -0 is left out: negative numbers begin at -1.
    below_zero = Limits(limits.minimum, Fraction(-1)) if limits.maximum is None or limits.maximum > -1 else limits
    return signed(*(side.unsigned(modulus, 0, False) for side in (limits, below_zero.negated())))


@remembered
def number_language(
    minimum: Fraction | None,
    maximum: Fraction | None,
    exclusive_minimum: bool = False,
    exclusive_maximum: bool = False,
    multiple_of: Fraction | None = None,
) -> Language:
    """The numbers between two bounds, either of them excluded on demand.

    Without bounds and `multiple_of` all that RFC 8259, section 6, allows; otherwise any number of digits before and
    behind the point, but no exponent. -0 is 0.

    Raises:
        ValueError: `multiple_of` is not positive.
        CompileBudgetExceeded: the bounds have too many digits, or there are too many remainders to tell apart.
    """
    if minimum is None and maximum is None and multiple_of is None:
        return _any_number()
    limits = Limits.checked(minimum, maximum, exclusive_minimum, exclusive_maximum)
    places, modulus = (0, None) if multiple_of is None else scaled(_positive(multiple_of))
    if modulus is not None:
        few = limits.few_multiples(Fraction(modulus, 10**places), modulus)
        if few is not None:
            return number_values(few)
    return signed(*(side.unsigned(modulus, places, True) for side in (limits, limits.negated())))


@cache
def decimal_language() -> Language:
    """All numbers, with any number of digits before and behind the point, but no exponent."""
    unsigned = Limits(None, None).unsigned(None, 0, True)
    return signed(unsigned, unsigned)


def integer_spelling(value: int) -> Language:
    """The one spelling of an integer without fraction or exponent."""
    _check_digits(Fraction(value))
    return Language.literal(str(value).encode())


def number_spelling(value: Fraction | int) -> Language:
    """All decimal spellings of a value without exponent: 1, 1.0, 1.00 ...; 0.5, 0.50 ...; -0 beside 0.

    Raises:
        ValueError: the value has no finite decimal spelling.
        CompileBudgetExceeded: it has too many digits.
    """
    return number_values((value,))


def number_values(values: Iterable[Fraction | int]) -> Language:
    """All decimal spellings of each of the values; see `number_spelling`."""
    return _number_values(frozenset(map(Fraction, values)))


@remembered
def _number_values(values: frozenset[Fraction]) -> Language:
    plain: list[bytes] = []
    pointed: list[bytes] = []
    for value in values:
        _check_digits(value)
        places, multiple = scaled(abs(value))
        if Fraction(multiple, 10**places) != abs(value):
            raise ValueError(f"{value} has no finite decimal spelling")
        digits = str(multiple).rjust(places + 1, "0")
        whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :]
        for sign in ("-",) if value < 0 else ("", "-") if value == 0 else ("",):
            if not decimals:
                plain.append(f"{sign}{whole}".encode())
            pointed.append(f"{sign}{whole}.{decimals or '0'}".encode())
    return union(Language.words(plain), _with_trailing_zeros(Language.words(pointed)))


def _with_trailing_zeros(language: Language) -> Language:
    """The texts of `language` followed by any number of 0."""
    if language.is_empty:
        return language
    accepting = [*language.accepting.tolist(), False]
    # The zero gets a column of its own: others may lead to the same states.
    shared = language.byte_class[ord("0")]
    rows = [[*row, row[shared]] for row in language.transitions.tolist()]
    zero = len(rows[0]) - 1
    byte_class = bytearray(language.byte_class.tobytes())
    byte_class[ord("0")] = zero

    # A state: that of the language (-1: dead), and whether a text of it was followed by zeros alone.
    def successors(state: tuple[int, bool]) -> list[tuple[int, bool] | None]:
        at, ended = state
        targets = rows[at] if at >= 0 else [-1] * len(rows[0])
        row: list[tuple[int, bool] | None] = []
        for column, target in enumerate(targets):
            still = accepting[target] or (ended and column == zero)
            row.append((target, still) if target >= 0 or still else None)
        return row

    numbered, states = explore((0, accepting[0]), successors)
    return assemble(bytes(byte_class), numbered, [ended for _, ended in states])


@cache
def _any_number() -> Language:
    return pattern_language(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", "ecma", search=False)


def _check_digits(value: Fraction) -> None:
    """Before anything is spelled: Python takes quadratic time for the digits."""
    # A decimal digit has more than 3.3 bits.
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > DIGIT_BUDGET * 3.3:
        raise CompileBudgetExceeded(f"a number with more than {DIGIT_BUDGET} digits; use a shorter one")


def _positive(multiple_of: Fraction | int) -> Fraction:
    if multiple_of <= 0:
        raise ValueError("multiple_of must be positive")
    _check_digits(Fraction(multiple_of))
    return Fraction(multiple_of)


def scaled(step: Fraction) -> tuple[int, int]:
    """Decimal places p and an integer m: the multiples of `step` with finitely many decimals are those of m / 10**p.

    Only the factors 2 and 5 of a denominator leave finitely many decimals.
    """
    denominator, twos, fives = step.denominator, 0, 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    places = max(twos, fives)
    return places, step.numerator * 10**places // (2**twos * 5**fives)


@dataclass(frozen=True)
class Limits:
    """Bounds of numbers, either of them excluded on demand; None: no bound."""

    minimum: Fraction | None
    maximum: Fraction | None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False

    @classmethod
    def checked(
        cls, minimum: Fraction | int | None, maximum: Fraction | int | None, above: bool, below: bool
    ) -> Limits:
        exact = [None if bound is None else Fraction(bound) for bound in (minimum, maximum)]
        for bound in exact:
            if bound is not None:
                _check_digits(bound)
        return cls(exact[0], exact[1], above, below)

    def allows(self, value: Fraction) -> bool:
        """Whether a value is within the limits."""
        above, below = self.minimum, self.maximum
        return (above is None or value > above or (value == above and not self.exclusive_minimum)) and (
            below is None or value < below or (value == below and not self.exclusive_maximum)
        )

    def negated(self) -> Limits:
        """The limits of -x."""
        return Limits(
            None if self.maximum is None else -self.maximum,
            None if self.minimum is None else -self.minimum,
            self.exclusive_maximum,
            self.exclusive_minimum,
        )

    def few_multiples(self, step: Fraction, modulus: int) -> list[Fraction] | None:
        """The multiples of `step` within the limits where there are fewer than remainders; else None."""
        if self.minimum is None or self.maximum is None:
            return None
        first, last = ceil(self.minimum / step), floor(self.maximum / step)
        if last - first >= min(ENUMERATION_BUDGET, modulus):
            return None
        values = [step * factor for factor in range(first, last + 1)]
        if self.exclusive_minimum and values and values[0] == self.minimum:
            del values[0]
        if self.exclusive_maximum and values and values[-1] == self.maximum:
            del values[-1]
        return values

    def unsigned(self, modulus: int | None, places: int, has_point: bool) -> Language:
        """The numbers from 0 within the limits that are multiples of modulus / 10**places (None: all)."""
        if self.maximum is not None and self.maximum < 0:
            return empty()
        minimum, exclusive = Fraction(0), False
        if self.minimum is not None and self.minimum >= 0:
            minimum, exclusive = self.minimum, self.exclusive_minimum
        language = at_least(Bound.of(minimum, exclusive), has_point)
        if self.maximum is not None:
            beyond = Bound.of(self.maximum, not self.exclusive_maximum)
            language = difference(language, at_least(beyond, has_point))
        if modulus is None or (modulus == 1 and not has_point):
            return language
        return intersection(language, multiples(modulus, places, has_point))
