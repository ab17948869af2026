"""From a syntax tree to the minimal automaton over the cells of its alphabet.

Without lookarounds a state is a set of positions (a bitset). A lookahead is an *obligation*: an automaton of its own,
deterministic, that runs on beside the positions that depend on it and must accept the rest of the text; this is how
alternating automata (Chandra, Kozen and Stockmeyer 1981) are made deterministic. A lookbehind is a *tracker*: an
automaton that reads the text from its start and says at each place whether the lookbehind holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.automaton import Rows, explore, flat
from tokamask.grammar.flat_automaton import FlatAutomaton
from tokamask.grammar.minimisation import minimal
from tokamask.grammar.regular_expression.alphabet import Alphabet, alphabet_of, bits
from tokamask.grammar.regular_expression.code_points import ANY, CodePoints
from tokamask.grammar.regular_expression.positions import Positions, anywhere, beginning, ending, whole
from tokamask.grammar.regular_expression.syntax import (
    Alternation,
    Characters,
    Concatenation,
    Look,
    Neighbour,
    Node,
    Repetition,
)

# Positions visited and cells tried while sets of positions are formed; steps of obligations.
WORK_BUDGET = 5_000_000
LOOKING_BUDGET = 500_000

# An automaton that must accept the rest of the text, and its state.
Obligation = tuple[int, int]
# Sets of positions by what they depend on.
Threads = frozenset[tuple[int, frozenset[Obligation]]]


@dataclass(frozen=True)
class CellAutomaton:
    """A minimal automaton over the cells of `alphabet`."""

    alphabet: Alphabet
    flat: FlatAutomaton

    @classmethod
    def minimal(cls, alphabet: Alphabet, rows: Rows, accepting: list[bool]) -> CellAutomaton:
        """The minimal automaton for the language of any one."""
        return cls(alphabet, minimal(flat(rows, accepting)))

    @cached_property
    def rows(self) -> Rows:
        rows, _, states, width = self.flat
        return rows[: states * width].reshape(states, width).tolist()

    @cached_property
    def accepting(self) -> list[bool]:
        return self.flat.accepting[: self.flat.states].astype(np.bool_).tolist()  # type: ignore[no-any-return]


def full_match(node: Node) -> CellAutomaton:
    """The texts that `node` matches as a whole."""
    construction = _construction(node)
    return construction.finish(whole(node, construction.alphabet, construction.groups))


def somewhere(node: Node) -> CellAutomaton:
    """The texts in which `node` matches somewhere."""
    construction = _construction(node)
    return construction.finish(anywhere(node, construction.alphabet, construction.groups))


def _construction(node: Node) -> _Construction:
    sets: set[CodePoints] = {ANY}
    neighbours: set[CodePoints] = set()
    _collect(node, sets, neighbours)
    alphabet = alphabet_of(frozenset(sets | neighbours))
    by_signature: dict[tuple[bool, ...], int] = {}
    masks = [alphabet.masks[each] for each in neighbours]
    for cell in range(alphabet.size):
        signature = tuple([bool(mask >> cell & 1) for mask in masks])
        by_signature[signature] = by_signature.get(signature, 0) | 1 << cell
    return _Construction(alphabet, list(by_signature.values()))


def _collect(node: Node, sets: set[CodePoints], neighbours: set[CodePoints]) -> None:
    match node:
        case Characters(code_points):
            sets.add(code_points)
        case Concatenation(parts) | Alternation(parts):
            for part in parts:
                _collect(part, sets, neighbours)
        case Neighbour(_, code_points, _):
            neighbours.add(code_points)
        case Repetition(part, _, _) | Look(part, _, _):
            _collect(part, sets, neighbours)


@dataclass(frozen=True)
class _Construction:
    """One expression being made deterministic; `groups` of cells are those that its conditions tell apart."""

    alphabet: Alphabet
    groups: list[int]

    def finish(self, positions: Positions) -> CellAutomaton:
        if any(edges.conditional for edges in positions.edges) or any(any(each) for each in positions.finals):
            rows, accepting = _Looking(self, positions).automaton()
        else:
            rows, accepting = _subsets(positions)
        return CellAutomaton.minimal(self.alphabet, rows, accepting)

    def ahead(self, look: Look, group: int | None) -> CellAutomaton:
        """The texts that may follow where `look` is asked for, behind a character of `group`."""
        _refuse_inside(look.part, behind=True)
        automaton = self.finish(beginning(look.part, self.alphabet, self.groups, group))
        return _complement(automaton) if look.negative else automaton

    def behind(self, look: Look) -> CellAutomaton:
        """The texts at whose end `look` holds."""
        _refuse_inside(look.part, behind=False)
        automaton = self.finish(ending(look.part, self.alphabet, self.groups))
        return _complement(automaton) if look.negative else automaton


def _refuse_inside(node: Node, *, behind: bool) -> None:
    """A lookaround inside one of the other direction would look past the text that its own automaton reads."""
    match node:
        case Concatenation(parts) | Alternation(parts):
            for part in parts:
                _refuse_inside(part, behind=behind)
        case Repetition(part, _, _):
            _refuse_inside(part, behind=behind)
        case Look():
            if node.behind == behind:
                inner, outer = ("lookbehind", "lookahead") if behind else ("lookahead", "lookbehind")
                raise UnsupportedFeature(f"a {inner} of several characters inside a {outer}; write it outside")
            _refuse_inside(node.part, behind=behind)


def _complement(automaton: CellAutomaton) -> CellAutomaton:
    sink = len(automaton.rows)
    rows = [[sink if target < 0 else target for target in row] for row in automaton.rows]
    rows.append([sink] * automaton.alphabet.size)
    accepting = [not accepts for accepts in automaton.accepting] + [True]
    return CellAutomaton.minimal(automaton.alphabet, rows, accepting)


def _subsets(positions: Positions) -> tuple[Rows, list[bool]]:
    """The subset construction: one sweep over the positions of a state, then one AND for each cell."""
    following = [edges.free for edges in positions.edges]
    by_cell, absorbing = positions.by_cell, positions.absorbing
    work = 0

    def successors(state: int) -> list[int | None]:
        nonlocal work
        targets = 0
        work += state.bit_count() + len(by_cell)
        if work > WORK_BUDGET:
            raise _too_much_work()
        while state:
            lowest = state & -state
            targets |= following[lowest.bit_length() - 1]
            state ^= lowest
        if not targets & absorbing:
            return [targets & members or None for members in by_cell]
        return [_absorbed(targets & members, absorbing) or None for members in by_cell]

    rows, states = explore(1 << positions.start, successors)
    final = sum(1 << position for position, ends in enumerate(positions.finals) if ends)
    return rows, [bool(state & final) for state in states]


def _absorbed(state: int, absorbing: int) -> int:
    """Nothing else matters beside positions that accept whatever follows."""
    return state & absorbing or state


def _too_much_work() -> CompileBudgetExceeded:
    return CompileBudgetExceeded("the expression takes too long to determinise; use smaller repetition counts")


@dataclass
class _Looking:
    """The construction for expressions with lookarounds."""

    construction: _Construction
    positions: Positions
    obligations: list[CellAutomaton] = field(default_factory=list)
    numbers: dict[tuple[Look, int | None], int] = field(default_factory=dict)
    trackers: dict[Look, int] = field(default_factory=dict)
    tracking: list[CellAutomaton] = field(default_factory=list)
    work: int = 0

    def automaton(self) -> tuple[Rows, list[bool]]:
        looks = {look for edges in self.positions.edges for each, _ in edges.conditional for look in each}
        looks |= {look for ends in self.positions.finals for each in ends for look in each}
        for look in looks:
            if look.behind:
                self.trackers[look] = len(self.tracking)
                self.tracking.append(self.construction.behind(look))
        start = tuple([0 if tracker.rows else -1 for tracker in self.tracking])
        threads: Threads = frozenset(((1 << self.positions.start, frozenset()),))
        rows, states = explore((start, threads), self.successors)
        return rows, [self.accepts(tracked, threads) for tracked, threads in states]

    def successors(self, state: tuple[tuple[int, ...], Threads]) -> list[tuple[tuple[int, ...], Threads] | None]:
        if self.work > LOOKING_BUDGET:
            raise _too_much_work()
        tracked, threads = state
        leaving = [(self.targets(tracked, positions), obligations) for positions, obligations in threads]
        row: list[tuple[tuple[int, ...], Threads] | None] = []
        for cell, members in enumerate(self.positions.by_cell):
            reached: dict[frozenset[Obligation], int] = {}
            for by_looks, obligations in leaving:
                for new, targets in by_looks.items():
                    arrived = _absorbed(targets & members, self.positions.absorbing)
                    stepped = self.step(obligations | new, cell) if arrived else None
                    if stepped is not None:
                        reached[stepped] = reached.get(stepped, 0) | arrived
            kept = _weakest(reached)
            followed = tuple(
                automaton.rows[at][cell] if at >= 0 else -1
                for automaton, at in zip(self.tracking, tracked, strict=True)
            )
            row.append((followed, kept) if kept else None)
        return row

    def targets(self, tracked: tuple[int, ...], positions: int) -> dict[frozenset[Obligation], int]:
        """Where a set of positions may go on to, by the obligations that begin here."""
        by_looks: dict[frozenset[Obligation], int] = {}
        for position in bits(positions):
            self.work += 1
            edges = self.positions.edges[position]
            by_looks[frozenset()] = by_looks.get(frozenset(), 0) | edges.free
            for looks, targets in edges.conditional:
                new = self.begin(looks, tracked, self.positions.groups[position])
                if new is not None:
                    by_looks[new] = by_looks.get(new, 0) | targets
        return by_looks

    def begin(self, looks: Iterable[Look], tracked: tuple[int, ...], group: int | None) -> frozenset[Obligation] | None:
        """The obligations of lookarounds at a place; None if one cannot hold."""
        obligations = set()
        for look in looks:
            if look.behind:
                at = tracked[self.trackers[look]]
                if at < 0 or not self.tracking[self.trackers[look]].accepting[at]:
                    return None
            else:
                number = self.numbers.get((look, group))
                if number is None:
                    number = self.numbers[look, group] = len(self.obligations)
                    self.obligations.append(self.construction.ahead(look, group))
                if not self.obligations[number].rows:
                    return None
                obligations.add((number, 0))
        return frozenset(obligations)

    def step(self, obligations: frozenset[Obligation], cell: int) -> frozenset[Obligation] | None:
        """What is left to fulfil after a character; None if that has become impossible."""
        self.work += 1 + len(obligations)
        left = set()
        for number, at in obligations:
            automaton = self.obligations[number]
            target = automaton.rows[at][cell]
            if target < 0:
                return None
            # A state that only leads to itself accepts whatever follows: the automaton is trimmed.
            if any(further != target for further in automaton.rows[target]):
                left.add((number, target))
        return frozenset(left)

    def accepts(self, tracked: tuple[int, ...], threads: Threads) -> bool:
        return any(self.fulfilled(obligations) and self.ends(tracked, positions) for positions, obligations in threads)

    def ends(self, tracked: tuple[int, ...], positions: int) -> bool:
        for position in bits(positions):
            for looks in self.positions.finals[position]:
                begun = self.begin(looks, tracked, self.positions.groups[position])
                if begun is not None and self.fulfilled(begun):
                    return True
        return False

    def fulfilled(self, obligations: Iterable[Obligation]) -> bool:
        return all(self.obligations[number].accepting[at] for number, at in obligations)


def _weakest(reached: dict[frozenset[Obligation], int]) -> Threads:
    """Threads without the positions that another one reaches with fewer obligations."""
    kept = []
    for obligations, positions in reached.items():
        for fewer, others in reached.items():
            if fewer < obligations:
                positions &= ~others
        if positions:
            kept.append((positions, obligations))
    return frozenset(kept)
