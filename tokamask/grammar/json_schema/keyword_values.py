"""What the values of keywords may be: each is checked where it stands, and a wrong one is reported at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NoReturn

from tokamask.errors import GrammarError
from tokamask.grammar.json_schema.clauses import Clauses
from tokamask.grammar.json_schema.demands import Node
from tokamask.grammar.json_schema.values import Json, exact, is_number, shown

Schema = Mapping[str, Json]
Keyword = Callable[[Clauses, Json, Schema], None]


def malformed(clauses: Clauses, keyword: str, expected: str, value: Json) -> NoReturn:
    raise GrammarError(f"{keyword} must be {expected}, not {shown(value)}", pointer=clauses.pointer(keyword))


def count_of(clauses: Clauses, keyword: str, value: Json) -> int:
    """A length: a number that is integral (2.0 is) and not negative."""
    if is_number(value):
        number = exact(value, clauses.place(keyword))
        if number.denominator == 1 and number >= 0:
            return int(number)
    malformed(clauses, keyword, "an integer of at least 0", value)


def number_of(clauses: Clauses, keyword: str, value: Json) -> Fraction:
    if not is_number(value):
        malformed(clauses, keyword, "a number", value)
    return exact(value, clauses.place(keyword))


def names_of(clauses: Clauses, keyword: str, value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        malformed(clauses, keyword, "an array of property names", value)
    return value


def schemas_of(clauses: Clauses, keyword: str, value: Json) -> list[Node]:
    if not isinstance(value, list):
        malformed(clauses, keyword, "an array of schemas", value)
    return [clauses.child(schema, keyword, index) for index, schema in enumerate(value)]


def object_of(clauses: Clauses, keyword: str, value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        malformed(clauses, keyword, "an object", value)
    strange = [name for name in value if not isinstance(name, str)]
    if strange:
        raise GrammarError(f"the key {shown(strange[0])} is not text", pointer=clauses.pointer(keyword))
    return value
