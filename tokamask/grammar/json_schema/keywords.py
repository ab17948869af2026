"""One function per keyword, all with one signature, found through a table.

Each checks its own value, so a malformed schema is reported at the keyword that is wrong, and adds to the clauses of
the schema object it stands in. A keyword that is not in the table of its draft is an annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from tokamask.errors import UnsupportedFeature
from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.container_keywords import (
    additional_items,
    additional_properties,
    contains,
    contains_and_evaluates,
    contains_so_many,
    dependencies,
    dependent_required,
    dependent_schemas,
    items,
    items_or_tuple,
    max_items,
    max_properties,
    min_items,
    min_properties,
    pattern_properties,
    prefix_items,
    properties,
    property_names,
    required,
    unevaluated_items,
    unevaluated_properties,
    unique_items,
)
from tokamask.grammar.json_schema.demands import ANY_DEMAND, ANY_INTEGER, PLAIN_INTEGER, Alternatives, Node
from tokamask.grammar.json_schema.dialects import Dialect
from tokamask.grammar.json_schema.drafts import Draft
from tokamask.grammar.json_schema.keyword_values import Keyword, Schema, malformed, schemas_of
from tokamask.grammar.json_schema.scalar_keywords import (
    exclusive_maximum,
    exclusive_maximum_flag,
    exclusive_minimum,
    exclusive_minimum_flag,
    format_,
    max_length,
    maximum,
    min_length,
    minimum,
    multiple_of,
    pattern,
)
from tokamask.grammar.json_schema.values import Json, Kind

KIND_OF_TYPE: Mapping[str, Kind] = {
    "null": Kind.NULL,
    "boolean": Kind.BOOLEAN,
    "integer": Kind.NUMBER,
    "number": Kind.NUMBER,
    "string": Kind.STRING,
    "array": Kind.ARRAY,
    "object": Kind.OBJECT,
}
_TYPES: Mapping[str, Alternatives] = {
    **{name: {kind: (ANY_DEMAND[kind],)} for name, kind in KIND_OF_TYPE.items()},
    "integer": {Kind.NUMBER: (ANY_INTEGER,)},
}
_TYPES_OF_DRAFT_4: Mapping[str, Alternatives] = {**_TYPES, "integer": {Kind.NUMBER: (PLAIN_INTEGER,)}}


# Any type ------------------------------------------------------------------------------------------------------------


def type_(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, str) and value in KIND_OF_TYPE:
        clauses.kinds = (KIND_OF_TYPE[value],)
        clauses.integral = value == "integer"
        return
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name in KIND_OF_TYPE for name in names):
        malformed(clauses, "type", f"one or several of {', '.join(KIND_OF_TYPE)}", value)
    clauses.kinds = tuple(dict.fromkeys([KIND_OF_TYPE[name] for name in names]))
    clauses.integral = "integer" in names and "number" not in names


def alternatives_of_type(value: Json, draft: Draft) -> Alternatives | None:
    """What a schema means that asserts nothing but a type; None unless that is the name of one."""
    if not isinstance(value, str):
        return None
    return (_TYPES_OF_DRAFT_4 if draft < Draft.DRAFT_6 else _TYPES).get(value)


def type_or_null(clauses: Clauses, value: Json, schema: Schema) -> None:
    """`nullable` adds null to what `type` allows, and to nothing else (OpenAPI 3.0.3, Schema Object)."""
    type_(clauses, value, schema)
    if schema.get("nullable") is True:
        clauses.kinds = tuple(dict.fromkeys((*clauses.kinds, Kind.NULL)))


def nullable(clauses: Clauses, value: Json, schema: Schema) -> None:
    """`type_or_null` reads it."""
    if not isinstance(value, bool):
        malformed(clauses, "nullable", "true or false", value)


def enum(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, list):
        malformed(clauses, "enum", "an array of values", value)
    clauses.require_value(value, "enum")


def const(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_value([value], "const")


# Combinations and references -----------------------------------------------------------------------------------------


def all_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    for node in schemas_of(clauses, "allOf", value):
        clauses.require_any_of([node], "allOf")


def any_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_any_of(schemas_of(clauses, "anyOf", value), "anyOf")


def one_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_exactly_one_of(schemas_of(clauses, "oneOf", value), "oneOf")


def not_(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_not(clauses.child(value, "not"), "not")


def if_(clauses: Clauses, value: Json, schema: Schema) -> None:
    condition = clauses.child(value, "if")
    then, otherwise = [clauses.child(schema.get(branch, True), branch) for branch in ("then", "else")]
    clauses.require_case(condition, then, otherwise, "if")


def ref(clauses: Clauses, value: Json, schema: Schema) -> None:
    _follow(clauses, "$ref", value, lambda: clauses.referenced(value, "$ref"))


def recursive_ref(clauses: Clauses, value: Json, schema: Schema) -> None:
    _follow(clauses, "$recursiveRef", value, lambda: clauses.dynamically_referenced(value, "", "$recursiveRef"))


def dynamic_ref(clauses: Clauses, value: Json, schema: Schema) -> None:
    name = value.partition("#")[2] if isinstance(value, str) else ""
    _follow(clauses, "$dynamicRef", value, lambda: clauses.dynamically_referenced(value, name, "$dynamicRef"))


def _follow(clauses: Clauses, keyword: str, value: Json, referenced: Callable[[], Node]) -> None:
    if not isinstance(value, str):
        malformed(clauses, keyword, "a reference", value)
    try:
        node = referenced()
    except UnsupportedFeature as error:
        clauses.refuse(keyword, error.message)
    else:
        clauses.require_any_of([node], keyword)


_DRAFT_4: Mapping[str, Keyword] = {
    "$ref": ref,
    "type": type_,
    "enum": enum,
    "minimum": minimum,
    "maximum": maximum,
    "exclusiveMinimum": exclusive_minimum_flag,
    "exclusiveMaximum": exclusive_maximum_flag,
    "multipleOf": multiple_of,
    "minLength": min_length,
    "maxLength": max_length,
    "pattern": pattern,
    "format": format_,
    "items": items_or_tuple,
    "additionalItems": additional_items,
    "minItems": min_items,
    "maxItems": max_items,
    "uniqueItems": unique_items,
    "properties": properties,
    "required": required,
    "additionalProperties": additional_properties,
    "patternProperties": pattern_properties,
    "minProperties": min_properties,
    "maxProperties": max_properties,
    "dependencies": dependencies,
    "allOf": all_of,
    "anyOf": any_of,
    "oneOf": one_of,
    "not": not_,
}
_OPENAPI_3_0: Mapping[str, Keyword] = {**_DRAFT_4, "type": type_or_null, "nullable": nullable}
_DRAFT_6: Mapping[str, Keyword] = {
    **_DRAFT_4,
    "const": const,
    "contains": contains,
    "exclusiveMinimum": exclusive_minimum,
    "exclusiveMaximum": exclusive_maximum,
    "propertyNames": property_names,
}
_DRAFT_7: Mapping[str, Keyword] = {**_DRAFT_6, "if": if_}
_DRAFT_2019_09: Mapping[str, Keyword] = {
    # Among them `dependencies`: split into two keywords, it is deprecated, but still said by schemas that mean it
    # (metaschema, $comment), and which name no draft at all.
    **_DRAFT_7,
    "$recursiveRef": recursive_ref,
    "dependentRequired": dependent_required,
    "dependentSchemas": dependent_schemas,
    "contains": contains_so_many,
    "unevaluatedItems": unevaluated_items,
    "unevaluatedProperties": unevaluated_properties,
}
_DRAFT_2020_12: Mapping[str, Keyword] = {
    **{
        keyword: read for keyword, read in _DRAFT_2019_09.items() if keyword not in ("$recursiveRef", "additionalItems")
    },
    "$dynamicRef": dynamic_ref,
    "items": items,
    "prefixItems": prefix_items,
    "contains": contains_and_evaluates,
}
KEYWORDS: Mapping[Draft, Mapping[str, Keyword]] = {
    Draft.DRAFT_4: _DRAFT_4,
    Draft.OPENAPI_3_0: _OPENAPI_3_0,
    Draft.DRAFT_6: _DRAFT_6,
    Draft.DRAFT_7: _DRAFT_7,
    Draft.DRAFT_2019_09: _DRAFT_2019_09,
    Draft.DRAFT_2020_12: _DRAFT_2020_12,
}


@cache
def keywords_of(dialect: Dialect) -> Mapping[str, Keyword]:
    """The keywords that mean something in a dialect."""
    keywords = KEYWORDS[dialect.draft]
    if not dialect.without:
        return keywords
    return {keyword: read for keyword, read in keywords.items() if keyword not in dialect.without}
