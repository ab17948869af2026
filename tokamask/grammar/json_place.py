"""Where in a JSON document an offset lies, as a JSON pointer (RFC 6901): for messages, so it forgives broken text."""

from __future__ import annotations

import json
import re

__all__ = ["end_in_words", "pointer_at"]

_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?$)|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


def pointer_at(text: str, offset: int) -> str:
    """The pointer ("#/tags/0") of the value that `offset` stands in, or of the object whose key it stands in."""
    path: list[str | int | None] = []  # per open container: index, key, or None before the first key
    is_key = False
    for match in _LEXEME.finditer(text):
        # A lexeme that begins at the offset or reaches over it is where we are.
        if match.end() > offset:
            break
        lexeme = match.group()
        if lexeme in "{[":
            path.append(0 if lexeme == "[" else None)
            is_key = lexeme == "{"
        elif lexeme in "}]":
            if path:
                path.pop()
            is_key = False
        elif lexeme == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
            elif path:
                path[-1], is_key = None, True
        elif is_key and path and lexeme.startswith('"'):
            path[-1], is_key = _unquoted(lexeme), False
    return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path if step is not None)


def _unquoted(lexeme: str) -> str:
    try:
        return str(json.loads(lexeme))
    except ValueError:
        return lexeme[1:-1]


def end_in_words(text: bytes, is_json: bool) -> str:
    """Where a text that is under way has come to; `is_json`: as far as can be told it is a document."""
    place = f"after {len(text)} bytes of text"
    if not is_json or text.lstrip()[:1] not in (b"[", b"{"):
        return place
    document = text.decode("utf-8", "replace")
    return f"{place}, at {pointer_at(document, len(document))!r} of the document"
