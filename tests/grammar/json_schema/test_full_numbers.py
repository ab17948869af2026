"""numbers="full" against an evaluator of its own, in exact arithmetic over every short spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grammar.json_schema.archives import archived
from tokamask.errors import TokamaskError, UnsatisfiableSchema
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema.reading import read_json_schema
from tokamask.grammar.json_schema.shapes import ScalarShape

TEXTS = ["".join(characters) for length in range(1, 6) for characters in product("-.e015", repeat=length)]
NUMBERS = {
    text: Fraction(text)
    for text in TEXTS
    if re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e-?\d+)?", text) and abs(int(text.partition("e")[2] or 0)) < 100
}
# Before an exponent: zero, or from one to three digits before the point.
WITH_EXPONENT = re.compile(r"-?(?:0(?:\.0{1,16})?|[1-9]\d{0,2}(?:\.\d{1,16})?)e-?\d+")


def is_valid(schema: dict[str, Any], text: str, draft: str) -> bool:
    """What the specification says of a number that is written so."""
    value = NUMBERS[text]
    is_integer = "." not in text and "e" not in text if draft == "4" else value.denominator == 1
    checks: dict[str, Callable[[Any], bool]] = {
        "type": lambda kind: kind == "number" or (kind == "integer" and is_integer),
        "minimum": lambda bound: value >= Fraction(str(bound)),
        "exclusiveMaximum": lambda bound: value < Fraction(str(bound)),
        "multipleOf": lambda step: (value / Fraction(str(step))).denominator == 1,
        "enum": lambda values: value in [Fraction(str(each)) for each in values],
        "not": lambda other: not is_valid(other, text, draft),
        "anyOf": lambda others: any(is_valid(other, text, draft) for other in others),
        "allOf": lambda others: all(is_valid(other, text, draft) for other in others),
    }
    return all(checks[keyword](argument) for keyword, argument in schema.items())


def accepted(schema: Any, texts: list[str], **options: Any) -> list[str]:
    """The spellings of numbers that a schema describes."""
    try:
        shapes = read_json_schema(schema, numbers="full", **options).shapes
    except UnsatisfiableSchema:
        return []
    languages = [shape.language for shape in shapes.nodes[shapes.root] if isinstance(shape, ScalarShape)]
    return [text for text in texts if any(language.matches(text.encode()) for language in languages)]


BOUNDS = st.sampled_from([-5, -1, 0, 0.5, 1, 1.5, 5, 10, 51, 100, 0.05, 1500])
ASSERTIONS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number"]),
        "minimum": BOUNDS,
        "exclusiveMaximum": BOUNDS,
        "multipleOf": st.sampled_from([1, 2, 5, 0.5, 0.1, 0.05, 10, 1.5]),
        "enum": st.lists(BOUNDS, min_size=1, max_size=4),
    },
)
SCHEMAS = st.recursive(
    ASSERTIONS,
    lambda schemas: st.one_of(
        schemas.map(lambda schema: {"not": schema}),
        st.lists(schemas, min_size=1, max_size=3).map(lambda several: {"anyOf": several}),
        st.lists(schemas, min_size=1, max_size=3).map(lambda several: {"allOf": several}),
    ),
    max_leaves=4,
)


@settings(max_examples=120)
@given(SCHEMAS, st.sampled_from(["2020-12", "4"]))
def test_random_schemas(schema: dict[str, Any], draft: str) -> None:
    if draft == "4" and "exclusiveMaximum" in json.dumps(schema):
        # There it is a flag.
        schema = json.loads(json.dumps(schema).replace('"exclusiveMaximum"', '"minimum"'))
    found = set(accepted(schema, list(NUMBERS), draft=draft))
    for text in NUMBERS:
        valid = is_valid(schema, text, draft)
        if text in found:
            assert valid, text
        elif valid:
            # Only these are left out: free numbers may have any mantissa, others a short one.
            assert "e" in text, text
            assert not WITH_EXPONENT.fullmatch(text), text


@pytest.mark.parametrize(
    ("schema", "draft", "inside", "outside"),
    [
        ({"type": "integer"}, "2020-12", ["1", "1.0", "1e2", "10e-1", "-0", "0e5", "1.5e1"], ["1.5", "15e-1", "1e-1"]),
        ({"type": "integer"}, "4", ["1", "-0", "105"], ["1.0", "1e2", "0.0", "0e1"]),
        ({"type": "number", "not": {"type": "integer"}}, "4", ["1.0", "1e2", "0.5"], ["1", "-0"]),
        ({"enum": [1, 0.5], "not": {"type": "integer"}}, "4", ["1.0", "10e-1", "5e-1"], ["1", "5"]),
        ({"enum": [1, 0.5], "type": "integer"}, "4", ["1"], ["1.0", "0.5"]),
        ({"const": 1e2}, "2020-12", ["100", "1e2", "100.0", "10e1"], ["1", "1e3"]),
        ({"not": {"const": 0}}, "2020-12", ["1e0", "5"], ["0", "-0", "0e5", "0.0"]),
        # Multiples of 11 have too many remainders, so nothing has an exponent where they matter.
        ({"multipleOf": 11}, "2020-12", ["0", "55", "110.0"], ["1e1", "0e1", "11e1"]),
        ({"type": "number", "not": {"multipleOf": 11}}, "2020-12", ["5", "0.5"], ["55", "55e0", "5e0"]),
        ({"enum": list(range(101))}, "2020-12", ["5", "5.0"], ["5e0", "101"]),
        ({}, "2020-12", ["0.1e1", "1234e5"], []),
    ],
)
def test_by_value(schema: Any, draft: str, inside: list[str], outside: list[str]) -> None:
    assert accepted(schema, inside + outside, draft=draft) == inside


def test_equal_numbers_are_equal_items() -> None:
    schema = {"items": {"type": "integer", "minimum": 0, "maximum": 3}, "uniqueItems": True}
    grammar = Grammar.from_json_schema(schema, numbers="full")
    assert grammar.check("[1.0, 2e0, 30e-1]").ok
    assert not grammar.check("[1, 2, 10e-1]").ok


def test_an_unknown_policy() -> None:
    with pytest.raises(TokamaskError, match="numbers must be one of plain, full"):
        read_json_schema({}, numbers="any")  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"])
def test_the_suite_on_numbers(folder: str) -> None:
    """Its optional tests too: exponents and large numbers, written as json.dumps writes them."""
    draft = folder.removeprefix("draft")
    compared = 0
    for path, text in archived("json-schema-test-suite.tar.xz"):
        if not re.search(
            rf"/tests/{folder}/(?:optional/)?(?:type|const|enum|minimum|maximum|exclusive\w+|multipleOf|bignum|"
            r"float-overflow|zeroTerminatedFloats|integer)\.json$",
            path,
        ):
            continue
        for group in json.loads(text):
            for case in group["tests"]:
                # Multiples of 0.123456789 leave too many remainders, and are refused.
                if type(case["data"]) in (int, float) and group["schema"].get("multipleOf") != 0.123456789:
                    compared += 1
                    written = json.dumps(case["data"])
                    found = accepted(group["schema"], [written], draft=draft)
                    assert found == ([written] if case["valid"] else []), (path, case["description"])
    assert compared > 50
