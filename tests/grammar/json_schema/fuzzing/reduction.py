"""A finding made small: the schema and the value lose parts for as long as someone is still wrong about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import referencing.exceptions

from tests.grammar.json_schema.fuzzing.judging import Finding, Judgement
from tests.grammar.json_schema.fuzzing.schemas import keys
from tokamask.errors import TokamaskError

__all__ = ["reduced"]

# How a schema is turned down from which too much was taken: keywords without a value, references without a target.
_MALFORMED = (TokamaskError, jsonschema_rs.ValidationError, referencing.exceptions.Unresolvable, TypeError, ValueError)


def reduced(finding: Finding, is_split: bool) -> Finding:
    """A finding of the same kind from which nothing more can be taken away."""
    while (smaller := next(_found_again(finding, is_split), None)) is not None:
        finding = smaller
    return finding


def _found_again(finding: Finding, is_split: bool) -> Iterator[Finding]:
    for schema, value in _candidates(finding):
        try:
            judgement = Judgement(finding.draft, schema)
            again = judgement.split(value) if is_split else judgement.mistake(value)
        except _MALFORMED:
            continue
        if again is not None:
            yield again


def _candidates(finding: Finding) -> Iterator[tuple[Any, Any]]:
    for schema in _lifted(finding.schema):
        yield schema, finding.value
    for schema in _smaller(finding.schema):
        yield schema, finding.value
    for value in _smaller(finding.value):
        yield finding.schema, value


def _lifted(schema: Any) -> Iterator[Any]:
    """An object within a schema in place of the one around it, unless a reference might then run in circles."""
    if isinstance(schema, dict):
        for part in schema.values():
            for member in part if isinstance(part, list) else [part]:
                if isinstance(member, dict) and not {"$ref", "$dynamicRef", "$recursiveRef"} & set(keys(member)):
                    yield member
        for name, part in schema.items():
            for lifted in _lifted(part):
                yield {**schema, name: lifted}
    elif isinstance(schema, list):
        for at, item in enumerate(schema):
            for lifted in _lifted(item):
                yield [*schema[:at], lifted, *schema[at + 1 :]]


def _smaller(value: Any) -> Iterator[Any]:
    """The value without one of its members, the outer ones first."""
    if isinstance(value, dict):
        for name in value:
            yield {other: item for other, item in value.items() if other != name}
        for name, item in value.items():
            for part in _smaller(item):
                yield {**value, name: part}
    elif isinstance(value, list):
        for at in range(len(value)):
            yield [*value[:at], *value[at + 1 :]]
        for at, item in enumerate(value):
            for part in _smaller(item):
                yield [*value[:at], part, *value[at + 1 :]]
    elif isinstance(value, str) and len(value) > 1:
        yield value[1:]
        yield value[:-1]
