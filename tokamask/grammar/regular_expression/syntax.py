"""The syntax tree of a regular expression, after flags, classes and dialects are resolved.

What is left has one meaning in every dialect: sets of code points, the regular operators, and conditions on the text
around a place. Lazy and greedy repetition match the same texts, groups only bracket: neither leaves a trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokamask.grammar.regular_expression.code_points import NONE, CodePoints


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of the set."""

    code_points: CodePoints


@dataclass(frozen=True, slots=True)
class Concatenation:
    """The parts one after another; without parts the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternation:
    """Any of the alternatives; without alternatives nothing at all."""

    alternatives: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """`part` at least `minimum` and at most `maximum` times (None: no upper end)."""

    part: Node
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The empty text where the character before (`behind`) or after is one of the set.

    Where there is no such character, at the edge of the text, the condition is `at_edge`.
    """

    behind: bool
    code_points: CodePoints
    at_edge: bool


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The empty text where `part` matches (or, `negative`, does not match) right after or right before (`behind`).

    Compared by identity: a lookaround in a repetition is one condition, however often it is repeated.
    """

    part: Node
    behind: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Capture:
    """What `part` matches, to be repeated by a `BackReference`. Only while an expression is read."""

    part: Node
    number: int


@dataclass(frozen=True, slots=True)
class BackReference:
    """The text of the group with this number; written at `offset`. Only while an expression is read."""

    number: int
    offset: int


Node = Characters | Concatenation | Alternation | Repetition | Neighbour | Look | Capture | BackReference

EMPTY = Concatenation(())
TEXT_START = Neighbour(behind=True, code_points=NONE, at_edge=True)
TEXT_END = Neighbour(behind=False, code_points=NONE, at_edge=True)
