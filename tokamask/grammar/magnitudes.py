"""Unsigned decimal numbers: those from a bound on, and the multiples of a step.

Each is an automaton that is written down digit by digit; numbers within bounds are differences of the first kind, and
multiples within bounds their intersections with the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, gcd

import numpy as np

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.automaton import Rows, Table, flat, too_many_states
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.flat_automaton import FlatAutomaton
from tokamask.grammar.language import Language, assemble, frozen, remembered, union
from tokamask.grammar.minimisation import minimal

__all__ = ["Bound", "at_least", "multiples", "signed"]

# Columns, in the order of their first bytes: every other byte, the minus sign, the point, the ten digits.
_MINUS, _POINT, _DIGITS, _WIDTH = 1, 2, 3, 13
_COLUMN_OF = {ord("-"): _MINUS, ord("."): _POINT, **{ord("0") + digit: _DIGITS + digit for digit in range(10)}}
_BYTE_CLASS = bytes(_COLUMN_OF.get(byte, 0) for byte in range(256))
# A state for each remainder (and place) is written down as long as these are no more, or where no two remainders are
# alike; else remainders are looked at one by one to tell which of them are, up to a number of steps.
FEW_REMAINDERS = 20_000
REMAINDER_BUDGET = 5_000_000

# How the decimals of a number compare with those of a bound: the order or, equal so far, what the bound has left,
# shifted by the digits read.
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

    def rests(self) -> tuple[list[Fraction], int]:
        """What the bound has left behind each of its decimals, until that comes again, and where it was before.

        Raises:
            CompileBudgetExceeded: there are more than states of an automaton may be.
        """
        most = present_budget().states
        places: dict[Fraction, int] = {}
        rest = self.rest
        while rest not in places:
            if len(places) > most:
                raise too_many_states(most)
            places[rest] = len(places)
            rest = rest * 10 % 1
        return list(places), places[rest]


def _order(a: int, b: int) -> int:
    return (a > b) - (a < b)


def _row(digits: list[int], point: int = -1) -> list[int]:
    return [-1, -1, point, *digits]


@remembered
def at_least(bound: Bound, has_point: bool) -> Language:
    """The numbers that are not below a bound or, where it is exclusive, above it.

    In the integer part it matters how many digits there were, and their order and that of the bound's digits; behind
    the point the order or, equal so far, what the bound has left.
    """
    length = len(bound.digits)
    rests, again = bound.rests()
    # States, by number: the start; behind a 0; behind more digits than the bound has; behind so many digits in so an
    # order; behind the point of a greater number, without digits and with; of one that is equal so far; and behind the
    # decimals that leave a rest.
    greater, first = 2, 3
    free = first + 3 * length
    equal = free + 2

    def behind(order: int, point: int) -> int:
        """Behind the point of a number whose integer part is complete."""
        return point if has_point and order == _GREATER else equal if has_point and order == _EQUAL else -1

    def compared(expected: int, less: int, same: int, more: int) -> list[int]:
        """Where the ten digits lead, by their order and that of the expected one."""
        return [less] * expected + [same] + [more] * (9 - expected)

    def whole(count: int, order: int) -> int:
        return first + 3 * (count - 1) + order + 1

    is_enough = not bound.exclusive and bound.rest == 0
    is_zero = bound.digits == (0,)
    digits = compared(bound.digits[0], whole(1, _LESS), whole(1, _EQUAL), whole(1, _GREATER))
    rows: Rows = [
        _row([1, *digits[1:]]),
        _row([-1] * 10, behind(_EQUAL if is_zero else _LESS, free)),
        _row([greater] * 10, behind(_GREATER, free)),
    ]
    accepting = [False, is_zero and is_enough, True]
    for count in range(1, length):
        less, same, more = (whole(count + 1, order) for order in (_LESS, _EQUAL, _GREATER))
        rows += [_row([less] * 10), _row(compared(bound.digits[count], less, same, more)), _row([more] * 10)]
        accepting += [False] * 3
    rows += [_row([greater] * 10, behind(order, free)) for order in (_LESS, _EQUAL, _GREATER)]
    accepting += [False, is_enough, True]
    rows += [_row([free + 1] * 10)] * 2
    accepting += [False, True]
    decimals = []
    for place, rest in enumerate(rests):
        following = equal + 1 + (place + 1 if place + 1 < len(rests) else again)
        decimals.append(_row(compared(floor(rest * 10), -1, following, free + 1)))
    rows += [decimals[0], *decimals]
    accepting += [False, *(rest == 0 and not bound.exclusive for rest in rests)]
    return assemble(_BYTE_CLASS, rows, accepting)


@remembered
def multiples(modulus: int, places: int, has_point: bool) -> Language:
    """The multiples of modulus / 10**places, with any number of zeros behind their decimals.

    Raises:
        CompileBudgetExceeded: there are too many remainders.
    """
    # States: the start; behind a 0; and for each remainder in the integer part; behind the point, without digits; and
    # with one, two ... places, where with the last one there may be more zeros.
    layers = max(places, 1) if has_point else 0
    remainders, following = _remainders(modulus, 2 + layers if has_point else 1)
    count = len(remainders)
    whole, pointed, decimals = 2, 2 + count, 2 + 2 * count
    rows = np.full((decimals + layers * count, _WIDTH), -1, dtype=np.int32)
    accepting = np.zeros(len(rows), dtype=np.int32)
    each = np.arange(count, dtype=np.int32)
    rows[0, _DIGITS:] = whole + following[0]
    rows[0, _DIGITS] = 1
    rows[whole:pointed, _DIGITS:] = whole + following
    accepting[1] = 1
    accepting[whole:pointed] = _are_multiples(remainders, modulus, places)
    if has_point:
        rows[1, _POINT] = pointed
        rows[whole:pointed, _POINT] = pointed + each
        if places:
            rows[pointed:decimals, _DIGITS:] = decimals + following
        else:
            rows[pointed:decimals, _DIGITS] = decimals + each
        for layer in range(layers):
            at = slice(decimals + layer * count, decimals + (layer + 1) * count)
            accepting[at] = _are_multiples(remainders, modulus, max(places - layer - 1, 0))
            if layer + 1 < layers:
                rows[at, _DIGITS:] = at.stop + following
            else:
                rows[at, _DIGITS] = at.start + each
    return frozen(np.frombuffer(_BYTE_CLASS, dtype=np.uint8), minimal(flat(rows, accepting)))


def _are_multiples(remainders: list[int], modulus: int, zeros: int) -> list[bool]:
    """Whether numbers with these remainders become multiples by so many zeros."""
    power = 10**zeros % modulus
    return [remainder * power % modulus == 0 for remainder in remainders]


def _remainders(modulus: int, copies: int) -> tuple[list[int], Table]:
    """Remainders of numbers, 0 in front, and where in this list each of the ten digits leads.

    `copies`: the states that there will be for each.

    One remainder stands for all those that the same further digits lead to a multiple. From remainder r, k digits that
    spell d < 10**k reach a multiple when d = -r * 10**k modulo the modulus: what counts is this number for every k for
    which it is small enough, and once all are, how it goes on.
    """
    most = present_budget().states
    # No two remainders of the part of the modulus without 2 and 5 are alike.
    odd = modulus
    while (common := gcd(odd, 10)) > 1:
        odd //= common
    if modulus * copies <= (most if odd == modulus else min(FEW_REMAINDERS, most)):
        each = np.arange(modulus, dtype=np.int64)
        return each.tolist(), (each[:, None] * 10 + np.arange(10)) % modulus
    powers = [10**exponent for exponent in range(len(str(modulus - 1)))]
    if odd * copies > most or odd * 10 * len(powers) > REMAINDER_BUDGET:
        raise _too_many_remainders()
    alike: dict[tuple[int, ...], int] = {}
    remainders: list[int] = []

    def number_of(remainder: int) -> int:
        wanted = []
        for power in powers:
            rest = -remainder * power % modulus
            wanted.append(rest if rest < power else -1)
        wanted.append(-remainder * powers[-1] * 10 % modulus)
        number = alike.setdefault(tuple(wanted), len(alike))
        if number == len(remainders):
            remainders.append(remainder)
        return number

    number_of(0)
    following: Rows = []
    for remainder in remainders:  # grows meanwhile
        check_time()
        following.append([number_of((remainder * 10 + digit) % modulus) for digit in range(10)])
        if len(remainders) * copies > most:
            raise too_many_states(most)
        if len(following) * 10 * len(powers) > REMAINDER_BUDGET:
            raise _too_many_remainders()
    return remainders, np.array(following, dtype=np.int32)


def _too_many_remainders() -> CompileBudgetExceeded:
    return CompileBudgetExceeded("there are too many remainders to tell apart; use a multiple of fewer digits")


def signed(positive: Language, negative: Language) -> Language:
    """The numbers of `positive`, and those of `negative` behind a minus sign."""
    return union(positive, _behind_minus(negative))


def _behind_minus(language: Language) -> Language:
    if language.is_empty:
        return language
    states, width = language.transitions.shape
    # No number has a minus sign inside, so its column is the first one, that of all other bytes. It gets its own.
    assert language.byte_class[ord("-")] == 0, "the numbers have signs"
    byte_class = np.where(language.byte_class > 0, language.byte_class + np.int32(1), np.int32(0))
    byte_class[ord("-")] = 1
    rows = np.full((states + 1, width + 1), -1, dtype=np.int32)
    rows[0, 1] = 1
    rows[1:, 2:] = np.where(language.transitions[:, 1:] < 0, -1, language.transitions[:, 1:] + 1)
    accepting = np.array([False, *language.accepting.tolist()], dtype=np.int32)
    return frozen(byte_class, FlatAutomaton(rows.reshape(-1), accepting, states + 1, width + 1))
