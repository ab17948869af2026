"""Where engines for structured generation go wrong (peer_holes.toml), each with the right answer."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tokamask.errors import UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar

PROBES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("peer_holes.toml").read_text())["probe"]
# Texts that are wrong as texts only: a validator sees the same values in them.
BY_SPELLING = {"endless whitespace", "lone surrogate", "whitespace: leading"}


def name_of(probe: dict[str, Any]) -> str:
    return f"{probe['name']} ({probe['peers']})" if "peers" in probe else str(probe["name"])


@pytest.mark.parametrize("probe", PROBES, ids=name_of)
def test_the_right_answers(probe: dict[str, Any]) -> None:
    try:
        grammar = Grammar.from_json_schema(probe["schema"], **{"property_order": "any", **probe.get("options", {})})
    except UnsupportedFeature:
        if not probe.get("may_be_refused"):
            raise
        pytest.skip(f"{probe['name']} is refused")
    assert grammar.check(probe["valid"]).ok
    assert not grammar.check(probe["invalid"]).ok


@pytest.mark.parametrize("probe", PROBES, ids=name_of)
def test_jsonschema_rs_says_the_same(probe: dict[str, Any]) -> None:
    """Of texts that are JSON and whose keys are all different; others are invalid whatever the schema says."""
    is_draft_7 = probe.get("options", {}).get("draft") == "7"
    dialect = jsonschema_rs.Draft7Validator if is_draft_7 else jsonschema_rs.Draft202012Validator
    validator = dialect(json.loads(probe["schema"]), validate_formats=True)
    assert validator.is_valid(json.loads(probe["valid"]))
    try:
        value = json.loads(probe["invalid"], object_pairs_hook=distinct)
    except ValueError:
        return
    assert probe["name"] in BY_SPELLING or not validator.is_valid(value)


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON text; raises ValueError when a key comes twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"anyOf": [{"type": "object", "additionalProperties": {"$ref": "#"}, "minProperties": 1}, False]},
    ],
)
def test_endless_values_are_no_values(schema: Any) -> None:
    """llguidance, xgrammar and glrmask write `{"a": {"a": {"a":` without end."""
    with pytest.raises(UnsatisfiableSchema):
        Grammar.from_json_schema(schema)


def test_nested_one_of_does_not_multiply_out() -> None:
    """xgrammar takes time beyond all bounds (vLLM issue 54003)."""
    levels: dict[str, Any] = {"l12": {"type": "integer"}}
    for level in range(12):
        branches = [
            {"type": "object", "properties": {"t": {"const": f"{level}{k}"}, "v": {"$ref": f"#/$defs/l{level + 1}"}}}
            for k in "abc"
        ]
        levels[f"l{level}"] = {"oneOf": [{**branch, "required": ["t", "v"]} for branch in branches]}
    grammar = Grammar.from_json_schema({"$ref": "#/$defs/l0", "$defs": levels}, property_order="any")
    text = "1"
    for level in reversed(range(12)):
        text = f'{{"t":"{level}b","v":{text}}}'
    assert grammar.check(text).ok
    assert not grammar.check(text.replace('"11b"', '"11d"')).ok
    assert not grammar.check(text.replace('"5b"', '"6b"')).ok
