"""From a demand on arrays to its items: by position where that is enough, else as an automaton over them.

The automaton's states hold what matters of the items so far: how many there are, how many of them were counted, which
of finitely many values were used. Where values are many, the used ones are remembered while reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import ceil, floor
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.json_schema.complement import complement
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    ArrayDemand,
    BooleanDemand,
    Concern,
    ItemCount,
    Node,
    NullDemand,
    NumberDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.known import scalar
from tokamask.grammar.json_schema.merging import joint_alternatives, smaller
from tokamask.grammar.json_schema.obligations import FALSE, is_plainly_empty, pointer_of
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.shaping import allows, string_shape
from tokamask.grammar.language import texts_of
from tokamask.grammar.text_lengths import with_length

# States of one automaton over items.
MAXIMUM_ITEM_STATES = 4_096
# Values whose use is followed; 2 ** MOST_VALUES sets of them are.
MOST_VALUES = 10


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
    """An array as an automaton over its items, from state 0; `distinct` as above."""

    states: tuple[FormState, ...]
    concerns: tuple[Concern, ...]
    distinct: Refusal | None = None


def array_form(demand: ArrayDemand) -> ArrayForm | ItemsForm | None:
    """What a demand on arrays asks of the items; None where it plainly contradicts itself."""
    settled = _settled(demand)
    if settled is None:
        return None
    if not settled.counts and settled.distinct is None and settled.repeated is None:
        return _plain(settled)
    values: list[Node] = []
    distinct: Refusal | None = None
    if settled.distinct is not None or settled.repeated is not None:
        listed = _listed_items(settled)
        if listed is not None:
            values = listed
        elif settled.repeated is not None:
            return _unenforced(settled, "that two items are equal is not enforced unless their values are few")
        else:
            distinct = Refusal(settled.distinct or "", "uniqueItems", "there may be too few different values")
            if not settled.counts:
                return _plain(settled)._replace(distinct=distinct)
    try:
        return ItemsForm(_Automaton(settled, values).states(), settled.concerns, distinct)
    except CompileBudgetExceeded as error:
        return _unenforced(settled, error.message)


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


# Equal items ---------------------------------------------------------------------------------------------------------


def _listed_items(demand: ArrayDemand) -> list[Node] | None:
    """The nodes of all values that items can have; None where those are not a few scalars."""
    items = demand.prefix if FALSE in demand.rest else (*demand.prefix, demand.rest)
    values: dict[Node, None] = {}
    for node in dict.fromkeys(items):
        listed = _listed(node)
        if listed is None:
            return None
        values.update(dict.fromkeys(listed))
        if len(values) > MOST_VALUES:
            return None
    return list(values)


def _listed(node: Node) -> list[Node] | None:
    """The nodes of all values of a node; None where those are not a few scalars."""
    place = pointer_of(node)
    values: list[Node] = []
    for kind, demands in joint_alternatives(node).items():
        for demand in demands:
            if demand.concerns:
                return None
            match demand:
                case NullDemand():
                    values.append(scalar(kind, None, place))
                case BooleanDemand():
                    values += [scalar(kind, value, place) for value in sorted(demand.values)]
                case NumberDemand():
                    numbers = _few_numbers(demand)
                    if numbers is None:
                        return None
                    values += [scalar(kind, number, place) for number in numbers]
                case StringDemand():
                    texts = _few_texts(demand)
                    if texts is None:
                        return None
                    values += [scalar(kind, text, place) for text in texts]
                case _:
                    return None
    return values


def _few_numbers(demand: NumberDemand) -> list[Fraction] | None:
    if demand.values is not None:
        numbers = sorted(demand.values)
    elif demand.integral and demand.lower is not None and demand.upper is not None:
        if demand.upper - demand.lower > MOST_VALUES:
            return None
        numbers = [Fraction(number) for number in range(floor(demand.lower), ceil(demand.upper) + 1)]
    else:
        return None
    allowed = [number for number in numbers if allows(demand, number)]
    return allowed if len(allowed) <= MOST_VALUES else None


def _few_texts(demand: StringDemand) -> list[str] | None:
    try:
        shape = string_shape(demand)
        if shape is None:
            return []
        if shape.language is None:
            return [""] if shape.maximum == 0 else None
        language = with_length(shape.language, shape.minimum, shape.maximum)
    except (UnsupportedFeature, CompileBudgetExceeded):
        return None
    texts = texts_of(language, MOST_VALUES)
    return None if texts is None else [text.decode() for text in texts]


# The automaton -------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A state: how many items there were, how many of each counted kind, which values, whether one came twice."""

    position: int
    counted: tuple[int, ...]
    used: int
    has_repeated: bool


class _Automaton:
    """The automaton of a demand whose items have one of `values` (empty: where that does not matter)."""

    def __init__(self, demand: ArrayDemand, values: list[Node]) -> None:
        self._demand = demand
        self._values = values
        # Positions from here on are alike.
        self._horizon = max(
            [len(demand.prefix), demand.minimum, demand.maximum or 0, *[count.start for count in demand.counts]]
        )
        # What items there may be, by what is asked of them: the same few come again at most places.
        self._joint: dict[tuple[Node, ...], Node | None] = {}

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
        here = demand.item(place.position)
        counts = [
            list(_counting(count, reached, place.position))
            for count, reached in zip(demand.counts, place.counted, strict=True)
        ]
        choices = [(tuple([node for node, _ in each]), tuple([n for _, n in each])) for each in product(*counts)]
        for value, used, has_repeated in self._uses(place):
            for asked, counted in choices:
                item = self._item(here, value, *asked)
                if item is not None:
                    yield item, _Place(position, counted, used, has_repeated)

    def _item(self, *asked: Node) -> Node | None:
        """The node of an item of which all this is asked; None if it is plainly empty."""
        if asked not in self._joint:
            item = ANYTHING.union(*asked)
            self._joint[asked] = None if is_plainly_empty(item) else item
        return self._joint[asked]

    def _uses(self, place: _Place) -> Iterator[tuple[Node, int, bool]]:
        """What the next item may be, as far as used values matter, and what is used after it."""
        if not self._values or place.has_repeated:
            yield ANYTHING, 0, place.has_repeated
            return
        for index, value in enumerate(self._values):
            if not place.used >> index & 1:
                yield value, place.used | 1 << index, False
            elif self._demand.repeated is not None and self._demand.distinct is None:
                yield value, 0, True


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
