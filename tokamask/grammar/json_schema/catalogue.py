"""The obligations of one reading. The same schema object reached twice (by references, by recursion) is the same
obligation, which is what makes the sets of them finite."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from tokamask.errors import GrammarError, UnsupportedFeature
from tokamask.grammar.json_schema.clauses import Clauses
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
    StringDemand,
)
from tokamask.grammar.json_schema.drafts import Draft
from tokamask.grammar.json_schema.keywords import KEYWORDS
from tokamask.grammar.json_schema.obligations import NOTHING, KnownObligation, Obligation, Place, pointer_at
from tokamask.grammar.json_schema.references import Scope
from tokamask.grammar.json_schema.values import Json, Kind, equality_key, exact, is_spellable, kind_of


class SchemaObligation(Obligation):
    """A schema object in its scope."""

    __slots__ = ("_aim", "_alternatives", "_catalogue", "_is_aimed", "_is_open", "schema", "scope")

    def __init__(
        self,
        serial: int,
        place: Place,
        schema: dict[str, Json],
        scope: Scope,
        catalogue: Catalogue,
    ) -> None:
        super().__init__(serial, place)
        self.schema = schema
        self.scope = scope
        self._catalogue = catalogue
        self._alternatives: Alternatives | None = None
        self._is_open = False
        self._is_aimed = False
        self._aim: Node | None = None

    @property
    def is_used(self) -> bool:
        """Whether it has been expanded, or followed where it is a mere reference."""
        return self._alternatives is not None or self._aim is not None

    def aim(self) -> Node | None:
        if "$ref" not in self.schema or self._is_aimed:
            return self._aim
        self._is_aimed = True  # a chain that comes back here ends here; it is found out when it is expanded
        reference = self.schema["$ref"]
        if isinstance(reference, str) and self._is_mere_reference():
            with suppress(UnsupportedFeature):
                target = self.scope.resolve(reference, f"{self.pointer}/$ref")
                self._aim = self._catalogue.schema(target.schema, target.scope, target.place)
                for obligation in self._aim:
                    further = obligation.aim()
                    self._aim = self._aim if further is None else further
        return self._aim

    def _is_mere_reference(self) -> bool:
        if len(self.schema) == 1 or self.scope.draft <= Draft.DRAFT_7:
            return True
        keywords = KEYWORDS[self.scope.draft]
        return not any(keyword in keywords for keyword in self.schema if keyword != "$ref")

    def clauses(self) -> Clauses:
        """What the keywords say, each read by its function."""
        clauses = Clauses(self, self._catalogue)
        keywords = KEYWORDS[self.scope.draft]
        schema = self.schema
        if "$ref" in schema and self.scope.draft <= Draft.DRAFT_7:
            # "All other properties in a "$ref" object MUST be ignored" (draft 7, core, section 8.3).
            keywords["$ref"](clauses, schema["$ref"], schema)
            return clauses
        for keyword, value in schema.items():
            read = keywords.get(keyword)
            if read is not None:
                read(clauses, value, schema)
        return clauses

    def has_keyword(self, keyword: str) -> bool:
        return keyword in self.schema

    def listed_values(self) -> frozenset[Hashable] | None:
        schema = self.schema
        if "$ref" in schema and self.scope.draft <= Draft.DRAFT_7:
            return None
        if "const" in schema and self.scope.draft >= Draft.DRAFT_6:
            return frozenset((equality_key(schema["const"], self.pointer),))
        if isinstance(schema.get("enum"), list):
            return frozenset(equality_key(value, self.pointer) for value in schema["enum"])
        return None

    def alternatives(self) -> Alternatives:
        if self._alternatives is None:
            if self._is_open:
                raise GrammarError("the schema refers to itself without anything in between", pointer=self.pointer)
            self._is_open = True
            try:
                self._alternatives = self.clauses().alternatives()
            finally:
                self._is_open = False
        return self._alternatives


@dataclass(frozen=True)
class ReadingOptions:
    """What the keywords have to know about the user's choices."""

    asserts_formats: bool


class Catalogue:
    """The obligations of one reading, each there once."""

    def __init__(self, options: ReadingOptions) -> None:
        self.options = options
        self._count = 1
        self._by_schema: dict[tuple[int, int], Node] = {}
        self._by_value: dict[Hashable, Node] = {}

    def schema(self, schema: Json, scope: Scope, place: Place) -> Node:
        """The node of one schema: a set of one obligation, or of none if it accepts everything."""
        if schema is True:
            return ANYTHING
        if schema is False:
            return NOTHING
        if not isinstance(schema, dict):
            pointer = pointer_at(place)
            raise GrammarError(f"a schema must be an object or a boolean, not {schema!r:.40}", pointer=pointer)
        if not schema:
            return ANYTHING
        node = self._by_schema.get((id(schema), id(scope)))
        if node is None:
            inner = scope
            if "$id" in schema or "id" in schema:
                inner = scope.entered(schema, pointer_at(place))
            node = frozenset((SchemaObligation(self._count, place, schema, inner, self),))
            self._count += 1
            self._by_schema[id(schema), id(scope)] = node
        return node

    def used(self, schema: Mapping[str, Json], scope: Scope) -> SchemaObligation | None:
        """The obligation of a schema object that was expanded on the way."""
        for obligation in self._by_schema.get((id(schema), id(scope)), ()):
            if isinstance(obligation, SchemaObligation) and obligation.is_used:
                return obligation
        return None

    def known(self, alternatives: Alternatives, place: Place) -> Node:
        """The node of alternatives that are already there."""
        self._count += 1
        return frozenset((KnownObligation(self._count, place, alternatives),))

    def value(self, value: Json, pointer: str) -> Node:
        """The node of the values equal to this one."""
        key = equality_key(value, pointer)
        node = self._by_value.get(key)
        if node is None:
            node = self._by_value[key] = self.known(self.values([value], pointer), pointer)
        return node

    def values(self, values: list[Json], pointer: str) -> Alternatives:
        """The alternatives of an enumeration; values that no UTF-8 text can spell are left out."""
        booleans: set[bool] = set()
        numbers: set[Fraction] = set()
        strings: set[str] = set()
        result: dict[Kind, tuple[Demand, ...]] = {}
        for value in values:
            kind = kind_of(value, pointer)
            if kind is Kind.NULL:
                result[kind] = (NullDemand(),)
            elif kind is Kind.BOOLEAN:
                booleans.add(value)
            elif kind is Kind.NUMBER:
                numbers.add(exact(value, pointer))
            elif kind is Kind.STRING:
                if is_spellable(value):
                    strings.add(value)
            elif kind is Kind.ARRAY:
                items = tuple([self.value(item, pointer) for item in value])
                result[kind] = (*result.get(kind, ()), ArrayDemand(items, NOTHING, len(items), len(items)))
            else:
                properties = {name: self.value(item, pointer) for name, item in value.items()}
                result[kind] = (*result.get(kind, ()), ObjectDemand(properties, tuple(properties), NOTHING))
        if booleans:
            result[Kind.BOOLEAN] = (BooleanDemand(frozenset(booleans)),)
        if numbers:
            result[Kind.NUMBER] = (NumberDemand(values=frozenset(numbers)),)
        if strings:
            result[Kind.STRING] = (StringDemand(values=frozenset(strings)),)
        return result
