"""Where references lead: scopes with a base URI and a draft, and the documents they can see.

The `referencing` package decides; a plain local pointer ("#/definitions/x"), which is nearly every reference there is,
is followed here without waking it, unless an identifier on the way changes the base. Dynamic references depend on the
resources through which a schema was reached, so the anchors those have to offer are part of a scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tokamask.errors import CompileBudgetExceeded, GrammarError, UnsupportedFeature
from tokamask.grammar.json_schema.dialects import Dialect, dialect_of
from tokamask.grammar.json_schema.drafts import Draft, subschemas
from tokamask.grammar.json_schema.places import Place, escaped, pointer_at
from tokamask.grammar.json_schema.values import Json

if TYPE_CHECKING:
    from referencing import Registry, Resource, Specification
    from referencing._core import Resolver

# Python reads no integers of thousands of digits.
_INDEX = re.compile("[0-9]{1,9}")
# Parts of a document in which identifiers and anchors are looked for. One that is no tree may have endlessly many.
MOST_PARTS = 1_000_000


class Target(NamedTuple):
    """A referenced schema, its scope, and its place for messages: a pointer, or a URI with one."""

    schema: Json
    scope: Scope
    place: str


class Anchor(NamedTuple):
    """A place that a dynamic reference may lead to: a schema, the scope of its resource, the pointer from there."""

    schema: Json
    scope: Scope
    path: str


class Scope:
    """One schema resource: the document `$ref: "#"` means, its draft, its base URI (kept by `referencing`).

    `caller` is the scope it was reached from: the same resource reached from elsewhere may be another scope.
    """

    __slots__ = ("_anchors", "_caller", "_library", "_resolver", "dialect", "document", "draft", "parent", "place")

    def __init__(
        self,
        library: Library,
        document: Json,
        dialect: Dialect,
        place: str,
        parent: Scope | None,
        resolver: Resolver[Json] | None,
        caller: Scope | None,
    ) -> None:
        self._library = library
        self.parent = parent
        self._caller = caller
        self._anchors: dict[str, Anchor] | None = None
        self._resolver = resolver
        self.document = document
        self.dialect = dialect
        self.draft = dialect.draft
        self.place = place

    def entered(self, schema: Mapping[str, Json], place: str) -> Scope:
        """The scope inside a schema object: another one where an `$id` begins a new resource."""
        identifier = schema.get("id" if self.draft is Draft.DRAFT_4 else "$id")
        if identifier is None or schema is self.document or not isinstance(identifier, str):
            return self
        if self.draft <= Draft.DRAFT_7 and (identifier.startswith("#") or "$ref" in schema):
            return self
        return self._library.scope(schema, self._library.dialect(schema, self.dialect), place, self, None, self)

    @property
    def anchors(self) -> Mapping[str, Anchor]:
        """The dynamic anchors, by name ("" for a recursive one): of several the one that was reached first."""
        if self._anchors is None:
            found = self._library.dynamic_anchors(self.document, self.draft)
            own = {name: Anchor(schema, self, path) for name, schema, path in found}
            self._anchors = own if self._caller is None else {**own, **self._caller.anchors}
        return self._anchors

    @property
    def destinations(self) -> frozenset[tuple[str, int]]:
        """The anchors as a key, by the identity of their schemas."""
        return frozenset((name, id(anchor.schema)) for name, anchor in self.anchors.items())

    def resolve_dynamically(self, reference: str, name: str, place: Place) -> Target:
        """The schema a dynamic reference leads to, which is the first anchor called `name` if it leads to such a one.

        Raises as `resolve` does.
        """
        target = self.resolve(reference, place)
        if not any(schema is target.schema for schema in target.scope.own_anchors(name)):
            return target
        anchor = self.anchors.get(name)
        if anchor is None:
            return target
        scope = self._library.reached(anchor.scope, self)
        return Target(anchor.schema, scope, scope.place + anchor.path)

    def own_anchors(self, name: str) -> list[Json]:
        """The schemas of this resource with a dynamic anchor of that name."""
        anchors = self._library.dynamic_anchors(self.document, self.draft)
        return [schema for own, schema, _ in anchors if own == name]

    def resolve(self, reference: str, place: Place) -> Target:
        """The schema that a reference leads to; `place` is where it stands, for errors.

        Raises:
            UnsupportedFeature: it leads to a document that is not at hand.
            GrammarError: it leads nowhere inside a document that is.
        """
        if reference == "#":
            return Target(self.document, self, self.place)
        if reference.startswith("#/"):
            schema = self._followed(reference)
            if schema is not None:
                return Target(schema, self, self.place + reference[1:])
        return self._looked_up(reference, pointer_at(place))

    def _followed(self, reference: str) -> Json | None:
        """The end of a local pointer; None when it cannot be followed without asking for identifiers."""
        identifier = "id" if self.draft is Draft.DRAFT_4 else "$id"
        schema = self.document
        for segment in (unquote(reference) if "%" in reference else reference)[2:].split("/"):
            if isinstance(schema, dict):
                schema = schema.get(segment.replace("~1", "/").replace("~0", "~") if "~" in segment else segment)
                if isinstance(schema, dict) and isinstance(schema.get(identifier), str):
                    return None
            elif isinstance(schema, list) and _INDEX.fullmatch(segment) and int(segment) < len(schema):
                schema = schema[int(segment)]
            else:
                return None
        return schema

    def _looked_up(self, reference: str, pointer: str) -> Target:
        from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable

        try:
            resolved = self.resolver.lookup(reference)
            document = resolved.resolver.lookup("#").contents
        except CompileBudgetExceeded as error:
            raise CompileBudgetExceeded(error.message, pointer=pointer) from None
        except (NoSuchAnchor, PointerToNowhere):
            message = f"$ref {reference!r} leads nowhere: its document has no such place"
            raise GrammarError(message, pointer=pointer) from None
        except Unresolvable:
            raise UnsupportedFeature(
                f"$ref {reference!r} leads outside the schema; registry= can supply the document", pointer=pointer
            ) from None
        except (AttributeError, TypeError, ValueError) as error:
            raise GrammarError(f"$ref {reference!r} cannot be resolved: {error}", pointer=pointer) from error
        if document is self.document:
            return Target(resolved.contents, self, self.place + reference.lstrip("#"))
        base, _, fragment = reference.partition("#")
        dialect = self._library.dialect(document, self.dialect)
        scope = self._library.scope(document, dialect, base + "#", None, resolved.resolver, self)
        return Target(resolved.contents, scope, f"{base}#{fragment}")

    @property
    def resolver(self) -> Resolver[Json]:
        resolver = self._resolver
        if resolver is None:
            if self.parent is None:
                resolver = self._library.root_resolver(self.document, self.draft)
            else:
                resource = _specification(self.draft).create_resource(self.document)
                resolver = self.parent.resolver.in_subresource(resource)
            self._resolver = resolver
        return resolver


def dynamic_anchors(document: Json, draft: Draft) -> Iterator[tuple[str, Json, str]]:
    """The dynamic anchors of a resource, not those of resources inside: their name, schema and pointer from its root.

    A recursive anchor (2019-09) is at the root, and its name is "".
    """
    if draft is Draft.DRAFT_2019_09 and isinstance(document, dict) and document.get("$recursiveAnchor") is True:
        yield "", document, ""
    if draft is not Draft.DRAFT_2020_12:
        return
    waiting = [(document, "")]
    seen: set[int] = set()
    while waiting:
        schema, path = waiting.pop()
        if not isinstance(schema, dict) or ("$id" in schema and schema is not document) or id(schema) in seen:
            continue
        seen.add(id(schema))
        name = schema.get("$dynamicAnchor")
        if isinstance(name, str):
            yield name, schema, path
        for keyword, value in schema.items():
            for below, member in subschemas(keyword, value):
                waiting.append((member, "/".join([path, *map(escaped, (keyword, *below))])))


class Library:
    """The documents one reading can see, and the scopes it has entered."""

    def __init__(self, registry: Mapping[str, Json] | Registry[Json] | None) -> None:
        if not isinstance(registry, Mapping | None):
            given = type(registry).__name__
            raise TypeError(f"registry must be {{uri: schema}} or a referencing.Registry, not {given}")
        self._registry = registry
        # By the identity of the resource's root (the documents keep it alive) and where dynamic references lead, None
        # for the scope that came first.
        self._scopes: dict[tuple[int, frozenset[tuple[str, int]] | None], Scope] = {}
        self._anchors: dict[int, list[tuple[str, Json, str]]] = {}

    def scope(
        self,
        document: Json,
        dialect: Dialect,
        place: str,
        parent: Scope | None,
        resolver: Resolver[Json] | None,
        caller: Scope | None,
    ) -> Scope:
        """The scope of a resource that is reached from `caller`: the same one wherever that makes no difference."""
        scope = Scope(self, document, dialect, place, parent, resolver, caller)
        first = self._scopes.setdefault((id(document), None), scope)
        if caller is None or dialect.draft < Draft.DRAFT_2019_09 or scope.destinations == first.destinations:
            return first
        return self._scopes.setdefault((id(document), scope.destinations), scope)

    def dynamic_anchors(self, document: Json, draft: Draft) -> list[tuple[str, Json, str]]:
        """As the function does, each document once."""
        known = self._anchors.get(id(document))
        if known is None:
            known = self._anchors[id(document)] = list(dynamic_anchors(document, draft))
        return known

    def reached(self, scope: Scope, caller: Scope) -> Scope:
        """The scope of the same resource, reached from another one."""
        return self.scope(scope.document, scope.dialect, scope.place, scope.parent, scope.resolver, caller)

    def dialect(self, schema: Json, default: Dialect) -> Dialect:
        """The dialect of a resource, or `default` when it names none; raises as `dialect_of` does."""
        return dialect_of(schema, default, self._metaschema)

    def _metaschema(self, uri: str) -> Json | None:
        """A document of the user's registry."""
        if self._registry is None:
            return None
        found = self._registry.get(uri) or self._registry.get(uri.rstrip("#"))
        return found if isinstance(found, dict) else getattr(found, "contents", None)

    def root_resolver(self, document: Json, draft: Draft) -> Resolver[Json]:
        """A resolver that sees the root document, the user's registry and the metaschemas."""
        from jsonschema_specifications import REGISTRY as METASCHEMAS  # type: ignore[import-untyped]
        from referencing import Registry, Resource

        _expect_tree(document)
        specification = _specification(draft)
        registry: Registry[Json] = METASCHEMAS
        if isinstance(self._registry, Registry):
            registry = METASCHEMAS.combine(self._registry)
        elif self._registry:
            for contents in self._registry.values():
                _expect_tree(contents)
            registry = METASCHEMAS.with_resources(
                (uri, Resource.from_contents(contents, default_specification=specification))
                for uri, contents in self._registry.items()
            )
        root: Resource[Json] = specification.create_resource(document)
        return registry.resolver_with_root(root)


def _expect_tree(document: Json) -> None:
    """Refuse a document that contains itself, or shares its parts in so many ways that walking it takes too long."""
    waiting = [document]
    parts = 0
    while waiting:
        value = waiting.pop()
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        parts += 1 + len(children)
        if parts > MOST_PARTS:
            raise CompileBudgetExceeded(
                f"a document has more than {MOST_PARTS} parts, too many to look for identifiers in; refer to schemas "
                "by JSON pointers from its root"
            )
        waiting += children


def _specification(draft: Draft) -> Specification[Json]:
    from referencing import jsonschema

    return {
        Draft.DRAFT_4: jsonschema.DRAFT4,
        # It has no identifiers: draft 6 at least sees none in properties called `id`.
        Draft.OPENAPI_3_0: jsonschema.DRAFT6,
        Draft.DRAFT_6: jsonschema.DRAFT6,
        Draft.DRAFT_7: jsonschema.DRAFT7,
        Draft.DRAFT_2019_09: jsonschema.DRAFT201909,
        Draft.DRAFT_2020_12: jsonschema.DRAFT202012,
    }[draft]
