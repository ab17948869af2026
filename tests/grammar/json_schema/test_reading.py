"""What the front end makes of schemas that a person can check by eye."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.grammar.json_schema.membership import accepts
from tokamask.errors import (
    CompileBudgetExceeded,
    GrammarError,
    GrammarSyntaxError,
    UnsatisfiableSchema,
    UnsupportedFeature,
)
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema.reading import explain_json_schema, read_json_schema
from tokamask.grammar.json_schema.reports import KeywordStatus
from tokamask.grammar.json_schema.shapes import ArrayShape, ObjectShape, ScalarShape, StringShape

ENDLESS = {"type": "object", "required": ["x"], "properties": {"x": {"$ref": "#/$defs/x"}}}
CONTRADICTORY = {"allOf": [{"type": "null"}, {"type": "string"}]}


def names(schema: Any) -> list[str]:
    """The declared names of the root, an object with one alternative, in their order."""
    shapes = read_json_schema(schema).shapes
    (shape,) = shapes.nodes[shapes.root]
    assert isinstance(shape, ObjectShape)
    return [property.name.decode() for property in shape.properties]


def check(schema: Any, valid: list[Any], invalid: list[Any], **options: Any) -> None:
    for value in valid:
        assert accepts(schema, value, **options), f"{value!r} should be valid"
    for value in invalid:
        assert not accepts(schema, value, **options), f"{value!r} should be invalid"


def test_anything() -> None:
    for schema in (True, {}, {"title": "anything"}, {"unknown": 1}):
        check(schema, [None, True, 1, 1.5, "", [1, ["a"]], {"a": {"b": None}}], [])


def test_properties_keep_the_order_of_the_schema_and_required_extras_follow() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}, "required": ["z", "a", "y"]}
    assert names(schema) == ["b", "a", "z", "y"]


def test_merged_properties_come_in_the_order_of_mention() -> None:
    base = {"type": "object", "properties": {"a": {}, "b": {}}}
    more = {"b": {"type": "string"}, "c": {}}
    assert names({"$ref": "#/$defs/base", "properties": more, "$defs": {"base": base}}) == ["a", "b", "c"]
    assert names({"properties": more, "allOf": [base]}) == ["b", "c", "a"]


def test_conjunction_merges_name_by_name() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "number", "minimum": 2}},
        "allOf": [{"properties": {"n": {"type": "integer", "maximum": 4}}, "additionalProperties": {"type": "string"}}],
    }
    check(schema, [{}, {"n": 2}, {"n": 4, "x": "y"}], [{"n": 5}, {"n": 1}, {"n": 2.5}, {"x": 1}])


def test_arrays_merge_position_by_position() -> None:
    schema = {
        "type": "array",
        "prefixItems": [{"type": "integer"}],
        "allOf": [{"prefixItems": [{"minimum": 3}, {"type": "string"}], "items": False}, {"minItems": 1}],
    }
    check(schema, [[3], [4, "a"]], [[], [2], ["a"], [3, 3], [3, "a", 1]])
    shapes = read_json_schema(schema).shapes
    (shape,) = shapes.nodes[shapes.root]
    assert isinstance(shape, ArrayShape)
    assert (len(shape.prefix), shape.rest, shape.minimum, shape.maximum) == (2, None, 1, 2)


def test_items_merge() -> None:
    schema = {"type": "array", "items": {"minimum": 1}, "allOf": [{"items": {"type": "integer"}, "maxItems": 2}]}
    check(schema, [[], [1, 2]], [[0], [1.5], ["a"], [1, 1, 1]])


def test_an_array_ends_before_its_first_impossible_item() -> None:
    schema = {"type": "array", "prefixItems": [{}, {"type": "string", "minLength": 2, "maxLength": 1}, {}]}
    check(schema, [[], [1]], [[1, 1], [1, "a"]])
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({**schema, "minItems": 2})


def test_a_property_without_values_is_forbidden() -> None:
    schema = {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"type": "null"}]}}}
    check(schema, [{}, {"b": 1}], [{"a": "x"}, {"a": None}])
    shapes = read_json_schema(schema).shapes
    (shape,) = shapes.nodes[shapes.root]
    assert isinstance(shape, ObjectShape)
    assert shape.properties[0].node is None


def test_enum_is_filtered_by_its_siblings() -> None:
    values = [1, 1.5, True, "a", "abc", None, [1, 2], [1], {"a": 1}, {"a": "b", "c": 2}]
    check({"enum": values, "type": ["integer", "string"], "maxLength": 2}, [1, "a"], [1.5, True, "abc", None, [1]])
    check({"enum": values, "maxItems": 1, "required": ["c"]}, [[1], {"a": "b", "c": 2}, True], [[1, 2], {"a": 1}])
    check({"enum": values, "properties": {"a": {"type": "string"}}}, [{"a": "b", "c": 2}], [{"a": 1}, {"a": "b"}])


@pytest.mark.parametrize(
    ("value", "other"), [(0, False), (1, True), ([0], [False]), ({"a": 1}, {"a": True}), ("1", 1), (None, False)]
)
def test_equal_in_python_is_not_equal_in_json(value: Any, other: Any) -> None:
    for one, two in ((value, other), (other, value)):
        check({"const": one}, [one], [two])
        check({"enum": [one]}, [one], [two])


def test_numbers_are_equal_by_value() -> None:
    assert accepts('{"const": 1.0}', 1)
    assert accepts('{"const": 1e2, "type": "integer"}', 100)
    assert accepts('{"const": {"a": [2.0]}}', {"a": [2]})
    assert not accepts('{"const": 9007199254740993}', 9007199254740992)
    assert not accepts('{"const": 0.1}', 0.10000000000000002)


def test_integers_of_numeric_text_have_all_their_digits() -> None:
    check('{"type": "integer", "minimum": 100000000000000000000000000001}', [10**29 + 1], [10**29])
    check('{"type": "number", "maximum": 0.30000000000000000000000000000000001}', [0.3], [0.31])


def test_any_of_is_a_union_and_types_drop_branches() -> None:
    schema = {
        "type": ["string", "array"],
        "anyOf": [{"maxLength": 1}, {"type": "array", "maxItems": 1}, {"type": "null"}],
    }
    check(schema, ["a", [1], [1, 2]], ["ab", None, 1])


def test_one_of_with_provably_disjoint_branches() -> None:
    tagged = [{"properties": {"t": {"const": tag}, "v": {}}, "required": ["t"]} for tag in "abc"]
    check({"type": "object", "oneOf": tagged}, [{"t": "a"}, {"t": "c", "v": 1}], [{"t": "d"}, {}])
    check({"oneOf": [{"type": "integer", "maximum": 2}, {"type": "number", "minimum": 3}]}, [2, 3.5], [2.5])
    closed = [{"type": "object", "properties": {k: {}}, "required": [k], "additionalProperties": False} for k in "ab"]
    check({"oneOf": closed}, [{"a": 1}, {"b": 1}], [{"a": 1, "b": 1}, {}])


@pytest.mark.parametrize(
    ("branches", "valid", "invalid"),
    [
        ([{"minimum": 1}, {"type": "integer"}], [0, 1.5, -3], [2, 0.5, 1]),
        ([{"const": "a"}, {"enum": ["b", "a"]}], ["b"], ["a", "c"]),
        ([{"const": 1}, {"const": 2}, {"maximum": 1, "type": "number"}], [2, 0, 0.5], [1, 3]),
        (
            [{"properties": {"t": {"const": tag}}, "required": ["t"], "type": "object"} for tag in "aba"],
            [{"t": "b"}],
            [{"t": "a"}, {}],
        ),
        (
            [
                {"type": "string", "maxLength": 2},
                {"type": "string", "minLength": 3},
                {"type": "string", "minLength": 9},
            ],
            ["ab", "abc", "abcdefgh"],
            ["abcdefghi"],
        ),
        ([True, {"type": "null"}], [1, {}], [None]),
        ([{"required": ["a"]}, {"required": ["b"]}], [{"a": 1}, {"b": 1}], [{"a": 1, "b": 1}, {}, 1]),
        ([{"items": {"type": "null"}}, {"minItems": 2}], [[], [None], [1, 2]], [[None, None], [1], None]),
        (
            [{"properties": {"a": {}}, "additionalProperties": False}, {"properties": {"b": {}, "a": {}}}],
            [{"b": 1}, {"c": 1}],
            [{"a": 1}, {}],
        ),
        ([{"oneOf": [{"minimum": 1}, {"maximum": 3}]}, {"minimum": 4}, {"type": "number"}], [2, "a"], [0, 5]),
    ],
)
def test_one_of_with_overlapping_branches(branches: list[Any], valid: list[Any], invalid: list[Any]) -> None:
    check({"oneOf": branches}, valid, invalid)
    check({"items": {"oneOf": branches}}, [[value] for value in valid], [[value] for value in invalid])


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize(
    ("schema_around", "value_around"),
    [
        (lambda schema: {"type": "object", "properties": {"a": schema}, "required": ["a"]}, lambda value: {"a": value}),
        (
            lambda schema: {
                "type": "object",
                "properties": {"a": schema, "b": schema},
                "minProperties": 1,
                "additionalProperties": False,
            },
            lambda value: {"a": value},
        ),
        (lambda schema: {"type": "array", "contains": schema, "maxItems": 1}, lambda value: [value]),
    ],
)
def test_one_of_with_branches_that_overlap_deep_inside(schema_around: Any, value_around: Any, depth: int) -> None:
    def within(innermost: Any, around: Any) -> Any:
        for _ in range(depth):
            innermost = around(innermost)
        return innermost

    limits: list[dict[str, Any]] = [{"minimum": 1}, {"minimum": 4}, {"maximum": 3}]
    some, many, few = [within({"type": "integer", **limit}, schema_around) for limit in limits]
    low, middle, high, text = [within(value, value_around) for value in (0, 2, 5, "a")]
    check({"oneOf": [some, few]}, [low, high], [middle, text])
    check({"oneOf": [many, few]}, [low, middle, high], [text])


def test_hundreds_of_constants_in_one_of() -> None:
    schema = {"oneOf": [{"const": f"value {number}", "title": "x"} for number in range(500)]}
    check(schema, ["value 0", "value 499"], ["value 500", 0])
    (shape,) = read_json_schema(schema).shapes.nodes[0]
    assert isinstance(shape, StringShape)


def test_dependencies() -> None:
    schema = {"type": "object", "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"maxProperties": 1}}}
    check({**schema, "dependentSchemas": {}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}])
    check({"dependentSchemas": {"c": {"required": ["d"]}}}, [{}, {"c": 1, "d": 1}, 3], [{"c": 1}])
    check({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, [{"c": 1, "d": 1}], [{"a": 1}, {"c": 1}], draft="7")
    # Deprecated since 2019-09, and still meant by those who write it.
    check({"dependencies": {"a": ["b"]}}, [{"a": 1, "b": 1}], [{"a": 1}], draft="2020-12")


def test_counts_of_properties_that_are_implied() -> None:
    closed = {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False}
    check({**closed, "minProperties": 2}, [{"a": 1, "b": 1}], [{"a": 1}])
    check({**closed, "maxProperties": 2}, [{}, {"a": 1, "b": 1}], [])
    check({"required": ["a"], "maxProperties": 1}, [{"a": 1}], [{"a": 1, "b": 1}, {}])
    check({"required": ["a"], "minProperties": 1}, [{"a": 1}], [{}])
    for impossible in ({**closed, "minProperties": 3}, {"type": "object", "required": ["a", "b"], "maxProperties": 1}):
        with pytest.raises(UnsatisfiableSchema):
            read_json_schema(impossible)


def test_counts_of_properties() -> None:
    check({"minProperties": 2, "maxProperties": 3}, [{"a": 1, "b": 1}, [], 1], [{"a": 1}, dict.fromkeys("abcd", 1)])
    closed = {"type": "object", "properties": {name: {} for name in "abc"}, "additionalProperties": False}
    check({**closed, "minProperties": 2}, [{"a": 1, "c": 1}], [{"a": 1}, {}])
    check({**closed, "maxProperties": 1}, [{}, {"c": 1}], [{"a": 1, "b": 1}])
    two = {"type": "object", "patternProperties": {"^[ab]$": {}, "^c": False}, "propertyNames": {"pattern": "^[abc]$"}}
    check({**two, "minProperties": 2}, [{"a": 1, "b": 1}], [{"a": 1}, {"a": 1, "c": 1}])
    many = {"type": "object", "patternProperties": {"^[0-9]{2}$": {}}, "additionalProperties": False}
    assert read_json_schema({**many, "minProperties": 100}).is_exact
    for impossible in ({**two, "minProperties": 3}, {**many, "minProperties": 101}):
        with pytest.raises(UnsatisfiableSchema):
            read_json_schema(impossible)
    contradictory = {"properties": {"a": CONTRADICTORY}, "propertyNames": {"enum": ["a", "b"]}, "minProperties": 2}
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({"type": "object", **contradictory})


def test_patterns_of_names() -> None:
    schema = {
        "type": "object",
        "properties": {"ab": {"type": "integer"}},
        "patternProperties": {"^a": {"maximum": 5}, "b$": {"minimum": 3}},
        "additionalProperties": {"type": "string"},
    }
    check(
        schema, [{"ab": 4}, {"axb": 3.5, "ax": -1, "xb": 9, "y": "s"}], [{"ab": 4.5}, {"ab": 6}, {"axb": 2}, {"y": 1}]
    )
    (shape,) = read_json_schema(schema).shapes.nodes[0]
    assert isinstance(shape, ObjectShape)
    assert len(shape.classes) == 3
    check({"patternProperties": {"": False}}, [{}, 1], [{"a": 1}, {"": 1}])
    check({"patternProperties": {"^[ab]$": {"type": "null"}}, "required": ["a"]}, [{"a": None}, 1], [{"b": None}])


def test_few_names_are_declared() -> None:
    assert names({"type": "object", "patternProperties": {"^(b|a|ca)$": {}}, "additionalProperties": False}) == [
        "a",
        "b",
        "ca",
    ]
    assert names({"type": "object", "properties": {"z": {}}, "propertyNames": {"enum": ["y", "z"]}}) == ["z", "y"]


def test_names_of_properties() -> None:
    check({"propertyNames": {"maxLength": 2}}, [{}, {"ab": 1}, 3], [{"abc": 1}])
    check({"propertyNames": {"not": {"pattern": "^x"}}, "required": ["a"]}, [{"a": 1, "b": 1}], [{"a": 1, "xb": 1}])
    check({"propertyNames": {"$ref": "#"}, "maxLength": 1}, ["a", {"b": {"ab": 1}}], ["ab", {"ab": 1}])
    check({"propertyNames": {"type": "integer"}}, [{}], [{"a": 1}])
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({"type": "object", "propertyNames": {"maxLength": 1}, "required": ["ab"]})


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": ["string", "null"]}, [1, True, [], {}], ["a", None]),
        ({"type": "boolean", "enum": [True, 3]}, [False, 3], [True]),
        ({"type": "integer"}, [1.5, "a"], [1, 100]),
        ({"minimum": 2, "exclusiveMaximum": 4}, [1, 4, 1.9], [2, 3.9, "a"]),
        ({"type": "number", "multipleOf": 1.5}, [1, 2], [3, 0, -4.5]),
        (
            {"enum": [1, "a", [1], {"b": 2}]},
            [2, "b", [], [1, 1], {"b": 1}, {}, {"b": 2, "c": 3}],
            [1, 1.0, "a", [1], {"b": 2}],
        ),
        ({"minLength": 2, "maxLength": 3}, ["a", "abcd"], ["ab"]),
        ({"pattern": "^a"}, ["b", ""], ["a", "ab"]),
        ({"format": "date"}, ["2023-02-29"], ["2024-02-29"]),
        ({"prefixItems": [{"type": "null"}], "items": {"const": 1}}, [[1], [None, 2]], [[], [None], [None, 1, 1]]),
        ({"items": False}, [[1], [1, 2]], [[]]),
        ({"minItems": 1, "maxItems": 2}, [[], [1, 2, 3]], [[1], [1, 2]]),
        ({"contains": {"const": 1}}, [[], [2]], [[1], [2, 1]]),
        ({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1], [1, 1, 1, 1]], [[1, 1], [1, 2, 1, 1]]),
        ({"required": ["a", "b"]}, [{"a": 1}, {}], [{"a": 1, "b": 1}]),
        ({"properties": {"a": {"type": "null"}}}, [{"a": 1}], [{}, {"a": None}]),
        ({"additionalProperties": {"type": "null"}}, [{"a": 1}, {"a": None, "b": 1}], [{}, {"a": None}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"b": 1}], [{"a": 1}, {}]),
        ({"patternProperties": {"^a": {"type": "null"}}}, [{"ab": 1}], [{"ab": None}, {"b": 1}]),
        ({"propertyNames": {"maxLength": 1}}, [{"ab": 1}], [{"a": 1}, {}]),
        ({"minProperties": 1, "maxProperties": 2}, [{}, {"a": 1, "b": 1, "c": 1}], [{"a": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"a": 1}], [{}, {"a": 1, "b": 1}]),
        ({"dependentSchemas": {"a": {"minProperties": 2}}}, [{"a": 1}], [{}, {"a": 1, "b": 1}]),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, [0, 4], [2, "a"]),
        ({"anyOf": [{"minimum": 3}, {"type": "integer"}]}, [1.5], [1, 3.5]),
        ({"oneOf": [{"minimum": 3}, {"type": "integer"}]}, [1.5, 4], [1, 3.5]),
        ({"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"type": "string"}}, [0, 1.5], [1, "a"]),
        ({"not": {"type": "string"}}, ["a"], [1]),
        ({"$ref": "#/$defs/s"}, [1], ["a"]),
        ({"properties": {"a": {}}, "unevaluatedProperties": False}, [{"b": 1}], [{"a": 1}, {}]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_not(schema: dict[str, Any], valid: list[Any], invalid: list[Any]) -> None:
    definitions = {"$defs": {"s": {"type": "string"}}}
    negated = {**definitions, "not": schema}
    kinds = {"type": list({type(value): kind for value in invalid for kind in [json_type(value)]}.values())}
    check(negated, valid, invalid)
    check({**definitions, "not": {"not": schema}, **kinds}, [], valid)
    check({**definitions, "not": {"not": schema}}, invalid, [])


def json_type(value: Any) -> str:
    return {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}.get(
        type(value), "number"
    )


def test_not_among_listed_values() -> None:
    listed = {"required": ["p"], "properties": {"p": {"enum": [1, 2, [3]]}}}
    for excluded, left in ((1, [2, [3]]), ([3], [1, 2]), (4, [1, 2, [3]])):
        schema = {**listed, "type": "object", "not": {"properties": {"p": {"const": excluded}}}}
        check(schema, [{"p": value} for value in left], [{"p": excluded}, {"p": 5}, {}])


def test_not_of_many_listed_values() -> None:
    arrays = [[number, number + 1, 0] for number in range(40)]
    check({"not": {"enum": arrays}}, [[], [3, 5, 0], [3, 4, 1], [3, 4, 0, 0], [3, 4]], [[3, 4, 0], [39, 40, 0]])
    objects = [{"a": number, "b": number + 1} for number in range(40)]
    check({"not": {"enum": objects}}, [{}, {"a": 3, "b": 5}, {"a": 3, "b": 4, "c": 0}], [{"a": 3, "b": 4}])


def test_not_of_recursive_schemas() -> None:
    tree = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
    check({"not": {"$ref": "#/$defs/tree"}, "$defs": {"tree": tree}}, [1, [1], [[], [[], 1]]], [[], [[]], [[], [[]]]])
    with pytest.raises(GrammarError, match="refers to itself"):
        read_json_schema({"not": {"$ref": "#"}})


def test_witnesses_share_a_property_or_not() -> None:
    some_integer = {"not": {"additionalProperties": {"not": {"type": "integer"}}}}
    some_negative = {"not": {"additionalProperties": {"not": {"type": "number", "maximum": -0.5}}}}
    schema = {"type": "object", "allOf": [some_integer, some_negative]}
    check(schema, [{"a": -1}, {"a": 1, "b": -0.5}, {"a": 1, "b": "c", "d": -2}], [{}, {"a": 1}, {"a": -0.5}])
    check({**schema, "maxProperties": 1}, [{"a": -1}], [{"a": 1, "b": -0.5}, {"a": 1}])
    named = {**schema, "properties": {"n": {"type": "string"}}, "required": ["n"], "maxProperties": 2}
    check(named, [{"n": "", "a": -1}], [{"n": "", "a": 1, "b": -1}, {"n": "", "a": 1}])


def test_a_witness_needs_a_name_that_is_left() -> None:
    names = {f"n{number:02}": False for number in range(100)}
    declared = {"type": "object", "properties": names}
    some_match = {"not": {"propertyNames": {"not": {"pattern": "^n[0-9]{2}$"}}}}
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({**declared, **some_match})
    del names["n42"]
    check({**declared, **some_match}, [{"n42": 1, "x": 2}], [{"x": 2}, {"n41": 1}])


def test_if_then_else() -> None:
    schema = {
        "type": "object",
        "if": {"properties": {"t": {"const": "a"}}, "required": ["t"]},
        "then": {"required": ["x"]},
        "else": {"properties": {"x": False}},
    }
    check(schema, [{"t": "a", "x": 1}, {"t": "b"}, {}], [{"t": "a"}, {"t": "b", "x": 1}, {"x": 1}])
    check({"if": {"minimum": 1}}, [0, 1, "a"], [])
    check({"then": False, "else": False}, [0], [])
    check({"if": {"minimum": 1}, "then": False}, [0], [1, "a"])


def test_contains() -> None:
    schema = {"type": "array", "prefixItems": [{"type": "integer"}], "contains": {"type": "string"}}
    check(schema, [[1, "a"], [1, 2, "a", "b"]], [[], [1], ["a"], [1, 2]])
    check({**schema, "minContains": 2, "maxContains": 2}, [[1, "a", 2, "b"]], [[1, "a"], [1, "a", "b", "c"]])
    check({**schema, "minContains": 0}, [[], [1], [1, "a"]], [["a"]])
    check({**schema, "maxItems": 3, "minItems": 3}, [[1, 2, "a"]], [[1, "a"], [1, 2, 3], [1, 2, 3, "a"]])
    check({**schema, "minContains": 2}, [[1, "a"]], [[], [1]], draft="7")
    for draft, status in (("7", KeywordStatus.ANNOTATION), ("2019-09", KeywordStatus.ENFORCED)):
        reports = explain_json_schema({**schema, "minContains": 2}, draft=draft)
        assert [report.status for report in reports if report.keyword == "minContains"] == [status]
    check({"contains": {"type": "string"}, "maxContains": 0, "minContains": 0}, [[], [1], "a"], [["a"], [1, "a"]])
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({**schema, "maxItems": 1})
    with pytest.raises(UnsupportedFeature) as caught:
        read_json_schema({**schema, "minContains": 100, "maxItems": 10_000})
    assert caught.value.pointer == "#/contains"


def test_unique_items_of_few_values() -> None:
    check({"uniqueItems": True, "items": {"type": ["boolean", "null"]}}, [[], [True, None, False]], [[True, True]])
    check({"uniqueItems": True, "items": {"enum": [1, 1.0, "1"]}}, [[1, "1"]], [["1", "1"], [1, "1", 1]])
    check({"uniqueItems": True, "items": {"type": "integer", "minimum": 1, "maximum": 3}}, [[3, 1, 2]], [[3, 1, 3]])
    check({"uniqueItems": True, "items": {"pattern": "^[ab]$", "type": "string"}, "minItems": 2}, [["b", "a"]], [["a"]])
    check({"uniqueItems": True, "maxItems": 1}, [[], [[1]], 3], [[1, 2]])
    check(
        {"uniqueItems": True, "prefixItems": [{"type": "string"}, {"type": "null"}], "items": False}, [["", None]], []
    )
    check(
        {"not": {"uniqueItems": True}, "items": {"type": "boolean"}}, [[True, True], [True, False, True]], [[True], 1]
    )
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({"type": "array", "uniqueItems": True, "items": {"type": "boolean"}, "minItems": 3})


def test_unevaluated() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {}},
        "anyOf": [{"properties": {"b": {"type": "null"}}}, {"patternProperties": {"^c": {"type": "null"}}}],
        "if": {"required": ["d"]},
        "then": {"properties": {"d": {}}},
        "unevaluatedProperties": False,
    }
    check(
        schema, [{}, {"a": 1}, {"b": None, "cc": None}, {"b": None, "d": 1}], [{"b": 1}, {"b": 1, "cc": None}, {"e": 1}]
    )
    check({**schema, "unevaluatedProperties": {"type": "null"}}, [{"e": None}], [{"e": 1}, {"b": None, "e": 1}])
    items = {
        "type": "array",
        "allOf": [{"prefixItems": [{}]}],
        "contains": {"type": "string"},
        "unevaluatedItems": False,
    }
    check(items, [["a"], [1, "a", "b"]], [[1], [1, 2, "a"], ["a", 1]])
    check({"not": {"not": {"properties": {"a": {}}}}, "unevaluatedProperties": False}, [{}], [{"a": 1}])


def test_dynamic_references() -> None:
    tree = {
        "$id": "https://example.com/tree",
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
    }
    strict = {
        "$id": "https://example.com/strict",
        "$dynamicAnchor": "node",
        "$ref": "tree",
        "unevaluatedProperties": False,
    }
    registry = {"https://example.com/tree": tree, "https://example.com/strict": strict}
    loose = {"$ref": "https://example.com/tree"}
    check(loose, [{"x": 1}, {"children": [{"x": 1}]}], [{"children": [1]}], registry=registry)
    check({"$ref": "https://example.com/strict"}, [{"children": [{}]}], [{"children": [{"x": 1}]}], registry=registry)


def test_vocabularies() -> None:
    metaschema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/applicator": True, "https://example.com/v": False},
    }
    schema = {"$schema": "https://example.com/m", "properties": {"a": {"const": 1}, "b": False}}
    check(schema, [{"a": 2}], [{"b": 1}], registry={"https://example.com/m": metaschema})
    required = {**metaschema, "$vocabulary": {"https://example.com/v": True}}
    for registry in (None, {"https://example.com/m": required}):
        with pytest.raises(UnsupportedFeature) as caught:
            read_json_schema(schema, registry=registry)
        assert caught.value.pointer == "#/$schema"


@pytest.mark.parametrize(
    "keywords",
    [
        {"not": {"uniqueItems": True, "minItems": 5}},
        {"pattern": r"(.)\1"},
        {"patternProperties": {r"(.)\1": {"type": "null"}}},
        {"propertyNames": {"pattern": r"(.)\1"}},
        {"not": {"pattern": r"(.)\1"}},
        {"if": {"format": "regex"}, "then": {"minLength": 1}},
        {"oneOf": [{"format": "regex"}, {"minLength": 1}]},
        {"$ref": "https://example.com/elsewhere"},
        {"not": {"$ref": "https://example.com/elsewhere"}},
    ],
    ids=lambda keywords: "-".join(keywords),
)
def test_refused_at_its_pointer_or_ignored_by_choice(keywords: dict[str, Any]) -> None:
    schema = {"properties": {"a/b": keywords}}
    with pytest.raises(UnsupportedFeature) as caught:
        read_json_schema(schema)
    pointer = caught.value.pointer
    assert pointer is not None
    assert pointer.startswith("#/properties/a~1b/")
    reading = read_json_schema(schema, on_unsupported="warn")
    assert not reading.is_exact
    refused = [report for report in reading.reports if report.status is KeywordStatus.REFUSED]
    assert [report.pointer for report in refused] == [pointer]
    assert refused[0].reason
    assert explain_json_schema(schema) == reading.reports


def test_a_refused_keyword_does_not_matter_where_it_cannot_apply() -> None:
    schema = {"type": "string", "uniqueItems": True, "propertyNames": {"pattern": r"(.)\1"}, "minProperties": 3}
    assert read_json_schema(schema).is_exact
    assert read_json_schema({"$defs": {"unused": {"uniqueItems": True}}}).is_exact


def test_warning_never_narrows() -> None:
    unknown = r"(.)\1"
    schema = {"patternProperties": {unknown: {}}, "properties": {"a": {}}, "additionalProperties": False}
    check(schema, [{"a": 1}, {"xx": 2}], [], on_unsupported="warn")
    check(
        {**schema, "additionalProperties": True, "unevaluatedProperties": False}, [{"xx": 2}], [], on_unsupported="warn"
    )
    check({"not": {"pattern": unknown}}, ["a", "aa"], [], on_unsupported="warn")
    check({"oneOf": [{"pattern": unknown}, {"minLength": 2}]}, ["aa", "ab"], [], on_unsupported="warn")
    check({"propertyNames": {"not": {"pattern": unknown}}}, [{"aa": 1}, {"a": 1}], [], on_unsupported="warn")


def test_every_refusal_is_explained_at_once() -> None:
    schema = {
        "uniqueItems": True,
        "not": {"pattern": "(a+)\\1", "type": "string"},
        "items": {"format": "regex"},
        "x-mine": 3,
        "type": ["array", "string"],
    }
    reports = {report.pointer: report for report in explain_json_schema(schema)}
    assert {pointer: report.status.value for pointer, report in reports.items()} == {
        "#/uniqueItems": "enforced",
        "#/not": "enforced",
        "#/not/pattern": "refused",
        "#/not/type": "enforced",
        "#/items": "enforced",
        "#/items/format": "refused",
        "#/x-mine": "annotation",
        "#/type": "enforced",
    }


def test_copies_of_a_refused_schema_are_all_refused() -> None:
    branch = {"type": "object", "properties": {"a": {"format": "regex"}}}
    schema = {"oneOf": [{**branch, "required": ["b"]}, {**branch, "required": ["c"]}]}
    refused = [report.pointer for report in explain_json_schema(schema) if report.status is KeywordStatus.REFUSED]
    assert refused == [f"#/oneOf/{index}/properties/a/format" for index in (0, 1)]


def test_explaining_what_stands_beside_a_reference_in_old_drafts() -> None:
    schema = {"$ref": "#/definitions/a", "type": "string", "definitions": {"a": {"type": "integer"}}}
    statuses = {report.keyword: report.status.value for report in explain_json_schema(schema, draft="7")}
    assert statuses["type"] == "enforced"  # the one of the definition, which comes last
    (hidden,) = [report for report in explain_json_schema(schema, draft="7") if report.pointer == "#/type"]
    assert hidden.status is KeywordStatus.ANNOTATION
    check(schema, [1], ["a"], draft="7")
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema(schema, draft="2019-09")


@pytest.mark.parametrize(
    ("schema", "pointer", "reason"),
    [
        (False, "#", "false"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "#", "minLength (3) is greater than maxLength (2)"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "#", "minItems (3) is greater than maxItems (2)"),
        ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "#", "no integer satisfies"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "#", "pattern, format and length"),
        ({"enum": []}, "#", ": the keyword enum rules out every value,"),
        ({"type": "string", "enum": [1]}, "#", ": the keywords enum and type together rule out every value,"),
        ({"type": "null", "enum": [1], "not": {"const": 2}}, "#", "keywords enum, not and type together rule out"),
        ({"type": "array", "maxItems": 1, "not": {"uniqueItems": True}}, "#", "equal are more than maxItems (1)"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "#", "'a' is required but not allowed"),
        ({"$ref": "#/$defs/x", "$defs": {"x": ENDLESS}}, "#/$defs/x", "without end"),
        ({"required": ["a"], "properties": {"a": CONTRADICTORY}, "type": "object"}, "#/properties/a", "allOf"),
    ],
)
def test_unsatisfiable(schema: Any, pointer: str, reason: str) -> None:
    with pytest.raises(UnsatisfiableSchema) as caught:
        read_json_schema(schema)
    assert reason in str(caught.value)
    assert caught.value.pointer == pointer


def test_recursion_with_a_base() -> None:
    schema = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["value", "next"],
    }
    check(schema, [{"value": 1, "next": {"value": 2, "next": None}}], [{"value": 1, "next": {"value": 2}}])
    assert len(read_json_schema(schema).shapes.nodes) < 6


def test_a_branch_without_base_disappears() -> None:
    schema = {
        "anyOf": [{"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/x"}}}, {"type": "null"}],
        "$defs": {"x": ENDLESS},
    }
    shapes = read_json_schema(schema).shapes
    assert [type(shape) for shape in shapes.nodes[shapes.root]] == [ScalarShape]
    check(schema, [None], [{"a": {"x": {}}}])


def test_references() -> None:
    document = {"$defs": {"n": {"$anchor": "number", "type": "number"}}, "type": "string"}
    registry = {"https://example.com/other": document}
    check({"$ref": "https://example.com/other"}, ["a"], [1], registry=registry)
    check({"$ref": "https://example.com/other#number"}, [1], ["a"], registry=registry)
    check({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "null"}}}, [None], [1])
    check({"$ref": "#/$defs/a/items", "$defs": {"a": {"items": {"type": "null"}}}}, [None], [1])
    check({"$ref": "https://json-schema.org/draft/2019-09/meta/meta-data"}, [{"title": "x"}, True], [{"title": 1}])


def test_identifiers_change_the_base() -> None:
    schema = {
        "$id": "https://example.com/root",
        "$ref": "#/$defs/inner/properties/x",
        "$defs": {
            "n": {"type": "null"},
            "inner": {
                "$id": "inner",
                "properties": {"x": {"$ref": "#/$defs/n"}},
                "$defs": {"n": {"type": "integer"}},
            },
        },
    }
    check(schema, [1], [None])


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"properties": {"a": {"minLength": "3"}}}, "#/properties/a/minLength"),
        ({"maxItems": -1}, "#/maxItems"),
        ({"minItems": 1.5}, "#/minItems"),
        ({"properties": []}, "#/properties"),
        ({"properties": {"a": 1}}, "#/properties/a"),
        ({"properties": {"a": {}, 1: {}}}, "#/properties"),
        ({"patternProperties": {None: {}}}, "#/patternProperties"),
        ({"dependentRequired": {1: []}}, "#/dependentRequired"),
        ({"type": "strin"}, "#/type"),
        ({"type": 3}, "#/type"),
        ({"required": "a"}, "#/required"),
        ({"required": [1]}, "#/required"),
        ({"enum": {}}, "#/enum"),
        ({"enum": [{1, 2}]}, "#/enum"),
        ({"const": float("nan")}, "#/const"),
        ({"minimum": "1"}, "#/minimum"),
        ({"minimum": True}, "#/minimum"),
        ({"exclusiveMinimum": True}, "#/exclusiveMinimum"),
        ({"multipleOf": 0}, "#/multipleOf"),
        ({"pattern": 1}, "#/pattern"),
        ({"format": 1}, "#/format"),
        ({"items": [{}]}, "#/items"),
        ({"anyOf": {}}, "#/anyOf"),
        ({"allOf": [{"not": 3}]}, "#/allOf/0/not"),
        ({"$ref": 1}, "#/$ref"),
        ({"$ref": "#/nowhere"}, "#/$ref"),
        ({"$ref": "#nowhere"}, "#/$ref"),
        ({"$ref": "#"}, "#"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "#"),
        ({"$schema": 4}, "#/$schema"),
        ([], "#"),
    ],
)
def test_malformed_schemas(schema: Any, pointer: str) -> None:
    with pytest.raises(GrammarError) as caught:
        read_json_schema(schema)
    assert not isinstance(caught.value, UnsupportedFeature | UnsatisfiableSchema | CompileBudgetExceeded)
    assert caught.value.pointer == pointer


def test_a_registry_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"registry must be \{uri: schema\} or a referencing.Registry, not list"):
        read_json_schema({"type": "integer"}, registry=[{}])  # type: ignore[arg-type]


def test_malformed_text_shows_the_place() -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        read_json_schema('{"type":\n  "string",,}')
    assert (caught.value.line, caught.value.column) == (2, 12)
    with pytest.raises(GrammarSyntaxError):
        read_json_schema('{"const": NaN}')
    with pytest.raises(GrammarSyntaxError) as caught:
        read_json_schema({"properties": {"a": {"pattern": "a("}}})
    assert caught.value.reason == "pattern, read as ECMA-262: invalid regular expression: missing )"
    assert caught.value.pointer == "#/properties/a/pattern"


@pytest.mark.parametrize(
    "schema",
    [
        "[" * 100_000,
        '{"const": 1e1000000000}',
        '{"const": 1e99999999999999999999}',
        {"minItems": 10**5_000},
        '{"minimum": -1e-1000000000}',
        '{"const": ' + "1" * 100_000 + "}",
        {"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(20)]} for i in range(20)]},
        {"oneOf": [{"properties": {f"{i}": {"minLength": 9 * i + j + 1} for i in range(9)}} for j in range(9)]},
        {"patternProperties": {letter: {"minLength": number} for number, letter in enumerate("abcdefgh", 1)}},
    ],
    ids=["nesting", "exponent", "no exponent", "items", "small exponent", "digits", "product", "overlaps", "patterns"],
)
def test_budgets(schema: Any) -> None:
    with pytest.raises(CompileBudgetExceeded):
        read_json_schema(schema)


@pytest.mark.parametrize("keyword", ["type", "enum", "items", "properties", "required", "pattern", "$ref", "$schema"])
@pytest.mark.parametrize("wrap", [int, lambda number: [number]])
def test_malformed_values_are_not_written_out(keyword: str, wrap: Callable[[int], Any]) -> None:
    """Python writes no integers of thousands of digits, and what is wrong may be no tree."""
    with pytest.raises(GrammarError) as caught:
        read_json_schema({keyword: wrap(-(10**5_000))})
    assert len(str(caught.value)) < 200
    value: Any = wrap(1)
    for _ in range(40):
        value = [value, value]
    with pytest.raises(GrammarError) as caught:
        read_json_schema({"minLength": value})
    assert caught.value.pointer == "#/minLength"
    assert len(str(caught.value)) < 200


def test_places_in_lists_are_small_numbers() -> None:
    with pytest.raises(GrammarError, match="cannot be resolved"):
        read_json_schema({"allOf": [{}], "items": {"$ref": "#/allOf/" + "9" * 5_000}})
    check({"prefixItems": [{"$ref": "#/allOf/0"}], "allOf": [{"minItems": 1}]}, [[[1]]], [[[]], []])


def test_deep_nesting_is_fine_where_values_nest_too() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(5_000):
        schema = {"properties": {"a": schema}, "type": "object"}
    assert len(read_json_schema(schema).shapes.nodes) == 5_002


def test_conjunctions_of_recursive_schemas_are_finite() -> None:
    def cycle(length: int) -> dict[str, Any]:
        steps = {
            f"{length}.{step}": {"items": {"$ref": f"#/$defs/{length}.{(step + 1) % length}"}} for step in range(length)
        }
        return {**steps, f"{length}.0": {**steps[f"{length}.0"], "maxItems": length}}

    definitions = {name: schema for length in (2, 3, 5) for name, schema in cycle(length).items()}
    schema = {"type": "array", "allOf": [{"$ref": f"#/$defs/{length}.0"} for length in (2, 3, 5)], "$defs": definitions}
    assert len(read_json_schema(schema).shapes.nodes) <= 2 * 3 * 5 + 2


def test_drafts() -> None:
    exclusive = {"minimum": 1, "exclusiveMinimum": True}
    check(exclusive, [2], [1], draft="4")
    check({"$schema": "http://json-schema.org/draft-04/schema#", **exclusive}, [2], [1])
    check({"items": [{"type": "null"}], "additionalItems": False}, [[None]], [[1], [None, None]], draft="2019-09")
    check({"const": 1}, [1, 2], [], draft="4")
    check({"id": "https://example.com/a", "$ref": "#"}, [], [], draft="6")
    with pytest.raises(GrammarError, match="draft"):
        read_json_schema({}, draft="5")
    with pytest.raises(UnsupportedFeature):
        read_json_schema({"$schema": "http://json-schema.org/draft-03/schema#"})


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "string", "nullable": True}, ["a", None], [1, {}]),
        ({"nullable": True, "type": "integer", "minimum": 3}, [3, None], [2, 3.5]),
        ({"type": "string", "nullable": False}, ["a"], [None]),
        ({"type": "object", "required": ["a"], "nullable": True}, [{"a": 1}, None], [{}]),
        # Only where there is a type, and nothing but the type is widened.
        ({"nullable": True, "minLength": 2}, ["ab", None, 1], ["a"]),
        ({"type": "string", "nullable": True, "enum": ["a"]}, ["a"], [None, "b"]),
        ({"type": "string", "nullable": True, "enum": ["a", None]}, ["a", None], ["b"]),
        ({"allOf": [{"type": "string"}], "nullable": True}, ["a"], [None]),
        ({"not": {"type": "string", "nullable": True}}, [1], ["a", None]),
        ({"$ref": "#/definitions/a", "nullable": True, "definitions": {"a": {"type": "string"}}}, ["a"], [None]),
        # As in draft 4.
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, [1.5], [1]),
        ({"properties": {"id": {"type": "integer"}}, "id": "x", "const": 1}, [{"id": 1}, 2], [{"id": "x"}]),
    ],
)
def test_the_dialect_of_openapi(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    check(schema, valid, invalid, draft="openapi-3.0", property_order="any")


def test_nullable_elsewhere() -> None:
    check({"type": "string", "nullable": True}, ["a"], [None])
    reports = {report.pointer: report for report in explain_json_schema({"type": "string", "nullable": True})}
    assert reports["#/nullable"].status is KeywordStatus.ANNOTATION
    assert 'draft="openapi-3.0"' in reports["#/nullable"].reason
    schema = {"properties": {"a": {"type": "string", "nullable": True}, "b": {"nullable": True}}}
    statuses = {report.pointer: report.status for report in explain_json_schema(schema, draft="openapi-3.0")}
    assert statuses["#/properties/a/nullable"] is KeywordStatus.ENFORCED
    assert statuses["#/properties/b/nullable"] is KeywordStatus.ANNOTATION
    with pytest.raises(GrammarError, match="nullable must be true or false") as raised:
        read_json_schema(schema | {"type": "object", "nullable": 1}, draft="openapi-3.0")
    assert raised.value.pointer == "#/nullable"
    check({"$schema": "https://spec.openapis.org/oas/3.1/dialect/base", "type": ["string", "null"]}, [None], [1])


def test_formats_are_asserted_unless_told_otherwise() -> None:
    schema = {"type": "string", "format": "date"}
    check(schema, ["2024-02-29"], ["2023-02-29", "x"])
    check(schema, ["2024-02-29", "x"], [], formats="annotate")
    check({"type": "string", "format": "colour-of-the-day"}, ["x"], [])


def test_formats_of_a_draft() -> None:
    check({"type": "string", "format": "byte"}, ["Zm9v"], ["Zm9"], draft="openapi-3.0")
    check({"type": "string", "format": "byte"}, ["Zm9v", "Zm9"], [])
    for draft, expected in (("4", ""), ("6", ""), ("7", "xn--"), ("2020-12", "xn--")):
        (report,) = explain_json_schema({"format": "hostname"}, draft=draft)
        assert report.status is KeywordStatus.ENFORCED
        assert (report.reason != "") == (expected != "")
        assert expected in report.reason


def test_surrogates_cannot_be_spelled() -> None:
    check({"enum": ["\ud800", "a"]}, ["a"], ["\ud800"])
    check({"properties": {"\ud800": {"type": "null"}}}, [{}], [{"\ud800": None}] * 0)
    with pytest.raises(UnsatisfiableSchema):
        read_json_schema({"type": "object", "required": ["\ud800"]})


@pytest.mark.parametrize(
    ("policy", "inside", "outside"),
    [
        (
            "flexible",
            ["", " ", "\n", "\n    ", "\r\n\t\t", "\n" + " " * 64],
            ["  ", "\n\n", "\n \t", "\n" + " " * 65, "\t"],
        ),
        ("none", [""], [" ", "\n"]),
        ("one-space", ["", " "], ["  ", "\n"]),
        ("any", ["", " \t\r\n \n"], ["a", "\u00a0"]),
        (2, ["", " ", "\n", "\n  ", "\n    "], ["\n ", "  ", "\n   "]),
        (0, ["", " ", "\n"], ["\n "]),
    ],
)
def test_whitespace(policy: str | int, inside: list[str], outside: list[str]) -> None:
    language = read_json_schema({}, whitespace=policy).shapes.whitespace
    assert [text for text in inside if not language.matches(text.encode())] == []
    assert [text for text in outside if language.matches(text.encode())] == []


@pytest.mark.parametrize(
    "options",
    [
        {"whitespace": "loose"},
        {"whitespace": True},
        {"whitespace": -1},
        {"property_order": "random"},
        {"formats": "maybe"},
        {"on_unsupported": "ignore"},
        {"numbers": "any"},
        {"escapes": "none"},
    ],
)
def test_unknown_options(options: dict[str, Any]) -> None:
    with pytest.raises(GrammarError):
        read_json_schema({}, **options)


def test_integers_keep_to_their_bounds_and_multiples() -> None:
    check({"type": "integer", "multipleOf": 1.5}, [0, 3, -6], [1, 2, 1.5])
    check({"type": "integer", "exclusiveMinimum": 2.5, "exclusiveMaximum": 5}, [3, 4], [2, 5])
    check({"type": "number", "multipleOf": 0.5, "allOf": [{"multipleOf": 0.2}]}, [1, 2, -3], [0.5, 0.2])


def test_a_program_does_not_depend_on_where_objects_lie_in_memory() -> None:
    """Nodes are sets of objects that are hashed by their address, so anything made in their order would differ."""
    inside = {"type": "array", "contains": {"multipleOf": 11}}
    other = {"type": "array", "items": {"multipleOf": 11}}
    branches = [
        {"allOf": [{"items": {"$ref": f"#/$defs/{name}"}}, {"contains": {"$ref": f"#/$defs/{name}"}}]}
        for name in ("inside", "other")
    ]
    schema = {"type": "array", "oneOf": branches, "$defs": {"inside": inside, "other": other}}
    programs = set()
    elsewhere = []
    for number in range(25):
        elsewhere.append([object() for _ in range(37 * number % 101)])
        programs.add(Grammar.from_json_schema(schema).program.words.tobytes())
    assert len(programs) == 1
