"""What a schema means once references, combinations and drafts are resolved: JSON values by their shape.

A *node* is a set of alternatives (its value must have one of these shapes); nodes refer to each other by index, so
recursion is a cycle of indices. Every alternative of every node is satisfiable: whoever builds a `JsonShapes` has
removed the others, so that a recogniser that follows it never meets a dead end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tokamask.grammar.language import Language


@dataclass(frozen=True)
class ScalarShape:
    """A number, true, false or null: the exact bytes it may be spelled with."""

    language: Language


@dataclass(frozen=True)
class StringShape:
    """A string. Lengths count code points after unescaping.

    With a `language` (over the UTF-8 bytes of the unescaped text) the bounds are already part of it, and `minimum` and
    `maximum` are 0 and None.
    """

    minimum: int = 0
    maximum: int | None = None
    language: Language | None = None


@dataclass(frozen=True)
class ArrayShape:
    """Items: item i has node `prefix[i]`, later ones `rest` (None: no later ones). minimum <= maximum when given.

    `maximum` never exceeds len(prefix) when `rest` is None, and `minimum` can always be reached.
    """

    prefix: tuple[int, ...]
    rest: int | None
    minimum: int
    maximum: int | None


@dataclass(frozen=True)
class Property:
    """One declared name. `name` is its UTF-8; `node` None means the name must not appear."""

    name: bytes
    node: int | None
    required: bool


@dataclass(frozen=True)
class ObjectShape:
    """Declared properties in their order, then any other name with a value of node `additional` (None: none)."""

    properties: tuple[Property, ...]
    additional: int | None


Shape = ScalarShape | StringShape | ArrayShape | ObjectShape


class PropertyOrder(Enum):
    SCHEMA = "schema"
    ANY = "any"


@dataclass(frozen=True)
class JsonShapes:
    """Nodes, the root among them, and how values are spelled.

    `whitespace` is the language of what may stand between two JSON tokens (it contains the empty text and consists of
    blanks, tabs, newlines and carriage returns only).
    """

    nodes: tuple[tuple[Shape, ...], ...]
    root: int
    whitespace: Language
    property_order: PropertyOrder = PropertyOrder.SCHEMA
