"""Values near the boundary of a real schema: instances changed in one place or a few, as the schema speaks of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from tests.grammar.json_schema.fuzzing.pattern_texts import found_text
from tests.grammar.json_schema.fuzzing.values import normal, objects_of

__all__ = ["ValueChanger", "target_of"]

# Good and bad texts of formats on which the validators that serve as oracles agree.
_FORMATTED = {
    "date": ("2024-02-29", "1999-12-31", "2023-02-29", "2024-13-01", "1900-02-29", ""),
    "ipv4": ("127.0.0.1", "0.0.0.255", "127.0.0.256", "1.2.3", "1.2.3.4 "),
    "ipv6": ("::1", "::", "1::2", "12345::", "1:2:3:4:5:6:7:8:9", "::ffff:256.0.0.1", "1::2::3"),
    "uuid": ("2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", "2eb8aa08", ""),
    "email": ("joe.bloggs@example.com", "joe", "@"),
    "date-time": ("2024-02-29T12:00:00Z", "1990-12-31T23:59:60Z", "2024-01-01T00:00:00+01:00"),
    "uri": ("http://example.com/a?b#c", "urn:isbn:1"),
}
_ODD = ("", *' aA0é\u2028\x7f\\"/\n-_.\u017f😀', "e\u0301", "null")
_ANYTHING: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, Decimal("0.5"), Decimal("1e-9"), 10**20, "", "a"),
    *([], {}, [None], {"": None}, [[]], {"a": 1}),
)
# Deeper than this nothing optional is written, and arrays and objects are rarely.
_DEPTH = 6


def target_of(reference: Any, root: Any) -> Any:
    """What a reference within a document leads to; None when it leads elsewhere or nowhere."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    here = root
    for segment in unquote(reference[1:]).split("/")[1:]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return None
    return here


class ValueChanger:
    """Changes values of one schema, and writes some."""

    def __init__(self, generator: random.Random, schema: Any) -> None:
        self._generator = generator
        self._root = schema
        names, scalars = {"a", "zz"}, [1]
        for part in objects_of(schema):
            if isinstance(properties := part.get("properties"), dict):
                names |= properties.keys()
            for keyword in ("enum", "examples"):
                if isinstance(listed := part.get(keyword), list):
                    scalars += listed[:20]
            scalars += [part[keyword] for keyword in ("const", "default") if keyword in part]
        self._names = sorted(names)
        self._scalars = scalars

    def values(self, instances: Sequence[Any], count: int) -> list[Any]:
        """Values, no two the same: some of the instances or written by the schema, most of them changed."""
        generator = self._generator
        found: dict[str, Any] = {}
        for _ in range(2 * count):
            value = generator.choice(instances) if instances and generator.random() < 0.7 else self._written(0)
            for _ in range(generator.choice((0, 0, 1, 1, 1, 2, 3))):
                value = self.changed(value)
            value = normal(value)
            found.setdefault(repr(value), value)
            if len(found) == count:
                break
        return list(found.values())

    def changed(self, value: Any) -> Any:
        """The value with a change at one place, deep or not."""
        places = list(_places(value))
        path = self._generator.choice(places)
        schemas = self._in_place([self._root])
        for step in path:
            schemas = self._below(schemas, step)
        return _with(value, path, lambda there: self._change(there, schemas))

    # What a schema may say of a place, roughly ----------------------------------------------------------------------

    def _in_place(self, schemas: Sequence[Any]) -> list[dict[str, Any]]:
        """Every subschema that may speak of the same value."""
        found: list[dict[str, Any]] = []
        seen: set[int] = set()
        waiting = list(schemas)
        while waiting and len(found) < 60:
            schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            found.append(schema)
            for keyword in ("allOf", "anyOf", "oneOf"):
                waiting += schema.get(keyword, ())
            waiting += [schema.get(keyword) for keyword in ("not", "if", "then", "else")]
            waiting.append(target_of(schema.get("$ref"), self._root))
            for keyword in ("dependencies", "dependentSchemas"):
                waiting += schema.get(keyword, {}).values()
        return found

    def _below(self, schemas: Sequence[dict[str, Any]], step: str | int) -> list[dict[str, Any]]:
        found: list[Any] = []
        for schema in schemas:
            if isinstance(step, str):
                found.append(schema.get("properties", {}).get(step))
                for pattern, part in schema.get("patternProperties", {}).items():
                    if _finds(pattern, step):
                        found.append(part)
                found += [schema.get(keyword) for keyword in ("additionalProperties", "unevaluatedProperties")]
            else:
                items = schema.get("items")
                prefix = items if isinstance(items, list) else schema.get("prefixItems", [])
                found += prefix[step : step + 1]
                found += [schema.get("additionalItems"), schema.get("contains"), items]
        return self._in_place(found)

    # Values that tend to follow the schema --------------------------------------------------------------------------

    def _written(self, depth: int, *schemas: Any) -> Any:
        """A value for schemas of one place (none: the whole schema)."""
        generator = self._generator
        schema = self._joined(schemas or (self._root,))
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return generator.choice(schema["enum"])
        named = schema.get("type")
        match generator.choice(named) if isinstance(named, list) and named else named:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = min(schema.get("minItems", 0), 8)
                length = least + (generator.choice((0, 0, 1, 2)) if depth < _DEPTH else 0)
                items = schema.get("items")
                prefix = items if isinstance(items, list) else schema.get("prefixItems", [])
                rest = schema.get("additionalItems") if isinstance(items, list) else items
                parts = [*prefix[:length], *[rest] * (length - len(prefix))]
                return [self._written(depth + 1, part or {}) for part in parts]
            case "string":
                return self._string([schema], "abc")
            case "integer" | "number":
                return self._number([schema], generator.choice((0, 1, 7, 100)))
            case "boolean":
                return generator.random() < 0.5
            case "null":
                return None
        if "properties" in schema:
            return self._object(schema, depth)
        return generator.choice([*self._scalars, *_ANYTHING])

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        generator = self._generator
        properties = schema.get("properties", {})
        names = list(schema.get("required", ()))
        if depth < _DEPTH:
            names += [name for name in properties if generator.random() < 0.5 / (depth + 1)]
            names += [found_text(pattern, generator) or "a" for pattern in schema.get("patternProperties", {})]
            if generator.random() < 0.2:
                names.append(generator.choice(self._names))
        value = {}
        for name in dict.fromkeys(name for name in names if isinstance(name, str)):
            parts = [properties[name]] if name in properties else self._below([schema], name)[:1]
            value[name] = self._written(depth + 1, *parts or ({},))
        return value

    def _joined(self, schemas: Sequence[Any]) -> dict[str, Any]:
        """The schemas and what they refer to, one branch of each choice, as one schema: enough to write values by."""
        generator = self._generator
        joined: dict[str, Any] = {}
        waiting, seen = list(schemas), 0
        while waiting and seen < 25:
            schema = waiting.pop(0)
            seen += 1
            if not isinstance(schema, dict):
                continue
            waiting += schema.get("allOf", ())
            waiting += [generator.choice(schema[keyword]) for keyword in ("anyOf", "oneOf") if schema.get(keyword)]
            waiting += [schema.get("if"), schema.get("then")] if generator.random() < 0.5 else [schema.get("else")]
            waiting.append(target_of(schema.get("$ref"), self._root))
            for keyword, value in schema.items():
                both = joined.get(keyword)
                if isinstance(both, dict) and isinstance(value, dict):
                    joined[keyword] = {**both, **value}
                elif isinstance(both, list) and isinstance(value, list) and keyword == "required":
                    joined[keyword] = both + value
                else:
                    joined[keyword] = value
        return joined

    # Changes ----------------------------------------------------------------------------------------------------------

    def _change(self, value: Any, schemas: Sequence[dict[str, Any]]) -> Any:
        generator = self._generator
        chance = generator.random()
        if chance < 0.12:
            return generator.choice(self._scalars)
        if chance < 0.2:
            return generator.choice(_ANYTHING)
        if chance < 0.3 and schemas:
            return self._written(1, generator.choice(schemas))
        match value:
            case None | bool():
                return generator.choice((None, True, False, "true", 0, 1))
            case str():
                return self._string(schemas, value)
            case int() | Decimal():
                return self._number(schemas, value)
            case list():
                return self._items(schemas, value)
        return self._members(schemas, value)

    def _items(self, schemas: Sequence[dict[str, Any]], value: list[Any]) -> list[Any]:
        generator = self._generator
        items = [*value]
        at = generator.randint(0, len(items))
        match generator.randrange(5):
            case 0:
                del items[at : at + 1]
            case 1 if items:
                items.insert(at, generator.choice(items))
            case 2:
                items.insert(at, self._written(1, *self._below(schemas, at)[:1] or ({},)))
            case 3:
                generator.shuffle(items)
            case _:
                length = max(0, generator.choice((0, 1, *_bounds(schemas, "Items"))) + generator.choice((-1, 0, 1)))
                items = items[:length] + [self._written(1, *self._below(schemas, at)[:1] or ({},))] * (
                    min(length, 20) - len(items)
                )
        return items

    def _members(self, schemas: Sequence[dict[str, Any]], value: dict[str, Any]) -> dict[str, Any]:
        generator = self._generator
        members = [*value.items()]
        at = generator.randint(0, len(members) - 1) if members else 0
        match generator.randrange(7):
            case 0:
                del members[at : at + 1]
            case 1 if members:
                name, item = members[at]
                others = (name + "x", name[:-1], name.upper(), name + " ", generator.choice(self._names))
                members[at] = (generator.choice(others), item)
            case 2 if members:
                members[at] = (members[at][0], generator.choice(members)[1])
            case 3:
                generator.shuffle(members)
            case 4:
                members = members[:at]
            case _:
                name = self._name(schemas)
                parts = self._below(schemas, name)[:1]
                is_fitting = parts and generator.random() < 0.8
                members.append((name, self._written(1, *parts) if is_fitting else generator.choice(_ANYTHING)))
        return dict(members)

    def _name(self, schemas: Sequence[dict[str, Any]]) -> str:
        """A name that the schemas of an object speak of, or any."""
        generator = self._generator
        names: list[str] = [name for schema in schemas for name in schema.get("properties", {})]
        patterns = [pattern for schema in schemas for pattern in schema.get("patternProperties", {})]
        for schema in schemas:
            match schema.get("propertyNames"):
                case {"pattern": pattern}:
                    patterns.append(pattern)
        if patterns and generator.random() < 0.5:
            return found_text(generator.choice(patterns), generator) or "a"
        return str(generator.choice(names if names and generator.random() < 0.7 else [*self._names, *_ODD]))

    def _number(self, schemas: Sequence[dict[str, Any]], value: Any) -> Any:
        generator = self._generator
        bounds = [
            bound
            for schema in schemas
            for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const")
            if isinstance(bound := schema.get(keyword), int | Decimal) and not isinstance(bound, bool)
        ]
        if bounds and generator.random() < 0.6:
            return generator.choice(bounds) + generator.choice((0, 0, 1, -1, 10, Decimal("0.1"), Decimal("-1e-9")))
        return generator.choice((value, value + 1, -value, value * 1000, value + Decimal("0.1"), 10**18, str(value)))

    def _string(self, schemas: Sequence[dict[str, Any]], value: str) -> str:
        generator = self._generator
        ways = [_FORMATTED[name] for schema in schemas if (name := schema.get("format")) in _FORMATTED]
        for schema in schemas:
            if (text := found_text(schema.get("pattern", "["), generator)) is not None:
                ways.append((text, text + generator.choice(_ODD), text[:-1], text[1:]))
            if isinstance(texts := schema.get("enum", [schema.get("const")]), list):
                ways += [(text, text + "x", text[:-1], text.upper()) for text in texts if isinstance(text, str)]
        for bound in _bounds(schemas, "Length"):
            length = max(0, bound + generator.choice((-1, 0, 0, 1)))
            ways.append((((value or "é") * (length + 1))[:length],))
        if ways and generator.random() < 0.7:
            return str(generator.choice(generator.choice(ways)))
        at = generator.randint(0, len(value))
        return value[:at] + str(generator.choice(_ODD)) + value[at + generator.randint(0, 2) :]


def _bounds(schemas: Sequence[dict[str, Any]], of: str) -> list[int]:
    bounds = [schema.get(end + of) for schema in schemas for end in ("min", "max")]
    return [bound for bound in bounds if isinstance(bound, int) and bound < 2_000]


def _finds(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of a value and of everything within it."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _places(item, (*path, at))


def _with(value: Any, path: Sequence[str | int], change: Callable[[Any], Any]) -> Any:
    """The value with what is at a path changed."""
    if not path:
        return change(value)
    step, *rest = path
    if isinstance(value, dict):
        return {name: _with(item, rest, change) if name == step else item for name, item in value.items()}
    return [_with(item, rest, change) if at == step else item for at, item in enumerate(value)]
