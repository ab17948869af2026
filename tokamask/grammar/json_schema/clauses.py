"""What the keywords of one schema object say, gathered keyword by keyword and then turned into alternatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.alternatives import conjunction, disjunction
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_INTEGER,
    ANY_VALUE,
    ANYTHING,
    PLAIN_INTEGER,
    Alternatives,
    ArrayDemand,
    Concern,
    Demand,
    ItemCount,
    NameRule,
    Node,
    NumberDemand,
    ObjectDemand,
    PropertyCount,
    SeenItems,
    SeenNames,
    StringDemand,
)
from tokamask.grammar.json_schema.drafts import Draft
from tokamask.grammar.json_schema.evaluation import marked, unevaluated, unmarked
from tokamask.grammar.json_schema.formulas import AnyOf, Conditional, Dependency, ExactlyOne, Fails, Formula, Stated
from tokamask.grammar.json_schema.known import KnownObligation
from tokamask.grammar.json_schema.merging import crossed, tighter_lower, tighter_upper
from tokamask.grammar.json_schema.negation import negation
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.reports import Refusal
from tokamask.grammar.json_schema.values import Json, Kind
from tokamask.grammar.language import Language

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.catalogue import Catalogue, SchemaObligation

ALL_KINDS = tuple(Kind)


class Clauses:
    """The keywords of one schema object. The functions in `keywords` fill it; `alternatives` reads it."""

    # What there is to say without the keywords in question; where None is one of the values, it means just that.
    kinds: tuple[Kind, ...] = ALL_KINDS
    integral = False
    _lower: Fraction | None = None
    _lower_open = False
    _upper: Fraction | None = None
    _upper_open = False
    multiple_of: Fraction | None = None
    minimum_length = 0
    maximum_length: int | None = None
    languages: tuple[Language, ...] = ()
    prefix: tuple[Node, ...] = ()
    rest: Node | None = None
    minimum_items = 0
    maximum_items: int | None = None
    counts: tuple[ItemCount, ...] = ()
    contained: tuple[Node, ...] = ()
    distinct: str | None = None
    unevaluated_items: Node | None = None
    properties: Mapping[str, Node] = {}
    patterns: tuple[NameRule, ...] = ()
    patterns_are_known = True
    required: tuple[str, ...] = ()
    additional: Node | None = None
    names = ANYTHING
    at_least: tuple[PropertyCount, ...] = ()
    at_most: tuple[PropertyCount, ...] = ()
    unevaluated_properties: Node | None = None
    _concerns: Mapping[Kind, tuple[Concern, ...]] = {}
    # How many of the schemas that hold beside the own assertions come before `properties`; see `_in_order`.
    _place_of_own: int | None = None

    def __init__(self, obligation: SchemaObligation, catalogue: Catalogue) -> None:
        self._obligation = obligation
        self._catalogue = catalogue
        # What holds beside the schema's own assertions.
        self._formulas: list[Formula] = []

    @property
    def asserts_formats(self) -> bool:
        return self._catalogue.options.asserts_formats

    @property
    def draft(self) -> Draft:
        return self._obligation.scope.draft

    def pointer(self, keyword: str) -> str:
        return pointer_at(self.place(keyword))

    def place(self, keyword: str) -> Place:
        return self._obligation.place, (keyword,)

    def child(self, schema: Json, *path: str | int) -> Node:
        """The node of a subschema at `path` below this schema."""
        obligation = self._obligation
        return self._catalogue.schema(schema, obligation.scope, (obligation.place, path))

    def children(self, schemas: Mapping[str, Json], keyword: str) -> dict[str, Node]:
        """The nodes of the subschemas that a keyword has by name."""
        node, scope, place = self._catalogue.schema, self._obligation.scope, self._obligation.place
        return {name: node(schema, scope, (place, (keyword, name))) for name, schema in schemas.items()}

    def referenced(self, reference: str, keyword: str) -> Node:
        """The node of the schema that a reference leads to; raises as `Scope.resolve` does."""
        target = self._obligation.scope.resolve(reference, self.place(keyword))
        return self._catalogue.schema(target.schema, target.scope, target.place)

    def dynamically_referenced(self, reference: str, name: str, keyword: str) -> Node:
        """The node of the schema that a reference to the anchor `name` leads to from here; raises likewise."""
        target = self._obligation.scope.resolve_dynamically(reference, name, self.place(keyword))
        return self._catalogue.schema(target.schema, target.scope, target.place)

    def raise_lower(self, bound: Fraction, is_open: bool) -> None:
        self._lower, self._lower_open = tighter_lower(self._lower, self._lower_open, bound, is_open)

    def reduce_upper(self, bound: Fraction, is_open: bool) -> None:
        self._upper, self._upper_open = tighter_upper(self._upper, self._upper_open, bound, is_open)

    def place_own(self) -> None:
        """Say that the schema's own properties come here among the schemas that apply to the same value."""
        self._place_of_own = len(self._formulas)

    def require_any_of(self, branches: list[Node], keyword: str) -> None:
        self._formulas.append(AnyOf(self.place(keyword), branches))

    def require_exactly_one_of(self, branches: list[Node], keyword: str) -> None:
        overlaps = self._catalogue.options.overlaps
        self._formulas.append(ExactlyOne(self.place(keyword), branches, overlaps, self._context_of, self._limits))

    def require_not(self, node: Node, keyword: str) -> None:
        self._formulas.append(Fails(self.place(keyword), node))

    def require_case(self, condition: Node, then: Node, otherwise: Node, keyword: str) -> None:
        self._formulas.append(Conditional(self.place(keyword), condition, then, otherwise))

    def require_value(self, values: list[Json], keyword: str) -> None:
        place = self.place(keyword)
        self._formulas.append(Stated(place, self._catalogue.values(values, place)))

    def require_if_present(self, name: str, names: list[str], node: Node, keyword: str) -> None:
        """Objects with the property `name` must also have `names` and meet `node`."""
        self._formulas.append(Dependency(self.place(keyword), name, names, node))

    def refuse(self, keyword: str, reason: str, *kinds: Kind) -> None:
        """The keyword cannot be enforced on values of these kinds (none given: on any)."""
        refusal = Refusal(self.pointer(keyword), keyword, reason)
        more = {kind: (*self._concerns.get(kind, ()), refusal) for kind in kinds or ALL_KINDS}
        self._concerns = {**self._concerns, **more}

    def alternatives(self) -> Alternatives:
        if self._looks_at_unevaluated:
            return unmarked(self.evaluations())
        if not self._formulas:
            return self._own()
        parts = [formula.alternatives() for formula in self._formulas]
        return conjunction(self._in_order(self._own(), parts), self._obligation.place)

    def denials(self) -> Alternatives:
        if self._looks_at_unevaluated:
            return negation(unmarked(self.evaluations()), self._obligation.place)
        failing = [formula.denials() for formula in self._formulas]
        place = self._obligation.place
        return disjunction(self._in_order(negation(self._own(), place), failing), place)

    def evaluations(self) -> Alternatives:
        own = marked(self._own(), self._seen_items(), self._seen_names())
        parts = self._in_order(own, [formula.evaluations() for formula in self._formulas])
        place = self._obligation.place
        return unevaluated(conjunction(parts, place), self.unevaluated_items, self.unevaluated_properties, place)

    @property
    def _looks_at_unevaluated(self) -> bool:
        return self.unevaluated_items is not None or self.unevaluated_properties is not None

    def _in_order(self, own: Alternatives, parts: list[Alternatives]) -> list[Alternatives]:
        """The schema's own assertions among the others, where `properties` stands.

        So merged properties keep the order in which the schema mentions them.
        """
        parts.insert(len(parts) if self._place_of_own is None else self._place_of_own, own)
        return parts

    def _context_of(self, formula: Formula, kind: Kind) -> Node | None:
        """What else this schema asks of values of one kind, beside a part of it; None if it allows none."""
        if kind not in self.kinds:
            return None
        others = [other.bound() for other in self._formulas if other is not formula]
        alternatives = conjunction([{kind: (self._demand(kind),)}, *others], self._obligation.place)
        return frozenset((KnownObligation(self._catalogue.next_rank(), self._obligation.place, alternatives),))

    def _limits(self, kind: Kind) -> Demand:
        """How many items or properties this schema asks for."""
        if kind is Kind.ARRAY and (self.minimum_items or self.maximum_items is not None):
            return ArrayDemand(minimum=self.minimum_items, maximum=self.maximum_items)
        if kind is Kind.OBJECT and (self.required or self.at_least or self.at_most):
            return ObjectDemand(required=self.required, at_least=self.at_least, at_most=self.at_most)
        return ANY_DEMAND[kind]

    def _own(self) -> Alternatives:
        """The schema's own assertions, without the schemas it applies beside them."""
        own = {kind: (self._demand(kind),) for kind in self.kinds}
        return ANY_VALUE if self.kinds is ALL_KINDS and own == ANY_VALUE else own

    def _demand(self, kind: Kind) -> Demand:
        bare = _BARE.get(kind)
        demand = ANY_DEMAND[kind] if bare is None else bare(self)
        return demand._replace(concerns=self._concerns[kind]) if kind in self._concerns else demand

    def _string(self) -> Demand:
        if self.minimum_length or self.maximum_length is not None or self.languages:
            return StringDemand(self.minimum_length, self.maximum_length, self.languages)
        return ANY_DEMAND[Kind.STRING]

    def _number(self) -> Demand:
        plain = self.integral and self.draft < Draft.DRAFT_6
        if self._lower is not None or self._upper is not None or self.multiple_of is not None:
            lower, upper = (self._lower, self._lower_open), (self._upper, self._upper_open)
            return NumberDemand(self.integral, *lower, *upper, self.multiple_of, plain=plain)
        if self.integral:
            return PLAIN_INTEGER if plain else ANY_INTEGER
        return ANY_DEMAND[Kind.NUMBER]

    def _array(self) -> Demand:
        limits = self.minimum_items, self.maximum_items
        if self.rest or self.prefix or limits != (0, None) or self.counts or self.distinct:
            return ArrayDemand(self.prefix, self.rest or ANYTHING, *limits, self.counts, self.distinct)
        return ANY_DEMAND[Kind.ARRAY]

    def _object(self) -> Demand:
        """Declared names also meet the patterns they match; others the patterns, or else `additionalProperties`."""
        if not (self.properties or self.required or self.additional or self.patterns or self.names) and not (
            self.at_least or self.at_most
        ):
            return ANY_DEMAND[Kind.OBJECT]
        properties = self.properties
        rules: tuple[NameRule, ...] = ()
        # A name may match a pattern that is not enforced, and then it is none of the others.
        additional = (self.additional or ANYTHING) if self.patterns_are_known else ANYTHING
        if self.patterns:
            by_name = ObjectDemand(rules=self._told_apart())
            properties = {name: node | by_name.value(name) for name, node in properties.items()}
            rules = tuple([rule for rule in by_name.rules if rule.node != additional])
        return ObjectDemand(properties, self.required, additional, rules, self.names, self.at_least, self.at_most)

    def _told_apart(self) -> tuple[NameRule, ...]:
        """The patterns of names as rules whose languages are disjoint."""
        rules: list[NameRule] = []
        try:
            for pattern in self.patterns:
                rules = crossed(rules, ANYTHING, [pattern], ANYTHING)
        except CompileBudgetExceeded as error:
            raise CompileBudgetExceeded(error.message, pointer=self.pointer("patternProperties")) from None
        return tuple(rules)

    def _seen_items(self) -> SeenItems:
        return SeenItems(len(self.prefix) if self.rest is None else None, self.contained)

    def _seen_names(self) -> SeenNames:
        languages = tuple([pattern.language for pattern in self.patterns])
        return SeenNames(
            frozenset(self.properties), languages, self.additional is not None or not self.patterns_are_known
        )


# What the keywords ask of the values of a kind; of null and the booleans there is nothing to ask.
_BARE: Mapping[Kind, Callable[[Clauses], Demand]] = {
    Kind.STRING: Clauses._string,
    Kind.NUMBER: Clauses._number,
    Kind.ARRAY: Clauses._array,
    Kind.OBJECT: Clauses._object,
}
