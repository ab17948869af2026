"""Partial values only grow, hold complete members only, and end as the value."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tokamask.runtime.partial_json import partial_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def is_part_of(part: Any, whole: Any) -> bool:
    """Whether `part` is `whole` with members at the end left out, of which only the last may be unfinished."""
    if isinstance(part, dict) and isinstance(whole, dict):
        keys = list(part)
        return keys == list(whole)[: len(keys)] and _members(list(part.values()), list(whole.values()))
    if isinstance(part, list) and isinstance(whole, list):
        return _members(part, whole)
    return type(part) is type(whole) and part == whole


def _members(part: list[Any], whole: list[Any]) -> bool:
    return (
        len(part) <= len(whole)
        and part[:-1] == whole[: max(len(part) - 1, 0)]
        and (not part or is_part_of(part[-1], whole[len(part) - 1]))
    )


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_every_prefix_shows_a_part_and_parts_only_grow(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    before = None
    for length in range(len(text) + 1):
        part = partial_json(text[:length])
        assert part is None or is_part_of(part, value)
        assert before is None or is_part_of(before, part)
        before = part
    if not isinstance(value, int | float) or isinstance(value, bool):
        assert before == value


def test_what_is_unfinished_is_left_out() -> None:
    expected = {
        "": None,
        " ": None,
        "12": None,
        "12 ": 12,
        '"ab': None,
        "{": {},
        '{"a': {},
        '{"a"': {},
        '{"a":': {},
        '{"a": 1': {},
        '{"a": 1,': {"a": 1},
        '{"a": -': {},
        '{"a": "x1': {},
        '{"a": "x1"': {"a": "x1"},
        '{"a": tru': {},
        '{"a": true': {"a": True},
        '{"a": [1, 23': {"a": [1]},
        '{"a": [1, 23]': {"a": [1, 23]},
        '[{"b": null}, {"c': [{"b": None}, {}],
    }
    assert {text: partial_json(text) for text in expected} == expected
