"""The rules of a context-free grammar over terminals that are regular languages: what every front end produces.

An expression is one of the frozen classes below. A `RuleSet` names expressions and says where to start. The semantics
is that of the language alone: a text belongs to it when some derivation spells it (every segmentation into lexemes is
tried, no longest-match rule). Whoever builds a `RuleSet` guarantees that no rule is left-recursive (directly, through
other rules, or behind nullable symbols), that every rule can produce some text, and that no terminal is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokamask.grammar.json_schema.shapes import JsonShapes
from tokamask.grammar.language import Language


@dataclass(frozen=True)
class Terminal:
    """One lexeme of `language`. `name` is for error messages ("expected NUMBER")."""

    language: Language
    name: str = ""


@dataclass(frozen=True)
class Sequence:
    """The parts one after another; the empty sequence is the empty text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Choice:
    """Any one of the alternatives."""

    alternatives: tuple[Expression, ...]


@dataclass(frozen=True)
class Repeat:
    """`part`, at least `minimum` and at most `maximum` times (None: no upper end)."""

    part: Expression
    minimum: int
    maximum: int | None


@dataclass(frozen=True)
class Reference:
    """The rule of that name."""

    rule: str


@dataclass(frozen=True)
class JsonValue:
    """A JSON value described by `shapes`, from its root node."""

    shapes: JsonShapes


Expression = Terminal | Sequence | Choice | Repeat | Reference | JsonValue


@dataclass(frozen=True)
class RuleSet:
    rules: Mapping[str, Expression]
    start: str
