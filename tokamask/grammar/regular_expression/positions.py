"""The position automaton of a syntax tree (Glushkov 1961), with conditions on the places between characters.

Each leaf of the tree is a position; the automaton is in the set of positions that the last character may have been.
Sets of positions, and of cells of the alphabet, are bitsets in Python integers. An *edge* from a position to later
ones may carry conditions (`Neighbour`, `Look`) on the place in between. Leaves are split so finely that every
`Neighbour` condition is decided when the edges are made; only `Look` conditions remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.regular_expression.alphabet import Alphabet, bits
from tokamask.grammar.regular_expression.code_points import ANY
from tokamask.grammar.regular_expression.syntax import (
    TEXT_END,
    TEXT_START,
    Alternation,
    BackReference,
    Capture,
    Characters,
    Concatenation,
    Look,
    Neighbour,
    Node,
    Repetition,
)

POSITION_BUDGET = 30_000
# Parts of the tree, repetitions written out.
PART_BUDGET = 10 * POSITION_BUDGET
# Sets of conditions that one part of an expression may begin or end with.
CONDITION_BUDGET = 500

Conditions = frozenset[Neighbour | Look]
# The positions reached under each set of conditions.
Conditional = dict[Conditions, int]
_ALWAYS: Conditions = frozenset()
_NEVER: frozenset[Conditions] = frozenset()


class Edges(NamedTuple):
    """Where the text may go on to: positions by the `Look` conditions that must hold at the place."""

    free: int
    conditional: tuple[tuple[frozenset[Look], int], ...]


@dataclass(frozen=True)
class Positions:
    """Attributes:
    by_cell: for each cell the positions that one of its characters may be.
    edges: for each position, and at the end of the list for the start of the text.
    finals: for each position, and the start: the sets of conditions under which the text may end there.
    groups: for each position the number of its group of cells, and for the start that of the character before.
    absorbing: positions that go on with any text to its end.
    """

    by_cell: list[int]
    edges: list[Edges]
    finals: list[tuple[frozenset[Look], ...]]
    groups: list[int | None]
    absorbing: int

    @property
    def start(self) -> int:
        return len(self.edges) - 1


class _Part(NamedTuple):
    """What the construction needs to know of a part: the positions it may begin and end with, and whether (under
    which conditions) it matches the empty text."""

    first: Conditional
    last: Conditional
    empty: frozenset[Conditions]


_EMPTY_PART = _Part({}, {}, frozenset((_ALWAYS,)))
_NO_PART = _Part({}, {}, _NEVER)


def whole(node: Node, alphabet: Alphabet, groups: list[int]) -> Positions:
    """All of the text is matched by `node`."""
    builder = _Builder(alphabet, groups)
    return builder.finish(builder.part(node), None, 0)


def anywhere(node: Node, alphabet: Alphabet, groups: list[int]) -> Positions:
    """Some of the text is matched by `node`."""
    builder = _Builder(alphabet, groups)
    part, absorbing = builder.followed_by_anything(builder.preceded_by_anything(builder.part(node)))
    return builder.finish(part, None, absorbing)


def beginning(node: Node, alphabet: Alphabet, groups: list[int], before: int | None) -> Positions:
    """Some beginning of the text is matched by `node`; a character of group `before` (None: none) stands in front."""
    builder = _Builder(alphabet, groups)
    part, absorbing = builder.followed_by_anything(builder.part(node))
    return builder.finish(part, before, absorbing)


def ending(node: Node, alphabet: Alphabet, groups: list[int]) -> Positions:
    """Some end of the text is matched by `node`, whatever follows the text.

    Raises:
        UnsupportedFeature: what follows matters.
    """
    builder = _Builder(alphabet, groups)
    part = builder.preceded_by_anything(builder.part(node))
    if any(not each.behind for conditions in (*part.last, *part.empty) for each in conditions):
        raise UnsupportedFeature("a lookbehind that ends with a condition on what follows ($, \\b, lookahead)")
    return builder.finish(part, None, 0)


class _Builder:
    def __init__(self, alphabet: Alphabet, groups: list[int]) -> None:
        self.alphabet = alphabet
        self.groups = groups
        self.cells: list[int] = []
        self.edges: list[Conditional] = []
        self.parts = 0

    def part(self, node: Node) -> _Part:
        self.parts += 1
        if self.parts > PART_BUDGET:
            raise _too_long()
        match node:
            case Characters(code_points):
                return self.leaf(self.alphabet.masks[code_points])
            case Concatenation(parts):
                return self.concatenation([self.part(each) for each in parts])
            case Alternation(alternatives):
                return self.alternation([self.part(each) for each in alternatives])
            case Repetition(part, minimum, maximum):
                return self.repetition(part, minimum, maximum)
            case Neighbour() | Look():
                return _Part({}, {}, frozenset((frozenset((node,)),)))
            case Capture() | BackReference():
                raise AssertionError("the reader leaves no captures")

    def leaf(self, cells: int) -> _Part:
        """One position for each group of cells that conditions may tell apart."""
        positions = 0
        for group in self.groups:
            members = cells & group
            if members:
                positions |= 1 << len(self.cells)
                self.cells.append(members)
                self.edges.append({})
        if len(self.cells) > POSITION_BUDGET:
            raise _too_long()
        if not positions:
            return _NO_PART
        places = {_ALWAYS: positions}
        return _Part(places, places, _NEVER)

    def concatenation(self, parts: list[_Part]) -> _Part:
        if not parts:
            return _EMPTY_PART
        return reduce(lambda after, before: self.pair(before, after), reversed(parts))

    def pair(self, before: _Part, after: _Part) -> _Part:
        if before is _EMPTY_PART:
            return after
        if after is _EMPTY_PART:
            return before
        self.connect(before.last, after.first)
        first, last, empty = before.first, after.last, _NEVER
        if before.empty:
            first = _merged(first, _guarded(before.empty, after.first))
        if after.empty:
            last = _merged(last, _guarded(after.empty, before.last))
        if before.empty and after.empty:
            empty = _limited(frozenset(a | b for a in before.empty for b in after.empty))
        return _Part(first, last, empty)

    def connect(self, last: Conditional, first: Conditional) -> None:
        for leaving, positions in last.items():
            for entering, targets in first.items():
                conditions = leaving | entering
                for position in bits(positions):
                    edges = self.edges[position]
                    edges[conditions] = edges.get(conditions, 0) | targets

    def alternation(self, parts: list[_Part]) -> _Part:
        return reduce(
            lambda a, b: _Part(_merged(a.first, b.first), _merged(a.last, b.last), _limited(a.empty | b.empty)),
            parts,
            _NO_PART,
        )

    def optional(self, part: _Part) -> _Part:
        return _Part(part.first, part.last, frozenset((_ALWAYS,)))

    def repetition(self, node: Node, minimum: int, maximum: int | None) -> _Part:
        """x{2,4} is xx(x(x)?)?, x{2,} is xx+: written so, each copy is connected only to the next one."""
        if maximum == 0:
            return _EMPTY_PART
        if maximum is None:
            copies = [self.part(node) for _ in range(max(minimum, 1))]
            self.connect(copies[-1].last, copies[-1].first)
            if minimum == 0:
                return self.optional(copies[0])
            return self.concatenation(copies)
        tail = _EMPTY_PART
        for _ in range(maximum - minimum):
            tail = self.optional(self.pair(self.part(node), tail))
        return self.pair(self.concatenation([self.part(node) for _ in range(minimum)]), tail)

    def anything(self) -> _Part:
        return self.repetition(Characters(ANY), 0, None)

    def preceded_by_anything(self, part: _Part) -> _Part:
        if all(TEXT_START in conditions for conditions in (*part.first, *part.empty)):
            return part
        return self.pair(self.anything(), part)

    def followed_by_anything(self, part: _Part) -> tuple[_Part, int]:
        """Also the positions of what follows."""
        if all(TEXT_END in conditions for conditions in (*part.last, *part.empty)):
            return part, 0
        tail = self.anything()
        return self.pair(part, tail), tail.first[_ALWAYS]

    def finish(self, part: _Part, before: int | None, absorbing: int) -> Positions:
        """Decide every `Neighbour`; `before` is the group of the character in front of the text (None: none)."""
        group_of = {bit: number for number, group in enumerate(self.groups) for bit in bits(group)}
        # Most characters of an expression are of a few classes.
        alike: dict[int, int] = {}
        for position, cells in enumerate(self.cells):
            alike[cells] = alike.get(cells, 0) | 1 << position
        number_of = {cells: group_of[next(bits(cells))] for cells in alike}
        groups: list[int | None] = [number_of[cells] for cells in self.cells]
        groups.append(before)
        by_cell = [0] * self.alphabet.size
        for cells, positions in alike.items():
            for cell in bits(cells):
                by_cell[cell] |= positions
        edges = [
            self.edges_at(group, conditional, by_cell)
            for group, conditional in zip(groups, [*self.edges, part.first], strict=True)
        ]
        ends: list[list[Conditions]] = [[] for _ in groups]
        ends[-1] = list(part.empty)
        for conditions, positions in part.last.items():
            for position in bits(positions):
                ends[position].append(conditions)
        finals = [
            tuple({looks for each in alternatives if (looks := self.looks_at_end(group, each)) is not None})
            if alternatives
            else ()
            for group, alternatives in zip(groups, ends, strict=True)
        ]
        return Positions(by_cell, edges, finals, groups, absorbing)

    def edges_at(self, group: int | None, conditional: Conditional, by_cell: list[int]) -> Edges:
        free = conditional.get(_ALWAYS, 0)
        if len(conditional) == (_ALWAYS in conditional):
            return Edges(free, ())
        kept: dict[frozenset[Look], int] = {}
        for conditions, positions in conditional.items():
            looks = set()
            for condition in conditions:
                if isinstance(condition, Look):
                    looks.add(condition)
                elif condition.behind:
                    if not self.holds_behind(condition, group):
                        break
                else:
                    cells = self.alphabet.masks[condition.code_points]
                    positions &= reduce(or_, (by_cell[cell] for cell in bits(cells)), 0)
            else:
                if not looks:
                    free |= positions
                elif positions:
                    kept[frozenset(looks)] = kept.get(frozenset(looks), 0) | positions
        return Edges(free, tuple(kept.items()))

    def looks_at_end(self, group: int | None, conditions: Conditions) -> frozenset[Look] | None:
        """The lookarounds that must hold at the end of the text; None where another condition does not hold."""
        looks = set()
        for condition in conditions:
            if isinstance(condition, Look):
                looks.add(condition)
            elif not (self.holds_behind(condition, group) if condition.behind else condition.at_edge):
                return None
        return frozenset(looks)

    def holds_behind(self, condition: Neighbour, group: int | None) -> bool:
        if group is None:
            return condition.at_edge
        return bool(self.groups[group] & self.alphabet.masks[condition.code_points])


def _guarded(guards: frozenset[Conditions], places: Conditional) -> Conditional:
    result: Conditional = {}
    for guard in guards:
        for conditions, positions in places.items():
            result[guard | conditions] = result.get(guard | conditions, 0) | positions
    return result


def _merged(a: Conditional, b: Conditional) -> Conditional:
    if not a or not b:
        return a or b
    result = dict(a)
    for conditions, positions in b.items():
        result[conditions] = result.get(conditions, 0) | positions
    if len(result) > CONDITION_BUDGET:
        raise _too_many_conditions()
    return result


def _limited(alternatives: frozenset[Conditions]) -> frozenset[Conditions]:
    """Without those that ask for more than another one does."""
    if len(alternatives) > CONDITION_BUDGET:
        raise _too_many_conditions()
    if len(alternatives) > 1:
        return frozenset(each for each in alternatives if not any(other < each for other in alternatives))
    return alternatives


def _too_long() -> CompileBudgetExceeded:
    return CompileBudgetExceeded(
        f"the expression has more than {POSITION_BUDGET} characters once its repetitions are written out; "
        "use smaller repetition counts"
    )


def _too_many_conditions() -> CompileBudgetExceeded:
    return CompileBudgetExceeded("the expression combines anchors, \\b and lookarounds in too many ways; simplify it")
