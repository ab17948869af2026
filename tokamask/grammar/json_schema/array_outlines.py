"""From a demand on arrays to its items: by position where that is enough, else as an automaton over them.

The automaton's states hold what matters of the items so far: how many there are, how many of them were counted, which
of finitely many values were used. Where values are many, the used ones are remembered while reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import charge
from tokamask.grammar.json_schema.complement import complement
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    ArrayDemand,
    Concern,
    ItemCount,
    Node,
)
from tokamask.grammar.json_schema.followed_values import MOST_VALUES, Followed, followed_values, scarce_values
from tokamask.grammar.json_schema.merging import smaller
from tokamask.grammar.json_schema.obligations import FALSE, is_plainly_empty, pointer_of
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.text_counts import MANY

# States of one automaton over items.
MAXIMUM_ITEM_STATES = 4_096


class ArrayForm(NamedTuple):
    """Items by position; `rest` None: no later ones. minimum <= maximum when given.

    `distinct`: the values of items are remembered, for they must differ; what to say where they cannot.
    """

    prefix: tuple[Node, ...]
    rest: Node | None
    minimum: int
    maximum: int | None
    concerns: tuple[Concern, ...]
    distinct: Refusal | None = None


class FormState(NamedTuple):
    """Whether an array may end here, and which items may follow: each its node and the state after it."""

    may_end: bool
    items: tuple[tuple[Node, int], ...]


class ItemsForm(NamedTuple):
    """An array as an automaton over its items, from state 0; `distinct` as above.

    `most_used`, where items are remembered: of each item's node, how many of its values other items may have before.
    """

    states: tuple[FormState, ...]
    concerns: tuple[Concern, ...]
    distinct: Refusal | None = None
    most_used: Mapping[Node, int] = {}


def array_form(demand: ArrayDemand) -> ArrayForm | ItemsForm | None:
    """What a demand on arrays asks of the items; None where it plainly contradicts itself."""
    settled = _settled(demand)
    if settled is None:
        return None
    if settled.distinct is None and settled.repeated is None:
        return _counted(settled, Followed(), None) if settled.counts else _plain(settled)
    for followed in followed_values(settled):
        if not followed.values and settled.repeated is None:  # no items can be equal
            return array_form(settled._replace(distinct=None))
        try:
            return ItemsForm(_Automaton(settled, followed).states(), settled.concerns)
        except CompileBudgetExceeded:
            continue
    if settled.repeated is not None:
        reason = f"that two items are equal is enforced only where at most {MOST_VALUES} values may come twice"
        return _unenforced(settled, f"{reason}; list the values, or say which items there are")
    distinct = Refusal(settled.distinct or "", "uniqueItems", "there may be too few different values")
    if settled.counts or (settled.prefix and settled.minimum > 1):
        scarce = scarce_values(settled)
        if settled.counts or scarce.values:
            return _counted(settled, scarce, distinct)
    return _plain(settled)._replace(distinct=distinct)


def _counted(demand: ArrayDemand, followed: Followed, distinct: Refusal | None) -> ArrayForm | ItemsForm:
    """By an automaton that counts items, and the uses of some values; `distinct`: beside it items are remembered."""
    automaton = _Automaton(demand, followed)
    try:
        states = automaton.states()
    except CompileBudgetExceeded as error:
        return _unenforced(demand, error.message)
    return ItemsForm(states, demand.concerns, distinct, automaton.most_used)


def _plain(demand: ArrayDemand) -> ArrayForm:
    maximum = demand.maximum
    is_closed = FALSE in demand.rest or maximum == len(demand.prefix)
    return ArrayForm(demand.prefix, None if is_closed else demand.rest, demand.minimum, maximum, demand.concerns)


def _settled(demand: ArrayDemand) -> ArrayDemand | None:
    """The same demand without what it says twice; None where it contradicts itself."""
    prefix, rest, minimum, maximum = demand.prefix, demand.rest, demand.minimum, demand.maximum
    if maximum is None and FALSE not in rest and not demand.counts:
        return demand
    counts: list[ItemCount] = []
    for count in demand.counts:
        node, start, least, most = count
        if most is not None and most < least:
            return None
        if most == 0:
            absent = complement(node)
            prefix += (rest,) * (start - len(prefix))
            prefix = (*prefix[:start], *[item | absent for item in prefix[start:]])
            rest |= absent
        elif node <= rest and all(node <= item for item in prefix[start:]):
            minimum = max(minimum, start + least if least else 0)
            maximum = smaller(maximum, None if most is None else start + most)
        elif least or most is not None:
            counts.append(count)
    if FALSE in rest:
        maximum = smaller(maximum, len(prefix))
    if maximum is not None:
        if minimum > maximum:
            return None
        prefix = prefix[:maximum]
    distinct, repeated = demand.distinct, demand.repeated
    if maximum is not None and maximum < 2:
        if repeated is not None:
            return None
        distinct = None
    return demand._replace(
        prefix=prefix,
        rest=rest,
        minimum=minimum,
        maximum=maximum,
        counts=tuple(counts),
        distinct=distinct,
        repeated=repeated,
    )


def _unenforced(demand: ArrayDemand, reason: str) -> ArrayForm:
    """All arrays the items and lengths allow, with the refusal of what else is asked."""
    pointer = demand.distinct or demand.repeated
    if pointer is not None:
        refusal = Refusal(pointer, "uniqueItems", reason)
    else:
        pointer = pointer_of(demand.counts[0].node)
        refusal = Refusal(pointer, pointer.rpartition("/")[2], reason)
    return _plain(demand._replace(concerns=(*demand.concerns, refusal)))


# The automaton -------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A state: how many items there were, how many of each counted kind, which values, whether one came twice."""

    position: int
    counted: tuple[int, ...]
    used: int
    has_repeated: bool


class _Automaton:
    """The automaton of a demand that follows the use of some values.

    Attributes:
        most_used: of the node of each item, how many of its values may be used before, once `states` is through;
            `MANY` where any number may be.
    """

    def __init__(self, demand: ArrayDemand, followed: Followed) -> None:
        self.most_used: dict[Node, int] = {}
        self._demand = demand
        self._followed = followed
        # Positions from here on are alike.
        self._horizon = max(
            [len(demand.prefix), demand.minimum, demand.maximum or 0, *[count.start for count in demand.counts]]
        )
        # The same few ways to go on come again at most places.
        self._last_start = max([count.start for count in demand.counts], default=0)
        self._known_ways: dict[tuple[Node, Node, tuple[int, ...], int], list[tuple[Node, tuple[int, ...]]]] = {}

    def states(self) -> tuple[FormState, ...]:
        """Raises CompileBudgetExceeded, without a pointer, when there are too many."""
        start = _Place(0, (0,) * len(self._demand.counts), 0, False)
        numbers = {start: 0}
        places = [start]
        states: list[FormState] = []
        for place in places:  # grows meanwhile
            items: dict[tuple[Node, int], None] = {}
            for node, target in self._items(place):
                if target not in numbers:
                    numbers[target] = len(places)
                    places.append(target)
                items[node, numbers[target]] = None
            if len(places) > MAXIMUM_ITEM_STATES:
                raise CompileBudgetExceeded(f"counting items takes more than {MAXIMUM_ITEM_STATES} states")
            states.append(FormState(self._may_end(place), tuple(items)))
        return tuple(states)

    def _may_end(self, place: _Place) -> bool:
        demand = self._demand
        return (
            place.position >= demand.minimum
            and (demand.repeated is None or place.has_repeated)
            and all(reached >= count.least for reached, count in zip(place.counted, demand.counts, strict=True))
        )

    def _items(self, place: _Place) -> Iterator[tuple[Node, _Place]]:
        demand = self._demand
        if place.position == demand.maximum:
            return
        position = min(place.position + 1, self._horizon)
        before = place.position if place.position < self._horizon else MANY
        for value, used, has_repeated in self._uses(place):
            most_used = before if value == self._followed.others else 0
            for item, counted in self._ways(place, value):
                self.most_used[item] = max(most_used, self.most_used.get(item, 0))
                yield item, _Place(position, counted, used, has_repeated)

    def _ways(self, place: _Place, value: Node) -> list[tuple[Node, tuple[int, ...]]]:
        """What the next item may be, if it is also of node `value`, and what is counted after it."""
        here = self._demand.item(place.position)
        key = here, value, place.counted, min(place.position, self._last_start)
        ways = self._known_ways.get(key)
        if ways is None:
            ways = self._known_ways[key] = []
            counts = [
                list(_counting(count, reached, place.position))
                for count, reached in zip(self._demand.counts, place.counted, strict=True)
            ]
            for each in product(*counts):
                charge(len(each))
                item = here.union(value, *[node for node, _ in each])
                if not is_plainly_empty(item):
                    ways.append((item, tuple([reached for _, reached in each])))
        return ways

    def _uses(self, place: _Place) -> Iterator[tuple[Node, int, bool]]:
        """What the next item may be, as far as used values matter, and what is used after it."""
        if place.has_repeated:
            yield ANYTHING, 0, True
            return
        values, others = self._followed
        for index, value in enumerate(values):
            if not place.used >> index & 1:
                yield value, place.used | 1 << index, False
            elif self._demand.repeated is not None and self._demand.distinct is None:
                yield value, 0, True
        yield others, place.used, False


def _counting(count: ItemCount, reached: int, position: int) -> Iterator[tuple[Node, int]]:
    """What an item may be for a count that has reached so many, and what it has reached then.

    Counting too few towards the least, or too many towards the most, loses nothing: some other choice counts right.
    """
    node, start, least, most = count
    if position < start:
        yield ANYTHING, reached
    elif most is None:
        if reached < least:
            yield node, reached + 1
        yield ANYTHING, reached
    else:
        if reached < most:
            yield (node if reached < least else ANYTHING), reached + 1
        yield complement(node), reached
