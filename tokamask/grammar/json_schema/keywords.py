"""One function per keyword, all with one signature, found through a table.

Each checks its own value, so a malformed schema is reported at the keyword that is wrong, and adds to the clauses of
the schema object it stands in. A keyword that is not in the table of its draft is an annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import NoReturn

from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.formats import format_language, format_refusal
from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.demands import (
    ANY_DEMAND,
    ANY_INTEGER,
    ANYTHING,
    PLAIN_INTEGER,
    Alternatives,
    ItemCount,
    NameRule,
    Node,
    PropertyCount,
)
from tokamask.grammar.json_schema.dialects import Dialect
from tokamask.grammar.json_schema.drafts import Draft, formats_of
from tokamask.grammar.json_schema.merging import common_multiple
from tokamask.grammar.json_schema.values import Json, Kind, exact, is_number
from tokamask.grammar.language import Language
from tokamask.grammar.regular_expression import pattern_language

Schema = Mapping[str, Json]
Keyword = Callable[[Clauses, Json, Schema], None]

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


def _malformed(clauses: Clauses, keyword: str, expected: str, value: Json) -> NoReturn:
    raise GrammarError(f"{keyword} must be {expected}, not {value!r:.60}", pointer=clauses.pointer(keyword))


def _count(clauses: Clauses, keyword: str, value: Json) -> int:
    """A length: a number that is integral (2.0 is) and not negative."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if is_number(value):
        number = exact(value, clauses.place(keyword))
        if number.denominator == 1 and number >= 0:
            return int(number)
    _malformed(clauses, keyword, "an integer of at least 0", value)


def _number(clauses: Clauses, keyword: str, value: Json) -> Fraction:
    if not is_number(value):
        _malformed(clauses, keyword, "a number", value)
    return exact(value, clauses.place(keyword))


def _names(clauses: Clauses, keyword: str, value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        _malformed(clauses, keyword, "an array of property names", value)
    return value


def _schemas(clauses: Clauses, keyword: str, value: Json) -> list[Node]:
    if not isinstance(value, list):
        _malformed(clauses, keyword, "an array of schemas", value)
    return [clauses.child(schema, keyword, index) for index, schema in enumerate(value)]


def _object(clauses: Clauses, keyword: str, value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        _malformed(clauses, keyword, "an object", value)
    strange = [name for name in value if not isinstance(name, str)]
    if strange:
        raise GrammarError(f"the key {strange[0]!r} is not text", pointer=clauses.pointer(keyword))
    return value


# Any type ------------------------------------------------------------------------------------------------------------


def type_(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, str) and value in KIND_OF_TYPE:
        clauses.kinds = (KIND_OF_TYPE[value],)
        clauses.integral = value == "integer"
        return
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name in KIND_OF_TYPE for name in names):
        _malformed(clauses, "type", f"one or several of {', '.join(KIND_OF_TYPE)}", value)
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
        _malformed(clauses, "nullable", "true or false", value)


def enum(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, list):
        _malformed(clauses, "enum", "an array of values", value)
    clauses.require_value(value, "enum")


def const(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_value([value], "const")


# Numbers -------------------------------------------------------------------------------------------------------------


def minimum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.raise_lower(_number(clauses, "minimum", value), False)


def maximum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.reduce_upper(_number(clauses, "maximum", value), False)


def exclusive_minimum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.raise_lower(_number(clauses, "exclusiveMinimum", value), True)


def exclusive_maximum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.reduce_upper(_number(clauses, "exclusiveMaximum", value), True)


def exclusive_minimum_flag(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        _malformed(clauses, "exclusiveMinimum", "true or false in draft 4", value)
    if value and "minimum" in schema:
        clauses.raise_lower(_number(clauses, "minimum", schema["minimum"]), True)


def exclusive_maximum_flag(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        _malformed(clauses, "exclusiveMaximum", "true or false in draft 4", value)
    if value and "maximum" in schema:
        clauses.reduce_upper(_number(clauses, "maximum", schema["maximum"]), True)


def multiple_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    number = _number(clauses, "multipleOf", value)
    if number <= 0:
        _malformed(clauses, "multipleOf", "a number above 0", value)
    clauses.multiple_of = common_multiple(clauses.multiple_of, number)


# Strings -------------------------------------------------------------------------------------------------------------


def min_length(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.minimum_length = _count(clauses, "minLength", value)


def max_length(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.maximum_length = _count(clauses, "maxLength", value)


def pattern(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, str):
        _malformed(clauses, "pattern", "a regular expression", value)
    language = _expression(clauses, value, "pattern", Kind.STRING)
    if language is not None:
        clauses.languages += (language,)


def _expression(clauses: Clauses, value: str, keyword: str, kind: Kind) -> Language | None:
    """The texts in which a pattern is found; None, and the keyword refused, when it cannot be enforced."""
    try:
        return pattern_language(value, dialect="ecma", search=True)
    except (UnsupportedFeature, CompileBudgetExceeded) as error:
        clauses.refuse(keyword, error.message, kind)
        return None
    except GrammarSyntaxError as error:
        raise GrammarSyntaxError(
            f"{keyword}, read as ECMA-262: {error.reason}",
            source=error.source,
            offset=error.offset,
            pointer=clauses.pointer(keyword),
        ) from error


def format_(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, str):
        _malformed(clauses, "format", "the name of a format", value)
    if not clauses.asserts_formats or value not in formats_of(clauses.draft):
        return
    language = format_language(value)
    if language is None:
        clauses.refuse("format", format_refusal(value), Kind.STRING)
    else:
        clauses.languages += (language,)


# Arrays --------------------------------------------------------------------------------------------------------------


def items(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, list):
        _malformed(clauses, "items", "a schema (prefixItems takes an array; so did items up to draft 2019-09)", value)
    clauses.rest = clauses.child(value, "items")


def items_or_tuple(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, list):
        clauses.prefix = tuple(_schemas(clauses, "items", value))
    else:
        clauses.rest = clauses.child(value, "items")


def prefix_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.prefix = tuple(_schemas(clauses, "prefixItems", value))


def additional_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    node = clauses.child(value, "additionalItems")
    if isinstance(schema.get("items"), list):
        clauses.rest = node


def min_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.minimum_items = max(clauses.minimum_items, _count(clauses, "minItems", value))


def max_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.maximum_items = _count(clauses, "maxItems", value)


def unique_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        _malformed(clauses, "uniqueItems", "true or false", value)
    if value:
        clauses.distinct = clauses.pointer("uniqueItems")


def contains(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.counts = (ItemCount(clauses.child(value, "contains"), 0, 1, None),)


def contains_so_many(clauses: Clauses, value: Json, schema: Schema) -> None:
    least = _count(clauses, "minContains", schema["minContains"]) if "minContains" in schema else 1
    most = _count(clauses, "maxContains", schema["maxContains"]) if "maxContains" in schema else None
    clauses.counts = (ItemCount(clauses.child(value, "contains"), 0, least, most),)


def contains_and_evaluates(clauses: Clauses, value: Json, schema: Schema) -> None:
    contains_so_many(clauses, value, schema)
    clauses.contained = (clauses.child(value, "contains"),)


def unevaluated_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.unevaluated_items = clauses.child(value, "unevaluatedItems")


# Objects -------------------------------------------------------------------------------------------------------------


def properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.place_own()
    clauses.properties = clauses.children(_object(clauses, "properties", value), "properties")


def required(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.required = tuple(_names(clauses, "required", value))


def additional_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.additional = clauses.child(value, "additionalProperties")


def pattern_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, subschema in _object(clauses, "patternProperties", value).items():
        node = clauses.child(subschema, "patternProperties", name)
        language = _expression(clauses, name, "patternProperties", Kind.OBJECT)
        if language is None:
            clauses.patterns_are_known = False
        else:
            clauses.patterns += (NameRule(language, node),)


def property_names(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.names = clauses.child(value, "propertyNames")


def min_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    limit = _count(clauses, "minProperties", value)
    if limit:
        clauses.at_least = (PropertyCount(clauses.pointer("minProperties"), limit),)


def max_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    limit = _count(clauses, "maxProperties", value)
    clauses.at_most = (PropertyCount(clauses.pointer("maxProperties"), limit),)


def dependent_required(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, names in _object(clauses, "dependentRequired", value).items():
        clauses.require_if_present(name, _names(clauses, "dependentRequired", names), ANYTHING, "dependentRequired")


def dependent_schemas(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, subschema in _object(clauses, "dependentSchemas", value).items():
        clauses.require_if_present(name, [], clauses.child(subschema, "dependentSchemas", name), "dependentSchemas")


def dependencies(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, dependency in _object(clauses, "dependencies", value).items():
        match dependency:
            case list():
                clauses.require_if_present(name, _names(clauses, "dependencies", dependency), ANYTHING, "dependencies")
            case str():  # Draft 3; tolerated since.
                clauses.require_if_present(name, [dependency], ANYTHING, "dependencies")
            case _:
                clauses.require_if_present(name, [], clauses.child(dependency, "dependencies", name), "dependencies")


def unevaluated_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.unevaluated_properties = clauses.child(value, "unevaluatedProperties")


# Combinations and references -----------------------------------------------------------------------------------------


def all_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    for node in _schemas(clauses, "allOf", value):
        clauses.require_any_of([node], "allOf")


def any_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_any_of(_schemas(clauses, "anyOf", value), "anyOf")


def one_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.require_exactly_one_of(_schemas(clauses, "oneOf", value), "oneOf")


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
        _malformed(clauses, keyword, "a reference", value)
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
