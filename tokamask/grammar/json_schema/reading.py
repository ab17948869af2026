"""JSON Schema in, shapes out: the front end's entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from tokamask.errors import CompileBudgetExceeded, GrammarError, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.json_schema.catalogue import Catalogue, ReadingOptions
from tokamask.grammar.json_schema.contradiction import contradiction
from tokamask.grammar.json_schema.demands import Exclusivity, Overlap
from tokamask.grammar.json_schema.dialects import Dialect
from tokamask.grammar.json_schema.drafts import Draft, draft_named
from tokamask.grammar.json_schema.expansion import Expansion, NumberShaping
from tokamask.grammar.json_schema.explanation import Explanation
from tokamask.grammar.json_schema.full_numbers import full_number_shape
from tokamask.grammar.json_schema.plain_schemas import plain_nodes
from tokamask.grammar.json_schema.references import Library, Scope
from tokamask.grammar.json_schema.reports import KeywordReport, Refusal
from tokamask.grammar.json_schema.satisfiability import Remains, productive_nodes
from tokamask.grammar.json_schema.shapes import Escapes, JsonShapes, PropertyOrder
from tokamask.grammar.json_schema.shaping import number_shape
from tokamask.grammar.json_schema.values import Json, parse_json, shown
from tokamask.grammar.json_schema.whitespace import whitespace_language

if TYPE_CHECKING:
    from referencing import Registry

T = TypeVar("T")

# Each reading excludes the pairs of `oneOf` branches that the one before has found to overlap.
MOST_READINGS = 12

_ORDERS: Mapping[str, PropertyOrder] = {order.value: order for order in PropertyOrder}
_ESCAPES: Mapping[str, Escapes] = {policy.value: policy for policy in Escapes}

PropertyOrderName = Literal["schema", "any"]
Formats = Literal["assert", "annotate"]


@dataclass(frozen=True)
class JsonSchemaReading:
    """What a schema means.

    Attributes:
        shapes: the values it describes.
        is_exact: whether every keyword that restricts values is enforced; False only with `on_unsupported="warn"`.
    """

    shapes: JsonShapes
    is_exact: bool
    _reported: Callable[[], Iterator[KeywordReport]] = field(repr=False, compare=False)

    @cached_property
    def reports(self) -> tuple[KeywordReport, ...]:
        """What became of each keyword, in the order of the document; found out when it is asked for."""
        return tuple(self._reported())


def read_json_schema(
    schema: Json | str,
    *,
    draft: str | Draft | None = None,
    property_order: PropertyOrderName = "schema",
    whitespace: str | int = "flexible",
    numbers: Literal["plain", "full"] = "plain",
    escapes: str = "json",
    formats: Formats = "assert",
    registry: Mapping[str, Json] | Registry[Json] | None = None,
    on_unsupported: Literal["refuse", "warn"] = "refuse",
) -> JsonSchemaReading:
    """Find out which JSON values a schema describes.

    Args:
        schema: a dict, True or False, or JSON text (whose numbers are read with all their digits; of equal keys the
            last one counts).
        draft: "4", "6", "7", "2019-09", "2020-12" or "openapi-3.0"; by default what `$schema` says, else 2020-12.
        property_order: "schema" (declared properties in their order, others after them) or "any".
        whitespace: see `whitespace_language`.
        numbers: "plain" (integers are written without fraction and exponent) or "full" (by value; see `full_numbers`).
        escapes: "json" (raw UTF-8 and every escape of RFC 8259) or "minimal" (escapes only where they must be).
        formats: whether `format` is asserted or an annotation.
        registry: the documents that references may lead to, by URI.
        on_unsupported: what to do about keywords that cannot be enforced exactly: refuse the schema, or treat them
            as annotations (then `is_exact` is False).

    Raises:
        GrammarSyntaxError: the JSON text, or a pattern in it, is malformed.
        GrammarError: a keyword has a value that its draft does not allow, or a reference leads nowhere.
        UnsupportedFeature: a keyword that matters cannot be enforced exactly.
        UnsatisfiableSchema: no value satisfies the schema.
        CompileBudgetExceeded: the schema is too large or nested too deeply.
    """
    order = _chosen("property_order", property_order, _ORDERS)
    warns = _chosen("on_unsupported", on_unsupported, {"refuse": False, "warn": True})
    policy = _chosen("escapes", escapes, _ESCAPES)
    language = whitespace_language(whitespace)
    document = _opened(schema, draft, numbers, formats, registry)
    plain = plain_nodes(document.schema, document.scope, document.options, document.number_shape)
    if plain is not None:
        return JsonSchemaReading(JsonShapes(plain, 0, language, order, policy), True, document.reports)
    examination = _Examination(document)
    if examination.remains is None:
        pointer, reason = examination.contradiction()
        raise UnsatisfiableSchema(f"no value satisfies the schema: {reason}", pointer=pointer)
    refusals = examination.refusals
    if refusals and not warns:
        more = f" (and {len(refusals) - 1} more, which explain lists)" if len(refusals) > 1 else ""
        raise UnsupportedFeature(refusals[0].message + more, pointer=refusals[0].pointer)
    shapes = JsonShapes(examination.remains.nodes, 0, language, order, policy)
    return JsonSchemaReading(shapes, not refusals, examination.explanation().reports)


def explain_json_schema(
    schema: Json | str,
    *,
    draft: str | Draft | None = None,
    numbers: Literal["plain", "full"] = "plain",
    formats: Formats = "assert",
    registry: Mapping[str, Json] | Registry[Json] | None = None,
) -> tuple[KeywordReport, ...]:
    """What becomes of each keyword, whether or not the schema as a whole can be enforced or satisfied.

    Raises as `read_json_schema` does, but for UnsupportedFeature about keywords and UnsatisfiableSchema.
    """
    return tuple(_opened(schema, draft, numbers, formats, registry).reports())


def _chosen(option: str, choice: str, meanings: Mapping[str, T]) -> T:
    if choice not in meanings:
        raise GrammarError(f"{option} must be one of {', '.join(meanings)}, not {shown(choice)}")
    return meanings[choice]


class _Document(NamedTuple):
    """A schema, and how it is to be read."""

    schema: Json
    scope: Scope
    options: ReadingOptions
    number_shape: NumberShaping

    def reports(self) -> Iterator[KeywordReport]:
        return _Examination(self).explanation().reports()


def _opened(
    schema: Json | str,
    draft: str | Draft | None,
    numbers: str,
    formats: str,
    registry: Mapping[str, Json] | Registry[Json] | None,
) -> _Document:
    asserts_formats = _chosen("formats", formats, {"assert": True, "annotate": False})
    shaping = _chosen("numbers", numbers, {"plain": number_shape, "full": full_number_shape})
    document = parse_json(schema) if isinstance(schema, str) else schema
    library = Library(registry)
    chosen = None if draft is None else Dialect(draft_named(draft))
    dialect = chosen or library.dialect(document, Dialect(Draft.DRAFT_2020_12))
    scope = library.scope(document, dialect, "#", None, None, None)
    return _Document(document, scope, ReadingOptions(asserts_formats), shaping)


class _Examination:
    """One schema expanded and judged: what is left of it (None: nothing), and what could not be enforced."""

    def __init__(self, document: _Document) -> None:
        self._schema, self._scope, options, self._number_shape = document
        try:
            self._read(options)
        except CompileBudgetExceeded:
            options = replace(options, merges_copies=True)
            self._read(options)
        for _ in range(MOST_READINGS):
            if not self._overlaps:
                break
            options = replace(options, overlaps=options.overlaps | self._overlaps, merges_copies=True)
            self._read(options)
        self.refusals = tuple(self._refusals().values())

    def _read(self, options: ReadingOptions) -> None:
        self._catalogue = Catalogue(options)
        self._expansion = Expansion(options.merges_copies, self._number_shape)
        try:
            self._root = self._expansion.number(self._catalogue.schema(self._schema, self._scope, "#"))
            self._expansion.complete()
            self._productive = productive_nodes(self._expansion)
            is_possible = self._productive[self._root]
            self.remains = Remains(self._expansion, self._productive, self._root) if is_possible else None
            self._overlaps = self._overlaps_found()
        except RecursionError:
            raise CompileBudgetExceeded("the schema is nested too deeply", pointer="#") from None

    def _overlaps_found(self) -> frozenset[Overlap]:
        """The pairs of branches that were taken to exclude each other and do not."""
        concerns = () if self.remains is None else self.remains.concerns
        pairs = [pair for concern in concerns if isinstance(concern, Exclusivity) for pair in concern.pairs]
        if not pairs:
            return frozenset()
        numbers = [self._expansion.number(node) for _, node in pairs]
        self._expansion.look_into(numbers)
        productive = productive_nodes(self._expansion)
        return frozenset(overlap for (overlap, _), number in zip(pairs, numbers, strict=True) if productive[number])

    def _refusals(self) -> dict[str, Refusal]:
        """The concerns that turn out to be justified, by place."""
        refusals: dict[str, Refusal] = {}
        for concern in () if self.remains is None else self.remains.concerns:
            if isinstance(concern, Refusal):
                refusals.setdefault(concern.pointer, concern)
        for overlap in self._overlaps:
            reason = "its branches overlap in too many ways"
            refusals.setdefault(overlap.pointer, Refusal(overlap.pointer, "oneOf", reason))
        return refusals

    def contradiction(self) -> tuple[str, str]:
        return contradiction(self._expansion, self._productive, self._root)

    def explanation(self) -> Explanation:
        return Explanation(self._schema, self._scope, self._catalogue, self.refusals)
