"""How many values are left where items must differ: against all values of small schemas, written out in every order."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.arena import CONFIGURATION_COUNT
from tokamask.grammar.configurations import MEMORY, address_of, thread_count, thread_of
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema import cardinality
from tokamask.grammar.json_schema.shapes import Shape
from tokamask.grammar.recogniser import Recogniser
from tokamask.grammar.repetition import values_repeated
from tokamask.grammar.survival import is_free
from tokamask.grammar.values_left import _values_left, has_value_left

NAMES = ["b", "a", "c", "ab", "x", "xy"]  # in their order; the names of a pattern come last
SCALARS: list[Any] = [True, None, "", "a", "ab", "b", 0, 1, 12]


def some_scalars(generator: random.Random) -> tuple[dict[str, Any], list[Any]]:
    values = generator.sample(SCALARS, generator.randint(1, 3))
    return {"enum": values}, values


def some_objects(generator: random.Random, depth: int) -> tuple[dict[str, Any], list[Any]]:
    """A schema of objects with at most four names, and all of its values."""
    chosen = generator.sample(NAMES[:4], generator.randint(1, 3))
    parts = {name: some_values(generator, depth) for name in NAMES if name in chosen}
    required = [name for name in parts if generator.random() < 0.3]
    others = generator.random() < 0.3
    names = {**parts, **({"x": ({}, [1]), "xy": ({}, [1])} if others else {})}
    values = []
    for size in range(len(names) + 1):
        for present in itertools.combinations(names, size):
            if set(required) <= set(present):
                for members in itertools.product(*(names[name][1] for name in present)):
                    values.append(dict(zip(present, members, strict=True)))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: part for name, (part, _) in parts.items()},
        "required": required,
        "additionalProperties": False,
    }
    if others:
        schema["patternProperties"] = {"^xy?$": {"const": 1}}
    if generator.random() < 0.5:
        sizes = sorted({len(value) for value in values})
        schema["minProperties"] = generator.choice(sizes)
        if generator.random() < 0.5:
            schema["maxProperties"] = generator.choice([size for size in sizes if size >= schema["minProperties"]])
    limits = schema.get("minProperties", 0), schema.get("maxProperties", 9)
    return schema, [value for value in values if limits[0] <= len(value) <= limits[1]]


def some_arrays(generator: random.Random, depth: int) -> tuple[dict[str, Any], list[Any]]:
    items, each = some_values(generator, depth)
    first, firsts = some_scalars(generator)
    most = generator.randint(1, 2)
    fewest = generator.randint(0, most)
    is_distinct = generator.random() < 0.3
    has_first = generator.random() < 0.4
    schema = {"type": "array", "items": items, "minItems": fewest, "maxItems": most, "uniqueItems": is_distinct}
    if has_first:
        schema["prefixItems"] = [first]
    values = []
    for size in range(fewest, most + 1):
        for chosen in itertools.product(*[firsts if place == 0 and has_first else each for place in range(size)]):
            spelled = [json.dumps(item, sort_keys=True) for item in chosen]
            if not is_distinct or len(set(spelled)) == size:
                values.append(list(chosen))
    return schema, values


def some_values(generator: random.Random, depth: int) -> tuple[dict[str, Any], list[Any]]:
    """A schema, and all of its values."""
    if depth == 0 or generator.random() < 0.4:
        return some_scalars(generator)
    if generator.random() < 0.7:
        return some_objects(generator, depth - 1)
    return some_arrays(generator, depth - 1)


def spellings(value: Any, is_ordered: bool) -> Iterator[str]:
    """All of them, with the properties in any order or in that of `NAMES`."""
    if isinstance(value, dict):
        orders = [sorted(value, key=NAMES.index)] if is_ordered else itertools.permutations(value)
        for order in orders:
            for members in itertools.product(*(list(spellings(value[name], is_ordered)) for name in order)):
                pairs = zip(order, members, strict=True)
                yield "{" + ",".join(f"{json.dumps(name)}:{member}" for name, member in pairs) + "}"
    elif isinstance(value, list):
        for items in itertools.product(*(list(spellings(item, is_ordered)) for item in value)):
            yield "[" + ",".join(items) + "]"
    else:
        yield json.dumps(value)


@pytest.fixture(scope="module", params=["any", "schema"])
def cases(request: pytest.FixtureRequest) -> list[tuple[Grammar, list[list[str]]]]:
    """Arrays of different items, and the spellings of each value that an item may have."""
    generator = random.Random(5)
    options: dict[str, Any] = {"property_order": request.param, "whitespace": "none", "escapes": "minimal"}
    found: list[tuple[Grammar, list[list[str]]]] = []
    while len(found) < 60:
        items, values = (some_objects if generator.random() < 0.8 else some_arrays)(generator, 1)
        if 1 < len(values) <= 60:
            spelled = [list(spellings(value, request.param == "schema")) for value in values]
            if sum(map(len, spelled)) <= 1500:
                schema = {"type": "array", "items": items, "uniqueItems": True}
                found.append((Grammar.from_json_schema(schema, **options), spelled))
    return found


def follow(recogniser: Recogniser, text: str) -> int:
    configuration = recogniser.start()
    for byte in text.encode():
        configuration = recogniser.move(configuration, byte)
    return configuration


def beginnings(generator: random.Random, spelled: list[list[str]]) -> Iterator[tuple[list[int], str]]:
    """Values used before, and the beginning of one more, mostly of one that is left when most of them are used."""
    for _ in range(12):
        order = generator.sample(range(len(spelled)), len(spelled))
        used = order[: len(order) - generator.choice([0, 1, 1, 2, 3])]
        text = generator.choice(spelled[generator.choice(order)])
        yield used, text[: generator.randrange(len(text))]


def test_a_beginning_is_allowed_where_a_value_is_left(cases: list[tuple[Grammar, list[list[str]]]]) -> None:
    generator = random.Random(7)
    verdicts = {True: 0, False: 0}
    for grammar, spelled in cases:
        recogniser = Recogniser(grammar.program)
        for used, begun in beginnings(generator, spelled):
            text = "[" + "".join(generator.choice(spelled[number]) + "," for number in used)
            left = [number for number in range(len(spelled)) if number not in used]
            is_left = any(spelling.startswith(begun) for number in left for spelling in spelled[number])
            assert (follow(recogniser, text + begun) != 0) == is_left, text + begun
            verdicts[is_left] += 1
    assert min(verdicts.values()) > 100


def test_counts(cases: list[tuple[Grammar, list[list[str]]]]) -> None:
    """No more values are counted as left than there are, no fewer as repeated; and one that is counted is there."""
    generator = random.Random(9)
    exact, told = 0, 0
    for grammar, spelled in cases:
        recogniser = Recogniser(grammar.program)
        words = grammar.program.words
        for used, begun in beginnings(generator, spelled):
            text = "[" + "".join(spelled[number][0] + "," for number in used)
            configuration = follow(recogniser, text + begun)
            arena = recogniser._arena
            possible = {i for i, texts in enumerate(spelled) if any(text.startswith(begun) for text in texts)}
            threads = thread_count(arena, configuration) if configuration else 0
            is_alone = threads == 1 and not begun[-1:].isdigit()  # a number may have ended, or go on
            for i in range(threads):
                thread = thread_of(arena, configuration, i)
                memory = arena[address_of(arena, thread) + MEMORY]
                if memory <= 0 or is_free(words, arena, thread):
                    continue
                left = _values_left(words, arena, thread)
                assert left <= len(possible), text + begun
                assert not is_alone or values_repeated(arena, memory, 99) >= len(possible & set(used)), text + begun
                has_left = has_value_left(words, arena, thread)
                assert not has_left or possible - set(used), text + begun
                exact += is_alone and left == len(possible)
                told += has_left
    assert exact > 150
    assert told > 100


def test_as_many_objects_as_there_are() -> None:
    """So many may have to come, and not one more."""
    generator = random.Random(11)
    for _ in range(60):
        items, values = some_objects(generator, 0)
        schema = {"type": "array", "items": items, "uniqueItems": True}
        assert Grammar.from_json_schema({**schema, "minItems": len(values)}).check(json.dumps(values)).ok
        with pytest.raises((UnsatisfiableSchema, UnsupportedFeature)):
            Grammar.from_json_schema({**schema, "minItems": len(values) + 1})


@pytest.mark.parametrize("order", ["any", "schema"])
def test_names_of_which_one_may_be_missing(order: Any) -> None:
    """Each byte of such objects may still lead to as many values as there are names: no search is begun for it."""
    names = [f"p{number:02d}" for number in range(20)]
    whole = dict.fromkeys(names, 1)
    values = [{name: 1 for name in names if name != missing} for missing in names] + [whole]
    items = {"type": "object", "properties": {name: {"const": 1} for name in names}, "additionalProperties": False}
    schema = {"type": "array", "items": {**items, "minProperties": 19}, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, property_order=order, whitespace="none")
    text = json.dumps(values, separators=(",", ":"))
    recogniser = Recogniser(grammar.program)
    assert follow(recogniser, text)
    assert recogniser._arena[CONFIGURATION_COUNT] < 4 * len(text)
    assert not follow(recogniser, text[:-1] + ",")


def test_nodes_that_many_others_refer_to_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 40 levels refers twice to the next: there are 2 ** 40 ways down."""
    pair = {"type": "object", "required": ["a", "b"], "additionalProperties": False}
    levels = {
        f"level{i}": {**pair, "properties": {name: {"$ref": f"#/$defs/level{i + 1}"} for name in "ab"}}
        for i in range(40)
    }
    schema = {"items": {"$ref": "#/$defs/level0"}, "$defs": {**levels, "level40": {"const": 1}}}
    counted: list[Shape] = []
    values = cardinality._values

    def count(shape: Shape, counts: Mapping[int, int]) -> int:
        counted.append(shape)
        return values(shape, counts)

    monkeypatch.setattr(cardinality, "_values", count)
    grammar = Grammar.from_json_schema({**schema, "type": "array", "uniqueItems": True})
    assert grammar.program.start >= 0
    assert 40 <= len(counted) < 1000


def test_values_inside_of_themselves_count() -> None:
    """Every one more list around a list is another value."""
    schema = {"$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}, "maxItems": 1}}}
    items = {**schema, "type": "array", "items": {"$ref": "#/$defs/list"}, "minItems": 4, "uniqueItems": True}
    grammar = Grammar.from_json_schema(items)
    assert grammar.check("[[], [[]], [[[]]], [[[[]]]]]").ok
    assert not grammar.check("[[], [[]], [[[]]], [[]]]").ok


def test_the_names_begun_are_those_that_go_on_alike() -> None:
    """Behind `{"a` one of two names has to come, behind `{"ab` only one: so many values are left."""
    parts = {"a": {"enum": [1, 2]}, "ab": {"enum": [1, 2, 3]}, "c": {"const": 1}}
    items = {"type": "object", "properties": parts, "additionalProperties": False, "minProperties": 1}
    schema = {"type": "array", "items": {**items, "maxProperties": 1}, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, whitespace="none")
    recogniser = Recogniser(grammar.program)
    for used, begun, expected in (("c", '{"', 6), ("a", '{"a', 5), ("ab", '{"ab', 3), ("c", '{"c', 1)):
        configuration = follow(recogniser, f'[{{"{used}":1}},{begun}')
        if begun == '{"c':
            assert configuration == 0
        else:
            thread = thread_of(recogniser._arena, configuration, 0)
            assert _values_left(grammar.program.words, recogniser._arena, thread) == expected
