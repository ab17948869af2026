"""How many values there are for how much: the spread of a record's values over what they cost more than the cheapest.

Spreads are lower bounds of counts, so the price of a rank that they tell is an upper bound. Values that are counted
are different ones: of alternatives that may overlap, the one with the most values at a cost is taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_DISTINCT,
    ARRAY_MAXIMUM,
    ARRAY_MINIMUM,
    ARRAY_OPEN,
    ARRAY_PREFIX,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_OF,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    CHOICE_MEETS,
    CHOICE_WORDS,
    ITEMS_OPEN,
    LEXEME,
    OBJECT_ADDITIONAL,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COUNT,
    OBJECT_IS_COUNTED,
    OBJECT_MAXIMUM,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    OBJECT_REQUIRED,
    OBJECT_WITNESSES,
    STRING,
)
from tokamask.masking.automaton_costs import NEVER

MANY_USED = 4096
"""Values of which one more may have to be found: what is counted, and no more."""

FURTHEST = 10_000
"""Bytes more than the cheapest value takes, beyond which none is counted."""

TOO_DEAR = 1_000_000
"""The price of a rank that was not found: more than is ever searched for."""

MOST_LONGER = 256
"""How many items more than they need arrays are given, to count further ones."""

PRINTABLE = 94  # characters of one byte that stand for themselves in a string: U+0020 to U+007F but two


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


def _spread(counts: Mapping[int, int], is_whole: bool) -> Spread:
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


def _product(first: Spread, second: Spread) -> Spread:
    """Of pairs."""
    counts: Counter[int] = Counter()
    # A few hundred costs of each are enough to choose from.
    for cost, number in first.counts[:256]:
        for more, others in second.counts[:256]:
            counts[cost + more] += number * others
    is_cut = len(first.counts) > 256 or len(second.counts) > 256
    return _spread(counts, first.is_whole and second.is_whole and not is_cut)


def _sum(first: Spread, second: Spread) -> Spread:
    """Of values that are of one of two kinds."""
    counts = Counter(dict(first.counts))
    counts.update(dict(second.counts))
    return _spread(counts, first.is_whole and second.is_whole)


def _union(first: Spread, second: Spread) -> Spread:
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
    return _spread(counts, False)


class Spreads:
    """The spreads of a program's records, beside their costs (the array K, nothing being used)."""

    def __init__(self, words: npt.NDArray[np.int32], costs: npt.NDArray[np.int32]) -> None:
        self._words: list[int] = words.tolist()
        self._costs: list[int] = costs.tolist()
        self._known: dict[int, Spread] = {}
        self._around: set[int] = set()

    def of(self, pc: int) -> Spread:
        """Of the texts of a STRING record, or the values of a VALUE record; inside of itself one counts for nothing."""
        if pc in self._known:
            return self._known[pc]
        if pc in self._around:
            return NOTHING
        self._around.add(pc)
        found = self._texts_of(pc) if self._words[pc] == STRING else self._values(pc)
        self._around.remove(pc)
        if not self._around:  # else it may be less than there is
            self._known[pc] = found
        return found

    def _values(self, pc: int) -> Spread:
        """Kinds of values have none in common; alternatives of one kind may."""
        kinds: dict[int, Spread] = {}
        for alternative in self._words[pc + 2 : pc + 2 + self._words[pc + 1]]:
            more = self._costs[alternative] + (self._words[alternative] != LEXEME) - self._costs[pc]
            if self._costs[alternative] < NEVER:
                kind, spread = self._kind(alternative), self._alternative(alternative).dearer(more)
                kinds[kind] = _union(kinds[kind], spread) if kind in kinds else spread
        return reduce(_sum, kinds.values()) if kinds else NOTHING

    def _kind(self, pc: int) -> int:
        """The same number for alternatives of one kind: the operation, or the first byte of a literal."""
        words = self._words
        if words[pc] == LEXEME:
            if self._after(words[pc + 1], 0, 0x6E) >= 0:
                return 0x6E
            return 0x74 if any(self._after(words[pc + 1], 0, byte) >= 0 for byte in b"ft") else LEXEME
        return ARRAY_OPEN if words[pc] == ITEMS_OPEN else words[pc]

    def _alternative(self, pc: int) -> Spread:
        operation = self._words[pc]
        if operation == LEXEME:
            return self._spellings(self._words[pc + 1])
        if operation == STRING:
            return self.of(pc)
        if operation == ARRAY_OPEN:
            return self._array(pc)
        if operation == OBJECT_OPEN:
            return self._object(pc)
        return Spread(ONE.counts, False)

    def _array(self, pc: int) -> Spread:
        """By the items of the shortest arrays, then by ones of greater length."""
        words = self._words
        minimum, maximum = words[pc + ARRAY_MINIMUM], words[pc + ARRAY_MAXIMUM]
        spread = ONE
        for position in range(minimum):
            if spread.total == MANY_USED:
                break
            spread = _product(spread, self._item(pc, position))
        longer, length = spread, minimum
        while spread.total < MANY_USED and (maximum < 0 or length < maximum) and self._item_node(pc, length):
            if length == minimum + MOST_LONGER:
                return Spread(spread.counts, False)
            item = self._item(pc, length)
            longer = _product(longer, item).dearer((length > 0) + self._costs[self._item_node(pc, length)])
            if not longer.counts:
                return Spread(spread.counts, spread.is_whole and longer.is_whole)
            spread = _sum(spread, longer)
            length += 1
        return spread

    def _item_node(self, pc: int, position: int) -> int:
        if position < self._words[pc + ARRAY_PREFIX_COUNT]:
            return self._words[pc + ARRAY_PREFIX + position]
        return self._words[pc + ARRAY_REST]

    def _item(self, pc: int, position: int) -> Spread:
        spread = self.of(self._item_node(pc, position))
        return spread.without_cheapest(position) if self._words[pc + ARRAY_DISTINCT] else spread

    def _object(self, pc: int) -> Spread:
        """By its declared properties, and by one more of another name."""
        words, costs = self._words, self._costs
        is_counted = words[pc + OBJECT_IS_COUNTED] != 0
        spread = ONE
        for at in range(pc + OBJECT_PROPERTIES, pc + OBJECT_PROPERTIES + 2 * words[pc + OBJECT_COUNT], 2):
            if words[at] and spread.total < MANY_USED:
                values = self.of(words[at])
                if words[at + 1]:
                    spread = _product(spread, values)
                elif is_counted:
                    spread = Spread(spread.counts, False)
                else:
                    spread = _product(spread, _sum(ONE, values.dearer(1 + costs[at] + costs[words[at]])))
        if words[pc + OBJECT_ADDITIONAL]:
            value = costs[words[pc + OBJECT_ADDITIONAL]]
            names = {length + 4 + value: PRINTABLE**length for length in range(1, 5)}
            names[5 + value] = max(0, PRINTABLE - words[pc + OBJECT_COUNT])
            spread = _sum(spread, _spread(names, False))
        needed = words[pc + OBJECT_REQUIRED] + words[pc + OBJECT_WITNESSES]
        if words[pc + OBJECT_MAXIMUM] < 0 or words[pc + OBJECT_MAXIMUM] > needed:
            for choice in range(words[pc + OBJECT_CHOICE_COUNT]):
                at = words[pc + OBJECT_CHOICES] + CHOICE_WORDS * choice
                if not words[at + CHOICE_MEETS] and costs[at] < NEVER:
                    names_there = self.of(words[at]).dearer(1 + costs[at] + costs[words[at + 1]])
                    spread = _sum(spread, Spread(names_there.counts, False))
        return Spread(spread.counts, spread.is_whole and not words[pc + OBJECT_CHOICE_COUNT])

    def _texts_of(self, pc: int) -> Spread:
        minimum, maximum, block = self._words[pc + 1 : pc + 4]
        if block:
            return self._texts(block, minimum, maximum)
        counts: Counter[int] = Counter()
        for length in range(minimum, minimum + 4 if maximum < 0 else min(maximum, minimum + 3) + 1):
            counts[length - minimum] += PRINTABLE ** min(length, 4)
        if maximum > 0:  # and where these are too few, the other characters of up to four bytes
            counts[maximum - minimum + 4] += MANY_USED
        return _spread(counts, maximum == 0)

    def _texts(self, block: int, minimum: int, maximum: int) -> Spread:
        """Of the texts inside strings that an automaton accepts, of so many code points."""
        groups = [
            Counter((_string_cost(byte), not 0x80 <= byte < 0xC0) for byte in group) for group in self._classes(block)
        ]
        most = minimum if maximum < 0 else maximum

        def following(column: int, begun: int) -> Iterator[tuple[int, int, int]]:
            for (each, is_start), number in groups[column].items():
                after = begun + is_start if maximum >= 0 else min(most, begun + is_start)
                if maximum < 0 or after <= most:
                    yield each, after, number

        return self._counted(block, following, lambda begun: begun >= minimum)

    def _spellings(self, block: int) -> Spread:
        """Of numbers and literals, one spelling of each."""
        classes = self._classes(block)
        useful = self._useful(block, classes)

        def following(column: int, part: int) -> Iterator[tuple[int, int, int]]:
            for byte in classes[column]:
                after = _part_after(part, byte)
                if after is not None:
                    yield 1, after, 1

        spread = self._counted(block, following, lambda part: part != _ZEROS, useful)
        if not self._accepts(block, b"0") or not self._accepts(block, b"-0"):
            return spread
        counts = dict(spread.counts)
        counts[1] -= 1  # -0 is 0, which is the cheapest
        return Spread(tuple([(cost, number) for cost, number in counts.items() if number]), spread.is_whole)

    def _useful(self, block: int, classes: list[list[int]]) -> set[tuple[int, int]]:
        """The states with the parts of a spelling that some text leads on from to its end."""
        words = self._words
        width, rows = words[block + AUTOMATON_CLASSES] + 1, block + words[block + AUTOMATON_ROWS]
        sources: defaultdict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
        reached = {(0, _INTEGER)}
        waiting = list(reached)
        while waiting:
            state, part = place = waiting.pop()
            for column, group in enumerate(classes):
                target = words[rows + state * width + 1 + column]
                for after in {_part_after(part, byte) for byte in group} if target >= 0 else ():
                    if after is not None:
                        sources[target, after].add(place)
                        if (target, after) not in reached:
                            reached.add((target, after))
                            waiting.append((target, after))
        waiting = [(s, part) for s, part in reached if words[rows + s * width] & ACCEPTING and part != _ZEROS]
        useful = set(waiting)
        while waiting:
            for place in sources[waiting.pop()] - useful:
                useful.add(place)
                waiting.append(place)
        return useful

    def _accepts(self, block: int, text: bytes) -> bool:
        state = 0
        for byte in text:
            state = self._after(block, state, byte)
            if state < 0:
                return False
        return bool(self._words[self._row(block, state)] & ACCEPTING)

    def _after(self, block: int, state: int, byte: int) -> int:
        """The state of an automaton after one more byte; -1 for none."""
        return self._words[self._row(block, state) + 1 + self._words[block + AUTOMATON_CLASS_OF + byte]]

    def _row(self, block: int, state: int) -> int:
        words = self._words
        return block + words[block + AUTOMATON_ROWS] + state * (words[block + AUTOMATON_CLASSES] + 1)

    def _classes(self, block: int) -> list[list[int]]:
        """The bytes of each class of an automaton."""
        words = self._words
        members = block + words[block + AUTOMATON_CLASS_BYTES]
        ends = words[block + words[block + AUTOMATON_CLASS_START] : members]
        return [words[members + begin : members + end] for begin, end in pairwise(ends)]

    def _counted(
        self,
        block: int,
        following: Callable[[int, int], Iterator[tuple[int, int, int]]],
        may_end: Callable[[int], bool],
        useful: set[tuple[int, int]] | None = None,
    ) -> Spread:
        """Texts by cost, the cheapest first.

        Beside an automaton's state something else is followed from 0 on: what it becomes with the bytes of a class
        (their cost, it, and how many bytes), and where a text may end. Where `useful` is given, other places lead to no
        end.
        """
        words = self._words
        width, rows = words[block + AUTOMATON_CLASSES] + 1, block + words[block + AUTOMATON_ROWS]
        levels: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        levels[0][0, 0] = 1
        counts: dict[int, int] = {}
        cheapest, found, cost = -1, 0, 0
        while levels and found < MANY_USED and (cheapest < 0 or cost <= cheapest + FURTHEST):
            for (state, beside), count in levels.pop(cost, Counter()).items():
                row = rows + state * width
                if words[row] & ACCEPTING and may_end(beside):
                    cheapest = cost if cheapest < 0 else cheapest
                    counts[cost - cheapest] = counts.get(cost - cheapest, 0) + count
                    found += count
                for column in range(width - 1):
                    if words[row + 1 + column] >= 0:
                        for each, after, number in following(column, beside):
                            place = words[row + 1 + column], after
                            if useful is not None and place not in useful:
                                continue
                            levels[cost + each][place] = min(MANY_USED, levels[cost + each][place] + count * number)
            cost += 1
        return _spread(counts, not levels)


# Parts of a spelling: digits before the point, the point and zeros behind it, other digits behind it, a literal.
_INTEGER, _ZEROS, _DECIMALS, _LITERAL = range(4)


def _part_after(part: int, byte: int) -> int | None:
    """The part after one more byte; None where other bytes spell the same values."""
    if part == _LITERAL or (0x61 <= byte <= 0x7A and byte != 0x65):
        return _LITERAL
    if byte in b"eE+":
        return None
    if byte == 0x2E or (part != _INTEGER and byte == 0x30):
        return _ZEROS
    return _INTEGER if part == _INTEGER else _DECIMALS


def _string_cost(byte: int) -> int:
    """At most what a byte of text takes inside a string."""
    if byte in b'"\\':
        return 2
    return 6 if byte < 0x20 else 1
