"""The spreads of the texts of automata: of what may stand inside a string, of the spellings of numbers and literals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from tokamask.grammar.program import (
    ACCEPTING,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_OF,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
)
from tokamask.masking.spreads import FURTHEST, MANY_USED, Spread, spread_of

__all__ = ["TextSpreads"]

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


class TextSpreads:
    """The spreads of a program's automata, each given by the address of its block."""

    def __init__(self, words: list[int]) -> None:
        self._words = words

    def texts(self, block: int, minimum: int, maximum: int) -> Spread:
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

    def spellings(self, block: int) -> Spread:
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
            state = self.after(block, state, byte)
            if state < 0:
                return False
        return bool(self._words[self._row(block, state)] & ACCEPTING)

    def after(self, block: int, state: int, byte: int) -> int:
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
        return spread_of(counts, not levels)
