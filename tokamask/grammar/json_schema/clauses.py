"""What the keywords of one schema object say, gathered keyword by keyword and then turned into alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_INTEGER,
    ANY_VALUE,
    ANYTHING,
    Alternatives,
    ArrayDemand,
    Concern,
    Demand,
    Exclusivity,
    Node,
    NumberDemand,
    ObjectDemand,
    PropertyCount,
    StringDemand,
    conjunction,
    disjunction,
    tighter_lower,
    tighter_upper,
)
from tokamask.grammar.json_schema.exclusivity import are_told_apart
from tokamask.grammar.json_schema.obligations import NOTHING
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.values import Json, Kind
from tokamask.grammar.language import Language

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.catalogue import Catalogue, SchemaObligation

ALL_KINDS = tuple(Kind)

# Beyond this many pairs of branches a `oneOf` is refused rather than examined.
MAXIMUM_PAIRS = 2_000


class Part(NamedTuple):
    """Schemas that apply to the value itself: at least one of `branches` holds, or exactly one if `exclusive`."""

    branches: tuple[Node, ...]
    exclusive: str | None = None


class Dependency(NamedTuple):
    """An object with the property `name` also has `required` and meets `node`."""

    name: str
    required: tuple[str, ...]
    node: Node

    def alternatives(self, pointer: str) -> Alternatives:
        absent = ObjectDemand({self.name: NOTHING})
        present: Alternatives = {Kind.OBJECT: (ObjectDemand(required=(self.name, *self.required)),)}
        meeting = conjunction(present, _in_place(self.node), pointer)
        return {**ANY_VALUE, Kind.OBJECT: (absent, *meeting.get(Kind.OBJECT, ()))}


class Clauses:
    """The keywords of one schema object. The functions in `keywords` fill it; `alternatives` reads it."""

    __slots__ = (
        "_catalogue",
        "_concerns",
        "_lower",
        "_lower_open",
        "_obligation",
        "_parts",
        "_place_of_own",
        "_upper",
        "_upper_open",
        "additional",
        "at_least",
        "at_most",
        "integral",
        "kinds",
        "languages",
        "maximum_items",
        "maximum_length",
        "minimum_items",
        "minimum_length",
        "multiple_of",
        "prefix",
        "properties",
        "required",
        "rest",
    )

    def __init__(self, obligation: SchemaObligation, catalogue: Catalogue) -> None:
        self._obligation = obligation
        self._catalogue = catalogue
        self._concerns: dict[Kind, tuple[Concern, ...]] = {}
        # Alternatives that hold beside the schema's own assertions; those take their place in the sequence where
        # `properties` stands, so that merged properties keep the order in which the schema mentions them.
        self._parts: list[Part | Dependency | Alternatives] = []
        self._place_of_own: int | None = None
        self.kinds: tuple[Kind, ...] = ALL_KINDS
        self.integral = False
        self._lower: Fraction | None = None
        self._lower_open = False
        self._upper: Fraction | None = None
        self._upper_open = False
        self.multiple_of: Fraction | None = None
        self.minimum_length = 0
        self.maximum_length: int | None = None
        self.languages: tuple[Language, ...] = ()
        self.prefix: tuple[Node, ...] = ()
        self.rest = ANYTHING
        self.minimum_items = 0
        self.maximum_items: int | None = None
        self.properties: Mapping[str, Node] = {}
        self.required: tuple[str, ...] = ()
        self.additional = ANYTHING
        self.at_least: tuple[PropertyCount, ...] = ()
        self.at_most: tuple[PropertyCount, ...] = ()

    @property
    def asserts_formats(self) -> bool:
        return self._catalogue.options.asserts_formats

    def pointer(self, keyword: str) -> str:
        return f"{self._obligation.pointer}/{keyword}"

    def child(self, schema: Json, *path: str | int) -> Node:
        """The node of a subschema at `path` below this schema."""
        return self._catalogue.schema(schema, self._obligation.scope, (self._obligation, path))

    def referenced(self, reference: str, keyword: str) -> Node:
        """The node of the schema that a reference leads to; raises as `Scope.resolve` does."""
        target = self._obligation.scope.resolve(reference, self.pointer(keyword))
        return self._catalogue.schema(target.schema, target.scope, target.place)

    def target(self, reference: str, keyword: str) -> Json:
        """The schema that a reference leads to, as it stands there."""
        return self._obligation.scope.resolve(reference, self.pointer(keyword)).schema

    def raise_lower(self, bound: Fraction, is_open: bool) -> None:
        self._lower, self._lower_open = tighter_lower(self._lower, self._lower_open, bound, is_open)

    def reduce_upper(self, bound: Fraction, is_open: bool) -> None:
        self._upper, self._upper_open = tighter_upper(self._upper, self._upper_open, bound, is_open)

    def place_own(self) -> None:
        """Say that the schema's own properties come here among the schemas that apply to the same value."""
        self._place_of_own = len(self._parts)

    def require_one_of(self, branches: list[Node]) -> None:
        self._parts.append(Part(tuple(branches)))

    def require_exactly_one_of(self, branches: list[Node], keyword: str) -> None:
        self._parts.append(Part(tuple(branches), self.pointer(keyword)))

    def require(self, alternatives: Alternatives) -> None:
        self._parts.append(alternatives)

    def require_value(self, values: list[Json], keyword: str) -> None:
        self._parts.append(self._catalogue.values(values, self.pointer(keyword)))

    def require_if_present(self, name: str, names: list[str], node: Node) -> None:
        """Objects with the property `name` must also have `names` and meet `node`."""
        self._parts.append(Dependency(name, tuple(names), node))

    def refuse(self, keyword: str, reason: str, *kinds: Kind) -> None:
        """The keyword cannot be enforced on values of these kinds (none given: on any)."""
        refusal = Refusal(self.pointer(keyword), keyword, reason)
        for kind in kinds or ALL_KINDS:
            self._concerns[kind] = (*self._concerns.get(kind, ()), refusal)

    def alternatives(self) -> Alternatives:
        own = self._own()
        if not self._parts:
            return own
        pointer = self._obligation.pointer
        pieces = [self._piece(part) for part in self._parts]
        pieces.insert(len(pieces) if self._place_of_own is None else self._place_of_own, own)
        return reduce(lambda first, second: conjunction(first, second, pointer), pieces)

    def _piece(self, part: Part | Dependency | Alternatives) -> Alternatives:
        if isinstance(part, Dependency):
            return part.alternatives(self._obligation.pointer)
        if not isinstance(part, Part):
            return part
        branches = [_in_place(node) for node in part.branches]
        union = disjunction(branches) if branches else {}
        if part.exclusive is None or len(branches) == 1:
            return union
        return {kind: self._exclusive(kind, demands, part, branches) for kind, demands in union.items()}

    def _exclusive(
        self, kind: Kind, demands: tuple[Demand, ...], part: Part, branches: list[Alternatives]
    ) -> tuple[Demand, ...]:
        """The same demands, burdened with proving that no two branches hold together, unless that is plain."""
        holders = [place for place, branch in enumerate(branches) if kind in branch]
        if (
            kind not in self.kinds
            or len(holders) < 2
            or are_told_apart(kind, [branches[place][kind] for place in holders])
        ):
            return demands
        pointer = part.exclusive or ""
        concern: Concern
        if len(holders) * (len(holders) - 1) > 2 * MAXIMUM_PAIRS:
            concern = Refusal(pointer, "oneOf", f"{len(holders)} branches are too many to compare pair by pair")
        else:
            context = self._context_of(part, kind)
            concern = Exclusivity(
                pointer,
                tuple(
                    context | part.branches[first] | part.branches[second]
                    for position, first in enumerate(holders)
                    for second in holders[position + 1 :]
                ),
            )
        return tuple(demand._replace(concerns=(*demand.concerns, concern)) for demand in demands)

    def _context_of(self, part: Part, kind: Kind) -> Node:
        """What else this schema asks of values of one kind, beside a part."""
        pointer = self._obligation.pointer
        alternatives: Alternatives = {kind: (self._demand(kind),)}
        for other in self._parts:
            if other is not part:
                # Of another `oneOf`, one branch at least: never less than it accepts, so a proof holds.
                piece = self._piece(other._replace(exclusive=None) if isinstance(other, Part) else other)
                alternatives = conjunction(alternatives, piece, pointer)
        return self._catalogue.known(alternatives, pointer)

    def _own(self) -> Alternatives:
        """The schema's own assertions, without the schemas it applies beside them."""
        if self.kinds is ALL_KINDS:
            touched = {kind: self._demand(kind) for kind in ALL_KINDS}
            if all(demand is ANY_DEMAND[kind] for kind, demand in touched.items()):
                return ANY_VALUE
            return {kind: (demand,) for kind, demand in touched.items()}
        return {kind: (self._demand(kind),) for kind in self.kinds}

    def _demand(self, kind: Kind) -> Demand:
        demand = self._bare_demand(kind)
        concerns = self._concerns.get(kind)
        return demand._replace(concerns=concerns) if concerns else demand

    def _bare_demand(self, kind: Kind) -> Demand:
        if kind is Kind.STRING:
            if self.minimum_length or self.maximum_length is not None or self.languages:
                return StringDemand(self.minimum_length, self.maximum_length, self.languages)
        elif kind is Kind.NUMBER:
            if self._lower is not None or self._upper is not None or self.multiple_of is not None:
                return NumberDemand(
                    self.integral, self._lower, self._lower_open, self._upper, self._upper_open, self.multiple_of
                )
            if self.integral:
                return ANY_INTEGER
        elif kind is Kind.ARRAY:
            if self.prefix or self.rest or self.minimum_items or self.maximum_items is not None:
                return ArrayDemand(self.prefix, self.rest, self.minimum_items, self.maximum_items)
        elif kind is Kind.OBJECT and (
            self.properties or self.required or self.additional or self.at_least or self.at_most
        ):
            return ObjectDemand(self.properties, self.required, self.additional, self.at_least, self.at_most)
        return ANY_DEMAND[kind]


def _in_place(node: Node) -> Alternatives:
    """The alternatives of a schema that applies to the same value."""
    for obligation in node:
        return obligation.alternatives()
    return ANY_VALUE
