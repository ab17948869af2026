"""Schemas that describe every value in one place, read straight to their shapes: most of those that people write.

A plain schema object speaks by its type, a mere reference, or branches of different types. So there is nothing to
merge, to negate or to tell apart, and everything has values unless a node needs itself. One pass numbers the nodes in
the order in which `satisfiability.Remains` does: the general way comes to the same shapes.

What is not plain, is malformed or has no value leaves the schema as a whole to the general way, which has the words for
it. Numbers, and scalars beside others, are asked of it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from tokamask.errors import GrammarError
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.formats import format_language
from tokamask.grammar.json_schema.catalogue import Catalogue, ReadingOptions, SchemaObligation
from tokamask.grammar.json_schema.demands import BooleanDemand, Demand, NumberDemand, StringDemand
from tokamask.grammar.json_schema.dialects import Dialect
from tokamask.grammar.json_schema.drafts import Draft, formats_of
from tokamask.grammar.json_schema.expansion import NumberShaping
from tokamask.grammar.json_schema.keywords import KIND_OF_TYPE, alternatives_of_type, keywords_of
from tokamask.grammar.json_schema.outlines import LEAVES
from tokamask.grammar.json_schema.references import Scope
from tokamask.grammar.json_schema.shapes import ArrayShape, ObjectShape, Property, ScalarShape, Shape, StringShape
from tokamask.grammar.json_schema.shaping import NULL, boolean_shape, string_shape
from tokamask.grammar.json_schema.values import Json, Kind, are_spellable
from tokamask.grammar.language import Language
from tokamask.grammar.regular_expression import pattern_language

__all__ = ["plain_nodes"]

# Schema objects, at most: the general way counts what it unfolds, and by default it can unfold and explain as many.
MOST_OBJECTS = 20_000
# References that lead to references, at most so often.
MOST_STEPS = 8

T = TypeVar("T")

Schema = dict[str, Json]
Leaf = ScalarShape | StringShape
# What the values of a node are, by kind; of arrays and objects, the schema object that says what is in them.
Parts = Mapping[Kind, Leaf | Schema]

_TYPE = frozenset(("type",))
_OF_ARRAYS = frozenset(("type", "items", "additionalItems", "minItems", "maxItems"))
_OF_OBJECTS = frozenset(("type", "properties", "required", "additionalProperties"))
_OF_STRINGS = frozenset(("type", "enum", "minLength", "maxLength", "pattern", "format"))
_OF_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))
_IDENTIFIERS = frozenset(("$id", "id"))
_LISTS = frozenset(("enum", "const"))
_ASSERTIONS = _OF_ARRAYS | _OF_OBJECTS | _OF_STRINGS | _OF_NUMBERS | _LISTS
_BRANCHES = frozenset(("anyOf", "oneOf", "allOf"))
_ON_TEXTS = frozenset(("pattern", "format"))
_TEXT = frozenset((str,))
_TYPES = tuple(name for name in KIND_OF_TYPE if name != "integer")
_ANYTHING: Schema = {}


class _NotPlain(Exception):
    """It has to be read the general way."""


def plain_nodes(
    schema: Json, scope: Scope, options: ReadingOptions, number_shape: NumberShaping
) -> tuple[tuple[Shape, ...], ...] | None:
    """The shapes of a schema's nodes, the root first; None where it has to be read the general way."""
    if scope.dialect.without:
        return None
    try:
        return _PlainReading(scope, options, number_shape).nodes(schema)
    except (_NotPlain, GrammarError, RecursionError):  # branches may refer to themselves
        return None


class _PlainReading:
    """The nodes of one schema, by number."""

    def __init__(self, scope: Scope, options: ReadingOptions, number_shape: NumberShaping) -> None:
        self._scope = scope
        self._options = options
        self._number_shape = number_shape
        self._telling = _telling(scope.dialect)
        self._most = min(present_budget().nodes, MOST_OBJECTS)
        # By the identity of the schema object; of nodes without children, by their shapes.
        self._numbers: dict[int, int] = {}
        self._leaves: dict[tuple[Leaf, ...], int] = {}
        # By number: all shapes of a node without children, what there is of another.
        self._found: list[tuple[Leaf, ...] | Parts] = []
        # Of nodes, those with children that each of their values needs.
        self._needs: dict[int, list[int]] = {}

    def nodes(self, schema: Json) -> tuple[tuple[Shape, ...], ...]:
        self._number(schema)
        nodes: list[tuple[Shape, ...]] = []
        for found in self._found:  # grows meanwhile
            if isinstance(found, tuple):
                nodes.append(found)
            else:
                nodes.append(tuple([self._shape(kind, part, len(nodes)) for kind, part in found.items()]))
        self._expect_values()
        return tuple(nodes)

    def _number(self, schema: Json) -> int:
        """The number of a schema's node, that of an earlier one where both are of scalars that are spelled alike."""
        number = self._numbers.get(id(schema))
        if number is None:
            number = self._numbers[id(schema)] = self._new(schema)
        return number

    def _new(self, schema: Json) -> int:
        if schema is True or (schema == _ANYTHING and schema is not _ANYTHING):
            return self._number(_ANYTHING)
        if not isinstance(schema, dict) or len(self._numbers) >= self._most:
            raise _NotPlain
        if "$ref" in schema:
            return self._number(self._aim(schema))
        parts = self._parts(schema)
        leaf = tuple([part for part in parts.values() if isinstance(part, LEAVES)])
        fresh = len(self._found)
        if len(leaf) < len(parts):
            self._found.append(parts)
            return fresh
        number = self._leaves.setdefault(leaf, fresh)
        if number == fresh:
            self._found.append(leaf)
        return number

    def _aim(self, schema: Schema) -> Json:
        """The schema at the end of a chain of mere references."""
        for _ in range(MOST_STEPS):
            reference = schema["$ref"]
            if not isinstance(reference, str) or not reference.startswith("#"):
                raise _NotPlain
            if self._scope.draft > Draft.DRAFT_7 and len(schema.keys() & self._telling) > 1:
                raise _NotPlain
            target = self._scope.resolve(reference, "#")
            schema = target.schema
            if target.scope is not self._scope:
                raise _NotPlain
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema
        raise _NotPlain

    def _parts(self, schema: Schema) -> Parts:
        said = schema.keys() & self._telling
        if schema is self._scope.document:
            said -= _IDENTIFIERS
        name = schema.get("type")
        if name == "object":
            if said <= _OF_OBJECTS:
                return {Kind.OBJECT: schema}
        elif name == "array":
            if said <= _OF_ARRAYS:
                return {Kind.ARRAY: schema}
        elif not said:
            return _of_types(_TYPES, self._scope.draft, self._number_shape)
        elif said == _TYPE and isinstance(name, str):
            return _of_types((name,), self._scope.draft, self._number_shape)
        elif name == "string" and said <= _OF_STRINGS:
            return {Kind.STRING: self._string(schema, said)}
        if said <= _ASSERTIONS:
            return self._asserted(schema, said)
        if len(said) == 1 and said <= _BRANCHES:
            (keyword,) = said
            return self._joined(keyword, schema[keyword])
        raise _NotPlain

    def _string(self, schema: Schema, said: Set[str]) -> StringShape:
        minimum, maximum = _bounds(schema, "minLength", "maxLength")
        languages: list[Language] = []
        for keyword, value in schema.items():
            if keyword in _ON_TEXTS:
                if not isinstance(value, str):
                    raise _NotPlain
                if keyword == "pattern":
                    languages.append(pattern_language(value, dialect="ecma", search=True))
                elif self._options.asserts_formats and value in formats_of(self._scope.draft):
                    languages.append(_expected(format_language(value)))
        values = None
        if "enum" in said:
            listed = schema["enum"]
            if not isinstance(listed, list) or not _TEXT.issuperset(map(type, listed)) or not are_spellable(listed):
                raise _NotPlain
            values = frozenset(listed)
        return _expected(string_shape(StringDemand(minimum, maximum, tuple(languages), values)))

    def _asserted(self, schema: Schema, said: Set[str]) -> Parts:
        """The general way's word for scalars of any type, beside arrays and objects that are not listed."""
        obligation = SchemaObligation((1,), "#", schema, self._scope, Catalogue(self._options))
        parts: dict[Kind, Leaf | Schema] = {}
        for kind, demands in obligation.alternatives().items():
            if len(demands) > 1 or demands[0].concerns:
                raise _NotPlain
            if kind < Kind.ARRAY:
                parts[kind] = _leaf(demands[0], self._number_shape)
            elif said.isdisjoint(_LISTS):
                parts[kind] = schema
            else:
                raise _NotPlain
        if not parts:
            raise _NotPlain
        return parts

    def _joined(self, keyword: str, branches: Json) -> Parts:
        """Branches of different types: of those that exclude each other, `anyOf` and `oneOf` say the same."""
        if not isinstance(branches, list) or not branches or (keyword == "allOf" and len(branches) > 1):
            raise _NotPlain
        parts: dict[Kind, Leaf | Schema] = {}
        for branch in branches:
            if not isinstance(branch, dict):
                raise _NotPlain
            described = self._aim(branch) if "$ref" in branch else branch
            if not isinstance(described, dict):
                raise _NotPlain
            further = self._parts(described)
            if not parts.keys().isdisjoint(further):
                raise _NotPlain
            parts.update(further)
        return parts

    def _shape(self, kind: Kind, part: Leaf | Schema, node: int) -> Shape:
        """The shape of a part of a node; what is below gets its number."""
        if not isinstance(part, dict):
            return part
        check_time()
        return self._object(part, node) if kind is Kind.OBJECT else self._array(part, node)

    def _object(self, schema: Schema, node: int) -> ObjectShape:
        properties, required = schema.get("properties", _ANYTHING), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise _NotPlain
        if not _TEXT.issuperset(map(type, properties)) or not _TEXT.issuperset(map(type, required)):
            raise _NotPlain
        others = schema.get("additionalProperties", True)
        additional = None if others is False else self._number(others)
        needed = frozenset(required)
        if not needed.issubset(properties):
            if additional is None:
                raise _NotPlain
            properties = {**properties, **{name: others for name in required if name not in properties}}
        if not are_spellable(properties):
            raise _NotPlain
        declared = tuple(
            [Property(name.encode(), self._number(value), name in needed) for name, value in properties.items()]
        )
        if needed:
            self._need([value for _, value, is_required in declared if is_required], node)
        return ObjectShape(declared, additional)

    def _array(self, schema: Schema, node: int) -> ArrayShape:
        minimum, maximum = _bounds(schema, "minItems", "maxItems")
        # `additionalItems` says nothing without a tuple beside it. Where there are no items, they have no node.
        if maximum == 0 or not isinstance(schema.get("additionalItems", True), bool):
            raise _NotPlain
        rest = self._number(schema.get("items", True))
        if minimum:
            self._need([rest], node)
        return ArrayShape((), rest, minimum, maximum)

    def _need(self, children: Iterable[int | None], node: int) -> None:
        """Note what the values of a node need. (Scalars have values.)"""
        needed = [child for child in children if child is not None and not isinstance(self._found[child], tuple)]
        if needed:
            self._needs.setdefault(node, []).extend(needed)

    def _expect_values(self) -> None:
        """No node needs itself. Mostly all that is needed comes later, so that none can."""
        if any(min(needed) <= node for node, needed in self._needs.items()):
            try:
                TopologicalSorter(self._needs).prepare()
            except CycleError:
                raise _NotPlain from None


@cache
def _telling(dialect: Dialect) -> frozenset[str]:
    """The keywords of a dialect, and that which gives a schema a base of its own."""
    return frozenset((*keywords_of(dialect), "id" if dialect.draft is Draft.DRAFT_4 else "$id"))


@cache
def _of_types(names: tuple[str, ...], draft: Draft, number_shape: NumberShaping) -> Parts:
    """The values of some types, of which no two overlap."""
    parts: dict[Kind, Leaf | Schema] = {}
    for name in names:
        for kind, (demand,) in _expected(alternatives_of_type(name, draft)).items():
            parts[kind] = _leaf(demand, number_shape) if kind < Kind.ARRAY else _ANYTHING
    return parts


def _leaf(demand: Demand, number_shape: NumberShaping) -> Leaf:
    """The spellings of scalars or strings."""
    match demand:
        case StringDemand():
            return _expected(string_shape(demand))
        case NumberDemand():
            return _expected(number_shape(demand))
        case BooleanDemand():
            return _expected(boolean_shape(demand))
        case _:
            return NULL


def _expected(found: T | None) -> T:
    """What was found; nothing is a case for the general way."""
    if found is None:
        raise _NotPlain
    return found


def _bounds(schema: Schema, least: str, most: str) -> tuple[int, int | None]:
    """The values of two keywords, as nearly all are written, with something between them."""
    minimum = schema.get(least, 0)
    maximum = schema.get(most, minimum)
    if type(minimum) is not int or type(maximum) is not int or not 0 <= minimum <= maximum:
        raise _NotPlain
    return minimum, maximum if most in schema else None
