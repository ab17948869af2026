"""The place of an offset in a JSON document, broken or not."""

from __future__ import annotations

import pytest

from tokamask.grammar.json_place import end_in_words, pointer_at


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


@pytest.mark.parametrize(
    ("text", "is_json", "words"),
    [
        (b'{"a": [1, 2', True, "after 11 bytes of text, at '#/a/1' of the document"),
        (' ["é", '.encode(), True, "after 8 bytes of text, at '#/1' of the document"),
        (b'["\xc3', True, "after 3 bytes of text, at '#/0' of the document"),
        (b"[1, 2", False, "after 5 bytes of text"),
        (b"the marker", True, "after 10 bytes of text"),
        (b"", True, "after 0 bytes of text"),
    ],
)
def test_end_in_words(text: bytes, is_json: bool, words: str) -> None:
    assert end_in_words(text, is_json) == words
