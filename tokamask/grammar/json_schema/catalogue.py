"""The obligations of one reading. The same schema object reached twice (by references, by recursion) is the same
obligation, which is what makes the sets of them finite."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from tokamask.errors import GrammarError, UnsupportedFeature
from tokamask.grammar.budget import check_time
from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.contents import Contents
from tokamask.grammar.json_schema.demands import (
    ANYTHING,
    Alternatives,
    ArrayDemand,
    BooleanDemand,
    Demand,
    Node,
    NullDemand,
    NumberDemand,
    ObjectDemand,
    Overlap,
    StringDemand,
)
from tokamask.grammar.json_schema.drafts import Draft
from tokamask.grammar.json_schema.keywords import KIND_OF_TYPE, alternatives_of_type, keywords_of
from tokamask.grammar.json_schema.known import ValueObligation
from tokamask.grammar.json_schema.obligations import NOTHING, Obligation
from tokamask.grammar.json_schema.places import Place, pointer_at
from tokamask.grammar.json_schema.references import Scope
from tokamask.grammar.json_schema.values import Json, Kind, equality_key, exact, is_spellable, kind_of, shown

# Values not listed yet; no key is equal to it.
_UNREAD: frozenset[Hashable] = frozenset((object(),))
# The keywords of half of all schema objects.
_TYPE = frozenset(("type",))
# Stands for what is being read.
_UNDER_WAY: Alternatives = {}


class SchemaObligation(Obligation):
    """A schema object in its scope."""

    # What was found out already. Most schema objects are read once, in one way, so the rest stands here for all.
    _alternatives: Alternatives | None = None
    _denials: Alternatives | None = None
    _evaluations: Alternatives | None = None
    _listed: frozenset[Hashable] | None = _UNREAD
    _all: frozenset[Hashable] | None = _UNREAD
    _is_aimed = False
    _aim: Node | None = None

    def __init__(
        self,
        rank: tuple[int, ...],
        place: Place,
        schema: dict[str, Json],
        scope: Scope,
        catalogue: Catalogue,
    ) -> None:
        super().__init__(rank, place)
        self.schema = schema
        self.scope = scope
        self._catalogue = catalogue

    @property
    def is_used(self) -> bool:
        """Whether it has been expanded, or followed where it is a mere reference."""
        return any(found is not None for found in (self._alternatives, self._denials, self._evaluations, self._aim))

    def aim(self) -> Node | None:
        if "$ref" not in self.schema or self._is_aimed:
            return self._aim
        self._is_aimed = True  # a chain that comes back here ends here; it is found out when it is expanded
        reference = self.schema["$ref"]
        if isinstance(reference, str) and self._is_mere_reference():
            with suppress(UnsupportedFeature):
                target = self.scope.resolve(reference, (self.place, ("$ref",)))
                self._aim = self._catalogue.schema(target.schema, target.scope, target.place)
                for obligation in self._aim:
                    further = obligation.aim()
                    self._aim = self._aim if further is None else further
        return self._aim

    def _is_mere_reference(self) -> bool:
        if len(self.schema) == 1 or self.scope.draft <= Draft.DRAFT_7:
            return True
        keywords = keywords_of(self.scope.dialect)
        return not any(keyword in keywords for keyword in self.schema if keyword != "$ref")

    def _asserted(self) -> list[str]:
        """The keywords that say something here, in the schema's order."""
        if "$ref" in self.schema and self.scope.draft <= Draft.DRAFT_7:
            # "All other properties in a "$ref" object MUST be ignored" (draft 7, core, section 8.3).
            return ["$ref"]
        keywords = keywords_of(self.scope.dialect)
        return [keyword for keyword in self.schema if keyword in keywords]

    def _clauses(self) -> Clauses:
        """What the keywords say, each read by its function."""
        clauses = Clauses(self, self._catalogue)
        schema, keywords = self.schema, keywords_of(self.scope.dialect)
        for keyword in self._asserted():
            keywords[keyword](clauses, schema[keyword], schema)
        return clauses

    def has_keyword(self, keyword: str) -> bool:
        return keyword in self.schema

    def listed_values(self) -> frozenset[Hashable] | None:
        if self._listed is _UNREAD:
            self._listed = self._read_list()
        return self._listed

    def _read_list(self) -> frozenset[Hashable] | None:
        asserted = self._asserted()
        if "const" in asserted:
            return frozenset((equality_key(self.schema["const"], self.place),))
        if "enum" in asserted and isinstance(self.schema["enum"], list):
            return frozenset([equality_key(value, self.place) for value in self.schema["enum"]])
        return None

    def all_values(self) -> frozenset[Hashable] | None:
        if self._all is _UNREAD:
            self._all = self._list_if_complete()
        return self._all

    def _list_if_complete(self) -> frozenset[Hashable] | None:
        """The listed values, where nothing but their type is asserted besides."""
        asserted = self._asserted()
        if asserted in (["enum"], ["const"]):
            return self.listed_values()
        if "type" in asserted and sorted(asserted) in (["enum", "type"], ["const", "type"]):
            values = self.schema["enum"] if "enum" in self.schema else [self.schema["const"]]
            name = self.schema["type"]
            kind = KIND_OF_TYPE.get(name) if isinstance(name, str) else None
            # An integer is a number, but not the other way round.
            if name != "integer" and all(kind_of(value, self.place) is kind for value in values):
                return self.listed_values()
        return None

    def alternatives(self) -> Alternatives:
        if self._alternatives is None and self.schema.keys() & keywords_of(self.scope.dialect).keys() == _TYPE:
            self._alternatives = alternatives_of_type(self.schema["type"], self.scope.draft)
        return self._alternatives or self._read("_alternatives", Clauses.alternatives)

    def denials(self) -> Alternatives:
        return self._denials or self._read("_denials", Clauses.denials)

    def evaluations(self) -> Alternatives:
        return self._evaluations or self._read("_evaluations", Clauses.evaluations)

    def _read(self, name: str, reading: Callable[[Clauses], Alternatives]) -> Alternatives:
        known: Alternatives | None = getattr(self, name)
        if known is _UNDER_WAY:
            raise GrammarError("the schema refers to itself without anything in between", pointer=self.pointer)
        if known is None:
            check_time()
            setattr(self, name, _UNDER_WAY)
            try:
                known = reading(self._clauses())
            except BaseException:
                setattr(self, name, None)
                raise
            setattr(self, name, known)
        return known


@dataclass(frozen=True)
class ReadingOptions:
    """What the keywords have to know about the user's choices."""

    asserts_formats: bool
    # The pairs of branches that are known to hold at once for some values.
    overlaps: frozenset[Overlap] = frozenset()
    # Whether schemas that say the same are to be known as the same: what excludes each other becomes shorter.
    merges_copies: bool = False


class Catalogue:
    """The obligations of one reading, each there once."""

    def __init__(self, options: ReadingOptions) -> None:
        self.options = options
        self._count = 1
        self._by_schema: dict[tuple[int, int], Node] = {}
        self._by_value: dict[Hashable, Node] = {}
        self._by_content: dict[tuple[int, int], Node] = {}
        self._contents = Contents()
        self._told_apart = self._merged if options.merges_copies else self._new

    def schema(self, schema: Json, scope: Scope, place: Place) -> Node:
        """The node of one schema: a set of one obligation, or of none if it accepts everything."""
        if not isinstance(schema, dict):
            return _boolean(schema, place)
        key = id(schema), id(scope)
        node = self._by_schema.get(key)
        if node is None:
            if not schema:
                return ANYTHING
            inner = scope
            if "$id" in schema or "id" in schema:
                inner = scope.entered(schema, pointer_at(place))
            node = self._by_schema[key] = self._told_apart(schema, inner, place)
        return node

    def _merged(self, schema: dict[str, Json], scope: Scope, place: Place) -> Node:
        """The node of a schema, that of the first one which says the same."""
        copy = self._contents.number(schema, keywords_of(scope.dialect)), id(scope)
        node = self._by_content.get(copy)
        if node is None:
            node = self._by_content[copy] = self._new(schema, scope, place)
        return node

    def _new(self, schema: dict[str, Json], scope: Scope, place: Place) -> Node:
        self._count += 1
        return frozenset((SchemaObligation((self._count,), place, schema, scope, self),))

    def used(self, schema: Mapping[str, Json]) -> SchemaObligation | None:
        """The obligation of a schema object that was read on the way, in any of its scopes."""
        return self._used.get(id(schema))

    @cached_property
    def _used(self) -> dict[int, SchemaObligation]:
        """By the identity of the schema object; complete once reading is over."""
        return {
            schema: obligation
            for (schema, _), node in self._by_schema.items()
            for obligation in node
            if isinstance(obligation, SchemaObligation) and obligation.is_used
        }

    def next_rank(self) -> tuple[int, ...]:
        """The rank of one more obligation."""
        self._count += 1
        return (self._count,)

    def value(self, value: Json, place: Place) -> Node:
        """The node of the values equal to this one."""
        key = equality_key(value, place)
        node = self._by_value.get(key)
        if node is None:
            alternatives = self.values([value], place)
            node = self._by_value[key] = frozenset((ValueObligation(self.next_rank(), place, alternatives, key),))
        return node

    def values(self, values: list[Json], place: Place) -> Alternatives:
        """The alternatives of an enumeration; values that no UTF-8 text can spell are left out."""
        booleans: set[bool] = set()
        numbers: set[Fraction] = set()
        strings: set[str] = set()
        result: dict[Kind, tuple[Demand, ...]] = {}
        for value in values:
            kind = kind_of(value, place)
            if kind is Kind.NULL:
                result[kind] = (NullDemand(),)
            elif kind is Kind.BOOLEAN:
                booleans.add(value)
            elif kind is Kind.NUMBER:
                numbers.add(exact(value, place))
            elif kind is Kind.STRING:
                if is_spellable(value):
                    strings.add(value)
            elif kind is Kind.ARRAY:
                items = tuple([self.value(item, place) for item in value])
                result[kind] = (*result.get(kind, ()), ArrayDemand(items, NOTHING, len(items)))
            else:
                properties = {name: self.value(item, place) for name, item in value.items()}
                result[kind] = (*result.get(kind, ()), ObjectDemand(properties, tuple(properties), NOTHING))
        if booleans:
            result[Kind.BOOLEAN] = (BooleanDemand(frozenset(booleans)),)
        if numbers:
            result[Kind.NUMBER] = (NumberDemand(values=frozenset(numbers)),)
        if strings:
            result[Kind.STRING] = (StringDemand(values=frozenset(strings)),)
        return result


def _boolean(schema: Json, place: Place) -> Node:
    """The node of a schema that is no object."""
    if schema is True:
        return ANYTHING
    if schema is False:
        return NOTHING
    raise GrammarError(f"a schema must be an object or a boolean, not {shown(schema)}", pointer=pointer_at(place))
