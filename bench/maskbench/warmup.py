"""What every engine does before it is measured: kernels compile, libraries load and caches of code fill."""

from __future__ import annotations

import json
from typing import Any

from bench.engines.engine import Engine
from bench.maskbench.records import Instance, Trial
from bench.maskbench.stopwatch import measure
from bench.vocabularies import NamedVocabulary

__all__ = ["TOYS", "warm_up"]

TOYS: tuple[tuple[dict[str, Any], tuple[Any, ...]], ...] = (
    (
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "size": {"type": "integer"},
                "note": {"type": ["string", "null"]},
            },
            "required": ["name", "size"],
            "additionalProperties": False,
        },
        ({"name": "a b\n\u00e9\u65e5", "size": 12, "note": None}, {"size": -3, "name": ""}, {"name": 1}, {"other": 1}),
    ),
    (
        {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]},
        ({"b": True, "any": {"x": [1, 2.5e3, "s", None, {}]}}, {"z": 0, "b": False}, {}),
    ),
    (
        {"type": "object", "patternProperties": {"^x-": {"type": "number"}}, "minProperties": 1, "maxProperties": 2},
        ({"x-1": 0.25, "y": "text"}, {}),
    ),
    (
        {"type": "array", "items": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 1e3}, "maxItems": 4},
        ([1, -1.5, 999.75], [5000]),
    ),
    (
        {"type": "array", "items": {"type": "integer", "multipleOf": 5, "minimum": 10, "maximum": 2000}, "minItems": 1},
        ([10, 1995], [7]),
    ),
    (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [{"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}, {"type": "string", "maxLength": 5}],
            "uniqueItems": True,
        },
        (["AB12", "short"], ["ab", "short"]),
    ),
    (
        {"anyOf": [{"type": "string", "pattern": "ab+c"}, {"type": "integer"}, {"enum": ["one", "two", None, 3.5]}]},
        ("xabbcx", 7, "two", False),
    ),
    (
        {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": kind}, "value": {"type": value}},
                    "required": ["kind"],
                }
                for kind, value in (("text", "string"), ("count", "integer"))
            ]
        },
        ({"kind": "text", "value": "v"}, {"kind": "count", "value": 4}, {"kind": "count", "value": "v"}),
    ),
    (
        {
            "definitions": {
                "tree": {"type": "object", "properties": {"kids": {"items": {"$ref": "#/definitions/tree"}}}}
            },
            "allOf": [{"$ref": "#/definitions/tree"}, {"required": ["kids"], "not": {"required": ["leaf"]}}],
        },
        ({"kids": [{"kids": []}, {}]}, {"kids": 1}),
    ),
    *(
        ({"type": "array", "items": {"type": "string", "format": name}}, ([text], ["?"]))
        for name, text in (
            ("date-time", "2024-02-29T12:30:00Z"),
            ("date", "2024-02-29"),
            ("time", "12:30:00Z"),
            ("email", "a@example.org"),
            ("hostname", "example.org"),
            ("ipv4", "192.168.0.1"),
            ("ipv6", "2001:db8::1"),
            ("uri", "https://example.org/a?b=c"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000"),
        )
    ),
)
"""Schemas and instances, right and wrong, that touch every kind of value."""


def warm_up(engine: Engine, vocabulary: NamedVocabulary) -> None:
    """Measure the toys; nobody looks at the figures, and an engine may refuse some."""
    (stop_token, *_) = vocabulary.vocabulary.stop_token_ids
    for schema, values in TOYS[: engine.toys]:
        texts = [json.dumps(value, ensure_ascii=False).encode() for value in values]
        instances = [Instance(at, True, tuple(vocabulary.vocabulary.encode(text))) for at, text in enumerate(texts)]
        measure(engine, "", stop_token, Trial("", json.dumps(schema), tuple(instances)))
    engine.warmed_up()
