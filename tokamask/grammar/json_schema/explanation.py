"""Every keyword place of a schema with what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.formats import format_limitation
from tokamask.grammar.json_schema.catalogue import Catalogue
from tokamask.grammar.json_schema.dialects import Dialect
from tokamask.grammar.json_schema.drafts import NAME_BY_DRAFT, Draft, formats_of, subschemas
from tokamask.grammar.json_schema.keywords import keywords_of
from tokamask.grammar.json_schema.places import escaped
from tokamask.grammar.json_schema.references import Scope
from tokamask.grammar.json_schema.reports import KeywordReport, KeywordStatus, Refusal
from tokamask.grammar.json_schema.values import Json

# Keywords that the specifications define without an assertion.
_ANNOTATIONS = frozenset(
    (
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "$comment",
        "$vocabulary",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    )
)
MAXIMUM_TEXT = 50_000_000  # characters of all pointers
_COUNTS = ("minContains", "maxContains")
# Keywords that say how another one is meant, and that one.
_MODIFIERS = {
    "then": "if",
    "else": "if",
    "minContains": "contains",
    "maxContains": "contains",
    "nullable": "type",
}


class Explanation(NamedTuple):
    """What the reports are made of: the document in its scope, what was read of it, what could not be enforced."""

    schema: Json
    scope: Scope
    catalogue: Catalogue
    refusals: tuple[Refusal, ...]

    def reports(self) -> Iterator[KeywordReport]:
        """In the order of the document; refusals elsewhere (of another document, or of keywords together) last.

        Raises CompileBudgetExceeded when the places are too much text: of very deep schemas, and of those that contain
        or share parts in so many ways that they are no tree.
        """
        written = 0
        known = {refusal.pointer: refusal for refusal in self.refusals}
        left = dict(known)
        waiting: list[tuple[Json, Scope, str]] = [(self.schema, self.scope, "#")]
        while waiting:
            place, scope, pointer = waiting.pop()
            if not isinstance(place, dict):
                continue
            obligation = self.catalogue.used(place)
            inner = scope if obligation is None else obligation.scope
            below: list[tuple[Json, Scope, str]] = []
            # Copies of one schema may be one obligation. Its pointer takes time to spell out.
            used_at = obligation.pointer if known and obligation is not None else None
            for keyword, value in place.items():
                here = f"{pointer}/{escaped(keyword)}"
                written += len(here)
                if written > MAXIMUM_TEXT:
                    raise CompileBudgetExceeded("the schema is nested too deeply to list its keywords", pointer="#")
                refusal = None if used_at is None else known.get(used_at + here[len(pointer) :])
                if refusal is not None:
                    left.pop(refusal.pointer, None)
                    yield KeywordReport(here, keyword, KeywordStatus.REFUSED, refusal.reason)
                else:
                    annotation = _why_annotation(keyword, place, inner.dialect, obligation is not None, self.catalogue)
                    if annotation is not None:
                        yield KeywordReport(here, keyword, KeywordStatus.ANNOTATION, annotation)
                    else:
                        # Before draft 7 a hostname was one of RFC 1034, which decodes nothing.
                        may_lack = keyword == "format" and inner.draft >= Draft.DRAFT_7
                        limitation = format_limitation(value) if may_lack else None
                        yield KeywordReport(here, keyword, KeywordStatus.ENFORCED, limitation or "")
                for path, subschema in subschemas(keyword, value):
                    below.append((subschema, inner, "/".join([here, *map(escaped, path)])))
            waiting.extend(reversed(below))
        for refusal in left.values():
            yield KeywordReport(refusal.pointer, refusal.keyword, KeywordStatus.REFUSED, refusal.reason)


def _why_annotation(
    keyword: str, schema: Mapping[str, Json], dialect: Dialect, is_used: bool, catalogue: Catalogue
) -> str | None:
    """Why a keyword constrains nothing; None when it is enforced."""
    draft, keywords = dialect.draft, keywords_of(dialect)
    if keyword in _ANNOTATIONS:
        return "says something about values without restricting them"
    if "$ref" in schema and keyword != "$ref" and draft <= Draft.DRAFT_7:
        return f"hidden by the $ref beside it, in draft {NAME_BY_DRAFT[draft]}"
    if keyword == "nullable" and draft is not Draft.OPENAPI_3_0:
        return 'a keyword of OpenAPI 3.0 alone; draft="openapi-3.0" enforces it'
    lead = _MODIFIERS.get(keyword, keyword)
    if lead not in keywords or (keyword in _COUNTS and draft < Draft.DRAFT_2019_09):
        return f"not a keyword of draft {NAME_BY_DRAFT[draft]}"
    if lead not in schema:
        return f"without effect unless {lead} stands beside it"
    if keyword == "if" and "then" not in schema and "else" not in schema:
        return "without effect unless then or else stands beside it"
    if not is_used:
        return "nothing that is enforced refers to this schema"
    if keyword == "format":
        if not catalogue.options.asserts_formats:
            return "formats are annotations by choice"
        if schema["format"] not in formats_of(draft):
            return f"the format {schema['format']!r} is unknown"
    return None
