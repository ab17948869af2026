"""What would count or look for undeclared names exactly is refused, as such a name may come twice."""

from __future__ import annotations

from typing import Any

import pytest

from tokamask.errors import UnsupportedFeature
from tokamask.grammar.grammar import Grammar

REFUSED = [
    ({"minProperties": 2}, "#/minProperties"),
    ({"properties": {"a": True}, "minProperties": 3}, "#/minProperties"),
    ({"propertyNames": {"pattern": "^x"}, "minProperties": 2}, "#/minProperties"),
    ({"not": {"additionalProperties": {"type": "string"}}}, "#/not/additionalProperties"),
    ({"not": {"patternProperties": {"^a": {"type": "string"}}}}, "#/not/patternProperties/^a"),
]
TAKEN: list[Any] = [
    {"minProperties": 1},
    {"required": ["a", "b"], "minProperties": 2},
    {"properties": {"a": True, "b": True}, "additionalProperties": False, "minProperties": 2},
    {"patternProperties": {"^[ab]$": True}, "additionalProperties": False, "minProperties": 2},
    {"maxProperties": 2},
    {"not": {"properties": {"a": {"type": "string"}}}},
]


@pytest.mark.parametrize(("schema", "pointer"), REFUSED)
def test_refused(schema: dict[str, Any], pointer: str) -> None:
    with pytest.raises(UnsupportedFeature, match="may come twice") as refusal:
        Grammar.from_json_schema({"type": "object", **schema})
    assert refusal.value.pointer == pointer
    keyword = pointer.split("/")[-1]
    assert refusal.value.message.startswith(keyword if keyword[0] != "^" else "patternProperties")


@pytest.mark.parametrize("schema", TAKEN)
def test_taken(schema: dict[str, Any]) -> None:
    assert Grammar.from_json_schema({"type": "object", **schema}).is_exact


def test_at_most_counts_every_property_that_is_written() -> None:
    grammar = Grammar.from_json_schema({"type": "object", "maxProperties": 2})
    assert grammar.check('{"a": 1, "b": 2}').ok
    assert not grammar.check('{"a": 1, "b": 2, "c": 3}').ok
