"""Which nodes have values at all, and what is left of a schema when the others are gone."""

from __future__ import annotations

from collections import defaultdict, deque

from tokamask.grammar.json_schema.demands import Concern
from tokamask.grammar.json_schema.expansion import Alternative, Expansion
from tokamask.grammar.json_schema.shapes import ArrayShape, ObjectShape, Property, ScalarShape, Shape, StringShape
from tokamask.grammar.json_schema.shaping import ArrayOutline, ObjectOutline


def productive_nodes(expansion: Expansion) -> bytearray:
    """One flag for each node: 1 if some alternative has no child it needs, or only productive ones.

    The least fixpoint, so a schema that requires itself is unproductive. Linear, by counting what each alternative
    still waits for: Dowling and Gallier, "Linear-time algorithms for testing the satisfiability of propositional Horn
    formulae" (1984).
    """
    productive = bytearray(len(expansion.nodes))
    waiting: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    settled: deque[int] = deque()
    for number in range(len(expansion.nodes)):
        for outline, _ in expansion.expanded(number):
            needs = () if isinstance(outline, ScalarShape | StringShape) else set(outline.needs())
            if not needs:
                productive[number] = 1
                settled.append(number)
                break
            missing = [len(needs)]
            for child in needs:
                waiting[child].append((number, missing))
    while settled:
        for number, missing in waiting.pop(settled.popleft(), ()):
            missing[0] -= 1
            if not missing[0] and not productive[number]:
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
        self._expansion = expansion
        self._productive = productive
        self._leaves: dict[tuple[Alternative, ...], int] = {}
        self._numbers: dict[int, int] = {}
        self._order: list[int] = []
        self._number(root)
        nodes: list[tuple[Shape, ...]] = []
        concerns: dict[Concern, None] = {}
        for number in self._order:  # grows meanwhile
            kept = [alternative for alternative in expansion.expanded(number) if self._is_productive(alternative)]
            shapes = [self._shape(alternative) for alternative in kept]
            nodes.append(tuple(dict.fromkeys(shapes)) if len(shapes) > 1 else tuple(shapes))
            for alternative in kept:
                concerns.update(dict.fromkeys(alternative.concerns))
        self.nodes = tuple(nodes)
        self.concerns = tuple(concerns)

    def _number(self, number: int) -> int:
        known = self._numbers.get(number)
        if known is None:
            known = self._leaf(number)
            if known == len(self._order):
                self._order.append(number)
            self._numbers[number] = known
        return known

    def _leaf(self, number: int) -> int:
        """The number of a node: a new one, unless it is a node of scalars that was there before."""
        alternatives = self._expansion.expanded(number)
        if all(isinstance(outline, ScalarShape | StringShape) for outline, _ in alternatives):
            return self._leaves.setdefault(alternatives, len(self._order))
        return len(self._order)

    def _is_productive(self, alternative: Alternative) -> bool:
        outline = alternative.outline
        if isinstance(outline, ScalarShape | StringShape):
            return True
        return all(self._productive[child] for child in outline.needs())

    def _shape(self, alternative: Alternative) -> Shape:
        outline = alternative.outline
        match outline:
            case ArrayOutline():
                return self._array(outline)
            case ObjectOutline():
                return self._object(outline)
            case _:
                return outline

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
        )

    def _object(self, outline: ObjectOutline) -> ObjectShape:
        """A property without values is forbidden: by name where other names are allowed."""
        productive, required = self._productive, outline.required
        additional = outline.additional
        if additional is not None and not productive[additional]:
            additional = None
        properties = [
            Property(name.encode(), self._number(child) if productive[child] else None, name in required)
            for name, child in outline.properties.items()
            if additional is not None or productive[child]
        ]
        return ObjectShape(tuple(properties), None if additional is None else self._number(additional))
