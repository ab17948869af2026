"""Objects by name classes and counts, arrays by automata over items: every short text, judged by plain reading."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strategies import byte_vocabulary
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema.shapes import (
    ItemsShape,
    ItemState,
    JsonShapes,
    NameClass,
    ObjectShape,
    Property,
    PropertyOrder,
    ScalarShape,
    Shape,
    StringShape,
    Witness,
)
from tokamask.grammar.json_schema.whitespace import whitespace_language
from tokamask.grammar.language import Language
from tokamask.grammar.recogniser import Recogniser
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.rules import JsonValue, RuleSet
from tokamask.masking.compiler import GrammarCompiler

ONE, TWO, EITHER, TEXT = range(1, 5)
VALUES = {ONE: ("1",), TWO: ("2",), EITHER: ("1", "2"), TEXT: ('"x"', '""')}
LEAVES: tuple[tuple[Shape, ...], ...] = (
    (ScalarShape(Language.literal(b"1")),),
    (ScalarShape(Language.literal(b"2")),),
    (ScalarShape(Language.words([b"1", b"2"])),),
    (StringShape(language=Language.words([b"x", b""])),),
)


def grammar(shape: Shape, order: PropertyOrder = PropertyOrder.SCHEMA) -> Grammar:
    shapes = JsonShapes(((shape,), *LEAVES), 0, whitespace_language("none"), order)
    return Grammar(RuleSet({"document": JsonValue(shapes)}, "document"))


def names(pattern: str) -> Language:
    return pattern_language(pattern, "ecma", search=False)


DECLARED = (Property(b"a", ONE, False), Property(b"ab", EITHER, True), Property(b"b", None, False))
OBJECTS = {
    "a class and others": ObjectShape(DECLARED, TEXT, (NameClass(names("b.*"), TWO),)),
    "classes only": ObjectShape(DECLARED, None, (NameClass(names("a+"), EITHER), NameClass(names("ba?"), None))),
    "a forbidden class": ObjectShape(DECLARED[:1], EITHER, (NameClass(names("[^a]*"), None),)),
    "at least two": ObjectShape((*DECLARED[:2], Property(b"c", ONE, False)), None, minimum=2),
    "one or two": ObjectShape((DECLARED[0], Property(b"c", ONE, False), Property(b"d", TWO, False)), None, (), 1, 2),
    "at most two, one required": ObjectShape(DECLARED, TEXT, (NameClass(names("c+"), TWO),), 0, 2),
    "a witness": ObjectShape(DECLARED[:1], EITHER, (), 0, None, (Witness(0, TWO),)),
    "two witnesses in a class": ObjectShape(
        DECLARED[:1], None, (NameClass(names("[bc]"), EITHER),), 0, 3, (Witness(0, TWO), Witness(0, ONE))
    ),
}


def describes(shape: ObjectShape, order: PropertyOrder, members: tuple[tuple[str, str], ...]) -> bool:
    """The plain reading; names may repeat where they are not declared."""
    declared = {p.name.decode(): (number, p) for number, p in enumerate(shape.properties)}
    others: list[tuple[int, str]] = []
    place = 0
    for name, value in members:
        if name in declared:
            number, prop = declared[name]
            if order is PropertyOrder.SCHEMA and (others or number < place):
                return False
            place = number + 1
            node = prop.node
        else:
            number = next(
                (n for n, c in enumerate(shape.classes) if c.language.matches(name.encode())), len(shape.classes)
            )
            node = shape.classes[number].node if number < len(shape.classes) else shape.additional
            others.append((number, value))
        if node is None or value not in VALUES[node]:
            return False
    present = [name for name, _ in members if name in declared]
    if len(set(present)) < len(present) or any(p.required and name not in present for name, (_, p) in declared.items()):
        return False
    if len(members) < shape.minimum or (shape.maximum is not None and len(members) > shape.maximum):
        return False
    # Every witness by a property of its own.
    return any(
        all(
            number == witness.name_class and value in VALUES[witness.node]
            for (number, value), witness in zip(chosen, shape.witnesses, strict=True)
        )
        for chosen in itertools.permutations(others, len(shape.witnesses))
    )


def written(members: tuple[tuple[str, str], ...]) -> bytes:
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()


def candidates() -> Iterator[tuple[tuple[str, str], ...]]:
    pairs = [(name, value) for name in ("a", "ab", "b", "ba", "c", "aa", "") for value in ("1", "2", '"x"')]
    for count in range(4):
        yield from itertools.product(pairs, repeat=count)


@pytest.mark.parametrize("order", PropertyOrder)
@pytest.mark.parametrize("name", OBJECTS)
def test_objects(name: str, order: PropertyOrder, tmp_path: Path) -> None:
    shape = OBJECTS[name]
    one = grammar(shape, order)
    recogniser = Recogniser(one.program)
    places: dict[bytes, int] = {b"": recogniser.start()}
    accepted = 0
    for members in candidates():
        text = written(members)
        known = next(end for end in range(len(text), -1, -1) if text[:end] in places)
        here = places[text[:known]]
        for end in range(known, len(text)):
            here = recogniser.move(here, text[end]) if here else 0
            places[text[: end + 1]] = here
        expected = describes(shape, order, members)
        assert (here != 0 and recogniser.is_accepting(here)) == expected, text
        accepted += expected
    assert accepted > 0
    # What lives can be completed.
    compiled = GrammarCompiler(byte_vocabulary(), tmp_path).compile(one)
    generator = random.Random(name)
    living = [prefix for prefix, here in places.items() if here]
    for prefix in generator.sample(living, min(len(living), 300)):
        matcher = compiled.matcher()
        matcher.accept_bytes(prefix)
        tokens = matcher.shortest_completion()
        text = prefix + b"".join(compiled.vocabulary.token_bytes[token] or b"" for token in tokens)
        pairs = json.loads(text, object_pairs_hook=tuple)
        found = tuple((member, json.dumps(value)) for member, value in pairs)
        assert describes(shape, order, found), (prefix, text)


def test_escaped_names_are_the_names_they_spell() -> None:
    one = grammar(OBJECTS["a class and others"])
    assert one.check(b'{"ab":1,"\\u0062x":2}').ok
    assert not one.check(b'{"ab":1,"\\u0062x":"x"}').ok
    assert one.check(b'{"\\u0061b":1,"c":"x"}').ok
    assert not one.check(b'{"ab":1,"\\u0062":2}').ok  # `b` is declared, and forbidden


ITEMS = {
    "a one somewhere": ItemsShape((ItemState(False, ((EITHER, 0), (ONE, 1))), ItemState(True, ((EITHER, 1),)))),
    "alternating, at most three": ItemsShape(
        (
            ItemState(True, ((ONE, 1), (TWO, 2))),
            ItemState(True, ((TWO, 3),)),
            ItemState(True, ((ONE, 3),)),
            ItemState(False, ((TEXT, 4),)),
            ItemState(True, ()),
        )
    ),
}


def item_texts(shape: ItemsShape, items: tuple[str, ...]) -> bool:
    states = {0}
    for item in items:
        states = {target for state in states for node, target in shape.states[state].items if item in VALUES[node]}
    return any(shape.states[state].may_end for state in states)


@pytest.mark.parametrize("name", ITEMS)
def test_arrays(name: str) -> None:
    shape = ITEMS[name]
    one = grammar(shape)
    verdicts = set()
    for count in range(5):
        for items in itertools.product(("1", "2", '"x"'), repeat=count):
            expected = item_texts(shape, items)
            assert one.check(f"[{','.join(items)}]").ok == expected, items
            verdicts.add(expected)
    assert verdicts == {True, False}
    assert not one.check("[1,]").ok
    assert not one.check("[,1]").ok
