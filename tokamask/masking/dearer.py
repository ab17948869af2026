"""What values cost that may not be the cheapest ones, because those are used.

Where n values are used, one of the n + 1 cheapest is not: the cost of the value of that rank is enough for another one.
Such prices keep `cost_kernels` an upper bound where items must differ or names are remembered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokamask.grammar.program import (
    ACCEPTING,
    ARRAY_DEARER,
    ARRAY_DISTINCT,
    ARRAY_MAXIMUM,
    ARRAY_MINIMUM,
    ARRAY_OPEN,
    ARRAY_PREFIX,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    CHOICE_WORDS,
    ITEMS_DISTINCT,
    ITEMS_OPEN,
    ITEMS_STATES,
    LEXEME,
    OBJECT_ADDITIONAL,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_COUNT,
    OBJECT_MINIMUM,
    OBJECT_OPEN,
    OBJECT_PROPERTIES,
    OBJECT_REMEMBERS,
    OBJECT_WITNESSES,
    STRING,
    Program,
)
from tokamask.masking.cost_kernels import NEVER, analyse
from tokamask.masking.string_costs import with_string_costs

MANY_USED = 4096
"""Values that one array or object may have used before its budgets are estimated too low."""

LONGEST = 2_000  # bytes of a value, beyond which no further rank is looked for
DEAREST_PART = 10_000

_Costs = npt.NDArray[np.int32]


class Prices(NamedTuple):
    """`costs`: the array K of `cost_kernels`; `dearest`: how much more any one value or name may cost."""

    costs: _Costs
    dearest: int


def priced(program: Program, byte_costs: _Costs) -> Prices:
    """The costs of a program, byte costs (256) being given; what may be used is priced by rank."""
    words = program.words
    costs = _unknown(program, byte_costs)
    places = _places(program)
    costs[[place for place, _, _ in places]] = 0
    analyse(words, costs, program.records)
    if not places:
        return Prices(costs, 0)
    ranks = _Ranks(words, costs)
    dearer = [ranks.of(pc, rank) for _, pc, rank in places]
    dearest = max([ranks.of(pc, MANY_USED) for _, pc, _ in places])
    costs = _unknown(program, byte_costs)
    for (place, _, _), more in zip(places, dearer, strict=True):
        costs[place] = more if costs[place] == NEVER else max(costs[place], more)
    analyse(words, costs, program.records)
    return Prices(costs, dearest)


def remembers(program: Program) -> bool:
    """Whether a program has anything to remember."""
    kinds = ((ARRAY_OPEN, ARRAY_DISTINCT), (ITEMS_OPEN, ITEMS_DISTINCT), (OBJECT_OPEN, OBJECT_REMEMBERS))
    return any(_distinct_records(program, operation, word) for operation, word in kinds)


def _unknown(program: Program, byte_costs: _Costs) -> _Costs:
    """K before its analysis."""
    costs = np.full(len(program.words) + 256, NEVER, dtype=np.int32)
    costs[-256:] = byte_costs
    return with_string_costs(program, costs)


def _distinct_records(program: Program, operation: int, word: int) -> list[int]:
    records = program.records[program.words[program.records] == operation]
    return [int(pc) for pc in records if program.words[pc + word]]


def _places(program: Program) -> list[tuple[int, int, int]]:
    """Words of K to fill in: each with the record of a value or name and its rank."""
    words = program.words.tolist()
    places: list[tuple[int, int, int]] = []
    for pc in _distinct_records(program, ARRAY_OPEN, ARRAY_DISTINCT):
        table = words[pc + ARRAY_DEARER]
        items = words[pc + ARRAY_PREFIX : pc + ARRAY_PREFIX + words[pc + ARRAY_PREFIX_COUNT]]
        for index in range(words[pc + ARRAY_MINIMUM] if table else 0):
            item = items[index] if index < len(items) else words[pc + ARRAY_REST]
            places.append((table + index, item, index + 1))
        if not table:  # nothing depends on it but the dearest price
            places += [(pc + ARRAY_DISTINCT, item, 1) for item in {*items, words[pc + ARRAY_REST]} if item]
    for pc in _distinct_records(program, ITEMS_OPEN, ITEMS_DISTINCT):
        states = words[pc + ITEMS_STATES : words[pc + ITEMS_STATES]]
        for state in states:
            at = state + 1
            while words[at]:
                places.append((pc + ITEMS_DISTINCT, words[at], len(states)))
                at += 2
    for pc in _distinct_records(program, OBJECT_OPEN, OBJECT_REMEMBERS):
        rank = words[pc + OBJECT_MINIMUM] + words[pc + OBJECT_WITNESSES] + words[pc + OBJECT_COUNT] + 64
        for choice in range(words[pc + OBJECT_CHOICE_COUNT]):
            at = words[pc + OBJECT_CHOICES] + CHOICE_WORDS * choice
            places.append((at + CHOICE_WORDS - 1, words[at], rank))
    return places


class _Ranks:
    """How much more the value of a rank costs than the cheapest, by records of a program."""

    def __init__(self, words: npt.NDArray[np.int32], costs: _Costs) -> None:
        self._words: list[int] = words.tolist()
        self._costs: list[int] = costs.tolist()
        self._around: set[int] = set()

    def of(self, pc: int, rank: int) -> int:
        return self.name(pc, rank) if self._words[pc] == STRING else self.value(pc, rank)

    def name(self, pc: int, rank: int) -> int:
        """Of the texts of a STRING record."""
        minimum, maximum, block = self._words[pc + 1 : pc + 4]
        if block:
            return self._texts(block, rank, minimum, maximum)
        # 92 characters of one byte; and where there may be no more of them, others of up to four.
        length, texts = minimum, 92 ** min(minimum, 4)
        while texts < rank:
            length += 1
            texts += 92 ** min(length, 4)
        return length - minimum if maximum < 0 or length <= maximum else maximum - minimum + 4

    def value(self, pc: int, rank: int) -> int:
        """Of the values of a VALUE record. A value inside itself is no cheaper, so it is left out."""
        if rank <= 1:
            return 0
        if pc in self._around:
            return NEVER
        self._around.add(pc)
        best = NEVER
        for alternative in self._words[pc + 2 : pc + 2 + self._words[pc + 1]]:
            first = self._costs[alternative] + (self._words[alternative] != LEXEME) - self._costs[pc]
            best = min(best, first + self._alternative(alternative, rank))
        self._around.remove(pc)
        return best

    def _alternative(self, pc: int, rank: int) -> int:
        operation = self._words[pc]
        if operation == LEXEME:
            return self._spellings(self._words[pc + 1], rank + 1)  # -0 is 0
        if operation == STRING:
            return self.name(pc, rank)
        if operation == ARRAY_OPEN:
            return self._array(pc, rank)
        if operation == OBJECT_OPEN:
            return self._object(pc, rank)
        return NEVER

    def _array(self, pc: int, rank: int) -> int:
        """By the first item that there is or may be, or by one more and one more of them."""
        words = self._words
        item = words[pc + ARRAY_PREFIX] if words[pc + ARRAY_PREFIX_COUNT] else words[pc + ARRAY_REST]
        if not item or words[pc + ARRAY_MAXIMUM] == 0:
            return NEVER
        best = self.value(item, rank) + (0 if words[pc + ARRAY_MINIMUM] else self._costs[item])
        if words[pc + ARRAY_REST] and words[pc + ARRAY_MAXIMUM] < 0:
            further = [*words[pc + ARRAY_PREFIX : pc + ARRAY_PREFIX + words[pc + ARRAY_PREFIX_COUNT]]]
            each = max(self._costs[node] for node in [*further, words[pc + ARRAY_REST]])
            best = min(best, rank * (1 + each))
        return best

    def _object(self, pc: int, rank: int) -> int:
        """By one property that there is or may be, declared or not; else by all of them."""
        words, costs = self._words, self._costs
        best, total = NEVER, 0
        for at in range(pc + OBJECT_PROPERTIES, pc + OBJECT_PROPERTIES + 2 * words[pc + OBJECT_COUNT], 2):
            if words[at]:
                each = 0 if words[at + 1] else 1 + costs[at] + costs[words[at]]
                best = min(best, each + self.value(words[at], rank))
                total += each + min(DEAREST_PART, self.value(words[at], MANY_USED))
        if words[pc + OBJECT_ADDITIONAL]:
            length = 1
            while 92**length < rank + words[pc + OBJECT_COUNT]:
                length += 1
            best = min(best, length + 4 + costs[words[pc + OBJECT_ADDITIONAL]])
        for choice in range(words[pc + OBJECT_CHOICE_COUNT]):
            at = words[pc + OBJECT_CHOICES] + CHOICE_WORDS * choice
            more = self.name(words[at], rank + words[pc + OBJECT_COUNT])
            best = min(best, 1 + costs[at] + costs[words[at + 1]] + more)
        return min(best, total)

    def _texts(self, block: int, rank: int, minimum: int, maximum: int) -> int:
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

        return self._ranked(block, rank, following, lambda begun: begun >= minimum)

    def _spellings(self, block: int, rank: int) -> int:
        """Of numbers and literals, one spelling of each."""
        classes = self._classes(block)

        def following(column: int, part: int) -> Iterator[tuple[int, int, int]]:
            for byte in classes[column]:
                after = _part_after(part, byte)
                if after is not None:
                    yield 1, after, 1

        return self._ranked(block, rank, following, lambda part: part != _ZEROS)

    def _classes(self, block: int) -> list[list[int]]:
        """The bytes of each class of an automaton."""
        words = self._words
        members = block + words[block + AUTOMATON_CLASS_BYTES]
        ends = words[block + words[block + AUTOMATON_CLASS_START] : members]
        return [words[members + begin : members + end] for begin, end in pairwise(ends)]

    def _ranked(
        self,
        block: int,
        rank: int,
        following: Callable[[int, int], Iterator[tuple[int, int, int]]],
        may_end: Callable[[int], bool],
    ) -> int:
        """How much more the text of a rank costs than the cheapest: texts are counted by cost, the cheapest first.

        Beside an automaton's state something else is followed from 0 on: what it becomes with the bytes of a class
        (their cost, it, and how many bytes), and where a text may end.
        """
        words = self._words
        width, rows = words[block + AUTOMATON_CLASSES] + 1, block + words[block + AUTOMATON_ROWS]
        levels: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        levels[0][0, 0] = 1
        cheapest = dearest = -1
        found = cost = 0
        while levels and found < rank and cost < LONGEST:
            for (state, beside), count in levels.pop(cost, Counter()).items():
                row = rows + state * width
                if words[row] & ACCEPTING and may_end(beside):
                    found += count
                    cheapest = cost if cheapest < 0 else cheapest
                    dearest = cost
                for column in range(width - 1):
                    if words[row + 1 + column] >= 0:
                        for each, after, number in following(column, beside):
                            place = words[row + 1 + column], after
                            levels[cost + each][place] = min(rank, levels[cost + each][place] + count * number)
            cost += 1
        return max(0, dearest - cheapest)


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
