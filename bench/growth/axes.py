"""What is made larger: schemas with a document that fits each, made for the purpose, the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["AXES", "Axis", "Workload"]

KINDS = ("folder", "link", "plain file", "socket")

RECORD = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": list(KINDS)},
        "size": {"type": "integer", "minimum": 0},
        "hidden": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 4},
    },
    "required": ["name", "kind", "size"],
    "additionalProperties": False,
}
RECORDS = {"type": "array", "items": RECORD}


@dataclass(frozen=True)
class Workload:
    """A schema and a document that it allows.

    Attributes:
        vocabulary: one of VOCABULARIES.
        rows: how many texts are followed side by side (`measure_batch`); None: one, from its beginning to its end.
    """

    schema: Any
    document: Any
    vocabulary: str = "tekken"
    rows: int | None = None


@dataclass(frozen=True)
class Axis:
    """One thing that grows.

    Attributes:
        unit: what its sizes count.
        about: what the rest is like, in a sentence for the report.
        at: the workload of one size.
    """

    unit: str
    about: str
    sizes: Sequence[int]
    at: Callable[[int], Workload]


def _records(count: int) -> list[dict[str, Any]]:
    """Records of about 30 tokens each, no two alike."""
    return [
        {
            "name": f"item {at} of the {KINDS[at % 4]}",
            "kind": KINDS[at % 3],
            "size": at * at + 7,
            "hidden": at % 2 == 0,
            "tags": ["old", f"tag {at}"][: at % 3],
        }
        for at in range(count)
    ]


def _sized_vocabulary(size: int) -> Workload:
    names = {1 << 15: "tekken-32k", 1 << 16: "tekken-64k", 1 << 17: "tekken", 1 << 18: "tekken-256k"}
    return Workload(RECORDS, _records(10), vocabulary=names[size])


def _nested_schema(depth: int) -> Workload:
    schema: dict[str, Any] = {"type": "integer"}
    document: Any = 7
    for level in range(depth):
        names = (f"inner{level}", "label")
        schema = {
            "type": "object",
            "properties": {names[0]: schema, names[1]: {"type": "string"}},
            "required": [names[0]],
            "additionalProperties": False,
        }
        document = {names[0]: document, names[1]: f"level {level}"}
    return Workload(schema, document)


def _nested_document(depth: int) -> Workload:
    schema = {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                },
                "required": ["label"],
                "additionalProperties": False,
            }
        },
    }
    document: dict[str, Any] = {"label": "leaf"}
    for level in range(depth - 1):
        document = {"label": f"level {level}", "children": [document]}
    return Workload(schema, document)


def _enum(size: int) -> Workload:
    words = [f"{KINDS[at % 4]} {at * 7919 % 100_003}" for at in range(size)]
    return Workload({"type": "array", "items": {"enum": words}}, words[:: max(1, size // 10)][:10])


def _properties(count: int) -> Workload:
    kinds: tuple[tuple[str, Any], ...] = (("string", "text"), ("integer", 42), ("boolean", True), ("null", None))
    named = {f"property_{at * 7919 % 100_003}": kinds[at % 4] for at in range(count)}
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, (kind, _) in named.items()},
        "required": list(named)[::2],
        "additionalProperties": False,
    }
    return Workload(schema, {name: value for name, (_, value) in named.items()})


AXES: Mapping[str, Axis] = {
    "vocabulary": Axis(
        "tokens of the vocabulary",
        "Ten records; tekken, cut to its most frequent tokens or with words of two tokens added.",
        (1 << 15, 1 << 16, 1 << 17, 1 << 18),
        _sized_vocabulary,
    ),
    "document": Axis(
        "records in the document",
        "An array of records of five properties.",
        (1, 10, 100, 1000),
        lambda size: Workload(RECORDS, _records(size)),
    ),
    "schema-depth": Axis(
        "levels of the schema", "Objects in objects, each level with names of its own.", (1, 4, 16, 64), _nested_schema
    ),
    "document-depth": Axis(
        "levels of the document", "A tree by a recursive reference.", (1, 4, 16, 64, 256), _nested_document
    ),
    "enum": Axis("words of the enumeration", "Ten of them in an array.", (10, 100, 1000, 10_000), _enum),
    "properties": Axis(
        "declared properties", "Every other one is required, all are written.", (1, 10, 100, 1000), _properties
    ),
    "batch": Axis(
        "texts side by side",
        "Ten records each, every text at a place of its own; the masks of a step are filled one after the other, and "
        "the time is that of one.",
        (1, 4, 16, 64, 256),
        lambda size: Workload(RECORDS, _records(10), rows=size),
    ),
}
