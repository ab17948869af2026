"""Nodes become disjunctions of outlines, each node once, its children after it.

A node is a set of obligations. Its alternatives are the product of theirs; each becomes an outline whose children are
nodes again. There are finitely many sets, so a recursive schema ends here as a cycle of node numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.json_schema.alternatives import joint_alternatives
from tokamask.grammar.json_schema.array_outlines import ItemsForm, array_form
from tokamask.grammar.json_schema.complement import followed
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_INTEGER,
    PLAIN_INTEGER,
    ArrayDemand,
    BooleanDemand,
    Concern,
    Demand,
    Node,
    NumberDemand,
    ObjectDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.object_outlines import object_forms, without_stricter
from tokamask.grammar.json_schema.obligations import FALSE, pointer_of, rank_of
from tokamask.grammar.json_schema.outlines import (
    LEAVES,
    ArrayOutline,
    ItemsOutline,
    NameClassOutline,
    ObjectOutline,
    Outline,
    WitnessOutline,
)
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.shapes import ItemState, ScalarShape, StringShape
from tokamask.grammar.json_schema.shaping import BOOLEAN, NULL, boolean_shape, gathered, string_shape, unconfined
from tokamask.grammar.json_schema.values import Kind

MAXIMUM_OUTLINES = 200_000

# What is to blame, the likeliest first, when numbers or strings are too many to tell apart.
_NUMBER_KEYWORDS = ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const")
_STRING_KEYWORDS = ("pattern", "format", "maxLength", "minLength")

# Disjunctions of more objects than this are not searched for some that say nothing new.
MANY_FORMS = 1_000

# How far ahead a contradiction is looked for before the children of an alternative are given numbers.
FORESIGHT = 4

# Gives the spellings of the numbers that meet a demand; raises as `shaping.number_shape` does.
NumberShaping = Callable[[NumberDemand], ScalarShape | None]


class Alternative(NamedTuple):
    outline: Outline
    concerns: tuple[Concern, ...] = ()


# The demands whose alternatives are the same throughout an expansion.
_UNCONDITIONAL = frozenset(map(id, (*ANY_DEMAND.values(), ANY_INTEGER, PLAIN_INTEGER)))


@cache
def _ordinary(number_shape: NumberShaping) -> dict[int, tuple[Alternative, ...]]:
    """What scalars mostly are, by the identity of the demand: in all expansions, numbers once some have come up."""
    return {
        id(ANY_DEMAND[Kind.NULL]): (Alternative(NULL),),
        id(ANY_DEMAND[Kind.BOOLEAN]): (Alternative(BOOLEAN),),
        id(ANY_DEMAND[Kind.STRING]): (Alternative(StringShape()),),
    }


class Expansion:
    """The nodes reached from the ones asked for, by number."""

    def __init__(self, is_thorough: bool, number_shape: NumberShaping) -> None:
        """`is_thorough`: whether to look for alternatives that say nothing new, as negations make them."""
        self._is_thorough = is_thorough
        self._number_shape = number_shape
        self._ordinary = dict(_ordinary(number_shape))
        self._scalars_of: dict[Demand, tuple[Alternative, ...]] = {}
        self._most = present_budget().nodes
        self.nodes: list[Node] = []
        self._alternatives: list[tuple[Alternative, ...] | None] = []
        self._numbers: dict[Node, int] = {}
        self._foreseen: set[Node] = set()
        self._outlines = 0

    def number(self, node: Node) -> int:
        """The number of a node; a new one waits for `complete`."""
        number = self._numbers.get(node)
        if number is None:
            aimed = followed(node)
            if aimed == node:
                number = len(self.nodes)
                if number >= self._most:
                    raise self._too_many(node)
                self.nodes.append(node)
                self._alternatives.append(None)
            else:
                number = self.number(aimed)
            self._numbers[node] = number
        return number

    def _too_many(self, node: Node) -> CompileBudgetExceeded:
        return CompileBudgetExceeded(
            f"the schema unfolds into more than {self._most} nodes; simplify it or raise Budget.nodes",
            pointer=pointer_of(node),
        )

    @property
    def alternatives(self) -> list[tuple[Alternative, ...] | None]:
        """The alternatives of each node, by its number; None where it is not expanded."""
        return self._alternatives

    def complete(self) -> None:
        """Expand everything that has a number, and what comes up meanwhile."""
        for number, _ in enumerate(self.nodes):  # grows meanwhile
            self._expand(number, FORESIGHT)

    def look_into(self, numbers: Iterable[int]) -> None:
        """Expand more nodes, once `complete` is through, as far as it takes to know whether they have values.

        What their values may do without is left as it is.
        """
        seen: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number not in seen:
                seen.add(number)
                for outline, _ in self._expand(number, FORESIGHT):
                    if not isinstance(outline, LEAVES):
                        waiting += outline.needs()
                        waiting += outline.offers()

    def _expand(self, number: int, foresight: int) -> tuple[Alternative, ...]:
        known = self._alternatives[number]
        if known is not None:
            return known
        check_time()
        result = self._outlined(self.nodes[number], foresight)
        self._alternatives[number] = result
        self._outlines += len(result)
        if self._outlines > MAXIMUM_OUTLINES:
            raise CompileBudgetExceeded(
                f"the schema unfolds into more than {MAXIMUM_OUTLINES} alternatives",
                pointer=pointer_of(self.nodes[number]),
            )
        return result

    def _outlined(self, node: Node, foresight: int) -> tuple[Alternative, ...]:
        """The alternatives of a node that do not contradict themselves."""
        result: tuple[Alternative, ...] = ()
        for kind, demands in joint_alternatives(node).items():
            known = self._ordinary.get(id(demands[0])) if len(demands) == 1 else None
            result += self._meeting(kind, demands, node, foresight) if known is None else known
        return result

    def _meeting(self, kind: Kind, demands: tuple[Demand, ...], node: Node, foresight: int) -> tuple[Alternative, ...]:
        """The alternatives of a node on one kind of values."""
        if kind is Kind.OBJECT:
            result = self._objects(demands, node, foresight)
        else:
            result = [found for demand in gathered(demands) for found in self._of_kind(demand, node, foresight)]
        alternatives = tuple(result)
        if len(demands) == 1 and id(demands[0]) in _UNCONDITIONAL and not alternatives[0].concerns:
            self._ordinary[id(demands[0])] = alternatives
            if kind is Kind.NUMBER:
                _ordinary(self._number_shape)[id(demands[0])] = alternatives
        return alternatives

    def _of_kind(self, demand: Demand, node: Node, foresight: int) -> tuple[Alternative, ...]:
        """The alternatives of a demand of a node, not on objects."""
        check_time()
        match demand:
            case StringDemand() | NumberDemand():
                return self._scalars(demand, node)
            case ArrayDemand():
                return self._arrays(demand, foresight)
            case BooleanDemand():
                shape = boolean_shape(demand)
                return () if shape is None else (Alternative(shape, demand.concerns),)
            case _:
                return (Alternative(NULL, demand.concerns),)

    def _scalars(self, demand: NumberDemand | StringDemand, node: Node) -> tuple[Alternative, ...]:
        """The shape of numbers or strings; where it cannot be told exactly, a concern, as it may not matter."""
        known = self._scalars_of.get(demand)
        if known is None:
            try:
                shape = self._number_shape(demand) if isinstance(demand, NumberDemand) else string_shape(demand)
            except (UnsupportedFeature, CompileBudgetExceeded) as error:
                refusal = _refusal(demand, node, error.message)
                return (Alternative(unconfined(demand), (*demand.concerns, refusal)),)
            known = () if shape is None else (Alternative(shape, demand.concerns),)
            self._scalars_of[demand] = known
        return known

    def _arrays(self, demand: ArrayDemand, foresight: int) -> tuple[Alternative, ...]:
        form = array_form(demand)
        if isinstance(form, ItemsForm):
            # Of thousands of states, few ask for items that no other one asks for.
            asked = dict.fromkeys([item for state in form.states for item, _ in state.items])
            numbers = {item: self.number(item) for item in asked}
            states = [
                ItemState(may_end, tuple([(numbers[item], target) for item, target in items]))
                for may_end, items in form.states
            ]
            most_used: dict[int, int] = {}
            for item, most in form.most_used.items():
                most_used[numbers[item]] = max(most, most_used.get(numbers[item], 0))
            return (Alternative(ItemsOutline(tuple(states), form.distinct, most_used), form.concerns),)
        if form is None or self._foresees_nothing(form.prefix[: form.minimum], foresight):
            return ()
        prefix = tuple([self.number(item) for item in form.prefix])
        rest = None if form.rest is None else self.number(form.rest)
        outline = ArrayOutline(prefix, rest, form.minimum, form.maximum, form.distinct)
        return (Alternative(outline, form.concerns),)

    def _objects(self, demands: Sequence[Demand], node: Node, foresight: int) -> list[Alternative]:
        try:
            forms = [form for demand in demands if isinstance(demand, ObjectDemand) for form in object_forms(demand)]
        except CompileBudgetExceeded as error:
            raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_of(node)) from None
        if self._is_thorough and 1 < len(forms) < MANY_FORMS:
            forms = without_stricter(forms)
        result: list[Alternative] = []
        for form in forms:
            check_time()
            properties, required = form.properties, form.required
            needed = [properties[name] for name in properties if name in required] if required else []
            if self._foresees_nothing(needed, foresight):
                continue
            numbers = {name: self.number(value) for name, value in properties.items()}
            additional = self._number_if_possible(form.additional)
            classes = [NameClassOutline(rule.language, self._number_if_possible(rule.node)) for rule in form.rules]
            witnesses = [WitnessOutline(place, self.number(value)) for place, value in form.witnesses]
            counts = form.minimum, form.maximum
            outline = ObjectOutline(
                numbers, required, additional, tuple(classes), *counts, tuple(witnesses), form.remembers
            )
            result.append(Alternative(outline, form.concerns))
        return result

    def _number_if_possible(self, node: Node) -> int | None:
        return None if FALSE in node else self.number(node)

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


def _refusal(demand: NumberDemand | StringDemand, node: Node, reason: str) -> Refusal:
    """What cannot be told exactly, at the keyword that is likely to be to blame."""
    keywords = _NUMBER_KEYWORDS if isinstance(demand, NumberDemand) else _STRING_KEYWORDS
    pointer, keyword = next(
        (
            (f"{obligation.pointer}/{keyword}", keyword)
            for keyword in keywords
            for obligation in sorted(node, key=rank_of)
            if obligation.has_keyword(keyword)
        ),
        (pointer_of(node), keywords[0]),
    )
    return Refusal(pointer, keyword, reason)
