"""Which nodes have values at all, and what is left of a schema when the others are gone."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import cast

from tokamask.grammar.json_schema.cardinality import can_differ, most_used, value_counts
from tokamask.grammar.json_schema.demands import Concern
from tokamask.grammar.json_schema.expansion import Alternative, Expansion
from tokamask.grammar.json_schema.outlines import LEAVES, ArrayOutline, Branch, ItemsOutline, ObjectOutline
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.shapes import (
    ArrayShape,
    ItemsShape,
    ItemState,
    NameClass,
    ObjectShape,
    Property,
    Shape,
    Witness,
)


def productive_nodes(expansion: Expansion) -> bytearray:
    """One flag for each node: 1 if some alternative has values for all children it needs, and enough of the others.

    The least fixpoint, so a schema that requires itself is unproductive. Needs are counted, which makes it linear:
    Dowling and Gallier, "Linear-time algorithms for testing the satisfiability of propositional Horn formulae" (1984).
    Alternatives that also have offers, counted objects and automata over items, are asked again when one is settled.
    """
    alternatives = expansion.alternatives
    productive = bytearray(len(alternatives))
    waiting: dict[int, list[tuple[int, list[int], Branch]]] = defaultdict(list)
    offered: dict[int, list[tuple[int, list[int], Branch]]] = defaultdict(list)
    settled: deque[int] = deque()
    # Children have greater numbers than their parents, but for those that were there before: few have to wait.
    for number in range(len(alternatives) - 1, -1, -1):
        for outline, _ in alternatives[number] or ():  # nobody needs what is not expanded
            if isinstance(outline, LEAVES):
                productive[number] = 1
                break
            needs = {child for child in outline.needs() if not productive[child]}
            if not needs and outline.is_enough(productive):
                productive[number] = 1
                break
            missing = [len(needs)]
            for child in needs:
                waiting[child].append((number, missing, outline))
            for child in set(outline.offers()):
                if not productive[child]:
                    offered[child].append((number, missing, outline))
        if productive[number] and (number in waiting or number in offered):
            settled.append(number)
    while settled:
        child = settled.popleft()
        freed = waiting.pop(child, [])
        for _, missing, _ in freed:
            missing[0] -= 1
        for number, missing, outline in freed + offered.pop(child, []):
            if not missing[0] and not productive[number] and outline.is_enough(productive):
                productive[number] = 1
                settled.append(number)
    return productive


class Remains:
    """The nodes reachable from a productive root through productive alternatives, renumbered with the root as 0.

    Nodes of scalars that are spelled alike become one: half of an ordinary schema is `{"type": "string"}`.

    Attributes:
        nodes: their shapes.
        concerns: what was assumed for one of them, each once, in the order of the nodes.
    """

    def __init__(self, expansion: Expansion, productive: bytearray, root: int) -> None:
        # What can be reached from the root is expanded.
        self._alternatives = cast("list[tuple[Alternative, ...]]", expansion.alternatives)
        self._productive = productive
        self._all_are_productive = all(productive)
        self._leaves: dict[tuple[Alternative, ...], int] = {}
        self._numbers: dict[int, int] = {}
        # The nodes by their new numbers.
        self._order: list[int] = []
        self._number(root)
        nodes: list[tuple[Shape, ...]] = []
        concerns: dict[Concern, None] = {}
        distinct: list[tuple[int, ArrayShape | ItemsShape, dict[int, int], Refusal]] = []
        for number in self._order:  # grows meanwhile
            kept = self._alternatives[number]
            if len(kept) > 1:
                kept = tuple([one for one in kept if isinstance(one.outline, LEAVES) or self._has_values(one.outline)])
            shapes: list[Shape] = []
            for outline, assumed in kept:
                if isinstance(outline, LEAVES):
                    shape: Shape = outline
                else:
                    shape = self._shape(outline)
                    if not isinstance(outline, ObjectOutline) and outline.distinct is not None:
                        assert isinstance(shape, ArrayShape | ItemsShape), "outlines of arrays become shapes of arrays"
                        distinct.append((len(nodes), shape, self._most_used(outline, shape), outline.distinct))
                shapes.append(shape)
                if assumed:
                    concerns.update(dict.fromkeys(assumed))
            nodes.append(tuple(dict.fromkeys(shapes)) if len(shapes) > 1 else tuple(shapes))
        counts = value_counts(nodes, [node for _, _, used, _ in distinct for node in used])
        for node, shape, used, refusal in distinct:
            if not can_differ(counts, used):
                concerns[refusal] = None
                # Who goes on without the keyword must not be led to where no value is left.
                nodes[node] = tuple([shape._replace(is_distinct=False) if s == shape else s for s in nodes[node]])
        self.nodes = tuple(nodes)
        self.concerns = tuple(concerns)

    def _number(self, number: int) -> int:
        """The new number of a node, that of an earlier one where both are of scalars that are spelled alike."""
        known = self._numbers.get(number)
        if known is None:
            fresh = known = len(self._order)
            alternatives = self._alternatives[number]
            for outline, _ in alternatives:
                if not isinstance(outline, LEAVES):
                    break
            else:
                known = self._leaves.setdefault(alternatives, fresh)
            if known == fresh:
                self._order.append(number)
            self._numbers[number] = known
        return known

    def _has_values(self, outline: Branch) -> bool:
        if not self._all_are_productive and not all(self._productive[child] for child in outline.needs()):
            return False
        return outline.is_enough(self._productive)

    def _shape(self, outline: Branch) -> Shape:
        match outline:
            case ArrayOutline():
                return self._array(outline)
            case ItemsOutline():
                return self._items(outline)
            case ObjectOutline():
                return self._object(outline)

    def _array(self, outline: ArrayOutline) -> ArrayShape:
        """Cut before the first position that has no value."""
        prefix, rest, maximum = outline.prefix, outline.rest, outline.maximum
        end = next((place for place, child in enumerate(prefix) if not self._productive[child]), None)
        if end is not None:
            prefix, rest, maximum = prefix[:end], None, end
        elif rest is not None and not self._productive[rest]:
            rest, maximum = None, len(prefix)
        return ArrayShape(
            tuple([self._number(child) for child in prefix]),
            None if rest is None else self._number(rest),
            outline.minimum,
            maximum,
            outline.distinct is not None,
        )

    def _items(self, outline: ItemsOutline) -> ItemsShape:
        """Only the states between the start and an end, with the items that lead there."""
        productive = self._productive
        useful = {state: number for number, state in enumerate(outline.useful(productive))}
        states = [outline.states[state] for state in useful]
        kept = [[item for item in items if item[1] in useful and productive[item[0]]] for _, items in states]
        numbers = {node: self._number(node) for node in dict.fromkeys([node for items in kept for node, _ in items])}
        return ItemsShape(
            tuple(
                [
                    ItemState(state.may_end, tuple([(numbers[node], useful[target]) for node, target in items]))
                    for state, items in zip(states, kept, strict=True)
                ]
            ),
            outline.distinct is not None,
        )

    def _object(self, outline: ObjectOutline) -> ObjectShape:
        """A property without values is forbidden: by name where other names are allowed."""
        productive, required = self._productive, outline.required
        additional = self._number_if_productive(outline.additional)
        classes = [NameClass(names.language, self._number_if_productive(names.node)) for names in outline.classes]
        is_open = additional is not None or (bool(classes) and any(names.node is not None for names in classes))
        properties = [
            Property(name.encode(), self._number(child) if productive[child] else None, name in required)
            for name, child in outline.properties.items()
            if is_open or productive[child]
        ]
        witnesses = [Witness(name_class, self._number(node)) for name_class, node in outline.witnesses]
        return ObjectShape(
            tuple(properties),
            additional,
            tuple(classes) if is_open else (),
            outline.minimum,
            outline.maximum,
            tuple(witnesses),
            outline.remembers,
        )

    def _most_used(self, outline: ArrayOutline | ItemsOutline, shape: ArrayShape | ItemsShape) -> dict[int, int]:
        """Of each node that an array of different items may need, how many of its values may be used before."""
        if isinstance(shape, ArrayShape):
            return most_used(shape)
        assert isinstance(outline, ItemsOutline), "shapes of automata come from outlines of automata"
        used = dict.fromkeys((node for state in shape.states for node, _ in state.items), 0)
        for child, most in outline.most_used.items():
            node = self._numbers.get(child)
            if node in used:
                used[node] = max(used[node], most)
        return used

    def _number_if_productive(self, child: int | None) -> int | None:
        return self._number(child) if child is not None and self._productive[child] else None
