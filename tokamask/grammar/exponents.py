"""Numbers written with an exponent, in scientific and engineering notation: 1e5, 12.50E-3, 0e0.

Before the exponent stands zero, or a number with one to three digits before its point, the first of them not 0, and at
most `MOST_PLACES` behind it: all that programs write, whatever the number. The exponent is any integer. With that, the
numbers within bounds and the multiples of a step are a regular language: the exponents that bring a mantissa among
them are an interval, and an automaton can find it while it reads the mantissa.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from tokamask.grammar.automaton import explore
from tokamask.grammar.language import Language, assemble, empty, remembered
from tokamask.grammar.magnitudes import Bound
from tokamask.grammar.numbers import Limits, scaled
from tokamask.grammar.regular_expression import pattern_language

# Engineering notation puts up to three digits before the point; a double needs 17 in all (IEEE 754, section 5.12.2).
MOST_DIGITS = 3
MOST_PLACES = 16
# Each remainder multiplies the states: the multiples of more than this, tens aside, are written without exponent.
MOST_REMAINDERS = 9
# Values are spelled one by one.
MOST_VALUES = 100

# Columns: the ten digits, the signs, the point, e and E, every other byte.
_MINUS, _PLUS, _POINT, _E, _OTHER = 10, 11, 12, 13, 14
_COLUMN_OF = {
    **{ord("0") + digit: digit for digit in range(10)},
    **{ord(character): column for character, column in zip("-+.eE", (_MINUS, _PLUS, _POINT, _E, _E), strict=True)},
}
_BYTE_CLASS = bytes(_COLUMN_OF.get(byte, _OTHER) for byte in range(256))


def has_exponents(multiple_of: Fraction | None) -> bool:
    """Whether multiples of a step are written with an exponent too."""
    return multiple_of is None or _Step.of(multiple_of).modulus <= MOST_REMAINDERS


@remembered
def exponent_language(
    minimum: Fraction | None,
    maximum: Fraction | None,
    exclusive_minimum: bool = False,
    exclusive_maximum: bool = False,
    multiple_of: Fraction | None = None,
) -> Language:
    """The numbers between two bounds, either of them excluded on demand, that are multiples of a step.

    Raises:
        ValueError: `multiple_of` is not positive, or `has_exponents` denies it.
        CompileBudgetExceeded: the bounds have too many digits.
    """
    if not has_exponents(multiple_of):
        raise ValueError(f"multiples of {multiple_of} are not written with an exponent")
    limits = Limits.checked(minimum, maximum, exclusive_minimum, exclusive_maximum)
    step = None if multiple_of is None else _Step.of(multiple_of)
    sides = (_Side.of(limits, step), _Side.of(limits.negated(), step))

    # A state: the side of zero, and what was read of the number behind its sign.
    def successors(state: _Place) -> list[_Place | None]:
        side, reading = state
        targets = [sides[side].step_over(reading, column) for column in range(_OTHER + 1)]
        row: list[_Place | None] = [None if target is None else (side, target) for target in targets]
        if state == start:
            row[_MINUS] = negative, _Start(may_have_sign=False)
        return row

    negative = sides.index(sides[1])
    start: _Place = 0, _Start(may_have_sign=True)
    rows, states = explore(start, successors)
    return assemble(_BYTE_CLASS, rows, [reading.accepts for _, reading in states])


@remembered
def exponent_values(values: frozenset[Fraction]) -> Language:
    """All spellings of each of at most `MOST_VALUES` values."""
    spellings = [spelling for value in sorted(values) for spelling in _spellings(value)]
    return pattern_language("|".join(spellings), "ecma", search=False) if spellings else empty()


def _spellings(value: Fraction) -> Iterable[str]:
    """Expressions for the spellings of a value that has finitely many decimals."""
    if value == 0:
        yield rf"-?0(?:\.0{{1,{MOST_PLACES}}})?[eE][+-]?[0-9]+"
        return
    places, scaled_value = scaled(abs(value))
    digits = str(scaled_value).rstrip("0")
    sign = "-" if value < 0 else ""
    for count in range(1, MOST_DIGITS + 1):
        behind = MOST_PLACES - max(len(digits) - count, 0)
        exponent = len(str(scaled_value)) - places - count
        power = rf"-0*{-exponent}" if exponent < 0 else rf"\+?0*{exponent}" if exponent else "[+-]?0+"
        if len(digits) <= count:
            yield rf"{sign}{digits.ljust(count, '0')}(?:\.0{{1,{MOST_PLACES}}})?[eE]{power}"
        elif behind >= 0:
            yield rf"{sign}{digits[:count]}\.{digits[count:]}0{{0,{behind}}}[eE]{power}"


@dataclass(frozen=True)
class _Step:
    """The multiples of modulus * 10**power; `modulus` has no factor of 10."""

    modulus: int
    power: int

    @classmethod
    def of(cls, multiple_of: Fraction) -> _Step:
        places, modulus = scaled(multiple_of)
        power = -places
        while modulus % 10 == 0:
            modulus, power = modulus // 10, power + 1
        return cls(modulus, power)

    def least_power(self, remainder: int) -> int | None:
        """The least power of ten that makes a multiple of a number without factor of 10; None if none does."""
        for power in range(self.modulus.bit_length() + 1):
            if remainder * 10**power % self.modulus == 0:
                return power + self.power
        return None


@dataclass(frozen=True, slots=True)
class _Start:
    """Nothing has been read, but for a sign."""

    may_have_sign: bool

    accepts = False


@dataclass(frozen=True, slots=True)
class _Mantissa:
    """In the mantissa.

    Attributes:
        digits: how many stand before the point; 0 while the number is 0.
        places: how many stand behind it; None: there is no point yet.
        last: where the last digit other than 0 stands, in places behind the point (-1: the tens), and `remainder`:
            that of the number that ends there. Both 0 where multiples do not count.
        lower, upper: how the digits so far compare with those of the bounds; see `Bound.decimal`.
    """

    digits: int
    places: int | None
    last: int
    remainder: int
    lower: int | Fraction
    upper: int | Fraction

    accepts = False


@dataclass(frozen=True, slots=True)
class _Exponent:
    """Behind the e: exponents from `least` to `most` will do (None: no end)."""

    least: int | None
    most: int | None

    accepts = False

    def signed(self, column: int) -> _Power:
        """Behind a sign, or none."""
        least, most = (self.least, self.most) if column == _PLUS else (_negative(self.most), _negative(self.least))
        return _Power(max(least or 0, 0), most, None)


def _negative(number: int | None) -> int | None:
    return None if number is None else -number


@dataclass(frozen=True, slots=True)
class _Power:
    """In the digits of the exponent: `value` so far (None: none yet), to end between `least` and `most`.

    Without an upper end all values from `least` on are the same.
    """

    least: int
    most: int | None
    value: int | None

    @property
    def accepts(self) -> bool:
        return self.value is not None and self.value >= self.least

    def digit(self, digit: int) -> _Power | None:
        value = (self.value or 0) * 10 + digit
        if self.most is None:
            return replace(self, value=min(value, self.least))
        return replace(self, value=value) if value <= self.most else None


_Reading = _Start | _Mantissa | _Exponent | _Power
_Place = tuple[int, _Reading]


@dataclass(frozen=True)
class _Side:
    """The numbers on one side of zero, without their sign.

    Attributes:
        has_zero: whether zero is one of them, and `has_others`: whether any other may be.
        lower, upper: bounds as digits behind a point, 0.ddd with the first not 0, and the powers of ten they lack.
    """

    has_zero: bool
    has_others: bool
    lower: Bound | None
    lower_power: int
    upper: Bound | None
    upper_power: int
    step: _Step | None

    @classmethod
    def of(cls, limits: Limits, step: _Step | None) -> _Side:
        minimum, maximum = limits.minimum, limits.maximum
        has_zero = limits.allows(Fraction(0))
        has_others = maximum is None or maximum > 0
        lower, lower_power = None, 0
        if minimum is not None and minimum > 0:
            lower, lower_power = _fractional(minimum, limits.exclusive_minimum)
        upper, upper_power = None, 0
        if maximum is not None and has_others:
            upper, upper_power = _fractional(maximum, limits.exclusive_maximum)
        return cls(has_zero, has_others, lower, lower_power, upper, upper_power, step)

    def step_over(self, state: _Reading, column: int) -> _Reading | None:
        """What was read after one more byte, of this column; None where no number goes on so."""
        match state:
            case _Start() if column == 0 and self.has_zero:
                return _Mantissa(0, None, 0, 0, 0, 0)
            case _Start() if 0 < column < 10 and self.has_others:
                lower = 0 if self.lower is None else self.lower.rest
                upper = 0 if self.upper is None else self.upper.rest
                return self.following(_Mantissa(1, None, 0, 0, lower, upper), column)
            case _Mantissa() if column < 10:
                return self.digit(state, column)
            case _Mantissa() if column == _POINT and state.places is None:
                # How many digits stand before it matters to bounds alone.
                is_free = self.lower is None and self.upper is None
                return replace(state, digits=min(state.digits, 1) if is_free else state.digits, places=0)
            case _Mantissa() if column == _E and state.places != 0:
                return self.exponent(state)
            case _Exponent() if column in (_MINUS, _PLUS):
                return state.signed(column)
            case _Exponent() if column < 10:
                return state.signed(_PLUS).digit(column)
            case _Power() if column < 10:
                return state.digit(column)
        return None

    def digit(self, state: _Mantissa, digit: int) -> _Mantissa | None:
        """One more digit of the mantissa behind the first; None where no exponent can make it right any more."""
        if state.places is None:
            if state.digits in (0, MOST_DIGITS):
                return None
            return self.following(replace(state, digits=state.digits + 1, last=state.last - 1), digit)
        if state.places == MOST_PLACES or (state.digits == 0 and digit):
            return None
        state = replace(state, places=state.places + 1)
        if state.digits == 0:
            return state
        return self.following(state, digit)

    def following(self, state: _Mantissa, digit: int) -> _Mantissa | None:
        """`state` already counts the digit."""
        last, remainder = 0, 0
        if self.step is not None:
            last, remainder = state.last, state.remainder
            if digit:
                last = state.places or 0
                remainder = (remainder * 10 ** (last - state.last) + digit) % self.step.modulus
            if self.upper is not None and state.places and last + self.step.power > self.upper_power - state.digits:
                return None
        return replace(
            state,
            last=last,
            remainder=remainder,
            lower=0 if self.lower is None else self.lower.decimal(state.lower, digit),
            upper=0 if self.upper is None else self.upper.decimal(state.upper, digit),
        )

    def exponent(self, mantissa: _Mantissa) -> _Exponent | None:
        """The exponents that bring the mantissa within the limits and among the multiples."""
        if mantissa.digits == 0:
            return _Exponent(None, None)
        least = most = None
        if self.lower is not None:
            order = self.lower.order(mantissa.lower)
            reaches = order > 0 or (order == 0 and not self.lower.exclusive)
            least = self.lower_power - mantissa.digits + (not reaches)
        if self.upper is not None:
            order = self.upper.order(mantissa.upper)
            exceeds = order > 0 or (order == 0 and self.upper.exclusive)
            most = self.upper_power - mantissa.digits - exceeds
        if self.step is not None:
            power = self.step.least_power(mantissa.remainder)
            if power is None:
                return None
            least = mantissa.last + power if least is None else max(least, mantissa.last + power)
        return None if least is not None and most is not None and least > most else _Exponent(least, most)


def _fractional(bound: Fraction, exclusive: bool) -> tuple[Bound, int]:
    """A positive bound as 0.ddd, its first digit not 0, and the power of ten that it lacks."""
    power = len(str(floor(bound))) if bound >= 1 else 0
    rest = bound / 10**power
    while rest * 10 < 1:
        rest, power = rest * 10, power - 1
    return Bound((), rest, exclusive), power
