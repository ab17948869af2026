"""Nodes become disjunctions of outlines, each node once, its children after it.

A node is a set of obligations. Its alternatives are the product of theirs; each becomes an outline whose children are
nodes again. There are finitely many sets, so a recursive schema ends here as a cycle of node numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.json_schema.demands import (
    ANY_VALUE,
    Alternatives,
    ArrayDemand,
    BooleanDemand,
    Concern,
    Exclusivity,
    Node,
    NullDemand,
    NumberDemand,
    ObjectDemand,
    PropertyCount,
    StringDemand,
    conjunction,
    smaller,
)
from tokamask.grammar.json_schema.obligations import FALSE, NOTHING, Obligation
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.shaping import (
    NULL,
    ArrayOutline,
    ObjectOutline,
    Outline,
    boolean_shape,
    gathered,
    number_shape,
    string_shape,
    unconfined,
)
from tokamask.grammar.json_schema.values import is_spellable

MAXIMUM_NODES = 50_000
MAXIMUM_OUTLINES = 200_000

# What is to blame, the likeliest first, when numbers or strings are too many to tell apart.
_NUMBER_KEYWORDS = ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const")
_STRING_KEYWORDS = ("pattern", "format", "maxLength", "minLength")

# How far ahead a contradiction is looked for before the children of an alternative are given numbers.
FORESIGHT = 4


class Alternative(NamedTuple):
    outline: Outline
    concerns: tuple[Concern, ...] = ()


class Expansion:
    """The nodes reached from the ones asked for, by number."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._alternatives: list[tuple[Alternative, ...] | None] = []
        self._numbers: dict[Node, int] = {}
        self._foreseen: set[Node] = set()
        self._outlines = 0

    def number(self, node: Node) -> int:
        """The number of a node; a new one waits for `complete`."""
        number = self._numbers.get(node)
        if number is None:
            aimed = self._aimed(node)
            number = self._numbers[node] = self._added(node) if aimed == node else self.number(aimed)
        return number

    @staticmethod
    def _aimed(node: Node) -> Node:
        """The same values with mere references followed and `false` alone, so that fewer nodes differ."""
        if FALSE in node:
            return NOTHING
        aims = {obligation: aim for obligation in node if (aim := obligation.aim()) is not None}
        return node.difference(aims).union(*aims.values()) if aims else node

    def _added(self, node: Node) -> int:
        number = len(self.nodes)
        if number >= MAXIMUM_NODES:
            raise CompileBudgetExceeded(
                f"the schema unfolds into more than {MAXIMUM_NODES} nodes", pointer=pointer_of(node)
            )
        self.nodes.append(node)
        self._alternatives.append(None)
        return number

    def expanded(self, number: int) -> tuple[Alternative, ...]:
        """The alternatives of a node, once `complete` is through."""
        alternatives = self._alternatives[number]
        assert alternatives is not None, "complete() expands every node"
        return alternatives

    def complete(self) -> None:
        """Expand everything that has a number, and what comes up meanwhile."""
        number = 0
        while number < len(self.nodes):
            self._expand(number, FORESIGHT)
            number += 1

    def _expand(self, number: int, foresight: int) -> tuple[Alternative, ...]:
        known = self._alternatives[number]
        if known is not None:
            return known
        result = tuple(self._outlined(self.nodes[number], foresight))
        self._alternatives[number] = result
        self._outlines += len(result)
        if self._outlines > MAXIMUM_OUTLINES:
            raise CompileBudgetExceeded(
                f"the schema unfolds into more than {MAXIMUM_OUTLINES} alternatives",
                pointer=pointer_of(self.nodes[number]),
            )
        for alternative in result:
            for concern in alternative.concerns:
                if isinstance(concern, Exclusivity):
                    for pair in concern.pairs:
                        self.number(pair)
        return result

    def _outlined(self, node: Node, foresight: int) -> Iterator[Alternative]:
        """The alternatives of a node that do not contradict themselves."""
        for demands in joint_alternatives(node).values():
            for demand in gathered(demands):
                alternative: Alternative | None
                match demand:
                    case NumberDemand() | StringDemand():
                        alternative = _scalar(demand, node)
                    case ObjectDemand():
                        alternative = self._object(demand, foresight)
                    case ArrayDemand():
                        alternative = self._array(demand, foresight)
                    case BooleanDemand():
                        shape = boolean_shape(demand)
                        alternative = None if shape is None else Alternative(shape, demand.concerns)
                    case NullDemand():
                        alternative = Alternative(NULL, demand.concerns)
                if alternative is not None:
                    yield alternative

    def _array(self, demand: ArrayDemand, foresight: int) -> Alternative | None:
        prefix, maximum = demand.prefix, demand.maximum
        is_closed = FALSE in demand.rest
        if is_closed:
            maximum = smaller(maximum, len(prefix))
        if maximum is not None:
            if demand.minimum > maximum:
                return None
            prefix = prefix[:maximum]
            is_closed = is_closed or maximum == len(prefix)
        if self._foresees_nothing(prefix[: demand.minimum], foresight):
            return None
        rest = None if is_closed else self.number(demand.rest)
        outline = ArrayOutline(tuple([self.number(item) for item in prefix]), rest, demand.minimum, maximum)
        return Alternative(outline, demand.concerns)

    def _object(self, demand: ObjectDemand, foresight: int) -> Alternative | None:
        counted = _within_counts(demand)
        if counted is None:
            return None
        properties, required, additional, concerns = counted
        if not all(map(is_spellable, properties)):
            if not all(map(is_spellable, required)):
                return None
            properties = {name: value for name, value in properties.items() if is_spellable(name)}
        if self._foresees_nothing([properties[name] for name in properties if name in required], foresight):
            return None
        outline = ObjectOutline(
            {name: self.number(value) for name, value in properties.items()},
            required,
            None if FALSE in additional else self.number(additional),
        )
        return Alternative(outline, concerns)

    def _foresees_nothing(self, needed: Sequence[Node], foresight: int) -> bool:
        """Whether one of these nodes plainly has no value. Only merged ones are looked at: those may contradict."""
        for node in needed:
            if FALSE in node:
                return True
            if len(node) > 1 and foresight and node not in self._foreseen:
                self._foreseen.add(node)
                is_empty = not self._expand(self.number(node), foresight - 1)
                self._foreseen.remove(node)
                if is_empty:
                    return True
        return False


def joint_alternatives(node: Node) -> Alternatives:
    """The values that meet every obligation of a node."""
    if len(node) == 1:
        for obligation in node:
            return obligation.alternatives()
    obligations = sorted(node, key=_serial)
    return reduce(
        lambda first, second: conjunction(first, second, obligations[0].pointer),
        [obligation.alternatives() for obligation in obligations],
        ANY_VALUE,
    )


def pointer_of(node: Node) -> str:
    """The place of the first obligation of a node."""
    return min(node, key=_serial).pointer if node else "#"


def _serial(obligation: Obligation) -> int:
    return obligation.serial


def _scalar(demand: NumberDemand | StringDemand, node: Node) -> Alternative | None:
    """The shape of numbers or strings; what cannot be told exactly is a concern, not an error, as it may not matter."""
    try:
        shape = number_shape(demand) if isinstance(demand, NumberDemand) else string_shape(demand)
    except (UnsupportedFeature, CompileBudgetExceeded) as error:
        keywords = _NUMBER_KEYWORDS if isinstance(demand, NumberDemand) else _STRING_KEYWORDS
        pointer, keyword = next(
            (
                (f"{obligation.pointer}/{keyword}", keyword)
                for keyword in keywords
                for obligation in sorted(node, key=_serial)
                if obligation.has_keyword(keyword)
            ),
            (pointer_of(node), keywords[0]),
        )
        refusal = Refusal(pointer, keyword, error.message)
        return Alternative(unconfined(demand), (*demand.concerns, refusal))
    return None if shape is None else Alternative(shape, demand.concerns)


def _within_counts(
    demand: ObjectDemand,
) -> tuple[dict[str, Node], frozenset[str], Node, tuple[Concern, ...]] | None:
    """Properties (required ones included), required names and other names once the counts are heeded.

    A count is heeded by requiring all names or allowing no more than the required ones, or it is implied anyway; any
    other count is a concern. None when it cannot be met.
    """
    required = frozenset(demand.required)
    additional, concerns = demand.additional, demand.concerns
    properties = dict(demand.properties)
    for name in demand.required:
        if name not in properties:
            properties[name] = additional
    if not demand.at_least and not demand.at_most:
        return properties, required, additional, concerns
    least = max(demand.at_least, key=_limit, default=PropertyCount("", 0))
    most = min(demand.at_most, key=_limit, default=None)
    if most is not None:
        if most.limit < max(len(required), least.limit):
            return None
        if most.limit == len(required):
            properties = {name: properties[name] for name in properties if name in required}
            additional = NOTHING
    possible = None
    if FALSE in additional:
        properties = {name: value for name, value in properties.items() if FALSE not in value}
        possible = len(properties)
    if least.limit > len(required):
        if possible is None or least.limit < possible:
            concerns += (Refusal(least.pointer, "minProperties", "properties cannot be counted yet"),)
        elif least.limit > possible:
            return None
        else:
            required = frozenset(properties)
    if most is not None and (possible is None or most.limit < possible):
        concerns += (Refusal(most.pointer, "maxProperties", "properties cannot be counted yet"),)
    return properties, required, additional, concerns


def _limit(count: PropertyCount) -> int:
    return count.limit
