"""Places in a schema as links to the place above: most are never spelled out as a pointer."""

from __future__ import annotations

from typing import TypeAlias

# A pointer (RFC 6901, after a document's URI and "#"), or the place above with the path from there.
Place: TypeAlias = "str | tuple[Place, tuple[str | int, ...]]"


def escaped(segment: str | int) -> str:
    """A segment of a JSON pointer (RFC 6901)."""
    return str(segment).replace("~", "~0").replace("/", "~1")


def pointer_at(place: Place) -> str:
    """The pointer of a place, spelled out."""
    segments: list[str] = []
    while not isinstance(place, str):
        place, path = place
        segments.extend(escaped(segment) for segment in reversed(path))
    return "/".join([place, *reversed(segments)])
