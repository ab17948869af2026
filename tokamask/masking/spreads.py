"""How many values there are for how much: the *spread* of some values over what they cost more than the cheapest.

Spreads are lower bounds of counts, so the price of a rank that they tell is an upper bound. Values that are counted
are different ones: of alternatives that may overlap, the one with the most values at a cost is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "FURTHEST",
    "MANY_USED",
    "NOTHING",
    "ONE",
    "TOO_DEAR",
    "Spread",
    "of_either",
    "of_overlapping",
    "of_pairs",
    "spread_of",
]

MANY_USED = 4096
"""Values of which one more may have to be found: what is counted, and no more."""

FURTHEST = 10_000
"""Bytes more than the cheapest value takes, beyond which none is counted."""

TOO_DEAR = 1_000_000
"""The price of a rank that was not found: more than is ever searched for."""


class Spread(NamedTuple):
    """`counts`: (extra cost, how many values), ascending, MANY_USED values at most; whether these are all there are."""

    counts: tuple[tuple[int, int], ...]
    is_whole: bool

    @property
    def total(self) -> int:
        return sum(number for _, number in self.counts)

    def price(self, rank: int) -> int:
        """The extra cost of the value of that rank, 1 being the cheapest; of the dearest, where there are too few."""
        if rank <= 1:
            return 0
        for cost, number in self.counts:
            rank -= number
            if rank <= 0:
                return cost
        return self.counts[-1][0] if self.is_whole and self.counts else TOO_DEAR

    def dearer(self, more: int) -> Spread:
        return Spread(tuple([(cost + more, number) for cost, number in self.counts]), self.is_whole)

    def without_cheapest(self, used: int) -> Spread:
        """What is left where any `used` values are not to be had."""
        left = []
        for cost, number in self.counts:
            taken = min(used, number)
            used -= taken
            if number > taken:
                left.append((cost, number - taken))
        return Spread(tuple(left), self.is_whole)


NOTHING = Spread((), False)
ONE = Spread(((0, 1),), True)


def spread_of(counts: Mapping[int, int], is_whole: bool) -> Spread:
    """The cheapest of these, as many as are counted."""
    kept: list[tuple[int, int]] = []
    total = 0
    for cost in sorted(counts):
        if total == MANY_USED or cost > FURTHEST:
            return Spread(tuple(kept), False)
        number = min(counts[cost], MANY_USED - total)
        if number:
            is_whole = is_whole and number == counts[cost]
            kept.append((cost, number))
            total += number
    return Spread(tuple(kept), is_whole)


def of_pairs(first: Spread, second: Spread) -> Spread:
    """Of pairs."""
    counts: Counter[int] = Counter()
    # A few hundred costs of each are enough to choose from.
    for cost, number in first.counts[:256]:
        for more, others in second.counts[:256]:
            counts[cost + more] += number * others
    is_cut = len(first.counts) > 256 or len(second.counts) > 256
    return spread_of(counts, first.is_whole and second.is_whole and not is_cut)


def of_either(first: Spread, second: Spread) -> Spread:
    """Of values that are of one of two kinds."""
    counts = Counter(dict(first.counts))
    counts.update(dict(second.counts))
    return spread_of(counts, first.is_whole and second.is_whole)


def of_overlapping(first: Spread, second: Spread) -> Spread:
    """Of values that may be of both kinds: up to each cost as many as there are of the more frequent one.

    There may be more of them, and dearer ones.
    """
    of_first, of_second = dict(first.counts), dict(second.counts)
    counts: Counter[int] = Counter()
    ones = others = reached = 0
    for cost in sorted({*of_first, *of_second}):
        ones += of_first.get(cost, 0)
        others += of_second.get(cost, 0)
        counts[cost] = max(ones, others) - reached
        reached = max(ones, others)
    return spread_of(counts, False)
