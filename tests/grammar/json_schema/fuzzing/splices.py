"""Schemas spliced together from parts of real ones (MaskBench), with the instances of those parts changed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from tests.grammar.json_schema.archives import archived
from tests.grammar.json_schema.fuzzing.changes import ValueChanger, target_of
from tests.grammar.json_schema.fuzzing.judging import VALUES_PER_SCHEMA, Case
from tests.grammar.json_schema.fuzzing.values import objects_of
from tokamask.grammar.json_schema.drafts import SUBSCHEMAS, Holds, subschemas

__all__ = ["spliced_cases"]

# What names a resource, or says nothing about values.
_LEFT_OUT = {"$schema", "$id", "id", "$comment", "title", "description", "examples"}
_LONGEST = 40_000
_NAME_PATTERNS = ("^[a-z]", "^[a-zA-Z_]*$", "e", "^.{1,6}$", "^(?!x)", "[0-9]", "^[A-Z]")
_OTHER_VALUES: tuple[Any, ...] = ({"type": "string"}, {"type": ["string", "number"]}, {"not": {"type": "object"}}, {})


class _Real(NamedTuple):
    """A schema of the data and its instances, valid and invalid ones."""

    schema: dict[str, Any]
    instances: list[Any]


@cache
def _files() -> Mapping[str, list[_Real]]:
    """The schemas of the data that need no other document, by draft; skips the test when the data is not there."""
    files: dict[str, list[_Real]] = {}
    for _, text in sorted(archived("maskbench.tar.xz")):
        if len(text) > _LONGEST:
            continue
        file = json.loads(text, parse_float=Decimal)
        schema = file["schema"]
        if isinstance(schema, dict) and all(map(_is_local, objects_of(schema))):
            files.setdefault(_draft(schema), []).append(_Real(schema, [test["data"] for test in file["tests"]]))
    return files


def _draft(schema: Mapping[str, Any]) -> str:
    return _DRAFTS.get(str(schema.get("$schema", "")).rpartition("json-schema.org/")[2].rstrip("#"), "2020-12")


_DRAFTS = {
    "draft-04/schema": "4",
    "draft-06/schema": "6",
    "draft-07/schema": "7",
    "draft/2019-09/schema": "2019-09",
}


def _is_local(part: Mapping[str, Any]) -> bool:
    reference = part.get("$ref", "#")
    is_pointer = not isinstance(reference, str) or reference == "#" or reference.startswith("#/")
    return is_pointer and not part.keys() & {"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"}


def _has_targets(schema: Any) -> bool:
    """Whether every reference leads somewhere."""
    return all("$ref" not in part or target_of(part["$ref"], schema) is not None for part in objects_of(schema))


def spliced_cases(seed: int, drafts: tuple[str, ...]) -> Iterator[Case]:
    """Cases without end: parts of real schemas and variants of them in combinations, with values of theirs changed."""
    number = 0
    while True:
        generator = random.Random(f"{seed} spliced {number}")
        number += 1
        draft = generator.choice([draft for draft in drafts if draft in _files()])
        splicer = _Splicer(generator, draft)
        schema = splicer.schema()
        if _has_targets(schema):
            values = ValueChanger(generator, schema).values(splicer.instances, VALUES_PER_SCHEMA)
            yield Case(draft, schema, tuple(values))


class _Splicer:
    """Writes one schema.

    Attributes:
        instances: values that stood where its parts were taken from, after `schema` was asked for.
    """

    def __init__(self, generator: random.Random, draft: str) -> None:
        self._generator = generator
        self._draft = draft
        self._definitions = "$defs" if draft in ("2019-09", "2020-12") else "definitions"
        self._defined: dict[str, Any] = {}
        self.instances: list[Any] = []

    def schema(self) -> dict[str, Any]:
        first, second, third = self._part(), self._part(), self._part()
        combined = self._combined(first, self._varied(first), self._varied(first), second, third)
        return {**combined, self._definitions: {**combined.get(self._definitions, {}), **self._defined}}

    def _combined(self, first: Any, like: Any, alike: Any, second: Any, third: Any) -> dict[str, Any]:
        """One of the ways to combine a schema, two variants of it and two others."""
        generator = self._generator
        name = generator.choice([*first.get("properties", ()), "a"])
        pattern = generator.choice(_NAME_PATTERNS)
        other = generator.choice((second, *_OTHER_VALUES))
        ways: list[dict[str, Any]] = [
            {"allOf": [first, second]},
            {"allOf": [like, alike]},
            {"anyOf": [first, second, third]},
            {"oneOf": [first, like]},
            {"oneOf": [first, like, alike]},
            {"oneOf": [first, second]},
            {"allOf": [first, {"not": second}]},
            {"allOf": [first, {"not": like}]},
            {"not": {"anyOf": [like, second]}},
            {"anyOf": [like, {"allOf": [alike, {"not": first}]}]},
            {"allOf": [first], "if": like, "then": alike, "else": second},
            {"properties": {name: {"oneOf": [first, like]}, "zz": {"not": second}}, "not": {"required": [name, "zz"]}},
            {"type": "object", "properties": {"a": first, name: second}, "additionalProperties": third},
            {"type": "array", "items": {"anyOf": [first, like]}, "uniqueItems": True, "minItems": 2},
            {"allOf": [first], generator.choice(("minProperties", "maxProperties")): generator.choice((1, 2, 3, 5))},
            {**first, "additionalProperties": generator.choice((False, other))},
            {**first, "patternProperties": {pattern: other}},
            {"allOf": [first], "dependencies": {name: second, "zz": ["a"]}},
        ]
        if self._draft != "4":
            ways += [
                {"allOf": [first], "propertyNames": {"pattern": pattern}},
                {"allOf": [first], "propertyNames": {"not": {"enum": [name]}}},
                {"type": "array", "items": {"anyOf": [first, second]}, "contains": like},
            ]
        if self._draft in ("2019-09", "2020-12"):
            ways += [
                {"allOf": [first], "unevaluatedProperties": False},
                {"anyOf": [first, second, like], "unevaluatedProperties": generator.choice((False, other))},
                {"if": like, "then": first, "else": second, "unevaluatedProperties": False},
                {"allOf": [first], "dependentSchemas": {name: second, "zz": like}},
            ]
        way = generator.choice(ways)
        if self.instances:
            # Values for the schemas that have those of the parts inside.
            some = [generator.choice(self.instances) for _ in range(3)]
            self.instances += [{"a": some[0], name: some[1]}, some]
            objects = [value for value in self.instances if isinstance(value, dict)]
            self.instances += [{**generator.choice(objects), **generator.choice(objects)}]
        return way

    def _part(self) -> dict[str, Any]:
        """A schema of the data or one within it, its references leading into a definition of its own."""
        generator = self._generator
        real = generator.choice(_files()[self._draft])
        schema, instances = real
        for _ in range(generator.choice((0, 0, 1, 2))):
            ways: list[tuple[Any, list[Any]]] = []
            if properties := schema.get("properties"):
                name = generator.choice(list(properties))
                ways.append((properties[name], [v[name] for v in instances if isinstance(v, dict) and name in v]))
            ways.append((schema.get("items"), [item for v in instances if isinstance(v, list) for item in v]))
            part, within = generator.choice(ways)
            if not isinstance(part, dict) or part.keys() <= {"type", "description"}:
                break
            schema, instances = part, within
        self.instances += instances
        key = f"s{len(self._defined)}"
        prefix = f"#/{self._definitions}/{key}"
        self._defined[key] = _moved(real.schema, prefix)
        moved = _moved(schema, prefix)
        return moved if isinstance(moved, dict) else {}

    def _varied(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with a keyword less, more or otherwise somewhere: what overlaps with it in part."""
        generator = self._generator
        varied = copy.deepcopy(schema)
        part = generator.choice(list(_schemas(varied))[:40])
        properties = part.get("properties") or {"a": {}}
        name = generator.choice(list(properties))
        match generator.randrange(7):
            case 0 if part:
                del part[generator.choice(list(part))]
            case 1:
                required = set(part.get("required", ())) ^ {name}
                part["required"] = sorted(required) or [name]
            case 2:
                part["properties"] = {**properties, name: generator.choice((*_OTHER_VALUES, {"not": properties[name]}))}
            case 3:
                part["properties"] = {other: properties[other] for other in properties if other != name}
            case 4:
                part["additionalProperties"] = generator.choice((False, *_OTHER_VALUES))
            case 5 if len(part.get("enum", ())) > 1:
                part["enum"] = part["enum"][1:]
            case _:
                bounds = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minimum")
                part[generator.choice(bounds)] = generator.choice((1, 2, 5))
        return varied


def _moved(schema: Any, prefix: str) -> Any:
    """A copy of a schema whose references lead to `prefix`, without what names it."""
    if not isinstance(schema, dict):
        return schema
    moved: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            moved[keyword] = prefix + value[1:]
        elif keyword not in _LEFT_OUT:
            moved[keyword] = _with_schemas(keyword, value, lambda part: _moved(part, prefix))
    return moved


def _with_schemas(keyword: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """What stands at a keyword, with the schemas in it changed."""
    match SUBSCHEMAS.get(keyword), value:
        case None, _:
            return value
        case ((Holds.MAP | Holds.MAP_OR_NAMES), dict()):
            return {name: change(part) for name, part in value.items()}
        case _, list():
            return [change(part) for part in value]
    return change(value)


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and those within it."""
    if isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            for _, part in subschemas(keyword, value):
                yield from _schemas(part)
