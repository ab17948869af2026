"""The keywords on arrays and objects: one function each, as `keywords` has them in its tables."""

from __future__ import annotations

from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.demands import ANYTHING, ItemCount, NameRule, PropertyCount
from tokamask.grammar.json_schema.keyword_values import Schema, count_of, malformed, names_of, object_of, schemas_of
from tokamask.grammar.json_schema.scalar_keywords import text_expression
from tokamask.grammar.json_schema.values import Json, Kind

# Arrays --------------------------------------------------------------------------------------------------------------


def items(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, list):
        malformed(clauses, "items", "a schema (prefixItems takes an array; so did items up to draft 2019-09)", value)
    clauses.rest = clauses.child(value, "items")


def items_or_tuple(clauses: Clauses, value: Json, schema: Schema) -> None:
    if isinstance(value, list):
        clauses.prefix = tuple(schemas_of(clauses, "items", value))
    else:
        clauses.rest = clauses.child(value, "items")


def prefix_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.prefix = tuple(schemas_of(clauses, "prefixItems", value))


def additional_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    node = clauses.child(value, "additionalItems")
    if isinstance(schema.get("items"), list):
        clauses.rest = node


def min_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.minimum_items = max(clauses.minimum_items, count_of(clauses, "minItems", value))


def max_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.maximum_items = count_of(clauses, "maxItems", value)


def unique_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        malformed(clauses, "uniqueItems", "true or false", value)
    if value:
        clauses.distinct = clauses.pointer("uniqueItems")


def contains(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.counts = (ItemCount(clauses.child(value, "contains"), 0, 1, None),)


def contains_so_many(clauses: Clauses, value: Json, schema: Schema) -> None:
    least = count_of(clauses, "minContains", schema["minContains"]) if "minContains" in schema else 1
    most = count_of(clauses, "maxContains", schema["maxContains"]) if "maxContains" in schema else None
    clauses.counts = (ItemCount(clauses.child(value, "contains"), 0, least, most),)


def contains_and_evaluates(clauses: Clauses, value: Json, schema: Schema) -> None:
    contains_so_many(clauses, value, schema)
    clauses.contained = (clauses.child(value, "contains"),)


def unevaluated_items(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.unevaluated_items = clauses.child(value, "unevaluatedItems")


# Objects -------------------------------------------------------------------------------------------------------------


def properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.place_own()
    clauses.properties = clauses.children(object_of(clauses, "properties", value), "properties")


def required(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.required = tuple(names_of(clauses, "required", value))


def additional_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.additional = clauses.child(value, "additionalProperties")


def pattern_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, subschema in object_of(clauses, "patternProperties", value).items():
        node = clauses.child(subschema, "patternProperties", name)
        language = text_expression(clauses, name, "patternProperties", Kind.OBJECT)
        if language is None:
            clauses.patterns_are_known = False
        else:
            clauses.patterns += (NameRule(language, node),)


def property_names(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.names = clauses.child(value, "propertyNames")


def min_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    limit = count_of(clauses, "minProperties", value)
    if limit:
        clauses.at_least = (PropertyCount(clauses.pointer("minProperties"), limit),)


def max_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    limit = count_of(clauses, "maxProperties", value)
    clauses.at_most = (PropertyCount(clauses.pointer("maxProperties"), limit),)


def dependent_required(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, names in object_of(clauses, "dependentRequired", value).items():
        clauses.require_if_present(name, names_of(clauses, "dependentRequired", names), ANYTHING, "dependentRequired")


def dependent_schemas(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, subschema in object_of(clauses, "dependentSchemas", value).items():
        clauses.require_if_present(name, [], clauses.child(subschema, "dependentSchemas", name), "dependentSchemas")


def dependencies(clauses: Clauses, value: Json, schema: Schema) -> None:
    for name, dependency in object_of(clauses, "dependencies", value).items():
        match dependency:
            case list():
                clauses.require_if_present(
                    name, names_of(clauses, "dependencies", dependency), ANYTHING, "dependencies"
                )
            case str():  # Draft 3; tolerated since.
                clauses.require_if_present(name, [dependency], ANYTHING, "dependencies")
            case _:
                clauses.require_if_present(name, [], clauses.child(dependency, "dependencies", name), "dependencies")


def unevaluated_properties(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.unevaluated_properties = clauses.child(value, "unevaluatedProperties")
