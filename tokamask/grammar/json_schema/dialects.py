"""What `$schema` means: a draft, or a metaschema that says which vocabularies of a draft are in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tokamask.errors import GrammarError, UnsupportedFeature
from tokamask.grammar.json_schema.drafts import DRAFT_BY_URI, Draft
from tokamask.grammar.json_schema.values import Json, shown


class Dialect(NamedTuple):
    """A draft, and those of its keywords that mean nothing here."""

    draft: Draft
    without: frozenset[str] = frozenset()


# Metaschemas that refer to metaschemas, at most so often.
_DEPTH = 8

_APPLICATORS = (
    "items additionalItems prefixItems contains properties patternProperties additionalProperties propertyNames "
    "dependencies dependentSchemas allOf anyOf oneOf not if then else"
)
_UNEVALUATED = "unevaluatedItems unevaluatedProperties"
_ASSERTIONS = (
    "type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems "
    "minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired"
)
# The keywords of each vocabulary (2019-09 and 2020-12, core and validation); None: they are always in use.
_VOCABULARIES: Mapping[str, str | None] = {
    **{
        f"https://json-schema.org/draft/{draft}/vocab/{name}": keywords
        for draft in ("2019-09", "2020-12")
        for name, keywords in (
            ("core", None),
            ("applicator", f"{_APPLICATORS} {_UNEVALUATED}" if draft == "2019-09" else _APPLICATORS),
            ("unevaluated", _UNEVALUATED),
            ("validation", _ASSERTIONS),
            ("meta-data", None),
            ("format", None),
            ("format-annotation", None),
            ("format-assertion", None),
            ("content", None),
        )
    }
}


def dialect_of(schema: Json, default: Dialect, metaschema: Callable[[str], Json | None]) -> Dialect:
    """The dialect that a resource's `$schema` names, or `default` when it names none.

    Args:
        metaschema: finds a document by its URI; None if there is none.

    Raises:
        GrammarError: `$schema` is no URI.
        UnsupportedFeature: nobody knows the dialect, or it asks for a vocabulary that nobody knows.
    """
    excluded: frozenset[str] | None = None
    for _ in range(_DEPTH):
        uri = schema.get("$schema") if isinstance(schema, dict) else None
        if uri is None:
            return default._replace(without=excluded) if excluded else default
        if not isinstance(uri, str):
            raise GrammarError(f"$schema must be a URI, not {shown(uri)}", pointer="#/$schema")
        draft = DRAFT_BY_URI.get(uri.partition("://")[2].rstrip("#"))
        if draft is not None:
            return Dialect(draft, excluded or frozenset())
        schema = metaschema(uri)
        if schema is None:
            break
        if excluded is None and isinstance(schema, dict) and isinstance(schema.get("$vocabulary"), dict):
            excluded = _left_out(schema["$vocabulary"])
    raise UnsupportedFeature(
        f"$schema names the dialect {uri!r}, whose rules are not known; draft= says which to use, "
        "or registry= supplies its metaschema",
        pointer="#/$schema",
    )


def _left_out(vocabulary: Mapping[str, Json]) -> frozenset[str]:
    """The keywords of the vocabularies that are not among those listed."""
    for uri, is_required in vocabulary.items():
        if is_required and uri not in _VOCABULARIES:
            raise UnsupportedFeature(f"the vocabulary {uri!r} is required but not known", pointer="#/$schema")
    spoken = {keyword for uri in vocabulary for keyword in (_VOCABULARIES.get(uri) or "").split()}
    return frozenset(f"{_APPLICATORS} {_UNEVALUATED} {_ASSERTIONS}".split()) - spoken
