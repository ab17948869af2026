"""Where a `$ref` leads: scopes with a base URI and a draft, and the documents they can see.

The `referencing` package decides; a plain local pointer ("#/definitions/x"), which is nearly every reference there is,
is followed here without waking it, unless an identifier on the way changes the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tokamask.errors import GrammarError, UnsupportedFeature
from tokamask.grammar.json_schema.drafts import Draft, draft_of
from tokamask.grammar.json_schema.values import Json

if TYPE_CHECKING:
    from referencing import Registry, Resource, Specification
    from referencing._core import Resolver


class Target(NamedTuple):
    """A referenced schema, its scope, and its place for messages: a pointer, or a URI with one."""

    schema: Json
    scope: Scope
    place: str


class Scope:
    """One schema resource: the document `$ref: "#"` means, its draft, its base URI (kept by `referencing`)."""

    __slots__ = ("_library", "_parent", "_resolver", "document", "draft", "place")

    def __init__(
        self,
        library: Library,
        document: Json,
        draft: Draft,
        place: str,
        parent: Scope | None,
        resolver: Resolver[Json] | None,
    ) -> None:
        self._library = library
        self._parent = parent
        self._resolver = resolver
        self.document = document
        self.draft = draft
        self.place = place

    def entered(self, schema: Mapping[str, Json], place: str) -> Scope:
        """The scope inside a schema object: another one where an `$id` begins a new resource."""
        identifier = schema.get("id" if self.draft is Draft.DRAFT_4 else "$id")
        if identifier is None or schema is self.document or not isinstance(identifier, str):
            return self
        if self.draft <= Draft.DRAFT_7 and (identifier.startswith("#") or "$ref" in schema):
            return self
        return self._library.scope(schema, draft_of(schema, self.draft), place, self, None)

    def resolve(self, reference: str, pointer: str) -> Target:
        """The schema a reference leads to.

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
        return self._looked_up(reference, pointer)

    def _followed(self, reference: str) -> Json | None:
        """The end of a local pointer; None when it cannot be followed without asking for identifiers."""
        identifier = "id" if self.draft is Draft.DRAFT_4 else "$id"
        schema = self.document
        for segment in (unquote(reference) if "%" in reference else reference)[2:].split("/"):
            if isinstance(schema, dict):
                schema = schema.get(segment.replace("~1", "/").replace("~0", "~") if "~" in segment else segment)
                if isinstance(schema, dict) and isinstance(schema.get(identifier), str):
                    return None
            elif isinstance(schema, list) and segment.isdecimal() and int(segment) < len(schema):
                schema = schema[int(segment)]
            else:
                return None
        return schema

    def _looked_up(self, reference: str, pointer: str) -> Target:
        from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable

        try:
            resolved = self.resolver.lookup(reference)
            document = resolved.resolver.lookup("#").contents
        except (NoSuchAnchor, PointerToNowhere) as error:
            raise GrammarError(f"$ref {reference!r} leads nowhere: {error}", pointer=pointer) from None
        except Unresolvable:
            raise UnsupportedFeature(
                f"$ref {reference!r} leads outside the schema; registry= can supply the document", pointer=pointer
            ) from None
        except (AttributeError, TypeError, ValueError) as error:
            raise GrammarError(f"$ref {reference!r} cannot be resolved: {error}", pointer=pointer) from error
        if document is self.document:
            return Target(resolved.contents, self, self.place + reference.lstrip("#"))
        base, _, fragment = reference.partition("#")
        scope = self._library.scope(document, draft_of(document, self.draft), base + "#", None, resolved.resolver)
        return Target(resolved.contents, scope, f"{base}#{fragment}")

    @property
    def resolver(self) -> Resolver[Json]:
        resolver = self._resolver
        if resolver is None:
            if self._parent is None:
                resolver = self._library.root_resolver(self.document, self.draft)
            else:
                resource = _specification(self.draft).create_resource(self.document)
                resolver = self._parent.resolver.in_subresource(resource)
            self._resolver = resolver
        return resolver


class Library:
    """The documents one reading can see, and the scopes it has entered."""

    def __init__(self, registry: Mapping[str, Json] | Registry[Json] | None) -> None:
        self._registry = registry
        # By the identity of the resource's root, which the documents keep alive.
        self._scopes: dict[int, Scope] = {}

    def scope(
        self, document: Json, draft: Draft, place: str, parent: Scope | None, resolver: Resolver[Json] | None
    ) -> Scope:
        scope = self._scopes.get(id(document))
        if scope is None:
            scope = self._scopes[id(document)] = Scope(self, document, draft, place, parent, resolver)
        return scope

    def root_resolver(self, document: Json, draft: Draft) -> Resolver[Json]:
        """A resolver that sees the root document, the user's registry and the metaschemas."""
        from jsonschema_specifications import REGISTRY as METASCHEMAS  # type: ignore[import-untyped]
        from referencing import Registry, Resource

        specification = _specification(draft)
        registry: Registry[Json] = METASCHEMAS
        if isinstance(self._registry, Registry):
            registry = METASCHEMAS.combine(self._registry)
        elif self._registry:
            registry = METASCHEMAS.with_resources(
                (uri, Resource.from_contents(contents, default_specification=specification))
                for uri, contents in self._registry.items()
            )
        root: Resource[Json] = specification.create_resource(document)
        return registry.resolver_with_root(root)


def _specification(draft: Draft) -> Specification[Json]:
    from referencing import jsonschema

    return {
        Draft.DRAFT_4: jsonschema.DRAFT4,
        Draft.DRAFT_6: jsonschema.DRAFT6,
        Draft.DRAFT_7: jsonschema.DRAFT7,
        Draft.DRAFT_2019_09: jsonschema.DRAFT201909,
        Draft.DRAFT_2020_12: jsonschema.DRAFT202012,
    }[draft]
