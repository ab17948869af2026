"""Arrays and objects before it is known which of their children have values: shapes with children by node number.

Scalars and strings are final already, so their outlines are their shapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.shapes import ItemState, ScalarShape, StringShape
from tokamask.grammar.language import Language
from tokamask.grammar.text_counts import MANY, number_of_texts


class ArrayOutline(NamedTuple):
    """`rest` None: no items after the prefix. minimum <= maximum when given.

    `distinct`: items must differ; what to say where they have too few values for that.
    """

    prefix: tuple[int, ...]
    rest: int | None
    minimum: int
    maximum: int | None
    distinct: Refusal | None = None

    def needs(self) -> Iterable[int]:
        """The children without which no value of this outline exists."""
        needed = self.prefix[: self.minimum]
        if self.rest is not None and self.minimum > len(self.prefix):
            return (*needed, self.rest)
        return needed

    def offers(self) -> Iterable[int]:
        """The children of which some, but not all, must have values besides."""
        return ()

    def is_enough(self, productive: Sequence[int]) -> bool:
        """Whether, beside `needs`, enough of what is offered has values."""
        return True


class ItemsOutline(NamedTuple):
    """An array as an automaton over its items, from state 0; `distinct` as above.

    `most_used`, where items must differ: of each child, how many of its values may be used before.
    """

    states: tuple[ItemState, ...]
    distinct: Refusal | None = None
    most_used: Mapping[int, int] = {}

    def needs(self) -> Iterable[int]:
        return ()

    def offers(self) -> Iterable[int]:
        return [node for state in self.states for node, _ in state.items]

    def is_enough(self, productive: Sequence[int]) -> bool:
        """Whether an end is reached from the start over items that have values."""
        reached = [0]
        known = {0}
        for number in reached:  # grows meanwhile
            may_end, items = self.states[number]
            if may_end:
                return True
            for node, target in items:
                if productive[node] and target not in known:
                    known.add(target)
                    reached.append(target)
        return False

    def useful(self, productive: Sequence[int]) -> list[int]:
        """The states on the way from the start to an end over items that have values, the start first."""
        sources: dict[int, list[int]] = defaultdict(list)
        for number, state in enumerate(self.states):
            for node, target in state.items:
                if productive[node]:
                    sources[target].append(number)
        ending = {number for number, state in enumerate(self.states) if state.may_end}
        waiting = list(ending)
        while waiting:
            for source in sources[waiting.pop()]:
                if source not in ending:
                    ending.add(source)
                    waiting.append(source)
        if 0 not in ending:
            return []
        reached = [0]
        known = {0}
        for number in reached:  # grows meanwhile
            for node, target in self.states[number].items:
                if productive[node] and target in ending and target not in known:
                    known.add(target)
                    reached.append(target)
        return reached


class NameClassOutline(NamedTuple):
    """Names of a language and the node of their values (None: none)."""

    language: Language
    node: int | None


class WitnessOutline(NamedTuple):
    """A property of a class of names, by its index (their number: of no class), with a value of `node`."""

    name_class: int
    node: int


class ObjectOutline(NamedTuple):
    """Names in order with the number of their values, the required ones among them, and the other names."""

    properties: dict[str, int]
    required: frozenset[str]
    additional: int | None
    classes: tuple[NameClassOutline, ...] = ()
    minimum: int = 0
    maximum: int | None = None
    witnesses: tuple[WitnessOutline, ...] = ()
    remembers: bool = False

    def needs(self) -> Iterable[int]:
        needed = [self.properties[name] for name in self.properties if name in self.required]
        return needed + [witness.node for witness in self.witnesses] if self.witnesses else needed

    def offers(self) -> Iterable[int]:
        if not self.minimum:
            return ()
        others = [names.node for names in self.classes if names.node is not None]
        return [*self.properties.values(), *others, *(() if self.additional is None else (self.additional,))]

    def is_enough(self, productive: Sequence[int]) -> bool:
        """Whether there are as many names as properties are asked for."""
        if not self.minimum or (self.additional is not None and productive[self.additional]):
            return True
        names = sum(productive[node] for node in self.properties.values())
        for language, node in self.classes:
            if node is not None and productive[node]:
                texts = number_of_texts(language)
                if texts == MANY:
                    return True
                names += texts - sum(language.matches(name.encode()) for name in self.properties)
        return names >= self.minimum


Branch = ArrayOutline | ItemsOutline | ObjectOutline
Outline = ScalarShape | StringShape | Branch
# The outlines without children.
LEAVES = (ScalarShape, StringShape)
