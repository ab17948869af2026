"""Unsigned decimal numbers between two bounds, read digit by digit.

Beside how many digits of the integer part were read, all that matters is how the number so far compares with each
bound's own digits, and its remainder where only multiples count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.automaton import explore
from tokamask.grammar.language import Language, assemble, empty

# Columns: the ten digits, the minus sign, the point, every other byte.
_MINUS, _POINT, _OTHER = 10, 11, 12
_COLUMN_OF = {**{ord("0") + digit: digit for digit in range(10)}, ord("-"): _MINUS, ord("."): _POINT}
_BYTE_CLASS = bytes(_COLUMN_OF.get(byte, _OTHER) for byte in range(256))
# Remainders computed to tell which of them are alike.
REMAINDER_BUDGET = 5_000_000

# How a number compares with a bound. While its integer part is read: the count of digits so far (one more than the
# bound has stands for all greater counts) and the order of these digits. Behind the point: the order or, equal so
# far, what the bound has left, shifted by the digits read.
_Whole = tuple[int, int]
_Decimals = int | Fraction
_LESS, _EQUAL, _GREATER = -1, 0, 1


@dataclass(frozen=True)
class Bound:
    """A bound that is not negative: the digits of its integer part, and the rest of it."""

    digits: tuple[int, ...]
    rest: Fraction
    exclusive: bool

    @classmethod
    def of(cls, value: Fraction, exclusive: bool) -> Bound:
        whole = floor(value)
        return cls(tuple(map(int, str(whole))), value - whole, exclusive)

    def whole_digit(self, state: _Whole, digit: int) -> _Whole:
        """One more digit of the integer part."""
        count, order = state
        if count >= len(self.digits):
            return len(self.digits) + 1, _GREATER
        return count + 1, order or _order(digit, self.digits[count])

    def point(self, state: _Whole) -> _Decimals:
        """The integer part is complete."""
        count, order = state
        return _order(count, len(self.digits)) or order or self.rest

    def decimal(self, state: _Decimals, digit: int) -> _Decimals:
        """One more digit behind the point."""
        if isinstance(state, int):
            return state
        expected = floor(state * 10)
        return _order(digit, expected) or state * 10 - expected

    def order(self, state: _Decimals) -> int:
        """How the complete number compares: everything the bound has left makes it greater."""
        if isinstance(state, int):
            return state
        return _LESS if state else _EQUAL


def _order(a: int, b: int) -> int:
    return (a > b) - (a < b)


@dataclass(frozen=True, slots=True)
class _Start:
    """Nothing has been read."""


@dataclass(frozen=True, slots=True)
class _InWhole:
    """In the integer part; `open` if a digit may follow (not after 0)."""

    open: bool
    lower: _Whole
    upper: _Whole
    remainder: int


@dataclass(frozen=True, slots=True)
class _Behind:
    """Behind the point; `places` counts the digits that take part in the remainder, `empty` if there is none yet."""

    empty: bool
    lower: _Decimals
    upper: _Decimals
    remainder: int
    places: int


_Reading = _Start | _InWhole | _Behind
_Place = tuple[int, _Reading]
_START: _Place = (0, _Start())


@dataclass
class Magnitudes:
    """The unsigned numbers within two bounds that are multiples of modulus / 10**places (places None: all)."""

    lower: Bound | None
    upper: Bound | None
    modulus: int
    places: int | None
    has_point: bool
    representatives: dict[tuple[int, ...], int] = field(default_factory=dict)
    work: int = 0

    def step(self, state: _Reading, column: int) -> _Reading | None:
        if column == _POINT:
            return self.behind_point(state) if self.has_point and isinstance(state, _InWhole) else None
        if column > 9:
            return None
        if isinstance(state, _Behind):
            return self.decimal(state, column)
        if isinstance(state, _Start):
            state = _InWhole(True, (0, _EQUAL), (0, _EQUAL), 0)
            return self.whole_digit(state, column, column != 0)
        return self.whole_digit(state, column, True) if state.open else None

    def whole_digit(self, state: _InWhole, digit: int, stays_open: bool) -> _InWhole | None:
        lower = state.lower if self.lower is None else self.lower.whole_digit(state.lower, digit)
        upper = state.upper if self.upper is None else self.upper.whole_digit(state.upper, digit)
        if self.upper is not None and upper >= (len(self.upper.digits), _GREATER):
            return None
        return _InWhole(stays_open, lower, upper, self.remainder(state.remainder * 10 + digit))

    def remainder(self, number: int) -> int:
        """One remainder for all those that the same further digits lead to a multiple.

        From remainder r, k digits that spell d < 10**k reach a multiple when d = -r * 10**k modulo the modulus: what
        counts is this number for every k for which it is small enough, and once all are, how it goes on.
        """
        if self.modulus == 1:
            return 0
        if self.work > REMAINDER_BUDGET:
            raise CompileBudgetExceeded("there are too many remainders to tell apart; use a multiple of fewer digits")
        wanted = []
        power = 1
        while power < self.modulus:
            rest = -number * power % self.modulus
            wanted.append(rest if rest < power else -1)
            power *= 10
        wanted.append(-number * power % self.modulus)
        self.work += len(wanted)
        return self.representatives.setdefault(tuple(wanted), number % self.modulus)

    def behind_point(self, state: _InWhole) -> _Behind | None:
        lower: _Decimals = _GREATER if self.lower is None else self.lower.point(state.lower)
        upper: _Decimals = _LESS if self.upper is None else self.upper.point(state.upper)
        return self.viable(_Behind(True, lower, upper, state.remainder, 0))

    def decimal(self, state: _Behind, digit: int) -> _Behind | None:
        remainder, places = state.remainder, state.places
        if self.places is not None:
            if places == self.places:
                if digit:
                    return None
            else:
                remainder, places = self.remainder(remainder * 10 + digit), places + 1
        lower = state.lower if self.lower is None else self.lower.decimal(state.lower, digit)
        upper = state.upper if self.upper is None else self.upper.decimal(state.upper, digit)
        return self.viable(_Behind(False, lower, upper, remainder, places))

    @staticmethod
    def viable(state: _Behind) -> _Behind | None:
        """Behind the point the order does not change any more."""
        return None if state.lower == _LESS or state.upper == _GREATER else state

    def accepts(self, state: _Reading) -> bool:
        if isinstance(state, _InWhole):
            behind = self.behind_point(state)
            return behind is not None and self.accepts_behind(behind)
        return isinstance(state, _Behind) and not state.empty and self.accepts_behind(state)

    def accepts_behind(self, state: _Behind) -> bool:
        missing = (self.places or 0) - state.places
        if state.remainder * 10**missing % self.modulus:
            return False
        if self.lower is not None:
            order = self.lower.order(state.lower)
            if order == _LESS or (order == _EQUAL and self.lower.exclusive):
                return False
        if self.upper is not None:
            order = self.upper.order(state.upper)
            if order == _GREATER or (order == _EQUAL and self.upper.exclusive):
                return False
        return True


def signed(positive: Magnitudes | None, negative: Magnitudes | None) -> Language:
    """The numbers of `positive`, and those of `negative` behind a minus sign."""
    if positive is None and negative is None:
        return empty()
    sides = (positive, negative)

    # A state: which side is being read, and how far.
    def successors(state: _Place) -> list[_Place | None]:
        side, reading = state
        magnitudes = sides[side]
        row: list[_Place | None] = [None] * (_OTHER + 1)
        if magnitudes is not None:
            targets = (magnitudes.step(reading, column) for column in range(_OTHER + 1))
            row = [None if target is None else (side, target) for target in targets]
        if state == _START and negative is not None:
            row[_MINUS] = 1, _Start()
        return row

    rows, states = explore(_START, successors)
    accepting = []
    for side, reading in states:
        magnitudes = sides[side]
        accepting.append(magnitudes is not None and magnitudes.accepts(reading))
    return assemble(_BYTE_CLASS, rows, accepting)
