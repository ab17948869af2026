"""Random schemas over all keywords of a draft; the same seed gives the same schemas.

They are small, share few names and constants so that keywords meet, and never run in circles: where a subschema
applies to the same value as its parent, it refers only to definitions further down.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

__all__ = ["DRAFTS", "FORMATTED", "MATCHED", "SCALARS", "SchemaWriter", "keys"]

DRAFTS = ("4", "6", "7", "2019-09", "2020-12")

NAMES = ("a", "b", "ab", "ba", "é", "a/b", "~0", 'q"', "", "x\ty", "😀")
SCALARS = (
    *(None, False, True, 0, 1, 2, -1, 3, 10, Decimal("1.5"), Decimal("-0.5"), Decimal("0.1"), Decimal("0.30")),
    *(10**30 + 1, -(10**20), Decimal("1e-9"), Decimal("123456789012345678901.5")),
    *("", "a", "ab", "b", "aab", "é", "e\u0301", "😀", "1", "0", 'q"', "a/b", "\\", "x\ty", "null"),
)
BOUNDS = (-1, 0, 1, 2, 3, 10, Decimal("0.5"), Decimal("1.5"), Decimal("-0.25"), Decimal("2.0"), 10**30, Decimal("1e2"))
STEPS = (1, 2, 3, Decimal("0.5"), Decimal("0.1"), Decimal("1.5"), Decimal("0.01"), 10**29)
COUNTS = (0, 1, 1, 2, 2, 3)
# Patterns that mean the same to Python's `re`, to Rust's crates and to ECMA-262, with texts that they match.
MATCHED = {
    "^a": ("a", "ab", "a/b"),
    "b$": ("b", "ab", "aab"),
    "^.b?$": ("a", "ab", "é", "😀"),
    "[^a]": ("b", "ab", "1"),
    "^[ab]{1,2}$": ("a", "ab", "ba"),
    "^(a|ab)+$": ("a", "aab", "abab"),
    "[0-9]": ("1", "a0"),
    "é|😀": ("é", "a😀"),
    '^q"|/': ('q"', "a/b"),
    "^$": ("",),
}
# Formats that both oracles judge alike on these texts, by the first draft that has them; the first two are valid.
FORMATTED = {
    "ipv4": ("127.0.0.1", "0.0.0.255", "127.0.0.256", "1.2.3", "a"),
    "date": ("2024-02-29", "1999-12-31", "2023-02-29", "2024-2-1", ""),
    "uuid": ("2eb8aa08-aa98-11ea-b4aa-73b441d16380", "00000000-0000-0000-0000-000000000000", "2eb8aa08", "a", ""),
}
_FORMATS_OF = {"4": ("ipv4",), "6": ("ipv4",), "7": ("ipv4", "date")}
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_ANY = (
    ("type", "type", "enum", "enum", "allOf", "anyOf", "anyOf", "oneOf", "oneOf", "not", "not", "$ref"),
    ("const",),
    ("if",),
    (),
    (),
)
_NUMBER = (("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), (), (), (), ())
_STRING = (("minLength", "maxLength", "pattern", "format"), (), (), (), ())
_ARRAY = (
    ("items", "items", "minItems", "maxItems", "uniqueItems"),
    ("contains",),
    (),
    ("minContains", "maxContains", "unevaluatedItems"),
    ("prefixItems",),
)
_OBJECT = (
    (
        *("properties", "properties", "required", "additionalProperties", "patternProperties"),
        *("minProperties", "maxProperties", "dependencies"),
    ),
    ("propertyNames",),
    (),
    ("dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    (),
)
_ITEMS_UP_TO_2019 = ("additionalItems",)
_TOPICS = {"number": _NUMBER, "string": _STRING, "array": _ARRAY, "object": _OBJECT}


def keys(schema: Any) -> Iterator[str]:
    """Every key of every object within a schema."""
    if isinstance(schema, dict):
        yield from schema
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from keys(part)


class SchemaWriter:
    """Writes schemas of one draft."""

    def __init__(self, generator: random.Random, draft: str) -> None:
        self._generator = generator
        self._draft = draft
        self._age = DRAFTS.index(draft)
        self._definitions = "definitions" if self._age < 3 else "$defs"
        self._budget = 0
        # The definitions that may be referred to here; None: all, and the root.
        self._acyclic: Sequence[int] | None = ()
        self._count = 0
        # One schema has few names and constants, so that keywords meet.
        self._names_used = generator.sample(NAMES[:3], 2) + generator.sample(NAMES, 2)
        self._scalars_used = generator.sample(SCALARS, 8)
        self._bounds_used = generator.sample(BOUNDS, 3)
        self._steps_used = generator.sample(STEPS, 2)
        self._patterns_used = generator.sample(list(MATCHED), 3)
        # What the keywords around are about.
        self._topic = ""
        self._keywords: dict[str, Callable[[], Any]] = {
            "type": self._type,
            "enum": lambda: self._several(self._value, 4),
            "const": self._value,
            "minimum": self._bound,
            "maximum": self._bound,
            "exclusiveMinimum": self._exclusive,
            "exclusiveMaximum": self._exclusive,
            "multipleOf": lambda: self._generator.choice(self._steps_used),
            "pattern": lambda: self._generator.choice(self._patterns_used),
            "format": lambda: self._generator.choice(_FORMATS_OF.get(draft, tuple(FORMATTED))),
            "items": self._items,
            "prefixItems": lambda: self._several(self._below, 3),
            "additionalItems": self._below,
            "contains": self._below,
            "uniqueItems": lambda: self._generator.random() < 0.8,
            "unevaluatedItems": self._below,
            "properties": lambda: self._map(self._name, self._below),
            "required": self._names,
            "additionalProperties": self._below,
            "patternProperties": lambda: self._map(lambda: self._generator.choice(self._patterns_used), self._below),
            "propertyNames": self._below,
            "dependencies": lambda: self._map(self._name, self._dependency),
            "dependentRequired": lambda: self._map(self._name, lambda: self._names(0)),
            "dependentSchemas": lambda: self._map(self._name, self._in_place),
            "unevaluatedProperties": self._below,
            "allOf": lambda: self._several(self._in_place, 3),
            "anyOf": lambda: self._several(self._in_place, 3),
            "oneOf": lambda: self._several(self._in_place, 3),
            "not": self._in_place,
            "if": self._in_place,
            "$ref": self._reference,
            "then": self._in_place,
            "else": self._in_place,
            "default": self._value,
            "examples": lambda: self._several(self._value, 2),
            "title": self._name,
            "x-unknown": self._value,
        }

    def schema(self) -> dict[str, Any]:
        """A schema with definitions that refer to each other."""
        self._count = self._generator.choice((0, 1, 1, 2))
        self._budget = self._generator.choice((3, 6, 10, 16, 30))
        self._acyclic = range(self._count)
        root = self._object()
        definitions = {}
        for number in range(self._count):
            self._budget = 4
            self._acyclic = range(number + 1, self._count)
            definitions[f"d{number}"] = self._object()
            if self._age >= 3:
                definitions[f"d{number}"]["$anchor"] = f"here{number}"
                if self._age == 4:
                    definitions[f"d{number}"]["$dynamicAnchor"] = f"there{number}"
        return {**root, self._definitions: definitions} if definitions else root

    # Values -----------------------------------------------------------------------------------------------------

    def _value(self) -> Any:
        kind = self._generator.random()
        if kind < 0.8:
            return self._generator.choice(self._scalars_used)
        if kind < 0.9:
            return [self._value() for _ in range(self._generator.randrange(3))]
        return {self._name(): self._value() for _ in range(self._generator.randrange(3))}

    def _name(self) -> str:
        return self._generator.choice(self._names_used)

    def _names(self, least: int = 1) -> list[str]:
        # Draft 4 wants one name at least.
        return list(dict.fromkeys(self._name() for _ in range(self._generator.randint(max(least, self._age == 0), 2))))

    def _bound(self) -> Any:
        return self._generator.choice(self._bounds_used)

    def _exclusive(self) -> Any:
        return self._generator.random() < 0.5 if self._age == 0 else self._bound()

    def _type(self) -> Any:
        if self._generator.random() < 0.6:
            return self._generator.choice(TYPES)
        return self._generator.sample(TYPES, self._generator.randint(1, 3))

    def _several(self, make: Callable[[], Any], most: int) -> list[Any]:
        return [make() for _ in range(self._generator.randint(1, most))]

    def _map(self, key: Callable[[], str], make: Callable[[], Any]) -> dict[str, Any]:
        return {key(): make() for _ in range(self._generator.randint(1, 3))}

    # Subschemas -------------------------------------------------------------------------------------------------

    def _in_place(self) -> Any:
        """A subschema for the same value."""
        self._budget -= 1
        if self._budget <= 0:
            return self._leaf()
        return self._object()

    def _below(self) -> Any:
        """A subschema for a part of the value, where every definition may be referred to again."""
        with self._descended():
            return self._in_place()

    @contextmanager
    def _descended(self) -> Iterator[None]:
        before, self._acyclic, self._topic = (self._acyclic, self._topic), None, ""
        yield
        self._acyclic, self._topic = before

    def _leaf(self) -> Any:
        kind = self._generator.random()
        if kind < 0.25:
            is_anything = self._generator.random() < 0.8
            if self._age == 0:
                return {} if is_anything else {"not": {}}
            return is_anything
        if kind < 0.5:
            return {"type": self._type()}
        if kind < 0.7 and (reference := self._reference()) is not None:
            return {"$ref": reference}
        return {"enum": self._several(self._value, 3)}

    def _reference(self) -> str | None:
        """A definition, or the root, that does not lead back here with the same value; None if there is none."""
        targets = ["#", *range(self._count)] if self._acyclic is None else list(self._acyclic)
        if not targets:
            return None
        target = self._generator.choice(targets)
        if target == "#":
            return "#"
        if self._age >= 3 and self._generator.random() < 0.3:
            return f"#here{target}"
        return f"#/{self._definitions}/d{target}"

    def _items(self) -> Any:
        if self._age < 4 and self._generator.random() < 0.5:
            return self._several(self._below, 3)
        return self._below()

    def _dependency(self) -> Any:
        return self._names() if self._generator.random() < 0.5 else self._in_place()

    def _offered(self, topic: tuple[tuple[str, ...], ...]) -> list[str]:
        keywords = [keyword for since, some in enumerate(topic) if since <= self._age for keyword in some]
        if topic is _ARRAY and self._age < 4:
            keywords += _ITEMS_UP_TO_2019
        return keywords

    def _ignored(self) -> list[str]:
        """Annotations, and what other drafts have for keywords."""
        later = [keyword for topic in (_ANY, *_TOPICS.values()) for some in topic[self._age + 1 :] for keyword in some]
        return ["default", "examples", "title", "x-unknown", "then", "else", *later]

    def _object(self) -> dict[str, Any]:
        """One to five keywords, most of them about values of one type."""
        generator = self._generator
        name = generator.choice(("number", "number", "string", "array", "array", "object", "object", "object"))
        if self._topic and generator.random() < 0.8:
            name = self._topic
        before, self._topic = self._topic, name
        schema: dict[str, Any] = {}
        if generator.random() < 0.4:
            schema["type"] = generator.choice(("integer", "number")) if name == "number" else name
        chosen = generator.choices(self._offered(_TOPICS[name]), k=generator.choice((1, 1, 2, 2, 3, 4)))
        chosen += generator.choices(self._offered(_ANY), k=generator.choice((0, 0, 1, 1, 2)))
        for keyword in chosen:
            if keyword not in schema:
                self._write(schema, keyword)
        if generator.random() < 0.15:
            self._write(schema, generator.choice(self._ignored()))
        self._topic = before
        return schema

    def _write(self, schema: dict[str, Any], keyword: str) -> None:
        write = self._keywords.get(keyword, lambda: self._generator.choice(COUNTS))
        value = write()
        if value is not None or keyword in ("const", "default"):
            schema[keyword] = value
        if keyword == "if":
            for branch in ("then", "else"):
                if self._generator.random() < 0.7:
                    schema[branch] = self._in_place()
        if keyword in ("minContains", "maxContains") and self._generator.random() < 0.9:
            schema.setdefault("contains", self._below())
        if self._age == 0 and keyword.startswith("exclusive"):
            schema.setdefault(keyword.removeprefix("exclusive").lower(), self._bound())
        if keyword == "$ref" and value is not None and self._generator.random() < 0.3:
            self._make_dynamic(schema, value)

    def _make_dynamic(self, schema: dict[str, Any], reference: str) -> None:
        """The same target by the dynamic reference of the draft: within one resource it leads nowhere else."""
        if self._age == 4 and reference != "#":
            del schema["$ref"]
            schema["$dynamicRef"] = f"#there{reference[-1]}"
        if self._age == 3 and reference == "#":
            del schema["$ref"]
            schema["$recursiveRef"] = "#"
