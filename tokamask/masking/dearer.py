"""What values cost that may not be the cheapest ones, because those are used.

Where n values are used, one of the n + 1 cheapest is not: the cost of the value of that rank is enough for another one.
Such prices keep `record_costs` upper bounds where items must differ or names are remembered.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokamask.grammar.program import (
    ARRAY_DEARER,
    ARRAY_DISTINCT,
    ARRAY_MINIMUM,
    ARRAY_OPEN,
    ARRAY_PREFIX,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    CHOICE_COST,
    CHOICE_WORDS,
    ITEMS_DISTINCT,
    ITEMS_OPEN,
    ITEMS_STATES,
    OBJECT_CHOICE_COUNT,
    OBJECT_CHOICES,
    OBJECT_MAXIMUM,
    OBJECT_MINIMUM,
    OBJECT_OPEN,
    OBJECT_REMEMBERS,
    OBJECT_WITNESSES,
    Program,
)
from tokamask.masking.automaton_costs import NEVER
from tokamask.masking.record_costs import analyse
from tokamask.masking.record_spreads import RecordSpreads
from tokamask.masking.spreads import MANY_USED
from tokamask.masking.string_costs import with_string_costs

_Costs = npt.NDArray[np.int32]


class Prices(NamedTuple):
    """`costs`: the array K of `record_costs`; `dearest`: how much more one value may cost where MANY_USED are used."""

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
    spreads = RecordSpreads(words, costs)
    dearer = [spreads.of(pc).price(rank) for _, pc, rank in places]
    dearest = max([spreads.of(pc).price(MANY_USED) for _, pc, _ in places])
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
        # Properties that are only counted come before there are so many of them. A witness may be the last of all.
        rank = words[pc + OBJECT_MINIMUM] + words[pc + OBJECT_WITNESSES]
        if words[pc + OBJECT_WITNESSES]:
            rank = MANY_USED if words[pc + OBJECT_MAXIMUM] < 0 else min(MANY_USED, words[pc + OBJECT_MAXIMUM])
        for choice in range(words[pc + OBJECT_CHOICE_COUNT]):
            at = words[pc + OBJECT_CHOICES] + CHOICE_WORDS * choice
            places.append((at + CHOICE_COST, words[at], rank))
    return places
