"""What a schema asks of the values of one JSON type.

A *demand* is a conjunction of assertions about one type in a closed form: bounds, value sets, arrays position by
position, objects name by name. The children of a demand are *nodes*: sets of obligations that a value must all meet,
so the child of two merged demands is simply the union of two sets.

Demands are judged later, when they become shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.language import Language

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.obligations import Obligation

Node = frozenset["Obligation"]
ANYTHING: Node = frozenset()


class Overlap(NamedTuple):
    """Two branches, by position, of the `oneOf` at `pointer` that can hold at once for a value of this kind."""

    pointer: str
    kind: Kind
    first: int
    second: int


class Exclusivity(NamedTuple):
    """Branches were joined as if by `anyOf`, which is right only if every one of the nodes in `pairs` is empty."""

    pairs: tuple[tuple[Overlap, Node], ...]


# What has to be settled before a demand may be used.
Concern = Refusal | Exclusivity


class NullDemand(NamedTuple):
    concerns: tuple[Concern, ...] = ()


class BooleanDemand(NamedTuple):
    values: frozenset[bool] = frozenset((False, True))
    concerns: tuple[Concern, ...] = ()


class NumberDemand(NamedTuple):
    """Numbers within bounds (None: no bound; open: the bound itself is out), or one of finitely many `values`.

    None of `excluded` holds; those exclude nothing themselves. A `plain` number is an integer of draft 4: one
    that is written without a fraction and an exponent.
    """

    integral: bool = False
    lower: Fraction | None = None
    lower_open: bool = False
    upper: Fraction | None = None
    upper_open: bool = False
    multiple_of: Fraction | None = None
    values: frozenset[Fraction] | None = None
    excluded: tuple[NumberDemand, ...] = ()
    concerns: tuple[Concern, ...] = ()
    plain: bool = False


class StringDemand(NamedTuple):
    """Texts of `minimum` to `maximum` code points in all of `languages`, or one of finitely many `values`."""

    minimum: int = 0
    maximum: int | None = None
    languages: tuple[Language, ...] = ()
    values: frozenset[str] | None = None
    concerns: tuple[Concern, ...] = ()


class ItemCount(NamedTuple):
    """From position `start` on, at least `least` and at most `most` (None: any number of) items are of `node`."""

    node: Node
    start: int
    least: int
    most: int | None


class SeenItems(NamedTuple):
    """What keywords have evaluated of an array: the first `length` items (None: all), and items of one of `nodes`."""

    length: int | None = 0
    nodes: tuple[Node, ...] = ()


class ArrayDemand(NamedTuple):
    """Items by position; how many there are; how many of them are what; which of them are equal.

    Attributes:
        distinct: the pointer of a `uniqueItems` that forbids equal items, if one does.
        repeated: the pointer of one whose negation asks for a pair of equal items, if one does.
        seen: what `unevaluatedItems` need not look at; kept only while it is wanted.
    """

    prefix: tuple[Node, ...] = ()
    rest: Node = ANYTHING
    minimum: int = 0
    maximum: int | None = None
    counts: tuple[ItemCount, ...] = ()
    distinct: str | None = None
    repeated: str | None = None
    seen: SeenItems | None = None
    concerns: tuple[Concern, ...] = ()

    def item(self, position: int) -> Node:
        return self.prefix[position] if position < len(self.prefix) else self.rest


class NameRule(NamedTuple):
    """The values of properties with a name (its UTF-8) of this language."""

    language: Language
    node: Node


class PropertyCount(NamedTuple):
    """A `minProperties` or `maxProperties` with its place."""

    pointer: str
    limit: int


class PropertyWitness(NamedTuple):
    """Some property has a name that is in all of `languages` and, as a string, of node `name`; its value is `value`."""

    languages: tuple[Language, ...]
    name: Node
    value: Node


class SeenNames(NamedTuple):
    """What keywords have evaluated of an object: these names, those of a language, or (`all`) every one."""

    names: frozenset[str] = frozenset()
    languages: tuple[Language, ...] = ()
    all: bool = False


class ObjectDemand(NamedTuple):
    """Properties by name; which there must be, and how many.

    Attributes:
        required: may name a property twice, and one that `properties` does not list.
        additional: the values of names that neither `properties` lists nor one of `rules` covers.
        rules: for names that `properties` does not list; their languages are disjoint.
        names: what the names must be, as strings.
        seen: what `unevaluatedProperties` need not look at; kept only while it is wanted.
    """

    properties: Mapping[str, Node] = {}
    required: tuple[str, ...] = ()
    additional: Node = ANYTHING
    rules: tuple[NameRule, ...] = ()
    names: Node = ANYTHING
    at_least: tuple[PropertyCount, ...] = ()
    at_most: tuple[PropertyCount, ...] = ()
    witnesses: tuple[PropertyWitness, ...] = ()
    seen: SeenNames | None = None
    concerns: tuple[Concern, ...] = ()

    def value(self, name: str) -> Node:
        """What the value of a property must meet, whatever its name must meet."""
        value = self.properties.get(name)
        if value is not None:
            return value
        if self.rules:
            text = name.encode("utf-8", "surrogatepass")
            for rule in self.rules:
                if rule.language.matches(text):
                    return rule.node
        return self.additional


Demand = NullDemand | BooleanDemand | NumberDemand | StringDemand | ArrayDemand | ObjectDemand

# A disjunction: a value is described when one of the demands on its own type holds.
Alternatives = Mapping[Kind, tuple[Demand, ...]]

ANY_DEMAND: Mapping[Kind, Demand] = {
    Kind.NULL: NullDemand(),
    Kind.BOOLEAN: BooleanDemand(),
    Kind.NUMBER: NumberDemand(),
    Kind.STRING: StringDemand(),
    Kind.ARRAY: ArrayDemand(),
    Kind.OBJECT: ObjectDemand(),
}
ANY_INTEGER = NumberDemand(integral=True)
PLAIN_INTEGER = NumberDemand(integral=True, plain=True)
ANY_VALUE: Alternatives = {kind: (demand,) for kind, demand in ANY_DEMAND.items()}
NO_VALUE: Alternatives = {}
