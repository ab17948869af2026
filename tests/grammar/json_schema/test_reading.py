"""What the front end makes of schemas that a person can check by eye."""

from __future__ import annotations

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
    "branches",
    [
        [{"minimum": 1}, {"type": "integer"}],
        [{"const": "a"}, {"enum": ["b", "a"]}],
        [{"const": 1}, {"const": 2}, {"maximum": 1, "type": "number"}],
        [{"properties": {"t": {"const": tag}}, "required": ["t"], "type": "object"} for tag in "aba"],
        [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 3}, {"type": "string", "minLength": 9}],
        [True, {"type": "null"}],
        [{"required": ["a"]}, {"required": ["b"]}],
    ],
)
def test_one_of_that_may_overlap_is_refused_where_it_stands(branches: list[Any]) -> None:
    with pytest.raises(UnsupportedFeature, match="oneOf") as caught:
        read_json_schema({"properties": {"a": {"oneOf": branches}}})
    assert caught.value.pointer == "#/properties/a/oneOf"


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
    check({"dependencies": {"a": ["b"]}}, [{"a": 1}], [], draft="2020-12")


def test_counts_of_properties_that_are_implied() -> None:
    closed = {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False}
    check({**closed, "minProperties": 2}, [{"a": 1, "b": 1}], [{"a": 1}])
    check({**closed, "maxProperties": 2}, [{}, {"a": 1, "b": 1}], [])
    check({"required": ["a"], "maxProperties": 1}, [{"a": 1}], [{"a": 1, "b": 1}, {}])
    check({"required": ["a"], "minProperties": 1}, [{"a": 1}], [{}])
    for impossible in ({**closed, "minProperties": 3}, {"type": "object", "required": ["a", "b"], "maxProperties": 1}):
        with pytest.raises(UnsatisfiableSchema):
            read_json_schema(impossible)


@pytest.mark.parametrize(
    "keywords",
    [
        {"not": {"type": "object", "required": ["a"]}},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
        {"contains": {"type": "string"}},
        {"uniqueItems": True},
        {"propertyNames": {"maxLength": 3}},
        {"patternProperties": {"^a": {"type": "string"}}},
        {"patternProperties": {"^a": True}, "additionalProperties": False},
        {"minProperties": 2},
        {"allOf": [{}], "unevaluatedProperties": False},
        {"allOf": [{}], "unevaluatedItems": False},
        {"pattern": r"(.)\1"},
        {"$ref": "https://example.com/elsewhere"},
    ],
    ids=lambda keywords: next(iter(keywords)),
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
    schema = {"type": "string", "uniqueItems": True, "propertyNames": {"maxLength": 1}, "minProperties": 3}
    assert read_json_schema(schema).is_exact
    assert read_json_schema({"$defs": {"unused": {"not": {"minLength": 3}}}}).is_exact


def test_warning_never_narrows() -> None:
    schema = {"patternProperties": {"^x": {}}, "properties": {"a": {}}, "additionalProperties": False}
    check(schema, [{"a": 1}, {"x1": 2}], [], on_unsupported="warn")


def test_every_refusal_is_explained_at_once() -> None:
    schema = {
        "uniqueItems": True,
        "not": {"const": 1},
        "items": {"contains": {"const": 1}},
        "x-mine": 3,
        "type": "array",
    }
    reports = {report.pointer: report for report in explain_json_schema(schema)}
    assert {pointer: report.status.value for pointer, report in reports.items()} == {
        "#/uniqueItems": "refused",
        "#/not": "refused",
        "#/not/const": "annotation",
        "#/items": "enforced",
        "#/items/contains": "refused",
        "#/items/contains/const": "annotation",
        "#/x-mine": "annotation",
        "#/type": "enforced",
    }


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
        ({"type": "string", "enum": [1]}, "#", "enum, type"),
        ({"enum": []}, "#", "enum"),
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


def test_malformed_text_shows_the_place() -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        read_json_schema('{"type":\n  "string",,}')
    assert (caught.value.line, caught.value.column) == (2, 12)
    with pytest.raises(GrammarSyntaxError):
        read_json_schema('{"const": NaN}')
    with pytest.raises(GrammarSyntaxError) as caught:
        read_json_schema({"properties": {"a": {"pattern": "a("}}})
    assert caught.value.pointer == "#/properties/a/pattern"


@pytest.mark.parametrize(
    "schema",
    [
        "[" * 100_000,
        '{"const": 1e1000000000}',
        '{"minimum": -1e-1000000000}',
        '{"const": ' + "1" * 100_000 + "}",
        {"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(20)]} for i in range(20)]},
    ],
    ids=["nesting", "exponent", "small exponent", "digits", "product"],
)
def test_budgets(schema: Any) -> None:
    with pytest.raises(CompileBudgetExceeded):
        read_json_schema(schema)


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


def test_formats_are_asserted_unless_told_otherwise() -> None:
    schema = {"type": "string", "format": "date"}
    check(schema, ["2024-02-29"], ["2023-02-29", "x"])
    check(schema, ["2024-02-29", "x"], [], formats="annotate")
    check({"type": "string", "format": "colour-of-the-day"}, ["x"], [])


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
        {"numbers": "full"},
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
