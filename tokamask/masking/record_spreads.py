"""The spreads of records: of the values that a program describes."""

from __future__ import annotations

from collections import Counter
from functools import reduce

import numpy as np
import numpy.typing as npt

from tokamask.grammar.program import (
    ARRAY_DISTINCT,
    ARRAY_MAXIMUM,
    ARRAY_MINIMUM,
    ARRAY_OPEN,
    ARRAY_PREFIX,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
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
from tokamask.masking.spreads import MANY_USED, NOTHING, ONE, Spread, of_either, of_overlapping, of_pairs, spread_of
from tokamask.masking.text_spreads import TextSpreads

__all__ = ["RecordSpreads"]

MOST_LONGER = 256
"""How many items more than they need arrays are given, to count further ones."""

PRINTABLE = 94  # characters of one byte that stand for themselves in a string: U+0020 to U+007F but two


class RecordSpreads:
    """The spreads of a program's records, beside their costs (the array K, nothing being used)."""

    def __init__(self, words: npt.NDArray[np.int32], costs: npt.NDArray[np.int32]) -> None:
        self._words: list[int] = words.tolist()
        self._costs: list[int] = costs.tolist()
        self._texts = TextSpreads(self._words)
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
                kinds[kind] = of_overlapping(kinds[kind], spread) if kind in kinds else spread
        return reduce(of_either, kinds.values()) if kinds else NOTHING

    def _kind(self, pc: int) -> int:
        """The same number for alternatives of one kind: the operation, or the first byte of a literal."""
        words = self._words
        if words[pc] == LEXEME:
            if self._texts.after(words[pc + 1], 0, 0x6E) >= 0:
                return 0x6E
            return 0x74 if any(self._texts.after(words[pc + 1], 0, byte) >= 0 for byte in b"ft") else LEXEME
        return ARRAY_OPEN if words[pc] == ITEMS_OPEN else words[pc]

    def _alternative(self, pc: int) -> Spread:
        operation = self._words[pc]
        if operation == LEXEME:
            return self._texts.spellings(self._words[pc + 1])
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
            spread = of_pairs(spread, self._item(pc, position))
        longer, length = spread, minimum
        while spread.total < MANY_USED and (maximum < 0 or length < maximum) and self._item_node(pc, length):
            if length == minimum + MOST_LONGER:
                return Spread(spread.counts, False)
            item = self._item(pc, length)
            longer = of_pairs(longer, item).dearer((length > 0) + self._costs[self._item_node(pc, length)])
            if not longer.counts:
                return Spread(spread.counts, spread.is_whole and longer.is_whole)
            spread = of_either(spread, longer)
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
                    spread = of_pairs(spread, values)
                elif is_counted:
                    spread = Spread(spread.counts, False)
                else:
                    spread = of_pairs(spread, of_either(ONE, values.dearer(1 + costs[at] + costs[words[at]])))
        if words[pc + OBJECT_ADDITIONAL]:
            value = costs[words[pc + OBJECT_ADDITIONAL]]
            names = {length + 4 + value: PRINTABLE**length for length in range(1, 5)}
            names[5 + value] = max(0, PRINTABLE - words[pc + OBJECT_COUNT])
            spread = of_either(spread, spread_of(names, False))
        needed = words[pc + OBJECT_REQUIRED] + words[pc + OBJECT_WITNESSES]
        if words[pc + OBJECT_MAXIMUM] < 0 or words[pc + OBJECT_MAXIMUM] > needed:
            for choice in range(words[pc + OBJECT_CHOICE_COUNT]):
                at = words[pc + OBJECT_CHOICES] + CHOICE_WORDS * choice
                if not words[at + CHOICE_MEETS] and costs[at] < NEVER:
                    names_there = self.of(words[at]).dearer(1 + costs[at] + costs[words[at + 1]])
                    spread = of_either(spread, Spread(names_there.counts, False))
        return Spread(spread.counts, spread.is_whole and not words[pc + OBJECT_CHOICE_COUNT])

    def _texts_of(self, pc: int) -> Spread:
        minimum, maximum, block = self._words[pc + 1 : pc + 4]
        if block:
            return self._texts.texts(block, minimum, maximum)
        counts: Counter[int] = Counter()
        for length in range(minimum, minimum + 4 if maximum < 0 else min(maximum, minimum + 3) + 1):
            counts[length - minimum] += PRINTABLE ** min(length, 4)
        if maximum > 0:  # and where these are too few, the other characters of up to four bytes
            counts[maximum - minimum + 4] += MANY_USED
        return spread_of(counts, maximum == 0)
