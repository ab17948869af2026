"""Values near the boundary of a schema: made from its own constants, then changed in one place or two."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any

from tests.grammar.json_schema.fuzzing.schemas import FORMATTED, MATCHED, SCALARS

__all__ = ["ValueWriter", "normal", "objects_of"]

# What says more about the same value by other schemas.
_IN_PLACE = {
    *("allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"),
    *("$ref", "$dynamicRef", "$recursiveRef"),
}
# Deeper than this, values are scalars.
_DEPTH = 4


class ValueWriter:
    """Writes values for one schema."""

    def __init__(self, generator: random.Random, schema: Any) -> None:
        self._generator = generator
        self._root = schema
        self._anchors = {
            anchor: subschema
            for subschema in objects_of(schema)
            for keyword in ("$anchor", "$dynamicAnchor")
            if isinstance(anchor := subschema.get(keyword), str)
        }
        self._names = sorted({name for part in objects_of(schema) for name in part if not name.startswith("$")} | {"a"})
        constants = [*_scalars(schema), *generator.sample(SCALARS, 4)]
        self._scalars = list({repr(value): value for value in constants}.values())

    def values(self, count: int) -> list[Any]:
        """Some values, no two the same; most of them follow the schema, many of those with a mistake."""
        found: dict[str, Any] = {}
        for _ in range(3 * count):
            value = self._fitting(self._root, 0)
            for _ in range(self._generator.choice((0, 0, 1, 1, 2))):
                value = self._changed(value)
            value = normal(value)
            found.setdefault(repr(value), value)
            if len(found) == count:
                break
        return list(found.values())

    # What follows the schema, as far as one can see from here -----------------------------------------------------

    def _fitting(self, schema: Any, depth: int) -> Any:
        generator = self._generator
        schema = self._unfolded(schema)
        if "const" in schema and generator.random() < 0.8:
            return schema["const"]
        if "enum" in schema and generator.random() < 0.8:
            return generator.choice(schema["enum"])
        match self._type(schema):
            case "object" if depth < _DEPTH:
                return self._object(schema, depth)
            case "array" if depth < _DEPTH:
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as name:
                return self._number(schema, name)
            case "boolean":
                return generator.random() < 0.5
            case "null":
                return None
        return generator.choice(self._scalars)

    def _unfolded(self, schema: Any) -> dict[str, Any]:
        """A schema with one branch of each combination and the target of its reference written into it."""
        generator = self._generator
        for _ in range(6):
            if not isinstance(schema, dict):
                return {}
            parts: list[Any] = [*schema.get("allOf", ())]
            for keyword in ("anyOf", "oneOf"):
                if keyword in schema:
                    parts.append(generator.choice(schema[keyword]))
            if "if" in schema:
                parts += [schema["if"], schema.get("then")] if generator.random() < 0.5 else [schema.get("else")]
            for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
                if keyword in schema:
                    parts.append(self._target(schema[keyword]))
            if "dependentSchemas" in schema and generator.random() < 0.5:
                parts += schema["dependentSchemas"].values()
            rest = {keyword: value for keyword, value in schema.items() if keyword not in _IN_PLACE}
            parts = [part for part in parts if isinstance(part, dict)]
            if not parts:
                return rest
            schema = rest
            for part in parts:
                schema = _joined(schema, part)
        return schema if isinstance(schema, dict) else {}

    def _target(self, reference: str) -> Any:
        if reference == "#":
            return self._root
        if not reference.startswith("#/"):
            return self._anchors.get(reference[1:])
        target = self._root
        for segment in reference[2:].split("/"):
            target = target[segment]
        return target

    def _type(self, schema: dict[str, Any]) -> str:
        generator = self._generator
        named = schema.get("type")
        if isinstance(named, str):
            return named
        if isinstance(named, list):
            return str(generator.choice(named))
        likely = [
            name
            for name, keywords in (
                ("object", "properties required additionalProperties patternProperties minProperties maxProperties"),
                ("object", "propertyNames dependencies dependentRequired unevaluatedProperties"),
                ("array", "items prefixItems minItems maxItems uniqueItems contains unevaluatedItems"),
                ("string", "minLength maxLength pattern format"),
                ("number", "minimum maximum multipleOf exclusiveMinimum exclusiveMaximum"),
            )
            if any(keyword in schema for keyword in keywords.split())
        ]
        if likely and generator.random() < 0.9:
            return generator.choice(likely)
        return generator.choice(("object", "array", "string", "number", "boolean", "null", "scalar"))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        generator = self._generator
        properties = schema.get("properties", {})
        names = [*schema.get("required", ())]
        names += [name for name in properties if generator.random() < 0.6]
        for pattern in schema.get("patternProperties", ()):
            if generator.random() < 0.6:
                names.append(generator.choice(MATCHED[pattern]))
        while len(set(names)) < schema.get("minProperties", 0) or generator.random() < 0.25:
            names.append(generator.choice(self._names) + generator.choice(("", "", "x")))
        dependencies = {**schema.get("dependencies", {}), **schema.get("dependentRequired", {})}
        for name, others in dependencies.items():
            if generator.random() < 0.5:
                names.append(name)
            if name in names and isinstance(others, list) and generator.random() < 0.7:
                names += others
        generator.shuffle(names)
        value = {}
        for name in names:
            rules = [properties[name]] if name in properties else []
            rules += [rule for pattern, rule in schema.get("patternProperties", {}).items() if name in MATCHED[pattern]]
            others = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
            value[name] = self._fitting(generator.choice(rules or [others]), depth + 1)
        return value

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        generator = self._generator
        prefix = schema.get("prefixItems", [])
        rest = schema.get("items", schema.get("unevaluatedItems", True))
        if isinstance(rest, list):
            prefix, rest = rest, schema.get("additionalItems", True)
        least = schema.get("minItems", 0)
        length = generator.randint(least, max(least, min(schema.get("maxItems", 4), len(prefix) + 2)))
        rules = [*prefix[:length], *[rest] * (length - len(prefix))]
        items = [self._fitting(rule, depth + 1) for rule in rules]
        if "contains" in schema and (items or generator.random() < 0.5):
            for _ in range(schema.get("minContains", 1)):
                items.insert(generator.randint(0, len(items)), self._fitting(schema["contains"], depth + 1))
                if len(items) > 1 and generator.random() < 0.5:
                    items.pop(generator.randrange(len(items)))
        return items

    def _string(self, schema: dict[str, Any]) -> str:
        generator = self._generator
        if "pattern" in schema:
            return generator.choice(MATCHED[schema["pattern"]])
        if "format" in schema:
            return generator.choice(FORMATTED[schema["format"]])
        length = generator.choice((schema.get("minLength", 0), schema.get("maxLength", 3)))
        return "".join(generator.choice("abé😀/") for _ in range(length))

    def _number(self, schema: dict[str, Any], name: str) -> Any:
        generator = self._generator
        bounds = [
            bound
            for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            if not isinstance(bound := schema.get(keyword, False), bool)
        ]
        step = generator.choice((0, 0, 1, -1, Decimal("0.1"), Decimal("-0.5")))
        number = generator.choice(bounds or [0, 1, 7]) + step
        if "multipleOf" in schema and generator.random() < 0.7:
            with localcontext(prec=80):
                number = schema["multipleOf"] * (number // schema["multipleOf"])
        return int(number) if name == "integer" else number

    # Mistakes -----------------------------------------------------------------------------------------------------

    def _changed(self, value: Any) -> Any:
        generator = self._generator
        if isinstance(value, list) and value and generator.random() < 0.9:
            items = [*value]
            at = generator.randrange(len(items))
            match generator.randrange(5):
                case 0:
                    items.pop(at)
                case 1:
                    items.insert(at, generator.choice(items))
                case 2:
                    items.append(generator.choice(self._scalars))
                case 3:
                    generator.shuffle(items)
                case _:
                    items[at] = self._changed(items[at])
            return items
        if isinstance(value, dict) and value and generator.random() < 0.9:
            members = [*value.items()]
            at = generator.randrange(len(members))
            name, item = members[at]
            match generator.randrange(5):
                case 0:
                    members.pop(at)
                case 1:
                    members[at] = (generator.choice(self._names), item)
                case 2:
                    members.append((generator.choice(self._names), generator.choice(self._scalars)))
                case 3:
                    members[at] = (name, generator.choice(members)[1])
                case _:
                    members[at] = (name, self._changed(item))
            return dict(members)
        if isinstance(value, str) and generator.random() < 0.6:
            at = generator.randint(0, len(value))
            return value[:at] + generator.choice(("", "a", "b", "é", '"', "0")) + value[at + generator.randint(0, 1) :]
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and generator.random() < 0.6:
            return value + generator.choice((1, -1, Decimal("0.5"), Decimal("0.01")))
        return generator.choice([*self._scalars, [], {}, [value], {"a": value}])


def normal(value: Any) -> Any:
    """The value with every integral number as an int."""
    match value:
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case list():
            return [normal(item) for item in value]
        case dict():
            return {name: normal(item) for name, item in value.items()}
    return value


def _joined(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Both schemas in one; where both have a keyword, maps and lists are joined and else the part's value counts."""
    joined = {**schema, **part}
    for keyword in schema.keys() & part.keys():
        first, second = schema[keyword], part[keyword]
        if isinstance(first, dict) and isinstance(second, dict) and keyword not in ("items", "contains", "not"):
            joined[keyword] = {**first, **second}
        elif isinstance(first, list) and isinstance(second, list) and keyword in ("required", "allOf"):
            joined[keyword] = [*first, *second]
    return joined


def objects_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object within a schema."""
    if isinstance(schema, dict):
        yield schema
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from objects_of(part)


def _scalars(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _scalars(part)
    else:
        yield schema
