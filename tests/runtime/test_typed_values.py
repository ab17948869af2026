"""Python types: their schemas (checked with jsonschema), their values, and what cannot be described."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from typing_extensions import TypedDict

from tokamask.errors import UnsupportedFeature
from tokamask.runtime.typed_values import typed_value


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Author(BaseModel):
    name: str
    born: int | None = None


class Book(BaseModel):
    title: str = Field(max_length=40)
    author: Author
    tags: list[str] = []
    colour: Colour = Colour.RED


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tail: bool


class Node(BaseModel):
    value: int
    children: list["Node"] = []


@dataclass
class Point:
    x: float
    y: float = 0.0


class Movie(TypedDict):
    name: str
    year: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str


class Ordered(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def check(self) -> "Ordered":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def order(item: str, count: int, *, when: datetime.date | None = None) -> None: ...


class Shop:
    def buy(self, book: Book, copies: Annotated[int, Field(ge=1)] = 1) -> None: ...


ROUND_TRIPS = [
    (Book, {"title": "Moby", "author": {"name": "Melville"}}, Book(title="Moby", author=Author(name="Melville"))),
    (Author, {"name": "x", "born": None}, Author(name="x")),
    (Open, {"a": 1, "b": [2]}, Open(a=1, b=[2])),  # type: ignore[call-arg]
    (Node, {"value": 1, "children": [{"value": 2}]}, Node(value=1, children=[Node(value=2)])),
    (Point, {"x": 1, "y": 2.5}, Point(1.0, 2.5)),
    (Movie, {"name": "Jaws", "year": 1975}, {"name": "Jaws", "year": 1975}),
    (Movie, {"name": "Jaws"}, {"name": "Jaws"}),
    (Pair, [1, "a"], Pair(1, "a")),
    (Colour, "blue", Colour.BLUE),
    (Literal["a", 3], 3, 3),
    (int | list[str], ["a"], ["a"]),
    (Cat | Dog, {"kind": "dog", "tail": True}, Dog(kind="dog", tail=True)),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cat", "lives": 9}, Cat(kind="cat", lives=9)),
    (list[Point], [{"x": 0}], [Point(0.0)]),
    (tuple[int, str], [1, "b"], (1, "b")),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[Annotated[str, Field(pattern="^k[0-9]$")], int], {"k1": 1, "k2": 2}, {"k1": 1, "k2": 2}),
    (int, 7, 7),
    (float, 7, 7.0),
    (str, "x", "x"),
    (bool, True, True),
    (type(None), None, None),
    (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    (Decimal, "1.5", Decimal("1.5")),
    (TypeAdapter(list[int]), [1, 2], [1, 2]),
    (order, {"item": "x", "count": 2}, {"item": "x", "count": 2}),
    (
        order,
        {"item": "x", "count": 2, "when": "2024-01-01"},
        {"item": "x", "count": 2, "when": datetime.date(2024, 1, 1)},
    ),
    (Shop().buy, {"book": {"title": "t", "author": {"name": "n"}}}, {"book": Book(title="t", author=Author(name="n"))}),
]


@pytest.mark.parametrize(("kind", "document", "value"), ROUND_TRIPS)
def test_a_document_of_the_schema_becomes_a_value_of_the_type(kind: Any, document: Any, value: Any) -> None:
    schema, reader = typed_value(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    built = reader.read(json.dumps(document))
    assert built == value
    assert type(built) is type(value)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Book, {"title": "t", "author": {"name": "n"}, "publisher": "p"}),
        (Book, {"title": "t", "author": {"name": "n", "age": 3}}),
        (Point, {"x": 1, "z": 1}),
        (Movie, {"name": "Jaws", "rating": 5}),
        (order, {"item": "x"}),
        (order, {"item": "x", "count": 1, "self": 1}),
        (Shop().buy, {"book": {"title": "t", "author": {"name": "n"}}, "copies": 0}),
        (dict[Annotated[str, Field(pattern="^k[0-9]$")], int], {"k1": 1, "other": 2}),
    ],
)
def test_the_schema_holds_the_declared_keys_only(kind: Any, document: Any) -> None:
    schema, _ = typed_value(kind)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_a_property_that_is_named_like_a_keyword_is_left_alone() -> None:
    class Odd(TypedDict):
        type: str
        properties: int
        default: dict[str, Point]

    schema, _ = typed_value(Odd)
    jsonschema.validate({"type": "object", "properties": 1, "default": {"p": {"x": 1}}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"type": "object", "properties": 1, "default": {"p": {"x": 1, "z": 1}}}, schema)


def test_a_discriminated_union_asks_for_no_exclusive_choice() -> None:
    schema, _ = typed_value(Annotated[Cat | Dog, Field(discriminator="kind")])
    assert "oneOf" not in json.dumps(schema)


def test_the_types_own_validators_refuse() -> None:
    schema, reader = typed_value(Ordered)
    jsonschema.validate({"low": 2, "high": 1}, schema)
    with pytest.raises(ValidationError, match="low is above high"):
        reader.read('{"low": 2, "high": 1}')


def varied(*items: int) -> None: ...


@pytest.mark.parametrize(
    ("kind", "says"),
    [(object(), "object"), (varied, "items"), (Callable[[int], int], "JSON Schema")],
)
def test_what_has_no_schema_is_refused_by_name(kind: Any, says: str) -> None:
    with pytest.raises(UnsupportedFeature, match=says):
        typed_value(kind)
