"""Nodes become disjunctions of outlines, each node once, its children after it.

A node is a set of obligations. Its alternatives are the product of theirs; each becomes an outline whose children are
nodes again. There are finitely many sets, so a recursive schema ends here as a cycle of node numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.json_schema.array_outlines import ItemsForm, array_form
from tokamask.grammar.json_schema.complement import followed
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ArrayDemand,
    BooleanDemand,
    Concern,
    Demand,
    Exclusivity,
    Node,
    NumberDemand,
    ObjectDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.merging import joint_alternatives
from tokamask.grammar.json_schema.object_outlines import object_forms, without_stricter
from tokamask.grammar.json_schema.obligations import FALSE, pointer_of, rank_of
from tokamask.grammar.json_schema.outlines import (
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


# What the scalars that are spelled the same way under all options mostly are, by the identity of the demand.
_ORDINARY: Mapping[int, Alternative] = {
    id(ANY_DEMAND[Kind.NULL]): Alternative(NULL),
    id(ANY_DEMAND[Kind.BOOLEAN]): Alternative(BOOLEAN),
    id(ANY_DEMAND[Kind.STRING]): Alternative(StringShape()),
}


def pairs_of(concern: Concern) -> Sequence[Node]:
    """The nodes that must turn out to be empty for a concern to be settled."""
    return [pair for _, pair in concern.pairs] if isinstance(concern, Exclusivity) else ()


class Expansion:
    """The nodes reached from the ones asked for, by number."""

    def __init__(self, is_thorough: bool, number_shape: NumberShaping) -> None:
        """`is_thorough`: whether to look for alternatives that say nothing new, as negations make them."""
        self._is_thorough = is_thorough
        self._number_shape = number_shape
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
            number = self._numbers[node] = self._added(node) if aimed == node else self.number(aimed)
        return number

    def _added(self, node: Node) -> int:
        number = len(self.nodes)
        most = present_budget().nodes
        if number >= most:
            raise CompileBudgetExceeded(
                f"the schema unfolds into more than {most} nodes; simplify it or raise Budget.nodes",
                pointer=pointer_of(node),
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
        check_time()
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
                for pair in pairs_of(concern):
                    self.number(pair)
        return result

    def _outlined(self, node: Node, foresight: int) -> list[Alternative]:
        """The alternatives of a node that do not contradict themselves."""
        result: list[Alternative] = []
        for kind, demands in joint_alternatives(node).items():
            if len(demands) == 1 and id(demands[0]) in _ORDINARY:
                result.append(_ORDINARY[id(demands[0])])
            elif kind is Kind.OBJECT:
                result += self._objects(demands, node, foresight)
            else:
                for demand in gathered(demands):
                    result += self._of_kind(demand, node, foresight)
        return result

    def _of_kind(self, demand: Demand, node: Node, foresight: int) -> Iterable[Alternative]:
        """The alternatives of a demand of a node, not on objects."""
        match demand:
            case StringDemand() | NumberDemand():
                return _scalar(demand, node, self._number_shape)
            case ArrayDemand():
                return self._arrays(demand, foresight)
            case BooleanDemand():
                shape = boolean_shape(demand)
                return () if shape is None else (Alternative(shape, demand.concerns),)
            case _:
                return (Alternative(NULL, demand.concerns),)

    def _arrays(self, demand: ArrayDemand, foresight: int) -> tuple[Alternative, ...]:
        form = array_form(demand)
        if isinstance(form, ItemsForm):
            states = [
                ItemState(state.may_end, tuple([(self.number(item), target) for item, target in state.items]))
                for state in form.states
            ]
            return (Alternative(ItemsOutline(tuple(states), form.distinct), form.concerns),)
        if form is None or self._foresees_nothing(form.prefix[: form.minimum], foresight):
            return ()
        prefix = tuple([self.number(item) for item in form.prefix])
        rest = None if form.rest is None else self.number(form.rest)
        outline = ArrayOutline(prefix, rest, form.minimum, form.maximum, form.distinct)
        return (Alternative(outline, form.concerns),)

    def _objects(self, demands: Sequence[Demand], node: Node, foresight: int) -> Iterator[Alternative]:
        try:
            forms = [form for demand in demands if isinstance(demand, ObjectDemand) for form in object_forms(demand)]
        except CompileBudgetExceeded as error:
            raise CompileBudgetExceeded(error.message, pointer=error.pointer or pointer_of(node)) from None
        if self._is_thorough and 1 < len(forms) < MANY_FORMS:
            forms = without_stricter(forms)
        for form in forms:
            properties, required = form.properties, form.required
            needed = [properties[name] for name in properties if name in required] if required else []
            if self._foresees_nothing(needed, foresight):
                continue
            outline = ObjectOutline(
                {name: self.number(value) for name, value in properties.items()},
                required,
                self._number_if_possible(form.additional),
                tuple([NameClassOutline(rule.language, self._number_if_possible(rule.node)) for rule in form.rules]),
                form.minimum,
                form.maximum,
                tuple([WitnessOutline(place, self.number(value)) for place, value in form.witnesses]),
                form.remembers,
            )
            yield Alternative(outline, form.concerns)

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


def _scalar(demand: NumberDemand | StringDemand, node: Node, number_shape: NumberShaping) -> tuple[Alternative, ...]:
    """The shape of numbers or strings; what cannot be told exactly is a concern, not an error, as it may not matter."""
    try:
        shape = number_shape(demand) if isinstance(demand, NumberDemand) else string_shape(demand)
    except (UnsupportedFeature, CompileBudgetExceeded) as error:
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
        refusal = Refusal(pointer, keyword, error.message)
        return (Alternative(unconfined(demand), (*demand.concerns, refusal)),)
    return () if shape is None else (Alternative(shape, demand.concerns),)
