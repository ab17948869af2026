"""Which schema objects say the same: copies of one schema are one obligation, so that one excludes the other's failing.

Schemas written by programs repeat themselves, and only where branches exclude each other is it worth knowing.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping

from tokamask.grammar.budget import check_time
from tokamask.grammar.json_schema.drafts import SUBSCHEMAS, Holds
from tokamask.grammar.json_schema.values import Json

# Keywords that others read.
_MODIFIERS = frozenset(("then", "else", "minContains", "maxContains"))
# A schema with one of these is a place of its own.
_IDENTIFIERS = frozenset(("$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"))


class Contents:
    """Numbers for what schemas say: equal ones have equal numbers. Annotations say nothing."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        # By the identity of the schema and of the keywords that count; the document keeps the objects alive.
        self._known: dict[tuple[int, int], int] = {}

    def number(self, schema: Mapping[str, Json], keywords: Collection[str]) -> int:
        """The number of a schema object whose draft has these keywords."""
        known = self._known.get((id(schema), id(keywords)))
        if known is None:
            if _IDENTIFIERS.isdisjoint(schema):
                said = [
                    (name, self._said(name, value, keywords))
                    for name, value in schema.items()
                    if name in keywords or name in _MODIFIERS
                ]
                known = self._numbered("schema", said)
            else:
                known = self._numbered("place", [id(schema)])
            self._known[id(schema), id(keywords)] = known
        return known

    def _said(self, keyword: str, value: Json, keywords: Collection[str]) -> Hashable:
        holds = SUBSCHEMAS.get(keyword)
        if holds is None:
            return self._value(value)
        match holds, value:
            case Holds.ONE | Holds.ONE_OR_LIST, dict():
                return self.number(value, keywords)
            case Holds.LIST | Holds.ONE_OR_LIST, list():
                return self._numbered("schemas", [self._member(member, keywords) for member in value])
            case Holds.MAP | Holds.MAP_OR_NAMES, dict():
                return self._numbered(
                    "named", [(name, self._member(member, keywords)) for name, member in value.items()]
                )
            case _:
                return self._value(value)

    def _member(self, member: Json, keywords: Collection[str]) -> Hashable:
        return self.number(member, keywords) if isinstance(member, dict) else self._value(member)

    def _value(self, value: Json) -> Hashable:
        """A number, or a text itself, which is equal to none."""
        check_time()
        match value:
            case str():
                return value
            case dict():
                return self._numbered("object", [(name, self._value(item)) for name, item in value.items()])
            case list() | tuple():
                return self._numbered("array", map(self._value, value))
            case float():
                return self._numbered("float", [repr(value)])
            case _:
                return self._numbered(type(value).__name__, [value])

    def _numbered(self, sort: str, members: Iterable[Hashable]) -> int:
        return self._numbers.setdefault((sort, *members), len(self._numbers))
