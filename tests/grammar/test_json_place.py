"""The place of an offset in a JSON document, broken or not."""

from __future__ import annotations

import pytest

from tokamask.grammar.json_place import pointer_at


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("^", "#"),
        ("^1", "#"),
        ('{"a": ^1}', "#/a"),
        ('{"a": 12^}', "#/a"),
        ('{^"a": 1}', "#"),
        ('{"a^": 1}', "#"),
        ('{"a"^: 1}', "#/a"),
        ('{"a": 1^, "b": 2}', "#/a"),
        ('{"a": 1, ^"b": 2}', "#"),
        ('{"a": 1, "b": ^2}', "#/b"),
        ('{"a": {"b": [1, {"c": ^}]}}', "#/a/b/1/c"),
        ('{"a": {"b": 1}^}', "#/a"),
        ('{"a": {"b": 1}}^', "#"),
        ("[^]", "#/0"),
        ("[1,[2,^3]]", "#/1/1"),
        ('["a]{,", "\\"}", ^1]', "#/2"),
        ('{"a/b~c": ^1}', "#/a~1b~0c"),
        ('{"\\u0061\\"": ^1}', '#/a"'),
        ('{"a": "x, y^', "#/a"),
        ('{"a": ["x", "{: [, ^', "#/a/1"),
        ('{"a": "\\\\", "b": "x\\^', "#/b"),
        ('{"a": "x, ^y"}', "#/a"),
        ("]}^,", "#"),
        ('{"a": tru^', "#/a"),
        ('{"": {"": ^', "#//"),
    ],
)
def test_pointer(text: str, pointer: str) -> None:
    offset = text.index("^")
    assert pointer_at(text.replace("^", ""), offset) == pointer
