"""The drafts of JSON Schema and OpenAPI 3.0: how they are named, and under which keywords their subschemas lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum

from tokamask.errors import GrammarError
from tokamask.grammar.json_schema.values import Json, shown


class Draft(IntEnum):
    """In order of publication, so that `draft >= Draft.DRAFT_6` reads as it is written in the changelogs."""

    DRAFT_4 = 4
    # "An extended subset of the JSON Schema Specification Wright Draft 00" (OpenAPI 3.0.3, Schema Object): draft 5.
    OPENAPI_3_0 = 5
    DRAFT_6 = 6
    DRAFT_7 = 7
    DRAFT_2019_09 = 2019
    DRAFT_2020_12 = 2020


DRAFT_BY_NAME: Mapping[str, Draft] = {
    "4": Draft.DRAFT_4,
    "openapi-3.0": Draft.OPENAPI_3_0,
    "6": Draft.DRAFT_6,
    "7": Draft.DRAFT_7,
    "2019-09": Draft.DRAFT_2019_09,
    "2020-12": Draft.DRAFT_2020_12,
}
NAME_BY_DRAFT: Mapping[Draft, str] = {draft: name for name, draft in DRAFT_BY_NAME.items()}
DRAFT_BY_URI: Mapping[str, Draft] = {
    "json-schema.org/draft-04/schema": Draft.DRAFT_4,
    "json-schema.org/draft-06/schema": Draft.DRAFT_6,
    "json-schema.org/draft-07/schema": Draft.DRAFT_7,
    "json-schema.org/draft/2019-09/schema": Draft.DRAFT_2019_09,
    "json-schema.org/draft/2020-12/schema": Draft.DRAFT_2020_12,
    # "The latest", a name in use before drafts were dated.
    "json-schema.org/schema": Draft.DRAFT_2020_12,
    # Adds annotations alone (OpenAPI 3.1.0, Schema Object).
    "spec.openapis.org/oas/3.1/dialect/base": Draft.DRAFT_2020_12,
}


def draft_named(name: str | Draft) -> Draft:
    """The draft a user asked for: "4", "6", "7", "2019-09", "2020-12" or "openapi-3.0"."""
    if isinstance(name, Draft):
        return name
    draft = DRAFT_BY_NAME.get(str(name).removeprefix("draft").lstrip("-"))
    if draft is None:
        raise GrammarError(f"there is no draft {shown(name)}; choose one of {', '.join(DRAFT_BY_NAME)}")
    return draft


# The formats that one of the drafts defines. They are asserted in every draft; other names are annotations in all but
# OpenAPI, which has one more.
_FORMATS = frozenset(
    (
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    )
)


def formats_of(draft: Draft) -> frozenset[str]:
    """The formats that are asserted in a draft."""
    return _FORMATS | {"byte"} if draft is Draft.OPENAPI_3_0 else _FORMATS


class Holds(Enum):
    """How a keyword's value holds subschemas."""

    ONE = "a schema"
    LIST = "an array of schemas"
    MAP = "an object of schemas"
    ONE_OR_LIST = "a schema or an array of schemas"
    MAP_OR_NAMES = "an object of schemas or arrays of names"


SUBSCHEMAS: Mapping[str, Holds] = {
    "$defs": Holds.MAP,
    "definitions": Holds.MAP,
    "properties": Holds.MAP,
    "patternProperties": Holds.MAP,
    "additionalProperties": Holds.ONE,
    "propertyNames": Holds.ONE,
    "unevaluatedProperties": Holds.ONE,
    "dependentSchemas": Holds.MAP,
    "dependencies": Holds.MAP_OR_NAMES,
    "items": Holds.ONE_OR_LIST,
    "prefixItems": Holds.LIST,
    "additionalItems": Holds.ONE,
    "unevaluatedItems": Holds.ONE,
    "contains": Holds.ONE,
    "contentSchema": Holds.ONE,
    "allOf": Holds.LIST,
    "anyOf": Holds.LIST,
    "oneOf": Holds.LIST,
    "not": Holds.ONE,
    "if": Holds.ONE,
    "then": Holds.ONE,
    "else": Holds.ONE,
}


def subschemas(keyword: str, value: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """The subschemas directly under a keyword, each with its path from there; anything else in it is passed over."""
    match SUBSCHEMAS.get(keyword), value:
        case Holds.ONE | Holds.ONE_OR_LIST, dict() | bool():
            yield (), value
        case Holds.LIST | Holds.ONE_OR_LIST, list():
            for index, member in enumerate(value):
                if isinstance(member, dict | bool):
                    yield (index,), member
        case Holds.MAP | Holds.MAP_OR_NAMES, dict():
            for name, member in value.items():
                if isinstance(member, dict | bool):
                    yield (name,), member
