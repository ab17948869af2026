"""What a schema means once references, combinations and drafts are resolved: JSON values by their shape.

A *node* is a set of alternatives (its value must have one of these shapes); nodes refer to each other by index, so
recursion is a cycle of indices. Every alternative of every node is satisfiable: whoever builds a `JsonShapes` has
removed the others, so that a recogniser that follows it never meets a dead end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from tokamask.grammar.language import Language


class ScalarShape(NamedTuple):
    """A number, true, false or null: the exact bytes it may be spelled with."""

    language: Language


class StringShape(NamedTuple):
    """A string. Lengths count code points after unescaping.

    With a `language` (over the UTF-8 bytes of the unescaped text) the bounds either are part of it, or exclude some of
    its texts, but not all, and are such that the language's remaining lengths tell where a text within them can be
    reached (`text_lengths.is_countable`).
    """

    minimum: int = 0
    maximum: int | None = None
    language: Language | None = None


class ArrayShape(NamedTuple):
    """Items: item i has node `prefix[i]`, later ones `rest` (None: no later ones). minimum <= maximum when given.

    `maximum` never exceeds len(prefix) when `rest` is None, and `minimum` can always be reached, by different items
    where they must differ (`is_distinct`).
    """

    prefix: tuple[int, ...]
    rest: int | None
    minimum: int
    maximum: int | None
    is_distinct: bool = False


class ItemState(NamedTuple):
    """A place between the items of an array: whether the array may end here, and which items may follow.

    Each item is (node, place after it). Several of them may take the same value: all are followed.
    """

    may_end: bool
    items: tuple[tuple[int, int], ...]


class ItemsShape(NamedTuple):
    """An array as an automaton over its items, from state 0. From every state some state that may end is reached.

    Where items must differ (`is_distinct`), that is so with items that differ.
    """

    states: tuple[ItemState, ...]
    is_distinct: bool = False


class Property(NamedTuple):
    """One declared name. `name` is its UTF-8; `node` None means the name must not appear."""

    name: bytes
    node: int | None
    required: bool


class NameClass(NamedTuple):
    """Names that are not declared, by their UTF-8, and the node of their values."""

    language: Language
    node: int | None


class Witness(NamedTuple):
    """Some property that is not declared has a value of `node` and a name of class `name_class`.

    `name_class` is an index into the classes of the object, their number for the names in none of them. Every value of
    `node` is one of the class's own node.
    """

    name_class: int
    node: int


class ObjectShape(NamedTuple):
    """Declared properties in their order, then others: by name class, or of node `additional` (None: none).

    Attributes:
        classes: what names that are not declared may have for values. Their languages are disjoint.
        minimum, maximum: how many properties there are (None: no limit). Required ones and witnesses fit into the
            maximum, and the minimum can be reached.
        witnesses: each by a property of its own (where one property may be several, that is another alternative).
        remembers: whether no name may come twice, declared or not, because properties of unknown names matter.
    """

    properties: tuple[Property, ...]
    additional: int | None
    classes: tuple[NameClass, ...] = ()
    minimum: int = 0
    maximum: int | None = None
    witnesses: tuple[Witness, ...] = ()
    remembers: bool = False


Shape = ScalarShape | StringShape | ArrayShape | ItemsShape | ObjectShape


def children(shape: Shape) -> Iterable[int]:
    """The nodes that a shape refers to."""
    match shape:
        case ObjectShape(properties, additional, classes):
            values = [node for _, node, _ in properties] + [names.node for names in classes] + [additional]
            return [node for node in values if node is not None] + [witness.node for witness in shape.witnesses]
        case ArrayShape(prefix, rest):
            return prefix if rest is None else (*prefix, rest)
        case ItemsShape(states):
            return [node for state in states for node, _ in state.items]
        case ScalarShape() | StringShape():
            return ()


class PropertyOrder(Enum):
    SCHEMA = "schema"
    ANY = "any"


class Escapes(Enum):
    """How characters of strings and names may be spelled."""

    ANY = "json"
    """As themselves, and by every escape of RFC 8259."""
    MINIMAL = "minimal"
    """Escaped only where they cannot stand for themselves, and then in the shortest way: as `json.dumps` without
    `ensure_ascii` does."""


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
    escapes: Escapes = Escapes.ANY
