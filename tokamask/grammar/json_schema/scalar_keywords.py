"""The keywords on numbers and strings: one function each, as `keywords` has them in its tables."""

from __future__ import annotations

from tokamask.errors import CompileBudgetExceeded, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.formats import format_language, format_refusal
from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.drafts import formats_of
from tokamask.grammar.json_schema.keyword_values import Schema, count_of, malformed, number_of
from tokamask.grammar.json_schema.merging import common_multiple
from tokamask.grammar.json_schema.values import Json, Kind
from tokamask.grammar.language import Language
from tokamask.grammar.regular_expression import pattern_language

# Numbers -------------------------------------------------------------------------------------------------------------


def minimum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.raise_lower(number_of(clauses, "minimum", value), False)


def maximum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.reduce_upper(number_of(clauses, "maximum", value), False)


def exclusive_minimum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.raise_lower(number_of(clauses, "exclusiveMinimum", value), True)


def exclusive_maximum(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.reduce_upper(number_of(clauses, "exclusiveMaximum", value), True)


def exclusive_minimum_flag(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        malformed(clauses, "exclusiveMinimum", "true or false in draft 4", value)
    if value and "minimum" in schema:
        clauses.raise_lower(number_of(clauses, "minimum", schema["minimum"]), True)


def exclusive_maximum_flag(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, bool):
        malformed(clauses, "exclusiveMaximum", "true or false in draft 4", value)
    if value and "maximum" in schema:
        clauses.reduce_upper(number_of(clauses, "maximum", schema["maximum"]), True)


def multiple_of(clauses: Clauses, value: Json, schema: Schema) -> None:
    number = number_of(clauses, "multipleOf", value)
    if number <= 0:
        malformed(clauses, "multipleOf", "a number above 0", value)
    clauses.multiple_of = common_multiple(clauses.multiple_of, number)


# Strings -------------------------------------------------------------------------------------------------------------


def min_length(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.minimum_length = count_of(clauses, "minLength", value)


def max_length(clauses: Clauses, value: Json, schema: Schema) -> None:
    clauses.maximum_length = count_of(clauses, "maxLength", value)


def pattern(clauses: Clauses, value: Json, schema: Schema) -> None:
    if not isinstance(value, str):
        malformed(clauses, "pattern", "a regular expression", value)
    language = text_expression(clauses, value, "pattern", Kind.STRING)
    if language is not None:
        clauses.languages += (language,)


def text_expression(clauses: Clauses, value: str, keyword: str, kind: Kind) -> Language | None:
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
        malformed(clauses, "format", "the name of a format", value)
    if not clauses.asserts_formats or value not in formats_of(clauses.draft):
        return
    language = format_language(value)
    if language is None:
        clauses.refuse("format", format_refusal(value), Kind.STRING)
    else:
        clauses.languages += (language,)
